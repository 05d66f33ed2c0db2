"""Objects as the pixels show them: no scene is read here, only a picture and the mask that tells its objects apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vsc_eval.errors import DataError
from vsc_eval.synthetic.scene import COLOURS

_MEND = "Renderer and mask disagree; report this item's id."


@dataclass(frozen=True)
class Seen:
    """One object. Positions in px from the top left corner of the picture."""

    shape: str
    colour: str
    x: float
    y: float
    """Centre of the bounding box."""
    width: int
    height: int
    area: int
    """Pixels of the mask."""

    @property
    def extent(self) -> int:
        """The longer side of the bounding box in px."""
        return max(self.width, self.height)


def _pack(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    """Each pixel as one integer, 0xBBGGRR."""
    padded = np.zeros((*rgb.shape[:2], 4), dtype=np.uint8)
    padded[..., :3] = rgb
    return np.asarray(padded.view("<u4")[..., 0])


_NAMES = sorted(COLOURS, key=lambda name: COLOURS[name][::-1])
_PURE = np.array([r | g << 8 | b << 16 for r, g, b in (COLOURS[name] for name in _NAMES)], dtype=np.uint32)
"""Packed values of the named colours, ascending, in the order of `_NAMES`."""


def _named(packed: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    """Index into `_NAMES` of each value, or -1."""
    at = np.searchsorted(_PURE, packed).clip(max=len(_PURE) - 1)
    return np.where(_PURE[at] == packed, at, -1)


def classify_shape(region: npt.NDArray[np.bool_]) -> str:
    """The shape of a tightly cropped region, from how full its box is and how much of it lies in the upper half."""
    height = len(region)
    area = int(region.sum())
    fill = area / region.size
    upper = int(region[: height // 2].sum()) + int(region[height // 2].sum()) * (height % 2) / 2
    top = upper / area
    if top < 0.36:
        return "triangle"
    if top > 0.6:
        return "heart"
    if fill > 0.92:
        return "square"
    if fill > 0.69:
        return "circle"
    return "cross" if fill > 0.49 else "star"


def look(pixels: npt.NDArray[np.uint8], mask: npt.NDArray[np.int16]) -> list[Seen]:
    """All objects of a picture uint8 [h, w, 3] with its identity mask [h, w].

    The colour is the named one that most of the object's pixels have exactly. Raises DataError if picture and mask
    disagree: a masked pixel that is not painted, a fully painted one outside the mask, an object without a colour.
    """
    packed, labels = _pack(pixels).ravel(), mask.ravel()
    painted = packed != packed[0]
    inside = labels > 0
    if (inside & ~painted).any():
        raise DataError("The mask covers pixels that are not painted.", hint=_MEND)
    if (_named(packed[painted & ~inside]) >= 0).any():
        raise DataError("The picture has painted pixels outside the mask.", hint=_MEND)
    flat = np.flatnonzero(inside)
    flat = flat[np.argsort(labels[flat], kind="stable")]
    colours = _named(packed[flat])
    ys, xs = np.divmod(flat, mask.shape[1])
    starts = np.flatnonzero(np.diff(labels[flat], prepend=0)).tolist()
    return [
        _object(ys[start:end], xs[start:end], colours[start:end])
        for start, end in zip(starts, [*starts[1:], len(flat)], strict=True)
    ]


def _object(ys: npt.NDArray[np.int64], xs: npt.NDArray[np.int64], colours: npt.NDArray[np.int64]) -> Seen:
    """One object from its pixels: rows (ascending), columns and colour indices (-1: no named colour), each [n]."""
    top, bottom, left, right = int(ys[0]), int(ys[-1]) + 1, int(xs.min()), int(xs.max()) + 1
    votes = np.bincount(colours + 1, minlength=len(_NAMES) + 1)[1:]
    if 2 * votes.max() < len(ys):
        raise DataError(f"The object at ({left}, {top}) has no named colour.", hint=_MEND)
    region = np.zeros((bottom - top, right - left), dtype=bool)
    region[ys - top, xs - left] = True
    return Seen(
        shape=classify_shape(region),
        colour=_NAMES[int(votes.argmax())],
        x=(left + right) / 2,
        y=(top + bottom) / 2,
        width=right - left,
        height=bottom - top,
        area=len(ys),
    )
