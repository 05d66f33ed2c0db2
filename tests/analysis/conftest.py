"""Small finished runs, written by the writer that real runs use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from vsc_eval.answers.answer_table import Answers, AnswerTable, AskedCondition, AskedItem
from vsc_eval.answers.parquet import write_table
from vsc_eval.files import short_hash
from vsc_eval.specs import BASELINE, ConditionSpec, EditSpec

LETTERS = ("A", "B", "C", "D")
TASKS, LEVELS, N_ORBITS = ("counting", "logic"), ("easy", "hard"), 5
CONDITIONS = ("baseline", "counting", "logic:ablate")

MakeRun = Callable[..., Path]
"""make_run(name, seed=0, table=None, settings={}, hashes={}, attempt={}) -> folder."""


def some_table(seed: int, conditions: Sequence[str] = CONDITIONS) -> AnswerTable:
    """Items of an easy benchmark with random log-probabilities; the answer is the largest. Answers of runs with other
    seeds are alike, as those of two models are."""
    shared, own = np.random.default_rng(1), np.random.default_rng([2, seed])
    items, logprobs = [], []
    for task in TASKS:
        for level in LEVELS:
            for orbit in range(N_ORBITS):
                for place, letter in enumerate(LETTERS):
                    both = {name: shared.normal(size=4) for name in CONDITIONS}
                    values = np.array([both[name] + 0.6 * own.normal(size=4) for name in conditions])
                    values[:, place] += 1.0
                    logprobs.append(values - np.log(np.exp(values).sum(axis=1, keepdims=True)) - 0.01)
                    items.append(
                        AskedItem(
                            item_id=f"{task}/{level}/{orbit}/{letter}",
                            task=task,
                            level=level,
                            cluster=f"{task}/{level}/{orbit}",
                            gold=letter,
                            gold_index=place,
                            options=LETTERS,
                            prompt_hash=short_hash(f"Question {task} {level} {orbit}"),
                            image_hash=f"pixels{len(items)}",
                        )
                    )
    return table_of(items, conditions, np.array(logprobs).swapaxes(0, 1))


def table_of(items: Sequence[AskedItem], conditions: Sequence[str], logprobs: np.ndarray) -> AnswerTable:
    """`logprobs` [conditions, items, options]; the answer is the largest."""
    codes = logprobs.argmax(axis=-1).astype(np.int32)
    answers = Answers(tuple(conditions), LETTERS, codes, codes, logprobs.astype(np.float32))
    edit = EditSpec(kind="ablate")
    specs = [
        ConditionSpec(name=name) if name == BASELINE else ConditionSpec(name=name, sets=("s",), edit=edit)
        for name in conditions
    ]
    return AnswerTable(tuple(items), tuple(map(AskedCondition, specs)), answers)


def write_run(
    folder: Path,
    table: AnswerTable,
    *,
    settings: Mapping[str, Any] | None = None,
    hashes: Mapping[str, Any] | None = None,
    attempt: Mapping[str, Any] | None = None,
) -> Path:
    """A run's folder with only what a comparison reads."""
    folder.mkdir(parents=True)
    conditions = {name: "baseline" if name == "baseline" else f"hash-{name}" for name in CONDITIONS}
    document = {
        "settings": {"model": "m", "scoring": "loglikelihood", "seed": 0, **(settings or {})},
        "hashes": {"model_fingerprint": "f0", "generator_version": "1", "conditions": conditions, **(hashes or {})},
        "files": write_table(folder, table),
    }
    local = {"attempts": [{"device": "cpu", "dtype": "torch.float32", "batch_size": 16, **(attempt or {})}]}
    (folder / "run.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    (folder / "local.yaml").write_text(yaml.safe_dump(local), encoding="utf-8")
    return folder


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    def make(name: str, seed: int = 0, table: AnswerTable | None = None, **changes: Any) -> Path:
        return write_run(tmp_path / name, some_table(seed) if table is None else table, **changes)

    return make


@pytest.fixture
def table_with() -> Callable[..., AnswerTable]:
    """some_table(seed, conditions)."""
    return some_table
