"""Rows of a comparison: every pair of conditions on every group of items."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vsc_eval.analysis.compare.blocks import AnswerBlock, Block, EffectBlock, OptionBlock, figures
from vsc_eval.analysis.compare.pairing import PairedTables
from vsc_eval.analysis.compare.records import CompareRow, EffectRow, OptionFigures
from vsc_eval.analysis.groups import ItemGroup, Scope, groups
from vsc_eval.analysis.rows import Row, rows_against
from vsc_eval.answers.answer_table import AnswerTable, Codes
from vsc_eval.extract import INVALID
from vsc_eval.settings import StatisticsSpec
from vsc_eval.specs import BASELINE
from vsc_eval.stats import Figure, adjust, wilson_interval
from vsc_eval.stats.bootstrap import detectable_differences

Names = tuple[str, str]
"""A condition of A and one of B."""
_SCOPES: tuple[Scope, ...] = ("all", "task", "level", "cell")
_EFFECT_SCOPES: tuple[Scope, ...] = ("all", "task", "level")


@dataclass(frozen=True)
class _Pair:
    """Two columns of answers and what is computed of them beside the row; arrays are [items]."""

    names: Names
    before: Codes
    """A's answers."""
    answers: AnswerBlock
    options: OptionBlock | None


def compare_rows(tables: PairedTables, pairs: Sequence[Names], statistics: StatisticsSpec) -> tuple[CompareRow, ...]:
    """Rows of every pair: all, tasks, levels, cells. All pairs share their draws."""
    a, loaded = tables.a, [_load(tables, names) for names in pairs]
    before = np.array([pair.before for pair in loaded])
    changes = rows_against(tables.b, [b for _, b in pairs], before, statistics, by=_SCOPES)
    more: list[list[dict[str, Any]]] = [[] for _ in pairs]
    for group in (group for scope in _SCOPES for group in groups(a, scope)):
        own, distances = _resampled(a, loaded, group, statistics)
        for place, (pair, values) in enumerate(zip(loaded, own, strict=True)):
            found = _figures(a, pair, group, values, statistics)
            has_options = pair.names in distances
            options = _options(a, pair, group, distances[pair.names]) if has_options else None
            more[place].append({**found, "options": options})
    return tuple(
        row
        for pair, own_rows, own_more in zip(loaded, changes, more, strict=True)
        for row in _adjusted([_row(pair, *parts) for parts in zip(own_rows, own_more, strict=True)], statistics)
    )


def effect_rows(tables: PairedTables, pairs: Sequence[Names], statistics: StatisticsSpec) -> tuple[EffectRow, ...]:
    """Rows of every pair that is no baseline."""
    edited, found = [pair for pair in pairs if BASELINE not in pair], []
    blocks = [EffectBlock.of(tables.a, a, tables.b, b) for a, b in edited]
    for group in (group for scope in _EFFECT_SCOPES for group in groups(tables.a, scope) if blocks):
        resampled = figures(blocks, group.mask, tables.a, group, statistics)
        for names, block, values in zip(edited, blocks, resampled, strict=True):
            found.append(_effect(names, block, values, group, tables.a))
    order = {pair: place for place, pair in enumerate(edited)}
    return tuple(sorted(found, key=lambda row: order[row.condition_a, row.condition_b]))


def _effect(names: Names, block: EffectBlock, values: Sequence[Figure], group: ItemGroup, a: AnswerTable) -> EffectRow:
    gap = (block.values[1:2] - block.values[:1])[:, group.mask]
    return EffectRow(
        condition_a=names[0],
        condition_b=names[1],
        scope=group.scope,
        task=group.task,
        level=group.level,
        n=int(group.mask.sum()),
        n_clusters=values[0].n_clusters,
        detectable_difference=detectable_differences(gap, a.clusters[group.mask])[0],
        **dict(zip(EffectBlock.FIGURES, values, strict=True)),
    )


def _load(tables: PairedTables, names: Names) -> _Pair:
    a, b = tables.a.main, tables.b.main
    row_a, row_b = a.rows[names[0]], b.rows[names[1]]
    # A right answer that only B gave is in the vocabulary of both.
    answers = AnswerBlock.of(a.answer[row_a], b.answer[row_b], tables.a.gold)
    return _Pair(names, a.answer[row_a], answers, OptionBlock.of(a.option_logprobs[row_a], b.option_logprobs[row_b]))


def _row(pair: _Pair, row: Row, more: dict[str, Any]) -> CompareRow:
    assert row.drift is not None
    # P(no cluster of n changed) = (1 - p)^n = 0.05
    upper = 1 - 0.05 ** (1 / row.n_clusters) if row.drift.n_changed == 0 else None
    return CompareRow(**{**dict(row), **more, "condition_a": pair.names[0], "upper_if_none": upper})


def _resampled(
    a: AnswerTable, pairs: Sequence[_Pair], group: ItemGroup, statistics: StatisticsSpec
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
            (distances[pair.names],) = figures([block], kept, a, group, statistics)
    blocks: list[Block] = [*(pair.answers for pair in pairs), *(block for _, block in complete)]
    found = figures(blocks, group.mask, a, group, statistics)
    for (names, _), values in zip(complete, found[len(pairs) :], strict=True):
        distances[names] = values
    return found[: len(pairs)], distances


def _figures(
    a: AnswerTable, pair: _Pair, group: ItemGroup, values: Sequence[Figure], statistics: StatisticsSpec
) -> dict[str, Any]:
    """What a comparison has beside a row."""
    named = dict(zip(AnswerBlock.FIGURES, values, strict=True))
    accuracy, before = named["accuracy_a"], pair.before[group.mask]
    if accuracy.n_clusters == accuracy.n_items:
        right = before == a.gold[group.mask]
        named["accuracy_a"] = wilson_interval(int(right.sum()), len(right), level=statistics.level)
    if named["kappa"].value is None:
        named["kappa"] = dataclasses.replace(named["kappa"], reason=pair.answers.no_kappa)
    words = a.main.vocabulary
    invalid = words.index(INVALID) if INVALID in words else -1
    return {**named, "invalid_rate_a": float(np.mean(before == invalid))}


def _options(a: AnswerTable, pair: _Pair, group: ItemGroup, scaled: Sequence[Figure]) -> OptionFigures:
    block = pair.options
    assert block is not None
    n_items = int((block.present & group.mask).sum())
    kept = group.mask & block.finite
    values = block.in_nats(scaled)
    if not kept.any():
        values = [dataclasses.replace(value, reason="no item has a finite difference") for value in values]
    place = int(np.argmax(np.where(kept, block.largest, -1))) if kept.any() else None
    return OptionFigures(
        n_items=n_items,
        mean_abs_difference=values[0],
        max_abs_difference=None if place is None else float(block.largest[place]),
        max_item=None if place is None else a.items[place].item_id,
        n_one_sided=n_items - int(kept.sum()),
        kl=values[1],
    )


def _adjusted(rows: Sequence[CompareRow], statistics: StatisticsSpec) -> list[CompareRow]:
    """The rows of one pair, with the p of its cells adjusted over all of them."""
    cells = [row for row in rows if row.scope == "cell"]
    adjusted = iter(adjust([row.p_difference for row in cells], statistics.correction))
    return [
        row.model_copy(update={"p_difference_adjusted": next(adjusted) if row.scope == "cell" else None})
        for row in rows
    ]
