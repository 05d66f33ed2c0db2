"""All words of the benchmark."""

from __future__ import annotations

from functools import lru_cache

from vsc_eval.synthetic.phrasing import LETTERS, format_prompt, words
from vsc_eval.synthetic.tasks.base import SYNTHETIC_TASKS, TASKS


@lru_cache(maxsize=1)
def vocabulary() -> tuple[str, ...]:
    """Every token of `words` that a prompt of our tasks can hold, held-out paraphrases included, sorted."""
    texts = [format_prompt("", LETTERS), *(text for task in TASKS for text in SYNTHETIC_TASKS.get(task).texts())]
    return tuple(sorted({word for text in texts for word in words(text)}))
