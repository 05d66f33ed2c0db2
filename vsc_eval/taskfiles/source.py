"""The rows of an external data set, from the hub or from local files, with pictures left encoded."""

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
from datasets.exceptions import DatasetNotFoundError, DatasetsError
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

from vsc_eval.errors import DataError, SpecError, known_names
from vsc_eval.files import short_hash
from vsc_eval.taskfiles.schema import DatasetSource, TaskFile

_BUILDERS = {"parquet": "parquet", "jsonl": "json", "csv": "csv"}
_SUFFIXES = {
    "parquet": (".parquet",),
    "jsonl": (".jsonl", ".json", ".jsonl.gz", ".json.gz"),
    "csv": (".csv", ".tsv"),
    "arrow": (".arrow",),
}
_NOT_CSV = (".parquet", ".jsonl", ".json", ".arrow", ".gz", ".py")
_EMPTY_CELLS = {"keep_default_na": False, "na_values": [""]}
"""pandas would take an option "None" or "NA" for an empty cell."""
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")


def load_rows(file: TaskFile) -> datasets.Dataset:
    """All rows of the task's split. Raises DataError where the data cannot be reached or read, SpecError for a wrong
    split, configuration or format."""
    source = file.dataset
    local = Path(source.path).expanduser()
    with _clear_errors(file, source):
        if source.format == "hub" or (source.format == "auto" and not local.exists()):
            return _from_hub(file, source)
        return _from_disk(source, local)


def local_copy(file: TaskFile, data_dir: Path) -> Path:
    """The copy of a task's data below `data_dir`: named like the task, the hub id, or its last part. Raises DataError,
    naming the places, if there is none."""
    path = file.dataset.path
    names = [file.name, path, path.replace("/", "__"), f"datasets--{path.replace('/', '--')}", path.rsplit("/", 1)[-1]]
    places = [data_dir / name.lstrip("/") for name in dict.fromkeys(names)]
    for place in places:
        if place.exists():
            return place
    looked = ", ".join(str(place.relative_to(data_dir)) for place in places)
    raise DataError(
        f"There is no copy of '{file.name}' in {data_dir}.",
        hint=f"Looked for: {looked}. {_how_to_copy(file, data_dir)}",
    )


def _how_to_copy(file: TaskFile, folder: Path | str = "DIR") -> str:
    path = file.dataset.path
    copy = f"{folder}/{path.rsplit('/', 1)[-1]}"
    return (
        f"Where the hub can be reached: `hf download {path} --repo-type dataset --local-dir {copy}`; then"
        f" `--data-dir {folder}`, or `--override {file.name}.dataset.path={copy}`."
    )


def _from_hub(file: TaskFile, source: DatasetSource) -> datasets.Dataset:
    is_file_name = source.format == "auto" and source.path.lower().endswith(sum(_SUFFIXES.values(), ()))
    if is_file_name or re.fullmatch(r"[\w.\-]+(/[\w.\-]+)?", source.path) is None:
        raise DataError(
            f"'{file.name}': dataset.path: there is no file or folder {source.path}.",
            hint="Correct it: a relative path starts at the task file's folder; a hub id looks like `owner/name`.",
        )
    return _loaded(source.path, source, revision=source.revision)


def _from_disk(source: DatasetSource, path: Path) -> datasets.Dataset:
    kind = _kind_of(path) if source.format == "auto" else source.format
    if not path.exists():
        raise DataError(f"There is no file or folder {path}.", hint="Correct `dataset.path`.")
    if kind == "saved":
        loaded = datasets.load_from_disk(str(path))
        if not isinstance(loaded, datasets.DatasetDict):
            return loaded
        if source.split in loaded:
            return loaded[source.split]
        hint = f"Its splits: {', '.join(loaded)}; see `dataset.split`."
        raise SpecError(f"The saved data set has no split '{source.split}'.", hint=hint)
    if kind == "arrow":
        parts = [datasets.Dataset.from_file(str(found)) for found in _files(source, path, kind)]
        return datasets.concatenate_datasets(parts)
    if kind == "imagefolder":
        return datasets.load_dataset("imagefolder", data_dir=str(path), split=source.split)
    if kind == "folder":
        # A hub repository's copy: its README names configurations and splits.
        is_csv = not any(found.name.lower().endswith(_NOT_CSV) for found in path.rglob("*"))
        more = {"cache_dir": str(_cache_of(path)), **(_EMPTY_CELLS if is_csv else {})}
        return _loaded(str(path), source, **more)
    files = [str(found) for found in _files(source, path, kind)]
    more = _as_text(files) if kind == "csv" else {}
    return datasets.load_dataset(_BUILDERS[kind], data_files={_bare(source.split): files}, split=source.split, **more)


def _loaded(path: str, source: DatasetSource, **more: Any) -> datasets.Dataset:
    data_files = list(source.data_files) if source.data_files else None
    return datasets.load_dataset(path, source.config, split=source.split, data_files=data_files, **more)


def _as_text(files: list[str]) -> dict[str, Any]:
    """How to read CSV files so that every cell is the text that stands there: pandas would make 1.5 of 1.50."""
    delimiter = "\t" if files[0].lower().endswith(".tsv") else ","
    with open(files[0], encoding="utf-8-sig", newline="") as lines:
        columns = next(csv.reader(lines, delimiter=delimiter))
    # pandas has its own names for columns without one, or of one name.
    named = all(columns) and len(set(columns)) == len(columns)
    features = datasets.Features({name: datasets.Value("string") for name in columns}) if named else None
    return {"delimiter": delimiter, "features": features, **_EMPTY_CELLS}


def _cache_of(folder: Path) -> Path:
    """Where `datasets` may keep what it made of a folder as it is now.

    Of a folder with a README its own cache knows only the name: another copy of that name, or the same one after its
    files have changed, would silently give the old rows.
    """
    files = [(found.relative_to(folder), found.stat()) for found in sorted(folder.rglob("*")) if found.is_file()]
    states = [f"{path}\0{state.st_size}\0{state.st_mtime_ns}\0" for path, state in files]
    return Path(datasets.config.HF_DATASETS_CACHE) / f"vsc-{short_hash(str(folder.resolve()), *states)}"


def _bare(split: str) -> str:
    """`test` of `test[:100]`."""
    return re.split(r"[\[+]", split, maxsplit=1)[0]


def _kind_of(path: Path) -> str:
    """The format of a local path, from its name or what it holds."""
    if path.is_file():
        for kind, suffixes in _SUFFIXES.items():
            if path.name.lower().endswith(suffixes):
                return kind
        if path.suffix == ".py":
            # `datasets` says itself what it thinks of it.
            return "folder"
        hint = "Write `dataset.format`: parquet, jsonl, csv, arrow or imagefolder."
        raise SpecError(f"{path} is of no known format.", hint=hint)
    if (path / "state.json").exists() or (path / "dataset_dict.json").exists():
        return "saved"
    names = [found.name.lower() for found in path.rglob("*") if found.is_file()]
    data = [name for name in names if name.endswith((".parquet", ".jsonl", ".json", ".csv", ".tsv", ".arrow"))]
    if not data or all(name.startswith("metadata.") for name in data):
        if any(name.endswith(_PICTURES) for name in names):
            return "imagefolder"
        if any(name.endswith(".py") for name in names):
            return "folder"
        raise DataError(f"{path} holds no data files.", hint="Give the folder with the parquet, jsonl or csv files.")
    if (path / "README.md").exists() or not all(name.endswith(".arrow") for name in data):
        return "folder"
    return "arrow"


def _files(source: DatasetSource, path: Path, kind: str) -> list[Path]:
    if path.is_file():
        return [path]
    if source.data_files:
        found = [match for pattern in source.data_files for match in sorted(path.glob(pattern))]
    else:
        found = sorted(match for match in path.rglob("*") if match.name.lower().endswith(_SUFFIXES[kind]))
        # Where names tell the splits apart, the others' files must not be read as this one's.
        named = [match for match in found if _bare(source.split) in re.split(r"[^a-z0-9]+", match.stem.lower())]
        found = named or found
    if not found:
        wanted = ", ".join(source.data_files or _SUFFIXES[kind])
        raise DataError(f"{path} holds no {wanted}.", hint="Correct `dataset.path`, `format` or `data_files`.")
    return found


@contextmanager
def _clear_errors(file: TaskFile, source: DatasetSource) -> Iterator[None]:
    """Say what `datasets` complains of, with a fix."""
    try:
        yield
    except (ConnectionError, OfflineModeIsEnabled, LocalEntryNotFoundError, HfHubHTTPError, TimeoutError) as error:
        raise DataError(
            f"'{file.name}': the hub's data set '{source.path}' cannot be reached ({type(error).__name__}).",
            hint=f"Check the connection, or use a local copy. {_how_to_copy(file)}",
        ) from error
    except DatasetNotFoundError as error:
        raise DataError(
            f"'{file.name}': the hub has no public data set '{source.path}'"
            f"{f' at revision {source.revision}' if source.revision else ''}.",
            hint=f"Write `--override {file.name}.dataset.path=OWNER/NAME`; for a gated one run `hf auth login`.",
        ) from error
    except StopIteration as error:
        raise DataError(f"'{file.name}': {source.path} is empty.", hint="Give a file with rows.") from error
    except (DatasetsError, ValueError, RuntimeError, OSError, KeyError, TypeError) as error:
        raise _explained(f"'{file.name}': ", source, error) from error


def _explained(where: str, source: DatasetSource, error: Exception) -> DataError | SpecError:
    """What the commonest messages of `datasets` mean; another one as it is, without what is wrapped around it."""
    said = str(error)
    if re.search(r"[Dd]ataset scripts are no longer supported|trust_remote_code", said):
        return DataError(
            f"{where}{source.path} holds a loading script, which `datasets` no longer runs.",
            hint="Use a repository with data files, or the hub's conversion: `dataset.revision: refs/convert/parquet`.",
        )
    if re.search(r"BuilderConfig .* not found|Config name is missing", said):
        known = re.findall(r"'([^']+)'", said.partition("vailable")[2] or said)
        given = f"no configuration '{source.config}'" if source.config else "several configurations"
        hint = f"Set `dataset.config`. {known_names('configurations', source.config or '', known)}"
        return SpecError(f"{where}{source.path} has {given}.", hint=hint)
    if re.search(r"Unknown split|Bad split", said):
        known = re.findall(r"'([^']+)'", said.split("hould be", 1)[-1])
        return SpecError(
            f"{where}{source.path} has no split '{source.split}'.",
            hint=f"Set `dataset.split`; it has: {', '.join(known) or said}.",
        )
    if "corresponds to no data" in said:
        return DataError(f"{where}{source.path} holds no rows.", hint="Give a file with rows, or another split.")
    inner: BaseException = error
    while cause := inner.__cause__ or inner.__context__:
        inner = cause
    first = (str(inner).strip().splitlines() or [type(inner).__name__])[0].rstrip(".")[:300]
    return DataError(
        f"{where}the data in {source.path} cannot be read: {first}.",
        hint="Check that the copy is complete and that `dataset.format` fits; `vsc-eval tasks check` looks at it.",
    )
