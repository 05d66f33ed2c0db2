"""Pictures as data URIs: our own as small PNGs, those that come from somebody else checked before they are shown."""

import base64
import io
import re
import struct
import warnings
import zlib

import numpy as np
import numpy.typing as npt
from PIL import Image

MAX_URI_CHARS = 300_000
MAX_SIDE_PX = 2048
_URI = re.compile(r"data:image/(png|jpeg);base64,([A-Za-z0-9+/]+={0,2})")
_MAX_COLOURS = 256
_UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
"""What Pillow raises of damaged files."""


def data_uri(kind: str, content: bytes) -> str:
    """A picture's file, a `png` or `jpeg`, as the address of itself."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def png_data_uri(pixels: npt.NDArray[np.uint8]) -> str:
    """A picture [height, width, 3] of at most 256 colours as a data URI, without loss.

    Written here and not by Pillow, whose wheels bring a zlib of their own: the page is kept in git, and the same
    picture should be the same bytes whichever Pillow is installed.
    """
    height, width, _ = pixels.shape
    indices, palette = _indexed(pixels)
    rows = np.zeros((height, width + 1), dtype=np.uint8)  # the first byte of a row names its filter, 0: none
    rows[:, 1:] = indices
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", palette.tobytes()),
        (b"IDAT", zlib.compress(rows.tobytes(), 9)),
        (b"IEND", b""),
    )
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return data_uri("png", png)


def _indexed(pixels: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Palette index of every pixel [height, width], and the palette [colours, 3]; the first pixel's colour is 0."""
    height, width, _ = pixels.shape
    packed = np.zeros((height, width, 4), dtype=np.uint8)
    packed[..., :3] = pixels
    values = packed.view("<u4").ravel()
    # Most pixels are background, and sorting only the others is ten times faster.
    painted = np.flatnonzero(values != values[0])
    colours, places = np.unique(values[painted], return_inverse=True)
    assert len(colours) < _MAX_COLOURS, len(colours)
    indices = np.zeros(height * width, dtype=np.uint8)
    indices[painted] = places + 1
    palette = np.concatenate([values[:1], colours]).astype("<u4").view(np.uint8).reshape(-1, 4)[:, :3]
    return indices.reshape(height, width), np.ascontiguousarray(palette)


def picture_problem(uri: str) -> str | None:
    """Why a picture that came with an entry is not to be shown, as the end of a sentence; None if it may be.

    Only a whole, still PNG or JPEG of modest size: an SVG can hold scripts, and a small file can unpack to gigabytes.
    """
    if len(uri) > MAX_URI_CHARS:
        return f"is longer than {MAX_URI_CHARS:,} characters"
    match = _URI.fullmatch(uri)
    if match is None:
        return "is no data URI of a PNG or JPEG in base64"
    kind, payload = match[1], match[2]
    try:
        # Pillow warns of pictures too large for memory, and of much that makes a file a strange one.
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(io.BytesIO(base64.b64decode(payload, validate=True)), formats=["PNG", "JPEG"]) as image:
                if (image.format or "").lower() != kind:
                    return f"says that it is a {kind} but is a {(image.format or 'nothing known').lower()}"
                if max(image.size) > MAX_SIDE_PX:
                    return f"is {image.width} x {image.height} px, more than {MAX_SIDE_PX} on a side"
                if getattr(image, "n_frames", 1) > 1:
                    return "has more than one frame"
                image.load()
                return None
    except _UNREADABLE as error:
        return f"cannot be opened ({type(error).__name__})"
    except Warning as warning:
        return f"cannot be opened safely ({type(warning).__name__})"
