"""What an entry says of itself: its id, conditions, items, provenance, log-probabilities and pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from vsc_eval.board.check.problem import Finding
from vsc_eval.board.entry.assemble import entry_id
from vsc_eval.board.entry.parts import without_paths
from vsc_eval.board.gallery.data_uri import picture_problem
from vsc_eval.board.records import BoardCondition, Entry, ItemTable, Provenance
from vsc_eval.extract import INVALID
from vsc_eval.specs import BASELINE
from vsc_eval.synthetic import TASKS

MAX_TEXT = 20_000
"""Characters of any string but a picture. An answer of 10,000 is nothing unusual for a model that repeats itself."""


def part_findings(entry: Entry) -> Iterator[Finding]:
    """All that is wrong, but at most one finding for each kind of log-probability or text."""
    yield from _identity(entry)
    yield from _conditions(entry)
    yield from _items(entry)
    yield from _provenance(entry)
    yield from _logprobs(entry)
    yield from _shown(entry)
    yield from _texts(entry)


def _identity(entry: Entry) -> Iterator[Finding]:
    right = entry_id(
        entry.model, entry.provenance.backend, entry.intervention, entry.scoring, entry.conditions, entry.items
    )
    if entry.id != right:
        yield Finding("id", f"it is {entry.id}, and what the entry holds gives {right}")


def _conditions(entry: Entry) -> Iterator[Finding]:
    names = [condition.name for condition in entry.conditions]
    if len(set(names)) < len(names):
        yield Finding("conditions", "two of them have one name")
    if set(names) != set(entry.items.answers):
        odd = sorted(set(names) ^ set(entry.items.answers))[0]
        yield Finding("conditions", f"'{odd:.80}' is not both a condition and a column of answers")
    edited = [condition for condition in entry.conditions if condition.name != BASELINE]
    if bool(edited) != (entry.intervention is not None):
        yield Finding("intervention", "an entry has an intervention exactly if it has a condition that edits")
    if entry.intervention is not None and entry.intervention.layer < 0:
        yield Finding("intervention.layer", f"there is no layer {entry.intervention.layer}")
    known = entry.intervention.sets if entry.intervention else {}
    for place, condition in enumerate(entry.conditions):
        fault = _condition_fault(condition)
        missing = [name for name in condition.sets if name not in known]
        if fault is None and condition.is_headline != _is_headline(condition, entry.provenance):
            fault = f"`is_headline` of '{condition.name:.80}' is {condition.is_headline}: it is for the run to say"
        if fault or missing:
            yield Finding(f"conditions[{place}]", fault or f"the intervention has no set '{missing[0]:.80}'")


def _is_headline(condition: BoardCondition, provenance: Provenance) -> bool:
    """Every condition, but of a study whose settings name a verdict's edit only the baseline and those of that edit."""
    rule = provenance.settings.get("verdict")
    edit = rule.get("edit") if isinstance(rule, Mapping) else None
    return provenance.source == "run" or edit is None or condition.edit in (None, edit)


def _condition_fault(condition: BoardCondition) -> str | None:
    is_baseline = condition.name == BASELINE
    if is_baseline != (condition.role == "baseline") or is_baseline != (condition.edit is None):
        return f"'{condition.name:.80}' has the role {condition.role} and the edit {condition.edit!r:.40}"
    if is_baseline != (condition.content_hash == BASELINE):
        return "only the baseline has the hash `baseline`"
    if {"baseline": 0, "single": 1}.get(condition.role, 2) > len(condition.sets) or (
        condition.role in ("baseline", "single") and len(condition.sets) > 1
    ):
        return f"a condition of the role {condition.role} has {len(condition.sets)} sets"
    return "the baseline has sets" if is_baseline and condition.sets else None


def _items(entry: Entry) -> Iterator[Finding]:
    items = entry.items
    for row, name in enumerate(items.id):
        if items.gold[row] == INVALID:
            yield Finding(f"items.gold[{row}]", f"the right answer to '{name:.80}' cannot be `{INVALID}`")
        if items.task[row] in TASKS and name != f"{items.cluster[row]}/{items.gold[row]}":
            yield Finding(f"items.id[{row}]", f"the synthetic item '{name:.80}' is not of its orbit and right answer")
        elif items.task[row] in TASKS and not name.startswith(f"test/{items.task[row]}/{items.level[row]}/"):
            yield Finding(f"items.id[{row}]", f"the synthetic item '{name:.80}' is not of its task and level")
        elif items.task[row] in TASKS and entry.scoring == "loglikelihood" and not items.options[row]:
            yield Finding(f"items.options[{row}]", f"the synthetic item '{name:.80}' has no options")
    if entry.scoring != "loglikelihood":
        return
    for condition, column in items.answers.items():
        for row, answer in enumerate(column):
            place = _option(items, row, answer)
            if place is None and answer != INVALID and _option(items, row, items.gold[row]) is not None:
                yield Finding(f"items.answers.{condition:.80}[{row}]", f"'{answer:.40}' is none of the options")
                break


def _option(items: ItemTable, row: int, answer: str) -> int | None:
    """The place of an answer among the item's options: `no` is `No`. None where options are no answers, as texts are
    none where letters are parsed."""
    options = [option.strip().casefold() for option in items.options[row]]
    return options.index(answer.casefold()) if answer.casefold() in options else None


def _provenance(entry: Entry) -> Iterator[Finding]:
    found = entry.provenance
    try:
        moment = datetime.fromisoformat(found.date)
        # fromisoformat also takes weeks, and any character between date and time.
        is_date = moment.tzinfo is not None and moment.isoformat() == found.date
    except ValueError:
        is_date = False
    if not is_date:
        yield Finding("provenance.date", f"'{found.date:.40}' is no ISO 8601 date and time with an offset from UTC")
    if (found.generator_version is not None) != any(task in TASKS for task in entry.items.task):
        yield Finding("provenance.generator_version", "it is there exactly if synthetic tasks were asked")
    if without_paths(found.settings) != found.settings:
        yield Finding("provenance.settings", "they hold a path of the machine that the run was made on")


def _logprobs(entry: Entry) -> Iterator[Finding]:
    items = entry.items
    rows = {name: row for row, name in enumerate(items.id)}
    for condition, by_item in entry.logprobs.items():
        if condition not in items.answers:
            yield Finding("logprobs", f"the condition '{condition:.80}' has no answers")
            continue
        for name, values in by_item.items():
            row = rows.get(name)
            fault = (
                "there is no such item"
                if row is None
                else _logprob_fault(values, items, row, items.answers[condition][row], entry.scoring)
            )
            if fault is None and condition != BASELINE and row is not None:
                same = items.answers[condition][row] == items.answers[BASELINE][row]
                fault = "its answer did not change" if same else None
            if fault:
                yield Finding(f"logprobs.{condition:.80}.{name:.80}", fault)
                break


def _logprob_fault(
    values: tuple[float | None, ...], items: ItemTable, row: int, answer: str, scoring: str
) -> str | None:
    if len(values) != len(items.options[row]):
        return f"{len(values)} log-probabilities for {len(items.options[row])} options"
    there = [-math.inf if value is None else value for value in values]
    if max(there, default=0.0) > 1e-6:
        return f"the log-probability {max(there):g} is above 0"
    if (total := sum(map(math.exp, there))) > 1.001:
        return f"the probabilities add up to {total:.4f}"
    # What was written is rounded: two options may have become equal.
    place = _option(items, row, answer)
    if scoring == "loglikelihood" and place is not None and there[place] < max(there) - 1e-4:
        return f"'{answer:.40}' was answered, and another option is likelier"
    return None


def _shown(entry: Entry) -> Iterator[Finding]:
    for name, shown in entry.shown.items():
        if name not in entry.items.id:
            yield Finding(f"shown.{name:.80}", "there is no such item")
        elif shown.picture is not None and (fault := picture_problem(shown.picture)):
            yield Finding(f"shown.{name:.80}.picture", f"it {fault}")


def _texts(entry: Entry) -> Iterator[Finding]:
    document = entry.model_dump(mode="json", exclude_defaults=True)
    document.pop("shown", None)
    long = _too_long(document, "")
    questions = {name: shown.question for name, shown in entry.shown.items()}
    long = long or _too_long(questions, "shown")
    if long:
        yield Finding(long[0], f"a text of {long[1]:,} characters; one may have {MAX_TEXT:,}")


def _too_long(value: Any, place: str) -> tuple[str, int] | None:
    if isinstance(value, str):
        return (place or "top level", len(value)) if len(value) > MAX_TEXT else None
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        if isinstance(key, str) and len(key) > MAX_TEXT:
            return f"{place}.{key:.40}...".lstrip("."), len(key)
        if (found := _too_long(inner, f"{place}.{str(key)[:80]}".lstrip("."))) is not None:
            return found
    return None
