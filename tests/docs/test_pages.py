"""The pages keep up with the code: the site builds without a broken link, commands parse, columns are explained."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from made import made_table

import vsc_eval
from vsc_eval.analysis.interactions import InteractionRow
from vsc_eval.analysis.rows import Row
from vsc_eval.answers.parquet import table_files, write_table
from vsc_eval.cli.main import COMMANDS, build_parser
from vsc_eval.records import Record

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
_LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")
_COMMENT = re.compile(r"\s+#\s.*")


def _blocks(page: Path, language: str = "") -> list[str]:
    return [text for found, text in _BLOCK.findall(page.read_text(encoding="utf-8")) if found == language]


def _commands(page: Path) -> list[list[str]]:
    """Every `vsc-eval ...` line of the page's code blocks, as words."""
    lines = [line for block in _blocks(page) for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(_COMMENT.sub("", line))[1:] for line in lines if line.startswith("vsc-eval ")]


@pytest.mark.slow
def test_the_site_builds_without_a_broken_link(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="the site's tools come with the development environment")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, timeout=300)
    assert built.returncode == 0, built.stderr
    html = "".join(page.read_text(encoding="utf-8") for page in tmp_path.rglob("*.html"))
    fetched = re.findall(r"<(?:script|img|link)[^>]+(?:src|href)=\"(?:https?:)?//[^\"]*", html)
    assert not fetched, f"the site fetches {fetched[:3]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere_in_the_repository(page: Path) -> None:
    missing = [to for to in _LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / to).exists()]
    assert not missing


@pytest.mark.parametrize("page", [page for page in PAGES if _commands(page)], ids=lambda page: page.name)
def test_commands_and_their_options_exist(page: Path) -> None:
    for words in _commands(page):
        try:
            options = build_parser().parse_args(words)
        except (SystemExit, argparse.ArgumentError) as error:
            pytest.fail(f"{page.name}: vsc-eval {shlex.join(words)}: {error}")
        assert hasattr(options, "handler")


def test_every_command_is_on_the_page_of_commands() -> None:
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    assert not [name for name in COMMANDS if f"| `{name}` |" not in text]


def test_every_public_name_is_in_the_reference() -> None:
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^::: vsc_eval\.(\w+)$", text, re.M)) == sorted(vsc_eval.__all__)


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_every_room_is_in_the_architecture() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    rooms = [path.parent.name for path in (ROOT / "vsc_eval").glob("*/__init__.py")]
    assert not [room for room in rooms if f"{room}/" not in text]


def _explained(heading: str) -> list[str]:
    """The names in the first column of the tables under a heading of files.md."""
    sections = re.split(r"^##+ ", (DOCS / "files.md").read_text(encoding="utf-8"), flags=re.M)
    (section,) = [section for section in sections if section.startswith(f"{heading}\n")]
    return sorted(word for row in re.findall(r"^\| (`.*?) \|", section, re.M) for word in re.findall(r"`(\w+)`", row))


def test_every_column_is_explained(tmp_path: Path) -> None:
    write_table(tmp_path, made_table())
    for name in table_files():
        assert _explained(f"Columns of {name}") == sorted(pq.read_schema(tmp_path / name).names), name


@pytest.mark.parametrize(("heading", "record"), [("Keys of a row", Row), ("Keys of an interaction", InteractionRow)])
def test_every_key_of_the_results_is_explained(heading: str, record: type[Record]) -> None:
    assert _explained(heading) == sorted(record.model_fields)


def test_the_pandas_example_gives_accuracy_and_drift(tmp_path: Path) -> None:
    table = made_table()
    write_table(tmp_path, table)
    (code,) = _blocks(DOCS / "files.md", "python")
    *before, accuracy, baseline, changed, drift = code.replace("runs/demo", tmp_path.as_posix()).strip().splitlines()
    known: dict[str, Any] = {}
    exec("\n".join(before), known)
    assert eval(accuracy, known)[list(table.names)].tolist() == table.right(table.names).mean(axis=1).tolist()
    exec(f"{baseline}\n{changed}", known)
    found = eval(drift, known)[list(table.names)].tolist()
    assert found == table.changed(table.names).mean(axis=1).tolist()
    assert np.any(found)
