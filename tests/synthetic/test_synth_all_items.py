"""The benchmark's proof of itself, on every item of all four splits' default sizes."""

from __future__ import annotations

import pytest
from synth_cells import CELLS, cell_facts

from vsc_eval.synthetic import DEFAULT_SIZES, SPLITS


@pytest.mark.parametrize(("task", "level"), CELLS)
def test_gold_program_and_pixels_agree_on_every_item(task: str, level: str) -> None:
    facts = cell_facts(task, level)
    assert facts.problems == ()
    assert len(facts.glances) == sum(DEFAULT_SIZES.values())
    assert facts.least_visible_px >= 150


@pytest.mark.parametrize(("task", "level"), CELLS)
def test_no_function_of_the_prompt_beats_a_quarter(task: str, level: str) -> None:
    facts = cell_facts(task, level)
    assert facts.text_only == 0.25
    assert len(set(facts.golds.values())) == 1


def test_no_scene_occurs_twice() -> None:
    by_split: dict[str, list[str]] = {split: [] for split in SPLITS}
    for cell in CELLS:
        for split, hashes in cell_facts(*cell).hashes.items():
            by_split[split] += hashes
    distinct = {split: set(hashes) for split, hashes in by_split.items()}
    assert {split: len(h) for split, h in distinct.items()} == {s: 21 * n for s, n in DEFAULT_SIZES.items()}
    assert len(set.union(*distinct.values())) == sum(len(h) for h in distinct.values())
