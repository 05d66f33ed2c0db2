"""The layout of docs/architecture.md, held: imports point one way, and the light parts stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "vsc_eval"

LAYERS: tuple[tuple[str, ...], ...] = (
    ("__init__", "errors"),
    ("resources", "files", "seeding", "progress", "yaml_files", "registry"),
    ("mistakes", "edit_kinds"),
    ("specs", "records", "extract"),
    ("stats",),
    ("tables", "figures"),
    ("answers",),
    ("synthetic", "taskfiles", "sae"),
    ("interventions", "metrics"),
    ("backends",),
    ("settings",),
    ("features", "probing"),
    ("analysis",),
    ("lmeval",),
    ("sweeps",),
    ("studies",),
    ("board",),
    ("api",),
    ("cli",),
)
"""Lowest first. A part may import parts of lower layers, never of its own layer or of a higher one."""

SIBLINGS = frozenset(("__init__", part) for part in ("api", "errors", "synthetic"))
"""(importer, imported) pairs that are meant all the same: the package's names, which are loaded when they are used."""

ONLY_IN: dict[str, tuple[str, ...]] = {
    "lm_eval": ("lmeval", "cli.harness"),
    "vllm": ("backends.vllm",),
    "sae_lens": ("sae",),
    "jinja2": ("board",),
    "markupsafe": ("board",),
    "datasets": ("lmeval", "taskfiles", "synthetic.export"),
    "transformers": ("backends", "features", "lmeval"),
    "torch": (
        "edit_kinds",
        "sae",
        "interventions",
        "backends",
        "probing",
        "features",
        "lmeval",
        "sweeps",
        "studies",
        "seeding",
        "api",
    ),
}
"""Third-party package -> the parts (or single modules) that may import it."""

MAY_SEE: dict[str, frozenset[str]] = {
    "stats": frozenset({"numpy", "scipy"}),
    "synthetic": frozenset({"numpy", "PIL", "pydantic"}),
}
"""Part -> the only third-party packages that it may import, besides those that ONLY_IN grants a single module."""

UNPACKAGED = ("training", "benchmarks")
"""Folders of a checkout that import vsc_eval, never the other way round."""

MAX_LINES = 400


def modules() -> Iterator[tuple[str, Path]]:
    """(dotted name below vsc_eval, file) of every module."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts), path


def imports(path: Path) -> set[str]:
    """Absolute dotted names that a file imports, at its top or inside functions, with `import_module("...")`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import; write the full name"
            assert node.module is not None
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                found.add(node.args[0].value)
    return found


def own_parts(names: set[str]) -> set[str]:
    """The parts of vsc_eval among imported names; `from vsc_eval import __version__` is the part `__init__`."""
    known = {part for layer in LAYERS for part in layer}
    tails = [name.split(".")[1:] for name in names if name.split(".")[0] == "vsc_eval"]
    return {tail[0] if tail and tail[0] in known else "__init__" for tail in tails}


def breach(importer: str, imported: str) -> bool:
    """Whether an import of one part by another goes against the layers."""
    rank = {part: level for level, layer in enumerate(LAYERS) for part in layer}
    return importer != imported and rank[imported] >= rank[importer] and (importer, imported) not in SIBLINGS


def granted(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


MODULES = list(modules())


def test_every_part_has_a_layer() -> None:
    placed = [part for layer in LAYERS for part in layer]
    assert len(placed) == len(set(placed))
    missing = sorted({name.split(".")[0] for name, _ in MODULES} - set(placed))
    assert not missing, f"{missing} have no layer: place them in LAYERS and in docs/architecture.md"


def faults(module: str, path: Path) -> Iterator[str]:
    """What a module does against the house: imports up or across, third parties out of their place, too many lines."""
    importer, names = module.split(".")[0], imports(path)
    for part in sorted(own_parts(names)):
        if breach(importer, part):
            yield f"{module} imports {part}, which stands in its own layer or above it"
    foreign = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"vsc_eval"}
    for name in sorted(foreign):
        if name in ONLY_IN and not granted(module, ONLY_IN[name]):
            yield f"{module} imports {name}, which belongs in {', '.join(ONLY_IN[name])}"
        if name in UNPACKAGED:
            yield f"{module} imports {name}, which an installed package does not have"
        if importer in MAY_SEE and name not in MAY_SEE[importer] and module not in ONLY_IN.get(name, ()):
            yield f"{module} imports {name}; {importer} sees only {', '.join(sorted(MAY_SEE[importer]))}"
    lines = len(path.read_text(encoding="utf-8").splitlines())
    if lines > MAX_LINES:
        yield f"{module} has {lines} lines (limit {MAX_LINES}): split it by idea"


def test_every_module_keeps_to_the_house() -> None:
    found = [fault for module, path in MODULES for fault in faults(module, path)]
    assert not found, "\n".join(found)


def test_the_check_can_fail(tmp_path: Path) -> None:
    assert breach("synthetic", "backends")
    assert not breach("backends", "interventions")
    assert own_parts({"vsc_eval.stats.drift_parts", "vsc_eval.__version__"}) == {"stats", "__init__"}
    bad = tmp_path / "bad.py"
    bad.write_text(
        "import torch, training.build\nfrom vsc_eval.board import page\n" + "\n" * MAX_LINES, encoding="utf-8"
    )
    assert len(list(faults("stats.bad", bad))) == 6


LIGHT = (
    "vsc_eval",
    "vsc_eval.specs",
    "vsc_eval.edit_kinds",
    "vsc_eval.settings",
    "vsc_eval.records",
    "vsc_eval.stats",
    "vsc_eval.synthetic",
    "vsc_eval.cli.main",
)
HEAVY = ("torch", "transformers", "lm_eval", "vllm", "datasets", "sae_lens")


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_load_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert loaded.stdout.split() == [], f"import {module} loaded {loaded.stdout.split()}"
