"""An entry's folder: the run's own files less what may not be published, and entry.json, which hashes them all."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Any, TypeVar

import pyarrow as pa
import yaml
from pydantic import BaseModel, ValidationError

from vsc_eval.answers.answer_table import AnswerTable
from vsc_eval.answers.bounded import MOST_BYTES, RESTORE, fault, read_json, read_yaml
from vsc_eval.answers.finished_run import RESULTS, RUN
from vsc_eval.answers.parquet import read_table, table_files, write_table
from vsc_eval.board.records import About, Entry, Results, Shown
from vsc_eval.board.spec import asked_hash
from vsc_eval.errors import DataError, SpecError
from vsc_eval.files import file_hash, write_text

ABOUT, PICTURES = "entry.json", "pictures.json"
FILES = (*table_files(), RUN, RESULTS)
"""What every entry has beside entry.json."""
_PATH = re.compile(
    # Where a word begins, but not within `https://`.
    r"(?:(?<=file:)/+|(?<![^\s=,:;'\"()\[\]{}])(?!(?<=:)//)(?:(?:~\w*|\.{1,2})?/|[A-Za-z]:[\\/]|\\\\))"
    r"[^\s=,:;'\"()\[\]{}]+"
)
"""A path that begins at the root, a home, here, a drive or a server; `org/name` is a hub id and none."""

_FIGURES = frozenset({
    "rows", "interactions", "pairs", "official", "controls", "floor", "conditions", "targets", "selection",
})  # fmt: skip
"""Sections of results.json."""

M = TypeVar("M", bound=BaseModel)
Named = Mapping[str, Callable[[str], str]]


def entry_id(entry: Entry) -> str:
    """The model's name in plain letters, and 10 hex digits of a hash of what was asked of what: a second run of the
    same has the same id whatever it answered."""
    hashes, found, table = entry.hashes, entry.about.intervention, entry.table
    asked = {
        "model": [hashes.get("model_fingerprint"), hashes.get("model_revision")],
        "backend": entry.settings.get("backend", "hf"),
        "intervention": [found.sae_fingerprint, found.layer] if found else None,
        "conditions": sorted([c.name, c.content_hash] for c in table.conditions),
        "items": asked_hash(table.items),
        "scoring": sorted({item.scoring for item in table.items}),
    }
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode("ascii")).hexdigest()[:10]
    return f"{slug(entry.name)}-{digest}"


def slug(name: str) -> str:
    """`Qwen/Qwen2.5-VL-3B` -> `qwen-qwen2.5-vl-3b`; `model` where no plain letter is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9.]+", "-", plain)[:60].strip("-.") or "model"


def write_entry(entry: Entry, folder: Path) -> About:
    """Write all files into a folder; entry.json comes last. Equal entries give the same bytes."""
    folder.mkdir(parents=True)
    files = write_table(folder, entry.table)
    # Of run.yaml and entry.json a reviewer sees in a diff what is there: ASCII, no invisible or reordered characters.
    texts = {RUN: yaml.safe_dump(dict(entry.run), sort_keys=False), RESULTS: _a_record_a_line(entry.document)}
    if entry.shown:
        shown = {name: each.model_dump(mode="json") for name, each in entry.shown.items()}
        texts[PICTURES] = json.dumps(shown, indent=1) + "\n"
    for name, text in texts.items():
        write_text(folder / name, text)
        files[name] = file_hash(folder / name)
    draft = entry.about.model_copy(update={"id": entry_id(entry), "files": dict(sorted(files.items()))})
    about = draft.model_copy(update={"sha256": content_sha256(draft.model_dump(mode="json"))})
    write_text(folder / ABOUT, json.dumps(about.model_dump(mode="json"), indent=1) + "\n")
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


def read_entry(folder: Path) -> Entry:
    """The entry of a folder. Raises DataError, naming the file, the place and the hint, for a file that is too large or
    damaged, does not fit its schema, or is not what was hashed when it was published."""
    about = _about(folder / ABOUT)
    _check_files(folder, about)
    document = read_json(folder / RESULTS)
    return Entry(
        about=about,
        run=read_yaml(folder / RUN),
        table=_table(folder),
        document=document,
        results=_model(folder / RESULTS, Results, document),
        shown={
            name: _model(folder / PICTURES, Shown, value)
            for name, value in (read_json(folder / PICTURES) if PICTURES in about.files else {}).items()
        },
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
        raise _edited(f"{path}: at 'sha256'", "its content", content_sha256(document), about.sha256)
    return about


def _edited(place: str, what: str, found: str, stated: str) -> DataError:
    return DataError(
        f"{place}: the entry is not what was published: {what} hashes to {found[:10]}..., not {stated[:10]!r}...",
        hint=f"Entries are not edited by hand. {RESTORE}",
    )


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
        if (size := (folder / name).stat().st_size) > MOST_BYTES:
            raise DataError(
                f"{folder / name} has {size / 2**20:.0f} MiB; it may have {MOST_BYTES // 2**20}.",
                hint="Publish the run without --with-pictures.",
            )
        if (found := file_hash(folder / name)) != stated:
            raise _edited(f"{folder / name}", "this file", found, stated)


def _table(folder: Path) -> AnswerTable:
    try:
        return read_table(folder, bounded=True)
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError, MemoryError, pa.ArrowException) as error:
        # Values that no column of ours has, such as a list with a gap in it.
        raise DataError(
            f"{folder / table_files()[2]} and the files beside it cannot be read: {type(error).__name__}.", hint=RESTORE
        ) from error


def _model(path: Path, model: type[M], document: Any) -> M:
    try:
        # As JSON, because strictness then takes a list for a tuple and still no "5" for a 5.
        return model.model_validate_json(json.dumps(document), strict=True)
    except ValidationError as error:
        raise DataError(f"{path}: {fault(error)}.", hint=RESTORE) from error


def model_name(model: str, revision: str | None, given: str | None) -> str:
    """As the entry shows it: the given name, a hub id, or the last part of a folder. Raises SpecError for an empty one.

    A model from the hub has a revision; without one a name with slashes is a folder, of which only the last part is
    anybody's business.
    """
    if given is not None:
        if not given.strip():
            raise SpecError("The model's name is empty.", hint="Give --name a name, or leave it out.")
        return given.strip()
    is_hub_id = revision is not None and re.fullmatch(r"[\w.\-]+(/[\w.\-]+)?", model) and not model.startswith(".")
    return model if is_hub_id else last_part(model)


def last_part(path: str) -> str:
    """`/home/me/models/mine/` -> `mine`."""
    return PurePath(path.replace("\\", "/")).name or "model"


def without_paths(value: Any, named: Named = MappingProxyType({})) -> Any:
    """Settings with every path of the machine cut to its last part, wherever it stands. Texts under the keys of `named`
    become what its functions make of them."""
    if isinstance(value, str):
        return _PATH.sub(lambda found: last_part(found.group()), value)
    if isinstance(value, Mapping):
        return {
            key: named[key](inner) if key in named and isinstance(inner, str) else without_paths(inner, named)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_paths(inner, named) for inner in value]
    return value


def results_without_paths(document: Mapping[str, Any], named: Named = MappingProxyType({})) -> dict[str, Any]:
    """results.json with the same done to all but the figures, whose names of conditions and categories are as they
    are."""
    others = {name: value for name, value in document.items() if name not in _FIGURES}
    return {**document, **without_paths(others, named)}
