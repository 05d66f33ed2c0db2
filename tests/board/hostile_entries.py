"""Entries that are valid and hold one string wherever a file may hold free text."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from samples import CONDITIONS, sample_entry, sample_items

from vsc_eval.analysis.results import interaction_rows, result_rows
from vsc_eval.answers.hashes import prompt_hash
from vsc_eval.answers.table import AnswerTable, ItemInfo
from vsc_eval.board.board import BOARD_FILE, ENTRIES, Board, BoardSpec, spec_of
from vsc_eval.board.entry.assemble import entry_id, sealed
from vsc_eval.board.entry.canonical import entry_document, entry_text
from vsc_eval.board.entry.parts import without_paths
from vsc_eval.board.entry.rows import run_rows, run_unions
from vsc_eval.board.records import Entry
from vsc_eval.records import Reading
from vsc_eval.specs import BASELINE, ConditionSpec, EditSpec, parse_condition, save_yaml_spec
from vsc_eval.synthetic import TASKS

TOKEN = "\N{SNOWMAN}"
"""Stands for the string until all figures are there."""

NOTE_LENGTH = 2000
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N70a4AAAAAElFTkSuQmCC"
)
_EDITED = CONDITIONS[:3]
_NAMES = {"counting": TOKEN, "logic": "plain", _EDITED[2]: f"{TOKEN}+plain"}
"""Conditions and sets of the sample -> what they are called here."""


def _external_items() -> list[ItemInfo]:
    """Two items of a data set in which everything is named by the token."""
    return [
        ItemInfo(
            item_id=TOKEN + end,
            task=TOKEN,
            level=TOKEN,
            cluster=TOKEN + end,
            gold=TOKEN,
            gold_index=0,
            cluster_kind=TOKEN,
            categories=((TOKEN, TOKEN),),
        )
        for end in ("", "2")
    ]


def _table(n_per_cell: int, tasks: tuple[str, ...]) -> AnswerTable:
    rng = random.Random("hostile")
    items = [info for info, _, _ in sample_items(n_per_cell, tasks)] + _external_items()
    wrong = {item.item_id: "B" if item.gold == "A" else "A" for item in items} | {
        TOKEN + end: TOKEN + "!" for end in ("", "2")
    }
    answers = {BASELINE: tuple(i.gold if rng.random() < 0.7 else wrong[i.item_id] for i in items)}
    for name in _EDITED:
        edited = [i.gold if rng.random() < 0.6 else wrong[i.item_id] for i in items]
        # The first external item changes under every edit, so that it is in every gallery.
        edited[-2] = TOKEN + "!" if answers[BASELINE][-2] == TOKEN else TOKEN
        answers[name] = tuple(edited)
    readings = {name: tuple(Reading(kl_options=0.1) for _ in items) for name in answers}
    return AnswerTable(items=tuple(items), answers=answers, readings=readings)


def _called(condition: str) -> str:
    return _NAMES.get(condition, condition)


def _renamed(value: Any, names: dict[str, str]) -> Any:
    """Every whole string that is a key of `names`, replaced."""
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, dict):
        return {names.get(key, key): _renamed(inner, names) for key, inner in value.items()}
    return [_renamed(inner, names) for inner in value] if isinstance(value, list) else value


def _filled(value: Any, text: str) -> Any:
    """The token replaced by the text, wherever it is part of a string or a key."""
    if isinstance(value, str):
        return value.replace(TOKEN, text)
    if isinstance(value, dict):
        return {key.replace(TOKEN, text): _filled(inner, text) for key, inner in value.items()}
    return [_filled(inner, text) for inner in value] if isinstance(value, list) else value


@lru_cache(maxsize=4)
def _template(n_per_cell: int, tasks: tuple[str, ...]) -> dict[str, Any]:
    """An entry's document with the token in every free text."""
    table = _table(n_per_cell, tasks)
    sample = sample_entry("model", n_per_cell=n_per_cell, tasks=tasks, source="study", conditions=_EDITED)
    document = entry_document(sample)
    asked = document["items"]
    specs = [ConditionSpec(name=BASELINE), *(parse_condition(name, EditSpec(value=4)) for name in _EDITED)]
    targets = dict(zip(table.answers, (None, (TOKEN,), ("logic",), (TOKEN, "logic")), strict=True))
    unions = run_unions(interaction_rows(table, "model", specs, 0), specs)
    document["unions"] = [union.model_dump(mode="json") for union in unions]
    # Only what names a condition or a set is renamed: tasks and items keep their names.
    for part in ("conditions", "unions", "controls", "intervention"):
        document[part] = _renamed(document[part], _NAMES)
    for condition, tasks_of in zip(document["conditions"], targets.values(), strict=True):
        condition["targets"] = list(tasks_of or ()) or None
    rows = run_rows(result_rows(table, "model", targets, 0))
    document["rows"] = [row.model_dump(mode="json") | {"condition": _called(row.condition)} for row in rows]
    columns = {
        "id": [TOKEN, TOKEN + "2"], "task": [TOKEN] * 2, "level": [TOKEN] * 2, "cluster": [TOKEN, TOKEN + "2"],
        "cluster_kind": [TOKEN] * 2, "gold": [TOKEN] * 2, "prompt_hash": [TOKEN] * 2, "image_hash": ["none", "0" * 16],
        "options": [[TOKEN, TOKEN + "!"]] * 2,
    }  # fmt: skip
    document["items"] = {name: [*asked[name], *more] for name, more in columns.items()}
    document["items"]["answers"] = {_called(name): list(column) for name, column in table.answers.items()}
    likely = {TOKEN: [-0.5, -1.5], TOKEN + "!": [-1.5, -0.5]}
    document["logprobs"] = {_called(name): {TOKEN: likely[column[-2]]} for name, column in table.answers.items()}
    document["shown"] = {TOKEN: {"question": TOKEN, "picture": PIXEL}, TOKEN + "2": {"question": TOKEN}}
    return document | _words(document)


def _hostile(word: str, spared: str = "") -> str:
    """With the token; different words stay different."""
    return word if word == spared else f"{TOKEN}{word}"


def _words(document: dict[str, Any]) -> dict[str, Any]:
    """The sections of a document that hold nothing but words, with the token in all of them."""
    provenance = document["provenance"] | {
        "device": TOKEN,
        "machine": TOKEN,
        "packages": {TOKEN: TOKEN, "torch": TOKEN},
        "task_hashes": document["provenance"]["task_hashes"] | {TOKEN: TOKEN},
        "settings": {TOKEN: TOKEN, "list": [TOKEN, {TOKEN: TOKEN}]},
    }
    interval = {"value": 0.5, "low": 0.25, "high": 0.75, "reason": TOKEN}
    official = {
        "task": TOKEN, "metric": TOKEN, "figure": TOKEN, "is_main": True, "unit": TOKEN, "value": interval,
    }  # fmt: skip
    return {
        "model": {"name": TOKEN, "revision": TOKEN, "fingerprint": TOKEN, "dtype": TOKEN},
        "intervention": document["intervention"] | {"name": TOKEN, "sae_fingerprint": TOKEN},
        "note": TOKEN,
        "provenance": provenance,
        "conditions": [
            each if each["role"] == "baseline" else each | {"edit": TOKEN, "content_hash": f"{TOKEN}{place}"}
            for place, each in enumerate(document["conditions"])
        ],
        "rows": [
            row | {"method": TOKEN, "accuracy": row["accuracy"] | {"reason": TOKEN}} for row in document["rows"]
        ],
        "official": [
            official | {"condition": BASELINE},
            official | {"condition": TOKEN, "difference": interval | {"value": 0.0, "low": -0.25, "high": 0.25}},
        ],
        "unions": [
            union | {"edit": TOKEN, "decided_by": TOKEN, "drift_interaction": union["drift_interaction"] | {"reason":
            TOKEN}} for union in document["unions"]
        ],
        "controls": [control | {"kind": TOKEN, "outcome": TOKEN} for control in document["controls"][:1]],
        "floor": [row | {"name": TOKEN, "drift": row["drift"] | {"reason": TOKEN}} for row in document["floor"]],
        "probes": document["probes"] | {
            "chosen_by": TOKEN,
            "interval": TOKEN,
            "chance": {TOKEN: 0.25},
            "points": [
                point
                | {key: _hostile(point[key], "real") for key in ("target", "control")}
                | {"pooling": TOKEN}
                for point in document["probes"]["points"]
            ],
        },
    }  # fmt: skip


@lru_cache(maxsize=256)
def hostile_entry(text: str, *, n_per_cell: int = 4, tasks: tuple[str, ...] = TASKS) -> Entry:
    """A valid entry that holds `text` in every free text; notes are cut to what the schema takes."""
    document = _filled(_template(n_per_cell, tasks), text)
    document["items"]["prompt_hash"][-2:] = [prompt_hash(text)] * 2
    document["provenance"]["settings"] = without_paths(document["provenance"]["settings"])
    document["note"] = text[:NOTE_LENGTH]
    entry = Entry.model_validate(document)
    given = (entry.model, entry.provenance.backend, entry.intervention, entry.scoring, entry.conditions, entry.items)
    return sealed(entry.model_copy(update={"id": entry_id(*given)}))


def hostile_board(path: Path, strings: Sequence[str], *, n_per_cell: int = 4, tasks: tuple[str, ...] = TASKS) -> Board:
    """Write a board below `path` with one hostile entry for each string, all asked the same synthetic items and each
    one external task of its own. All strings are in the board's title and description too; nothing is built."""
    entries = [hostile_entry(text, n_per_cell=n_per_cell, tasks=tasks) for text in strings]
    specs = [spec_of(e.items, name=e.board, title="x", scoring=e.scoring, generator_version="1") for e in entries]
    spec = BoardSpec(
        name=specs[0].name,
        title=" | ".join(text[:200] for text in strings),
        description="\n\n".join(strings),
        scoring=specs[0].scoring,
        generator_version=specs[0].generator_version,
        tasks={task: asked for each in specs for task, asked in each.tasks.items()},
    )
    (path / ENTRIES).mkdir(parents=True, exist_ok=True)
    save_yaml_spec(path / BOARD_FILE, spec)
    for entry in entries:
        (path / ENTRIES / f"{entry.id}.json").write_text(entry_text(entry), encoding="utf-8")
    return Board(path=path, spec=spec, entries=tuple(sorted(entries, key=lambda entry: entry.id)))
