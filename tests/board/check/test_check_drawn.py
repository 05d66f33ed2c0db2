"""`board check --intervals`: what chance decided is drawn anew."""

from __future__ import annotations

from pathlib import Path

import pytest
from harm import Document, edit_entry, file_of, row

from vsc_eval.board.check import check_board
from vsc_eval.cli.main import main


@pytest.mark.parametrize("field", ["accuracy", "difference", "drift"])
def test_bounds_are_drawn_anew_if_asked_for(clean: Path, board: Path, field: str) -> None:
    assert not [problem for problem in check_board(clean, intervals=True) if "model-a" in problem.file]

    def narrow(document: Document) -> None:
        found = row(document, "counting", "all")[field]
        found["low"] = found["low"] + 0.5 * (found["value"] - found["low"])

    file = file_of(board, "model-a")
    edit_entry(file, narrow)
    assert check_board(board) == ()
    (found,) = [problem for problem in check_board(board, intervals=True) if file.name in problem.file]
    assert found.place.endswith(field)
    assert "and drawn anew" in found.what
    assert main(["board", "check", str(board), "--intervals"]) == 1


def test_unions_and_methods_of_a_run_are_drawn_anew_if_asked_for(board: Path) -> None:
    def change(document: Document) -> None:
        document["unions"][1]["accuracy_interaction"]["low"] -= 0.01
        row(document, "logic", "all")["method"] = "exact"

    file = file_of(board, "model-a")
    edit_entry(file, change)
    assert check_board(board) == ()
    found = [problem for problem in check_board(board, intervals=True) if file.name in problem.file]
    assert [problem.place.split("]")[1] for problem in found] == [".method", ".accuracy_interaction"]


@pytest.mark.parametrize(
    "statistics", [{"draws": 0}, {"draws": 10**12}, {"draws": True}, {"level": 5}, {"permutations": 1.5}, "all", None]
)
def test_any_settings_can_be_drawn_from(board: Path, statistics: object) -> None:
    """Nothing that an entry says crashes the check, or takes all memory."""
    edit_entry(file_of(board), lambda document: document["provenance"]["settings"].update(statistics=statistics))
    found = check_board(board, intervals=True)
    assert any("the settings are no study's" in problem.what or "drawn anew" in problem.what for problem in found)
