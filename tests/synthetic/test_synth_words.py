"""Wording, vocabulary and programs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from synth_cells import CELLS

from vsc_eval.errors import DataError
from vsc_eval.synthetic import Scene, SceneObject, answer_index, execute, make_orbit, program, vocabulary
from vsc_eval.synthetic.program import plural, words
from vsc_eval.synthetic.tasks import counting, logic, multi_hop
from vsc_eval.synthetic.tasks.base import asked


@pytest.mark.parametrize("paraphrase", ["main", "heldout"])
@pytest.mark.parametrize(("task", "level"), CELLS)
def test_vocabulary_covers_every_prompt(task: str, level: str, paraphrase: str) -> None:
    known = set(vocabulary())
    for number in range(40):
        item = make_orbit("test", task, level, number, paraphrase=paraphrase)[0]  # type: ignore[arg-type]
        assert set(words(item.prompt)) <= known
        assert "{" not in item.prompt


def test_vocabulary_is_sorted_and_has_no_doubles() -> None:
    assert list(vocabulary()) == sorted(set(vocabulary()))
    assert {"A", "a", "an", "0", "9", ",", "?", ".", "circles", "crosses"} <= set(vocabulary())


def test_wording() -> None:
    assert asked(counting.TEMPLATES, colour="red", shapes=plural("cross"))(0) == "How many red crosses are there?"
    assert asked(multi_hop.TEMPLATES, start="red star", moves=multi_hop.THEN.join(["up", "left"]))(0) == (
        "Start at the red star, move up, then left. What colour is the object there?"
    )
    assert logic.exists_statement("orange", "heart", True)[0] == "there is an orange heart"
    assert logic.exists_statement("orange", "heart", False)[0] == "there is no orange heart"
    assert logic.all_statement("red", "star", False)[0] == "not all stars are red"
    assert logic.none_statement("red", "star", True)[0] == "no star is red"
    assert logic.joined([("p", {}), ("q", {}), ("r", {})], strict=False)[0] == "p, and either q or r"
    assert words("What colour?\nA. red") == ["What", "colour", "?", "A", ".", "red"]


_SCENE = Scene(
    objects=(
        SceneObject(shape="circle", colour="red", size=40, x=76, y=76),
        SceneObject(shape="circle", colour="blue", size=70, x=224, y=76),
        SceneObject(shape="star", colour="red", size=52, x=76, y=224),
    ),
    grid=3,
)
_CIRCLES = program.filter_(shape="circle")
_RED_CIRCLE = program.unique(program.filter_(colour="red", shape="circle"))
_BLUE = program.unique(program.filter_(colour="blue"))


@pytest.mark.parametrize(
    ("question", "value"),
    [
        (program.count(_CIRCLES), 2),
        (program.count(program.filter_(colour="green")), 0),
        (program.query_colour(program.unique(program.filter_(shape="circle", size="large"))), "blue"),
        (program.query_colour(program.unique(program.filter_(shape="circle", size="small"))), "red"),
        (program.query_colour(program.extreme("size", "max", _CIRCLES)), "blue"),
        (program.query_colour(program.extreme("size", "min", _CIRCLES)), "red"),
        (program.query_colour(program.extreme("x", "max", _CIRCLES)), "blue"),
        (program.relate(_RED_CIRCLE, _BLUE), "left"),
        (program.relate(_BLUE, _RED_CIRCLE), "right"),
        (program.relate(program.unique(program.filter_(shape="star")), _RED_CIRCLE), "below"),
        (program.relate(_RED_CIRCLE, program.unique(program.filter_(shape="star"))), "above"),
        (
            program.query_colour(
                program.move("right", program.move("up", program.unique(program.filter_(shape="star"))))
            ),
            "blue",
        ),
        (program.exists(program.filter_(colour="red", shape="star")), True),
        (program.not_(program.exists(program.filter_(colour="red", shape="star"))), False),
        (program.all_("red", _CIRCLES), False),
        (program.all_("red", program.filter_(shape="star")), True),
        (program.none_("green", _CIRCLES), True),
        (program.none_("blue", _CIRCLES), False),
        (program.and_([program.all_("red", _CIRCLES), program.none_("green", _CIRCLES)]), False),
        (program.or_([program.all_("red", _CIRCLES), program.none_("green", _CIRCLES)]), True),
        (program.which([program.all_("red", _CIRCLES), program.none_("green", _CIRCLES)]), 1),
    ],
)
def test_executor(question: dict[str, Any], value: object) -> None:
    assert execute(json.loads(json.dumps(question)), _SCENE) == value


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"op": "guess"}, "Unknown program op"),
        (program.query_colour(program.unique(_CIRCLES)), "no single answer"),
        (program.query_colour(program.extreme("y", "max", _CIRCLES)), "no single answer"),
        (program.query_colour(program.extreme("size", "max", program.filter_(colour="cyan"))), "no single answer"),
        (program.query_colour(program.move("left", _RED_CIRCLE)), "no single answer"),
        (program.which([program.none_("green", _CIRCLES), program.none_("cyan", _CIRCLES)]), "no single answer"),
        (program.relate(_RED_CIRCLE, _RED_CIRCLE), "no single answer"),
        (program.query_colour(_CIRCLES), "does not give one object"),
        (program.count(_RED_CIRCLE), "does not give a set"),
    ],
)
def test_executor_refuses(question: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        execute(question, _SCENE)


def test_a_move_needs_a_grid() -> None:
    with pytest.raises(DataError, match="grid"):
        execute(program.query_colour(program.move("right", _RED_CIRCLE)), _SCENE.model_copy(update={"grid": None}))


def test_an_answer_must_be_an_option() -> None:
    assert answer_index(program.count(_CIRCLES), _SCENE, ["1", "2", "3", "4"]) == 1
    with pytest.raises(DataError, match="none of the options"):
        answer_index(program.count(_CIRCLES), _SCENE, ["5", "6", "7", "8"])
