"""The real sets' effects beside those of control draws, on the control items and under one edit."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np

from vsc_eval.answers.answer_table import AnswerTable, AskedCondition, Floats
from vsc_eval.records import Record
from vsc_eval.stats.significance import control_p, control_percentile, family_p, left_out_scores

ControlKind = Literal["random_sets", "random_directions", "permuted_labels"]
CONTROL_KINDS: tuple[ControlKind, ...] = ("random_sets", "random_directions", "permuted_labels")
Outcome = Literal["drift", "accuracy"]
Effect = Literal["single", "combined", "interaction"]
Pair = tuple[str, str]

_OUTCOMES: tuple[Outcome, ...] = ("drift", "accuracy")
HARM: dict[Outcome, int] = {"drift": 1, "accuracy": -1}
"""Sign of a harmful effect or interaction."""
_Effects = Mapping[tuple[Effect, tuple[str, ...]], Floats]
"""(what, the tasks of its sets) -> drift and accuracy difference [2]."""


class ControlTest(Record):
    """One effect of the real sets beside the same effect of control draws, on the control items."""

    kind: ControlKind
    outcome: Outcome
    effect: Effect
    """single, combined: drift, or accuracy difference, of the condition; interaction: of the combined edit beyond its
    parts."""
    sets: tuple[str, ...]
    """The tasks that they were selected for."""
    value: float
    draws: tuple[float, ...]
    percentile: float | None
    """Share of draws that are less harmful than the real one, ties half, in percent."""
    p: float | None
    """(1 + draws at least as harmful) / (1 + draws)."""
    p_family: float | None
    """The same of the largest standardised interaction over all control pairs, and all outcomes of the verdict, of a
    draw; only for `interaction` and those outcomes. A draw that lacks a pair does not count."""
    reason: str | None


def first_of_cells(table: AnswerTable, n: int) -> AnswerTable:
    """The first `n` items of each task and level, which a study's controls are asked."""
    seen, mask = Counter[tuple[str, str | None]](), []
    for item in table.items:
        seen[item.task, item.level] += 1
        mask.append(seen[item.task, item.level] <= n)
    return table.only(np.array(mask, dtype=np.bool_))


def control_tests(
    real: AnswerTable,
    controls: AnswerTable,
    *,
    edit: str,
    pairs: Sequence[Pair],
    kinds: Sequence[ControlKind] = CONTROL_KINDS,
    n_draws: int,
    outcomes: Sequence[Outcome] = _OUTCOMES,
) -> tuple[ControlTest, ...]:
    """Every single set, combined edit and interaction of `pairs` under `edit` against each kind of control, for drift
    and for accuracy; `outcomes` are those of the family-wise p.

    `real` and `controls` are of the same items. Sets and their stand-ins are paired by the tasks that they were
    selected for (`targets`). A draw's condition that is missing was excluded: that draw of the `n_draws` does not count
    for the effect, and not for the family-wise p, which needs all pairs of a draw.
    """
    if not n_draws:
        return ()
    assert [item.item_id for item in real.items] == [item.item_id for item in controls.items], "other items"
    asked = [c for c in real.conditions if c.control_kind is None and c.edit == edit and c.role != "norm_matched"]
    own = _effects(_means(real, asked), pairs)
    drawn: dict[tuple[str, int], list[AskedCondition]] = {}
    for condition in controls.conditions:
        if condition.control_kind is not None and condition.draw is not None:
            drawn.setdefault((condition.control_kind, condition.draw), []).append(condition)
    found: list[ControlTest] = []
    for kind in kinds:
        draws = [_effects(_means(controls, drawn.get((kind, draw), [])), pairs) for draw in range(n_draws)]
        found += _tests_of(kind, own, draws, outcomes)
    return tuple(found)


def _means(table: AnswerTable, conditions: Sequence[AskedCondition]) -> dict[tuple[str, ...], Floats]:
    """Tasks of a condition's sets -> its drift and accuracy difference [2]."""
    names = [condition.name for condition in conditions]
    means = np.stack([table.changed(names).mean(axis=1), table.gain(names).mean(axis=1)], axis=1)
    return {condition.targets or (): mean for condition, mean in zip(conditions, means, strict=True)}


def _effects(means: Mapping[tuple[str, ...], Floats], pairs: Sequence[Pair]) -> _Effects:
    """Every effect of one draw, or of the real sets, but for those of which an answer is missing."""
    in_pairs = {task for pair in pairs for task in pair}
    found: dict[tuple[Effect, tuple[str, ...]], Floats] = {}
    found |= {("single", key): mean for key, mean in means.items() if len(key) == 1 and key[0] in in_pairs}
    found |= {("combined", pair): means[pair] for pair in pairs if pair in means}
    for a, b in pairs:
        if (a, b) in means and (a,) in means and (b,) in means:
            found["interaction", (a, b)] = means[a, b] - means[a,] - means[b,]
    return found


def _tests_of(
    kind: ControlKind, real: _Effects, draws: Sequence[_Effects], outcomes: Sequence[Outcome]
) -> Iterator[ControlTest]:
    family = _family(real, draws, outcomes)
    for place, outcome in enumerate(_OUTCOMES):
        for (effect, sets), value in real.items():
            key = effect, sets
            found = [float(draw[key][place]) for draw in draws if key in draw]
            p_family, n_lost, reasons = family.get((key, outcome)), len(draws) - len(found), list[str]()
            harm, harms = HARM[outcome] * float(value[place]), HARM[outcome] * np.array(found, dtype=np.float64)
            if n_lost:
                reasons.append(f"{n_lost} of {len(draws)} draws were excluded")
            if p_family is None and effect == "interaction" and outcome in outcomes:
                reasons.append("fewer than two draws have all pairs, so there is no family-wise p")
            yield ControlTest(
                kind=kind,
                outcome=outcome,
                effect=effect,
                sets=sets,
                value=float(value[place]),
                draws=tuple(found),
                percentile=control_percentile(harm, harms),
                p=control_p(harm, harms),
                p_family=p_family,
                reason="; ".join(reasons) or None,
            )


def _family(
    real: _Effects, draws: Sequence[_Effects], outcomes: Sequence[Outcome]
) -> dict[tuple[tuple[Effect, tuple[str, ...]], Outcome], float]:
    """Family-wise p of each pair's interaction in each outcome. Empty where fewer than two draws have all pairs."""
    effects = [effect for effect in real if effect[0] == "interaction"]
    complete = [real, *(draw for draw in draws if all(effect in draw for effect in effects))]
    if not effects or len(complete) < 3:
        return {}
    table = np.array([[row[effect] for effect in effects] for row in complete])
    # Drift and accuracy spread differently, so the spreads are pooled within each.
    scores = [left_out_scores(HARM[o] * table[:, :, _OUTCOMES.index(o)]) for o in outcomes]
    columns = [(effect, outcome) for outcome in outcomes for effect in effects]
    return dict(zip(columns, family_p(np.concatenate(scores, axis=1)).tolist(), strict=True))
