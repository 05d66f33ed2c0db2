"""A package as pip would have installed it, in as far as entry points go: a dist-info folder on the path."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from outside.parts import PARTS

HERE = Path(__file__).parent
ROOT = HERE.parent.parent

Part = tuple[str, str, str]
"""(group, name, "module:object")."""


def install(folder: Path, parts: Iterable[Part] = PARTS, *, name: str = "outside", version: str = "1.0") -> Path:
    """Write the dist-info of a package with these entry points; returns the folder, which belongs on the path."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    lines: list[str] = []
    for group, entry, target in parts:
        lines += [f"[{group}]", f"{entry} = {target}"]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def run_python(code: str, *path: Path, arguments: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """`code` in a fresh process with `path`, this folder and the package's root on the path."""
    paths = os.pathsep.join(map(str, (*path, HERE, ROOT)))
    environment = {**os.environ, "PYTHONPATH": paths, "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500)
