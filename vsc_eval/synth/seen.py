"""Objects as the pixels show them: no scene is read here, only a picture and the mask that tells its objects apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vsc_eval.errors import DataError
from vsc_eval.synth.scene import COLOURS

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


def _pack(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    wide = rgb.astype(np.int32)
    return np.asarray(wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2])


_NAMES = {(r << 16 | g << 8 | b): name for name, (r, g, b) in COLOURS.items()}
_PURE = np.array(sorted(_NAMES), dtype=np.int32)


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


def _check_agreement(packed: npt.NDArray[np.int32], mask: npt.NDArray[np.int16]) -> None:
    """Every masked pixel is painted, and no fully painted pixel lies outside the mask."""
    background = packed[0, 0]
    if (packed[mask > 0] == background).any():
        raise DataError("The mask covers pixels that are not painted.", mend=_MEND)
    painted = packed[(packed != background) & (mask == 0)]
    if np.isin(painted, _PURE).any():
        raise DataError("The picture has painted pixels outside the mask.", mend=_MEND)


def look(pixels: npt.NDArray[np.uint8], mask: npt.NDArray[np.int16]) -> list[Seen]:
    """All objects of a picture uint8 [h, w, 3] with its identity mask [h, w].

    The colour is the object's most frequent pixel value. Raises DataError if picture and mask disagree.
    """
    packed = _pack(pixels)
    _check_agreement(packed, mask)
    ys, xs = np.nonzero(mask)
    labels = mask[ys, xs]
    order = np.argsort(labels, kind="stable")
    ys, xs, labels = ys[order], xs[order], labels[order]
    bounds = np.flatnonzero(np.diff(labels)) + 1
    seen = []
    for oy, ox in zip(np.split(ys, bounds), np.split(xs, bounds), strict=True):
        top, bottom, left, right = int(oy[0]), int(oy[-1]) + 1, int(ox.min()), int(ox.max()) + 1
        values, counts = np.unique(packed[oy, ox], return_counts=True)
        colour = _NAMES.get(int(values[counts.argmax()]))
        if colour is None:
            raise DataError(f"The object at ({left}, {top}) has no named colour.", mend=_MEND)
        region = np.zeros((bottom - top, right - left), dtype=bool)
        region[oy - top, ox - left] = True
        seen.append(
            Seen(
                shape=classify_shape(region),
                colour=colour,
                x=(left + right) / 2,
                y=(top + bottom) / 2,
                width=right - left,
                height=bottom - top,
                area=len(oy),
            )
        )
    return seen
