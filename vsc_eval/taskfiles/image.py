"""Pictures of an external data set: decoded when their pixels are read, and not kept.

lm-eval builds the requests of all rows before it asks the model anything; decoded at once, the pictures of 10,000 rows
would fill the memory. Encoded, they stay in the data set's memory-mapped file.
"""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NoReturn

import datasets
from PIL import Image, ImageOps

from vsc_eval.errors import BackendError
from vsc_eval.taskfiles.schema import PixelBudget

_ORIENTATION = 0x0112
_BASE64_AT_LEAST = 64


class UndecodableError(Exception):
    """A row's picture cannot be decoded; the message says why."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """The pictures of one data set, by row."""

    rows: datasets.Dataset
    column: str
    folder: Path | None
    """Where relative paths begin."""
    pixels: PixelBudget
    sizes: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Row -> (width, height) as the model sees it; of rows that were decoded once."""

    def decode(self, row: int) -> Image.Image:
        """The RGB picture of a row, turned as its camera says and resized into the pixel budget. Raises
        UndecodableError."""
        (value,) = encoded_pictures(self.rows[row][self.column])
        image = _decoded(value, self.folder)
        size = budget_size(image.size, self.pixels)
        if size != image.size:
            image = image.resize(size, Image.Resampling.BICUBIC)
        self.sizes[row] = image.size
        return image

    def lazy(self, row: int) -> LazyImage:
        """The picture of a row that was decoded once already."""
        return LazyImage(self.sizes[row], partial(_kept, self, row))


# Pillow reads the pixels several times in one operation.
@lru_cache(maxsize=4)
def _kept(pictures: Pictures, row: int) -> Image.Image:
    return pictures.decode(row)


class LazyImage(Image.Image):
    """An RGB image that is made when its pixels are read, and not kept. Writing to it makes it keep its own pixels,
    like any image."""

    def __init__(self, size: tuple[int, int], make: Callable[[], Image.Image]) -> None:
        super().__init__()
        self._make = make
        self._mode, self._size = "RGB", size
        # Pillow copies the pixels of a read-only image before it writes to them.
        self.readonly = 1

    @property
    def im(self) -> Any:
        return self._own if self._own is not None else self._make().im

    @im.setter
    def im(self, pixels: Any) -> None:
        self._own = pixels

    _own: Any = None

    def __reduce__(self) -> NoReturn:
        raise BackendError(
            "Requests with pictures cannot be kept in lm-eval's request cache: its key leaves out the task's settings,"
            " so that a changed task would get the old items.",
            hint="Leave --cache_requests out.",
        )


def undecoded(rows: datasets.Dataset) -> datasets.Dataset:
    """`rows` whose pictures come as bytes."""
    for name, feature in picture_columns(rows).items():
        encoded = datasets.Image(decode=False)
        rows = rows.cast_column(name, encoded if isinstance(feature, datasets.Image) else datasets.List(encoded))
    return rows


def picture_columns(rows: datasets.Dataset) -> dict[str, Any]:
    """Columns that are declared as pictures, or as lists of them."""
    return {
        name: feature
        for name, feature in rows.features.items()
        if isinstance(feature, datasets.Image) or isinstance(getattr(feature, "feature", None), datasets.Image)
    }


def encoded_pictures(cell: Any) -> list[Any]:
    """The pictures in a cell, which may hold a list of them."""
    return [part for part in (cell if isinstance(cell, list | tuple) else [cell]) if part is not None]


def budget_size(size: tuple[int, int], pixels: PixelBudget) -> tuple[int, int]:
    """(width, height) within the budget, at the same aspect up to rounding."""
    area = size[0] * size[1]
    wanted = max(area, pixels.min or 0)
    wanted = min(wanted, pixels.max or wanted)
    if wanted == area:
        return size
    factor, rounded = math.sqrt(wanted / area), math.floor if wanted < area else math.ceil
    return max(1, rounded(size[0] * factor)), max(1, rounded(size[1] * factor))


def _decoded(value: Any, folder: Path | None) -> Image.Image:
    try:
        with Image.open(_file(value, folder)) as opened:
            opened.load()
            # As `datasets` itself does: a photo lies as its camera was held.
            turned = ImageOps.exif_transpose(opened) if opened.getexif().get(_ORIENTATION) is not None else opened
            return turned.convert("RGB")
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise UndecodableError(str(error) or type(error).__name__) from error
    except Image.DecompressionBombError as error:
        raise UndecodableError(f"too large: {error}") from error


def _file(value: Any, folder: Path | None) -> io.BytesIO | Path:
    if isinstance(value, Mapping):
        value = value.get("path") if value.get("bytes") is None else value["bytes"]
    if isinstance(value, bytes | bytearray):
        return io.BytesIO(value)
    if not isinstance(value, str) or not value:
        raise UndecodableError(f"{type(value).__name__} is neither bytes nor a path")
    if value.startswith(("http://", "https://")):
        raise UndecodableError(f"{value} is an address; pictures are not fetched from the web")
    if value.startswith("data:image/") or (len(value) > _BASE64_AT_LEAST and "." not in value):
        try:
            encoded = "".join((value.partition("base64,")[2] or value).split())
            return io.BytesIO(base64.b64decode(encoded, validate=True))
        except binascii.Error as error:
            raise UndecodableError(f"neither a path nor base64: {error}") from error
    # An absolute path takes the place of the folder.
    return (folder or Path()) / Path(value).expanduser()
