"""Attention and place targets against scenes written by hand."""

from __future__ import annotations

import pytest
import torch

from training import attention
from training.batches import IGNORE, image_token
from training.config import TinyConfig
from training.losses import attention_loss
from training.packing import encode, packed_batch
from training.questions import Question, of_item
from vsc_eval.synthetic import Scene, SceneObject, make_orbit
from vsc_eval.synthetic.program import count, filter_, move, query_colour, relate, unique


def _object(colour, shape, x, y, size=40):
    return SceneObject(shape=shape, colour=colour, size=size, x=x, y=y)


RED_CIRCLE, BLUE_CIRCLE = _object("red", "circle", 75, 75), _object("blue", "circle", 224, 75)
RED_STAR, GREEN_HEART = _object("red", "star", 75, 224), _object("green", "heart", 224, 224)
SCENE = Scene(objects=(RED_CIRCLE, BLUE_CIRCLE, RED_STAR, GREEN_HEART))


def _found(row, kind):
    return [g for g in row.attention if g.kind == kind]


def test_words_and_phrases_look_at_what_fits():
    red_circles = count(filter_(colour="red", shape="circle"))
    row = encode(Question("counting", "How many red circles are there?", ("1", "2", "3", "4"), red_circles, 0), SCENE)
    red, circles = _found(row, attention.WORD)
    assert set(red.objects) == {RED_CIRCLE, RED_STAR}
    assert set(circles.objects) == {RED_CIRCLE, BLUE_CIRCLE}
    (phrase,) = _found(row, attention.PHRASE)
    assert phrase.objects == (RED_CIRCLE,)
    (back,) = _found(row, attention.OTHER_WORD)
    assert (back.at, back.tokens) == (phrase.at, (phrase.at - 1,))
    assert [(w.layer, w.target) for w in row.wheres] == [(1, RED_CIRCLE)]


def test_a_spatial_question_ends_on_both_phrases():
    program = relate(unique(filter_(colour="red", shape="star")), unique(filter_(colour="green", shape="heart")))
    question = Question(
        "spatial_relation", "Where is the red star relative to the green heart?", ("left", "right", "above", "below"),
        program, 0,
    )  # fmt: skip
    row = encode(question, SCENE)
    phrases = [g.at for g in _found(row, attention.PHRASE)]
    assert [g.tokens for g in _found(row, attention.BACK) + _found(row, attention.BACK_TOO)] == [
        (at,) for at in phrases
    ]


def test_a_move_looks_at_the_object_it_reaches():
    grid = Scene(objects=SCENE.objects, grid=3)
    program = query_colour(move("down", move("right", unique(filter_(colour="red", shape="circle")))))
    text = "Start at the red circle, move right, then down. What colour is the object there?"
    row = encode(Question("multi_hop", text, ("red", "green", "blue", "cyan"), program, 1), grid)
    assert [g.objects for g in _found(row, attention.OBJECT)] == [(BLUE_CIRCLE,), (GREEN_HEART,)]
    assert [w.target for w in row.wheres if w.layer == 2] == [BLUE_CIRCLE, GREEN_HEART]
    last_move = _found(row, attention.OBJECT)[-1].at
    assert {g.tokens for g in _found(row, attention.QUESTION)} == {(last_move,)}


def test_absent_things_send_attention_to_the_first_token():
    config = TinyConfig()
    item = next(i for i in make_orbit("train", "existence", "hard", 0))
    row = encode(of_item(item), item.scene)
    absent = [g for g in _found(row, attention.PHRASE) if not g.objects]
    assert absent
    batch = packed_batch(config, config.stages[1], 0)
    sinks = (batch.attention_to[..., 0] == 0) & (batch.attention_kind != IGNORE)
    assert sinks.any()


def test_statements_after_the_noun_belong_to_it():
    item = next(
        i for k in range(20) for i in make_orbit("train", "logic", "hard", k) if "squares are" in str(i.options)
    )
    row = encode(of_item(item), item.scene)
    phrases = [found for found in _found(row, attention.PHRASE) if found.objects]
    assert phrases
    for found in phrases:
        assert len({o.shape for o in found.objects}) == 1


def test_loss_is_minus_log_of_the_mass_on_the_targets():
    config = TinyConfig()
    batch = packed_batch(config, config.stages[1], 0)
    n_images, questions, length = batch.branch_ids.shape
    keys = 201 + length
    uniform = torch.full((n_images, 2, questions, length, keys), 1.0 / keys)
    batch.attention_kind[batch.attention_kind != attention.OPTION] = IGNORE
    assert attention_loss([uniform] * 6, batch) == pytest.approx(torch.tensor(keys).log().item(), abs=0.05)
    assert image_token(RED_CIRCLE, config.shape) == 2 * 14 + 2
