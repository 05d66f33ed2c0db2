"""An entry's folder: the run's own files less what may not be published, and entry.json, which hashes them all."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import yaml
from pydantic import BaseModel, ValidationError

from vsc_eval.answers.answer_table import AnswerTable
from vsc_eval.answers.bounded import MOST_BYTES, RESTORE, Limits, fault, read_json, read_yaml
from vsc_eval.answers.finished_run import RESULTS, RUN
from vsc_eval.answers.parquet import read_table, table_files, write_table
from vsc_eval.board.board import asked_hash
from vsc_eval.board.entry.results import Results
from vsc_eval.board.records import About, Shown
from vsc_eval.errors import DataError
from vsc_eval.files import file_hash, replacing

ABOUT, PICTURES = "entry.json", "pictures.json"
FILES = (*table_files(), RUN, RESULTS)
"""What every entry has beside entry.json."""
_LIMITS = Limits(file_bytes=MOST_BYTES)
_SLUG_LENGTH = 60
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, eq=False)
class Parts:
    """What an entry's files hold."""

    about: About
    run: Mapping[str, Any]
    """run.yaml."""
    table: AnswerTable
    document: dict[str, Any]
    """results.json as it is; `results` are its parts that a board shows."""
    results: Results
    shown: dict[str, Shown] = field(default_factory=dict)

    @property
    def settings(self) -> Mapping[str, Any]:
        """The spec that the run was made with; a study's stands in its results."""
        return mapping(self.document.get("spec") or self.run.get("settings"))

    @property
    def hashes(self) -> Mapping[str, Any]:
        """What the answers depend on beside the settings; a study says a part of it in its results."""
        told = ("sae_fingerprint", "layer", "generator_version") if self.about.source == "study" else ()
        return {**{name: self.document.get(name) for name in told}, **mapping(self.run.get("hashes"))}


def entry_id(parts: Parts) -> str:
    """The model's name in plain letters, and 10 hex digits of a hash of what was asked of what: a second run of the
    same has the same id whatever it answered."""
    hashes, found, table = parts.hashes, parts.about.intervention, parts.table
    asked = {
        "model": [hashes.get("model_fingerprint"), hashes.get("model_revision")],
        "backend": parts.settings.get("backend", "hf"),
        "intervention": [found.sae_fingerprint, found.layer] if found else None,
        "conditions": sorted([c.name, c.content_hash] for c in table.conditions),
        "items": asked_hash(table.items),
        "scoring": sorted({item.scoring for item in table.items}),
    }
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode("ascii")).hexdigest()[:10]
    return f"{slug(parts.about.name)}-{digest}"


def slug(name: str) -> str:
    """`Qwen/Qwen2.5-VL-3B` -> `qwen-qwen2.5-vl-3b`; `model` where no plain letter is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9.]+", "-", plain)[:_SLUG_LENGTH].strip("-.") or "model"


def write_parts(parts: Parts, folder: Path) -> About:
    """Write all files into a folder; entry.json comes last. Equal parts give the same bytes."""
    folder.mkdir(parents=True)
    files = write_table(folder, parts.table)
    # Of run.yaml and entry.json a reviewer sees in a diff what is there: ASCII, no invisible or reordered characters.
    texts = {
        RUN: yaml.safe_dump(dict(parts.run), sort_keys=False),
        RESULTS: _a_record_a_line(parts.document),
    }
    if parts.shown:
        shown = {name: each.model_dump(mode="json") for name, each in parts.shown.items()}
        texts[PICTURES] = json.dumps(shown, indent=1) + "\n"
    for name, text in texts.items():
        with replacing(folder / name) as partial:
            partial.write_text(text, encoding="utf-8")
        files[name] = file_hash(folder / name)
    draft = parts.about.model_copy(update={"id": entry_id(parts), "files": dict(sorted(files.items()))})
    about = draft.model_copy(update={"sha256": content_sha256(draft.model_dump(mode="json"))})
    with replacing(folder / ABOUT) as partial:
        partial.write_text(json.dumps(about.model_dump(mode="json"), indent=1) + "\n", encoding="ascii")
    return about


def _a_record_a_line(document: Mapping[str, Any]) -> str:
    """JSON whose diff names the record that changed, in half the size of an indented one."""

    def lines(value: Any) -> str:
        if isinstance(value, list) and value and all(isinstance(inner, dict) for inner in value):
            return "[\n" + ",\n".join(map(compact, value)) + "\n]"
        return compact(value)

    def compact(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))

    return "{\n" + ",\n".join(f"{compact(key)}:{lines(value)}" for key, value in document.items()) + "\n}\n"


def content_sha256(document: Mapping[str, Any]) -> str:
    """sha256 (hex) of all of entry.json's data but `sha256` itself. Layout and order of keys do not matter."""
    content = {key: value for key, value in document.items() if key != "sha256"}
    payload = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(payload.encode("ascii")).hexdigest()


def read_parts(folder: Path) -> Parts:
    """What an entry's folder holds.

    Raises DataError, naming the file, the place and the hint, for a file that is too large or damaged, does not fit its
    schema, or is not what was hashed when it was published.
    """
    about = _about(folder / ABOUT)
    _check_files(folder, about)
    document = read_json(folder / RESULTS)
    return Parts(
        about=about,
        run=read_yaml(folder / RUN),
        table=_table(folder),
        document=document,
        results=_model(folder / RESULTS, Results, document),
        shown=_shown(folder / PICTURES) if PICTURES in about.files else {},
    )


def _about(path: Path) -> About:
    document = read_json(path, encoding="ascii")
    version = document.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise DataError(f"{path}: at 'schema_version': {version!r:.50} is no version.", hint=RESTORE)
    if version > 1:
        raise DataError(
            f"{path}: at 'schema_version': the entry is of version {version}; this vsc-eval reads up to 1.",
            hint="Update vsc-eval.",
        )
    about = _model(path, About, document)
    if about.sha256 != content_sha256(document):
        raise DataError(
            f"{path}: at 'sha256': the entry is not what was published: its content hashes to "
            f"{content_sha256(document)[:10]}..., not {about.sha256[:10]!r}...",
            hint=f"Entries are not edited by hand. {RESTORE}",
        )
    return about


def _check_files(folder: Path, about: About) -> None:
    there = {file.name for file in folder.iterdir()} - {ABOUT}
    odd = sorted(name for name in there if not (folder / name).is_file() or (folder / name).is_symlink())
    odd = odd or sorted(there ^ set(about.files)) or sorted(set(FILES) - there) or sorted(there - {*FILES, PICTURES})
    if odd:
        raise DataError(
            f"{folder / odd[0]}: an entry has the files that its {ABOUT} names, and this is missing or none of them.",
            hint=RESTORE,
        )
    for name, stated in about.files.items():
        if (folder / name).stat().st_size > MOST_BYTES:
            raise DataError(
                f"{folder / name} has {(folder / name).stat().st_size / 2**20:.0f} MiB; it may have "
                f"{MOST_BYTES // 2**20}.",
                hint="Publish the run without --with-pictures.",
            )
        if (found := file_hash(folder / name)) != stated:
            raise DataError(
                f"{folder / name}: the entry is not what was published: this file hashes to {found[:10]}..., not "
                f"{stated[:10]!r}...",
                hint=f"Entries are not edited by hand. {RESTORE}",
            )


def _table(folder: Path) -> AnswerTable:
    try:
        return read_table(folder, limits=_LIMITS)
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError, MemoryError, pa.ArrowException) as error:
        # Values that no column of ours has, such as a list with a gap in it.
        raise DataError(
            f"{folder / table_files()[2]} and the files beside it cannot be read: {type(error).__name__}.", hint=RESTORE
        ) from error


def _shown(path: Path) -> dict[str, Shown]:
    return {name: _model(path, Shown, value) for name, value in read_json(path).items()}


def _model(path: Path, model: type[M], document: Any) -> M:
    try:
        # As JSON, because strictness then takes a list for a tuple and still no "5" for a 5.
        return model.model_validate_json(json.dumps(document), strict=True)
    except ValidationError as error:
        raise DataError(f"{path}: {fault(error)}.", hint=RESTORE) from error


def mapping(value: Any) -> Mapping[str, Any]:
    """A section as it is; empty where a file has something else in its place."""
    return value if isinstance(value, Mapping) else {}
