"""A run's folder: one run's settings, answers and results; opened again, it goes on with the same run or refuses.

A study keeps its settings in the same way, under another file name. What a figure may depend on beside them, versions
and machine, is here in words.
"""

import hashlib
import os
import platform
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from vsc_eval import __version__
from vsc_eval.answers.finished_run import LOCAL_FILE
from vsc_eval.errors import BackendError, DataError, SpecError
from vsc_eval.files import take_lock, write_text
from vsc_eval.mistakes import shortened

_OURS = (".lock", LOCAL_FILE)
PACKAGES = ("torch", "torchvision", "transformers", "lm_eval", "datasets", "numpy", "scipy", "pillow", "safetensors")


@dataclass
class RunFolder:
    """An open run folder; only `open_run_folder` makes one."""

    path: Path
    document: dict[str, Any] = field(default_factory=dict)
    """What `<kind>.yaml` holds."""
    kind: str = "run"
    local: dict[str, Any] = field(default_factory=dict)
    """What `local.yaml` holds: where, when and how it was computed. Nothing of it is needed to read the run."""

    def agree(self, section: str, values: dict[str, Any]) -> None:
        """Write `values` as that section of the document, or raise SpecError if it holds other values already."""
        self.take(section, values)
        self.save()

    def take(self, section: str, values: dict[str, Any]) -> None:
        """Take `values` as that section of the document; raise SpecError, naming the keys, if it holds others."""
        stored = self.document.get(section)
        if stored not in (None, values):
            differences = "\n".join(_differences(section, stored, values))
            raise SpecError(
                f"{self.path} holds a {self.kind} of another spec; these differ:\n{differences}",
                hint=f"Choose another folder with --out, or give the settings of that {self.kind}.",
            )
        self.document[section] = values

    def save(self) -> None:
        """Write both documents. Raises BackendError if that fails."""
        for name, document in ((LOCAL_FILE, self.local), (f"{self.kind}.yaml", self.document)):
            if document:
                write_text(self.path / name, yaml.safe_dump(document, sort_keys=False, allow_unicode=True))

    def harness_folder(self, condition: str) -> Path:
        """Where lm-eval's files of a condition go: emptied of an earlier attempt's files."""
        folder = self.path / "lm_eval" / folder_name(condition)
        try:
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir(parents=True)
        except OSError as error:
            raise _unwritable(folder, error) from error
        return folder


def folder_name(condition: str) -> str:
    """A condition's name as a folder name; names that differ stay different."""
    plain = re.sub(r"[^A-Za-z0-9_.+=\-]", "_", condition).lstrip(".")[:120]
    return plain if plain == condition else f"{plain}-{hashlib.sha256(condition.encode()).hexdigest()[:6]}"


@contextmanager
def open_run_folder(path: Path, settings: dict[str, Any], *, kind: str = "run") -> Iterator[RunFolder]:
    """Open `path` for the run of `settings`, make it if absent, and hold its lock until the block ends.

    `<kind>.yaml` is written by the first `agree` or `save`; a folder that was made here and did not get that far is
    removed, so that a run which failed on a wrong model name does not refuse the right one. Raises SpecError if it
    holds another run or other files, DataError for a damaged document, BackendError if it cannot be written or another
    process uses it.
    """
    is_new = not path.exists()
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = (path / ".lock").open("w")
    except OSError as error:
        raise _unwritable(path, error) from error
    with lock:
        if not take_lock(lock.fileno(), path):
            raise BackendError(
                f"Another process is running in {path}.", hint="Wait for it to end, or choose another --out."
            )
        folder = RunFolder(path, _read(path, kind), kind)
        # No figure depends on it: without it, or with a damaged one, the run goes on.
        with suppress(OSError):
            folder.local = _mapping(path / LOCAL_FILE)
        folder.take("settings", settings)
        try:
            yield folder
        finally:
            if is_new and not (path / f"{kind}.yaml").exists():
                shutil.rmtree(path, ignore_errors=True)


def _read(path: Path, kind: str) -> dict[str, Any]:
    file = path / f"{kind}.yaml"
    try:
        document = _mapping(file)
    except FileNotFoundError:
        # A killed run may leave the lock and a partial file; anything else is not ours.
        foreign = [entry.name for entry in path.iterdir() if entry.name not in _OURS and ".partial" not in entry.name]
        if not foreign:
            return {}
        raise SpecError(
            f"{path} holds other files ({', '.join(sorted(foreign)[:3])}) and no {kind}.",
            hint="Choose a new or empty folder with --out.",
        ) from None
    except OSError as error:
        raise _unwritable(file, error) from error
    if not isinstance(document.get("settings"), dict):
        raise DataError(f"{file} is damaged.", hint="Choose another folder with --out, or delete this one.")
    return document


def _mapping(file: Path) -> dict[str, Any]:
    """What a YAML file holds; nothing if it is damaged."""
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError):
        return {}
    return document if isinstance(document, dict) else {}


@contextmanager
def attempt(
    folder: RunFolder, how: dict[str, Any], *, worth_keeping: Callable[[dict[str, Any]], bool] = bool
) -> Iterator[dict[str, Any]]:
    """Record in local.yaml when, where and with which versions the block was computed; one entry for each start, unless
    it is not `worth_keeping`."""
    entry: dict[str, Any] = {
        "started": now(),
        "ended": None,
        "folder": str(folder.path.resolve()),
        **how,
        "machine": machine_words(),
        "versions": package_versions(),
    }
    folder.local.setdefault("attempts", []).append(entry)
    if folder.document.get("hashes") and worth_keeping(entry):
        # Not before the model has been found, so that a wrong name leaves no folder that refuses the right one.
        folder.save()
    yield entry
    entry["ended"] = now()
    if worth_keeping(entry):
        folder.save()


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _differences(section: str, stored: Any, wanted: Any, place: str = "") -> Iterator[str]:
    """A line for each value that differs, with the keys that lead to it."""
    if isinstance(stored, dict) and isinstance(wanted, dict):
        for key in dict.fromkeys([*stored, *wanted]):
            if stored.get(key) != wanted.get(key):
                yield from _differences(section, stored.get(key), wanted.get(key), f"{place}.{key}" if place else key)
    else:
        there, given = ("nothing" if value is None else shortened(repr(value), 100) for value in (stored, wanted))
        yield f"  {place or section}: there {there}, now {given}"


def _unwritable(path: Path, error: OSError) -> BackendError:
    return BackendError(
        f"{path} cannot be used as a run folder: {error.strerror or error}.",
        hint="Choose a folder that you may write to with --out.",
    )


def package_versions() -> dict[str, str | None]:
    """Versions of this package, Python and what the figures rest on; None where a package is not installed."""
    versions: dict[str, str | None] = {"vsc-eval": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        versions[name] = None
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int | None:
    """Physical memory, or the container's limit where that is smaller; None where the system does not say."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
    for limit_file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            total = min(total, int(Path(limit_file).read_text(encoding="ascii")))
    return total


def cuda_words() -> str:
    """Names and memory of the CUDA devices; empty if there is none."""
    return ", ".join(f"{device.name} ({device.total_memory / 2**30:.0f} GiB)" for device in _cuda_devices())


def cuda_bytes() -> int:
    """Memory of the largest CUDA device; 0 without one."""
    return max((device.total_memory for device in _cuda_devices()), default=0)


def _cuda_devices() -> list[Any]:
    import torch

    return [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]


def machine_words() -> str:
    """One line: processor, cores, memory, accelerators."""
    import torch

    memory = memory_bytes()
    size = f"{memory / 2**30:.0f} GiB" if memory else "memory unknown"
    parts = [platform.machine(), f"{usable_cores()} cores", size, f"{torch.get_num_threads()} threads", cuda_words()]
    return ", ".join(filter(None, parts))
