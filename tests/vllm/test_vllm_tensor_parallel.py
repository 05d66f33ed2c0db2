"""Two vLLM workers, each with a half of every layer: the residual stream and the edit on it are the same in both."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vsc_eval.backends.vllm.start import installed_vllm

SCRIPT = Path(__file__).with_name("two_workers.py")


@pytest.mark.slow
@pytest.mark.vllm
@pytest.mark.skipif(installed_vllm() is None, reason="vLLM is not installed")
@pytest.mark.skipif("VSC_EVAL_TEST_TENSOR_PARALLEL" not in os.environ, reason="set VSC_EVAL_TEST_TENSOR_PARALLEL=1")
def test_two_workers_edit_as_one() -> None:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, env=environment, timeout=590)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.splitlines()[-1] == "the same"
