"""Entries that are valid and hold one string wherever a file may hold free text."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from samples import DRAWS, add_entry, load_board, parts_of, sample_items, sample_parts, table_of

from vsc_eval.answers.answer_table import AskedCondition, AskedItem
from vsc_eval.board.board import Board
from vsc_eval.board.entry_files import without_paths
from vsc_eval.board.records import Entry, Results, Shown
from vsc_eval.board.spec import BOARD_FILE, ENTRIES, BoardSpec, spec_of
from vsc_eval.files import short_hash
from vsc_eval.specs import BASELINE, ConditionSpec, EditSpec, save_yaml_spec
from vsc_eval.synthetic import TASKS

NOTE_LENGTH = 2000
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N70a4AAAAAElFTkSuQmCC"
)


def _external_items(text: str) -> list[AskedItem]:
    """Two items of a data set in which everything is named by the text; the first is asked without a picture."""
    return [
        AskedItem(
            item_id=text + end,
            task=text,
            level=text,
            cluster=text + end,
            gold=text,
            gold_index=0,
            cluster_kind=text,
            categories=((text, text),),
            options=(text, text + "!"),
            prompt_hash=short_hash(text),
            image_hash="0" * 16 if end else "none",
        )
        for end in ("", "2")
    ]


def _conditions(text: str) -> tuple[AskedCondition, ...]:
    # The edit in words is what stands behind the first colon. A name that holds the text twice is within MAX_TEXT.
    edit = text[:9_000]
    named = {text: (text,), f"plain:{edit}": ("plain",), f"{text}+plain:{edit}": (text, "plain")}
    edits = [
        AskedCondition(
            ConditionSpec(name=name, sets=sets, edit=EditSpec(value=4)), content_hash=f"{text}{name}", targets=sets
        )
        for name, sets in named.items()
    ]
    return (AskedCondition(ConditionSpec(name=BASELINE)), *edits)


def _answers(items: Sequence[AskedItem], names: Sequence[str], text: str) -> dict[str, list[str]]:
    rng = random.Random("hostile")
    wrong = [text + "!" if item.gold == text else "B" if item.gold == "A" else "A" for item in items]

    def column(skill: float) -> list[str]:
        return [item.gold if rng.random() < skill else other for item, other in zip(items, wrong, strict=True)]

    answers = {name: column(0.7 if name == BASELINE else 0.6) for name in names}
    for name in names[1:]:
        # The first external item changes under every edit, so that it is in every gallery.
        answers[name][-2] = wrong[-2] if answers[BASELINE][-2] == text else text
    return answers


@lru_cache(maxsize=256)
def hostile_parts(text: str, *, n_per_cell: int = 4, tasks: tuple[str, ...] = TASKS) -> Entry:
    """The files of a valid entry that hold `text` in every free text; notes are cut to what the schema takes."""
    sample = sample_parts("model", n_per_cell=n_per_cell, tasks=tasks, source="study")
    items = [*sample_items(n_per_cell, tasks), *_external_items(text)]
    conditions = _conditions(text)
    rng = random.Random("hostile")
    table = table_of(items, conditions, _answers(items, [c.name for c in conditions], text), rng)
    table = dataclasses.replace(table, passes={"other_batches": table.main.take([0])})
    assert sample.about.intervention is not None
    own: dict[str, Any] = {"sae_fingerprint": text, "layer": 4}
    sets = {text: (0, 10), "plain": (1, 11)}
    about = sample.about.model_copy(
        update={
            "name": text,
            "note": text[:NOTE_LENGTH],
            "dtype": text,
            "device": text,
            "machine": text,
            "packages": {text: text, "torch": text},
            "intervention": sample.about.intervention.model_copy(update={"name": text, "sets": sets, **own}),
        }
    )
    settings = {text: text, "list": [text, {text: text}], "model": "model", "seed": 0, "statistics": dict(DRAWS)}
    settings |= {"verdict": {"edit": text}, "controls": {"items_per_cell": n_per_cell}}
    hashes = {
        "model_fingerprint": without_paths(text),
        "model_revision": text,
        "tasks": {text: text},
        "generator_version": "1",
        **own,
    }
    run = {"schema_version": 1, "settings": without_paths(settings), "hashes": hashes}
    parts = parts_of(about, run, table, rng)
    parts.document["probing"] |= without_paths({"chosen_by": text, "interval": text})
    shown = {text: Shown(question=text, picture=PIXEL), text + "2": Shown(question=text)}
    return dataclasses.replace(parts, results=Results.model_validate(parts.document), shown=shown)


def hostile_entry(text: str, *, n_per_cell: int = 4, tasks: tuple[str, ...] = TASKS) -> Entry:
    """The entry of `hostile_parts`, in memory."""
    return hostile_parts(text, n_per_cell=n_per_cell, tasks=tasks)


def hostile_board(path: Path, strings: Sequence[str], *, n_per_cell: int = 4, tasks: tuple[str, ...] = TASKS) -> Board:
    """Write a board below `path` with one hostile entry for each string, all asked the same synthetic items and each
    one external task of its own. All strings are in the board's title and description too; nothing is built."""
    found = [hostile_parts(text, n_per_cell=n_per_cell, tasks=tasks) for text in strings]
    specs = [
        spec_of(each.table.items, name=each.about.board, title="x", scoring="loglikelihood", generator_version="1")
        for each in found
    ]
    spec = specs[0].model_copy(
        update={
            "title": " | ".join(text[:200] for text in strings),
            "description": "\n\n".join(strings),
            "tasks": {task: asked for each in specs for task, asked in each.tasks.items()},
        }
    )
    (path / ENTRIES).mkdir(parents=True, exist_ok=True)
    save_yaml_spec(path / BOARD_FILE, BoardSpec.model_validate(spec.model_dump()))
    for each in found:
        add_entry(path, each)
    return load_board(path)
