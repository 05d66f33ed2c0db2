"""Two finished runs -> every figure of their comparison: each pair of conditions on each group of items."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vsc_eval.analysis.compare.blocks import EFFECTS, OptionDistances, answer_block, block_figures, effect_block
from vsc_eval.analysis.compare.pairing import differing, floor_words, pair_items
from vsc_eval.analysis.compare.records import (
    CompareRow,
    Comparison,
    ConditionPair,
    EffectRow,
    OptionFigures,
    RunCard,
)
from vsc_eval.analysis.groups import ItemGroup, Scope, groups
from vsc_eval.analysis.rows import rows_against
from vsc_eval.answers.answer_table import AnswerTable
from vsc_eval.answers.finished_run import FinishedRun
from vsc_eval.errors import SpecError, known_names
from vsc_eval.settings import StatisticsSpec
from vsc_eval.specs import BASELINE
from vsc_eval.stats import Figure, adjust, wilson_interval
from vsc_eval.stats.bootstrap import detectable_differences

_SCOPES: tuple[Scope, ...] = ("all", "task", "level", "cell")
_EFFECT_SCOPES: tuple[Scope, ...] = ("all", "task", "level")
_MOST_NAMED = 12
"""Conditions that a message names; a study has hundreds."""

_Names = tuple[str, str]
"""A condition of A and one of B."""


def compare_runs(
    a: FinishedRun,
    b: FinishedRun,
    *,
    condition_a: str | None = None,
    condition_b: str | None = None,
    common: bool = False,
    seed: int = 0,
) -> Comparison:
    """Compare `condition_a` of A with `condition_b` of B, or each condition of both with its namesake.

    `common` restricts to items of both runs. Raises SpecError, naming all reasons, where the runs do not compare.
    """
    of_a, of_b, dropped = pair_items(a, b, common=common)
    pairs = _pairs(a, b, condition_a, condition_b)
    settings, statistics = differing(a, b), StatisticsSpec(seed=seed)
    return Comparison(
        a=_card(a),
        b=_card(b),
        n_items=len(of_a.items),
        n_clusters=len(set(of_a.clusters.tolist())),
        dropped=dropped,
        settings=settings,
        pairs=tuple(
            ConditionPair(condition_a=x, condition_b=y, floor=floor_words(a, x, b, y, settings)) for x, y in pairs
        ),
        rows=_rows(of_a, of_b, pairs, statistics),
        effects=_effects(of_a, of_b, [pair for pair in pairs if BASELINE not in pair], statistics),
        seed=seed,
    )


def _pairs(a: FinishedRun, b: FinishedRun, condition_a: str | None, condition_b: str | None) -> list[_Names]:
    """The pairs of conditions. Both runs have a baseline, so there always is one."""
    if (condition_a is None) != (condition_b is None):
        raise SpecError("One condition is named and the other is not.", hint="Name both, or neither.")
    if condition_a is None or condition_b is None:
        return [(name, name) for name in a.table.names if name in b.table.names]
    for run, label, condition in ((a, "A", condition_a), (b, "B", condition_b)):
        names, left = run.table.names, len(run.table.names) - _MOST_NAMED
        if condition not in names:
            first = [*names[:_MOST_NAMED], *([f"and {left} more"] if left > 0 else [])]
            raise SpecError(
                f"{run.path} ({label}) has no condition '{condition}'.",
                hint=known_names("conditions", condition, first),
            )
    return [(condition_a, condition_b)]


def _card(run: FinishedRun) -> RunCard:
    model = run.settings.get("model")
    shown = None if model is None else str(model)
    return RunCard(path=str(run.path), model=shown, n_items=len(run.table.items), conditions=run.table.names)


def _rows(
    a: AnswerTable, b: AnswerTable, pairs: Sequence[_Names], statistics: StatisticsSpec
) -> tuple[CompareRow, ...]:
    """Rows of every pair: all, tasks, levels, cells. All pairs share their draws."""
    names_a, names_b = zip(*pairs, strict=True)
    before, after, invalid, n_pairs = a.codes(names_a), b.codes(names_b), a.invalid(names_a), len(pairs)
    changes = rows_against(b, names_b, before, statistics, by=_SCOPES)
    # A right answer that only B gave is in the vocabulary of both.
    answers = [answer_block(own, other, a.gold) for own, other in zip(before, after, strict=True)]
    logprobs = [(a.main.option_logprobs[a.main.rows[x]], b.main.option_logprobs[b.main.rows[y]]) for x, y in pairs]
    options = [OptionDistances.of(*sides) for sides in logprobs]
    found: list[list[CompareRow]] = [[] for _ in pairs]
    for group in (group for scope in _SCOPES for group in groups(a, scope)):
        known = {i: part for i, part in enumerate(options) if part and (part.present & group.mask).any()}
        parts = [(block, group.mask) for block, _ in answers]
        parts += [(part.block, group.mask & part.finite) for part in known.values()]
        drawn = block_figures(parts, a, group, statistics)
        distances = dict(zip(known, drawn[n_pairs:], strict=True))
        for i, (accuracy, agreement, kappa) in enumerate(drawn[:n_pairs]):
            row = changes[i][len(found[i])]
            if accuracy.n_clusters == accuracy.n_items:
                n_right = int((before[i] == a.gold)[group.mask].sum())
                accuracy = wilson_interval(n_right, accuracy.n_items, level=statistics.level)
            unchanged = row.drift is not None and row.drift.n_changed == 0
            own = {
                "condition_a": names_a[i],
                "accuracy_a": accuracy,
                "invalid_rate_a": float(invalid[i, group.mask].mean()),
                "agreement": agreement,
                "kappa": replace(kappa, reason=answers[i][1]) if kappa.value is None else kappa,
                # P(no cluster of n changed) = (1 - p)^n = 0.05
                "upper_if_none": 1 - 0.05 ** (1 / row.n_clusters) if unchanged else None,
                "options": _options(a, known[i], group, distances[i]) if i in known else None,
            }
            found[i].append(CompareRow(**{**dict(row), **own}))
    return tuple(row for own_rows in found for row in _adjusted(own_rows, statistics))


def _options(a: AnswerTable, of: OptionDistances, group: ItemGroup, scaled: Sequence[Figure]) -> OptionFigures:
    n_items, kept = int((of.present & group.mask).sum()), group.mask & of.finite
    mean, kl = of.in_nats(scaled)
    place = int(np.argmax(np.where(kept, of.largest, -1))) if kept.any() else None
    if place is None:
        mean, kl = (replace(value, reason="no item has a finite difference") for value in (mean, kl))
    return OptionFigures(
        n_items=n_items,
        mean_abs_difference=mean,
        max_abs_difference=None if place is None else float(of.largest[place]),
        max_item=None if place is None else a.items[place].item_id,
        n_one_sided=n_items - int(kept.sum()),
        kl=kl,
    )


def _adjusted(rows: Sequence[CompareRow], statistics: StatisticsSpec) -> list[CompareRow]:
    """The rows of one pair, with the p of its cells adjusted over all of them."""
    p = iter(adjust([row.p_difference for row in rows if row.scope == "cell"], statistics.correction))
    adjusted = [next(p) if row.scope == "cell" else None for row in rows]
    return [row.model_copy(update={"p_difference_adjusted": p}) for row, p in zip(rows, adjusted, strict=True)]


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
                n=int(group.mask.sum()),
                n_clusters=figures[0].n_clusters,
                detectable_difference=least,
                **dict(zip(EFFECTS, figures, strict=True)),
            )
            found.append(row)
    # Stable: of a pair the groups stay in their order.
    return tuple(sorted(found, key=lambda row: pairs.index((row.condition_a, row.condition_b))))
