"""A quick look at a checkpoint: accuracy of the 21 cells by the training-time forward.

The figures that are published come from `vsc-eval run`; this one is for deciding whether to train on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from training.batches import pixels_of
from training.config import TinyShape
from training.packed import PackedForward
from training.packing import encode
from training.questions import of_item
from training.tokenizer import prefix_layout
from vsc_eval.synthetic import LETTERS, LEVELS, TASKS, Item, make_items


@torch.no_grad()
def letters_right(model: Any, tokenizer: Any, shape: TinyShape, items: list[Item], *, batch: int = 20) -> list[bool]:
    """Whether the most likely option letter is the right one, for each item (one forward each)."""
    forward = PackedForward(model, shape, prefix_layout(tokenizer))
    options = torch.tensor(tokenizer.convert_tokens_to_ids(list(LETTERS)))
    right: list[bool] = []
    for start in range(0, len(items), batch):
        chunk = items[start : start + batch]
        rows = [encode(of_item(item), item.scene) for item in chunk]
        length = max(len(row.ids) for row in rows)
        ids = torch.full((len(rows), 1, length), tokenizer.pad_token_id)
        for i, row in enumerate(rows):
            ids[i, 0, : len(row.ids)] = torch.tensor(row.ids)
        tokens, deep = forward.vision(pixels_of([item.scene for item in chunk]))
        final, _, _ = forward(tokens, deep, ids)
        answer = torch.tensor([row.answer_at for row in rows])
        logits = model.lm_head(final[torch.arange(len(rows)), 0, answer])[:, options]
        right += (logits.argmax(-1) == torch.tensor([item.gold for item in chunk])).tolist()
    return right


def cell_accuracies(
    model: Any, tokenizer: Any, shape: TinyShape, *, split: str, n: int, progress: Callable[[], None] | None = None
) -> dict[str, dict[str, float]]:
    """Accuracy by task and level on the first `n` items of each cell of `split`."""
    table: dict[str, dict[str, float]] = {}
    for task in TASKS:
        for level in LEVELS:
            right = letters_right(model, tokenizer, shape, make_items(split, task, level, n))
            table.setdefault(task, {})[level] = sum(right) / len(right)
            if progress:
                progress()
    return table
