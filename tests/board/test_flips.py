"""Flips against the hand-worked kinds, the entry's own counts and the statistics' masks."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from samples import sample_entry

from vsc_eval.board.gallery import KINDS, changed_rows, flip_of, flips
from vsc_eval.board.gallery.flips import edited_conditions, flip_kind
from vsc_eval.specs import BASELINE
from vsc_eval.stats.drift import PARTS, drift_parts

ENTRY = sample_entry(n_per_cell=8)


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ("A", "B", "right_to_wrong"),
        ("B", "A", "wrong_to_right"),
        ("B", "C", "wrong_to_other"),
        ("A", "invalid", "to_invalid"),
        ("B", "invalid", "to_invalid"),
        ("invalid", "A", "from_invalid"),
        ("invalid", "C", "from_invalid"),
    ],
)
def test_kinds_where_the_right_answer_is_a(before: str, after: str, kind: str) -> None:
    assert flip_kind(before, after, "A") == kind


def test_the_kinds_are_the_parts_of_the_drift() -> None:
    assert KINDS == PARTS


def test_flips_add_up_to_the_counts_of_the_rows() -> None:
    counted = Counter((flip.condition, flip.kind) for flip in flips(ENTRY))
    assert {kind for _, kind in counted} == set(KINDS)
    for condition in edited_conditions(ENTRY):
        row = ENTRY.row(condition, "all")
        assert row is not None
        assert row.drift_counts is not None
        assert {kind: counted[condition, kind] for kind in KINDS} == {
            kind: getattr(row.drift_counts, kind) for kind in KINDS
        }
        assert len(changed_rows(ENTRY, condition)) == row.drift_counts.n_changed


def test_flips_are_those_of_the_statistics() -> None:
    items = ENTRY.items
    for condition in edited_conditions(ENTRY):
        masks = drift_parts(items.answers[BASELINE], items.answers[condition], items.gold)
        for row in changed_rows(ENTRY, condition):
            assert [kind for kind in KINDS if masks[kind][row]] == [flip_of(ENTRY, condition, row).kind]


def test_a_flip_tells_of_its_item() -> None:
    flip = flips(ENTRY)[0]
    row = ENTRY.items.id.index(flip.item)
    assert flip.row == row
    assert (flip.task, flip.level) == tuple(flip.item.split("/")[1:3])
    assert flip.gold == flip.item[-1]
    assert flip.before == ENTRY.items.answers[BASELINE][row] != flip.after
    logprobs = ENTRY.logprobs[flip.condition][flip.item]
    assert flip.p_after == pytest.approx([math.exp(value) for value in logprobs if value is not None])
    assert flip.letters == ("A", "B", "C", "D")


def test_what_has_no_probability_has_none_and_minus_infinity_is_zero() -> None:
    flip = flips(ENTRY)[0]
    logprobs = {flip.condition: {flip.item: (None, -1.0, -2.0, -3.0)}}
    bare = flip_of(ENTRY.model_copy(update={"logprobs": logprobs}), flip.condition, flip.row)
    assert bare.p_before is None
    assert bare.p_after == pytest.approx((0.0, math.exp(-1), math.exp(-2), math.exp(-3)))
    short = {flip.condition: {flip.item: (-1.0,)}}
    assert flip_of(ENTRY.model_copy(update={"logprobs": short}), flip.condition, flip.row).p_after is None


def test_an_entry_without_edits_has_no_flips() -> None:
    assert flips(sample_entry(conditions=())) == ()
