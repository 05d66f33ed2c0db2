"""`vsc-eval doctor`: what this machine can run, each point OK or with its fix."""

import argparse
import importlib.util
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vsc_eval import __version__, resources
from vsc_eval.errors import VscError

State = Literal["OK", "missing", "optional"]
_STYLE = {"OK": "green", "missing": "bold red", "optional": "yellow"}
_MIN_MEMORY_GIB = 4
_MIN_DISK_GIB = 1
_SHARE_FOR_WEIGHTS = 0.6
"""Of the memory; activations, caches and the system take the rest."""


@dataclass(frozen=True)
class Check:
    """One line of the report. `missing` stops the main job, `optional` does not."""

    name: str
    state: State
    found: str
    hint: str = ""


def fill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-smoke", action="store_true", help="leave the one-item run out")
    parser.set_defaults(handler=_handle)


def _handle(options: argparse.Namespace) -> int:
    checks = examine(smoke=not options.no_smoke)
    table = Table(title=f"vsc-eval {__version__}", title_justify="left", title_style="bold")
    for column in ("", "state", "found", "fix"):
        table.add_column(column, overflow="fold")
    for check in checks:
        table.add_row(check.name, f"[{_STYLE[check.state]}]{check.state}[/]", escape(check.found), escape(check.hint))
    Console().print(table)
    return 1 if any(check.state == "missing" for check in checks) else 0


def examine(*, smoke: bool = True) -> list[Check]:
    """All checks, in the order of the report; the smoke run only where all it needs is there."""
    checks = [Check("Python", "OK", platform.python_version()), *_machine(), *_backends()]
    checks.append(_guarded("intervention vsc-tiny", _intervention))
    checks.append(_guarded("tasks", lambda: f"{len(list(resources.tasks_dir().rglob('*.yaml')))} task files"))
    if smoke and not any(check.state == "missing" for check in checks):
        checks.append(_guarded("one-item run", _smoke))
    return checks


def _check(name: str, good: object, found: str, hint: str, *, otherwise: State = "missing") -> Check:
    return Check(name, "OK", found) if good else Check(name, otherwise, found, hint)


def _machine() -> Iterator[Check]:
    from vsc_eval.sweeps.folder import cuda_bytes, cuda_words, memory_bytes, package_versions, usable_cores

    versions = package_versions()
    for name in ("torch", "transformers", "lm_eval", "torchvision"):
        version = versions[name]
        yield _check(name, version, version or "not installed", f"`pip install {name.replace('_', '-')}`")
    yield Check("cores", "OK", str(usable_cores()))
    memory = memory_bytes()
    gib = memory / 2**30 if memory else None
    enough, words = gib is None or gib >= _MIN_MEMORY_GIB, f"{gib:.1f} GiB" if gib else "unknown"
    yield _check("memory", enough, words, "Lower --batch-size if a run is killed.", otherwise="optional")
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    hint = "Free some space, or run in a folder on another disk."
    yield _check("disk", free >= _MIN_DISK_GIB, f"{free:.1f} GiB free here", hint)
    if importlib.util.find_spec("torch") is not None:
        hint = "Not needed for vsc-tiny; for larger models install a CUDA build of torch."
        yield _check("CUDA", cuda_words(), cuda_words() or "no device", hint, otherwise="optional")
        if room := cuda_bytes() or memory:
            yield Check("model size", "OK", _largest(room))


def _largest(memory_bytes: int) -> str:
    """The largest model whose weights leave enough memory for a run."""
    billions = _SHARE_FOR_WEIGHTS * memory_bytes / 1e9
    return f"up to about {billions / 2:.1f} billion parameters in 16 bits, {billions / 4:.1f} in float32"


def _backends() -> Iterator[Check]:
    from vsc_eval.backends.vllm.start import MEND, TESTED, installed_vllm
    from vsc_eval.sweeps.folder import cuda_words

    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("transformers") is None:
        yield Check("torchvision import", "missing", "not tried without torch and transformers", "Install them.")
    else:
        from vsc_eval.backends.hf.load import MATCHING, broken_torchvision

        why = broken_torchvision()
        yield _check("torchvision import", not why, why or "works beside this torch", MATCHING)
    if (found := installed_vllm()) is None:
        yield Check("vLLM", "optional", "not installed", f"Not needed; for --backend vllm: {MEND}")
    elif not found.tested:
        yield Check("vLLM", "optional", f"{found}, which --backend vllm refuses; it works with {TESTED}", MEND)
    else:
        good = found.distribution != "vllm" or cuda_words()
        yield _check("vLLM", good, str(found) if good else f"{found}, but there is no GPU", MEND, otherwise="optional")
    folder = resources.embedded_dir()
    weights = sorted(folder.glob("*.safetensors")) if (folder / "config.json").is_file() else []
    size = sum(file.stat().st_size for file in weights) / 2**20
    hint = "Reinstall vsc-eval, or train it in a checkout: `python -m training train`."
    yield _check("vsc-tiny", weights, f"{size:.1f} MiB of weights" if weights else "no weights", hint)


def _intervention() -> str:
    from vsc_eval.interventions.intervention import load_intervention

    intervention = load_intervention("vsc-tiny")
    return f"layer {intervention.spec.layer}, sets {', '.join(intervention.sets)}"


def _smoke() -> str:
    from vsc_eval.interventions.intervention import load_intervention
    from vsc_eval.sweeps.run_spec import RunSpec
    from vsc_eval.sweeps.sweep import run_sweep

    first = next(iter(load_intervention("vsc-tiny").sets))
    spec = RunSpec(tasks=("vsc_counting_easy",), conditions=(first,), n=4)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        results = run_sweep(spec, Path(folder) / "run", console=Console(quiet=True)).results
    return f"{len(results.conditions)} conditions x 4 items in {time.monotonic() - started:.1f} s"


def _guarded(name: str, probe: Callable[[], str]) -> Check:
    """A probe's finding; a user's error or a broken installation becomes the line's hint, our own bugs go on up."""
    try:
        return Check(name, "OK", probe())
    except VscError as error:
        return Check(name, "missing", error.message, error.hint)
    except (ImportError, OSError) as error:
        return Check(name, "missing", str(error), "Install vsc-eval anew, in a fresh environment.")
