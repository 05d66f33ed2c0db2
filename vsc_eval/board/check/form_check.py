"""What an entry says of itself: its id, conditions, items, provenance, log-probabilities, pictures, and the form of the
figures that no answers can give or that are not drawn anew."""

from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime
from itertools import chain
from typing import Any

from vsc_eval.analysis.controls import ControlTest
from vsc_eval.answers.answer_table import AnswerTable, AskedItem
from vsc_eval.answers.finished_run import answer_faults, item_faults, shape_faults
from vsc_eval.board.check.figure_check import key_words, same, shown
from vsc_eval.board.entry.folder import entry_id, results_without_paths, without_paths
from vsc_eval.board.records import Entry, Problem
from vsc_eval.figures.data_uri import picture_problem
from vsc_eval.probing.records import ProbeRow
from vsc_eval.specs import BASELINE
from vsc_eval.stats import control_p, control_percentile
from vsc_eval.synthetic import TASKS

MAX_TEXT = 20_000
"""Characters of any string but a picture. An answer of 10,000 is nothing unusual for a model that repeats itself."""
_ROUNDING = 1e-7


def form_problems(entry: Entry) -> Iterator[Problem]:
    """All that is wrong, but at most one problem for each kind of log-probability or text."""
    if entry.id != (right := entry_id(entry)):
        yield Problem("id", f"it is {entry.id}, and what the entry holds gives {right}")
    yield from _hashes(entry)
    yield from _conditions(entry)
    yield from _items(entry.table)
    yield from _provenance(entry)
    passes = {"main": entry.table.main, **entry.table.passes}
    answers = (answer_faults(name, answered, entry.table) for name, answered in passes.items())
    for fault in chain(shape_faults(entry.table), item_faults(entry.table), *answers):
        yield Problem(*fault)
    yield from _pictures(entry)
    yield from _texts(entry)
    yield from _figures(entry)


def _hashes(entry: Entry) -> Iterator[Problem]:
    """run.yaml says of which model and conditions it is, and the other files say it too."""
    hashes = entry.hashes
    if hashes.get("model_fingerprint") != entry.fingerprint:
        yield Problem("hashes.model_fingerprint", "run.yaml and results.json are of different models")
    stated = hashes.get("conditions")
    asked = {condition.name: condition.content_hash for condition in entry.table.conditions}
    odd = [name for name, found in stated.items() if asked.get(name) != found] if isinstance(stated, dict) else []
    if odd:
        yield Problem("hashes.conditions", f"run.yaml has another '{odd[0]!s:.80}' than conditions.parquet")
    found = entry.about.intervention
    if found is not None and any(condition.spec.edit for condition in entry.table.conditions):
        for key, own in (("sae_fingerprint", found.sae_fingerprint), ("layer", found.layer)):
            if hashes.get(key) not in (None, own):
                yield Problem(f"intervention.{key}", f"it is {own!s:.40}, and run.yaml says {hashes.get(key)!s:.40}")


def _conditions(entry: Entry) -> Iterator[Problem]:
    found = entry.about.intervention
    if (len(entry.conditions) > 1) != (found is not None):
        yield Problem("intervention", "an entry has an intervention exactly if it has a condition that edits")
    if found is not None and found.layer < 0:
        yield Problem("intervention.layer", f"there is no layer {found.layer}")
    known = found.sets if found else {}
    for place, condition in enumerate(entry.conditions):
        where = f"conditions[{place}]"
        if (condition.name == BASELINE) != (condition.spec.edit is None) or condition.control_kind is not None:
            yield Problem(where, f"'{condition.name:.80}' is no condition that a board shows")
        elif (condition.name == BASELINE) != (condition.content_hash == BASELINE):
            yield Problem(where, "only the baseline has the hash `baseline`")
        elif missing := [name for name in condition.spec.sets if name not in known]:
            yield Problem(where, f"the intervention has no set '{missing[0]:.80}'")


def _items(table: AnswerTable) -> Iterator[Problem]:
    if not table.items:
        yield Problem("items", "there are none")
    for row, item in enumerate(table.items):
        if item.task not in TASKS:
            continue
        what = f"the synthetic item '{item.item_id:.80}'"
        if item.item_id != f"{item.cluster}/{item.gold}":
            yield Problem(f"items.item_id[{row}]", f"{what} is not of its orbit and right answer")
        elif not item.item_id.startswith(f"test/{item.task}/{item.level}/"):
            yield Problem(f"items.item_id[{row}]", f"{what} is not of its task and level")
        elif item.scoring == "loglikelihood" and not item.options:
            yield Problem(f"items.options[{row}]", f"{what} has no options")


def _provenance(entry: Entry) -> Iterator[Problem]:
    date = entry.about.date
    try:
        moment = datetime.fromisoformat(date)
        # fromisoformat also takes weeks, and any character between date and time.
        is_date = moment.tzinfo is not None and moment.isoformat() == date
    except ValueError:
        is_date = False
    if not is_date:
        yield Problem("date", f"'{date:.40}' is no ISO 8601 date and time with an offset from UTC")
    if entry.hashes.get("generator_version") is None and entry.tasks & set(TASKS):
        yield Problem("hashes.generator_version", "it is there exactly if synthetic tasks were asked")
    settings = entry.run.get("settings")
    for name, has_path in (
        ("run.yaml", without_paths(settings) != settings),
        ("results.json", results_without_paths(entry.document) != entry.document),
    ):
        if has_path:
            yield Problem(name, "it holds a path of the machine that the run was made on")


def _pictures(entry: Entry) -> Iterator[Problem]:
    known = {item.item_id for item in entry.table.items}
    for name, given in entry.shown.items():
        if name not in known:
            yield Problem(f"pictures.{name:.80}", "there is no such item")
        elif given.picture is not None and (fault := picture_problem(given.picture)):
            yield Problem(f"pictures.{name:.80}.picture", f"it {fault}")


def _texts(entry: Entry) -> Iterator[Problem]:
    table = entry.table
    long = _too_long(
        {
            "entry": entry.about.model_dump(mode="json"),
            "run": dict(entry.run),
            "results": entry.document,
            # By column, each text once: a data set has thousands of items of few tasks and options.
            "items": {f.name: list({getattr(item, f.name): 0 for item in table.items}) for f in fields(AskedItem)},
            "conditions": [[c.name, *c.spec.sets, *(c.targets or ())] for c in table.conditions],
            "answers": [list(part.vocabulary) for part in (table.main, *table.passes.values())],
            "pictures": {name: given.question for name, given in entry.shown.items()},
        }
    )
    if long:
        yield Problem(".".join(long[0]), f"a text of {long[1]:,} characters; one may have {MAX_TEXT:,}")


def _too_long(value: Any) -> tuple[tuple[str, ...], int] | None:
    """Keys that lead to the first text that is too long, and its length."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(key, str) and len(key) > MAX_TEXT:
            return (f"{key:.40}...",), len(key)
        if isinstance(inner, str):
            if len(inner) > MAX_TEXT:
                return (str(key)[:80],), len(inner)
        elif isinstance(inner, dict | list | tuple) and (found := _too_long(inner)) is not None:
            return (str(key)[:80], *found[0]), found[1]
    return None


def _figures(entry: Entry) -> Iterator[Problem]:
    results = entry.results
    for place, test in enumerate(results.controls):
        yield from _control(f"controls[{place}]", test)
    yield from _probabilities("", entry.document)
    for section in ("rows", "interactions", "official", "floor"):
        for place, record in enumerate(getattr(results, section)):
            fault = next(_interval_faults(record.model_dump()), None)
            if fault:
                yield Problem(f"{section}[{place}].{fault[0]}", fault[1])
    yield from _probes(results.probing.rows if results.probing else ())


def _control(place: str, test: ControlTest) -> Iterator[Problem]:
    # More drift is more harmful, and less accuracy.
    harm = -1 if test.outcome == "accuracy" else 1
    value, draws = harm * test.value, [harm * draw for draw in test.draws]
    right = {"percentile": control_percentile(value, draws), "p": control_p(value, draws)}
    for field, expected in right.items():
        if not same(found := getattr(test, field), expected):
            yield Problem(f"{place}.{field}", f"it is {shown(found)}, and the draws give {shown(expected)}")
    if not all(-3 <= draw <= 3 for draw in test.draws):
        yield Problem(f"{place}.draws", "a share of items is out of range")


def _probabilities(place: str, value: Any) -> Iterator[Problem]:
    """Every p that results.json has is one."""
    for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(inner, dict | list):
            yield from _probabilities(f"{place}[{name}]" if isinstance(name, int) else f"{place}.{name}", inner)
        elif f"{name}_".startswith("p_") and isinstance(inner, int | float) and not 0 <= inner <= 1:
            yield Problem(f"{place}.{name}".lstrip(".")[:200], f"{inner:g} is no probability")


def _interval_faults(record: dict[str, Any], place: str = "") -> Iterator[tuple[str, str]]:
    """Of every figure within a record, at its dotted place: whether it could be one."""
    if {"value", "low", "high", "reason"} <= record.keys():
        value, low, high = record["value"], record["low"], record["high"]
        if (low is None) != (high is None) or (value is None and low is not None):
            yield place, "it has one bound of two, or bounds and no value"
        elif low is None:
            if not record["reason"]:
                yield place, "it has no interval and no reason"
        elif low > high:
            yield place, f"its interval [{low:g}, {high:g}] is turned around"
        # Resampled means are around the mean; a largest part's or an official figure's need not be.
        elif place in ("accuracy", "difference", "drift.share") and not low - _ROUNDING <= value <= high + _ROUNDING:
            yield place, f"its interval [{low:g}, {high:g}] does not contain {value:g}"
        return
    for name, inner in record.items():
        if isinstance(inner, dict):
            yield from _interval_faults(inner, f"{place}.{name}".lstrip("."))


def _probes(rows: tuple[ProbeRow, ...]) -> Iterator[Problem]:
    seen = set()
    for place, row in enumerate(rows):
        key = row.target, row.pooling, row.layer, row.control
        if key in seen:
            yield Problem(f"probing.rows[{place}]", f"{key_words(key)} is there twice")
        seen.add(key)
        low, value, high = row.low, row.test_accuracy, row.high
        if low is None or value is None or high is None:
            continue
        if not -1e-9 <= low <= value <= high <= 1 + 1e-9:
            yield Problem(f"probing.rows[{place}]", f"[{low:g}, {high:g}] is no interval of the accuracy {value:g}")
