"""Which prompts run together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vsc_eval.backends.hf.prompts import Prompt


def similar_batches(prompts: Sequence[Prompt], batch_size: int) -> Iterator[list[int]]:
    """Indices of prompts that run together: the same number of pictures, similar lengths."""
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i].images), len(prompts[i].text), i))
    batch: list[int] = []
    for index in order:
        if batch and (len(batch) == batch_size or len(prompts[index].images) != len(prompts[batch[0]].images)):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def unlike_prompts(prompts: Sequence[Prompt]) -> list[Prompt]:
    """The shortest, the middle and the longest prompt with as many pictures as the first one.

    Unlike lengths, so that there is padding to go wrong; three, because that is the number of mrope's axes, at which a
    mixed-up axis is not noticed by its shape.
    """
    alike = sorted((p for p in prompts if len(p.images) == len(prompts[0].images)), key=lambda p: len(p.text))
    return [alike[0], alike[len(alike) // 2], alike[-1]]
