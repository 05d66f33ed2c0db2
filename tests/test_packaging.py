"""The wheel carries everything, and works where there is no checkout."""

from __future__ import annotations

import configparser
import importlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA_FOLDERS = ("tasks", "interventions")
WEIGHT_LIMIT_BYTES = 15 * 2**20

pytestmark = pytest.mark.xdist_group("packaging")


def call(*command: str | Path, cwd: Path) -> str:
    """Run a command as a user would, without this checkout on the path; its stdout, or a failure that shows stderr."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{command} gave {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build(kind: str, source: Path, target: Path) -> Path:
    """Build an `sdist` or a `wheel` from the tree `source` with the setuptools at hand; the file it made."""
    code = f"import sys; from setuptools.build_meta import build_{kind} as b; print('BUILT', b(sys.argv[1]))"
    lines = call(sys.executable, "-c", code, target, cwd=source).splitlines()
    return target / next(line.removeprefix("BUILT ") for line in lines if line.startswith("BUILT "))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, so that a build leaves nothing behind in it and finds nothing left from another."""
    copy = tmp_path_factory.mktemp("checkout") / "vsc-eval"
    skipped = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "runs", "*.egg-info")
    shutil.copytree(ROOT, copy, ignore=skipped)
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the unpacked sdist: the longer way, on which files get lost."""
    folder = tmp_path_factory.mktemp("dist")
    with tarfile.open(build("sdist", source, folder)) as archive:
        archive.extractall(folder, filter="data")
    (unpacked,) = (path for path in folder.iterdir() if path.is_dir())
    return build("wheel", unpacked, folder)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment with the wheel in it; the packages it needs are those of the test run."""
    environment = tmp_path_factory.mktemp("installed") / "venv"
    call(sys.executable, "-m", "venv", "--without-pip", environment, cwd=wheel.parent)
    binaries = environment / "bin"
    install = ("install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index", "--no-compile")
    call(sys.executable, "-m", "pip", "--python", binaries / "python", *install, wheel, cwd=wheel.parent)
    where = call(
        binaries / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=wheel.parent
    ).strip()
    # A path in a .pth file is searched last, and .pth files in it (our own editable install) are not read.
    (Path(where) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return binaries


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_wheel_holds_all_code_and_data(wheel: Path, source: Path) -> None:
    names = names_in(wheel)
    code = {str(path.relative_to(source)) for path in (source / "vsc_eval").rglob("*.py")}
    data = {
        f"vsc_eval/_data/{path.relative_to(source)}"
        for name in DATA_FOLDERS
        for path in (source / name).rglob("*")
        if path.is_file()
    }
    model = {str(path.relative_to(source)) for path in (source / "vsc_eval/embedded/vsc-tiny").iterdir()}
    assert sorted((code | data | model | {"vsc_eval/py.typed"}) - names) == []
    assert all(any(name.startswith(f"vsc_eval/_data/{folder}/") for name in names) for folder in DATA_FOLDERS)


def test_wheel_holds_nothing_else(wheel: Path) -> None:
    names = names_in(wheel)
    assert {name.split("/")[0] for name in names} <= {"vsc_eval", f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"}
    assert [name for name in names if name.endswith((".pyc", ".pkl", ".pt", ".bin"))] == []


def test_wheel_carries_the_embedded_model(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        sizes = {
            info.filename: info.file_size
            for info in archive.infolist()
            if info.filename.startswith("vsc_eval/embedded/vsc-tiny/")
        }
        config = json.loads(archive.read("vsc_eval/embedded/vsc-tiny/config.json"))
    assert config["architectures"] == ["Qwen3VLForConditionalGeneration"]
    weights = [size for name, size in sizes.items() if name.endswith(".safetensors")]
    assert weights
    assert sum(weights) <= WEIGHT_LIMIT_BYTES


def test_entry_points_exist(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/entry_points.txt"))
        declared = configparser.ConfigParser()
        declared.read_string(archive.read(name).decode())
    assert dict(declared["console_scripts"]) == {"vsc-eval": "vsc_eval.cli.main:main"}
    assert "vsc-hf" in declared["lm_eval.models"]
    for group in declared.sections():
        for target in declared[group].values():
            module, _, attribute = target.partition(":")
            assert callable(getattr(importlib.import_module(module), attribute)), target


def test_direct_wheel_is_the_same(wheel: Path, source: Path, tmp_path: Path) -> None:
    assert names_in(build("wheel", source, tmp_path)) == names_in(wheel)


def test_installed_package_is_the_wheel(installed: Path, tmp_path: Path) -> None:
    code = "import vsc_eval; from vsc_eval.resources import *; print(vsc_eval.__file__, tasks_dir(), embedded_dir())"
    for place in call(installed / "python", "-c", code, cwd=tmp_path).split():
        assert Path(place).is_relative_to(installed.parent)


def test_installed_wheel_lists_tasks(installed: Path, tmp_path: Path) -> None:
    assert "vsc_counting" in call(installed / "vsc-eval", "tasks", "list", cwd=tmp_path)


def test_installed_wheel_runs_the_embedded_model(installed: Path, tmp_path: Path) -> None:
    printed = call(
        installed / "vsc-eval",
        *("run", "--model", "vsc-tiny", "--tasks", "vsc_counting_easy", "--n", "4", "--out", tmp_path / "run"),
        *("--conditions", "baseline,counting,counting+logic"),
        cwd=tmp_path,
    )
    assert "counting+logic" in printed
    assert (tmp_path / "run" / "results.json").stat().st_size > 0
