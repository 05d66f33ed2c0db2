"""Hashes of what an item asks, as runs write them, without the modules that load models."""

from __future__ import annotations

import hashlib

from PIL import Image

NO_PICTURE = "none"


def prompt_hash(text: str) -> str:
    """First 16 hex digits of the sha256 of the question's text; the option letters are left out."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def picture_hash(image: Image.Image) -> str:
    """First 16 hex digits of the sha256 of mode, size and all pixels of one RGB picture."""
    digest = hashlib.sha256(f"{image.mode}{image.size}".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()[:16]
