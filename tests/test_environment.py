"""What other programs get from this environment, in processes that know nothing of this package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vsc_eval import resources

THEIR_MODEL = """
from lm_eval.models.hf_vlms import HFMultimodalLM

model = HFMultimodalLM({folder!r}, device="cpu", dtype="auto")
assert type(model.model).__name__ == "Qwen3VLForConditionalGeneration"
"""
WITHOUT_US = "\nimport sys\nassert not [name for name in sys.modules if name.startswith('vsc_eval')]\nprint('done')"


def alone(code: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code + WITHOUT_US], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.stdout.splitlines()[-1:] == ["done"], done.stderr[-3000:]


def test_models_of_transformers_can_be_imported(tmp_path: Path) -> None:
    alone("from transformers import PreTrainedModel", tmp_path)


def test_lm_evals_own_vision_language_model_starts(tmp_path: Path) -> None:
    pytest.importorskip("peft", reason="lm-eval's hf-multimodal needs accelerate and peft")
    alone(THEIR_MODEL.format(folder=str(resources.embedded_dir())), tmp_path)
