"""The comparison with lm-eval's hf-multimodal."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from vsc_eval.errors import BackendError
from vsc_eval.lmeval.bench import Contender, HarnessBench, bench_harness

INSTALLED = all(importlib.util.find_spec(name) for name in ("accelerate", "peft"))


@pytest.mark.skipif(not INSTALLED, reason="lm-eval's hf-multimodal needs accelerate and peft")
def test_both_models_answer_alike(tiny_folder: Path) -> None:
    found = bench_harness(str(tiny_folder), tasks=["vsc_logic_easy"], repeats=1, their_batch_sizes=[4], batch_size=4)
    (theirs,) = found.theirs
    assert len(found.ours.answers) == 4
    assert found.same(theirs) == 4
    assert "4/4 (100.0%)" in found.report()


@pytest.mark.skipif(INSTALLED, reason="only where accelerate or peft is missing")
def test_what_is_missing_is_named(tiny_folder: Path) -> None:
    with pytest.raises(BackendError, match="pip install accelerate"):
        bench_harness(str(tiny_folder), tasks=["vsc_logic_easy"], repeats=1)


def test_ratio_is_the_median_over_repeats() -> None:
    ours = Contender("ours", (1.0, 2.0, 4.0), (1.0, 1.0, 1.0), ("A", "B", "invalid", "C"))
    theirs = Contender("theirs", (3.0, 10.0, 40.0), (1.0, 1.0, 1.0), ("A", "C", "invalid", "C"))
    found = HarnessBench(ours, (theirs,))
    assert found.ratio(theirs) == 5.0
    assert found.same(theirs) == 3
    assert "3/4 (75.0%)" in found.report()
