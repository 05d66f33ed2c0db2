"""Rows as questions: every shape of options and answers that a task file can declare."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsc_eval.errors import DataError
from vsc_eval.taskfiles.rows import inline_options, text_list, to_document
from vsc_eval.taskfiles.schema import TaskFile

FIELDS = {"image": "image", "question": "q", "answer": "a"}


def task(**keys: Any) -> TaskFile:
    fields = {**FIELDS, **keys.pop("fields", {})}
    return TaskFile.model_validate(
        {"name": "t", "dataset": {"path": "o/d"}, "kind": "short_text", **keys, "fields": fields}
    )


def choice(choices: Any, **keys: Any) -> TaskFile:
    return task(kind="multiple_choice", fields={"choices": choices}, **keys)


@pytest.mark.parametrize(
    ("answer_format", "answer", "letter"),
    [
        ("letter", "B", "B"),
        ("letter", "b.", "B"),
        ("paren_letter", "(B)", "B"),
        ("paren_letter", "B)", "B"),
        ("index", 1, "B"),
        ("index", "1", "B"),
        ("index", 1.0, "B"),
        ("index1", 2, "B"),
        ("text", "blue", "B"),
        ("text", " Blue ", "B"),
    ],
)
def test_answers_are_read_in_each_format(answer_format: str, answer: Any, letter: str) -> None:
    row = to_document(choice("c", answer_format=answer_format), {"q": "Which?", "c": ["red", "blue"], "a": answer}, 0)
    assert (row["answer"], row["letters"], row["options"]) == (letter, ["A", "B"], ["red", "blue"])


@pytest.mark.parametrize(
    ("answer_format", "answer"),
    [
        ("letter", "C"),
        ("letter", "blue"),
        ("index", 2),
        ("index1", 0),
        ("index", -1),
        ("text", "green"),
        ("letter", None),
    ],
)
def test_an_answer_that_is_no_option_is_an_error(answer_format: str, answer: Any) -> None:
    with pytest.raises(DataError, match=r"t/7.*column 'a'.*A\. 'red', B\. 'blue'"):
        to_document(choice("c", answer_format=answer_format), {"q": "?", "c": ["red", "blue"], "a": answer}, 7)


def test_a_text_answer_that_is_two_options_is_an_error() -> None:
    with pytest.raises(DataError, match="not exactly one"):
        to_document(choice("c", answer_format="text"), {"q": "?", "c": ["red", "red"], "a": "red"}, 0)


@pytest.mark.parametrize(
    ("choices", "row"),
    [
        ("c", {"c": ["red", "blue"]}),
        ("c", {"c": "['red', 'blue']"}),
        ("c", {"c": '["red", "blue"]'}),
        (["A", "B"], {"A": "red", "B": "blue"}),
        (["A", "B", "C", "D"], {"A": "red", "B": "blue", "C": None, "D": ""}),
    ],
)
def test_options_come_in_each_form(choices: Any, row: dict[str, Any]) -> None:
    found = to_document(choice(choices), {"q": "Which?", "a": "A", **row}, 0)
    assert found["options"] == ["red", "blue"]
    assert found["prompt"] == "Which?\nA. red\nB. blue\nAnswer with the letter of the correct option."


@pytest.mark.parametrize(
    "value", ["red, blue", "['red' 'blue']", 3, "[", ["red"], [], None, ["red", None], ["red", ""], ["x"] * 27]
)
def test_options_that_cannot_be_read_are_an_error(value: Any) -> None:
    with pytest.raises(DataError, match="t/0"):
        to_document(choice("c"), {"q": "?", "c": value, "a": "A"}, 0)


@pytest.mark.parametrize(
    ("question", "options"),
    [
        ("Which?\n\nA. The car\nB. The bus\nPlease answer directly with only the letter.", ("The car", "The bus")),
        ("Which?\nOptions: A: yes, B: no, C: may be, D: (x, y)", ("yes", "no", "may be", "(x, y)")),
        ("Which? Option: A:the left one; B:the right one;", ("the left one", "the right one")),
        ("Is it vitamin A. or not? (A) x (B) y", ("x", "y")),
        ("(A) 3.5 (B) 4.5\nAnswer with the letter.", ("3.5", "4.5")),
        ("Which? Options: A: with vitamin A. in it, B: poor", ("with vitamin A. in it", "poor")),
        ("Which? A: A, B: B, C: C", ("A", "B", "C")),
        ("A) one\nB) two\nC) three", ("one", "two", "three")),
        ("How many cars are there?", ()),
        ("Is A. the only letter?", ()),
        ("B. before A. is no list", ()),
    ],
)
def test_options_inside_a_question(question: str, options: tuple[str, ...]) -> None:
    assert inline_options(question) == options


@given(st.lists(st.from_regex(r"[a-z]{1,8}( [a-z]{1,8})?", fullmatch=True), min_size=2, max_size=8))
def test_inline_options_that_were_written_are_found_again(options: list[str]) -> None:
    marked = [f"{chr(65 + i)}. {option}" for i, option in enumerate(options)]
    assert inline_options("Which is it?\n" + "\n".join(marked)) == tuple(options)
    assert inline_options("Which is it? " + ", ".join(marked)) == tuple(options)


def test_numpys_way_of_printing_a_list_is_refused() -> None:
    # Python reads 'a' 'b' as one string, which would make two options one.
    assert text_list("['a' 'b']") is None
    assert text_list("['a', 'b']") == ["a", "b"]
    assert text_list("__import__('os')") is None


def test_rows_without_options_are_an_error_unless_the_file_says_what_they_are() -> None:
    row = {"q": "How many?", "a": "Three"}
    with pytest.raises(DataError, match="no options"):
        to_document(choice("inline"), row, 0)
    found = to_document(choice("inline", without_options="short_text"), row, 0)
    assert (found["kind"], found["answer"], found["options"]) == ("short_text", "3", [])


@pytest.mark.parametrize(("answer", "gold"), [("Yes", "yes"), ("no.", "no"), (True, "yes"), (0, "no"), ("FALSE", "no")])
def test_yes_and_no_in_each_spelling(answer: Any, gold: str) -> None:
    assert to_document(task(kind="yes_no"), {"q": "Is it?", "a": answer}, 0)["answer"] == gold


def test_an_answer_that_is_neither_is_an_error() -> None:
    with pytest.raises(DataError, match="neither yes nor no"):
        to_document(task(kind="yes_no"), {"q": "Is it?", "a": "maybe"}, 0)


def test_golds_are_canonical_and_several_may_be_right() -> None:
    row = to_document(task(), {"q": "?", "a": ["The Dog", "dog", "a puppy"]}, 0)
    assert (row["answer"], row["accepted"]) == ("dog", ["dog", "puppy"])
    assert to_document(task(kind="number"), {"q": "?", "a": "$1,200.50"}, 0)["answer"] == "1200.5"


@pytest.mark.parametrize(
    ("kind", "answer"), [("number", "many"), ("short_text", ""), ("number", None), ("short_text", [])]
)
def test_a_gold_that_cannot_be_read_is_an_error(kind: str, answer: Any) -> None:
    # Scored, an unreadable answer would be equal to it.
    with pytest.raises(DataError, match="column 'a'"):
        to_document(task(kind=kind), {"q": "?", "a": answer}, 0)


def test_a_slot_of_a_picture_in_the_text_opens_none() -> None:
    file = choice("c", prompt="{question} {options} {hint}")
    row = {"q": "<image>\nWhat does <image> mean?", "c": ["<image>x", "y"], "a": "A", "hint": "<image>"}
    assert "<image>" not in to_document(file, row, 0)["prompt"]
    assert to_document(file, row, 0)["prompt"].startswith("What does < image> mean?")


def test_braces_of_a_question_are_not_filled_in() -> None:
    row = to_document(task(prompt="{question} {{x}} {n}"), {"q": "What is {y}?", "a": "1", "n": 2.0}, 0)
    assert row["prompt"] == "What is {y}? {x} 2"


def test_categories_clusters_groups_and_fields() -> None:
    file = task(report_by=["level"], cluster_by=["scene", "view"], group={"by": "pair"}, fields={"id": "n"})
    row = {"q": "?", "a": "x", "level": 2, "scene": "s1", "view": None, "pair": 4.0, "n": "id9", "source": "COCO"}
    found = to_document(file, row, 3, score_columns=("source",))
    assert found["id"] == "t/id9"
    assert found["categories"] == [["level", "2"]]
    assert (found["cluster"], found["group"], found["fields"]) == ("t/s1 / ", "4", [["source", "COCO"]])
    with pytest.raises(DataError, match=r"nothing in column 'pair', which `group\.by`"):
        to_document(file, {**row, "pair": None}, 3, score_columns=("source",))
    with pytest.raises(DataError, match=r"nothing in column 'scene \+ view', which `cluster_by`"):
        to_document(file, {**row, "scene": ""}, 3, score_columns=("source",))
    blocks = task(group={"every": 4})
    assert [to_document(blocks, {"q": "?", "a": "x"}, i)["group"] for i in (0, 3, 4)] == ["0", "0", "1"]


def test_kinds_by_column() -> None:
    file = choice("inline", kind_by={"column": "k", "values": {"yn": "yes_no", "mc": "multiple_choice"}})
    assert to_document(file, {"q": "Is it?", "a": "Yes", "k": "yn"}, 0)["kind"] == "yes_no"
    assert to_document(file, {"q": "Which? A. x B. y", "a": "B", "k": "mc"}, 0)["options"] == ["x", "y"]
    with pytest.raises(DataError, match="'other'"):
        to_document(file, {"q": "?", "a": "x", "k": "other"}, 0)


@pytest.mark.parametrize("missing", ["q", "a", "level"])
def test_a_missing_column_is_named(missing: str) -> None:
    row = {name: value for name, value in {"q": "?", "a": "x", "level": "easy"}.items() if name != missing}
    with pytest.raises(DataError, match=f"no column '{missing}'"):
        to_document(task(report_by=["level"]), row, 0)
