"""Our readers against the other libraries' own forwards. Skipped, saying why, where a library is not installed.

None of them is needed to use this project; `make test-libraries` installs them and runs these tests.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from foreign import inputs, rand
from torch import Tensor

from vsc_eval.sae.model import SAE, SAEConfig
from vsc_eval.sae.readers import read_any_sae
from vsc_eval.sae.readers.saelens import save_sae

D, F, K = 24, 96, 5

# Importing and running them warns about their own and their dependencies' use of torch, pydantic and typing.
pytestmark = pytest.mark.filterwarnings("ignore")


def library(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        pytest.skip(f"{name} cannot be imported here: {error}")


def fill(module: torch.nn.Module) -> None:
    with torch.no_grad():
        for seed, tensor in enumerate(module.state_dict().values()):
            if tensor.is_floating_point() and tensor.ndim:
                tensor.copy_(rand(*tensor.shape, seed=seed))


@torch.no_grad()
def compare(
    record: Callable[[str, object], None], sae: SAE, encode: Callable[[Tensor], Tensor], forward: Callable[..., Tensor]
) -> None:
    x = inputs(sae.cfg.d_in, 200)
    acts, rebuilt = encode(x), forward(x)
    assert (acts != 0).any()
    by_acts, by_rebuilt = float((sae.encode(x) - acts).abs().max()), float((sae(x) - rebuilt).abs().max())
    record("difference", f"activations {by_acts:.1e}, reconstruction {by_rebuilt:.1e}")
    print(f"max abs difference: activations {by_acts:.1e} (of {float(acts.abs().max()):.0f}), ", end="")
    print(f"reconstruction {by_rebuilt:.1e} (of {float(rebuilt.abs().max()):.0f})")
    torch.testing.assert_close(sae.encode(x), acts, rtol=1e-5, atol=1e-6 * sae.cfg.d_in)
    torch.testing.assert_close(sae(x), rebuilt, rtol=1e-5, atol=1e-5 * sae.cfg.d_in)


@pytest.mark.parametrize("changes", [{}, {"transcode": True}, {"num_latents": 0, "expansion_factor": 4}], ids=str)
def test_sparsify(tmp_path: Path, changes: dict[str, Any], record_property: Any) -> None:
    library("sparsify")
    coder_module = library("sparsify.sparse_coder")
    config = library("sparsify.config").SparseCoderConfig(**{"num_latents": F, "k": K, **changes})
    coder = coder_module.SparseCoder(D, config)
    fill(coder)
    coder.save_to_disk(tmp_path / "layers.2")
    coder = coder_module.SparseCoder.load_from_disk(tmp_path / "layers.2")

    def encode(x: Tensor) -> Tensor:
        found = coder.encode(x)
        return torch.zeros(len(x), F).scatter(1, found.top_indices, found.top_acts)

    def forward(x: Tensor) -> Tensor:
        found = coder.encode(x)
        rebuilt: Tensor = coder.decode(found.top_acts, found.top_indices)
        return rebuilt

    compare(record_property, read_any_sae(tmp_path / "layers.2").sae, encode, forward)


@pytest.mark.parametrize(
    ("module", "name", "arguments"),
    [
        ("dictionary", "AutoEncoder", {}),
        ("dictionary", "AutoEncoderNew", {}),
        ("dictionary", "JumpReluAutoEncoder", {}),
        ("trainers.top_k", "AutoEncoderTopK", {"k": K}),
        ("trainers.batch_top_k", "BatchTopKSAE", {"k": K}),
        ("trainers.matryoshka_batch_top_k", "MatryoshkaBatchTopKSAE", {"k": K, "group_sizes": [32, 64]}),
    ],
)
@pytest.mark.parametrize("square", [False, True])
def test_dictionary_learning(
    tmp_path: Path, module: str, name: str, arguments: dict[str, Any], square: bool, record_property: Any
) -> None:
    kind = getattr(library(f"dictionary_learning.{module}"), name)
    autoencoder = kind(F if square else D, F, **arguments)
    fill(autoencoder)
    if name.endswith("BatchTopKSAE"):
        autoencoder.threshold.fill_(0.7)
    torch.save(autoencoder.state_dict(), tmp_path / "ae.pt")
    trainer = {"dict_class": name, "layer": 0, **arguments}
    (tmp_path / "config.json").write_text(json.dumps({"trainer": trainer}))
    loaded = kind.from_pretrained(tmp_path / "ae.pt")
    compare(record_property, read_any_sae(tmp_path).sae, loaded.encode, loaded)


def test_what_we_save_sae_lens_loads(tmp_path: Path, record_property: Any) -> None:
    sae_lens = library("sae_lens")
    for activation in ("topk", "batchtopk", "jumprelu", "relu"):
        sae = SAE(SAEConfig(d_in=D, d_sae=F, k=K, activation=activation)).requires_grad_(False)  # type: ignore[arg-type]
        fill(sae)
        save_sae(sae, tmp_path / activation)
        theirs = sae_lens.SAE.load_from_disk(tmp_path / activation)
        compare(record_property, sae, theirs.encode, theirs)


@pytest.mark.parametrize(
    "changes", [{}, {"rescale_acts_by_decoder_norm": True}, {"apply_b_dec_to_input": False}], ids=str
)
def test_sae_lens(tmp_path: Path, changes: dict[str, Any], record_property: Any) -> None:
    sae_lens = library("sae_lens")
    for name in ("TopKSAE", "JumpReLUSAE", "StandardSAE"):
        if name != "TopKSAE" and "rescale_acts_by_decoder_norm" in changes:
            continue
        arguments = {"d_in": D, "d_sae": F, **changes, **({"k": K} if name == "TopKSAE" else {})}
        theirs = getattr(sae_lens, name)(getattr(sae_lens, f"{name}Config")(**arguments))
        fill(theirs)
        theirs.save_model(str(tmp_path / name))
        compare(record_property, read_any_sae(tmp_path / name).sae, theirs.encode, theirs)


def sae_lens_loaded(loader: str, repository: str, name: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What SAELens' loader of a hub repository makes of a local file of it."""
    sae_lens = library("sae_lens")
    loaders = library("sae_lens.loading.pretrained_sae_loaders")
    monkeypatch.setattr(loaders, "hf_hub_download", lambda **_: str(file))
    config, state, _ = getattr(loaders, loader)(repository, name, "cpu")
    sae = sae_lens.SAE.from_dict(loaders.handle_pre_6_0_config(config))
    sae.load_state_dict(state)
    return sae


def test_qwen_scope_as_sae_lens_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Any) -> None:
    repository = "SAE-Res-Qwen3-1.7B-Base-W1K-L0_50"
    file = tmp_path / repository / "layer3.sae.pt"
    file.parent.mkdir()
    shapes = {"W_enc": (1024, 2048), "W_dec": (2048, 1024), "b_enc": (1024,), "b_dec": (2048,)}
    torch.save({name: rand(*shape, seed=seed) for seed, (name, shape) in enumerate(shapes.items())}, file)
    theirs = sae_lens_loaded("qwen_scope_sae_huggingface_loader", f"Qwen/{repository}", file.name, file, monkeypatch)
    compare(record_property, read_any_sae(file).sae, theirs.encode, theirs)


def test_gemma_scope_as_sae_lens_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    name = "layer_5/width_4k/average_l0_60"
    file = tmp_path / name / "params.npz"
    file.parent.mkdir(parents=True)
    shapes = {"W_enc": (2304, 4096), "W_dec": (4096, 2304), "b_enc": (4096,), "b_dec": (2304,), "threshold": (4096,)}
    tensors = {name: rand(*shape, seed=seed) for seed, (name, shape) in enumerate(shapes.items())}
    np.savez(file, **{name: t.abs().numpy() if name == "threshold" else t.numpy() for name, t in tensors.items()})
    repository = "google/gemma-scope-2b-pt-res"
    theirs = sae_lens_loaded("gemma_2_sae_huggingface_loader", repository, name, file, monkeypatch)
    compare(record_property, read_any_sae(file.parent).sae, theirs.encode, theirs)
