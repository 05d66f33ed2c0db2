"""The gallery's data: every flip is in it or counted, items and pictures are there once, and it stays small."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_entries import PIXEL, hostile_board
from hypothesis import given
from hypothesis import strategies as st
from samples import edit_items, sample_board, sample_parts, with_headlines, write_board

from vsc_eval.analysis.rows import Flip, flips
from vsc_eval.board.board import Board
from vsc_eval.board.gallery import (
    ASKED_BLIND,
    KIND_WORDS,
    LEFT_OUT,
    NOT_PUBLISHED,
    choose,
    evenly,
    gallery_views,
    shares,
)
from vsc_eval.board.records import Entry, Shown
from vsc_eval.errors import DataError


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    return sample_board(tmp_path_factory.mktemp("board"), 3)


def gallery_data(board: Board, **limits: int) -> dict[str, Any]:
    """What all entries share, with their views in `entries`."""
    shared, views = gallery_views(board, **limits)
    return {**shared, "entries": views}


def all_flips(entry: Entry) -> list[tuple[str, Flip]]:
    """(condition, flip), by condition and then in the order of the items."""
    return [(condition.name, flip) for condition in entry.edits for flip in flips(entry.table, condition.name)]


def told(data: dict[str, Any], place: int) -> list[tuple[Any, ...]]:
    """The flips of an entry, read from the data as the page reads them."""
    entry, items = data["entries"][place], data["items"]
    found = []
    for condition, row, after, kind, p_after in zip(
        *(entry["flips"][name] for name in ("condition", "row", "after", "kind", "p_after")), strict=True
    ):
        item = entry["items"]["item"][row]
        found.append(
            (
                entry["conditions"][condition]["name"],
                items["id"][item],
                data["tasks"][items["task"][item]],
                data["levels"][items["level"][item]],
                entry["items"]["before"][row],
                after,
                items["gold"][item],
                data["kinds"][kind],
                data["letters"][entry["items"]["letters"][row]],
                entry["items"]["p_before"][row],
                p_after,
            )
        )
    return found


def rounded(values: tuple[float, ...] | None) -> list[float] | None:
    return None if values is None else [round(value, 3) for value in values]


def test_the_page_reads_every_flip_as_the_entry_has_it(board: Board) -> None:
    data = json.loads(json.dumps(gallery_data(board), allow_nan=False))
    for place, entry in enumerate(board.entries):
        chosen = choose(entry, 10_000)
        assert told(data, place) == [
            (name, f.item_id, f.task, f.level, f.before, f.after, f.gold, KIND_WORDS[f.change], list("ABCD"),
             *(rounded(entry.table.option_probabilities(c, chosen.places[f.item_id])) for c in ("baseline", name)))
            for name, f in all_flips(entry)
        ]  # fmt: skip
        counts = Counter(name for name, _ in all_flips(entry))
        for condition in data["entries"][place]["conditions"]:
            assert condition["n_shown"] == condition["n_flips"] == counts[condition["name"]]


def test_items_and_pictures_of_several_entries_are_there_once(board: Board) -> None:
    data = gallery_data(board)
    ids = data["items"]["id"]
    assert len(ids) == len(set(ids)) == len({flip.item_id for entry in board.entries for _, flip in all_flips(entry)})
    sources = data["sources"]
    assert len(sources) == len(set(sources))
    assert sorted(data["items"]["picture"]) == list(range(len(sources)))
    assert {len(column) for column in data["items"].values()} == {len(ids)}
    assert data["reasons"] == []
    assert len(data["alts"]) == len(sources)
    assert all(alt.endswith(".") for alt in data["alts"])


def test_the_same_board_gives_the_same_data(board: Board) -> None:
    assert json.dumps(gallery_data(board)) == json.dumps(gallery_data(board))


def test_an_entry_without_edits_is_there_with_nothing(tmp_path: Path) -> None:
    data = gallery_data(write_board(tmp_path, [sample_parts(conditions=())]))
    (entry,) = data["entries"]
    assert entry["conditions"] == []
    assert {len(column) for part in ("items", "flips") for column in entry[part].values()} == {0}
    assert data["sources"] == data["alts"] == []


def test_of_too_many_flips_each_headline_condition_has_the_same_share(board: Board) -> None:
    entry = board.entries[0]
    changed = with_headlines(entry, *(condition.name for condition in entry.edits if condition.name != "counting"))
    one = Board(board.path, board.spec, (changed,))
    everything = Counter(name for name, _ in all_flips(entry))
    data = gallery_data(one, most_flips=20)
    shown = data["entries"][0]["conditions"]
    assert [condition["name"] for condition in shown][-1] == "counting"
    assert {c["name"]: c["n_flips"] for c in shown} == everything
    assert sum(c["n_shown"] for c in shown) == len(told(data, 0)) <= 20
    headline = [c for c in shown if c["name"] != "counting"]
    cut = [c["n_shown"] for c in headline if c["n_shown"] < c["n_flips"]]
    assert cut
    assert max(cut) - min(cut) <= 1
    assert all(c["n_shown"] <= max(cut) for c in headline)
    assert [c["n_shown"] for c in shown if c["name"] == "counting"] == [0]


def test_the_flips_that_are_shown_are_spread_over_the_items(board: Board) -> None:
    entry = board.entries[0]
    chosen = choose(entry, 12)
    for condition, n_flips, shown in ((edit, n, chosen.shown[edit]) for edit, n in chosen.n_flips.items()):
        rows = [chosen.places[flip.item_id] for flip in flips(entry.table, condition)]
        places = [chosen.places[flip.item_id] for flip in shown]
        assert places == sorted(places)
        assert set(places) <= set(rows)
        assert n_flips == len(rows)
        if len(shown) > 1:
            assert places[-1] > rows[len(rows) // 3]


@given(st.lists(st.integers(0, 50), max_size=12), st.integers(0, 300))
def test_shares_are_fair(sizes: list[int], allowance: int) -> None:
    found = shares(sizes, allowance)
    assert sum(found) == min(sum(sizes), allowance) or sum(sizes) > allowance >= sum(found)
    assert all(0 <= share <= size for share, size in zip(found, sizes, strict=True))
    cut = [share for share, size in zip(found, sizes, strict=True) if share < size]
    if cut:
        assert max(found) - min(cut) <= 1
        assert allowance - sum(found) < len(sizes)


@given(st.lists(st.integers(), unique=True, max_size=30), st.data())
def test_evenly_keeps_the_order(values: list[int], data: st.DataObject) -> None:
    n = data.draw(st.integers(0, len(values)))
    found = evenly(values, n)
    places = [values.index(value) for value in found]
    assert len(found) == n
    assert places == sorted(set(places))
    if n:
        assert all(b - a <= math.ceil(len(values) / n) for a, b in pairwise(places))


def test_pictures_that_do_not_fit_are_left_out_with_words_and_the_most_wanted_stay(board: Board) -> None:
    full = gallery_data(board)
    chars = sum(map(len, full["sources"]))
    data = gallery_data(board, most_picture_chars=chars // 4)
    assert 0 < sum(map(len, data["sources"])) <= chars // 4
    assert data["reasons"] == [LEFT_OUT]
    wanted = Counter(flip.item_id for entry in board.entries for _, flip in all_flips(entry))
    shown = {
        item for item, place in zip(data["items"]["id"], data["items"]["picture"], strict=True) if place is not None
    }
    left_out = set(data["items"]["id"]) - shown
    assert max(wanted[item] for item in left_out) <= max(wanted[item] for item in shown)
    for place, reason in zip(data["items"]["picture"], data["items"]["reason"], strict=True):
        assert (place is None) == (reason is not None)


def _external(entry: Entry, shown: dict[str, Shown]) -> Entry:
    return replace(entry, shown=shown)


def test_entries_do_not_lend_each_other_what_they_show(tmp_path: Path) -> None:
    board = hostile_board(tmp_path, ["data set"], n_per_cell=4, tasks=("counting",))
    first = board.entries[0]
    other = _external(first, {"data set": Shown(question="another question", picture=PIXEL)})
    bare = _external(first, {})
    data = gallery_data(Board(board.path, board.spec, (first, other, bare)))
    rows = [place for place, item in enumerate(data["items"]["id"]) if item == "data set"]
    assert {data["items"]["question"][row] for row in rows} == {"data set", "another question", ""}
    assert len(rows) == 3
    assert [data["items"]["picture"][row] for row in rows].count(None) == 1
    assert data["sources"].count(PIXEL) == 1
    assert set(data["reasons"]) <= {NOT_PUBLISHED, ASKED_BLIND}
    for place, question in enumerate(("data set", "another question", "")):
        used = {data["items"]["question"][row] for row in data["entries"][place]["items"]["item"] if row in rows}
        assert used == {question}


def test_an_item_that_is_not_the_benchmarks_is_refused(board: Board) -> None:
    entry = board.entries[0]
    _, flip = all_flips(entry)[0]
    wrong = edit_items(entry, flip.item_id, image_hash="0" * 16)
    with pytest.raises(DataError, match=flip.item_id):
        gallery_data(Board(board.path, board.spec, (*board.entries[1:], wrong)))


def test_what_has_no_probability_has_none_and_minus_infinity_is_zero(board: Board) -> None:
    entry = board.entries[0]
    name, flip = all_flips(entry)[0]
    main = entry.table.main
    logprobs, place = main.option_logprobs.copy(), choose(entry, 1).places[flip.item_id]
    logprobs[main.rows[name], place] = [-np.inf, -1, -2, -3]
    logprobs[0, place] = np.nan
    table = replace(entry.table, main=replace(main, option_logprobs=logprobs))
    assert table.option_probabilities("baseline", place) is None
    assert table.option_probabilities(name, place) == pytest.approx((0.0, *(math.exp(-x) for x in (1, 2, 3))))


def test_flips_add_up_to_the_counts_of_the_rows(board: Board) -> None:
    entry = board.entries[0]
    counted = Counter((name, flip.change) for name, flip in all_flips(entry))
    for condition in entry.edits:
        row = entry.row(condition.name, "all")
        assert row is not None
        assert row.drift is not None
        assert all(counted[condition.name, kind] == getattr(row.drift, kind) for kind in KIND_WORDS)


def test_the_gallery_and_the_cards_load_neither_torch_nor_matplotlib() -> None:
    code = (
        "import sys, vsc_eval.board.gallery, vsc_eval.board.figure, vsc_eval.board.model_card;"
        "print([m for m in ('torch', 'transformers', 'lm_eval', 'matplotlib', 'vllm') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
