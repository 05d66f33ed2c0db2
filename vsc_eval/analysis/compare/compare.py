"""Two finished runs -> every figure of their comparison: each pair of conditions on each group of items.

What is computed beside a row of one against the other is rows of per-item values, whose means give every figure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

import numpy as np
import numpy.typing as npt

from vsc_eval.analysis.compare.pairing import differing, floors, pair_items
from vsc_eval.analysis.compare.records import CompareRow, Comparison, ConditionPair, EffectRow, OptionFigures, RunCard
from vsc_eval.analysis.groups import ItemGroup, Scope, groups, resampled
from vsc_eval.analysis.rows import rows_against
from vsc_eval.answers.answer_table import AnswerTable, Codes, Floats, Mask
from vsc_eval.answers.finished_run import FinishedRun
from vsc_eval.errors import SpecError, known_names
from vsc_eval.settings import StatisticsSpec
from vsc_eval.specs import BASELINE
from vsc_eval.stats import Figure, adjust
from vsc_eval.stats.bootstrap import detectable_differences
from vsc_eval.stats.drift import kl_options

MOST_LABELS = 64
"""Different answers up to which kappa is computed; free text may have as many as items."""

EFFECTS = ("effect_a", "effect_b", "effect_difference", "drift_a", "drift_b", "drift_difference")

_STREAM = ("study", "conditions", "bootstrap")
_SCOPES: tuple[Scope, ...] = ("all", "task", "level", "cell")
_EFFECT_SCOPES: tuple[Scope, ...] = ("all", "task", "level")
_MOST_NAMED = 12
"""Conditions that a message names; a study has hundreds."""

_Names = tuple[str, str]
"""A condition of A and one of B."""


def compare_runs(
    a: FinishedRun, b: FinishedRun, *, conditions: _Names | None = None, common: bool = False, seed: int = 0
) -> Comparison:
    """Compare a condition of A with one of B, or each condition of both with its namesake.

    `common` restricts to items of both runs. Raises SpecError, naming all reasons, where the runs do not compare.
    """
    of_a, of_b, dropped = pair_items(a, b, common=common)
    pairs = [(name, name) for name in a.table.names if name in b.table.names]
    if conditions is not None:
        for run, label, name in ((a, "A", conditions[0]), (b, "B", conditions[1])):
            names = run.table.names
            if name not in names:
                left = [f"and {len(names) - _MOST_NAMED} more"] if len(names) > _MOST_NAMED else []
                hint = known_names("conditions", name, [*names[:_MOST_NAMED], *left])
                raise SpecError(f"{run.path} ({label}) has no condition '{name}'.", hint=hint)
        pairs = [conditions]
    settings, statistics = differing(a, b), StatisticsSpec(seed=seed)
    return Comparison(
        a=_card(a),
        b=_card(b),
        n_items=len(of_a.items),
        n_clusters=len(set(of_a.clusters.tolist())),
        dropped=dropped,
        settings=settings,
        pairs=tuple(
            ConditionPair(condition_a=x, condition_b=y, floor=floor)
            for (x, y), floor in zip(pairs, floors(a, b, pairs, settings), strict=True)
        ),
        rows=_rows(of_a, of_b, pairs, statistics),
        effects=_effects(of_a, of_b, [pair for pair in pairs if BASELINE not in pair], statistics),
        seed=seed,
    )


def _card(run: FinishedRun) -> RunCard:
    model, table = run.settings.get("model"), run.table
    shown = None if model is None else str(model)
    return RunCard(path=str(run.path), model=shown, n_items=len(table.items), conditions=table.names)


@dataclass(frozen=True)
class Block:
    """Rows of values [k, items], and the figures [..., m] that are functions of their means [..., k]."""

    values: Floats
    of_means: Callable[[Floats], Floats]


def answer_block(before: Codes, after: Codes) -> tuple[Block, str]:
    """Agreement and Cohen's kappa of two runs' answers [items], and why kappa is undefined where it is.

    kappa = (p_o - p_e) / (1 - p_e), p_e = sum over answers of p_a p_b (Cohen 1960); NaN where p_e is 1 or unknown.
    """
    labels = np.intersect1d(before, after)
    is_known = len(labels) <= MOST_LABELS
    labels = labels if is_known else labels[:0]
    sides = [side == label for side in (before, after) for label in labels]

    def of_means(means: Floats) -> Floats:
        shares = means[..., 1:]
        chance = np.sum(shares[..., : len(labels)] * shares[..., len(labels) :], axis=-1)
        room = 1 - chance if is_known else np.zeros_like(chance)
        kappa = np.full(np.shape(room), np.nan)
        np.divide(means[..., 0] - chance, room, out=kappa, where=room > 1e-12)
        return np.stack([means[..., 0], kappa], axis=-1)

    why = "both give one and the same answer" if is_known else f"more than {MOST_LABELS} different answers"
    return Block(np.array([before == after, *sides], dtype=np.float64), of_means), why


def effect_block(a: AnswerTable, condition_a: str, b: AnswerTable, condition_b: str) -> Block:
    """EFFECTS of a condition against the baseline in either run: gain (right now less right before) and drift."""
    both = ((a, [condition_a]), (b, [condition_b]))
    values = [table.gain(name)[0] for table, name in both] + [table.changed(name)[0] for table, name in both]

    def of_means(means: Floats) -> Floats:
        gain_a, gain_b, drift_a, drift_b = (means[..., row] for row in range(4))
        return np.stack([gain_a, gain_b, gain_b - gain_a, drift_a, drift_b, drift_b - drift_a], axis=-1)

    return Block(np.array(values), of_means)


@dataclass(frozen=True)
class OptionDistances(Block):
    """Distances of two distributions over option letters, NaN where an item has none or no finite one. Rows: mean over
    options of |log p_b - log p_a|; KL(A || B); each over its `scale`: the bootstrap takes what is below 1e-12 for
    rounding, and distances between backends may be that small."""

    scale: Floats
    """Largest value of each row [2], or 1 where all are 0."""
    largest: Floats
    """Largest |log p_b - log p_a| of an item [items]."""
    present: Mask
    """Items that have log-probabilities in both runs [items]."""
    finite: Mask
    """Those whose figures are all finite [items]."""

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
        finite = np.isfinite(values).all(axis=0)
        return cls(values / scale[:, None], np.asarray, scale, largest, present, finite) if present.any() else None

    def in_nats(self, figures: Sequence[Figure]) -> list[Figure]:
        """The figures of the block's values with the scale put back."""
        return [
            replace(f, **{part: x * by for part in ("value", "low", "high") if (x := getattr(f, part)) is not None})
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
        edges = np.cumsum([len(block.values) for block in blocks])[:-1]

        def of_means(means: Floats, blocks: Sequence[Block] = blocks, edges: Codes = edges) -> Floats:
            own = zip(blocks, np.split(means, edges, axis=-1), strict=True)
            return np.concatenate([block.of_means(part) for block, part in own], axis=-1)

        values, names = np.concatenate([block.values for block in blocks])[:, mask], (*_STREAM, *group.stream)
        drawn = map(_defined, resampled(values, table, statistics, names, mask=mask, statistic=of_means))
        for place, block in zip(places, blocks, strict=True):
            found[place] = list(islice(drawn, len(block.of_means(np.zeros(len(block.values))))))
    return [found[place] for place in range(len(parts))]


def _defined(figure: Figure) -> Figure:
    """NaN becomes None with a reason: of the value, or of an interval that some draws leave undefined."""
    if figure.value is not None and np.isnan(figure.value):
        return replace(figure, value=None, low=None, high=None, reason="undefined")
    if figure.low is not None and figure.high is not None and np.isnan([figure.low, figure.high]).any():
        return replace(figure, low=None, high=None, reason="undefined in some draws")
    return figure


def _rows(
    a: AnswerTable, b: AnswerTable, pairs: Sequence[_Names], statistics: StatisticsSpec
) -> tuple[CompareRow, ...]:
    """Rows of every pair: all, tasks, levels, cells. All pairs share their draws."""
    names_a, names_b = zip(*pairs, strict=True)
    before, after, invalid, n_pairs = a.codes(names_a), b.codes(names_b), a.invalid(names_a), len(pairs)
    changes = rows_against(b, names_b, before, statistics, by=_SCOPES)
    answers = [answer_block(own, other) for own, other in zip(before, after, strict=True)]
    logprobs = [(a.main.option_logprobs[a.main.rows[x]], b.main.option_logprobs[b.main.rows[y]]) for x, y in pairs]
    options = [OptionDistances.of(*sides) for sides in logprobs]
    found: list[list[CompareRow]] = [[] for _ in pairs]
    for group in (group for scope in _SCOPES for group in groups(a, scope)):
        known = {i: part for i, part in enumerate(options) if part and (part.present & group.mask).any()}
        parts = [(block, group.mask) for block, _ in answers]
        parts += [(part, group.mask & part.finite) for part in known.values()]
        drawn, names = block_figures(parts, a, group, statistics), (*_STREAM, *group.stream)
        distances = dict(zip(known, drawn[n_pairs:], strict=True))
        # A right answer that only B gave is in the vocabulary of both.
        right = a.right(names_a)[:, group.mask]
        accuracies = resampled(right, a, statistics, names, mask=group.mask, n_shares=n_pairs)
        for i, (agreement, kappa) in enumerate(drawn[:n_pairs]):
            row = changes[i][len(found[i])]
            unchanged = row.drift is not None and row.drift.n_changed == 0
            own = {
                "condition_a": names_a[i],
                "accuracy_a": accuracies[i],
                "invalid_rate_a": float(invalid[i, group.mask].mean()),
                "agreement": agreement,
                "kappa": replace(kappa, reason=answers[i][1]) if kappa.value is None else kappa,
                # P(no cluster of n changed) = (1 - p)^n = 0.05
                "upper_if_none": 1 - 0.05 ** (1 / row.n_clusters) if unchanged else None,
                "options": _options(a, known[i], group, distances[i]) if i in known else None,
            }
            found[i].append(CompareRow(**{**dict(row), **own}))
    for own_rows in found:
        adjusted = iter(adjust([row.p_difference for row in own_rows if row.scope == "cell"], statistics.correction))
        own_rows[:] = [
            row.model_copy(update={"p_difference_adjusted": next(adjusted) if row.scope == "cell" else None})
            for row in own_rows
        ]
    return tuple(chain.from_iterable(found))


def _options(a: AnswerTable, of: OptionDistances, group: ItemGroup, scaled: Sequence[Figure]) -> OptionFigures:
    n_items, kept = int((of.present & group.mask).sum()), group.mask & of.finite
    mean, kl = of.in_nats(scaled)
    largest, item = None, None
    if kept.any():
        place = int(np.argmax(np.where(kept, of.largest, -1)))
        largest, item = float(of.largest[place]), a.items[place].item_id
    else:
        mean, kl = (replace(value, reason="no item has a finite difference") for value in (mean, kl))
    return OptionFigures(
        n_items=n_items,
        mean_abs_difference=mean,
        max_abs_difference=largest,
        max_item=item,
        n_one_sided=n_items - int(kept.sum()),
        kl=kl,
    )


def _effects(
    a: AnswerTable, b: AnswerTable, pairs: Sequence[_Names], statistics: StatisticsSpec
) -> tuple[EffectRow, ...]:
    """Rows of every pair that is no baseline."""
    blocks, found = [effect_block(a, x, b, y) for x, y in pairs], []
    for group in (group for scope in _EFFECT_SCOPES for group in groups(a, scope) if pairs):
        drawn = block_figures([(block, group.mask) for block in blocks], a, group, statistics)
        gaps = np.array([(block.values[1] - block.values[0])[group.mask] for block in blocks])
        detectable = detectable_differences(gaps, a.clusters[group.mask])
        for names, figures, least in zip(pairs, drawn, detectable, strict=True):
            row = EffectRow(
                condition_a=names[0],
                condition_b=names[1],
                scope=group.scope,
                task=group.task,
                level=group.level,
                n=figures[0].n_items,
                n_clusters=figures[0].n_clusters,
                detectable_difference=least,
                **dict(zip(EFFECTS, figures, strict=True)),
            )
            found.append(row)
    # Stable: of a pair the groups stay in their order.
    return tuple(sorted(found, key=lambda row: pairs.index((row.condition_a, row.condition_b))))
