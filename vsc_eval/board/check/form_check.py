"""What an entry says of itself: its id, conditions, items, provenance, log-probabilities and pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime
from typing import Any

from vsc_eval.answers.answer_table import AnswerTable, AskedItem
from vsc_eval.answers.table_faults import Fault, answer_faults, item_faults, shape_faults
from vsc_eval.board.check.problem import Finding
from vsc_eval.board.entry.folder import Parts, entry_id
from vsc_eval.board.entry.paths import results_without_paths, without_paths
from vsc_eval.board.entry.view import shown_conditions
from vsc_eval.figures.data_uri import picture_problem
from vsc_eval.specs import BASELINE
from vsc_eval.synthetic import TASKS

MAX_TEXT = 20_000
"""Characters of any string but a picture. An answer of 10,000 is nothing unusual for a model that repeats itself."""


def form_findings(parts: Parts) -> Iterator[Finding]:
    """All that is wrong, but at most one finding for each kind of log-probability or text."""
    if parts.about.id != (right := entry_id(parts)):
        yield Finding("id", f"it is {parts.about.id}, and what the entry holds gives {right}")
    yield from _hashes(parts)
    yield from _conditions(parts)
    yield from _items(parts.table)
    yield from _provenance(parts)
    yield from (Finding(*fault) for fault in _faults(parts.table))
    yield from _shown(parts)
    yield from _texts(parts)


def _hashes(parts: Parts) -> Iterator[Finding]:
    """run.yaml says of which model and conditions it is, and the other files say it too."""
    hashes = parts.hashes
    if hashes.get("model_fingerprint") != parts.results.model_fingerprint:
        yield Finding("hashes.model_fingerprint", "run.yaml and results.json are of different models")
    stated = hashes.get("conditions")
    asked = {condition.name: condition.content_hash for condition in parts.table.conditions}
    if isinstance(stated, dict) and any(asked.get(name) != found for name, found in stated.items()):
        odd = next(name for name, found in stated.items() if asked.get(name) != found)
        yield Finding("hashes.conditions", f"run.yaml has another '{odd!s:.80}' than conditions.parquet")
    edits = [c for c in parts.table.conditions if c.spec.edit is not None]
    if (found := parts.about.intervention) is not None and edits:
        for key, own in (("sae_fingerprint", found.sae_fingerprint), ("layer", found.layer)):
            if hashes.get(key) not in (None, own):
                yield Finding(f"intervention.{key}", f"it is {own!s:.40}, and run.yaml says {hashes.get(key)!s:.40}")


def _conditions(parts: Parts) -> Iterator[Finding]:
    found = parts.about.intervention
    conditions = shown_conditions(parts.table)
    if (len(conditions) > 1) != (found is not None):
        yield Finding("intervention", "an entry has an intervention exactly if it has a condition that edits")
    if found is not None and found.layer < 0:
        yield Finding("intervention.layer", f"there is no layer {found.layer}")
    known = found.sets if found else {}
    for place, condition in enumerate(conditions):
        where = f"conditions[{place}]"
        if (condition.name == BASELINE) != (condition.spec.edit is None) or condition.control_kind is not None:
            yield Finding(where, f"'{condition.name:.80}' is no condition that a board shows")
        elif (condition.name == BASELINE) != (condition.content_hash == BASELINE):
            yield Finding(where, "only the baseline has the hash `baseline`")
        elif missing := [name for name in condition.spec.sets if name not in known]:
            yield Finding(where, f"the intervention has no set '{missing[0]:.80}'")


def _items(table: AnswerTable) -> Iterator[Finding]:
    if not table.items:
        yield Finding("items", "there are none")
    for row, item in enumerate(table.items):
        name, is_synthetic = item.item_id, item.task in TASKS
        if is_synthetic and name != f"{item.cluster}/{item.gold}":
            yield Finding(
                f"items.item_id[{row}]", f"the synthetic item '{name:.80}' is not of its orbit and right answer"
            )
        elif is_synthetic and not name.startswith(f"test/{item.task}/{item.level}/"):
            yield Finding(f"items.item_id[{row}]", f"the synthetic item '{name:.80}' is not of its task and level")
        elif is_synthetic and item.scoring == "loglikelihood" and not item.options:
            yield Finding(f"items.options[{row}]", f"the synthetic item '{name:.80}' has no options")


def _faults(table: AnswerTable) -> Iterator[Fault]:
    yield from shape_faults(table)
    yield from item_faults(table)
    for name, answers in {"main": table.main, **table.passes}.items():
        yield from answer_faults(name, answers, table)


def _provenance(parts: Parts) -> Iterator[Finding]:
    date, version = parts.about.date, parts.hashes.get("generator_version")
    try:
        moment = datetime.fromisoformat(date)
        # fromisoformat also takes weeks, and any character between date and time.
        is_date = moment.tzinfo is not None and moment.isoformat() == date
    except ValueError:
        is_date = False
    if not is_date:
        yield Finding("date", f"'{date:.40}' is no ISO 8601 date and time with an offset from UTC")
    if version is None and any(item.task in TASKS for item in parts.table.items):
        yield Finding("hashes.generator_version", "it is there exactly if synthetic tasks were asked")
    settings = parts.run.get("settings")
    for name, has_path in (
        ("run.yaml", without_paths(settings) != settings),
        ("results.json", results_without_paths(parts.document) != parts.document),
    ):
        if has_path:
            yield Finding(name, "it holds a path of the machine that the run was made on")


def _shown(parts: Parts) -> Iterator[Finding]:
    known = {item.item_id for item in parts.table.items}
    for name, shown in parts.shown.items():
        if name not in known:
            yield Finding(f"pictures.{name:.80}", "there is no such item")
        elif shown.picture is not None and (fault := picture_problem(shown.picture)):
            yield Finding(f"pictures.{name:.80}.picture", f"it {fault}")


def _texts(parts: Parts) -> Iterator[Finding]:
    table = parts.table
    long = _too_long(
        {
            "entry": parts.about.model_dump(mode="json"),
            "run": dict(parts.run),
            "results": parts.document,
            # By column, each text once: a data set has thousands of items of few tasks and options.
            "items": {f.name: list({getattr(item, f.name): 0 for item in table.items}) for f in fields(AskedItem)},
            "conditions": [[c.name, *c.spec.sets, *(c.targets or ())] for c in table.conditions],
            "answers": [list(part.vocabulary) for part in (table.main, *table.passes.values())],
            "pictures": {name: shown.question for name, shown in parts.shown.items()},
        }
    )
    if long:
        yield Finding(".".join(long[0]), f"a text of {long[1]:,} characters; one may have {MAX_TEXT:,}")


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
