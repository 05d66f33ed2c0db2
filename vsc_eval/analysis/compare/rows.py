"""Rows of a comparison: every pair of conditions on every group of items."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast, get_args

import numpy as np

from vsc_eval.analysis.compare.blocks import AnswerBlock, Block, EffectBlock, Mask, OptionBlock, Strings, figures
from vsc_eval.analysis.compare.pairing import PairedItems
from vsc_eval.analysis.compare.records import (
    ChangeFigures,
    CompareRow,
    CompareScope,
    EffectRow,
    McNemarAB,
    OptionFigures,
)
from vsc_eval.analysis.results import Figure, item_groups
from vsc_eval.answers.items import ItemLine, logprobs_of
from vsc_eval.extract import INVALID
from vsc_eval.specs import BASELINE
from vsc_eval.stats import (
    cluster_standard_error,
    detectable_difference,
    holm,
    mcnemar,
    sign_flip,
    stream,
    wilson_interval,
)
from vsc_eval.stats.drift import drift_parts

Names = tuple[str, str]
"""A condition of A and one of B."""
_EFFECT_SCOPES = ("all", "task", "level")


@dataclass(frozen=True)
class _Group:
    scope: CompareScope
    task: str | None
    level: str | None
    mask: Mask

    def rng(self, seed: int, what: str) -> np.random.Generator:
        """Named as in a run's own results, so that the same accuracy has the same interval there."""
        return stream(seed, what, self.scope, self.task or "", self.level or "")


@dataclass(frozen=True)
class _Pair:
    """Two columns of answers and what is computed of them; arrays are [items]."""

    names: Names
    answers_a: Strings
    answers_b: Strings
    right_a: Mask
    right_b: Mask
    parts: dict[str, Mask]
    answers: AnswerBlock
    options: OptionBlock | None

    @property
    def gain(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return self.right_b.astype(np.float64) - self.right_a


def compare_rows(items: PairedItems, pairs: Sequence[Names], seed: int) -> list[CompareRow]:
    """Rows of every pair: cells, tasks, levels, all. Pairs that were asked of the same items share their draws."""
    rows = []
    for subset, names in _by_items(items, pairs):
        loaded = [_load(subset, pair) for pair in names]
        by_group = [_group_rows(subset, loaded, group, seed) for group in _groups(subset)]
        for place in range(len(names)):
            rows += _adjusted([group_rows[place] for group_rows in by_group])
    order = {pair: place for place, pair in enumerate(pairs)}
    return sorted(rows, key=lambda row: order[row.condition_a, row.condition_b])


def effect_rows(items: PairedItems, pairs: Sequence[Names], seed: int) -> list[EffectRow]:
    """Rows of every pair that is no baseline, on items that both runs asked under their baselines too."""
    rows = []
    edited = [pair for pair in pairs if BASELINE not in pair]
    for subset, names in _by_items(items.asked_under(BASELINE, BASELINE), edited):
        base_a, base_b = _column(subset.lines_a, BASELINE), _column(subset.lines_b, BASELINE)
        blocks = [
            EffectBlock.of(base_a, _column(subset.lines_a, a), base_b, _column(subset.lines_b, b), subset.gold)
            for a, b in names
        ]
        for group in _groups(subset):
            if group.scope not in _EFFECT_SCOPES:
                continue
            found = figures(blocks, group.mask, subset.clusters, group.rng(seed, "bootstrap"), subset.cluster_name)
            for (a, b), block, values in zip(names, blocks, found, strict=True):
                gap = (block.values[1] - block.values[0])[group.mask]
                rows.append(
                    EffectRow(
                        condition_a=a,
                        condition_b=b,
                        scope=group.scope,
                        task=group.task,
                        level=group.level,
                        n=int(group.mask.sum()),
                        n_clusters=values[0].n_clusters,
                        detectable_difference=_detectable(gap, subset.clusters[group.mask]),
                        **dict(zip(EffectBlock.FIGURES, values, strict=True)),
                    )
                )
    order = {pair: place for place, pair in enumerate(edited)}
    return sorted(rows, key=lambda row: order[row.condition_a, row.condition_b])


def _by_items(items: PairedItems, pairs: Sequence[Names]) -> list[tuple[PairedItems, list[Names]]]:
    """Pairs of conditions by the items that were asked under both."""
    found: dict[tuple[str, ...], tuple[PairedItems, list[Names]]] = {}
    for pair in pairs:
        subset = items.asked_under(*pair)
        key = tuple(line.id for line in subset.lines_a)
        found.setdefault(key, (subset, []))[1].append(pair)
    return [entry for key, entry in found.items() if key]


def _groups(items: PairedItems) -> Iterator[_Group]:
    for scope, task, level, mask in item_groups(items.tasks, items.levels):
        assert scope in get_args(CompareScope), scope
        yield _Group(cast(CompareScope, scope), task, level, mask)


def _column(lines: Sequence[ItemLine], condition: str) -> Strings:
    return np.array([line.answers[condition] for line in lines], dtype=np.str_)


def _load(items: PairedItems, names: Names) -> _Pair:
    answers_a, answers_b = _column(items.lines_a, names[0]), _column(items.lines_b, names[1])
    return _Pair(
        names=names,
        answers_a=answers_a,
        answers_b=answers_b,
        right_a=answers_a == items.gold,
        right_b=answers_b == items.gold,
        parts=drift_parts(answers_a, answers_b, items.gold),
        answers=AnswerBlock.of(answers_a, answers_b, items.gold),
        options=OptionBlock.of(
            [logprobs_of(line, names[0]) for line in items.lines_a],
            [logprobs_of(line, names[1]) for line in items.lines_b],
        ),
    )


def _group_rows(items: PairedItems, pairs: Sequence[_Pair], group: _Group, seed: int) -> list[CompareRow]:
    """One row for each pair on one group of items."""
    clusters, kind = items.clusters[group.mask], items.cluster_name
    found, distances = _resampled(items, pairs, group, seed)
    gains = np.stack([pair.gain[group.mask] for pair in pairs])
    p_values = sign_flip(gains, clusters, group.rng(seed, "sign_flip"), cluster_name=kind).p_values
    rows = []
    for pair, values, gain, p in zip(pairs, found, gains, p_values, strict=True):
        named = dict(zip(AnswerBlock.FIGURES, values, strict=True))
        named |= _independent(pair, group, named["accuracy_a"])
        rows.append(
            CompareRow(
                condition_a=pair.names[0],
                condition_b=pair.names[1],
                scope=group.scope,
                task=group.task,
                level=group.level,
                n=len(gain),
                n_clusters=named["difference"].n_clusters,
                accuracy_a=named["accuracy_a"],
                accuracy_b=named["accuracy_b"],
                invalid_a=float(np.mean(pair.answers_a[group.mask] == INVALID)),
                invalid_b=float(np.mean(pair.answers_b[group.mask] == INVALID)),
                difference=named["difference"],
                p_difference=p,
                p_holm=None,
                mcnemar=_mcnemar(pair.right_a[group.mask], pair.right_b[group.mask]),
                detectable_difference=_detectable(gain, clusters),
                agreement=named["agreement"],
                change=_change(pair, group.mask, named["changed"]),
                kappa=_kappa(pair, named["kappa"]),
                options=_options(items, pair, group, distances[pair.names]) if pair.names in distances else None,
            )
        )
    return rows


def _resampled(
    items: PairedItems, pairs: Sequence[_Pair], group: _Group, seed: int
) -> tuple[list[list[Figure]], dict[Names, list[Figure]]]:
    """Figures of every pair's answers, and of the option distances of those that have any.

    Distances that all items of the group have are resampled with the answers, in one matrix product; the others, on
    the items that have them, with a stream of the same name.
    """
    distances: dict[Names, list[Figure]] = {}
    complete: list[tuple[Names, OptionBlock]] = []
    for pair in pairs:
        block = pair.options
        if block is None or not (block.present & group.mask).any():
            continue
        kept = group.mask & block.finite
        if np.array_equal(kept, group.mask):
            complete.append((pair.names, block))
        else:
            rng = group.rng(seed, "bootstrap")
            (distances[pair.names],) = figures([block], kept, items.clusters, rng, items.cluster_name)
    blocks: list[Block] = [*(pair.answers for pair in pairs), *(block for _, block in complete)]
    found = figures(blocks, group.mask, items.clusters, group.rng(seed, "bootstrap"), items.cluster_name)
    for (names, _), values in zip(complete, found[len(pairs) :], strict=True):
        distances[names] = values
    return found[: len(pairs)], distances


def _independent(pair: _Pair, group: _Group, of_clusters: Figure) -> dict[str, Figure]:
    """Wilson's intervals of the accuracies where every item is its own cluster, as in a run's results."""
    if of_clusters.n_clusters != of_clusters.n_items:
        return {}
    columns = {"accuracy_a": pair.right_a, "accuracy_b": pair.right_b}
    return {
        name: Figure(**dataclasses.asdict(wilson_interval(int(right[group.mask].sum()), int(group.mask.sum()))))
        for name, right in columns.items()
    }


def _mcnemar(right_a: Mask, right_b: Mask) -> McNemarAB:
    test = mcnemar(right_a, right_b)
    return McNemarAB(
        both_right=test.both_right,
        only_a_right=test.only_baseline_right,
        only_b_right=test.only_condition_right,
        both_wrong=test.both_wrong,
        p_value=test.p_value,
        reason=test.reason,
        method=test.method,
    )


def _detectable(gain: np.ndarray[tuple[int], np.dtype[np.float64]], clusters: Strings) -> float | None:
    return detectable_difference(cluster_standard_error(gain, clusters))


def _change(pair: _Pair, mask: Mask, share: Figure) -> ChangeFigures:
    counts = {name: int(part[mask].sum()) for name, part in pair.parts.items()}
    n_changed = sum(counts.values())
    # P(no cluster of n changed) = (1 - p)^n = 0.05
    upper = 1 - 0.05 ** (1 / share.n_clusters) if n_changed == 0 else None
    return ChangeFigures(share=share, n_changed=n_changed, upper_if_none=upper, **counts)


def _kappa(pair: _Pair, figure: Figure) -> Figure:
    if figure.value is not None:
        return figure
    return figure.model_copy(update={"reason": pair.answers.no_kappa})


def _options(items: PairedItems, pair: _Pair, group: _Group, scaled: Sequence[Figure]) -> OptionFigures:
    block = pair.options
    assert block is not None
    n_items = int((block.present & group.mask).sum())
    kept = group.mask & block.finite
    values = block.in_nats(scaled)
    if not kept.any():
        values = [value.model_copy(update={"reason": "no item has a finite difference"}) for value in values]
    place = int(np.argmax(np.where(kept, block.largest, -1))) if kept.any() else None
    return OptionFigures(
        n_items=n_items,
        mean_abs_difference=values[0],
        max_abs_difference=None if place is None else float(block.largest[place]),
        max_item=None if place is None else items.lines_a[place].id,
        n_one_sided=n_items - int(kept.sum()),
        kl=values[1],
    )


def _adjusted(rows: Sequence[CompareRow]) -> list[CompareRow]:
    """The rows of one pair, with the p of its cells adjusted over all of them."""
    cells = [row for row in rows if row.scope == "cell"]
    adjusted = iter(holm([row.p_difference for row in cells]))
    return [row.model_copy(update={"p_holm": next(adjusted)}) if row.scope == "cell" else row for row in rows]
