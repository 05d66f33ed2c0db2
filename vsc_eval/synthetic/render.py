"""Draw a scene: sprites at 4 times the size, box-downsampled, pasted at integer places.

Objects never overlap, so pasting sprites gives exactly the picture that drawing the whole scene at 4x would. Only
integers are used, so the pixels are the same on every machine. Coordinates inside a sprite count eighths of a pixel
from the centre: the centres of the 4x4 samples of a pixel are then the odd numbers.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from vsc_eval.errors import DataError, SpecError
from vsc_eval.synthetic.scene import CANVAS, COLOURS, Scene, background_rgb

_UInt8 = npt.NDArray[np.uint8]
_Int = npt.NDArray[np.int64]
_Bool = npt.NDArray[np.bool_]

_OVERSAMPLE = 4
_UNIT = 10_000
"""Polygon corners are given in 1/10000 of half the extent, y down."""

_CROSS_ARM = _UNIT * 36 // 100
_POLYGONS: dict[str, Sequence[tuple[int, int]]] = {
    "square": [(-_UNIT, -_UNIT), (_UNIT, -_UNIT), (_UNIT, _UNIT), (-_UNIT, _UNIT)],
    "triangle": [(0, -_UNIT), (_UNIT, _UNIT), (-_UNIT, _UNIT)],
    "cross": [
        (-_CROSS_ARM, -_UNIT), (_CROSS_ARM, -_UNIT), (_CROSS_ARM, -_CROSS_ARM), (_UNIT, -_CROSS_ARM),
        (_UNIT, _CROSS_ARM), (_CROSS_ARM, _CROSS_ARM), (_CROSS_ARM, _UNIT), (-_CROSS_ARM, _UNIT),
        (-_CROSS_ARM, _CROSS_ARM), (-_UNIT, _CROSS_ARM), (-_UNIT, -_CROSS_ARM), (-_CROSS_ARM, -_CROSS_ARM),
    ],
    "star": [
        (0, -10_000), (2_781, -2_969), (10_000, -2_361), (4_500, 2_595), (6_180, 10_000),
        (0, 6_031), (-6_180, 10_000), (-4_500, 2_595), (-10_000, -2_361), (-2_781, -2_969),
    ],
    "heart": [(-_UNIT, -_UNIT // 2), (_UNIT, -_UNIT // 2), (0, _UNIT)],
}  # fmt: skip
"""The star is five-pointed with an inner radius of about 0.45; the heart is this triangle below two discs."""


def _in_polygon(corners: Sequence[tuple[int, int]], half: int, x: _Int, y: _Int) -> _Bool:
    """Even-odd rule by crossings of a ray to the right; sample centres are odd, corners are rounded to even."""
    points = [
        (2 * ((cx * half + _UNIT) // (2 * _UNIT)), 2 * ((cy * half + _UNIT) // (2 * _UNIT))) for cx, cy in corners
    ]
    inside = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=bool)
    for (x1, y1), (x2, y2) in zip(points, [*points[1:], points[0]], strict=True):
        if y1 == y2:
            continue
        if y1 > y2:
            x1, y1, x2, y2 = x2, y2, x1, y1
        inside ^= (y > y1) & (y < y2) & ((x - x1) * (y2 - y1) < (y - y1) * (x2 - x1))
    return inside


@lru_cache(maxsize=2048)
def _coverage(shape: str, size: int) -> _UInt8:
    """Samples (0-16) of each pixel that the shape covers, [w, w] with w = size rounded up to even."""
    width = size + size % 2
    half = 4 * size
    axis = np.arange(-4 * width + 1, 4 * width, 2, dtype=np.int64)
    x, y = axis[None, :], axis[:, None]
    if shape == "circle":
        inside: _Bool = x * x + y * y <= half * half
    else:
        inside = _in_polygon(_POLYGONS[shape], half, x, y)
    if shape == "heart":
        for centre in (-half // 2, half // 2):
            inside |= (2 * (x - centre)) ** 2 + (2 * (y + half // 2)) ** 2 <= half * half
    blocks = inside.reshape(width, _OVERSAMPLE, width, _OVERSAMPLE)
    return np.asarray(blocks.sum(axis=(1, 3)), dtype=np.uint8)


@lru_cache(maxsize=8192)
def _sprite(shape: str, colour: str, size: int, background: str) -> _UInt8:
    """RGB [w, w, 3] of one shape on the background."""
    if shape not in ("circle", *_POLYGONS):
        raise DataError(f"A scene holds the unknown shape '{shape}'.", hint="Use one of vsc_eval.synthetic.SHAPES.")
    if colour not in COLOURS:
        raise DataError(f"A scene holds the unknown colour '{colour}'.", hint="Use one of vsc_eval.synthetic.COLOURS.")
    covered = _coverage(shape, size).astype(np.int64)[:, :, None]
    full = _OVERSAMPLE * _OVERSAMPLE
    fore = np.array(COLOURS[colour], dtype=np.int64)
    back = np.array(background_rgb(background), dtype=np.int64)
    sprite: _UInt8 = ((covered * fore + (full - covered) * back + full // 2) // full).astype(np.uint8)
    sprite.setflags(write=False)
    return sprite


@lru_cache(maxsize=8)
def _blank(background: str) -> _UInt8:
    return np.full((CANVAS, CANVAS, 3), background_rgb(background), dtype=np.uint8)


def render_array(scene: Scene) -> _UInt8:
    """The picture as uint8 RGB [448, 448, 3]. Raises DataError if an object leaves the canvas or overlaps another."""
    canvas = _blank(scene.background).copy()
    boxes: list[tuple[int, int, int]] = []
    for o in scene.objects:
        sprite = _sprite(o.shape, o.colour, o.size, scene.background)
        left, top, width = o.window()
        for other_left, other_top, other in boxes:
            if -width < left - other_left < other and -width < top - other_top < other:
                raise DataError(f"The object at ({o.x}, {o.y}) overlaps another.", hint="Move the two apart.")
        boxes.append((left, top, width))
        canvas[top : top + width, left : left + width] = sprite
    return canvas


def render(scene: Scene, *, size: int = CANVAS) -> Image.Image:
    """The picture as an RGB image of `size` x `size` px (a divisor of 448; smaller ones are box-downsampled).

    Sprites are cached, pictures are not: pasting is as fast as copying a cached picture would be.
    """
    if size < 1 or CANVAS % size:
        raise SpecError(f"Pictures cannot be drawn at {size} px.", hint=f"Use a size that divides {CANVAS}.")
    pixels, n = render_array(scene), CANVAS // size
    if n > 1:
        blocks = pixels.reshape(size, n, size, n, 3).sum(axis=(1, 3), dtype=np.int64)
        pixels = np.asarray((blocks + n * n // 2) // (n * n), dtype=np.uint8)
    return Image.fromarray(pixels)


def pixel_hash(scene: Scene) -> str:
    """sha256 (hex) of the 448 x 448 x 3 bytes of the picture."""
    return hashlib.sha256(render_array(scene).tobytes()).hexdigest()


def blind_image(kind: Literal["none", "grey"], *, size: int = CANVAS) -> Image.Image | None:
    """What a blind variant shows instead of the picture: nothing at all, or a plain mid-grey canvas."""
    if kind == "none":
        return None
    if kind == "grey":
        return Image.new("RGB", (size, size), (128, 128, 128))
    raise SpecError(f"Unknown blind variant '{kind}'.", hint="Use 'none' or 'grey'.")
