"""Small finished runs, written by the writer that real runs use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from vsc_eval.answers.items import ItemLine, asked, write_items

LETTERS = ("A", "B", "C", "D")
TASKS, LEVELS, N_ORBITS = ("counting", "logic"), ("easy", "hard"), 5
CONDITIONS = ("baseline", "counting", "logic:ablate")

MakeRun = Callable[..., Path]
"""make_run(name, seed=0, conditions=..., lines=None, settings={}, hashes={}, attempt={}, answers=None) -> folder."""


def some_lines(seed: int, conditions: Sequence[str] = CONDITIONS) -> list[ItemLine]:
    """Items of an easy benchmark with random log-probabilities; the answer is the largest. Answers of runs with other
    seeds are alike, as those of two models are."""
    shared, own = np.random.default_rng(1), np.random.default_rng([2, seed])
    lines = []
    for task in TASKS:
        for level in LEVELS:
            for orbit in range(N_ORBITS):
                for place, letter in enumerate(LETTERS):
                    both = {name: shared.normal(size=4) for name in CONDITIONS}
                    logprobs = {name: both[name] + 0.6 * own.normal(size=4) for name in conditions}
                    for values in logprobs.values():
                        values[place] += 1.0
                        values -= np.log(np.exp(values).sum()) + 0.01
                    lines.append(
                        ItemLine(
                            id=f"{task}/{level}/{orbit}/{letter}",
                            task=task,
                            level=level,
                            cluster=f"{task}/{level}/{orbit}",
                            gold=letter,
                            asked=asked(
                                f"Question {task} {level} {orbit}",
                                f"pixels{len(lines)}",
                                LETTERS,
                                "loglikelihood",
                                None,
                            ),
                            answers={name: LETTERS[int(values.argmax())] for name, values in logprobs.items()},
                            option_logprobs={name: tuple(values.tolist()) for name, values in logprobs.items()},
                        )
                    )
    return lines


def write_run(
    folder: Path,
    lines: Sequence[ItemLine],
    *,
    settings: Mapping[str, Any] | None = None,
    hashes: Mapping[str, Any] | None = None,
    attempt: Mapping[str, Any] | None = None,
    document_name: str = "run.yaml",
) -> Path:
    """A run's folder with only what a comparison reads."""
    folder.mkdir(parents=True)
    conditions = {name: "baseline" if name == "baseline" else f"hash-{name}" for name in CONDITIONS}
    document = {
        "settings": {"model": "m", "scoring": "loglikelihood", "seed": 0, **(settings or {})},
        "hashes": {"model_fingerprint": "f0", "generator_version": "1", "conditions": conditions, **(hashes or {})},
        "attempts": [{"device": "cpu", "dtype": "torch.float32", "batch_size": 16, **(attempt or {})}],
        "items": write_items(folder, lines),
    }
    (folder / document_name).write_text(yaml.safe_dump(document), encoding="utf-8")
    return folder


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    def make(name: str, seed: int = 0, lines: Sequence[ItemLine] | None = None, **changes: Any) -> Path:
        return write_run(tmp_path / name, some_lines(seed) if lines is None else lines, **changes)

    return make


@pytest.fixture
def lines_of() -> Callable[..., list[ItemLine]]:
    """some_lines(seed, conditions)."""
    return some_lines
