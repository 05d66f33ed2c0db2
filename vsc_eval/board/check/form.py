"""What an entry says of itself: its id, conditions, items, provenance, log-probabilities, pictures, and the form of the
figures that no answers can give or that are not drawn anew."""

from collections.abc import Iterator
from dataclasses import fields
from itertools import chain, islice
from typing import Any

from vsc_eval.analysis.controls import ControlTest
from vsc_eval.answers.answer_table import AnswerTable, AskedItem
from vsc_eval.answers.finished_run import Fault, answer_faults, item_faults, shape_faults
from vsc_eval.board.check.figures import key_words, same, shown
from vsc_eval.board.entry_files import entry_id, results_without_paths, without_paths
from vsc_eval.board.records import Entry, Problem, mapping, moment_of
from vsc_eval.figures.data_uri import picture_problem
from vsc_eval.probing.records import ProbeRow
from vsc_eval.specs import BASELINE
from vsc_eval.stats import control_p, control_percentile
from vsc_eval.synthetic import TASKS

MAX_TEXT = 20_000
"""Characters of any string but a picture. An answer of 10,000 is nothing unusual for a model that repeats itself."""
_ROUNDING = 1e-7

Place = tuple[str | int, ...]
"""The keys, and the numbers in lists, that lead to a value."""


def form_problems(entry: Entry) -> Iterator[Problem]:
    """All that is wrong, but at most one problem for each kind of log-probability or text."""
    passes = {"main": entry.table.main, **entry.table.passes}
    answers = (answer_faults(name, answered, entry.table) for name, answered in passes.items())
    stated = (_hashes(entry), _conditions(entry), _items(entry.table), _provenance(entry))
    for fault in chain(*stated, shape_faults(entry.table), item_faults(entry.table), *answers, _pictures(entry)):
        yield Problem(*fault)
    yield from _texts(entry)
    yield from _figures(entry)


def _hashes(entry: Entry) -> Iterator[Fault]:
    """run.yaml says of which model and conditions it is, and the other files say it too."""
    hashes, right = entry.hashes, entry_id(entry)
    if entry.id != right:
        yield "id", f"it is {entry.id}, and what the entry holds gives {right}"
    if hashes.get("model_fingerprint") != entry.fingerprint:
        yield "hashes.model_fingerprint", "run.yaml and results.json are of different models"
    asked = {condition.name: condition.content_hash for condition in entry.table.conditions}
    odd = [name for name, stated in mapping(hashes.get("conditions")).items() if asked.get(name) != stated]
    if odd:
        yield "hashes.conditions", f"run.yaml has another '{odd[0]!s:.80}' than conditions.parquet"
    found = entry.about.intervention
    if found is not None and any(condition.spec.edit for condition in entry.table.conditions):
        for key, own in (("sae_fingerprint", found.sae_fingerprint), ("layer", found.layer)):
            if hashes.get(key) not in (None, own):
                yield f"intervention.{key}", f"it is {own!s:.40}, and run.yaml says {hashes.get(key)!s:.40}"


def _conditions(entry: Entry) -> Iterator[Fault]:
    found = entry.about.intervention
    if (len(entry.conditions) > 1) != (found is not None):
        yield "intervention", "an entry has an intervention exactly if it has a condition that edits"
    if found is not None and found.layer < 0:
        yield "intervention.layer", f"there is no layer {found.layer}"
    known = found.sets if found else {}
    for place, condition in enumerate(entry.conditions):
        where, is_baseline = f"conditions[{place}]", condition.name == BASELINE
        if is_baseline != (condition.spec.edit is None) or condition.control_kind is not None:
            yield where, f"'{condition.name:.80}' is no condition that a board shows"
        elif is_baseline != (condition.content_hash == BASELINE):
            yield where, "only the baseline has the hash `baseline`"
        elif missing := [name for name in condition.spec.sets if name not in known]:
            yield where, f"the intervention has no set '{missing[0]:.80}'"


def _items(table: AnswerTable) -> Iterator[Fault]:
    if not table.items:
        yield "items", "there are none"
    for row, item in enumerate(table.items):
        if item.task not in TASKS:
            continue
        what = f"the synthetic item '{item.item_id:.80}'"
        if item.item_id != f"{item.cluster}/{item.gold}":
            yield f"items.item_id[{row}]", f"{what} is not of its orbit and right answer"
        elif not item.item_id.startswith(f"test/{item.task}/{item.level}/"):
            yield f"items.item_id[{row}]", f"{what} is not of its task and level"
        elif item.scoring == "loglikelihood" and not item.options:
            yield f"items.options[{row}]", f"{what} has no options"


def _provenance(entry: Entry) -> Iterator[Fault]:
    date, moment = entry.about.date, moment_of(entry.about.date)
    # fromisoformat also takes weeks, and any character between date and time.
    if moment is None or moment.isoformat() != date:
        yield "date", f"'{date:.40}' is no ISO 8601 date and time with an offset from UTC"
    if entry.hashes.get("generator_version") is None and entry.tasks & set(TASKS):
        yield "hashes.generator_version", "it is there exactly if synthetic tasks were asked"
    settings = entry.run.get("settings")
    for name, has_path in (
        ("run.yaml", without_paths(settings) != settings),
        ("results.json", results_without_paths(entry.document) != entry.document),
    ):
        if has_path:
            yield name, "it holds a path of the machine that the run was made on"


def _pictures(entry: Entry) -> Iterator[Fault]:
    known = {item.item_id for item in entry.table.items}
    for name, given in entry.shown.items():
        if name not in known:
            yield f"pictures.{name:.80}", "there is no such item"
        elif given.picture is not None and (fault := picture_problem(given.picture)):
            yield f"pictures.{name:.80}.picture", f"it {fault}"


def _texts(entry: Entry) -> Iterator[Problem]:
    table = entry.table
    texts = {
        "entry": entry.about.model_dump(mode="json"),
        "run": dict(entry.run),
        "results": entry.document,
        # By column, each text once: a data set has thousands of items of few tasks and options.
        "items": {f.name: list({getattr(item, f.name): 0 for item in table.items}) for f in fields(AskedItem)},
        "conditions": [[c.name, *c.spec.sets, *(c.targets or ())] for c in table.conditions],
        "answers": [list(part.vocabulary) for part in (table.main, *table.passes.values())],
        "pictures": {name: given.question for name, given in entry.shown.items()},
    }
    for place, value in walk(texts):
        long = next((text for text in (*place[-1:], value) if isinstance(text, str) and len(text) > MAX_TEXT), None)
        if long is not None:
            keys = [f"{key:.40}..." if key is long else f"{key!s:.80}" for key in place]
            yield Problem(".".join(keys), f"a text of {len(long):,} characters; one may have {MAX_TEXT:,}")
            return


def walk(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every value inside, and the keys and numbers that lead to it, in the order of a file."""
    left = [(place, value)]
    while left:
        place, value = left.pop()
        yield place, value
        if isinstance(value, dict | list | tuple):
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            left += reversed([((*place, key), inner) for key, inner in pairs])


def _dotted(place: Place) -> str:
    """`pairs[3].drift`."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place).lstrip(".")


def _figures(entry: Entry) -> Iterator[Problem]:
    results = entry.results
    for place, test in enumerate(results.controls):
        yield from _control(f"controls[{place}]", test)
    for keys, value in walk(entry.document):
        if keys and f"{keys[-1]}_".startswith("p_") and isinstance(value, int | float) and not 0 <= value <= 1:
            yield Problem(_dotted(keys)[:200], f"{value:g} is no probability")
    for section in ("rows", "interactions", "official", "floor"):
        for place, record in enumerate(getattr(results, section)):
            found = ((_dotted(keys), each) for keys, each in walk(record.model_dump()) if isinstance(each, dict))
            faults = ((keys, fault) for keys, each in found if (fault := _figure_fault(keys, each)))
            yield from (Problem(f"{section}[{place}].{keys}", fault) for keys, fault in islice(faults, 1))
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


def _figure_fault(place: str, figure: dict[str, Any]) -> str | None:
    """Why what stands at the dotted place of a record is no figure, if it claims to be one."""
    if not {"value", "low", "high", "reason"} <= figure.keys():
        return None
    value, low, high = figure["value"], figure["low"], figure["high"]
    if (low is None) != (high is None) or (value is None and low is not None):
        return "it has one bound of two, or bounds and no value"
    if low is None:
        return None if figure["reason"] else "it has no interval and no reason"
    if low > high:
        return f"its interval [{low:g}, {high:g}] is turned around"
    # Resampled means are around the mean; a largest part's or an official figure's need not be.
    if place in ("accuracy", "difference", "drift.share") and not low - _ROUNDING <= value <= high + _ROUNDING:
        return f"its interval [{low:g}, {high:g}] does not contain {value:g}"
    return None


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
