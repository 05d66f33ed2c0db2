"""POPE's metrics (Li et al. 2023, arXiv:2305.10355): "yes" is the positive answer.

    precision = TP / (TP + FP)    recall = TP / (gold yes)    F1 = 2 TP / (2 TP + FP + FN)
    yes_rate  = predicted yes / all

An unreadable answer is wrong and no "yes": for a gold "yes" it is a false negative, as a "no" would be.
"""

from collections.abc import Sequence

import numpy as np

from vsc_eval.errors import DataError
from vsc_eval.metrics.base import Mask, Metric, Quantity, ScoredItem, invalid_rate, ratio, share
from vsc_eval.stats.bootstrap import Floats


class Pope(Metric):
    """Figures of all items, and of each way the absent objects were drawn (random, popular, adversarial)."""

    name = "pope"
    columns = ("category",)
    main = "f1"

    def aggregate(self, items: Sequence[ScoredItem]) -> dict[str, Quantity]:
        """`accuracy`, `precision`, `recall`, `f1`, `yes_rate`, `invalid_rate`, and each as `figure[category]`.

        An item with several categories ("popular,adversarial") counts in each, and once in the whole.
        """
        categories = [_categories(item) for item in items]
        figures = self._figures(items, np.ones(len(items), dtype=bool))
        for name in sorted(set().union(*categories)):
            among = np.array([name in own for own in categories], dtype=bool)
            figures |= {f"{key}[{name}]": value for key, value in self._figures(items, among).items()}
        return figures

    def _figures(self, items: Sequence[ScoredItem], among: Mask) -> dict[str, Quantity]:
        said_yes = np.array([item.answer == "yes" for item in items], dtype=bool)
        is_yes = np.array([_gold(item) == "yes" for item in items], dtype=bool)
        counts = np.stack([among & said_yes & is_yes, among & said_yes, among & is_yes]).astype(np.float64)
        return {
            "accuracy": share(self._right(items), among),
            "precision": share(is_yes, among & said_yes, undefined="no answer is yes"),
            "recall": share(said_yes, among & is_yes, undefined="no right answer is yes"),
            "f1": Quantity(counts, _f1, int(among.sum()), undefined="no answer is yes, given or right"),
            "yes_rate": share(said_yes, among),
            "invalid_rate": invalid_rate(items, among),
        }


def _f1(means: Floats) -> Floats:
    """Means [..., 3] of true positives, predicted and actual yes: 2 TP / (predicted + actual)."""
    return ratio(np.stack([2 * means[..., 0], means[..., 1] + means[..., 2]], axis=-1))


def _gold(item: ScoredItem) -> str:
    if item.gold not in ("yes", "no"):
        raise DataError(
            f"Item '{item.id}': the right answer is '{item.gold}', where POPE has yes and no.",
            hint="Use `kind: yes_no`, or another `score`.",
        )
    return item.gold


def _categories(item: ScoredItem) -> frozenset[str]:
    return frozenset(name.strip() for name in item.column("category").split(",") if name.strip())


POPE = Pope()
