"""A board's folder: what board.yaml asks, and reading all of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from harm import edit_entry
from hypothesis import given
from hypothesis import strategies as st
from samples import sample_board, sample_entry

from vsc_eval.board.board import (
    BOARD_FILE,
    ENTRIES,
    NO_LEVEL,
    Board,
    asked_hash,
    entry_files,
    load_board,
    read_board_spec,
    spec_of,
)
from vsc_eval.board.build import generated_texts
from vsc_eval.board.records import ItemTable
from vsc_eval.errors import DataError, SpecError
from vsc_eval.synthetic import LEVELS, TASKS


def items(**changes: object) -> ItemTable:
    return sample_entry("model-a", conditions=()).items.model_copy(update=changes)


def test_a_board_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = sample_board(tmp_path, 3)
    read = load_board(tmp_path)
    assert read == written
    assert [entry.id for entry in read.entries] == sorted(entry.id for entry in written.entries)


def test_the_spec_holds_every_cell() -> None:
    spec = spec_of(items(), name="b", title="B", scoring="loglikelihood", generator_version="1")
    assert list(spec.tasks) == list(TASKS)
    assert all(list(task.levels) == list(LEVELS) for task in spec.tasks.values())
    assert {group.n for task in spec.tasks.values() for group in task.levels.values()} == {4}
    assert len({group.sha256 for task in spec.tasks.values() for group in task.levels.values()}) == 21


def test_external_tasks_have_no_levels_and_no_generator() -> None:
    table = items()
    n = len(table.id)
    outside = table.model_copy(update={"task": ("photos",) * n, "level": (None,) * n})
    spec = spec_of(outside, name="b", title="B", scoring="loglikelihood", generator_version="1")
    assert spec.generator_version is None
    assert spec.tasks["photos"].kind == "external"
    assert spec.tasks["photos"].levels[NO_LEVEL].n == n


@pytest.mark.parametrize("name", ["", "Upper", "a b", "../x", "x" * 61])
def test_names_that_a_board_cannot_have(name: str) -> None:
    with pytest.raises(SpecError, match="is no name of a board"):
        spec_of(items(), name=name, title="B", scoring="loglikelihood", generator_version="1")


@given(st.permutations(range(12)))
def test_the_hash_is_of_what_was_asked_in_any_order(order: list[int]) -> None:
    assert asked_hash(items(), order) == asked_hash(items(), range(12))


@pytest.mark.parametrize("column", ["id", "cluster", "cluster_kind", "gold", "prompt_hash", "image_hash"])
def test_the_hash_is_of_all_that_was_asked(column: str) -> None:
    table = items()
    values = list(getattr(table, column))
    values[3] = "another"
    changed = table.model_copy(update={column: tuple(values)})
    assert asked_hash(changed, range(12)) != asked_hash(table, range(12))
    assert asked_hash(changed, range(4, 12)) == asked_hash(table, range(4, 12))


def test_the_hash_is_not_of_letters_and_answers() -> None:
    table = items()
    n = len(table.id)
    other = table.model_copy(update={"options": ((),) * n, "answers": {"baseline": ("A",) * n}})
    assert asked_hash(other, range(n)) == asked_hash(table, range(n))


def test_values_do_not_run_together() -> None:
    table = items()
    one = table.model_copy(update={"prompt_hash": ("ab",) * len(table.id), "image_hash": ("c",) * len(table.id)})
    other = table.model_copy(update={"prompt_hash": ("a",) * len(table.id), "image_hash": ("bc",) * len(table.id)})
    assert asked_hash(one, range(4)) != asked_hash(other, range(4))


def test_what_is_no_board(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="is no board"):
        load_board(tmp_path)
    (tmp_path / BOARD_FILE).write_text("name: b\ntitel: B\n")
    with pytest.raises(SpecError, match="unknown key 'titel'"):
        read_board_spec(tmp_path)


def test_an_edited_entry_is_refused_by_name(tmp_path: Path) -> None:
    sample_board(tmp_path, 2)
    file = entry_files(tmp_path)[1]
    edit_entry(file, lambda document: document.update(note="better"), reseal=False)
    with pytest.raises(DataError, match=file.name):
        load_board(tmp_path)


def test_only_json_files_are_entries(tmp_path: Path) -> None:
    sample_board(tmp_path, 2)
    (tmp_path / ENTRIES / ".x.json.1.partial").write_text("{")
    (tmp_path / ENTRIES / "folder.json").mkdir()
    assert len(load_board(tmp_path).entries) == 2


def test_the_front_page_leads_to_every_file(tmp_path: Path) -> None:
    board = sample_board(tmp_path, 3)
    texts = generated_texts(board)
    links = set(re.findall(r"\]\(([^)]+)\)", texts["README.md"]))
    figures = {f"figures/{entry.id}.{kind}" for entry in board.entries for kind in ("svg", "png")}
    assert links == set(texts) - {"README.md"} | figures | {f"{ENTRIES}/{entry.id}.json" for entry in board.entries}
    assert f"# {board.spec.title}" in texts["README.md"]
    assert "84 items of 7 synthetic tasks (generator version 1), read by `loglikelihood`" in texts["README.md"]


def test_hostile_words_stay_words_on_the_front_page(tmp_path: Path) -> None:
    board = sample_board(tmp_path, 1)
    hostile = "<script>alert(1)</script> | [x](javascript:y)\n# heading"
    spec = board.spec.model_copy(update={"title": hostile, "description": hostile})
    text = generated_texts(Board(board.path, spec, board.entries))["README.md"]
    assert "<script" not in text
    assert re.search(r"(?<!\\)\]\(javascript", text) is None
    assert "\n# heading" not in text
