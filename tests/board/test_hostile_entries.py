"""Hostile entries are hostile everywhere, and valid."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile import HOSTILE, HOSTILE_IDS, NAMED, NO_JSON_TEXT
from hostile_entries import NOTE_LENGTH, hostile_board, hostile_entry
from samples import sample_entry

from vsc_eval.board.board import read_board_spec
from vsc_eval.board.check.board_check import check_entries
from vsc_eval.board.entry.canonical import entry_document, entry_sha256, entry_text
from vsc_eval.board.records import Entry

MARK = "\N{CLOUD}mark"

PLAIN = {
    "id", "board", "scoring", "sha256", "provenance.backend", "provenance.date", "provenance.source",
    "provenance.generator_version", "conditions.role", "rows.scope", "unions.form", "controls.effect",
    "items.prompt_hash", "items.image_hash", "shown.picture", "unions.verdict",
}  # fmt: skip
"""Texts that the schema or the checks hold to a pattern."""


def texts(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """(dotted place without numbers and keys of free maps, string)."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from texts(inner, f"{place}.{key}".strip("."))
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner, place)


def schema_texts(entry: Entry) -> dict[str, list[str]]:
    """Field -> its strings, maps by their name alone."""
    found: dict[str, list[str]] = {}
    for place, text in texts(entry_document(entry)):
        parts = place.split(".")
        free = {"packages", "task_hashes", "settings", "sets", "answers", "logprobs", "chance"}
        cut = next((i + 1 for i, part in enumerate(parts) if part in free and i < 2), len(parts))
        name = f"shown.{parts[-1]}" if parts[0] == "shown" else ".".join(parts[:cut])
        found.setdefault(name, []).append(text)
    return found


def test_the_string_is_in_every_free_text() -> None:
    fields = schema_texts(hostile_entry(MARK))
    without = {name for name, found in fields.items() if not any(MARK in text for text in found)}
    assert without <= PLAIN
    # A field that the schema gains is missing here until the hostile entry fills it.
    study = set(schema_texts(sample_entry("full", source="study", note="x")))
    assert study - set(fields) <= PLAIN


@pytest.mark.parametrize("text", HOSTILE, ids=HOSTILE_IDS)
def test_an_entry_with_it_is_the_same_after_its_file(text: str) -> None:
    entry = hostile_entry(text, tasks=("counting",))
    assert entry.note == text[:NOTE_LENGTH]
    assert entry.sha256 == entry_sha256(entry)
    written = entry_text(entry)
    assert written.isascii()
    assert Entry.model_validate(json.loads(written)) == entry
    assert Entry.model_validate_json(written) == entry


def test_a_board_with_all_of_them_is_valid_and_the_same_after_its_files(tmp_path: Path) -> None:
    board = hostile_board(tmp_path, HOSTILE, tasks=("counting",))
    assert len({entry.id for entry in board.entries}) == len(NAMED)
    entries, problems = check_entries(tmp_path)
    assert problems == ()
    assert entries == board.entries
    assert read_board_spec(tmp_path) == board.spec


@pytest.mark.parametrize("raw", NO_JSON_TEXT.values(), ids=NO_JSON_TEXT.keys())
def test_what_is_no_text_is_in_no_entry(raw: bytes) -> None:
    written = entry_text(hostile_entry(MARK)).encode()
    damaged = written.replace(json.dumps(MARK).encode(), raw, 1)
    assert damaged != written
    with pytest.raises(ValueError, match=r".+"):
        Entry.model_validate_json(damaged)
