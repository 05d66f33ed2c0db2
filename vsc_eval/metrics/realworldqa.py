"""RealWorldQA's metric: accuracy."""

import re
from collections.abc import Sequence

import numpy as np

from vsc_eval.metrics.base import Metric, Quantity, ScoredItem, share


class RealWorldQA(Metric):
    """Accuracy, also by how the question is answered: with a letter of the options it names, or in words."""

    name = "realworldqa"

    def aggregate(self, items: Sequence[ScoredItem]) -> dict[str, Quantity]:
        """`accuracy`, `accuracy[letter]`, `accuracy[text]`, `invalid_rate`."""
        right = self._right(items)
        letter = np.array([re.fullmatch("[A-Z]", item.gold) is not None for item in items], dtype=bool)
        return {
            **super().aggregate(items),
            "accuracy[letter]": share(right, letter, undefined="no question names options"),
            "accuracy[text]": share(right, ~letter, undefined="every question names options"),
        }


REALWORLDQA = RealWorldQA()
