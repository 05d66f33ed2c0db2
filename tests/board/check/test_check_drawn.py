"""`board check --intervals`: what chance decided is drawn anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from harm import Document, edit_json, edit_run, folder_of, row

from vsc_eval.board.check import check_board
from vsc_eval.cli.main import main


@pytest.mark.parametrize("model", ["model-a", "model-b"])
@pytest.mark.parametrize("field", ["accuracy", "difference", "drift"])
def test_bounds_are_drawn_anew_if_asked_for(board: Path, model: str, field: str) -> None:
    def narrow(document: Document) -> None:
        found: Any = row(document, "counting", "all")[field]
        found = found.get("share", found)
        found["low"] = found["low"] + 0.5 * (found["value"] - found["low"])

    assert check_board(board, intervals=True) == ()
    folder = folder_of(board, model)
    edit_json(folder, narrow)
    assert check_board(board) == ()
    (found,) = check_board(board, intervals=True)
    assert folder.name in found.file
    assert found.place.endswith(("low", "share.low"))
    assert "the answers give" in found.what
    assert "another version of numpy" in found.hint
    assert main(["board", "check", str(board), "--intervals"]) == 1


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [("interactions", "p_accuracy", 0.123), ("rows", "p_difference", 0.123), ("rows", "p_difference_adjusted", 0.2)],
)
def test_p_of_resampling_are_drawn_anew(board: Path, section: str, field: str, value: float) -> None:
    def change(document: Document) -> None:
        records = document[section]
        record = records[1] if section == "interactions" else row(document, "logic", "all")
        record[field] = value

    edit_json(folder_of(board), change)
    assert check_board(board) == ()
    (found,) = check_board(board, intervals=True)
    assert found.place.endswith(f".{field}")


@pytest.mark.parametrize(
    "statistics", [{"draws": 0}, {"draws": 10**12}, {"draws": True}, {"level": 5}, {"permutations": 1.5}, "all", None]
)
def test_any_settings_can_be_drawn_from(board: Path, statistics: object) -> None:
    """Nothing that an entry says crashes the check, or takes all memory."""
    edit_run(folder_of(board), lambda document: document["settings"].update(statistics=statistics))
    found = check_board(board, intervals=True)
    assert any("cannot be computed anew: the settings" in problem.what for problem in found)
