"""What is computed of two columns of answers, as rows of per-item values whose means give every figure.

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

from vsc_eval.analysis.results import Figure
from vsc_eval.stats import bootstrap_many, kl_options
from vsc_eval.stats.bootstrap import Floats

Strings = npt.NDArray[np.str_]
Mask = npt.NDArray[np.bool_]

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
    """Parsed answers of both runs [items]; `labels` are the answers that occur in both, for kappa."""

    values: Floats
    n_labels: int

    FIGURES = ("accuracy_a", "accuracy_b", "difference", "changed", "agreement", "kappa")

    @classmethod
    def of(cls, answers_a: Strings, answers_b: Strings, gold: Strings) -> AnswerBlock:
        shared = np.intersect1d(answers_a, answers_b)
        labels = shared if len(shared) <= MOST_LABELS else shared[:0]
        rows = [answers_a == gold, answers_b == gold, answers_a == answers_b]
        rows += [answers_a == label for label in labels] + [answers_b == label for label in labels]
        return cls(np.array(rows, dtype=np.float64), len(labels) if len(shared) <= MOST_LABELS else -1)

    def of_means(self, means: Floats) -> Floats:
        right_a, right_b, same = (means[..., row] for row in range(3))
        return np.stack([right_a, right_b, right_b - right_a, 1 - same, same, self._kappa(means)], axis=-1)

    def _kappa(self, means: Floats) -> Floats:
        """(p_o - p_e) / (1 - p_e), p_e = sum over answers of p_a p_b (Cohen 1960); NaN where p_e is 1 or unknown."""
        if self.n_labels < 0:
            return np.full(means.shape[:-1], np.nan)
        shares_a = means[..., 3 : 3 + self.n_labels]
        chance = np.sum(shares_a * means[..., 3 + self.n_labels :], axis=-1)
        room = 1 - chance
        kappa = np.full(np.shape(room), np.nan)
        np.divide(means[..., 2] - chance, room, out=kappa, where=room > 1e-12)
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
    def of(cls, base_a: Strings, cond_a: Strings, base_b: Strings, cond_b: Strings, gold: Strings) -> EffectBlock:
        gains = [(cond == gold) * 1.0 - (base == gold) for base, cond in ((base_a, cond_a), (base_b, cond_b))]
        return cls(np.array([*gains, base_a != cond_a, base_b != cond_b], dtype=np.float64))

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
    def of(
        cls, logprobs_a: Sequence[tuple[float, ...] | None], logprobs_b: Sequence[tuple[float, ...] | None]
    ) -> OptionBlock | None:
        """None where no item has log-probabilities in both."""
        n_items = len(logprobs_a)
        values, largest = np.full((2, n_items), np.nan), np.full(n_items, np.nan)
        present = np.zeros(n_items, dtype=bool)
        widths: dict[int, list[int]] = {}
        for row, (a, b) in enumerate(zip(logprobs_a, logprobs_b, strict=True)):
            if a and b:
                present[row] = True
                widths.setdefault(len(a), []).append(row)
        for rows in widths.values():
            before = np.array([logprobs_a[row] for row in rows], dtype=np.float64)
            after = np.array([logprobs_b[row] for row in rows], dtype=np.float64)
            with np.errstate(invalid="ignore"):
                # Probability 0 in both is no difference; in one only, an infinite one.
                distance = np.where(before == after, 0.0, np.abs(after - before))
                kl = kl_options(before, after)
            finite = np.isfinite(distance).all(axis=1) & np.isfinite(kl)
            kept = np.array(rows)[finite]
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
        return [
            figure.model_copy(
                update={
                    name: None if (value := getattr(figure, name)) is None else value * factor
                    for name in ("value", "low", "high")
                }
            )
            for figure, factor in zip(figures, self.scale.tolist(), strict=True)
        ]


def figures(
    blocks: Sequence[Block], mask: Mask, clusters: Strings, rng: np.random.Generator, cluster_name: str
) -> list[list[Figure]]:
    """For each block its figures on the masked items, all resampled with the same weights."""
    edges = np.cumsum([0, *(len(block.values) for block in blocks)]).tolist()

    def of_means(means: Floats) -> Floats:
        parts = [
            block.of_means(means[..., low:high]) for block, low, high in zip(blocks, edges[:-1], edges[1:], strict=True)
        ]
        return np.concatenate(parts, axis=-1)

    stacked = np.concatenate([block.values[:, mask] for block in blocks])
    found = [
        _figure(**dataclasses.asdict(estimate))
        for estimate in bootstrap_many(stacked, clusters[mask], rng, statistic=of_means, cluster_name=cluster_name)
    ]
    per_block = [block.of_means(np.zeros(len(block.values))).shape[-1] for block in blocks]
    ends = np.cumsum([0, *per_block]).tolist()
    return [found[low:high] for low, high in pairwise(ends)]


def _figure(
    value: float | None,
    low: float | None,
    high: float | None,
    n_items: int,
    n_clusters: int,
    method: str,
    reason: str | None,
) -> Figure:
    """NaN becomes None with a reason: of the value, or of an interval that some draws leave undefined."""
    if value is not None and math.isnan(value):
        value = low = high = None
        reason = "undefined"
    elif low is not None and high is not None and (math.isnan(low) or math.isnan(high)):
        low = high = None
        reason = "undefined in some draws"
    return Figure(value=value, low=low, high=high, n_items=n_items, n_clusters=n_clusters, method=method, reason=reason)
