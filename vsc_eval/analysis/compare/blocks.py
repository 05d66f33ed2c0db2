"""What is computed of two columns of answers beside a row of one against the other, as rows of per-item values whose
means give every figure.

All blocks of a group of items are resampled together, with the same weights, in one matrix product.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vsc_eval.analysis.groups import ItemGroup
from vsc_eval.answers.answer_table import AnswerTable, Codes, Floats, Mask
from vsc_eval.settings import StatisticsSpec
from vsc_eval.stats import Figure, bootstrap_many, stream
from vsc_eval.stats.drift import kl_options

MOST_LABELS = 64
"""Different answers up to which kappa is computed; free text may have as many as items."""


class Block(Protocol):
    """Rows of values and the figures that are functions of their means."""

    @property
    def values(self) -> Floats:
        """[k, items]."""
        ...

    def of_means(self, means: Floats) -> Floats:
        """Means [..., k] -> figures [..., m]."""
        ...


@dataclass(frozen=True)
class AnswerBlock:
    """Answers of both runs [items]; `n_labels` answers occur in both, and count for kappa."""

    values: Floats
    n_labels: int

    FIGURES = ("accuracy_a", "agreement", "kappa")

    @classmethod
    def of(cls, answers_a: Codes, answers_b: Codes, gold: Codes) -> AnswerBlock:
        shared = np.intersect1d(answers_a, answers_b)
        labels = shared if len(shared) <= MOST_LABELS else shared[:0]
        rows = [answers_a == gold, answers_a == answers_b]
        rows += [answers_a == label for label in labels] + [answers_b == label for label in labels]
        return cls(np.array(rows, dtype=np.float64), len(labels) if len(shared) <= MOST_LABELS else -1)

    def of_means(self, means: Floats) -> Floats:
        return np.stack([means[..., 0], means[..., 1], self._kappa(means)], axis=-1)

    def _kappa(self, means: Floats) -> Floats:
        """(p_o - p_e) / (1 - p_e), p_e = sum over answers of p_a p_b (Cohen 1960); NaN where p_e is 1 or unknown."""
        if self.n_labels < 0:
            return np.full(means.shape[:-1], np.nan)
        shares_a = means[..., 2 : 2 + self.n_labels]
        chance = np.sum(shares_a * means[..., 2 + self.n_labels :], axis=-1)
        room = 1 - chance
        kappa = np.full(np.shape(room), np.nan)
        np.divide(means[..., 1] - chance, room, out=kappa, where=room > 1e-12)
        return kappa

    @property
    def no_kappa(self) -> str:
        """Why kappa is undefined where it is."""
        return (
            f"more than {MOST_LABELS} different answers" if self.n_labels < 0 else "both give one and the same answer"
        )


@dataclass(frozen=True)
class EffectBlock:
    """A condition against the baseline in either run: gain (right now less right before) and whether it changed."""

    values: Floats

    FIGURES = ("effect_a", "effect_b", "effect_difference", "drift_a", "drift_b", "drift_difference")

    @classmethod
    def of(cls, a: AnswerTable, condition_a: str, b: AnswerTable, condition_b: str) -> EffectBlock:
        both = ((a, condition_a), (b, condition_b))
        gains = [table.gain([name])[0] for table, name in both]
        return cls(np.array([*gains, *(table.changed([name])[0] for table, name in both)]))

    def of_means(self, means: Floats) -> Floats:
        gain_a, gain_b, drift_a, drift_b = (means[..., row] for row in range(4))
        return np.stack([gain_a, gain_b, gain_b - gain_a, drift_a, drift_b, drift_b - drift_a], axis=-1)


@dataclass(frozen=True)
class OptionBlock:
    """Distances of two distributions over option letters [items]; NaN where an item has none or no finite one."""

    values: Floats
    """Rows: mean over options of |log p_b - log p_a|; KL(A || B); each over its `scale`: the bootstrap takes
    what is below 1e-12 for rounding, and distances between backends may be that small."""
    scale: Floats
    """Largest value of each row [2], or 1 where all are 0."""
    largest: Floats
    """Largest |log p_b - log p_a| of an item [items]."""
    present: Mask
    """Items that have log-probabilities in both runs [items]."""

    FIGURES = ("mean_abs_difference", "kl")

    @classmethod
    def of(cls, logprobs_a: npt.NDArray[np.floating], logprobs_b: npt.NDArray[np.floating]) -> OptionBlock | None:
        """Of [items, options] each, NaN beyond an item's options; None where no item has any in both."""
        width = min(logprobs_a.shape[1], logprobs_b.shape[1])
        before, after = (np.asarray(values[:, :width], dtype=np.float64) for values in (logprobs_a, logprobs_b))
        counts = (~np.isnan(before)).sum(axis=1)
        present = (counts > 0) & ((~np.isnan(after)).sum(axis=1) > 0)
        values, largest = np.full((2, len(before)), np.nan), np.full(len(before), np.nan)
        for n_options in np.unique(counts[present]):
            rows = np.flatnonzero(present & (counts == n_options))
            a, b = before[rows, :n_options], after[rows, :n_options]
            with np.errstate(invalid="ignore"):
                # Probability 0 in both is no difference; in one only, an infinite one.
                distance = np.where(a == b, 0.0, np.abs(b - a))
                kl = kl_options(a, b)
            finite = np.isfinite(distance).all(axis=1) & np.isfinite(kl)
            kept = rows[finite]
            values[0, kept], values[1, kept] = distance[finite].mean(axis=1), kl[finite]
            largest[kept] = distance[finite].max(axis=1)
        scale = np.array([np.nanmax(row, initial=0) or 1.0 for row in values])
        return cls(values / scale[:, None], scale, largest, present) if present.any() else None

    @property
    def finite(self) -> Mask:
        """Items whose figures are all finite [items]."""
        return np.asarray(np.isfinite(self.values).all(axis=0), dtype=bool)

    def of_means(self, means: Floats) -> Floats:
        return means

    def in_nats(self, figures: Sequence[Figure]) -> list[Figure]:
        """The figures of this block's values with the scale put back."""

        def scaled(value: float | None, factor: float) -> float | None:
            return None if value is None else value * factor

        return [
            dataclasses.replace(f, value=scaled(f.value, by), low=scaled(f.low, by), high=scaled(f.high, by))
            for f, by in zip(figures, self.scale.tolist(), strict=True)
        ]


def figures(
    blocks: Sequence[Block], mask: Mask, table: AnswerTable, group: ItemGroup, statistics: StatisticsSpec
) -> list[list[Figure]]:
    """For each block its figures on the masked items of the group, all resampled with the same weights: those of the
    group's rows, so that the same accuracy has the same interval there."""
    edges = np.cumsum([0, *(len(block.values) for block in blocks)]).tolist()

    def of_means(means: Floats) -> Floats:
        parts = [
            block.of_means(means[..., low:high]) for block, low, high in zip(blocks, edges[:-1], edges[1:], strict=True)
        ]
        return np.concatenate(parts, axis=-1)

    drawn = bootstrap_many(
        np.concatenate([block.values[:, mask] for block in blocks]),
        table.clusters[mask],
        stream(statistics.seed, "study", "conditions", "bootstrap", *group.stream),
        statistic=of_means,
        draws=statistics.draws,
        level=statistics.level,
        cluster_name=table.cluster_name,
    )
    found = [_defined(figure) for figure in drawn]
    per_block = [block.of_means(np.zeros(len(block.values))).shape[-1] for block in blocks]
    ends = np.cumsum([0, *per_block]).tolist()
    return [found[low:high] for low, high in pairwise(ends)]


def _defined(figure: Figure) -> Figure:
    """NaN becomes None with a reason: of the value, or of an interval that some draws leave undefined."""
    if figure.value is not None and math.isnan(figure.value):
        return dataclasses.replace(figure, value=None, low=None, high=None, reason="undefined")
    if figure.low is not None and figure.high is not None and (math.isnan(figure.low) or math.isnan(figure.high)):
        return dataclasses.replace(figure, low=None, high=None, reason="undefined in some draws")
    return figure
