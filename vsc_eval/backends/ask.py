"""The one way of asking a model: a plan of batches, each answered under all conditions and stored before the next.

The plan is made from the whole list of prompts, whatever is stored already. So a run that was cut off, or one that is
shared between machines, computes the same batches as one that was not, and gets the same bits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Protocol

from vsc_eval.answers.answer_table import AskedItem
from vsc_eval.answers.hashes import prompt_hash
from vsc_eval.backends.hf.prompts import Prompt
from vsc_eval.backends.protocol import GenSettings
from vsc_eval.backends.session import Session
from vsc_eval.records import Reading

SLICE = 256
"""Conditions that are asked in one pass. Each slice runs the layers up to the edited one and the baseline anew, which
costs about as much as ten conditions."""

Progress = Callable[[int, int], None]
"""Called with (answers computed, answers to compute); stored ones count in neither."""


class Collect(Protocol):
    """Takes the answers of a batch as they come."""

    def __call__(self, places: Sequence[int], answers: Mapping[str, Sequence[Reading]], /) -> None: ...


def plan_batches(
    sizes: Sequence[tuple[int, int]],
    batch_size: int,
    *,
    order: Sequence[int] | None = None,
    apart: Collection[int] = (),
) -> list[list[int]]:
    """Places of the prompts of each batch: of similar size, or as they follow each other in `order`. Those in `apart`
    are in batches of their own, just as they are where they are all that is asked. A size is (pictures, characters)."""
    if order is None:
        order = sorted(range(len(sizes)), key=lambda place: (sizes[place], place))
    apart = frozenset(apart)
    groups = ([place for place in order if (place in apart) is side] for side in (True, False))
    return [group[at : at + batch_size] for group in groups for at in range(0, len(group), batch_size)]


def ask(
    session: Session,
    prompts: Sequence[Prompt],
    names: Sequence[str],
    *,
    settings: GenSettings,
    collect: Collect | None = None,
    progress: Progress | None = None,
    sizes: Sequence[tuple[int, int]] | None = None,
    order: Sequence[int] | None = None,
    apart: Collection[int] = (),
) -> None:
    """Ask every prompt under each of the session's conditions `names`, as far as the store lacks the answers.

    `collect` is given all answers, stored and computed alike, batch by batch and for some of the conditions at a time.
    `prompts` may make a prompt, with its pictures, when it is looked up; `sizes`, `order` and `apart` are those of
    `plan_batches`. Raises as Session.answers does.
    """
    if sizes is None:
        sizes = [(len(prompt.images), len(prompt.text)) for prompt in prompts]
    batches = plan_batches(sizes, session.engine.batch_size, order=order, apart=apart)
    done, total = 0, len(prompts) * len(names)

    def computed(n: int) -> None:
        nonlocal done
        done += n
        if progress:
            progress(done, total)

    # As few slices as there must be, of about the same length.
    n_slices = max(1, -(-len(names) // SLICE))
    edges = [len(names) * number // n_slices for number in range(n_slices + 1)]
    for start, end in pairwise(edges):
        for batch in batches:
            done_before = done
            answers = session.answers([prompts[place] for place in batch], names[start:end], settings, computed)
            # Without those that were stored the time left is right in a run that goes on.
            if n_stored := len(batch) * (end - start) - (done - done_before):
                total -= n_stored
                computed(0)
            if collect is not None:
                collect(batch, answers)


def as_asked(item: AskedItem, prompt: Prompt, settings: GenSettings, stops: tuple[str, ...] = ()) -> AskedItem:
    """`item` with how it was asked."""
    content = [{"type": "image", "hash": prompt.image_hash}] if prompt.images else []
    messages = [{"role": "user", "content": [*content, {"type": "text", "text": prompt.text}]}]
    return replace(
        item,
        options=prompt.options,
        scoring=settings.scoring,
        max_new_tokens=settings.new_tokens,
        stops=stops,
        prompt_hash=prompt_hash(prompt.text),
        image_hash=prompt.image_hash,
        messages=json.dumps(messages, ensure_ascii=False),
    )
