"""What the levels promise, measured on scenes: counts, offsets, ratios, margins, foils."""

from __future__ import annotations

from collections import Counter

import pytest

from vsc_eval.synthetic import COLOURS, LEVELS, SHAPES, SYNTHETIC_TASKS, TASKS, Item, Scene, make_items

Kind = tuple[str, str]


def _kinds(scene: Scene) -> list[Kind]:
    return [(o.colour, o.shape) for o in scene.objects]


def _target(item: Item) -> Kind:
    of = item.program["of"]
    return of["colour"], of["shape"]


def _items(task: str, level: str) -> list[Item]:
    return make_items("train", task, level, 160)


@pytest.mark.parametrize(("level", "total"), [("medium", 12), ("hard", 18)])
def test_counting_holds_the_number_of_objects(level: str, total: int) -> None:
    for item in _items("counting", level):
        colour, shape = _target(item)
        shared = [(c == colour) + (s == shape) for c, s in _kinds(item.scene)]
        assert len(shared) == total
        assert shared.count(2) == int(item.options[item.gold])
        if level == "hard":
            assert 0 not in shared


def test_counting_medium_keeps_every_colour_and_shape_as_frequent() -> None:
    items = _items("counting", "medium")
    for start in range(0, len(items), 4):
        histograms = {
            (
                tuple(sorted(Counter(o.colour for o in item.scene.objects).items())),
                tuple(sorted(Counter(o.shape for o in item.scene.objects).items())),
            )
            for item in items[start : start + 4]
        }
        assert len(histograms) == 1


def test_counting_easy_shows_nothing_but_targets() -> None:
    for item in _items("counting", "easy"):
        assert set(_kinds(item.scene)) == {_target(item)}


@pytest.mark.parametrize(
    ("level", "least", "greatest", "n"), [("easy", 160, 240, 2), ("medium", 96, 160, 4), ("hard", 56, 96, 8)]
)
def test_spatial_offsets(level: str, least: int, greatest: int, n: int) -> None:
    ratio = {"easy": 20 / 160, "medium": 0.4, "hard": 0.6}[level]
    for item in _items("spatial_relation", level):
        kinds = _kinds(item.scene)
        assert len(kinds) == n
        assert kinds.count(kinds[0]) == kinds.count(kinds[1]) == 1
        a, b = item.scene.objects[:2]
        main, off = sorted((abs(a.x - b.x), abs(a.y - b.y)), reverse=True)
        assert least <= main <= greatest
        assert off <= ratio * main
        assert off <= 20 or level != "easy"


@pytest.mark.parametrize(("level", "times"), [("easy", 1), ("medium", 2), ("hard", 3)])
def test_attribute_colours_are_balanced(level: str, times: int) -> None:
    for item in _items("attribute_query", level):
        colours = Counter(o.colour for o in item.scene.objects)
        assert colours == dict.fromkeys(item.options, times)


def test_attribute_medium_has_the_same_shape_in_the_other_size() -> None:
    for item in _items("attribute_query", "medium"):
        target = item.program["of"]["of"]
        sizes = [o.size for o in item.scene.objects if o.shape == target["shape"]]
        assert sum(s >= 64 for s in sizes) >= 1
        assert sum(s <= 48 for s in sizes) >= 1
        assert all(s >= 64 or s <= 48 for s in sizes)


def test_attribute_hard_has_other_shapes_further_out() -> None:
    for item in _items("attribute_query", "hard"):
        of = item.program["of"]
        sign = 1 if of["which"] == "max" else -1
        same = sorted(sign * getattr(o, of["by"]) for o in item.scene.objects if o.shape == of["of"]["shape"])
        rest = [sign * getattr(o, of["by"]) for o in item.scene.objects if o.shape != of["of"]["shape"]]
        assert len(same) == 4
        assert same[-1] - same[-2] >= 16
        assert max(rest) >= same[-1]


@pytest.mark.parametrize(("level", "ratio", "n"), [("easy", 1.6, 4), ("medium", 1.3, 6), ("hard", 1.15, 8)])
def test_comparison_ratios(level: str, ratio: float, n: int) -> None:
    for item in _items("comparison", level):
        of = item.program["of"]
        shape = of["of"]["shape"]
        assert len(item.scene.objects) == n
        largest = of["which"] == "max"
        same = sorted((o.size for o in item.scene.objects if o.shape == shape), reverse=largest)
        others = [o.size for o in item.scene.objects if o.shape != shape]
        big, small = (same[0], same[1]) if largest else (same[1], same[0])
        assert big / small >= ratio
        assert big - small >= 6
        assert not others or (max(others) > same[0] if largest else min(others) < same[0])
        assert {o.colour for o in item.scene.objects} == set(item.options)


@pytest.mark.parametrize("level", LEVELS)
def test_existence_foils(level: str) -> None:
    for item in _items("existence", level):
        kinds = set(_kinds(item.scene))
        options: list[Kind] = [(option.split()[0], option.split()[1]) for option in item.options]
        negative = item.program["of"][0]["op"] == "not"
        present = [option in kinds for option in options]
        assert present.count(not negative) == 1
        for (colour, shape), here in zip(options, present, strict=True):
            if not here:
                shared = any(c == colour for c, _ in kinds) + any(s == shape for _, s in kinds)
                assert shared == {"easy": 0, "medium": 1, "hard": 2}[level]


def test_existence_hard_keeps_every_colour_and_shape_as_frequent() -> None:
    items = _items("existence", "hard")
    for start in range(0, len(items), 4):
        assert len({tuple(sorted(o.colour for o in i.scene.objects)) for i in items[start : start + 4]}) == 1
        assert len({tuple(sorted(o.shape for o in i.scene.objects)) for i in items[start : start + 4]}) == 1


@pytest.mark.parametrize(("level", "n_atoms"), [("easy", 1), ("medium", 2), ("hard", 3)])
def test_logic_statements_have_their_number_of_atoms(level: str, n_atoms: int) -> None:
    for item in _items("logic", level):
        for option in item.options:
            assert option.count(" and ") + option.count(" or ") + 1 == n_atoms
        assert level == "easy" or any(" or " in option for option in item.options)


def test_logic_hard_quantifies() -> None:
    texts = " / ".join(" / ".join(item.options) for item in _items("logic", "hard"))
    for phrase in ("not all ", "all ", "no ", "some "):
        assert phrase in texts


@pytest.mark.parametrize(("level", "n", "hops"), [("easy", 3, 1), ("medium", 4, 2), ("hard", 5, 3)])
def test_multi_hop_paths(level: str, n: int, hops: int) -> None:
    for item in _items("multi_hop", level):
        path, colours = item.intermediate["path"], item.intermediate["colours_passed"]
        assert item.scene.grid == n
        assert len({(o.x * n // 448, o.y * n // 448) for o in item.scene.objects}) == n * n
        assert len(path) == len({tuple(cell) for cell in path}) == hops + 1
        assert set(colours) <= set(item.options)
        assert colours[-1] == item.options[item.gold]


def test_colours_are_well_separated() -> None:
    values = list(COLOURS.values())
    for i, a in enumerate(values):
        for b in [*values[:i], (240, 240, 240)]:
            assert sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5 > 80


def test_every_cell_has_parameters() -> None:
    assert [tuple(SYNTHETIC_TASKS.get(task).levels) for task in TASKS] == [LEVELS] * 7
    assert len(SHAPES) == 6
