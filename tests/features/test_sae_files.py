"""`vsc-eval sae show` and `convert`; interventions with an SAE of another library; training options on the command
line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from small_vlm import untrained_vsc_tiny

from vsc_eval.cli.main import main
from vsc_eval.errors import SpecError
from vsc_eval.interventions.intervention import load_intervention
from vsc_eval.resources import interventions_dir
from vsc_eval.sae.readers.saelens import load_sae, read_sae_metadata
from vsc_eval.sae.train import TrainConfig

D, F, K = 6, 20, 3


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """An SAE of sparsify, of layer 3."""
    folder = tmp_path / "repository" / "layers.3"
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(5)
    shapes = {"encoder.weight": (F, D), "encoder.bias": (F,), "W_dec": (F, D), "b_dec": (D,)}
    save_file({n: torch.randn(*s, generator=generator) for n, s in shapes.items()}, folder / "sae.safetensors")
    (folder / "cfg.json").write_text(json.dumps({"d_in": D, "num_latents": F, "k": K}))
    return folder


def test_convert_writes_what_we_read(foreign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    to = tmp_path / "converted"
    assert main(["sae", "convert", str(foreign.parent), "--layer", "3", "--to", str(to)]) == 0
    printed = capsys.readouterr().out
    sae = load_sae(to)
    assert f"{F} features, layer 3, fingerprint {sae.fingerprint()}" in printed
    metadata = read_sae_metadata(to)
    assert (metadata["layer"], metadata["hook_name"]) == (3, "layers.3")
    assert metadata["converted_from"] == {"layout": "sparsify", "weights": "sae.safetensors"}
    assert main(["sae", "convert", str(foreign), "--to", str(to)]) == 2
    assert "holds an SAE already" in capsys.readouterr().err


def test_show_says_what_an_sae_is(foreign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sae", "show", str(foreign)]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert (lines["layout"], lines["activation"], lines["k"], lines["layer"]) == ("sparsify", "topk", "3", "3")
    assert main(["sae", "show", str(foreign), "--k", "4"]) == 2
    assert "an SAE with k 3, not 4" in capsys.readouterr().err
    assert main(["sae", "show", str(interventions_dir() / "vsc-tiny" / "sae")]) == 0
    printed = capsys.readouterr().out
    assert "on the select split  FVU 0.0" in printed
    assert "16ff6bbab17b6f7e" in printed


def test_the_shipped_sae_was_trained_with_what_are_still_its_settings() -> None:
    metadata = read_sae_metadata(interventions_dir() / "vsc-tiny" / "sae")
    assert metadata["train"] == TrainConfig(n_tokens=1_000_000).settings()


def write_intervention(folder: Path, sae: Path, layer: int) -> None:
    text = f"model: m\nlayer: {layer}\nsae: {sae}\ndefault_edit: {{kind: ablate}}\nsets: [{{name: a, indices: [1]}}]\n"
    folder.mkdir(exist_ok=True)
    (folder / "intervention.yaml").write_text(text)


def test_a_intervention_may_hold_an_sae_of_another_library(foreign: Path, tmp_path: Path) -> None:
    write_intervention(tmp_path / "intervention", foreign, 3)
    intervention = load_intervention(tmp_path / "intervention", d_model=D)
    assert (intervention.sae.cfg.k, intervention.sae.cfg.d_sae) == (K, F)
    write_intervention(tmp_path / "intervention", foreign.parent, 3)  # the layer picks it from the repository
    assert load_intervention(tmp_path / "intervention").sae.fingerprint() == intervention.sae.fingerprint()
    write_intervention(tmp_path / "intervention", foreign, 4)
    with pytest.raises(SpecError, match="an SAE with layer 3, not 4"):
        load_intervention(tmp_path / "intervention")


@pytest.mark.parametrize("activation", ["batchtopk", "jumprelu"])
def test_train_with_another_activation(activation: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    untrained_vsc_tiny(tmp_path / "model")
    out = tmp_path / "sae"
    train = ["sae", "train", "--model", str(tmp_path / "model"), "--tasks", "counting", "--items-per-cell", "4"]
    train += ["--layer", "2", "--out", str(out), "--d-sae", "64", "--k", "4", "--tokens", "3000"]
    assert main([*train, "--activation", activation]) == 0
    assert "2,048 tokens" in capsys.readouterr().out
    metadata = read_sae_metadata(out)
    assert metadata["train"]["activation"] == activation
    assert metadata["train"]["lr"] == 0.01
    sae = load_sae(out)
    assert sae.cfg.activation == activation
    assert sae.fingerprint() == metadata["vsc_eval_fingerprint"]
    assert main([*train, "--activation", activation]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert main(train) == 2
    assert "other settings (train)" in capsys.readouterr().err
