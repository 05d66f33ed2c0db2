"""The figures behind the tables, one number a column, for CSV."""

from collections.abc import Iterator, Sequence

from vsc_eval.analysis.groups import Scope
from vsc_eval.analysis.rows import Row
from vsc_eval.answers.answer_table import AskedCondition
from vsc_eval.board.records import Entry, drift_share
from vsc_eval.board.tables.interventions import ON_AND_OFF, OUTCOMES, Controlled, adjusted_p, controlled, worst_floor
from vsc_eval.board.tables.models import BoardView, Ranked
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


def baseline_data(view: BoardView) -> Data:
    """A row for each model and group of items, and for each official figure. Ranks are of whole data sets."""
    records: list[Record] = []
    for found in view.ranking:
        for scope, task, level in _groups(view):
            if row := view.baseline(found.entry, scope, task, level):
                records.append(_baseline_record(found, row, "synthetic", has_rank=scope == "all"))
    for task, models in view.external_rankings.items():
        for found in models:
            records.append(_baseline_record(found, found.all, "external", has_rank=True))
            records += _official_records(found, task)
    return _data(_BASELINE_COLUMNS, records)


def _groups(view: BoardView) -> Iterator[tuple[Scope, str | None, str | None]]:
    yield "all", None, None
    yield from (("task", task, None) for task in view.synthetic)
    yield from (("level", None, level) for level in view.levels)
    yield from (("cell", task, level) for task in view.synthetic for level in view.board.spec.tasks[task].levels)


def _who(entry: Entry, label: str) -> Record:
    own = _copied(entry, "revision", "fingerprint", "backend", "scoring")
    return {"model": label, **own, "dtype": entry.about.dtype, "entry": entry.id}


def _baseline_record(found: Ranked, row: Row, kind: str, *, has_rank: bool) -> Record:
    rank = found.rank
    return {
        **_who(found.entry, found.model.label),
        **_copied(row, "scope", "task", "level", *_COUNTS, "method"),
        **_copied(row.accuracy, *_INTERVAL, "reason"),
        "kind": kind,
        "metric": "accuracy",
        "place": rank.rank if has_rank else None,
        "place_last": rank.n_compared - rank.n_worse if has_rank else None,
    }


def _official_records(found: Ranked, task: str) -> Iterator[Record]:
    for figure in found.entry.results.official:
        if figure.task == task and figure.condition == BASELINE:
            yield {
                **_who(found.entry, found.model.label),
                **_copied(figure, "task", "metric", "figure"),
                **_copied(figure.value, *_INTERVAL, "reason"),
                "kind": "external",
                "scope": "task",
                "is_main": int(figure.is_main),
            }


def interventions_data(view: BoardView) -> Data:
    """A row for each condition of each entry, on all its items."""
    records: list[Record] = []
    for entry in view.edited:
        who = _who(entry, view.labels[entry.id]) | _entry_record(entry)
        adjusted, controls = adjusted_p(entry), controlled(entry)
        for condition in entry.edits:
            if row := entry.row(condition.name, "all"):
                record = who | _condition_record(entry, condition) | _effect_record(row)
                record |= {"p_difference_holm": adjusted[condition.name]}
                for found in controls:
                    record |= _control_record(found) if found.condition == condition.name else {}
                records.append(record)
    return _data(_INTERVENTION_COLUMNS, records)


def _entry_record(entry: Entry) -> Record:
    """What all its conditions share."""
    intervention, floor = entry.about.intervention, worst_floor(entry)
    return {
        "intervention": intervention.name if intervention else None,
        "layer": intervention.layer if intervention else None,
        **_copied(floor, "name", "n_changed", start="floor_"),
        **_interval("floor_drift", floor.drift if floor else None),
    }


def _condition_record(entry: Entry, condition: AskedCondition) -> Record:
    record = {
        **_copied(condition, "role", "edit"),
        "condition": condition.name,
        "sets": "+".join(condition.spec.sets),
        "targets": None if condition.targets is None else "+".join(condition.targets),
        "is_headline": int(condition.name in entry.headlines),
    }
    for scope in ON_AND_OFF:
        row = entry.row(condition.name, scope)
        record |= {f"{scope}_n": row.n if row else None, **_interval(f"{scope}_drift", drift_share(row))}
    for pair in entry.results.interactions:
        if pair.condition == condition.name:
            record |= {
                **_copied(pair, "form", "verdict"),
                **_interval("drift_interaction", pair.drift_interaction),
                **_interval("drift_bliss", pair.drift_bliss),
                **_interval("accuracy_interaction", pair.accuracy_interaction),
                "p_drift_interaction_adjusted": pair.p_drift_adjusted,
                "p_accuracy_interaction_adjusted": pair.p_accuracy_adjusted,
            }
    return record


def _effect_record(row: Row) -> Record:
    return {
        **_copied(row, *_COUNTS, "method", "p_difference", "detectable_difference", *_MEANS),
        **_copied(row.drift, "n_changed", *PARTS),
        **_interval("accuracy", row.accuracy),
        **_interval("difference", row.difference),
        **_interval("drift", drift_share(row)),
    }


def _control_record(found: Controlled) -> Record:
    record: Record = {}
    for outcome, worst in found.worst.items():
        start = f"{found.of}_{outcome}_control_"
        record |= {**_copied(worst, *_CONTROL[:-1], start=start), f"{start}draws": len(worst.draws)}
    return record


def _copied(source: object, *names: str, start: str = "") -> Record:
    """Fields that are columns of the same name, but for its start; None where there is no source."""
    return {f"{start}{name}": None if source is None else getattr(source, name) for name in names}


def _interval(start: str, figure: Figure | None) -> Record:
    return _copied(figure, *_INTERVAL, start=f"{start}_")


def _data(columns: Sequence[str], records: Sequence[Record]) -> Data:
    assert all(record.keys() <= set(columns) for record in records)
    return Data(tuple(columns), tuple(tuple(record.get(column) for column in columns) for record in records))
