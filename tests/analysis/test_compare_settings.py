"""What is shown to differ between two runs, and when changed answers are called a noise floor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vsc_eval.analysis.compare.compare import compare_runs
from vsc_eval.analysis.compare.records import Comparison
from vsc_eval.answers.finished_run import read_run

MakeRun = Callable[..., Path]


def compare(make_run: MakeRun, a: dict[str, Any], b: dict[str, Any], **options: Any) -> Comparison:
    return compare_runs(read_run(make_run("a", 0, **a)), read_run(make_run("b", 1, **b)), **options)


def test_settings_that_differ_are_side_by_side(make_run: MakeRun) -> None:
    found = compare(
        make_run,
        {"attempt": {"versions": {"torch": "1", "numpy": "2"}}},
        {
            "settings": {"model": "other", "max_pixels": 100, "nested": {"key": [1, 2]}},
            "hashes": {"model_fingerprint": "f1"},
            "attempt": {"dtype": "torch.bfloat16", "versions": {"torch": "3", "numpy": "2"}},
        },
    )
    rows = {row.name: (row.a, row.b) for row in found.settings}
    assert rows == {
        "model": ("m", "other"),
        "max_pixels": (None, "100"),
        "nested.key": (None, "1, 2"),
        "model_fingerprint": ("f0", "f1"),
        "dtype used": ("torch.float32", "torch.bfloat16"),
        "version of torch": ("1", "3"),
    }
    assert all(pair.floor is None for pair in found.pairs)


def test_another_edit_of_the_same_name_shows_and_is_no_floor(make_run: MakeRun) -> None:
    hashes = {"conditions": {"baseline": "baseline", "counting": "other", "logic:ablate": "hash-logic:ablate"}}
    found = compare(make_run, {}, {"hashes": hashes})
    assert {row.name: (row.a, row.b) for row in found.settings} == {"condition counting": ("hash-counting", "other")}
    assert [pair.floor is None for pair in found.pairs] == [False, True, False]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"settings": {"backend": "vllm"}}, r"another backend (hf in A, vllm in B)"),
        # Backends may not agree on how weights are fingerprinted.
        (
            {"settings": {"backend": "vllm"}, "hashes": {"model_fingerprint": "f1"}},
            r"another backend (hf in A, vllm in B)",
        ),
        ({"attempt": {"batch_size": 4}}, "how it was computed (batch_size differ)"),
        ({}, "computing the same thing again"),
    ],
)
def test_noise_floors_are_said_in_words(make_run: MakeRun, changes: dict[str, Any], words: str) -> None:
    found = compare(make_run, {}, changes)
    for pair in found.pairs:
        assert pair.floor is not None
        assert pair.floor.startswith("Noise floor: ")
        assert words in pair.floor


@pytest.mark.parametrize(
    "changes",
    [
        {"hashes": {"model_fingerprint": "f1"}},
        {"settings": {"backend": "vllm", "model": "other"}, "hashes": {"model_fingerprint": "f1"}},
        {
            "settings": {"backend": "vllm"},
            "hashes": {"model_fingerprint": "f1"},
            "attempt": {"dtype": "torch.bfloat16"},
        },
        {"settings": {"backend": "vllm", "max_pixels": 9}, "hashes": {"model_fingerprint": "f1"}},
    ],
)
def test_another_model_or_precision_is_no_floor(make_run: MakeRun, changes: dict[str, Any]) -> None:
    assert all(pair.floor is None for pair in compare(make_run, {}, changes).pairs)


def test_two_conditions_of_one_folder_are_no_floor(make_run: MakeRun) -> None:
    run = read_run(make_run("a"))
    found = compare_runs(run, run, conditions=("baseline", "counting"))
    assert found.pairs[0].floor is None
    assert compare_runs(run, run).pairs[0].floor is None
