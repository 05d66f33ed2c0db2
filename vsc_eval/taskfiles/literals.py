"""Lists that a data set stores as text."""

from __future__ import annotations

import ast
import io
import json
import tokenize
from typing import Any


def text_list(value: Any) -> list[Any] | None:
    """The list in `value`: a list itself, or one written as JSON or in Python's way; None if it is none.

    numpy prints an array without commas (`['a' 'b']`), which Python would read as one string; that is refused.
    """
    if isinstance(value, list | tuple):
        return list(value)
    if not isinstance(value, str) or not value.strip().startswith(("[", "(")):
        return None
    for read in (json.loads, _python_list):
        try:
            found = read(value.strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
        if isinstance(found, list | tuple):
            return list(found)
    return None


def _python_list(text: str) -> Any:
    tree = ast.parse(text, mode="eval")
    # Adjacent strings are one constant that begins before its value's text ends.
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            segment = ast.get_source_segment(text, node) or ""
            if ast.literal_eval(segment) != node.value or _has_two_strings(segment):
                raise ValueError("strings without a comma between them")
    return ast.literal_eval(tree)


def _has_two_strings(segment: str) -> bool:
    tokens = tokenize.generate_tokens(io.StringIO(segment).readline)
    return sum(token.type == tokenize.STRING for token in tokens) > 1
