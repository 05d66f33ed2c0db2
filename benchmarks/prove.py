"""`python -m benchmarks.prove`: what the synthetic benchmark proves about itself, in figures.

Every item of every split: the stored gold answer, the program run on the scene, and the pixel oracle agree; no scene is
in two splits; the best predictor that sees only the text is right in exactly a quarter of the cases.
"""

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from vsc_eval.errors import DataError
from vsc_eval.synthetic import LEVELS, TASKS, Item, make_items
from vsc_eval.synthetic.items import DEFAULT_SIZES
from vsc_eval.synthetic.oracle import verify


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
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prove", description="Check the synthetic benchmark.")
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
