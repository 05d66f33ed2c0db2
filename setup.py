"""Puts the data folders of the checkout into the wheel as `vsc_eval/_data/`; everything else is in pyproject.toml.

A top-level folder named `tasks` would be importable from site-packages, so it may not be packaged where it stands.
An editable install needs no copy: `vsc_eval/resources.py` finds the folders beside the package.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
DATA_FOLDERS = ("tasks", "interventions")


class BuildPyWithData(build_py):
    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for source, target in self._data_files():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        data = [] if self.editable_mode else [str(target) for _, target in self._data_files()]
        return [*super().get_outputs(include_bytecode), *data]

    def _data_files(self) -> list[tuple[Path, Path]]:
        """(file in the checkout, its place in the build folder) of every data file."""
        pairs = []
        for name in DATA_FOLDERS:
            files = [p for p in sorted((ROOT / name).rglob("*")) if p.is_file() and p.suffix != ".pyc"]
            if not files:
                raise FileNotFoundError(f"the data folder {name}/ is missing or empty: the wheel would not work")
            target = Path(self.build_lib) / "vsc_eval" / "_data"
            pairs += [(file, target / file.relative_to(ROOT)) for file in files]
        return pairs


setup(cmdclass={"build_py": BuildPyWithData})
