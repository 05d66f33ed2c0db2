"""The real sets' effects beside those of control draws, on the control items and under the verdict's edit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Literal

import numpy as np

from vsc_eval.specs import BASELINE
from vsc_eval.stats import control_p, control_percentile, family_p, left_out_scores
from vsc_eval.stats.bootstrap import Floats
from vsc_eval.studies import names
from vsc_eval.studies.arrays import AnswerArrays
from vsc_eval.studies.records import ControlTest
from vsc_eval.studies.spec import ControlKind, Outcome, StudySpec

_OUTCOMES: tuple[Outcome, ...] = ("drift", "accuracy")
_HARM: dict[Outcome, int] = {"drift": 1, "accuracy": -1}
_Effect = tuple[Literal["single", "union", "interaction"], tuple[str, ...]]
_Outcomes = Floats
"""Drift and accuracy difference [2]."""


def control_tests(table: AnswerArrays, spec: StudySpec) -> tuple[ControlTest, ...]:
    """Every single set, union and interaction against each kind of control, for drift and for accuracy.

    `table` holds the baseline, the real sets and the draws. A draw's condition that it lacks was excluded: that draw
    does not count for the effect, and not for the family-wise p, which needs all pairs of a draw.
    """
    if not spec.controls.draws:
        return ()
    means = _means(table)
    return tuple(test for kind in spec.controls.kinds for test in _tests_of(means, kind, spec))


def _means(table: AnswerArrays) -> dict[str, _Outcomes]:
    """Drift and accuracy difference of every condition."""
    conditions = [name for name in table.answers if name != BASELINE]
    means = np.stack([table.changed(conditions).mean(axis=1), table.gain(conditions).mean(axis=1)], axis=1)
    return dict(zip(conditions, means, strict=True))


def _tests_of(means: Mapping[str, _Outcomes], kind: ControlKind, spec: StudySpec) -> Iterator[ControlTest]:
    edit = spec.verdict.edit
    real = _effects(means, spec, partial(names.single, edit=edit), partial(names.union, edit=edit))
    draws = [
        _effects(
            means,
            spec,
            partial(names.control_single, kind=kind, draw=draw, edit=edit),
            partial(names.control_union, kind=kind, draw=draw, edit=edit),
        )
        for draw in range(spec.controls.draws)
    ]
    family = _family(real, draws, spec)
    for place, outcome in enumerate(_OUTCOMES):
        for effect, value in real.items():
            found = [draw[effect][place] for draw in draws if effect in draw]
            yield _test(kind, outcome, effect, float(value[place]), found, spec, family.get((effect, outcome)))


def _effects(
    means: Mapping[str, _Outcomes], spec: StudySpec, single: Callable[[str], str], union: Callable[[str, str], str]
) -> dict[_Effect, _Outcomes]:
    """Every effect of one draw, or of the real sets, but for those of which an answer is missing. `single` and `union`
    name the conditions."""
    pairs = spec.control_pairs
    tasks = [task for task in spec.tasks if any(task in pair for pair in pairs)]
    alone = {task: means.get(single(task)) for task in tasks}
    found: dict[_Effect, _Outcomes] = {("single", (task,)): x for task, x in alone.items() if x is not None}
    together = {pair: means.get(union(*pair)) for pair in pairs}
    found |= {("union", pair): x for pair, x in together.items() if x is not None}
    for (a, b), both in together.items():
        of_a, of_b = alone[a], alone[b]
        if both is not None and of_a is not None and of_b is not None:
            found["interaction", (a, b)] = both - of_a - of_b
    return found


def _family(
    real: Mapping[_Effect, _Outcomes], draws: Sequence[Mapping[_Effect, _Outcomes]], spec: StudySpec
) -> dict[tuple[_Effect, Outcome], float]:
    """Family-wise p of each pair's interaction in each outcome of the verdict. Empty where fewer than two draws have
    all pairs."""
    effects = [effect for effect in real if effect[0] == "interaction"]
    complete = [real, *(draw for draw in draws if all(effect in draw for effect in effects))]
    if len(complete) < 3:
        return {}
    table = np.array([[row[effect] for effect in effects] for row in complete])
    outcomes = spec.verdict.outcomes
    # Drift and accuracy spread differently, so the spreads are pooled within each.
    scores = [left_out_scores(_HARM[o] * table[:, :, _OUTCOMES.index(o)]) for o in outcomes]
    columns = [(effect, outcome) for outcome in outcomes for effect in effects]
    return dict(zip(columns, family_p(np.concatenate(scores, axis=1)).tolist(), strict=True))


def _test(
    kind: ControlKind,
    outcome: Outcome,
    effect: _Effect,
    value: float,
    draws: Sequence[np.float64],
    spec: StudySpec,
    p_family: float | None,
) -> ControlTest:
    wanted, harm = spec.controls.draws, _HARM[outcome] * value
    harms = _HARM[outcome] * np.array(draws, dtype=np.float64)
    reasons = [f"{wanted - len(draws)} of {wanted} draws were excluded"] if len(draws) < wanted else []
    if effect[0] == "interaction" and outcome in spec.verdict.outcomes and p_family is None:
        reasons.append("fewer than two draws have all pairs, so there is no family-wise p")
    return ControlTest(
        kind=kind,
        outcome=outcome,
        effect=effect[0],
        sets=effect[1],
        value=value,
        draws=tuple(map(float, draws)),
        percentile=control_percentile(harm, harms),
        p=control_p(harm, harms),
        p_family=p_family,
        reason="; ".join(reasons) or None,
    )
