"""A scene in words, for readers who do not see the picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vsc_eval.synthetic import CANVAS, Scene, SceneObject
from vsc_eval.synthetic.scene import LARGE_MIN_PX, SMALL_MAX_PX

_ZONES = (
    ("top left", "top", "top right"),
    ("left", "centre", "right"),
    ("bottom left", "bottom", "bottom right"),
)


def scene_words(scene: Scene) -> str:
    """One sentence that names every object and where it is.

    Objects are listed one by one, never counted by kind or compared, so that the reader has to work out the answer as
    one who sees the picture has.
    """
    if scene.grid is not None and len(scene.objects) == scene.grid**2:
        rows = _grid_rows(scene.objects, scene.grid)
        return f"A grid of {scene.grid} by {scene.grid} shapes, row by row: {'; '.join(map(_names, rows))}."
    zones: dict[tuple[int, int], list[SceneObject]] = {}
    for o in sorted(scene.objects, key=lambda o: (o.y, o.x)):
        zones.setdefault((3 * o.y // CANVAS, 3 * o.x // CANVAS), []).append(o)
    parts = [f"{_ZONES[row][column]}: {_names(zones[row, column], sized=True)}" for row, column in sorted(zones)]
    noun = "shape" if len(scene.objects) == 1 else "shapes"
    return f"{len(scene.objects)} {noun} on a plain background; {'; '.join(parts)}."


def _grid_rows(objects: Sequence[SceneObject], n: int) -> list[list[SceneObject]]:
    by_height = sorted(objects, key=lambda o: o.y)
    return [sorted(by_height[start : start + n], key=lambda o: o.x) for start in range(0, n * n, n)]


def _names(objects: Iterable[SceneObject], *, sized: bool = False) -> str:
    return ", ".join(f"{_size(o) if sized else ''}{o.colour} {o.shape}" for o in objects)


def _size(o: SceneObject) -> str:
    return "small " if o.size <= SMALL_MAX_PX else "large " if o.size >= LARGE_MIN_PX else ""
