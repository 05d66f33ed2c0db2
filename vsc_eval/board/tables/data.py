"""The figures behind the tables, one number a column, for CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vsc_eval.analysis.groups import Scope
from vsc_eval.analysis.interactions import InteractionRow
from vsc_eval.analysis.rows import Row
from vsc_eval.board.records import BoardCondition, Entry
from vsc_eval.board.tables.baseline import Ranked
from vsc_eval.board.tables.groups import BoardView
from vsc_eval.board.tables.interventions import (
    OUTCOMES,
    Effect,
    WorstControl,
    adjusted_p,
    controlled_condition,
    worst_controls,
    worst_floor,
)
from vsc_eval.specs import BASELINE
from vsc_eval.stats import Figure
from vsc_eval.stats.drift import PARTS
from vsc_eval.tables.table import Data, Plain

Record = dict[str, Plain]

_INTERVAL = ("value", "low", "high")
_WHO = ("model", "revision", "fingerprint", "backend", "dtype", "scoring", "entry")
_COUNTS = ("n", "n_clusters", "n_right", "n_invalid")
_MEANS = ("mean_kl_options", "mean_margin_change", "mean_shift_edited", "mean_shift_last", "amplification")
_CONTROL = ("kind", "value", "percentile", "p", "draws")
_BASELINE_COLUMNS = (
    *_WHO,
    *("kind", "scope", "task", "level", "metric", "figure", "is_main", "place", "place_last"),
    *(*_COUNTS, *_INTERVAL, "reason", "method"),
)


def _intervals(*starts: str) -> list[str]:
    return [f"{start}_{part}" for start in starts for part in _INTERVAL]


_INTERVENTION_COLUMNS = (
    *(*_WHO, "intervention", "layer", "condition", "role", "sets", "edit", "targets", "is_headline"),
    *(*_COUNTS, "method", *_intervals("accuracy", "difference")),
    *("p_difference", "p_difference_holm", "detectable_difference", *_intervals("drift"), "n_changed", *PARTS),
    *("on_target_n", *_intervals("on_target_drift"), "off_target_n", *_intervals("off_target_drift")),
    *("floor_name", "floor_n_changed", *_intervals("floor_drift")),
    *("form", *_intervals("drift_interaction", "drift_bliss", "accuracy_interaction")),
    *("p_drift_interaction_adjusted", "p_accuracy_interaction_adjusted", "verdict"),
    *(f"{of}_{on}_control_{part}" for of in ("effect", "interaction") for on in OUTCOMES for part in _CONTROL),
    *_MEANS,
)


def baseline_data(view: BoardView, ranking: Sequence[Ranked], external: Mapping[str, Sequence[Ranked]]) -> Data:
    """A row for each model and group of items, and for each official figure. Ranks are of whole data sets."""
    records: list[Record] = []
    for found in ranking:
        for scope, task, level in _groups(view):
            if row := view.baseline(found.entry, scope, task, level):
                records.append(_baseline_record(found, row, "synthetic", has_rank=scope == "all"))
    for task, models in external.items():
        for found in models:
            records.append(_baseline_record(found, found.all, "external", has_rank=True))
            records += _official_records(found, task)
    return _data(_BASELINE_COLUMNS, records)


def _groups(view: BoardView) -> Iterator[tuple[Scope, str | None, str | None]]:
    yield "all", None, None
    for task in view.synthetic:
        yield "task", task, None
    for level in view.levels:
        yield "level", None, level
    for task in view.synthetic:
        for level in view.board.spec.tasks[task].levels:
            yield "cell", task, level


def _who(entry: Entry, label: str) -> Record:
    return {
        "model": label,
        "revision": entry.revision,
        "fingerprint": entry.fingerprint,
        "backend": entry.backend,
        "dtype": entry.about.dtype,
        "scoring": entry.scoring,
        "entry": entry.id,
    }


def _baseline_record(found: Ranked, row: Row, kind: str, *, has_rank: bool) -> Record:
    rank = found.rank
    return {
        **_who(found.entry, found.model.label),
        **_copied(row, "scope", "task", "level", *_COUNTS, "method"),
        **_interval("", row.accuracy),
        "kind": kind,
        "metric": "accuracy",
        "place": rank.rank if has_rank else None,
        "place_last": rank.n_compared - rank.n_worse if has_rank else None,
        "reason": row.accuracy.reason,
    }


def _official_records(found: Ranked, task: str) -> Iterator[Record]:
    for figure in found.entry.official:
        if figure.task == task and figure.condition == BASELINE:
            yield {
                **_who(found.entry, found.model.label),
                **_copied(figure, "task", "metric", "figure"),
                **_interval("", figure.value),
                "kind": "external",
                "scope": "task",
                "is_main": int(figure.is_main),
                "reason": figure.value.reason,
            }


def interventions_data(view: BoardView) -> Data:
    """A row for each condition of each entry, on all its items."""
    records: list[Record] = []
    for entry in view.edited():
        adjusted, controls = adjusted_p(view, entry), _controls_by_condition(entry)
        pairs = {pair.condition: pair for pair in entry.interactions}
        for condition in entry.edits:
            if row := view.row(entry, condition.name, "all"):
                records.append(
                    _who(entry, view.labels[entry.id])
                    | _condition_record(entry, condition)
                    | _effect_record(row, adjusted[condition.name])
                    | _target_record(view, entry, condition)
                    | _floor_record(entry)
                    | _interaction_record(pairs.get(condition.name))
                    | _control_record(controls.get(condition.name, {}))
                )
    return _data(_INTERVENTION_COLUMNS, records)


def _condition_record(entry: Entry, condition: BoardCondition) -> Record:
    return {
        **_copied(condition, "role", "edit"),
        "intervention": entry.intervention.name if entry.intervention else None,
        "layer": entry.intervention.layer if entry.intervention else None,
        "condition": condition.name,
        "sets": "+".join(condition.sets),
        "targets": None if condition.targets is None else "+".join(condition.targets),
        "is_headline": int(condition.is_headline),
    }


def _effect_record(row: Row, p_adjusted: float | None) -> Record:
    return {
        **_copied(row, *_COUNTS, "method", "p_difference", "detectable_difference", *_MEANS),
        **_copied(row.drift, "n_changed", *PARTS),
        **_interval("accuracy_", row.accuracy),
        **_interval("difference_", row.difference),
        **_interval("drift_", row.drift.share if row.drift else None),
        "p_difference_holm": p_adjusted,
    }


def _target_record(view: BoardView, entry: Entry, condition: BoardCondition) -> Record:
    record: Record = {}
    scopes: tuple[Scope, ...] = ("on_target", "off_target")
    for scope in scopes:
        row = view.row(entry, condition.name, scope)
        drift = row.drift.share if row and row.drift else None
        record |= {f"{scope}_n": row.n if row else None, **_interval(f"{scope}_drift_", drift)}
    return record


def _floor_record(entry: Entry) -> Record:
    floor = worst_floor(entry)
    if floor is None:
        return {}
    return {
        "floor_name": floor.name,
        "floor_n_changed": floor.n_changed,
        **_interval("floor_drift_", floor.drift),
    }


def _interaction_record(pair: InteractionRow | None) -> Record:
    if pair is None:
        return {}
    return {
        **_copied(pair, "form", "verdict"),
        **_interval("drift_interaction_", pair.drift_interaction),
        **_interval("drift_bliss_", pair.drift_bliss),
        **_interval("accuracy_interaction_", pair.accuracy_interaction),
        "p_drift_interaction_adjusted": pair.p_drift_adjusted,
        "p_accuracy_interaction_adjusted": pair.p_accuracy_adjusted,
    }


def _controls_by_condition(entry: Entry) -> dict[str, dict[Effect, dict[str, WorstControl]]]:
    found: dict[str, dict[Effect, dict[str, WorstControl]]] = {}
    for effect, by_outcome in worst_controls(entry).items():
        condition = controlled_condition(entry, effect)
        if condition is not None:
            found.setdefault(condition.name, {})[effect] = by_outcome
    return found


def _control_record(controls: Mapping[Effect, Mapping[str, WorstControl]]) -> Record:
    record: Record = {}
    for (effect, _), by_outcome in controls.items():
        of = "interaction" if effect == "interaction" else "effect"
        for outcome, worst in by_outcome.items():
            values = {**_copied(worst.figure, *_CONTROL[:-1]), "draws": len(worst.figure.draws)}
            record |= {f"{of}_{outcome}_control_{part}": value for part, value in values.items()}
    return record


def _copied(source: object, *names: str) -> Record:
    """Fields that are columns of the same name; None where there is no source."""
    return {name: getattr(source, name) if source is not None else None for name in names}


def _interval(start: str, figure: Figure | None) -> Record:
    return {f"{start}{part}": value for part, value in _copied(figure, *_INTERVAL).items()}


def _data(columns: Sequence[str], records: Sequence[Record]) -> Data:
    for record in records:
        assert record.keys() <= set(columns), record.keys() - set(columns)
    return Data(tuple(columns), tuple(tuple(record.get(column) for column in columns) for record in records))
