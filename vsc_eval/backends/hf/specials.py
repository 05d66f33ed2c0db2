"""Strings that mean something to a tokenizer or a processor, and questions in which they stay plain words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# Placeholders that some processors look for in the text although their tokenizer does not call them special.
_PLACEHOLDERS = ("<image>", "<video>", "<image_soft_token>", "<start_of_image>", "<|image|>", "[IMG]")
_PROCESSOR_TOKENS = ("image_token", "video_token", "boi_token", "eoi_token", "fake_image_token", "global_image_token")


def special_strings(processor: Any, tokenizer: Any) -> tuple[str, ...]:
    """Strings that tokenizer or processor would take for a control token or a picture's slot, longest first."""
    found = {*tokenizer.all_special_tokens, *_PLACEHOLDERS}
    found |= {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    found |= {value for name in _PROCESSOR_TOKENS if isinstance(value := getattr(processor, name, None), str)}
    return tuple(sorted((text for text in found if len(text) > 1), key=lambda text: (-len(text), text)))


def disarm(text: str, specials: Sequence[str]) -> str:
    """`text` with a space in every special string, so that a literal `<image>` in a question stays a few words.

    Without it a question can open a picture slot that has no picture, or end the user's turn.
    """
    for special in specials:
        if special in text:
            lead = len(special) - len(special.lstrip()) + 1
            text = text.replace(special, f"{special[:lead]} {special[lead:]}")
    return text
