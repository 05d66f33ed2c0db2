"""The figures behind the tables, one number a column, for CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vsc_eval.board.records import BoardCondition, BoardRow, BoardScope, Entry, Interval, UnionFigure
from vsc_eval.board.tables.baseline import Ranked
from vsc_eval.board.tables.groups import BoardView
from vsc_eval.board.tables.interventions import adjusted_p, worst_floor
from vsc_eval.board.tables.models import BoardedModel
from vsc_eval.board.tables.table import Data, Plain
from vsc_eval.board.tables.unions import OUTCOMES, Effect, WorstControl, controlled_condition, worst_controls
from vsc_eval.specs import BASELINE
from vsc_eval.stats.drift import PARTS

Record = dict[str, Plain]


def baseline_data(view: BoardView, ranking: Sequence[Ranked], external: Mapping[str, Sequence[Ranked]]) -> Data:
    """A row for each model and group of items, and for each official figure. Places are of whole data sets."""
    records: list[Record] = []
    for found in ranking:
        entry = found.model.synthetic
        assert entry is not None
        for scope, task, level in _groups(view):
            row = view.baseline(entry, scope, task, level)
            if row is not None:
                whole = found if scope == "all" else None
                records.append(_baseline_record(found.model, entry, row, whole, "synthetic"))
    for task, models in external.items():
        for found in models:
            entry = found.model.external[task]
            records.append(_baseline_record(found.model, entry, found.all, found, "external"))
            records += _official_records(found.model, entry, task)
    return _data(_BASELINE_COLUMNS, records)


_BASELINE_COLUMNS = (
    *("model", "revision", "fingerprint", "backend", "dtype", "scoring", "entry"),
    *("kind", "scope", "task", "level", "metric", "figure", "is_main", "place", "place_last"),
    *("n", "n_clusters", "n_right", "n_invalid", "value", "low", "high", "reason", "method"),
)


def _groups(view: BoardView) -> Iterator[tuple[BoardScope, str | None, str | None]]:
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
        "revision": entry.model.revision,
        "fingerprint": entry.model.fingerprint,
        "backend": entry.provenance.backend,
        "dtype": entry.model.dtype,
        "scoring": entry.scoring,
        "entry": entry.id,
    }


def _baseline_record(model: BoardedModel, entry: Entry, row: BoardRow, whole: Ranked | None, kind: str) -> Record:
    place = whole.place if whole else None
    return {
        **_who(entry, model.label),
        "kind": kind,
        "scope": row.scope,
        "task": row.task,
        "level": row.level,
        "metric": "accuracy",
        "place": place.place if place else None,
        "place_last": place.n_compared - place.n_worse if place else None,
        "n": row.n,
        "n_clusters": row.n_clusters,
        "n_right": row.n_right,
        "n_invalid": row.n_invalid,
        **_interval("", row.accuracy),
        "reason": row.accuracy.reason,
        "method": row.method,
    }


def _official_records(model: BoardedModel, entry: Entry, task: str) -> Iterator[Record]:
    for figure in entry.official:
        if figure.task == task and figure.condition == BASELINE:
            yield {
                **_who(entry, model.label),
                "kind": "external",
                "scope": "task",
                "task": task,
                "metric": figure.metric,
                "figure": figure.figure,
                "is_main": int(figure.is_main),
                **_interval("", figure.value),
                "reason": figure.value.reason,
            }


def interventions_data(view: BoardView) -> Data:
    """A row for each condition of each entry, on all its items."""
    records: list[Record] = []
    for entry in view.edited():
        adjusted, controls = adjusted_p(view, entry), _controls_by_condition(entry)
        unions = {union.union: union for union in entry.unions}
        for condition in entry.edits:
            row = view.row(entry, condition.name, "all")
            if row is not None:
                records.append(
                    _who(entry, view.labels[entry.id])
                    | _condition_record(entry, condition)
                    | _effect_record(row, adjusted[condition.name])
                    | _target_record(view, entry, condition)
                    | _floor_record(entry)
                    | _union_record(unions.get(condition.name))
                    | _control_record(controls.get(condition.name, {}))
                )
    return _data(_INTERVENTION_COLUMNS, records)


_INTERVALS = ("value", "low", "high")
_INTERVENTION_COLUMNS = (
    *("model", "revision", "fingerprint", "backend", "dtype", "scoring", "entry", "intervention", "layer"),
    *("condition", "role", "sets", "edit", "targets", "is_headline"),
    *("n", "n_clusters", "n_right", "n_invalid", "method"),
    *(f"accuracy_{part}" for part in _INTERVALS),
    *(f"difference_{part}" for part in _INTERVALS),
    *("p_difference", "p_difference_holm", "detectable_difference"),
    *(f"drift_{part}" for part in _INTERVALS),
    *("n_changed", *PARTS),
    *(
        f"{scope}_{column}"
        for scope in ("on_target", "off_target")
        for column in ("n", *(f"drift_{i}" for i in _INTERVALS))
    ),
    *("floor_name", "floor_n_changed", *(f"floor_drift_{part}" for part in _INTERVALS)),
    *("form", *(f"drift_interaction_{part}" for part in _INTERVALS), *(f"drift_bliss_{part}" for part in _INTERVALS)),
    *(f"accuracy_interaction_{part}" for part in _INTERVALS),
    *("p_drift_interaction_adjusted", "p_accuracy_interaction_adjusted", "verdict"),
    *(
        f"{of}_{outcome}_control_{column}"
        for of in ("effect", "interaction")
        for outcome in OUTCOMES
        for column in ("kind", "value", "percentile", "p", "draws")
    ),
    *("mean_kl_options", "mean_margin_change", "mean_shift_edited", "mean_shift_last", "amplification"),
)


def _condition_record(entry: Entry, condition: BoardCondition) -> Record:
    return {
        "intervention": entry.intervention.name if entry.intervention else None,
        "layer": entry.intervention.layer if entry.intervention else None,
        "condition": condition.name,
        "role": condition.role,
        "sets": "+".join(condition.sets),
        "edit": condition.edit,
        "targets": None if condition.targets is None else "+".join(condition.targets),
        "is_headline": int(condition.is_headline),
    }


def _effect_record(row: BoardRow, p_adjusted: float | None) -> Record:
    counts = row.drift_counts
    return {
        **{name: getattr(row, name) for name in ("n", "n_clusters", "n_right", "n_invalid", "method")},
        **_interval("accuracy_", row.accuracy),
        **_interval("difference_", row.difference),
        "p_difference": row.p_difference,
        "p_difference_holm": p_adjusted,
        "detectable_difference": row.detectable_difference,
        **_interval("drift_", row.drift),
        **{part: getattr(counts, part) if counts else None for part in ("n_changed", *PARTS)},
        **{
            name: getattr(row, name)
            for name in (
                "mean_kl_options",
                "mean_margin_change",
                "mean_shift_edited",
                "mean_shift_last",
                "amplification",
            )
        },
    }


def _target_record(view: BoardView, entry: Entry, condition: BoardCondition) -> Record:
    record: Record = {}
    scopes: tuple[BoardScope, ...] = ("on_target", "off_target")
    for scope in scopes:
        row = view.row(entry, condition.name, scope)
        record[f"{scope}_n"] = row.n if row else None
        record |= _interval(f"{scope}_drift_", row.drift if row else None)
    return record


def _floor_record(entry: Entry) -> Record:
    floor = worst_floor(entry)
    return {
        "floor_name": floor.name if floor else None,
        "floor_n_changed": floor.n_changed if floor else None,
        **_interval("floor_drift_", floor.drift if floor else None),
    }


def _union_record(union: UnionFigure | None) -> Record:
    if union is None:
        return {}
    return {
        "form": union.form,
        **_interval("drift_interaction_", union.drift_interaction),
        **_interval("drift_bliss_", union.drift_bliss),
        **_interval("accuracy_interaction_", union.accuracy_interaction),
        "p_drift_interaction_adjusted": union.p_drift_adjusted,
        "p_accuracy_interaction_adjusted": union.p_accuracy_adjusted,
        "verdict": union.verdict,
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
            start = f"{of}_{outcome}_control"
            record |= {
                f"{start}_kind": worst.figure.kind,
                f"{start}_value": worst.figure.value,
                f"{start}_percentile": worst.figure.percentile,
                f"{start}_p": worst.figure.p,
                f"{start}_draws": len(worst.figure.draws),
            }
    return record


def _interval(start: str, figure: Interval | None) -> Record:
    return {f"{start}{part}": getattr(figure, part) if figure else None for part in _INTERVALS}


def _data(columns: Sequence[str], records: Sequence[Record]) -> Data:
    for record in records:
        assert record.keys() <= set(columns), record.keys() - set(columns)
    return Data(tuple(columns), tuple(tuple(record.get(column) for column in columns) for record in records))
