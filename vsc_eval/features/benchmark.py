"""The synthetic benchmark as prompts for harvesting activations."""

from collections.abc import Iterator, Sequence

import torch

from vsc_eval.backends.hf.prompts import Prompt
from vsc_eval.errors import SpecError
from vsc_eval.seeding import torch_generator
from vsc_eval.synthetic import DEFAULT_SIZES, LETTERS, LEVELS, SYNTHETIC_TASKS, TASKS, Item, make_items, render


def benchmark_items(split: str, tasks: Sequence[str] = TASKS, items_per_cell: int | None = None) -> list[Item]:
    """Items of every level of `tasks` in `split`, cell after cell; the split's default size unless told otherwise.

    Raises SpecError for no task, an unknown or a repeated one, and for a number that is no multiple of 4.
    """
    if not tasks or len(set(tasks)) != len(tasks):
        raise SpecError(f"The tasks are {list(tasks)}.", hint="Name at least one task, and each only once.")
    for task in tasks:
        SYNTHETIC_TASKS.get(task)
    n = DEFAULT_SIZES[split] if items_per_cell is None else items_per_cell
    return [item for task in tasks for level in LEVELS for item in make_items(split, task, level, n)]


def to_prompt(item: Item) -> Prompt:
    """The item's question with its picture."""
    return Prompt(text=item.prompt, images=(render(item.scene),), options=LETTERS)


def prompts_of(items: Sequence[Item]) -> Iterator[Prompt]:
    """The items' prompts, each picture drawn when it is its turn: all of them together do not fit into memory."""
    return (to_prompt(item) for item in items)


def endless_shuffled_prompts(items: Sequence[Item], seed: int) -> Iterator[Prompt]:
    """The items' prompts epoch after epoch, each epoch in an order of its own."""
    epoch = 0
    while True:
        generator = torch_generator("sae items", seed, epoch)
        for index in torch.randperm(len(items), generator=generator).tolist():
            yield to_prompt(items[index])
        epoch += 1
