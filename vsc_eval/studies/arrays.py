"""Parsed answers of many conditions as small integer arrays: what a study's statistics are computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from vsc_eval.specs import BASELINE

INVALID_CODE = -1
Codes = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AnswerArrays:
    """`answers` maps conditions, the baseline among them, to [items]: the place of the chosen option, -1 if invalid."""

    item_ids: tuple[str, ...]
    clusters: npt.NDArray[np.str_]
    """Orbit of each item [items]."""
    tasks: npt.NDArray[np.str_]
    levels: npt.NDArray[np.str_]
    gold: Codes
    answers: Mapping[str, Codes]

    def __post_init__(self) -> None:
        assert BASELINE in self.answers
        lengths = {len(self.clusters), len(self.tasks), len(self.levels), len(self.gold)}
        lengths |= {len(column) for column in self.answers.values()}
        assert lengths == {len(self.item_ids)}, lengths

    def changed(self, conditions: Sequence[str]) -> npt.NDArray[np.float64]:
        """1 where the answer is another one than the baseline's, [conditions, items]."""
        base = self.answers[BASELINE]
        return np.array([self.answers[name] != base for name in conditions], dtype=np.float64)

    def gain(self, conditions: Sequence[str]) -> npt.NDArray[np.float64]:
        """right(condition) - right(baseline): -1, 0 or 1, [conditions, items]."""
        base = (self.answers[BASELINE] == self.gold).astype(np.float64)
        return np.array([(self.answers[name] == self.gold) - base for name in conditions], dtype=np.float64)

    def only(self, mask: npt.NDArray[np.bool_]) -> AnswerArrays:
        """The masked items [items]."""
        return replace(
            self,
            item_ids=tuple(item for item, keep in zip(self.item_ids, mask, strict=True) if keep),
            clusters=self.clusters[mask],
            tasks=self.tasks[mask],
            levels=self.levels[mask],
            gold=self.gold[mask],
            answers={name: column[mask] for name, column in self.answers.items()},
        )


@dataclass(frozen=True, eq=False)
class ReadingArrays:
    """Figures of one condition, [items] each in the order of the answers, nan where an item has none."""

    kl_options: Floats
    """KL(baseline || condition) over the options, nats."""
    kl_vocab: Floats
    margin: Floats
    """Log-probability of the gold option less the largest of the others, nats; the baseline has it too."""
    shift_edited: Floats
    shift_last: Floats

    def __post_init__(self) -> None:
        assert len({len(getattr(self, field.name)) for field in fields(self)}) == 1
