"""How a row's intervals came to be, in words."""

from __future__ import annotations

from collections.abc import Sequence


def method_words(methods: Sequence[str]) -> str:
    """Of the accuracy's method and those of the other intervals of a row: Wilson's interval is of accuracies alone, so
    a row may have two."""
    accuracy, *others = methods
    if set(others) <= {accuracy}:
        return accuracy
    return f"accuracy: {accuracy}; differences and drift: {', '.join(dict.fromkeys(others))}"
