"""Sprites, overlaps, sizes and blind variants."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from vsc_eval.errors import DataError, SpecError
from vsc_eval.synthetic import (
    BACKGROUND,
    CANVAS,
    COLOURS,
    SHAPES,
    Scene,
    SceneObject,
    blind_image,
    make_orbit,
    pixel_hash,
    render,
)
from vsc_eval.synthetic.render import _coverage, render_array
from vsc_eval.synthetic.seen import identity_mask


def _one(**changes: object) -> Scene:
    fields: dict[str, object] = {"shape": "circle", "colour": "red", "size": 40, "x": 100, "y": 100, **changes}
    return Scene(objects=(SceneObject.model_validate(fields),))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [20, 21, 36, 64, 113])
def test_both_geometries_agree(shape: str, size: int) -> None:
    """A pixel in the mask is at least partly painted; a fully painted one is in the mask; the areas are the same."""
    width = size + size % 2
    mask = (
        identity_mask(_one(shape=shape, size=size))[
            100 - width // 2 : 100 + width // 2, 100 - width // 2 : 100 + width // 2
        ]
        > 0
    )
    coverage = _coverage(shape, size)
    assert coverage[mask].min() > 0
    assert coverage[~mask].max(initial=0) < 16
    assert abs(coverage.sum() / 16 - mask.sum()) <= 3 * size


def test_circle_area_is_that_of_a_circle() -> None:
    assert _coverage("circle", 100).sum() / 16 == pytest.approx(np.pi * 50**2, rel=2e-3)
    assert _coverage("square", 50).sum() == 16 * 50**2
    assert _coverage("triangle", 80).sum() / 16 == pytest.approx(80 * 80 / 2, rel=1e-2)


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_are_mirror_symmetric(shape: str) -> None:
    coverage = _coverage(shape, 60)
    assert np.array_equal(coverage, coverage[:, ::-1])


def test_pasted_sprites_equal_a_full_drawing_at_four_times_the_size() -> None:
    scene = make_orbit("test", "counting", "hard", 0)[0].scene
    big = np.zeros((CANVAS, CANVAS), dtype=np.int64)
    expected = np.empty((CANVAS, CANVAS, 3), dtype=np.int64)
    expected[:] = [int(BACKGROUND[i : i + 2], 16) for i in (1, 3, 5)]
    for o in scene.objects:
        big[:] = 0
        width = o.size + o.size % 2
        big[o.y - width // 2 : o.y + width // 2, o.x - width // 2 : o.x + width // 2] = _coverage(o.shape, o.size)
        covered = big[:, :, None]
        expected = (covered * np.array(COLOURS[o.colour]) + (16 - covered) * expected + 8) // 16
    assert np.array_equal(render_array(scene), expected)


def test_render_gives_a_fresh_rgb_image() -> None:
    scene = make_orbit("test", "logic", "easy", 0)[0].scene
    image = render(scene)
    assert (image.mode, image.size) == ("RGB", (CANVAS, CANVAS))
    before = pixel_hash(scene)
    image.paste((0, 0, 0), (0, 0, CANVAS, CANVAS))
    assert pixel_hash(scene) == before
    assert np.array_equal(np.asarray(render(scene)), render_array(scene))


@pytest.mark.parametrize("size", [224, 112, 64])
def test_smaller_pictures_are_box_averages(size: int) -> None:
    scene = make_orbit("test", "comparison", "hard", 0)[0].scene
    small = np.asarray(render(scene, size=size), dtype=float)
    n = CANVAS // size
    mean = render_array(scene).reshape(size, n, size, n, 3).mean(axis=(1, 3))
    assert abs(small - mean).max() <= 0.5


@pytest.mark.parametrize("size", [0, 100, 896])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(SpecError, match="divides 448"):
        render(_one(), size=size)


@pytest.mark.parametrize(
    ("scene", "message"),
    [
        (_one(x=10), "leaves the canvas"),
        (_one(y=440), "leaves the canvas"),
        (_one(shape="blob"), "unknown shape"),
        (_one(colour="mauve"), "unknown colour"),
        (Scene(objects=_one().objects + _one(x=130).objects), "overlaps"),
    ],
)
def test_scenes_that_cannot_be_drawn_are_refused(scene: Scene, message: str) -> None:
    with pytest.raises(DataError, match=message):
        render(scene)


def test_a_misspelt_background_is_refused() -> None:
    with pytest.raises(SpecError, match="#rrggbb"):
        render(Scene(objects=(), background="grey"))


def test_blind_images() -> None:
    assert blind_image("none") is None
    grey = blind_image("grey")
    assert isinstance(grey, Image.Image)
    assert grey.getcolors() == [(CANVAS * CANVAS, (128, 128, 128))]
    with pytest.raises(SpecError, match="blind variant"):
        blind_image("black")  # type: ignore[arg-type]


def test_the_order_of_objects_does_not_matter() -> None:
    scene = make_orbit("test", "existence", "hard", 0)[0].scene
    turned = scene.model_copy(update={"objects": scene.objects[::-1]})
    assert turned.hash() == scene.hash()
    assert pixel_hash(turned) == pixel_hash(scene)
