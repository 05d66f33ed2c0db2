"""NaturalBench's metrics (Li et al. 2024, arXiv:2410.14669).

A group is two questions on two images, each question with a different answer on each image: four rows in a row, whose
numbers in the column `Index` are 4g (question 0, image 0), 4g+1 (0, 1), 4g+2 (1, 0) and 4g+3 (1, 1).

    accuracy            items that are right
    question_accuracy   questions that are right on both images
    image_accuracy      images on which both questions are right
    group_accuracy      groups that are right four times

Groups with a row missing are left out of all four. The rows of a group must be in one cluster: each question, image and
group is counted on one of its rows.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from vsc_eval.errors import DataError
from vsc_eval.metrics.base import Mask, Metric, Quantity, ScoredItem, invalid_rate, share

Places = npt.NDArray[np.intp]

GROUP_SIZE = 4
_QUESTIONS = ((0, 1), (2, 3))
_IMAGES = ((0, 2), (1, 3))
_WHOLE = ((0, 1, 2, 3),)


class NaturalBench(Metric):
    """Accuracy of items, questions, images and groups."""

    name = "naturalbench"
    columns = ("Index",)
    main = "group_accuracy"

    def aggregate(self, items: Sequence[ScoredItem]) -> dict[str, Quantity]:
        """The four accuracies and `invalid_rate`, all over complete groups."""
        groups = _complete_groups(items)
        right = self._right(items)
        inside = np.zeros(len(items), dtype=bool)
        inside[groups] = True
        nothing = "no complete group"
        return {
            "accuracy": share(right, inside, undefined=nothing),
            "question_accuracy": _all_right(right, groups, _QUESTIONS, "questions"),
            "image_accuracy": _all_right(right, groups, _IMAGES, "images"),
            "group_accuracy": _all_right(right, groups, _WHOLE, "groups"),
            "invalid_rate": invalid_rate(items, inside, undefined=nothing),
        }


def _all_right(right: Mask, groups: Places, units: Iterable[tuple[int, ...]], unit: str) -> Quantity:
    """Share of units all of whose rows are right; a unit is counted on its first row. `groups` [groups, 4]."""
    leads, hits = np.zeros(len(right), dtype=bool), np.zeros(len(right), dtype=bool)
    for rows in units:
        firsts = groups[:, rows[0]]
        leads[firsts] = True
        hits[firsts] = right[groups[:, rows]].all(axis=1)
    return share(hits, leads, unit=unit, undefined="no complete group")


def _complete_groups(items: Sequence[ScoredItem]) -> Places:
    """[groups, 4]: for each group with all four rows where they stand in `items`, in the order of their numbers."""
    places: dict[int, int] = {}
    for place, item in enumerate(items):
        index = _index(item)
        if index in places:
            raise DataError(
                f"Items '{items[places[index]].id}' and '{item.id}' have the same Index {index}.",
                hint="Index must number the rows; name the column that does, or leave `score` out.",
            )
        places[index] = place
    firsts = sorted({GROUP_SIZE * (index // GROUP_SIZE) for index in places})
    rows = [[places.get(first + k, -1) for k in range(GROUP_SIZE)] for first in firsts]
    return np.array([row for row in rows if -1 not in row], dtype=np.intp).reshape(-1, GROUP_SIZE)


def _index(item: ScoredItem) -> int:
    value = item.column("Index")
    if not value.isascii() or not value.isdecimal():
        hint = "Index must number the rows from 0; leave `score` out of the task file for other data."
        raise item.stranger("Index", "row number", hint)
    return int(value)


NATURALBENCH = NaturalBench()
