"""`board check` on the files of a board: double, renamed, torn, foreign or misplaced entries, and what it prints."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from harm import change_answer, edit_entry, file_of
from samples import sample_entry, write_board

from vsc_eval.board.board import BOARD_FILE, ENTRIES
from vsc_eval.board.check import Problem, check_board
from vsc_eval.board.entry.assemble import entry_id, sealed
from vsc_eval.board.entry.canonical import entry_text
from vsc_eval.cli.main import main
from vsc_eval.errors import SpecError


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
    file = file_of(board)
    shutil.copy(file, file.with_name("model-z-0123456789.json"))
    found = check_board(board)
    assert [problem.what for problem in found] == [
        f"the entry is {file.stem}",
        f"it is of the same model, items and conditions as {ENTRIES}/{file.name}",
    ]
    assert f"Name the file {file.name}" in found[0].hint


def test_one_model_under_two_names(board: Path) -> None:
    entry = sample_entry("model-b", source="study")
    model = entry.model.model_copy(update={"name": "better"})
    given = (model, entry.provenance.backend, entry.intervention, entry.scoring, entry.conditions, entry.items)
    renamed = sealed(entry.model_copy(update={"model": model, "id": entry_id(*given)}))
    (board / ENTRIES / f"{renamed.id}.json").write_text(entry_text(renamed))
    found = only(check_board(board))
    assert "the same model, items and conditions" in found.what


def test_a_model_has_one_name(board: Path) -> None:
    """Whose entry comes first by name would otherwise name the model of another's."""
    entry = sample_entry("model-b", conditions=("counting",))
    model = sample_entry("model-b", source="study").model.model_copy(update={"name": "a model"})
    given = (model, entry.provenance.backend, entry.intervention, entry.scoring, entry.conditions, entry.items)
    named = sealed(entry.model_copy(update={"model": model, "id": entry_id(*given)}))
    (board / ENTRIES / f"{named.id}.json").write_text(entry_text(named))
    found = only(check_board(board))
    assert (found.place, found.what) == (
        "model.name",
        "it is 'model-b', and another entry calls the same model 'a model'",
    )
    assert "--name 'a model'" in found.hint


def test_a_renamed_file(board: Path) -> None:
    file = file_of(board)
    file.rename(file.with_name("mine.json"))
    found = only(check_board(board))
    assert (found.file, found.place) == (f"{ENTRIES}/mine.json", "id")
    assert f"Name the file {file.name}" in found.hint


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_truncated_file(board: Path, share: float) -> None:
    file = file_of(board)
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    found = only(check_board(board))
    assert found.file == f"{ENTRIES}/{file.name}"
    assert "no JSON" in found.what
    assert "line" in found.what


def test_a_newer_schema(board: Path) -> None:
    edit_entry(file_of(board), lambda document: document.update(schema_version=2))
    found = only(check_board(board))
    assert "version 2; this vsc-eval reads up to 1" in found.what
    assert found.hint == "Update vsc-eval."


def test_foreign_files(board: Path) -> None:
    (board / ENTRIES / "notes.txt").write_text("hello")
    (board / ENTRIES / "more").mkdir()
    (board / ENTRIES / ".hidden.json").write_text("{}")
    (board / ENTRIES / ".x.json.12.partial").write_text("{")
    found = check_board(board)
    assert [problem.file for problem in found] == [f"{ENTRIES}/{n}" for n in (".hidden.json", "more", "notes.txt")]
    assert {problem.what for problem in found} == {"this is no entry"}


def test_a_link_out_of_the_board(board: Path, tmp_path: Path) -> None:
    file = file_of(board)
    file.rename(tmp_path / "elsewhere.json")
    os.symlink(tmp_path / "elsewhere.json", file)
    assert "this is no entry" in only(check_board(board)).what


@pytest.mark.parametrize("name", [ENTRIES, "cards", "figures", "tables"])
def test_a_folder_that_leads_out_of_the_board(board: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    if (board / name).is_dir():
        (board / name).rename(outside)
    else:
        outside.mkdir()
    before = sorted(outside.iterdir())
    os.symlink(outside, board / name)
    assert "it is a link" in only(check_board(board)).what
    assert main(["board", "build", str(board)]) == 2
    assert sorted(outside.iterdir()) == before


def test_a_folder_in_the_place_of_a_partial_file(board: Path) -> None:
    (board / ENTRIES / ".x.partial").mkdir()
    assert "this is no entry" in only(check_board(board)).what
    assert main(["board", "build", str(board)]) == 2


def test_entries_that_are_no_folder(board: Path) -> None:
    shutil.rmtree(board / ENTRIES)
    (board / ENTRIES).write_text("")
    assert "it is no folder" in only(check_board(board)).what


def test_a_link_to_nowhere(board: Path) -> None:
    file = file_of(board)
    file.unlink()
    os.symlink(board / "nothing.json", file)
    assert "this is no entry" in only(check_board(board)).what


def test_other_items_than_the_board_s(board: Path) -> None:
    larger = sample_entry("model-x", n_per_cell=8)
    (board / ENTRIES / f"{larger.id}.json").write_text(entry_text(larger))
    found = check_board(board)
    assert {problem.file for problem in found} == {f"{ENTRIES}/{larger.id}.json"}
    assert "there are 8 items, and the board asks 4" in found[0].what
    assert "`--n`" in found[0].hint


def test_some_synthetic_tasks_only(board: Path) -> None:
    part = sample_entry("model-x", tasks=("counting", "logic"))
    (board / ENTRIES / f"{part.id}.json").write_text(entry_text(part))
    found = only(check_board(board))
    assert "it lacks spatial_relation, attribute_query" in found.what


def test_tasks_that_the_board_does_not_ask(tmp_path: Path) -> None:
    write_board(tmp_path, [sample_entry("model-a", tasks=("counting",))])
    other = sample_entry("model-b", tasks=("logic",))
    (tmp_path / ENTRIES / f"{other.id}.json").write_text(entry_text(other))
    found = check_board(tmp_path)
    assert any("the board does not ask 'logic'" in problem.what for problem in found)


def test_long_answers_are_fine(board: Path) -> None:
    """A model that repeats itself, and one that writes what terminals and browsers obey."""
    entry = sample_entry("model-x", conditions=())
    answers = list(entry.items.answers["baseline"])
    # `generate` reads free text; what is wrong stays wrong, so that no count changes.
    places = [i for i, a in enumerate(answers) if a not in (entry.items.gold[i], "invalid")][:3]
    for place, text in zip(places, ("x" * 10_000, "\x1b[2J\x00\r", "</script><script>\u202e"), strict=True):
        answers[place] = text
    items = entry.items.model_copy(update={"answers": {"baseline": tuple(answers)}})
    given = (entry.model, entry.provenance.backend, entry.intervention, "generate", entry.conditions, items)
    free = sealed(entry.model_copy(update={"items": items, "scoring": "generate", "id": entry_id(*given)}))
    write_board(board, [free])
    problems = [problem for problem in check_board(board) if free.id in problem.file]
    assert problems == []


def test_options_may_be_words(tmp_path: Path) -> None:
    """`No` is asked and `no` is parsed; letters are parsed of options that are texts."""
    entry = sample_entry("model-x", conditions=())
    for options in (("a", "B ", "c", "D"), ("cat", "dog", "cow", "hen")):
        items = entry.items.model_copy(update={"options": (options,) * len(entry.items.id)})
        write_board(tmp_path, [sealed(entry.model_copy(update={"items": items}))])
        assert check_board(tmp_path) == ()


def test_all_problems_are_told_up_to_a_number(board: Path) -> None:
    edit_entry(file_of(board), change_answer)
    (board / ENTRIES / "notes.txt").write_text("hello")
    found = check_board(board)
    assert 5 < len(found) <= 21
    assert len({problem.file for problem in found}) == 2


def test_the_command(board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["board", "check", str(board)]) == 0
    assert "3 entries are right." in capsys.readouterr().out
    edit_entry(file_of(board), lambda document: document["model"].update(name="\x1b[2J[red]evil"))
    assert main(["board", "check", str(board)]) == 1
    out = capsys.readouterr().out
    assert "what is wrong" in out
    assert file_of(board).name[:20] in out
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
