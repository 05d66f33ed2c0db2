"""Entries of every schema version stay readable, and what is no entry is refused in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from samples import sample_entry

from vsc_eval.board.board import spec_of
from vsc_eval.board.check import entry_findings
from vsc_eval.board.entry import read
from vsc_eval.board.entry.canonical import content_sha256, entry_text
from vsc_eval.board.entry.migrate import MIGRATIONS, migrated
from vsc_eval.board.entry.read import read_entry
from vsc_eval.board.records import ENTRY_SCHEMA_VERSION
from vsc_eval.errors import DataError

FROZEN = Path(__file__).parent / "frozen"
"""An entry of each version as it was written then. Never written again."""


def test_there_is_a_frozen_entry_and_a_migration_of_every_version() -> None:
    assert sorted(MIGRATIONS) == list(range(1, ENTRY_SCHEMA_VERSION))
    wanted = [f"entry_v{version}.json" for version in range(1, ENTRY_SCHEMA_VERSION + 1)]
    assert sorted(file.name for file in FROZEN.iterdir()) == wanted


@pytest.mark.parametrize("file", sorted(FROZEN.iterdir()), ids=lambda file: file.name)
def test_frozen_entries_are_read_and_right(file: Path) -> None:
    entry = read_entry(file)
    assert entry.schema_version == ENTRY_SCHEMA_VERSION
    assert entry.note.startswith("Published when the schema was ")
    spec = spec_of(entry.items, name=entry.board, title="x", scoring=entry.scoring, generator_version="1")
    assert entry_findings(entry, spec) == ()


def test_the_current_version_is_written_as_it_was() -> None:
    """Bytes that change without a new version would make every published entry look edited."""
    file = FROZEN / f"entry_v{ENTRY_SCHEMA_VERSION}.json"
    assert entry_text(read_entry(file)) == file.read_text()


def test_a_chain_of_migrations() -> None:
    def rename(document: dict[str, Any]) -> dict[str, Any]:
        return {"words" if key == "note" else key: value for key, value in document.items()}

    def shout(document: dict[str, Any]) -> dict[str, Any]:
        return document | {"words": document["words"].upper()}

    chain = {1: rename, 2: shout}
    first = {"schema_version": 1, "note": "hello"}
    assert migrated(first, "f", migrations=chain, current=3) == {"schema_version": 3, "words": "HELLO"}
    assert migrated({"schema_version": 2, "words": "a"}, "f", migrations=chain, current=3)["words"] == "A"
    assert first == {"schema_version": 1, "note": "hello"}


def test_an_older_entry_is_hashed_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a later version whose migration adds a field's value."""
    document = json.loads(entry_text(sample_entry("old"))) | {"note": "old words"}
    document |= {"sha256": content_sha256(document)}
    file = tmp_path / "old.json"
    file.write_text(json.dumps(document))
    monkeypatch.setattr(read, "migrated", lambda document, source: document | {"note": "new words"})
    assert read_entry(file).note == "new words"
    file.write_text(json.dumps(document | {"note": "edited"}))
    with pytest.raises(DataError, match="is not what was published"):
        read_entry(file)


@pytest.mark.parametrize("version", [0, -1, True, "1", None, 1.0])
def test_what_is_no_version(version: object) -> None:
    with pytest.raises(DataError, match=r"f: at 'schema_version': .* is no version"):
        migrated({"schema_version": version}, "f")


def test_a_newer_version() -> None:
    with pytest.raises(DataError, match="reads up to 1") as found:
        migrated({"schema_version": 2}, "f")
    assert found.value.hint == "Update vsc-eval."


def resealed(change: Callable[[dict[str, Any]], None]) -> bytes:
    document = json.loads(entry_text(sample_entry("model-a")))
    change(document)
    return json.dumps(document | {"sha256": content_sha256(document)}).encode()


def text(old: str, new: str) -> bytes:
    content = entry_text(sample_entry("model-a"))
    assert old in content
    return content.replace(old, new, 1).encode()


DAMAGED = {
    "empty": (b"", "at line 1, column 1: no JSON"),
    "no object": (b"[1]", "it holds a list and no entry"),
    "not ASCII": (b'{"a": "\xff"}', "at byte 7: not ASCII"),
    "byte order mark": (b"\xef\xbb\xbf{}", "at byte 0: not ASCII"),
    "NaN": (text('"low":', '"low":NaN,"x":'), "NaN is no number"),
    "infinity": (b'{"a": -Infinity}', "-Infinity is no number"),
    "too large a number": (b'{"a": 1e999}', "the number 1e999 is too large"),
    "too long a number": (b'{"a": ' + b"1" * 5000 + b"}", "is too large"),
    "an integer that is no float": (b'{"a": ' + b"1" * 400 + b"}", "is too large"),
    "key twice": (text('"board": "sample",', '"board": "sample", "board": "x",'), "at 'board': the key is there twice"),
    "key twice inside": (b'{"a": [{"b": {"c": 1, "c": 2}}]}', "at 'c': the key is there twice"),
    "deep": (b'{"a": ' + b"[" * 100_000, "nested too deep"),
    "deep settings": (
        resealed(lambda d: d["provenance"]["settings"].update(x=json.loads("[" * 300 + "]" * 300))),
        "ecursion",
    ),
    "no version": (b"{}", "at 'schema_version': None is no version"),
    "unknown key": (resealed(lambda d: d.update(extra=1)), "at 'extra': Extra inputs are not permitted"),
    "missing key": (resealed(lambda d: d.pop("rows")), "at 'rows': Field required"),
    "text for a number": (resealed(lambda d: d["rows"][2].update(n="4")), "at 'rows[2].n': Input should be"),
    "yes for a number": (resealed(lambda d: d["rows"][2].update(n=True)), "at 'rows[2].n'"),
    "column too short": (resealed(lambda d: d["items"]["gold"].pop()), "at 'items': gold: not as many values"),
    "item twice": (
        resealed(lambda d: d["items"]["id"].__setitem__(1, d["items"]["id"][0])),
        "at 'items': an item is there twice",
    ),
    "no baseline": (
        resealed(lambda d: d["items"]["answers"].pop("baseline")),
        "at 'items': the answers of the baseline are missing",
    ),
    "id": (resealed(lambda d: d.update(id="../x-0123456789")), "at 'id': String should match"),
    "half a character": (resealed(lambda d: d.update(note="\ud800")), "half a character"),
    "not published so": (text('"seed": 0', '"seed": 1'), "at 'sha256': the entry is not what was published"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "what"), list(DAMAGED.values()), ids=list(DAMAGED))
def test_what_is_no_entry_is_refused_by_name_and_place(content: bytes, what: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    file.write_bytes(content)
    with pytest.raises(DataError) as found:
        read_entry(file)
    assert found.value.message.startswith(str(file))
    assert what in found.value.message
    assert found.value.hint.endswith(".")
    assert len(found.value.message) < 1000


def test_too_large_a_file(tmp_path: Path) -> None:
    file = tmp_path / "large.json"
    with file.open("wb") as opened:
        opened.truncate(read.MAX_BYTES + 1)
    with pytest.raises(DataError, match=r"has 64 MiB; an entry may have 64"):
        read_entry(file)


def test_a_folder_or_nothing(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing.json"):
        with pytest.raises(DataError, match="cannot be read"):
            read_entry(path)
