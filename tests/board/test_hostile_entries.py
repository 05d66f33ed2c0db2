"""Hostile entries are hostile everywhere, and valid."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hostile import HOSTILE, NAMED
from hostile_entries import hostile_board, hostile_parts
from samples import sample_parts

from vsc_eval.board.check import check_entries
from vsc_eval.board.records import Entry
from vsc_eval.board.spec import read_board_spec

MARK = "\N{CLOUD}mark"

PLAIN = {
    "about.id", "about.board", "about.source", "about.date", "about.sha256", "run.hashes.generator_version",
    "run.settings.verdict.edit", "run.settings.model", "items.prompt_hash", "items.image_hash", "items.scoring",
    "shown.picture", "results.model", "results.rows.role", "results.rows.scope", "results.interactions.form",
    "results.interactions.verdict", "results.interactions.decided_by", "results.controls.kind",
    "results.controls.outcome", "results.floor.name", "results.rows.mcnemar.method", "results.controls.effect",
    "results.rows.mcnemar.reason",
}  # fmt: skip
"""Texts that are held to a pattern, or computed; those of probes are of few words."""


def texts(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """(dotted place without numbers, string)."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from texts(inner, f"{place}.{key}".strip("."))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts(inner, place)


def fields(parts: Entry) -> dict[str, list[str]]:
    """Field -> its strings, maps by their name alone."""
    document = {
        "about": parts.about.model_dump(mode="json"),
        "run": dict(parts.run),
        "items": [asdict(item) for item in parts.table.items],
        "conditions": [
            {"name": c.name, "sets": c.spec.sets, "content_hash": c.content_hash, "targets": c.targets}
            for c in parts.table.conditions
        ],
        "answers": parts.table.main.vocabulary,
        "results": parts.document,
        "shown": [shown.model_dump(mode="json") for shown in parts.shown.values()],
    }
    found: dict[str, list[str]] = {}
    for place, text in texts(json.loads(json.dumps(document))):
        cut = next((i + 1 for i, part in enumerate(place.split(".")) if part in ("packages", "tasks", "sets")), 9)
        found.setdefault(".".join(place.split(".")[:cut]), []).append(text)
    return found


def test_the_string_is_in_every_free_text() -> None:
    found = fields(hostile_parts(MARK))
    without = {name for name, own in found.items() if not any(MARK in text for text in own)}
    assert {name for name in without if not name.startswith("results.probing")} <= PLAIN
    # A field that the schema gains is missing here until the hostile entry fills it.
    study = set(fields(sample_parts("full", source="study", note="x")))
    missing = {name for name in study - set(found) if not name.startswith(("run.settings", "run.hashes"))}
    assert missing <= PLAIN | {"results.official.reason"}


def test_a_board_with_all_of_them_is_valid_and_the_same_after_its_files(tmp_path: Path) -> None:
    board = hostile_board(tmp_path, HOSTILE, tasks=("counting",))
    assert len({entry.id for entry in board.entries}) == len(NAMED)
    entries, problems = check_entries(tmp_path)
    assert problems == ()
    assert [entry.about.sha256 for entry in entries] == [entry.about.sha256 for entry in board.entries]
    assert read_board_spec(tmp_path) == board.spec
