"""Attention and place targets against scenes written by hand."""

from __future__ import annotations

import pytest
import torch

from vsc_eval.synthetic import Scene, SceneObject, make_orbit
from vsc_eval.synthetic.program import count, filter_, move, query_colour, relate, unique
from vsc_eval.zoo import gaze
from vsc_eval.zoo.batches import IGNORE, image_token
from vsc_eval.zoo.config import TinyConfig
from vsc_eval.zoo.losses import attention_loss
from vsc_eval.zoo.packing import encode, packed_batch
from vsc_eval.zoo.questions import Question, of_item


def _object(colour, shape, x, y, size=40):
    return SceneObject(shape=shape, colour=colour, size=size, x=x, y=y)


RED_CIRCLE, BLUE_CIRCLE = _object("red", "circle", 75, 75), _object("blue", "circle", 224, 75)
RED_STAR, GREEN_HEART = _object("red", "star", 75, 224), _object("green", "heart", 224, 224)
SCENE = Scene(objects=(RED_CIRCLE, BLUE_CIRCLE, RED_STAR, GREEN_HEART))


def _found(row, kind):
    return [g for g in row.gazes if g.kind == kind]


def test_words_and_phrases_look_at_what_fits():
    red_circles = count(filter_(colour="red", shape="circle"))
    row = encode(Question("counting", "How many red circles are there?", ("1", "2", "3", "4"), red_circles, 0), SCENE)
    red, circles = _found(row, gaze.WORD)
    assert set(red.objects) == {RED_CIRCLE, RED_STAR}
    assert set(circles.objects) == {RED_CIRCLE, BLUE_CIRCLE}
    (phrase,) = _found(row, gaze.PHRASE)
    assert phrase.objects == (RED_CIRCLE,)
    (back,) = _found(row, gaze.OTHER_WORD)
    assert (back.at, back.tokens) == (phrase.at, (phrase.at - 1,))
    assert [(w.layer, w.target) for w in row.wheres] == [(1, RED_CIRCLE)]


def test_a_spatial_question_ends_on_both_phrases():
    program = relate(unique(filter_(colour="red", shape="star")), unique(filter_(colour="green", shape="heart")))
    question = Question(
        "spatial_relation", "Where is the red star relative to the green heart?", ("left", "right", "above", "below"),
        program, 0,
    )  # fmt: skip
    row = encode(question, SCENE)
    phrases = [g.at for g in _found(row, gaze.PHRASE)]
    assert [g.tokens for g in _found(row, gaze.BACK) + _found(row, gaze.BACK_TOO)] == [(at,) for at in phrases]


def test_a_move_looks_at_the_object_it_reaches():
    grid = Scene(objects=SCENE.objects, grid=3)
    program = query_colour(move("down", move("right", unique(filter_(colour="red", shape="circle")))))
    text = "Start at the red circle, move right, then down. What colour is the object there?"
    row = encode(Question("multi_hop", text, ("red", "green", "blue", "cyan"), program, 1), grid)
    assert [g.objects for g in _found(row, gaze.OBJECT)] == [(BLUE_CIRCLE,), (GREEN_HEART,)]
    assert [w.target for w in row.wheres if w.layer == 2] == [BLUE_CIRCLE, GREEN_HEART]
    last_move = _found(row, gaze.OBJECT)[-1].at
    assert {g.tokens for g in _found(row, gaze.QUESTION)} == {(last_move,)}


def test_absent_things_send_the_gaze_to_the_first_token():
    config = TinyConfig()
    item = next(i for i in make_orbit("train", "existence", "hard", 0))
    row = encode(of_item(item), item.scene)
    absent = [g for g in _found(row, gaze.PHRASE) if not g.objects]
    assert absent
    batch = packed_batch(config, config.stages[1], 0)
    sinks = (batch.gaze_to[..., 0] == 0) & (batch.gaze_kind != IGNORE)
    assert sinks.any()


def test_statements_after_the_noun_belong_to_it():
    item = next(
        i for k in range(20) for i in make_orbit("train", "logic", "hard", k) if "squares are" in str(i.options)
    )
    row = encode(of_item(item), item.scene)
    for found in _found(row, gaze.PHRASE):
        assert len({(o.shape) for o in found.objects}) <= 1


def test_loss_is_minus_log_of_the_mass_on_the_targets():
    config = TinyConfig()
    batch = packed_batch(config, config.stages[1], 0)
    n_images, questions, length = batch.branch_ids.shape
    keys = 201 + length
    uniform = torch.full((n_images, 2, questions, length, keys), 1.0 / keys)
    batch.gaze_kind[batch.gaze_kind != gaze.OPTION] = IGNORE
    assert attention_loss([uniform] * 6, batch) == pytest.approx(torch.tensor(keys).log().item(), abs=0.05)
    assert image_token(RED_CIRCLE, config.shape) == 2 * 14 + 2
