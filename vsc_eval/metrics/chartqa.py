"""ChartQA's relaxed accuracy (Masry et al. 2022, arXiv:2203.10244, section 5.1).

A numeric answer is right within 5% of the gold, ends included; any other must match word for word. The published
script, which this follows: a number that ends in `%` is divided by 100; a gold of 0 needs an equal answer; years are
numbers, so 2010 is right for 2015.
"""

import re
from collections.abc import Sequence

import numpy as np

from vsc_eval.extract.numerals import numbers
from vsc_eval.metrics.base import Metric, Quantity, ScoredItem, invalid_rate, share, shares

TOLERANCE = 0.05
_TYPES = {"human_test": "human", "augmented_test": "augmented", "human": "human", "augmented": "augmented"}


class ChartQA(Metric):
    """Relaxed accuracy, also by who wrote the question."""

    name = "chartqa"
    columns = ("type",)
    main = "relaxed_accuracy"

    def score(self, item: ScoredItem) -> float:
        """1.0 if the answer is within 5% of a right number or equal to a right text."""
        return float(any(relaxed_match(item.answer, gold) for gold in item.golds))

    def aggregate(self, items: Sequence[ScoredItem]) -> dict[str, Quantity]:
        """`relaxed_accuracy`, `relaxed_accuracy[human]`, `relaxed_accuracy[augmented]`, `exact_accuracy`,
        `invalid_rate`."""
        right = self._right(items)
        exact = np.array([item.answer in item.golds for item in items], dtype=bool)
        types, parts = [_type(item) for item in items], ("human", "augmented")
        return {
            "relaxed_accuracy": share(right),
            **shares("relaxed_accuracy", right, types, parts, undefined="no {} questions"),
            "exact_accuracy": share(exact),
            "invalid_rate": invalid_rate(items),
        }


def relaxed_match(answer: str, gold: str) -> bool:
    """Whether a parsed answer is right for a parsed gold, both of kind `short_text`.

    Where the gold is a number and the answer a phrase with exactly one number, that number is compared.
    """
    if answer == gold:
        return True
    wanted = _plain(gold)
    given = _in_phrase(answer) if wanted is not None else None
    if wanted is None or given is None:
        return False
    if wanted == 0:
        return given == 0
    return abs(given - wanted) / abs(wanted) <= TOLERANCE


def _plain(text: str) -> float | None:
    """A text that is a number and nothing else, a percentage as a fraction."""
    if not re.fullmatch(r"-?\d+(?:\.\d+)?%?", text):
        return None
    return float(text[:-1]) / 100.0 if text.endswith("%") else float(text)


def _in_phrase(text: str) -> float | None:
    """The only number of a normalised text, a percentage as a fraction."""
    plain = _plain(text)
    found = [number for number in numbers(text) if not number.pronoun] if plain is None else []
    if len(found) != 1 or found[0].value is None:
        return plain
    return float(found[0].value) / (100.0 if found[0].percent else 1.0)


def _type(item: ScoredItem) -> str:
    value = item.column("type")
    if value not in _TYPES:
        hint = "It is human_test or augmented_test. For other data leave `score` out of the task file."
        raise item.stranger("type", "part of ChartQA", hint)
    return _TYPES[value]


CHARTQA = ChartQA()
