"""Interventions on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vsc_eval.errors import BackendError, DataError, SpecError
from vsc_eval.interventions.intervention import load_intervention, save_intervention
from vsc_eval.sae.model import SAE, SAEConfig
from vsc_eval.sae.readers.saelens import save_sae
from vsc_eval.specs import EditSpec, FeatureSet, InterventionSpec

INTERVENTION = InterventionSpec(
    model="vsc-tiny",
    layer=3,
    sae="sae",
    default_edit=EditSpec(kind="scale", value=2.0, positions="image"),
    sets=(
        FeatureSet(
            name="counting", indices=(5, 1), task="counting", scores=(0.9, 0.8), provenance={"n": 3, "split": None}
        ),
        FeatureSet(name="logic", indices=(0,)),
    ),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    sae = SAE(SAEConfig(d_in=4, d_sae=6, k=2)).requires_grad_(False)
    sae.W_dec.copy_(torch.randn(6, 4, generator=torch.Generator().manual_seed(0)))
    save_sae(sae, tmp_path / "intervention" / "sae")
    save_intervention(INTERVENTION, tmp_path / "intervention")
    return tmp_path / "intervention"


@pytest.mark.parametrize("as_file", [False, True])
def test_round_trip(folder: Path, as_file: bool) -> None:
    loaded = load_intervention(folder / "intervention.yaml" if as_file else folder, d_model=4)
    assert loaded.spec == INTERVENTION
    assert loaded.folder == folder
    assert list(loaded.sets) == ["counting", "logic"]
    assert loaded.sae.cfg.d_sae == 6


def test_shipped_interventions_go_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsc_eval.interventions.intervention.interventions_dir", lambda: folder.parent)
    assert load_intervention("intervention").spec == INTERVENTION
    with pytest.raises(SpecError, match=r"no intervention 'sweet'.*shipped interventions: intervention"):
        load_intervention("sweet")


def test_what_a_broken_intervention_is_told(folder: Path) -> None:
    with pytest.raises(DataError, match=r"width 4.*width 192"):
        load_intervention(folder, d_model=192)
    far = INTERVENTION.model_copy(update={"sets": (FeatureSet(name="far", indices=(2, 6)),)})
    save_intervention(far, folder)
    with pytest.raises(SpecError, match=r"Feature index 6 of set 'far'.*has 6 features"):
        load_intervention(folder)
    stale = INTERVENTION.sets[0].model_copy(update={"provenance": {"sae_fingerprint": "0123456789abcdef"}})
    save_intervention(INTERVENTION.model_copy(update={"sets": (stale,)}), folder)
    with pytest.raises(DataError, match=r"'counting' was selected with SAE 0123456789abcdef, but 'sae' holds"):
        load_intervention(folder)
    save_intervention(INTERVENTION, folder)
    text = (folder / "intervention.yaml").read_text()
    (folder / "intervention.yaml").write_text(text.replace("indices", "indexes"))
    with pytest.raises(SpecError, match=r"yaml:13: sets\[0\].indexes: unknown key. Did you mean 'indices'"):
        load_intervention(folder)
    save_intervention(INTERVENTION, folder)
    weights = folder / "sae" / "sae_weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(DataError, match="may be truncated"):
        load_intervention(folder)
    (folder / "file").touch()
    with pytest.raises(BackendError, match="cannot be written"):
        save_intervention(INTERVENTION, folder / "file")
