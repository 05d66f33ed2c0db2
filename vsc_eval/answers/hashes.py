"""Hashes of what an item asks. Runs write them, boards compare them; nothing here loads a model library."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from vsc_eval.files import short_hash

if TYPE_CHECKING:
    from PIL import Image

NO_PICTURE = "none"


def prompt_hash(text: str) -> str:
    """First 16 hex digits of the sha256 of the question's text; the option letters are left out."""
    return short_hash(text)


def picture_hash(*images: Image.Image) -> str:
    """First 16 hex digits of the sha256 of mode, size and all pixels of RGB pictures; `none` without a picture."""
    if not images:
        return NO_PICTURE
    digest = hashlib.sha256()
    for image in images:
        digest.update(f"{image.mode}{image.size}".encode())
        digest.update(image.tobytes())
    return digest.hexdigest()[:16]
