"""Accuracy: the answer is one of the right ones, as parsed. Also RealWorldQA's metric, which has no other."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from vsc_eval.extract import INVALID
from vsc_eval.metrics.base import Mask, Quantity, ScoredItem
from vsc_eval.metrics.quantities import share


class Exact:
    """Share of items whose parsed answer is right."""

    name = "exact"
    columns: tuple[str, ...] = ()
    main = "accuracy"

    def score(self, item: ScoredItem) -> float:
        """1.0 if the answer is one of the right ones."""
        return float(item.answer in item.golds)

    def canonicalise(self, item: ScoredItem) -> str:
        """The gold for a right answer, the answer itself for another."""
        return item.gold if self.score(item) else item.answer

    def right(self, items: Sequence[ScoredItem]) -> Mask:
        """Which items are right [items]."""
        return np.array([self.score(item) == 1.0 for item in items], dtype=bool)

    def aggregate(self, items: Sequence[ScoredItem]) -> dict[str, Quantity]:
        """`accuracy` and `invalid_rate`."""
        return {"accuracy": share(self.right(items)), "invalid_rate": share(invalid(items))}


class RealWorldQA(Exact):
    """Accuracy, also by how the question is answered: with a letter of the options it names, or in words."""

    name = "realworldqa"

    def aggregate(self, items: Sequence[ScoredItem]) -> dict[str, Quantity]:
        """`accuracy`, `accuracy[letter]`, `accuracy[text]`, `invalid_rate`."""
        right = self.right(items)
        letter = np.array([re.fullmatch("[A-Z]", item.gold) is not None for item in items], dtype=bool)
        return {
            **super().aggregate(items),
            "accuracy[letter]": share(right, letter, undefined="no question names options"),
            "accuracy[text]": share(right, ~letter, undefined="every question names options"),
        }


def invalid(items: Sequence[ScoredItem]) -> Mask:
    """Which answers could not be read [items]."""
    return np.array([item.answer == INVALID for item in items], dtype=bool)


EXACT = Exact()
REALWORLDQA = RealWorldQA()
