"""Boards that are full of text that tries to break whatever shows it."""

from __future__ import annotations

from hostile_entries import hostile_board, hostile_entry, hostile_parts
from hostile_texts import HOSTILE, HOSTILE_IDS, NAMED, RAN

__all__ = ["HOSTILE", "HOSTILE_IDS", "NAMED", "NO_JSON_TEXT", "RAN", "hostile_board", "hostile_entry", "hostile_parts"]

NO_JSON_TEXT: dict[str, bytes] = {
    "lone surrogate": rb'"\ud800"',
    "reversed surrogates": rb'"\udc00\ud800"',
    "not utf-8": b'"\xff\xfe"',
    "surrogate bytes": b'"\xed\xa0\x80"',
    "overlong": b'"\xc0\xaf"',
}
"""JSON strings, as the bytes of a file, that hold no text: an entry with one of them is to be refused in words."""
