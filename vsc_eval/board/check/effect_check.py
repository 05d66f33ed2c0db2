"""Unions, controls, the floor, official figures and probes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from vsc_eval.board.check.problem import Finding, differs, interval_faults, number
from vsc_eval.board.check.recount import Mask, Recount
from vsc_eval.board.check.verdict_check import verdict_faults, verdict_rule
from vsc_eval.board.records import BoardCondition, ControlFigure, Entry, UnionFigure
from vsc_eval.specs import BASELINE
from vsc_eval.stats.interaction import additive, bliss, over_larger, over_mean, under_smaller
from vsc_eval.stats.percentile import control_p, control_percentile

_Formula = Callable[..., Any]


def effect_findings(entry: Entry, recount: Recount) -> Iterator[Finding]:
    """What is wrong in `unions`, `controls`, `floor`, `official` and `probes`."""
    rule = verdict_rule(entry)
    for place, union in enumerate(entry.unions):
        faults = (*_union_faults(union, entry, recount), *verdict_faults(union, rule, recount))
        yield from _first(f"unions[{place}]", iter(faults))
    for place, control in enumerate(entry.controls):
        yield from _first(f"controls[{place}]", _control_faults(control, entry, recount))
    for place, floor in enumerate(entry.floor):
        floor_faults = [("drift", fault) for fault in interval_faults(floor.drift, low=0, high=1)]
        if differs(floor.drift.value, floor.n_changed / len(entry.items.id)):
            floor_faults.append(("drift.value", f"it is not {floor.n_changed} / {len(entry.items.id)}"))
        if floor.max_logprob_difference < 0:
            floor_faults.append(("max_logprob_difference", "it is negative"))
        yield from _first(f"floor[{place}]", iter(floor_faults))
    yield from _official(entry, recount)
    yield from _probes(entry)
    yield from _twice(entry)
    yield from _missing_unions(entry)


def _twice(entry: Entry) -> Iterator[Finding]:
    points = entry.probes.points if entry.probes else ()
    for field, keys in (
        ("unions", [union.union for union in entry.unions]),
        ("controls", [(c.kind, c.outcome, c.effect, c.sets) for c in entry.controls]),
        ("floor", [floor.name for floor in entry.floor]),
        ("official", [(row.task, row.condition, row.metric, row.figure) for row in entry.official]),
        ("probes.points", [(point.target, point.pooling, point.layer, point.control) for point in points]),
    ):
        seen: set[Any] = set()
        for place, key in enumerate(keys):
            if key in seen:
                yield Finding(f"{field}[{place}]", "it is there twice")
                break
            seen.add(key)


def _missing_unions(entry: Entry) -> Iterator[Finding]:
    """A union of two sets whose parts are there has its interaction told, whatever it is."""
    singles = {(condition.sets, condition.edit) for condition in entry.conditions if condition.role == "single"}
    told = {union.union for union in entry.unions}
    for condition in entry.conditions:
        has_parts = len(condition.sets) == 2 and all(((name,), condition.edit) in singles for name in condition.sets)
        if has_parts and condition.name not in told:
            yield Finding("unions", f"what '{condition.name:.80}' does beyond its parts is missing")
            break


def _first(place: str, faults: Iterator[tuple[str, str]]) -> Iterator[Finding]:
    fault = next(faults, None)
    if fault:
        yield Finding(f"{place}.{fault[0]}", fault[1])


def _union_faults(union: UnionFigure, entry: Entry, recount: Recount) -> Iterator[tuple[str, str]]:
    names = (*union.parts, union.union)
    found = [recount.conditions.get(name) for name in names]
    if any(condition is None or condition.name not in recount.answers for condition in found):
        yield "union", "it names a condition that the entry does not have"
        return
    sets = {name for condition in found[:2] if condition for name in condition.sets}
    if found[2] is None or set(found[2].sets) != sets or len(union.parts) != len(set(union.parts)):
        yield "parts", f"they are not the parts of '{union.union:.80}'"
        return
    drift, accuracy = _formulas(union, entry)
    changed, gained = (np.array([measure(n) for n in names]) for measure in (recount.share_changed, recount.gain))
    figures = [
        ("drift_interaction", union.drift_interaction, float(drift(*changed)), drift is not over_larger),
        ("accuracy_interaction", union.accuracy_interaction, float(accuracy(*gained)), accuracy is not under_smaller),
    ]
    if union.drift_bliss is not None:
        figures.append(("drift_bliss", union.drift_bliss, float(bliss(*changed)), False))
    for field, interval, right, is_mean in figures:
        if differs(interval.value, right):
            yield f"{field}.value", f"it is {number(interval.value)}, and the answers give {number(right)}"
        yield from ((field, fault) for fault in interval_faults(interval, low=-3, high=3, holds_value=is_mean))
    for field in ("p_drift_adjusted", "p_accuracy_adjusted"):
        p = getattr(union, field)
        if p is not None and not 0 <= p <= 1:
            yield field, f"{number(p)} is no probability"


def _formulas(union: UnionFigure, entry: Entry) -> tuple[_Formula, _Formula]:
    """Of drift and of accuracy. A run's union is always measured against the sum of its parts."""
    if entry.provenance.source == "run" or union.form == "raw":
        return additive, additive
    sweep = entry.provenance.settings.get("sweep")
    is_max = isinstance(sweep, Mapping) and sweep.get("norm_match") == "max"
    return (over_larger, under_smaller) if is_max else (over_mean, over_mean)


def _control_faults(control: ControlFigure, entry: Entry, recount: Recount) -> Iterator[tuple[str, str]]:
    # More drift is more harmful, and less accuracy.
    harm = -1 if control.outcome == "accuracy" else 1
    value, draws = harm * control.value, [harm * draw for draw in control.draws]
    for field, found, right in (
        ("percentile", control.percentile, control_percentile(value, draws)),
        ("p", control.p, control_p(value, draws)),
    ):
        if differs(found, right):
            yield field, f"it is {number(found)}, and the draws give {number(right)}"
    low = 0 if control.outcome == "drift" and control.effect != "interaction" else -3
    if not all(low <= figure <= 3 for figure in (control.value, *control.draws)):
        yield "draws", "a share of items is out of range"
    known = entry.intervention.sets if entry.intervention else {}
    if not control.sets or any(name not in known for name in control.sets):
        yield "sets", "they are not of the intervention"
        return
    if control.outcome not in ("drift", "accuracy"):
        return  # no table shows it
    right = _control_value(control, entry, recount)
    if right is None:
        yield "value", "the settings or conditions do not say which effect of which items it is"
    elif differs(control.value, right):
        yield "value", f"it is {number(control.value)}, and the answers give {number(right)}"


def _control_value(control: ControlFigure, entry: Entry, recount: Recount) -> float | None:
    """The effect of the real sets on the control items: the first of each cell. None where the settings do not say
    which edit and how many, or the entry lacks the conditions."""
    settings = entry.provenance.settings
    rule, options = settings.get("verdict"), settings.get("controls")
    if not isinstance(rule, Mapping) or not isinstance(options, Mapping):
        return None
    edit, n = rule.get("edit"), options.get("items_per_cell")
    if not isinstance(n, int) or n < 1:
        return None
    mask, measure = _first_of_cells(entry, n), recount.share_changed if control.outcome == "drift" else recount.gain
    union = _condition(entry, "union", control.sets, edit)
    singles = [_condition(entry, "single", (name,), edit) for name in control.sets]
    wanted = {"single": singles, "union": [union], "interaction": [union, *singles]}[control.effect]
    values = [measure(found.name, mask) for found in wanted if found and found.name in recount.answers]
    return values[0] - sum(values[1:]) if len(values) == len(wanted) else None


def _condition(entry: Entry, role: str, sets: tuple[str, ...], edit: Any) -> BoardCondition | None:
    return next((c for c in entry.conditions if (c.role, c.sets, c.edit) == (role, sets, edit)), None)


def _first_of_cells(entry: Entry, n: int) -> Mask:
    seen: dict[tuple[str, str | None], int] = {}
    mask = np.zeros(len(entry.items.id), dtype=bool)
    for row, cell in enumerate(zip(entry.items.task, entry.items.level, strict=True)):
        seen[cell] = seen.get(cell, 0) + 1
        mask[row] = seen[cell] <= n
    return mask


def _official(entry: Entry, recount: Recount) -> Iterator[Finding]:
    values = {(row.task, row.metric, row.figure, row.condition): row.value.value for row in entry.official}
    for place, row in enumerate(entry.official):
        where = f"official[{place}]"
        if row.task not in entry.items.task or recount.conditions.get(row.condition) is None:
            yield Finding(where, f"it is of task '{row.task:.60}' and condition '{row.condition:.60}'; one is not here")
            continue
        # Not every official figure is a mean, so that its interval need not hold it; all are shares.
        faults = interval_faults(row.value, low=-1, high=1, holds_value=False)
        if row.difference is not None:
            faults += interval_faults(row.difference, low=-2, high=2, holds_value=False)
            base = values.get((row.task, row.metric, row.figure, BASELINE))
            if (
                base is not None
                and row.value.value is not None
                and differs(row.difference.value, row.value.value - base)
            ):
                faults.append("the difference is not the value less the baseline's")
        if faults:
            yield Finding(where, faults[0])


def _probes(entry: Entry) -> Iterator[Finding]:
    for place, point in enumerate(entry.probes.points if entry.probes else ()):
        if not -1e-9 <= point.low <= point.accuracy <= point.high <= 1 + 1e-9:
            what = (
                f"[{number(point.low)}, {number(point.high)}] is no interval of the accuracy {number(point.accuracy)}"
            )
            yield Finding(f"probes.points[{place}]", what)
