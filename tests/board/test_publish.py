"""Publishing: the same again is nothing, two at once lose nothing, and what is cut off is fixed."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from harm import edit_json
from samples import load_board, renamed, sample_parts, write_board

from vsc_eval.board import build
from vsc_eval.board.build import build_board, stale_files
from vsc_eval.board.check import check_board
from vsc_eval.board.entry_files import ABOUT, FILES
from vsc_eval.board.publish import publish
from vsc_eval.board.records import Entry
from vsc_eval.board.spec import BOARD_FILE, ENTRIES, new_board
from vsc_eval.cli.main import main
from vsc_eval.errors import BackendError, DataError, SpecError
from vsc_eval.files import locked_folder

TASKS = ("counting", "logic")


def entry_of(name: str, note: str = "", seed: int = 0) -> Entry:
    return sample_parts(name, tasks=TASKS, conditions=("counting",), note=note, seed=seed)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board with one entry, built; not to be written to."""
    path = tmp_path_factory.mktemp("built") / "sample"
    write_board(path, [entry_of("first")])
    build_board(path)
    return path


@pytest.fixture
def board(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "sample")
    return tmp_path / "sample"


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and time of last change of every file."""
    found = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): (file.read_bytes(), file.stat().st_mtime_ns) for file in found}


def generated(*ids: str) -> set[str]:
    tables = {f"tables/{stem}.{kind}" for stem in ("baseline", "interventions") for kind in ("md", "csv", "tex")}
    own = {name for i in ids for name in (f"cards/{i}.md", f"figures/{i}.svg", f"figures/{i}.png")}
    return {"README.md", "index.html", *tables, *own}


def stored(*ids: str) -> set[str]:
    return {f"{ENTRIES}/{i}/{name}" for i in ids for name in (ABOUT, *FILES)}


def test_a_second_time_nothing_is_written(board: Path) -> None:
    entry = entry_of("second", note="mine")
    first = publish(entry, board)
    assert first.done == "added"
    assert first.folder == board / ENTRIES / entry.about.id
    before = files(board)
    ids = [known.id for known in load_board(board).entries]
    assert set(before) == generated(*ids) | stored(*ids) | {BOARD_FILE}
    again = publish(entry, board)
    assert again.done == "already there"
    assert (again.built.written, again.built.removed) == ((), ())
    assert files(board) == before
    assert stale_files(load_board(board)) == {}


def test_a_model_has_one_name_on_a_board(board: Path) -> None:
    entry = sample_parts("first", tasks=TASKS, conditions=("logic",))
    before = files(board)
    with pytest.raises(SpecError, match="entries of this model under the name 'first'") as error:
        publish(renamed(entry, "best"), board)
    assert "--name first" in error.value.hint
    assert files(board) == before
    assert publish(entry, board).done == "added"


def test_a_folder_in_the_place_of_a_file_is_told(board: Path) -> None:
    (board / "index.html").unlink()
    (board / "index.html").mkdir()
    (board / ".x.partial").mkdir()
    assert stale_files(load_board(board)) == {"index.html": "missing"}
    with pytest.raises(BackendError, match=r"index\.html cannot be written"):
        build_board(board)


def test_generated_files_are_the_same_whatever_was_there_before(board: Path, tmp_path: Path) -> None:
    publish(entry_of("second"), board)
    other = tmp_path / "other"
    write_board(other, [entry_of("first"), entry_of("second")])
    build_board(other)
    assert {name: content for name, (content, _) in files(board).items()} == {
        name: content for name, (content, _) in files(other).items()
    }


def test_other_content_needs_replace(board: Path) -> None:
    publish(entry_of("second", note="old"), board)
    newer = entry_of("second", note="new")
    before = files(board)
    with pytest.raises(SpecError, match="the same model, items and conditions with other content") as found:
        publish(newer, board)
    assert "--replace" in found.value.hint
    assert files(board) == before
    assert publish(newer, board, replace=True).done == "replaced"
    assert [known.about.note for known in load_board(board).entries] == ["", "new"]
    assert stale_files(load_board(board)) == {}


def test_a_new_name_takes_the_old_one_s_place(board: Path) -> None:
    other = renamed(entry_of("first"), "Renamed")
    with pytest.raises(SpecError, match=f"other content: {entry_of('first').about.id}"):
        publish(other, board)
    assert publish(other, board, replace=True).done == "replaced"
    assert set(files(board)) == generated(other.about.id) | stored(other.about.id) | {BOARD_FILE}


def test_a_run_that_does_not_fit_is_refused(board: Path) -> None:
    before = files(board)
    others = sample_parts("third", tasks=TASKS, n_per_cell=8, conditions=("counting",))
    with pytest.raises(SpecError, match="there are 8 items, and the board asks 4"):
        publish(others, board)
    with pytest.raises(SpecError, match="is of board 'another'"):
        publish(sample_parts("third", tasks=TASKS, board="another"), board)
    assert files(board) == before


def test_a_bad_entry_is_refused_by_name_and_nothing_is_written(board: Path) -> None:
    folder = board / ENTRIES / entry_of("first").about.id
    edit_json(folder, lambda document: document["rows"][0].update(n=0))
    before = files(board)
    for action in (lambda: build_board(board), lambda: publish(entry_of("second"), board)):
        with pytest.raises(DataError, match=folder.name) as found:
            action()
        assert "rows[0].n" in found.value.message
        assert "vsc-eval publish RUN" in found.value.hint
        assert files(board) == before
    (board / ENTRIES / "notes.txt").write_text("foreign")
    with pytest.raises(DataError, match=r"notes\.txt: this is no entry") as found:
        build_board(board)
    assert "2 problems in 2 files: `vsc-eval board check" in found.value.hint


@pytest.mark.parametrize("name", [ABOUT, *FILES, None])
def test_a_damaged_entry_is_mended_by_its_run(board: Path, name: str | None) -> None:
    entry = entry_of("first")
    folder, before = board / ENTRIES / entry.about.id, files(board)
    if name is None:
        edit_json(folder, lambda document: document["rows"][0].update(n=0))
    else:
        (folder / name).write_bytes(b"{}")
    with pytest.raises(DataError, match=folder.name):
        publish(entry, board)
    assert publish(entry, board, replace=True).done == "replaced"
    assert {name: content for name, (content, _) in files(board).items()} == {
        name: content for name, (content, _) in before.items()
    }


def test_a_picture_that_cannot_be_drawn_anew_writes_nothing(board: Path) -> None:
    """The board's hash is of the entry's own words; only drawing shows that an item is not what it says."""
    entry = entry_of("first")
    items = tuple(dataclasses.replace(item, prompt_hash="0" * 16) for item in entry.table.items)
    wrong = renamed(dataclasses.replace(entry, table=dataclasses.replace(entry.table, items=items)), "first")
    other = board.parent / "other"
    write_board(other, [wrong])
    shutil.rmtree(other / ENTRIES / wrong.about.id)
    with pytest.raises(DataError, match="prompt_hash"):
        publish(wrong, other)
    assert set(files(other)) == {BOARD_FILE}
    assert not list(other.rglob(".*"))


def test_entries_that_go_take_their_files_with_them(board: Path) -> None:
    second = entry_of("second")
    publish(second, board)
    (board / "cards" / "mine.md").write_text("kept: a build gives no such name")
    (board / "tables" / "baseline.xlsx").write_text("kept")
    shutil.rmtree(board / ENTRIES / second.about.id)
    assert f"cards/{second.about.id}.md" in stale_files(load_board(board))
    built = build_board(board)
    assert set(built.removed) == {
        f"cards/{second.about.id}.md",
        f"figures/{second.about.id}.svg",
        f"figures/{second.about.id}.png",
    }
    kept = {"cards/mine.md", "tables/baseline.xlsx", BOARD_FILE}
    first = entry_of("first").about.id
    assert set(files(board)) == generated(first) | stored(first) | kept


def test_what_is_not_up_to_date_is_told(board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["board", "build", str(board), "--check"]) == 0
    figure = board / "figures" / f"{entry_of('first').about.id}.png"
    figure.unlink()
    (board / "README.md").write_text("edited")
    page = board / "index.html"
    page.write_bytes(page.read_bytes().replace(b"\n", b"\r\n"))
    assert stale_files(load_board(board)) == {"README.md": "out of date", f"figures/{figure.name}": "missing"}
    before = files(board)
    assert main(["board", "build", str(board), "--check"]) == 1
    assert "README.md: out of date" in capsys.readouterr().out
    assert files(board) == before
    assert main(["board", "build", str(board)]) == 0
    assert stale_files(load_board(board)) == {}
    assert figure.is_file()


def test_a_figure_is_drawn_anew_only_for_another_entry(board: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    svg = board / "figures" / f"{entry_of('first').about.id}.svg"
    before = svg.stat().st_mtime_ns
    build_board(board)
    assert svg.stat().st_mtime_ns == before
    monkeypatch.setattr(build, "__version__", "9.9.9")
    assert f"figures/{svg.name}" in build_board(board).written
    assert b"vsc-eval 9.9.9" in svg.read_bytes()


def test_a_board_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="cannot be opened"), locked_folder(tmp_path / "nothing", "a board"):
        pass


PUBLISH = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from samples import sample_parts
from vsc_eval.board.publish import publish
entries = [sample_parts(name, tasks={tasks!r}, conditions=("counting",)) for name in sys.argv[3:]]
left = int(sys.argv[2])
replace = os.replace
def until_killed(*arguments):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(*arguments)
os.replace = until_killed
Path.replace = lambda self, target: (until_killed(self, target), Path(target))[1]
for entry in entries:
    publish(entry, Path(sys.argv[1]))
"""


def started(board: Path, *names: str, killed_at: int = 0) -> subprocess.Popen[str]:
    """A process that publishes these entries; with `killed_at`, killed as its so manyth file takes its place."""
    code = PUBLISH.format(tests=str(Path(__file__).parent), tasks=TASKS)
    command = [sys.executable, "-c", code, str(board), str(killed_at), *names]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_several_at_once_lose_nothing(board: Path, tmp_path: Path) -> None:
    names = [["a", "b"], ["c", "d"], ["e", "a"]]
    processes = [started(board, *own) for own in names]
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    wanted = [entry_of(name) for name in ("first", "a", "b", "c", "d", "e")]
    assert {entry.id for entry in load_board(board).entries} == {entry.about.id for entry in wanted}
    assert check_board(board) == ()
    # As if one process had written them all.
    other = tmp_path / "other"
    write_board(other, wanted)
    build_board(other)
    assert {name: content for name, (content, _) in files(board).items()} == {
        name: content for name, (content, _) in files(other).items()
    }


WRITTEN = len(FILES) + 2
"""Files of an entry, and the folder that they are in, which takes its place last."""


@pytest.mark.parametrize("killed_at", [1, 3, WRITTEN, WRITTEN + 1, WRITTEN + 3])
def test_a_killed_publisher_is_mended_by_the_next(board: Path, killed_at: int) -> None:
    entry = entry_of("a")
    process = started(board, "a", killed_at=killed_at)
    process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL
    assert list(board.rglob(".*.partial")), "it was not killed while it wrote"
    # The entry is there as a whole or not at all, and neither the check nor a reader stumbles over the rest.
    assert check_board(board) == ()
    there = entry.about.id in {known.id for known in load_board(board).entries}
    assert there == (killed_at > WRITTEN)
    found = publish(entry, board)
    assert found.done == ("already there" if there else "added")
    assert stale_files(load_board(board)) == {}
    assert not list(board.rglob(".*.partial"))


def test_a_second_process_waits_and_says_so(board: Path) -> None:
    said: list[str] = []
    code = (
        "import sys, time; from pathlib import Path; from vsc_eval.files import locked_folder\n"
        "with locked_folder(Path(sys.argv[1]), 'a board'):\n    print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(board)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == "held\n"

    def say(words: str) -> None:
        said.append(words)
        assert holder.stdin is not None
        holder.stdin.close()

    with locked_folder(board, "a board", say):
        assert holder.wait(timeout=60) == 0
    holder.stdout.close()
    assert len(said) == 1
    assert "Waiting for another process" in said[0]


def test_the_commands_from_a_run_to_a_board(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = tmp_path / "mine"
    assert (
        main(["board", "new", str(board), "--from", str(run_folder), "--title", "Mine", "--description", "Ours"]) == 0
    )
    document = yaml.safe_load((board / BOARD_FILE).read_text())
    assert (document["name"], document["title"], document["scoring"]) == ("mine", "Mine", "loglikelihood")
    assert {task: len(asked["levels"]) for task, asked in document["tasks"].items()} == {"counting": 3, "logic": 3}
    assert main(["board", "build", str(board)]) == 0
    assert "No entries yet." in (board / "README.md").read_text()
    command = ["publish", str(run_folder), "--to", str(board), "--name", "ours", "--note", "first try"]
    assert main(command) == 0
    before = files(board)
    assert main(command) == 0
    assert "already there" in capsys.readouterr().err
    assert files(board) == before
    (entry,) = load_board(board).entries
    assert (entry.name, entry.about.note, entry.about.board) == ("ours", "first try", "mine")
    assert main(["publish", str(run_folder), "--to", str(board), "--note", "second"]) == 2
    assert "--replace" in capsys.readouterr().err
    assert main(["publish", str(run_folder), "--to", str(board), "--replace"]) == 0
    assert [known.name for known in load_board(board).entries] == ["vsc-tiny"]
    assert main(["board", "check", str(board)]) == 0
    capsys.readouterr()
    assert main(["board", "show", str(board), "--all"]) == 0
    shown = capsys.readouterr().out
    assert "vsc-tiny" in shown
    assert "logic" in shown
    assert main(["board", "new", str(board), "--from", str(run_folder)]) == 2
    assert "is a board already" in capsys.readouterr().err


def test_pictures_by_the_command(external_folder: Path, data_dir: Path, tmp_path: Path) -> None:
    board = tmp_path / "outside"
    assert main(["board", "new", str(board), "--from", str(external_folder)]) == 0
    command = ["publish", str(external_folder), "--to", str(board)]
    assert main([*command, "--data-dir", str(data_dir)]) == 2
    assert main([*command, "--with-pictures", "--data-dir", str(data_dir)]) == 0
    (entry,) = load_board(board).entries
    assert entry.shown
    assert "data:image/jpeg" in (board / "index.html").read_text()


def test_a_board_of_several_runs(run_folder: Path, external_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="another scoring"):
        new_board(tmp_path / "both", [run_folder, external_folder])
    spec = new_board(tmp_path / "two", [run_folder, run_folder])
    assert list(spec.tasks) == ["counting", "logic"]
    with pytest.raises(SpecError, match="is no name of a board"):
        new_board(tmp_path / "No Such Name!", [run_folder])
    assert not (tmp_path / "No Such Name!").exists()


def test_what_is_no_run_or_no_board(board: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["publish", str(tmp_path), "--to", str(board)]) == 2
    assert "is no run's folder" in capsys.readouterr().err
    for command in (["board", "check"], ["board", "build"], ["board", "show"], ["publish", str(tmp_path), "--to"]):
        assert main([*command, str(tmp_path / "nothing")]) == 2
        assert "is no board" in capsys.readouterr().err
    document = json.loads((board / ENTRIES / entry_of("first").about.id / ABOUT).read_text())
    assert document["board"] == "sample"
    assert os.listdir(tmp_path) == ["sample"]
