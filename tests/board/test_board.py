"""A board's folder: what board.yaml asks, and reading all of it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import load_board, sample_board, sample_parts

from vsc_eval.answers.answer_table import AskedItem
from vsc_eval.board.board import Board
from vsc_eval.board.build import generated_texts
from vsc_eval.board.spec import BOARD_FILE, ENTRIES, NO_LEVEL, asked_hash, entry_folders, read_board_spec, spec_of
from vsc_eval.errors import SpecError
from vsc_eval.synthetic import LEVELS, TASKS


def items(**changes: object) -> tuple[AskedItem, ...]:
    found = sample_parts("model-a", conditions=()).table.items
    return tuple(replace(item, **changes) for item in found)  # type: ignore[arg-type]


def test_the_spec_holds_every_cell() -> None:
    spec = spec_of(items(), name="b", title="B", scoring="loglikelihood", generator_version="1")
    assert list(spec.tasks) == list(TASKS)
    assert all(list(task.levels) == list(LEVELS) for task in spec.tasks.values())
    assert {group.n for task in spec.tasks.values() for group in task.levels.values()} == {4}
    assert len({group.sha256 for task in spec.tasks.values() for group in task.levels.values()}) == 21


def test_external_tasks_have_no_levels_and_no_generator() -> None:
    outside = items(task="photos", level=None)
    spec = spec_of(outside, name="b", title="B", scoring="loglikelihood", generator_version="1")
    assert spec.generator_version is None
    assert spec.tasks["photos"].kind == "external"
    assert spec.tasks["photos"].levels[NO_LEVEL].n == len(outside)


@pytest.mark.parametrize("name", ["", "Upper", "a b", "../x", "x" * 61])
def test_names_that_a_board_cannot_have(name: str) -> None:
    with pytest.raises(SpecError, match="is no name of a board"):
        spec_of(items(), name=name, title="B", scoring="loglikelihood", generator_version="1")


@given(st.permutations(range(12)))
def test_the_hash_is_of_what_was_asked_in_any_order(order: list[int]) -> None:
    assert asked_hash([items()[place] for place in order]) == asked_hash(items()[:12])


@pytest.mark.parametrize("column", ["item_id", "cluster", "cluster_kind", "gold", "prompt_hash", "image_hash"])
def test_the_hash_is_of_all_that_was_asked(column: str) -> None:
    found = items()
    changed = [*found[:3], *items(**{column: "another"})[3:4], *found[4:]]
    assert asked_hash(changed[:12]) != asked_hash(found[:12])
    assert asked_hash(changed[4:12]) == asked_hash(found[4:12])


def test_the_hash_is_not_of_letters() -> None:
    assert asked_hash(items(options=(), gold_index=None)) == asked_hash(items())


def test_values_do_not_run_together() -> None:
    one, other = items(prompt_hash="ab", image_hash="c"), items(prompt_hash="a", image_hash="bc")
    assert asked_hash(one[:4]) != asked_hash(other[:4])


def test_what_is_no_board(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="is no board"):
        read_board_spec(tmp_path)
    (tmp_path / BOARD_FILE).write_text("name: b\ntitel: B\n")
    with pytest.raises(SpecError, match="titel: unknown key"):
        read_board_spec(tmp_path)


def test_only_folders_are_entries(tmp_path: Path) -> None:
    sample_board(tmp_path, 2)
    (tmp_path / ENTRIES / ".x.1.partial").mkdir()
    (tmp_path / ENTRIES / "notes.txt").write_text("{")
    assert len(entry_folders(tmp_path)) == len(load_board(tmp_path).entries) == 2


def test_the_front_page_leads_to_every_file(tmp_path: Path) -> None:
    board = sample_board(tmp_path, 3)
    texts = generated_texts(board)
    links = set(re.findall(r"\]\(([^)]+)\)", texts["README.md"]))
    figures = {f"figures/{entry.id}.{kind}" for entry in board.entries for kind in ("svg", "png")}
    assert links == set(texts) - {"README.md"} | figures | {f"{ENTRIES}/{entry.id}/" for entry in board.entries}
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
