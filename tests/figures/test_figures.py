"""Labels hide as little as can be, and a figure is the same bytes whatever the user's matplotlib is set to."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.text import Annotation, Text

from vsc_eval.figures.style import bare, drawable, label_points, new_figure, plain_style, save_png, save_svg


def drawn(points: list[tuple[float, float]], named: list[tuple[str, tuple[float, float]]]) -> list[Annotation]:
    """The labels of a scatter of these points."""
    figure = new_figure(8, 5)
    axes = figure.subplots()
    axes.scatter(*zip(*points, strict=True))
    axes.margins(0.1)
    bare(axes)
    label_points(axes, named, points)
    figure.canvas.draw()
    return [text for text in axes.texts if isinstance(text, Annotation)]


@pytest.mark.parametrize("seed", range(4))
def test_labels_of_close_points_overlap_neither_each_other_nor_the_frame(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = [(float(x), float(y)) for x, y in rng.normal(size=(40, 2))]
    # Four in a heap, and one in a corner.
    named = [(f"a name of some length {i}", points[i]) for i in np.argsort([abs(x) + abs(y) for x, y in points])[:4]]
    named.append(("in the corner", max(points)))
    labels = drawn(points, named)
    assert [label.get_text() for label in labels] == [name for name, _ in named]
    boxes = [Text.get_window_extent(label) for label in labels]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    frame = labels[0].axes.bbox
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1 for box in boxes)


def test_a_label_leaves_points_uncovered_where_it_can() -> None:
    # Everything to the right of the point is full.
    points = [(0.0, 0.0), *((x / 40, y / 40) for x in range(1, 40) for y in range(-20, 20))]
    (label,) = drawn([*points, (-1.0, 0.0)], [("a name", points[0])])
    assert label.get_ha() == "right"


def test_what_the_user_has_set_does_not_matter_and_is_kept(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        with plain_style():
            figure = new_figure(3, 2, pad=(0.1, 0.1))
            figure.subplots().set_title("costs $5 and $6")
            folder.mkdir()
            save_png(figure, folder / "a.png", title="a")
            save_svg(figure, folder / "a.svg", title="a")

    write(tmp_path / "one")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "pink", "text.parse_math": True}):
        write(tmp_path / "two")
        assert matplotlib.rcParams["font.size"] == 30
    for name in ("a.png", "a.svg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert b"Matplotlib v" not in (tmp_path / "one" / "a.svg").read_bytes()
    assert b"Software" not in (tmp_path / "one" / "a.png").read_bytes()


def test_what_the_font_lacks_is_marked() -> None:
    assert drawable("a\u6a21b\U0001f469c") == "a\ufffdb\ufffdc"
    assert drawable("caf\u00e9 \u0394\u2192\u00d7") == "caf\u00e9 \u0394\u2192\u00d7"
