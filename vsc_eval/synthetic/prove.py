"""What the benchmark proves about itself, in figures: `python -m vsc_eval.synthetic.prove`.

Every item of every split: the stored gold answer, the program run on the scene, and the pixel oracle agree; no scene is
in two splits; the best predictor that sees only the text is right in exactly a quarter of the cases.

The pixel oracle answers an item from its picture and the words of its prompt alone. It shares nothing with the
generator but the names of colours and shapes: it reads the prompt's text, not the program, and measures positions,
extents, areas and colours in the picture, not in the scene. Whatever it finds unclear (two referents, sizes or places
too close to call, no or two true statements) is an error, not a guess.
"""

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from vsc_eval.errors import DataError
from vsc_eval.synthetic.items import DEFAULT_SIZES, Item, make_items
from vsc_eval.synthetic.program import answer_index
from vsc_eval.synthetic.render import render_array
from vsc_eval.synthetic.scene import Scene
from vsc_eval.synthetic.seen import Seen, identity_mask, look, unclear
from vsc_eval.synthetic.tasks.base import LEVELS, SYNTHETIC_TASKS, TASKS


def read_answer(task: str, seen: Sequence[Seen], prompt: str) -> int:
    """The 0-based option that a prompt calls for, given what was seen in the picture.

    Raises DataError if the picture does not canonicalise the question.
    """
    question, *rest = prompt.split("\n")
    options = [line.partition(". ")[2] for line in rest[:4]]
    answer = SYNTHETIC_TASKS.get(task).read(seen, question, options)
    if options.count(answer) != 1:
        raise unclear(f"'{answer}' is not one of the options {options}")
    return options.index(answer)


def look_at(scene: Scene) -> list[Seen]:
    """What the rendered picture of a scene shows."""
    return look(render_array(scene), identity_mask(scene))


def verify(item: Item) -> list[Seen]:
    """Check one item's gold answer in both ways; returns what its picture shows.

    Raises DataError, naming the item, if the program or the pixels say otherwise or canonicalise nothing.
    """
    try:
        by_program = answer_index(item.program, item.scene, item.options, SYNTHETIC_TASKS.get(item.task).ops)
        seen = look_at(item.scene)
        by_pixels = read_answer(item.task, seen, item.prompt)
    except DataError as error:
        raise DataError(f"{item.id}: {error.message}", hint=error.hint) from error
    if not by_program == by_pixels == item.gold:
        raise DataError(
            f"{item.id}: gold is option {item.gold}, the program gives {by_program}, the pixels give {by_pixels}.",
            hint="Regenerate the item with this version of vsc-eval.",
        )
    return seen


def text_only_accuracy(items: Iterable[Item]) -> float:
    """Accuracy of the best possible function of the prompt, fitted to these very items."""
    golds: dict[str, Counter[int]] = defaultdict(Counter)
    for item in items:
        golds[item.prompt][item.gold] += 1
    return sum(max(c.values()) for c in golds.values()) / sum(c.total() for c in golds.values())


@dataclass(frozen=True)
class Proof:
    """Figures over all cells and splits."""

    n_items: int
    n_disagreements: int
    """Items whose gold answer the program or the pixels contradict."""
    n_shared_scenes: int
    """Scene hashes that occur in more than one split."""
    n_repeated_scenes: int
    """Scenes that occur twice within a split."""
    text_only: tuple[float, ...]
    """Best text-only accuracy of each cell, over all its splits."""
    least_visible_px: int
    """Pixels of the smallest object."""
    seconds: float


def prove(sizes: Mapping[str, int] = DEFAULT_SIZES) -> Proof:
    """Check all 21 cells with `sizes` items per cell and split (about 1.6 ms an item)."""
    start = time.perf_counter()
    hashes: dict[str, list[str]] = {split: [] for split in sizes}
    text_only, disagreements, least = [], 0, 10**9
    for task, level in product(TASKS, LEVELS):
        cell = [item for split, n in sizes.items() for item in make_items(split, task, level, n)]
        for item in cell:
            hashes[item.split].append(item.scene.hash())
            try:
                least = min(least, *(o.area for o in verify(item)))
            except DataError:
                disagreements += 1
        text_only.append(text_only_accuracy(cell))
    distinct = [set(h) for h in hashes.values()]
    n_items, n_distinct = sum(map(len, hashes.values())), sum(map(len, distinct))
    return Proof(
        n_items=n_items,
        n_disagreements=disagreements,
        n_shared_scenes=n_distinct - len(set().union(*distinct)),
        n_repeated_scenes=n_items - n_distinct,
        text_only=tuple(text_only),
        least_visible_px=least,
        seconds=time.perf_counter() - start,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; returns 0 if everything holds, 1 otherwise."""
    parser = argparse.ArgumentParser(
        prog="python -m vsc_eval.synthetic.prove", description="Check the synthetic benchmark."
    )
    parser.add_argument("--n", type=int, help="items per cell and split (default: each split's own size)")
    n: int | None = parser.parse_args(arguments).n
    proof = prove(dict.fromkeys(DEFAULT_SIZES, n) if n else DEFAULT_SIZES)
    print(f"items checked                            {proof.n_items} in {proof.seconds:.1f} s")
    print(f"gold != program or gold != pixel oracle  {proof.n_disagreements}")
    print(f"scenes in two splits                     {proof.n_shared_scenes}")
    print(f"scenes twice in a split                  {proof.n_repeated_scenes}")
    print(f"best text-only accuracy, per cell        {min(proof.text_only):.4f} .. {max(proof.text_only):.4f}")
    print(f"smallest object                          {proof.least_visible_px} px")
    holds = proof.n_disagreements == proof.n_shared_scenes == 0 and set(proof.text_only) == {0.25}
    return 0 if holds else 1


if __name__ == "__main__":
    raise SystemExit(main())
