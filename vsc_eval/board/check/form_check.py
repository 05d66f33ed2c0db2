"""What an entry says of itself: its id, conditions, items, provenance, log-probabilities and pictures."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np

from vsc_eval.answers.answer_table import FLOAT_COLUMNS, Answers, AnswerTable, AskedItem
from vsc_eval.board.check.problem import Finding
from vsc_eval.board.entry.folder import Parts, entry_id
from vsc_eval.board.entry.paths import results_without_paths, without_paths
from vsc_eval.board.entry.view import shown_conditions
from vsc_eval.board.gallery.data_uri import picture_problem
from vsc_eval.extract import INVALID
from vsc_eval.specs import BASELINE
from vsc_eval.synthetic import TASKS

MAX_TEXT = 20_000
"""Characters of any string but a picture. An answer of 10,000 is nothing unusual for a model that repeats itself."""
_ROUNDING = 1e-3
"""Float32 probabilities need not add up to 1 exactly, nor KL be above 0."""


def form_findings(parts: Parts) -> Iterator[Finding]:
    """All that is wrong, but at most one finding for each kind of log-probability or text."""
    if parts.about.id != (right := entry_id(parts)):
        yield Finding("id", f"it is {parts.about.id}, and what the entry holds gives {right}")
    yield from _hashes(parts)
    yield from _conditions(parts)
    yield from _items(parts.table)
    yield from _provenance(parts)
    for name, answers in {"main": parts.table.main, **parts.table.passes}.items():
        yield from _answers(name, answers, parts.table)
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
    if len({item.item_id for item in table.items}) < len(table.items):
        yield Finding("items.item_id", "an item is there twice")
    for row, item in enumerate(table.items):
        name, is_synthetic = item.item_id, item.task in TASKS
        if item.gold == INVALID:
            yield Finding(f"items.gold[{row}]", f"the right answer to '{name:.80}' cannot be `{INVALID}`")
        if is_synthetic and name != f"{item.cluster}/{item.gold}":
            yield Finding(
                f"items.item_id[{row}]", f"the synthetic item '{name:.80}' is not of its orbit and right answer"
            )
        elif is_synthetic and not name.startswith(f"test/{item.task}/{item.level}/"):
            yield Finding(f"items.item_id[{row}]", f"the synthetic item '{name:.80}' is not of its task and level")
        elif is_synthetic and item.scoring == "loglikelihood" and not item.options:
            yield Finding(f"items.options[{row}]", f"the synthetic item '{name:.80}' has no options")
        if item.options and item.gold_index is not None and not 0 <= item.gold_index < len(item.options):
            yield Finding(f"items.gold_index[{row}]", f"'{name:.80}' has no option {item.gold_index}")


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


def _answers(name: str, answers: Answers, table: AnswerTable) -> Iterator[Finding]:
    """The first fault of each kind among the answers of a pass."""
    logprobs = answers.option_logprobs.astype(np.float64)
    faults: list[tuple[np.ndarray[Any, Any], str]] = []
    if logprobs.shape[2]:
        there = np.nan_to_num(logprobs, nan=-np.inf)
        top, total = there.max(-1), np.exp(np.minimum(there, 1)).sum(-1)
        faults.append((top > _ROUNDING, "a log-probability is above 0"))
        faults.append((total > 1 + _ROUNDING, "the probabilities add up to {total:.4f}"))
        chosen = _of_answer(answers, table, there)
        faults.append((chosen < top - _ROUNDING, "'{answer:.40}' was answered, and another option is likelier"))
    faults.append((_odd_answers(answers, table), "'{answer:.40}' is none of the options"))
    for mask, words in faults:
        for condition, item in np.argwhere(mask)[:1].tolist():
            answer = answers.vocabulary[answers.answer[condition, item]]
            shown = words.format(answer=answer, total=total[condition, item] if logprobs.shape[2] else 0)
            place = f"{answers.names[condition]:.80}.{table.items[item].item_id:.80}"
            yield Finding(f"answers.{place}" if name == "main" else f"answers.{name}.{place}", shown)
    for column in FLOAT_COLUMNS:
        if column != "option_logprobs_sum" and np.any(answers.float_column(column) < -_ROUNDING):
            yield Finding(f"answers.{column}", "one is negative")


def _of_answer(answers: Answers, table: AnswerTable, logprobs: Any) -> Any:
    """Log-probability of the option that was answered [conditions, items]; infinite where none was, or where answers
    are no options."""
    found = np.full(answers.answer.shape, np.inf)
    for place, item in enumerate(table.items):
        if item.scoring == "loglikelihood":
            for condition, code in enumerate(answers.answer[:, place]):
                option = _option(item, answers.vocabulary[code])
                if option is not None and option < logprobs.shape[2] and np.isfinite(logprobs[condition, place]).any():
                    found[condition, place] = logprobs[condition, place, option]
    return found


def _odd_answers(answers: Answers, table: AnswerTable) -> Any:
    """Which answers are none of the options of an item whose right answer is one."""
    found = np.zeros(answers.answer.shape, dtype=np.bool_)
    invalid = [word == INVALID for word in answers.vocabulary]
    for place, item in enumerate(table.items):
        if item.scoring == "loglikelihood" and _option(item, item.gold) is not None:
            codes = answers.answer[:, place]
            fits = {code: invalid[code] or _option(item, answers.vocabulary[code]) is not None for code in set(codes)}
            found[:, place] = [not fits[code] for code in codes]
    return found


def _option(item: AskedItem, answer: str) -> int | None:
    """The place of an answer among the item's options: `no` is `No`. None where options are no answers, as texts are
    none where letters are parsed."""
    options = [option.strip().casefold() for option in item.options]
    return options.index(answer.casefold()) if answer.casefold() in options else None


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
            "items": [vars(item) for item in table.items],
            "conditions": [[c.name, *c.spec.sets, *(c.targets or ())] for c in table.conditions],
            "answers": [list(part.vocabulary) for part in (table.main, *table.passes.values())],
            "pictures": {name: shown.question for name, shown in parts.shown.items()},
        }
    )
    if long:
        yield Finding(long[0], f"a text of {long[1]:,} characters; one may have {MAX_TEXT:,}")


def _too_long(value: Any, place: str = "") -> tuple[str, int] | None:
    if isinstance(value, str):
        return (place, len(value)) if len(value) > MAX_TEXT else None
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, inner in pairs:
        if isinstance(key, str) and len(key) > MAX_TEXT:
            return f"{place}.{key:.40}...".lstrip("."), len(key)
        if (found := _too_long(inner, f"{place}.{str(key)[:80]}".lstrip("."))) is not None:
            return found
    return None
