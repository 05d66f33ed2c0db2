"""The checks can fail: corrupted answers, moved or recoloured objects and unclear pictures are caught."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.prove import main, prove, text_only_accuracy
from vsc_eval.errors import DataError
from vsc_eval.synthetic import COLOURS, LEVELS, SHAPES, TASKS, Item, Scene, SceneObject, execute, make_orbit
from vsc_eval.synthetic.oracle import look_at, read_answer, verify
from vsc_eval.synthetic.render import render_array
from vsc_eval.synthetic.seen import identity_mask, look


def oracle_answer(item: Item) -> int:
    return read_answer(item.task, look_at(item.scene), item.prompt)


def _with_object(item: Item, index: int, **changes: object) -> Item:
    objects = list(item.scene.objects)
    objects[index] = objects[index].model_copy(update=changes)
    return item.model_copy(update={"scene": item.scene.model_copy(update={"objects": tuple(objects)})})


def _by_pixels(item: Item) -> int:
    return read_answer(item.task, look_at(item.scene), item.prompt)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("level", LEVELS)
def test_a_corrupted_gold_is_caught(task: str, level: str) -> None:
    item = make_orbit("test", task, level, 0)[1]
    verify(item)
    with pytest.raises(DataError, match=item.id):
        verify(item.model_copy(update={"gold": 2}))


@pytest.mark.parametrize("task", TASKS)
def test_another_scene_of_the_orbit_is_caught(task: str) -> None:
    a, b, *_ = make_orbit("test", task, "hard", 1)
    assert _by_pixels(a.model_copy(update={"scene": b.scene})) == 1
    with pytest.raises(DataError):
        verify(a.model_copy(update={"scene": b.scene}))


def test_a_moved_object_is_caught() -> None:
    item = make_orbit("test", "spatial_relation", "easy", 0)[0]
    b = item.scene.objects[1]
    places = [(b.x + dx, b.y + dy) for dx, dy in ((-90, 0), (90, 0), (0, -90), (0, 90))]
    inside = [(x, y) for x, y in places if 50 < x < 398 and 50 < y < 398]
    answers = {_by_pixels(_with_object(item, 0, x=x, y=y)) for x, y in inside}
    assert len(answers) == len(inside) > 1


def test_a_recoloured_object_is_caught() -> None:
    item = make_orbit("test", "attribute_query", "hard", 0)[0]
    wrong = _with_object(item, 0, colour=item.options[2])
    assert _by_pixels(wrong) == 2
    with pytest.raises(DataError):
        verify(wrong)


def test_a_second_referent_is_unclear_to_both() -> None:
    item = make_orbit("test", "multi_hop", "easy", 0)[0]
    start = item.program["of"]["of"]["of"]
    index = next(
        i for i, o in enumerate(item.scene.objects) if (o.colour, o.shape) != (start["colour"], start["shape"])
    )
    twice = _with_object(item, index, colour=start["colour"], shape=start["shape"])
    with pytest.raises(DataError, match="no single answer"):
        execute(twice.program, twice.scene)
    with pytest.raises(DataError, match="2 objects"):
        _by_pixels(twice)


def test_a_diagonal_is_unclear() -> None:
    objects = (
        SceneObject(shape="circle", colour="red", size=40, x=100, y=100),
        SceneObject(shape="star", colour="blue", size=40, x=200, y=210),
    )
    prompt = "Where is the red circle relative to the blue star?\nA. left\nB. right\nC. above\nD. below\n"
    with pytest.raises(DataError, match="direction"):
        read_answer("spatial_relation", look_at(Scene(objects=objects)), prompt)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_seen_is_what_was_drawn(shape: str) -> None:
    """Every size that the levels use, in every colour; position and extent to within a pixel or two of the tips."""
    for i, size in enumerate(range(20, 114, 2)):
        colour = list(COLOURS)[i % len(COLOURS)]
        scene = Scene(objects=(SceneObject(shape=shape, colour=colour, size=size, x=150 + i, y=200 - i),))
        (seen,) = look_at(scene)
        assert (seen.shape, seen.colour) == (shape, colour)
        assert abs(seen.x - (150 + i)) <= 1
        assert abs(seen.y - (200 - i)) <= 1
        assert size - 2 <= seen.extent <= size


def test_a_picture_that_does_not_fit_its_mask_is_refused() -> None:
    scene = make_orbit("test", "counting", "hard", 0)[0].scene
    pixels, mask = render_array(scene), identity_mask(scene)
    look(pixels, mask)
    with pytest.raises(DataError, match="disagree"):
        look(np.roll(pixels, 3, axis=1), mask)
    with pytest.raises(DataError, match="disagree"):
        look(pixels, np.where(mask == 1, 0, mask).astype(np.int16))


def test_text_only_accuracy_would_notice_a_biased_prompt() -> None:
    orbit = make_orbit("test", "logic", "easy", 0)
    assert text_only_accuracy(orbit) == 0.25
    assert text_only_accuracy(orbit[:3]) == pytest.approx(1 / 3)


def test_prove_counts_what_it_checks(capsys: pytest.CaptureFixture[str]) -> None:
    proof = prove({"train": 4, "test": 4})
    assert (proof.n_items, proof.n_disagreements, proof.n_shared_scenes, proof.n_repeated_scenes) == (168, 0, 0, 0)
    assert set(proof.text_only) == {0.25}
    assert main(["--n", "4"]) == 0
    assert "items checked                            336 in" in capsys.readouterr().out
