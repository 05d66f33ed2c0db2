"""A metric: right if the first letter is, also by topic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vsc_eval.metrics import Metric, Quantity, ScoredItem
from vsc_eval.metrics.base import share


class Lenient(Metric):
    name = "lenient"
    columns = ("topic",)
    main = "first_letter"

    def score(self, item: ScoredItem) -> float:
        return float(any(item.answer[:1] == gold[:1] for gold in item.golds))

    def aggregate(self, items: Sequence[ScoredItem]) -> dict[str, Quantity]:
        topics = np.array([item.column("topic") for item in items], dtype=np.str_)
        right = self._right(items)
        by_topic = {f"first_letter[{name}]": share(right, topics == name) for name in sorted(set(topics.tolist()))}
        return {"first_letter": share(right), **by_topic}


LENIENT = Lenient()
