"""The real sets' effects beside those of control draws, on the control items and under the verdict's edit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vsc_eval.specs import BASELINE
from vsc_eval.stats import control_p, control_percentile, family_p, left_out_scores
from vsc_eval.stats.bootstrap import Floats
from vsc_eval.study import names
from vsc_eval.study.arrays import AnswerArrays
from vsc_eval.study.records import ControlTest
from vsc_eval.study.spec import ControlKind, Outcome, Pair, StudySpec

_OUTCOMES: tuple[Outcome, ...] = ("drift", "accuracy")
Effect = Literal["single", "union", "excess"]


@dataclass(frozen=True)
class _Names:
    """What the conditions of one draw, or of the real sets, are called."""

    single: Callable[[str], str]
    union: Callable[[str, str], str]


def control_tests(table: AnswerArrays, spec: StudySpec) -> tuple[ControlTest, ...]:
    """Every single set, union and excess against each kind of control, for drift and for accuracy.

    `table` holds the baseline, the real sets and the draws. A draw's condition that it lacks was excluded: that draw
    does not count for the effect, and not for the family-wise p, which needs all pairs of a draw.
    """
    if not spec.controls.draws:
        return ()
    means = _means(table)
    return tuple(test for kind in spec.controls.kinds for test in _tests_of(means, kind, spec))


def _means(table: AnswerArrays) -> dict[str, Mapping[Outcome, float]]:
    """Drift and accuracy difference of every condition."""
    conditions = [name for name in table.answers if name != BASELINE]
    drift, gain = table.changed(conditions).mean(axis=1), table.gain(conditions).mean(axis=1)
    return {
        name: {"drift": d, "accuracy": g} for name, d, g in zip(conditions, drift.tolist(), gain.tolist(), strict=True)
    }


def _tests_of(
    means: Mapping[str, Mapping[Outcome, float]], kind: ControlKind, spec: StudySpec
) -> Iterator[ControlTest]:
    edit, draws = spec.verdict.edit, range(spec.controls.draws)
    real = _Names(lambda task: names.single(task, edit), lambda a, b: names.union(a, b, edit))
    drawn = [
        _Names(
            lambda task, d=d: names.control_single(task, kind, d, edit),  # type: ignore[misc]
            lambda a, b, d=d: names.control_union(a, b, kind, d, edit),  # type: ignore[misc]
        )
        for d in draws
    ]
    tasks = [task for task in spec.tasks if any(task in pair for pair in spec.control_pairs)]
    effects: list[tuple[Effect, tuple[str, ...]]] = [("single", (task,)) for task in tasks]
    effects += [("union", pair) for pair in spec.control_pairs]
    for outcome in _OUTCOMES:
        for effect, sets in effects:
            value, found = _effect(means, real, effect, sets, outcome), _found(means, drawn, effect, sets, outcome)
            assert value is not None, f"no answers of the real sets {sets}"
            yield _test(kind, outcome, effect, sets, value, found, spec)
    yield from _excess_tests(means, kind, real, drawn, spec)


def _excess_tests(
    means: Mapping[str, Mapping[Outcome, float]],
    kind: ControlKind,
    real: _Names,
    drawn: Sequence[_Names],
    spec: StudySpec,
) -> Iterator[ControlTest]:
    family = _family(means, [real, *drawn], spec)
    for outcome in _OUTCOMES:
        for pair in spec.control_pairs:
            value = _effect(means, real, "excess", pair, outcome)
            assert value is not None
            found = _found(means, drawn, "excess", pair, outcome)
            yield _test(kind, outcome, "excess", pair, value, found, spec, family.get((pair, outcome)))


def _family(
    means: Mapping[str, Mapping[Outcome, float]], who: Sequence[_Names], spec: StudySpec
) -> dict[tuple[Pair, Outcome], float]:
    """Family-wise p of each pair and outcome of the verdict; `who` has the real sets first. Empty where fewer than two
    draws have all pairs."""
    outcomes = spec.verdict.outcomes
    columns = [(pair, outcome) for outcome in outcomes for pair in spec.control_pairs]
    rows = [[_effect(means, w, "excess", pair, outcome) for pair, outcome in columns] for w in who]
    harms = np.array(
        [
            [_harm(outcome, value) for (_, outcome), value in zip(columns, row, strict=True) if value is not None]
            for row in rows
            if None not in row
        ]
    )
    if len(harms) < 3:
        return {}
    # Drift and accuracy spread differently, so the spreads are pooled within each.
    scores: list[Floats] = [left_out_scores(block) for block in np.split(harms, len(outcomes), axis=1)]
    return dict(zip(columns, family_p(np.concatenate(scores, axis=1)).tolist(), strict=True))


def _harm(outcome: Outcome, value: float) -> float:
    return value if outcome == "drift" else -value


def _effect(
    means: Mapping[str, Mapping[Outcome, float]], who: _Names, effect: Effect, sets: Sequence[str], outcome: Outcome
) -> float | None:
    """None where an answer that it needs is missing."""
    conditions = [who.single(task) for task in sets] if effect != "union" else []
    if effect != "single":
        conditions.append(who.union(sets[0], sets[1]))
    if any(name not in means for name in conditions):
        return None
    values = [means[name][outcome] for name in conditions]
    return values[2] - values[0] - values[1] if effect == "excess" else values[0]


def _found(
    means: Mapping[str, Mapping[Outcome, float]],
    drawn: Sequence[_Names],
    effect: Effect,
    sets: Sequence[str],
    outcome: Outcome,
) -> list[float]:
    values = [_effect(means, who, effect, sets, outcome) for who in drawn]
    return [value for value in values if value is not None]


def _test(
    kind: ControlKind,
    outcome: Outcome,
    effect: Effect,
    sets: tuple[str, ...],
    value: float,
    draws: Sequence[float],
    spec: StudySpec,
    p_family: float | None = None,
) -> ControlTest:
    wanted, harm = spec.controls.draws, _harm(outcome, value)
    harms = [_harm(outcome, draw) for draw in draws]
    reasons = [f"{wanted - len(draws)} of {wanted} draws were excluded"] if len(draws) < wanted else []
    if effect == "excess" and outcome in spec.verdict.outcomes and p_family is None:
        reasons.append("fewer than two draws have all pairs, so there is no family-wise p")
    return ControlTest(
        kind=kind,
        outcome=outcome,
        effect=effect,
        sets=sets,
        value=value,
        draws=tuple(draws),
        percentile=control_percentile(harm, harms),
        p=control_p(harm, harms),
        p_family=p_family,
        reason="; ".join(reasons) or None,
    )
