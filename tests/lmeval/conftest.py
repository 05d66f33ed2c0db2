"""One small untrained model with an intervention of random features, made once for all tests of the harness."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_vlm import untrained_vsc_tiny

from training.config import TinyShape
from vsc_eval.backends.hf.load import LoadedVLM, load_vlm
from vsc_eval.interventions.intervention import save_intervention
from vsc_eval.sae.model import SAE, SAEConfig
from vsc_eval.sae.readers.saelens import save_sae
from vsc_eval.specs import EditSpec, FeatureSet, InterventionSpec

SHAPE = TinyShape(
    d_vision=48, vision_depth=2, vision_heads=2, vision_mlp=48, d_model=64, n_layers=6, n_heads=2, d_mlp=64
)
D_SAE = 32
LAYER = 1


def _write_intervention(folder: Path, model: str) -> None:
    sae = SAE(SAEConfig(d_in=SHAPE.d_model, d_sae=D_SAE, k=8))
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in sae.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / SHAPE.d_model**0.5)
    save_sae(sae, folder / "sae")
    sets = (
        FeatureSet(name="counting", indices=tuple(range(16)), task="counting"),
        FeatureSet(name="logic", indices=tuple(range(12, 28)), task="logic"),
    )
    edit = EditSpec(kind="scale", value=40.0)
    save_intervention(InterventionSpec(model=model, layer=LAYER, sae="sae", default_edit=edit, sets=sets), folder)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the model."""
    return untrained_vsc_tiny(tmp_path_factory.mktemp("models") / "tiny", SHAPE)


@pytest.fixture(scope="session")
def intervention_folder(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    """Folder of an intervention with the sets `counting` and `logic`, which share four features."""
    folder = tmp_path_factory.mktemp("intervention")
    _write_intervention(folder, str(tiny_folder))
    return folder


@pytest.fixture(scope="session")
def tiny_vlm(tiny_folder: Path) -> LoadedVLM:
    return load_vlm(tiny_folder, device="cpu")
