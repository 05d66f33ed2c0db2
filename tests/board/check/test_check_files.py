"""`board check` on the files of a board: double, renamed, torn, foreign or misplaced entries, and what it prints."""

from __future__ import annotations

import dataclasses
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from harm import edit_about, edit_answer, edit_item, edit_table, folder_of, reseal
from samples import add_entry, parts_of, renamed, sample_parts, write_board

from vsc_eval.board.check import check_board
from vsc_eval.board.entry_files import ABOUT, FILES
from vsc_eval.board.publish import publish
from vsc_eval.board.records import Problem
from vsc_eval.board.spec import BOARD_FILE, ENTRIES
from vsc_eval.cli.main import main
from vsc_eval.errors import DataError, SpecError


def test_boards_as_they_are_made_are_right(clean: Path) -> None:
    assert check_board(clean) == ()


def test_a_board_without_entries_is_right(board: Path) -> None:
    shutil.rmtree(board / ENTRIES)
    assert check_board(board) == ()


def test_no_board_at_all(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"is no board: it has no board\.yaml"):
        check_board(tmp_path)


def only(problems: tuple[Problem, ...]) -> Problem:
    assert len(problems) == 1, [str(problem) for problem in problems]
    return problems[0]


def test_an_entry_twice(board: Path) -> None:
    folder = folder_of(board)
    shutil.copytree(folder, folder.with_name("model-z-0123456789"))
    found = check_board(board)
    assert [problem.what for problem in found] == [
        f"the entry is {folder.name}",
        f"it is of the same model, items and conditions as {ENTRIES}/{folder.name}",
    ]
    assert f"Name the folder {folder.name}" in found[0].hint


def test_one_model_under_two_names(board: Path) -> None:
    add_entry(board, renamed(sample_parts("model-b", source="study"), "better"))
    assert "the same model, items and conditions" in only(check_board(board)).what


def test_a_model_has_one_name(board: Path) -> None:
    """Whose entry comes first by name would otherwise name the model of another's."""
    add_entry(board, renamed(sample_parts("model-b", conditions=("counting",)), "a model"))
    found = only(check_board(board))
    assert (found.place, found.what) == (
        "model.name",
        "it is 'model-b', and another entry calls the same model 'a model'",
    )
    assert "--name 'a model'" in found.hint


def test_a_renamed_folder(board: Path) -> None:
    folder = folder_of(board)
    folder.rename(folder.with_name("mine"))
    found = only(check_board(board))
    assert (found.file, found.place) == (f"{ENTRIES}/mine", "id")
    assert f"Name the folder {folder.name}" in found.hint


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
@pytest.mark.parametrize("name", [ABOUT, *FILES])
def test_a_truncated_file(board: Path, name: str, share: float) -> None:
    """Also if it was hashed anew afterwards."""
    folder = folder_of(board)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(len(content) * share)])
    if name != ABOUT:
        assert f"{name}: the entry is not what was published" in only(check_board(board)).what
        reseal(folder)
    problems = check_board(board)
    assert {problem.file for problem in problems} == {f"{ENTRIES}/{folder.name}"}
    assert problems[0].what.startswith(name) or name == "run.yaml"


@pytest.mark.parametrize("name", [ABOUT, *FILES])
def test_a_missing_file(board: Path, name: str) -> None:
    (folder_of(board) / name).unlink()
    assert name in only(check_board(board)).what


def test_a_file_too_many(board: Path) -> None:
    (folder_of(board) / "notes.txt").write_text("hello")
    assert "notes.txt: an entry has the files that" in only(check_board(board)).what
    reseal(folder_of(board))
    assert "notes.txt: an entry has the files that" in only(check_board(board)).what


def test_a_link_in_the_place_of_a_file(board: Path, tmp_path: Path) -> None:
    file = folder_of(board) / "results.json"
    file.rename(tmp_path / "elsewhere.json")
    os.symlink(tmp_path / "elsewhere.json", file)
    assert "results.json: an entry has the files that" in only(check_board(board)).what


def test_a_newer_schema(board: Path) -> None:
    edit_about(folder_of(board), lambda document: document.update(schema_version=2))
    found = only(check_board(board))
    assert "version 2; this vsc-eval reads up to 1" in found.what
    assert found.hint == "Update vsc-eval."


def test_foreign_files(board: Path) -> None:
    (board / ENTRIES / "notes.txt").write_text("hello")
    (board / ENTRIES / ".hidden").mkdir()
    (board / ENTRIES / ".x.json.12.partial").write_text("{")
    found = check_board(board)
    assert [problem.file for problem in found] == [f"{ENTRIES}/{n}" for n in (".hidden", "notes.txt")]
    assert {problem.what for problem in found} == {"this is no entry"}


def test_an_empty_folder(board: Path) -> None:
    (board / ENTRIES / "more").mkdir()
    assert "entry.json cannot be read: No such file or directory" in only(check_board(board)).what


def test_a_link_out_of_the_board(board: Path, tmp_path: Path) -> None:
    folder = folder_of(board)
    shutil.move(folder, tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", folder)
    assert "this is no entry" in only(check_board(board)).what


@pytest.mark.parametrize("name", [ENTRIES, "cards", "figures", "tables"])
def test_a_folder_that_leads_out_of_the_board(board: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    if (board / name).is_dir():
        (board / name).rename(outside)
    else:
        outside.mkdir()
    before = sorted(outside.rglob("*"))
    os.symlink(outside, board / name)
    assert "it is a link" in only(check_board(board)).what
    assert main(["board", "build", str(board)]) == 2
    with pytest.raises(DataError, match="it is a link"):
        publish(sample_parts("model-x"), board)
    assert sorted(outside.rglob("*")) == before


def test_entries_that_are_no_folder(board: Path) -> None:
    shutil.rmtree(board / ENTRIES)
    (board / ENTRIES).write_text("")
    assert "it is no folder" in only(check_board(board)).what


def test_a_link_to_nowhere(board: Path) -> None:
    folder = folder_of(board)
    shutil.rmtree(folder)
    os.symlink(board / "nothing", folder)
    assert "this is no entry" in only(check_board(board)).what


def test_other_items_than_the_board_s(board: Path) -> None:
    larger = sample_parts("model-x", n_per_cell=8)
    add_entry(board, larger)
    found = check_board(board)
    assert {problem.file for problem in found} == {f"{ENTRIES}/{larger.about.id}"}
    assert "there are 8 items, and the board asks 4" in found[0].what
    assert "`--n`" in found[0].hint


def test_some_synthetic_tasks_only(board: Path) -> None:
    add_entry(board, sample_parts("model-x", tasks=("counting", "logic")))
    assert "it lacks spatial_relation, attribute_query" in only(check_board(board)).what


def test_tasks_that_the_board_does_not_ask(tmp_path: Path) -> None:
    write_board(tmp_path, [sample_parts("model-a", tasks=("counting",))])
    add_entry(tmp_path, sample_parts("model-b", tasks=("logic",)))
    assert any("the board does not ask 'logic'" in problem.what for problem in check_board(tmp_path))


def test_long_answers_are_fine(tmp_path: Path) -> None:
    """A model that repeats itself, and one that writes what terminals and browsers obey."""
    parts = sample_parts("model-x", conditions=())
    table, wrong = parts.table, np.flatnonzero(parts.table.main.answer[0] != parts.table.gold)
    for place in range(len(table.items)):
        table = edit_item(place, scoring="generate", options=(), gold_index=None)(table)
    main = dataclasses.replace(table.main, option_logprobs=table.main.option_logprobs[..., :0])
    table = dataclasses.replace(table, main=main)
    for place, text in zip(wrong, ("x" * 10_000, "\x1b[2J\x00\r", "</script><script>\u202e"), strict=False):
        table = edit_answer("baseline", place, text)(table)
    write_board(tmp_path, [parts_of(parts.about, dict(parts.run), table, random.Random())])
    assert check_board(tmp_path) == ()


def test_options_may_be_words(tmp_path: Path) -> None:
    """`No` is asked and `no` is parsed; letters are parsed of options that are texts."""
    parts = sample_parts("model-x", conditions=())
    for options in (("a", "B ", "c", "D"), ("cat", "dog", "cow", "hen")):
        table = parts.table
        for place in range(len(table.items)):
            table = edit_item(place, options=options)(table)
        write_board(tmp_path, [dataclasses.replace(parts, table=table)])
        assert check_board(tmp_path) == ()


def test_all_problems_are_told_up_to_a_number(board: Path) -> None:
    for place in range(3):
        edit_table(folder_of(board), edit_answer("baseline", place))
    (board / ENTRIES / "notes.txt").write_text("hello")
    found = check_board(board)
    assert 5 < len(found) <= 21
    assert len({problem.file for problem in found}) == 2


def test_the_command(board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["board", "check", str(board)]) == 0
    assert "3 entries are right." in capsys.readouterr().out
    edit_about(folder_of(board), lambda document: document.update(name="\x1b[2J[red]evil"))
    assert main(["board", "check", str(board)]) == 1
    out = capsys.readouterr().out
    assert "what is wrong" in out
    assert folder_of(board).name[:20] in out
    assert "\x1b[2J" not in out
    (board / BOARD_FILE).write_text("name: [\n")
    assert main(["board", "check", str(board)]) == 2


def test_checking_loads_no_model_library(clean: Path) -> None:
    code = (
        "import sys; from vsc_eval.board.check import check_board; from pathlib import Path; "
        f"assert check_board(Path({str(clean)!r})) == (); "
        "print(*[n for n in ('torch', 'transformers', 'lm_eval', 'datasets', 'matplotlib') if n in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert loaded.stdout.split() == []


def test_problems_are_sentences(board: Path) -> None:
    (board / ENTRIES / "notes.txt").write_text("hello")
    assert str(only(check_board(board))).startswith("entries/notes.txt: this is no entry. ")
