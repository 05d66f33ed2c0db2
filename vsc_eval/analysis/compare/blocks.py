"""What is computed of two columns of answers beside a row of one against the other, as rows of per-item values whose
means give every figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from vsc_eval.analysis.groups import ItemGroup, resampled
from vsc_eval.answers.answer_table import AnswerTable, Codes, Floats, Mask
from vsc_eval.settings import StatisticsSpec
from vsc_eval.stats import Figure
from vsc_eval.stats.drift import kl_options

MOST_LABELS = 64
"""Different answers up to which kappa is computed; free text may have as many as items."""


@dataclass(frozen=True)
class Block:
    """Rows of values [k, items], and the figures [..., m] that are functions of their means [..., k]."""

    values: Floats
    of_means: Callable[[Floats], Floats]


def answer_block(before: Codes, after: Codes, gold: Codes) -> tuple[Block, str]:
    """The first run's accuracy, agreement and Cohen's kappa of two runs' answers [items], and why kappa is undefined
    where it is.

    kappa = (p_o - p_e) / (1 - p_e), p_e = sum over answers of p_a p_b (Cohen 1960); NaN where p_e is 1 or unknown.
    """
    labels = np.intersect1d(before, after)
    is_known = len(labels) <= MOST_LABELS
    labels = labels if is_known else labels[:0]
    sides = [side == label for side in (before, after) for label in labels]

    def of_means(means: Floats) -> Floats:
        shares = means[..., 2:]
        chance = np.sum(shares[..., : len(labels)] * shares[..., len(labels) :], axis=-1)
        room = 1 - chance if is_known else np.zeros_like(chance)
        kappa = np.full(np.shape(room), np.nan)
        np.divide(means[..., 1] - chance, room, out=kappa, where=room > 1e-12)
        return np.stack([means[..., 0], means[..., 1], kappa], axis=-1)

    why = "both give one and the same answer" if is_known else f"more than {MOST_LABELS} different answers"
    return Block(np.array([before == gold, before == after, *sides], dtype=np.float64), of_means), why


EFFECTS = ("effect_a", "effect_b", "effect_difference", "drift_a", "drift_b", "drift_difference")


def effect_block(a: AnswerTable, condition_a: str, b: AnswerTable, condition_b: str) -> Block:
    """EFFECTS of a condition against the baseline in either run: gain (right now less right before) and drift."""
    both = ((a, [condition_a]), (b, [condition_b]))
    values = [table.gain(name)[0] for table, name in both] + [table.changed(name)[0] for table, name in both]

    def of_means(means: Floats) -> Floats:
        gain_a, gain_b, drift_a, drift_b = (means[..., row] for row in range(4))
        return np.stack([gain_a, gain_b, gain_b - gain_a, drift_a, drift_b, drift_b - drift_a], axis=-1)

    return Block(np.array(values), of_means)


@dataclass(frozen=True)
class OptionDistances:
    """Distances of two distributions over option letters [items]; NaN where an item has none or no finite one."""

    block: Block
    """Rows: mean over options of |log p_b - log p_a|; KL(A || B); each over its `scale`: the bootstrap takes
    what is below 1e-12 for rounding, and distances between backends may be that small."""
    scale: Floats
    """Largest value of each row [2], or 1 where all are 0."""
    largest: Floats
    """Largest |log p_b - log p_a| of an item [items]."""
    present: Mask
    """Items that have log-probabilities in both runs [items]."""

    @classmethod
    def of(cls, logprobs_a: npt.NDArray[np.floating], logprobs_b: npt.NDArray[np.floating]) -> OptionDistances | None:
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
        block = Block(values / scale[:, None], lambda means: means)
        return cls(block, scale, largest, present) if present.any() else None

    @property
    def finite(self) -> Mask:
        """Items whose figures are all finite [items]."""
        return np.asarray(np.isfinite(self.block.values).all(axis=0), dtype=bool)

    def in_nats(self, figures: Sequence[Figure]) -> list[Figure]:
        """The figures of the block's values with the scale put back."""

        def scaled(value: float | None, factor: float) -> float | None:
            return None if value is None else value * factor

        return [
            replace(f, value=scaled(f.value, by), low=scaled(f.low, by), high=scaled(f.high, by))
            for f, by in zip(figures, self.scale.tolist(), strict=True)
        ]


def block_figures(
    parts: Sequence[tuple[Block, Mask]], table: AnswerTable, group: ItemGroup, statistics: StatisticsSpec
) -> list[list[Figure]]:
    """For each block its figures on the masked items.

    Blocks of the same items are resampled together, in one matrix product, and all with the weights of the group's
    rows, so that the same accuracy has the same interval there.
    """
    of_items: dict[bytes, list[int]] = {}
    for place, (_, mask) in enumerate(parts):
        of_items.setdefault(mask.tobytes(), []).append(place)
    found: dict[int, list[Figure]] = {}
    for places in of_items.values():
        blocks, mask = [parts[place][0] for place in places], parts[places[0]][1]
        values, streams = [block.values[:, mask] for block in blocks], ("study", "conditions", "bootstrap")
        edges = list(pairwise(np.cumsum([0, *map(len, values)]).tolist()))

        def of_means(
            means: Floats, blocks: Sequence[Block] = blocks, edges: Sequence[tuple[int, int]] = edges
        ) -> Floats:
            own = zip(blocks, edges, strict=True)
            return np.concatenate([block.of_means(means[..., low:high]) for block, (low, high) in own], axis=-1)

        names = (*streams, *group.stream)
        drawn = resampled(np.concatenate(values), table, statistics, names, mask=mask, statistic=of_means)
        figures = iter(map(_defined, drawn))
        for place, block in zip(places, blocks, strict=True):
            found[place] = [next(figures) for _ in block.of_means(np.zeros(len(block.values)))]
    return [found[place] for place in range(len(parts))]


def _defined(figure: Figure) -> Figure:
    """NaN becomes None with a reason: of the value, or of an interval that some draws leave undefined."""
    if figure.value is not None and np.isnan(figure.value):
        return replace(figure, value=None, low=None, high=None, reason="undefined")
    if figure.low is not None and figure.high is not None and np.isnan([figure.low, figure.high]).any():
        return replace(figure, low=None, high=None, reason="undefined in some draws")
    return figure
