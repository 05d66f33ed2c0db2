"""Every layout against its library's published forward; which layout a path is; what is refused and how it says so."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign import (
    Forward,
    inputs,
    write_dictionary_learning,
    write_gemma_scope,
    write_qwen_scope,
    write_sparsify,
)
from safetensors.torch import load_file, save_file

from vsc_eval.errors import DataError, SpecError
from vsc_eval.sae.model import SAE, SAEConfig
from vsc_eval.sae.readers import read_any_sae
from vsc_eval.sae.readers.files import layer_of_hook
from vsc_eval.sae.readers.saelens import save_sae

SIZES = [pytest.param(6, 20, id="d<F"), pytest.param(8, 8, id="d==F"), pytest.param(12, 5, id="d>F")]
KINDS = (
    "AutoEncoder",
    "AutoEncoderNew",
    "AutoEncoderTopK",
    "BatchTopKSAE",
    "MatryoshkaBatchTopKSAE",
    "JumpReluAutoEncoder",
)


def load_any_sae(path: Path, **options: Any) -> SAE:
    return read_any_sae(path, **options).sae


def assert_same(sae: SAE, forward: Forward) -> None:
    x = inputs(sae.cfg.d_in)
    slack = 1e-6 * sae.cfg.d_in  # sums of d products of order 1, in float32
    acts, rebuilt = forward(x)
    assert (acts != 0).any()
    torch.testing.assert_close(sae.encode(x).double(), acts, rtol=1e-4, atol=slack)
    torch.testing.assert_close(sae(x).double(), rebuilt, rtol=1e-4, atol=30 * slack)
    assert not any(p.requires_grad for p in sae.parameters())


@pytest.mark.parametrize(("d", "F"), SIZES)
@pytest.mark.parametrize("config", [{}, {"transcode": True}, {"normalize_decoder": False}], ids=str)
def test_sparsify(tmp_path: Path, d: int, F: int, config: dict[str, Any]) -> None:
    forward = write_sparsify(tmp_path / "layers.3", d, F, **config)
    read = read_any_sae(tmp_path / "layers.3")
    assert (read.layout, read.layer, read.hook) == ("sparsify", 3, "layers.3")
    assert read.sae.cfg.apply_b_dec_to_input is not config.get("transcode", False)
    assert_same(read.sae, forward)
    assert_same(load_any_sae(tmp_path / "layers.3" / "sae.safetensors"), forward)


def test_sparsify_counts_latents_by_expansion_where_their_number_is_0(tmp_path: Path) -> None:
    forward = write_sparsify(tmp_path / "layers.3", 5, 20, num_latents=0, expansion_factor=4)
    assert_same(load_any_sae(tmp_path / "layers.3"), forward)


def test_a_sparsify_repository_is_entered_by_hook_or_by_layer(tmp_path: Path) -> None:
    forwards = {name: write_sparsify(tmp_path / name, 6, 20, k) for name, k in (("layers.3", 3), ("layers.13", 5))}
    write_sparsify(tmp_path / "layers.3.mlp", 6, 20)
    assert_same(load_any_sae(tmp_path, layer=13), forwards["layers.13"])
    assert_same(load_any_sae(tmp_path, hook="layers.3"), forwards["layers.3"])
    assert read_any_sae(tmp_path, hook="layers.3.mlp").layer is None
    with pytest.raises(SpecError, match=r"Did you mean 'layers\.3'"):
        load_any_sae(tmp_path, hook="layers.2")
    with pytest.raises(SpecError, match=r"layers\.13, layers\.3, layers\.3\.mlp"):
        load_any_sae(tmp_path)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"activation": "groupmax"}, "activation 'groupmax' is not supported"),
        ({"signed": True}, "activation 'signed topk' is not supported"),
        ({"skip_connection": True}, "has a skip connection"),
        ({"num_latents": 19}, r"'W_enc' has shape \[6, 20\], but the config says \[6, 19\]"),
        ({"k": 21}, "is larger than `d_sae`"),
        ({"k": "few"}, "k: input should be a valid integer"),
    ],
)
def test_sparsify_refuses(tmp_path: Path, config: dict[str, Any], message: str) -> None:
    write_sparsify(tmp_path / "layers.3", 6, 20, **config)
    with pytest.raises(DataError, match=message):
        load_any_sae(tmp_path / "layers.3")


@pytest.mark.parametrize(("d", "F"), SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_dictionary_learning(tmp_path: Path, kind: str, d: int, F: int) -> None:
    forward = write_dictionary_learning(tmp_path / "ae", kind, d, F)
    read = read_any_sae(tmp_path / "ae")
    assert (read.layout, read.layer) == ("dictionary_learning", 7)
    assert_same(read.sae, forward)
    (tmp_path / "ae" / "config.json").unlink()
    activation = {"AutoEncoderTopK": "topk", "BatchTopKSAE": "batchtopk"}.get(kind)
    assert_same(load_any_sae(tmp_path / "ae" / "ae.pt", activation=activation), forward)
    if activation:
        with pytest.raises(SpecError, match="name the activation"):
            load_any_sae(tmp_path / "ae")


def test_a_batch_top_k_threshold_that_was_never_set_means_relu(tmp_path: Path) -> None:
    forward = write_dictionary_learning(tmp_path / "ae", "BatchTopKSAE", 6, 20, threshold=-1.0)
    assert_same(load_any_sae(tmp_path / "ae"), forward)


def test_dictionary_learning_refuses(tmp_path: Path) -> None:
    write_dictionary_learning(tmp_path / "ae", "AutoEncoderTopK", 6, 20, k=3)
    with pytest.raises(SpecError, match="with k 3, not 4"):
        load_any_sae(tmp_path / "ae", k=4)
    with pytest.raises(SpecError, match="with layer 7, not 8"):
        load_any_sae(tmp_path / "ae", layer=8)
    config = tmp_path / "ae" / "config.json"
    config.write_text(json.dumps({"trainer": {"dict_class": "GatedAutoEncoder"}}))
    with pytest.raises(DataError, match="'GatedAutoEncoder' is not supported"):
        load_any_sae(tmp_path / "ae")
    config.write_text("{}")
    with pytest.raises(DataError, match="does not name the trainer's dict_class"):
        load_any_sae(tmp_path / "ae")
    config.write_text(json.dumps({"trainer": {"dict_class": "JumpReluAutoEncoder"}}))
    with pytest.raises(DataError, match="has no tensor 'b_enc'"):
        load_any_sae(tmp_path / "ae")


def test_dictionary_learning_of_another_place_has_no_layer(tmp_path: Path) -> None:
    write_dictionary_learning(tmp_path / "ae", "AutoEncoderTopK", 6, 20, submodule_name="mlp_out_layer_7")
    assert read_any_sae(tmp_path / "ae").layer is None


@pytest.mark.parametrize(("d", "F"), [(6, 1024), (1024, 1024)])
@pytest.mark.parametrize("relu", [True, False])
def test_qwen_scope(tmp_path: Path, d: int, F: int, relu: bool) -> None:
    # k is so large that some of the top k are negative: the two readings differ.
    folder = tmp_path / "SAE-Res-Tiny-W1K-L0_900"
    forward = write_qwen_scope(folder, 5, d, F, 900, relu=relu)
    read = read_any_sae(folder, keep_negative=not relu)
    assert (read.layout, read.layer, read.sae.cfg.k) == ("qwen_scope", 5, 900)
    assert_same(read.sae, forward)
    assert bool((read.sae.encode(inputs(d)) < 0).any()) is not relu


def test_qwen_scope_takes_k_and_layer_from_names_or_the_caller(tmp_path: Path) -> None:
    forward = write_qwen_scope(tmp_path / "here", 5, 6, 20, 3)
    with pytest.raises(SpecError, match="Nothing says how many features"):
        load_any_sae(tmp_path / "here")
    assert_same(load_any_sae(tmp_path / "here", k=3), forward)
    snapshot = tmp_path / "models--Qwen--SAE-Res-Tiny-W1K-L0_4" / "snapshots" / "0123abc"
    forward = write_qwen_scope(snapshot, 0, 6, 1024, 4)
    write_qwen_scope(snapshot, 11, 6, 1024, 4)
    assert_same(load_any_sae(snapshot / "layer0.sae.pt"), forward)
    assert read_any_sae(snapshot, layer=11).layer == 11
    with pytest.raises(SpecError, match="Give one of the layers 0, 11"):
        load_any_sae(snapshot)
    with pytest.raises(SpecError, match="none is of layer 4"):
        load_any_sae(snapshot, layer=4)
    with pytest.raises(SpecError, match="with k 4, not 50"):
        load_any_sae(snapshot, layer=0, k=50)
    write_qwen_scope(snapshot, 12, 6, 512, 4)
    with pytest.raises(DataError, match="has 512 features, but its folder's name says 1 x 1024"):
        load_any_sae(snapshot, layer=12)


@pytest.mark.parametrize(("d", "F"), SIZES)
@pytest.mark.parametrize("file", ["params.npz", "params.safetensors"])
def test_gemma_scope(tmp_path: Path, file: str, d: int, F: int) -> None:
    folder = tmp_path / "layer_20" / "width_16k" / "average_l0_71"
    forward = write_gemma_scope(folder, d, F, file=file)
    read = read_any_sae(tmp_path, hook="layer_20/width_16k/average_l0_71")
    assert (read.layout, read.layer) == ("gemma_scope", 20)
    assert_same(read.sae, forward)
    assert_same(load_any_sae(folder / file), forward)


def test_gemma_scope_refuses(tmp_path: Path) -> None:
    write_gemma_scope(tmp_path / "a", 6, 20, scaling_factor=torch.full((20,), 2.0))
    with pytest.raises(DataError, match="scaling_factor other than 1"):
        load_any_sae(tmp_path / "a")
    write_gemma_scope(tmp_path / "b", 6, 20, affine_skip_connection=torch.eye(6))
    with pytest.raises(DataError, match="skip connection"):
        load_any_sae(tmp_path / "b")
    write_gemma_scope(tmp_path / "layer_3" / "transcoder", 6, 20)
    assert read_any_sae(tmp_path / "layer_3" / "transcoder").layer is None


def own_sae(folder: Path) -> SAE:
    sae = SAE(SAEConfig(d_in=6, d_sae=20, k=3)).requires_grad_(False)
    for seed, tensor in enumerate(sae.state_dict().values()):
        tensor.copy_(torch.randn(tensor.shape, generator=torch.Generator().manual_seed(seed)))
    save_sae(sae, folder, {"layer": 4, "hook_name": "language_model.layers.4.output", "positions": "all"})
    return sae


def edit_config(folder: Path, *drop: str, **changes: Any) -> None:
    path = folder / "cfg.json"
    config = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in config.items() if key not in drop}))


def test_our_own_layout_is_found_too(tmp_path: Path) -> None:
    sae = own_sae(tmp_path)
    read = read_any_sae(tmp_path)
    assert (read.layout, read.layer, read.metadata["positions"]) == ("saelens", 4, "all")
    assert read.sae.fingerprint() == sae.fingerprint()
    with pytest.raises(DataError, match="width 6, but the model's residual stream has width 7"):
        load_any_sae(tmp_path, d_model=7)


def test_top_k_of_sae_lens_before_version_6_is_not_read_as_relu(tmp_path: Path) -> None:
    sae = own_sae(tmp_path)
    top = {"architecture": "standard", "activation_fn_str": "topk", "activation_fn_kwargs": {"k": 3}}
    edit_config(tmp_path, "k", "metadata", **top, hook_name="blocks.5.hook_resid_pre", normalize_activations=False)
    read = read_any_sae(tmp_path)
    assert read.sae.fingerprint() == sae.fingerprint()
    assert read.layer == 4
    edit_config(tmp_path, "activation_fn_str", activation_fn="tanh-relu")
    with pytest.raises(DataError, match="activation 'tanh-relu' is not supported"):
        load_any_sae(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"reshape_activations": "hook_z"}, "reshaped by 'hook_z'"), ({"finetuning_scaling_factor": True}, "finetuning")],
)
def test_sae_lens_refuses(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    own_sae(tmp_path)
    edit_config(tmp_path, **changes)
    with pytest.raises(DataError, match=message):
        load_any_sae(tmp_path)


def test_a_training_checkpoint_of_batch_top_k(tmp_path: Path) -> None:
    """Its k need not be whole; its one threshold is that of activations times the decoder's norm."""
    sae = own_sae(tmp_path)
    edit_config(tmp_path, architecture="batchtopk", k=2.5, rescale_acts_by_decoder_norm=True)
    path = tmp_path / "sae_weights.safetensors"
    save_file({**load_file(path), "topk_threshold": torch.tensor(0.9, dtype=torch.double)}, path)
    norm = sae.W_dec.norm(dim=1)
    x = inputs(6)
    ranked = sae.pre_activations(x) * norm
    acts = torch.where(ranked > 0.9, ranked, 0.0)
    read = load_any_sae(tmp_path)
    torch.testing.assert_close(read.encode(x), acts)
    torch.testing.assert_close(read(x), (acts / norm) @ sae.W_dec + sae.b_dec)


@pytest.mark.parametrize(
    ("hook", "layer"),
    [
        ("blocks.7.hook_resid_post", 7),
        ("blocks.7.hook_resid_pre", 6),
        ("blocks.0.hook_resid_pre", None),
        ("blocks.7.hook_mlp_out", None),
        ("layers.12", 12),
        ("layers.12.mlp", None),
        ("model.layers.12", 12),
        ("language_model.layers.4.output", 4),
        ("embed_tokens", None),
        (None, None),
    ],
)
def test_layer_of_a_hook(hook: str | None, layer: int | None) -> None:
    assert layer_of_hook(hook) == layer


class Malicious:
    """A pickle that would write a file when it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("name", ["ae.pt", "layer0.sae.pt"])
def test_a_malicious_pickle_is_refused_and_never_run(tmp_path: Path, name: str) -> None:
    proof = tmp_path / "it ran"
    torch.save({"W_enc": Malicious(proof)}, tmp_path / name)
    with pytest.raises(DataError, match="could run its code, so it was not read"):
        load_any_sae(tmp_path, k=1, activation="topk")
    (tmp_path / name).write_bytes(pickle.dumps({"W_enc": Malicious(proof)}, protocol=2))
    with pytest.raises(DataError, match="could run its code, so it was not read"):
        load_any_sae(tmp_path, k=1, activation="topk")
    assert not proof.exists()
    pickle.loads((tmp_path / name).read_bytes())
    assert proof.exists(), "the pickle must be able to do harm, or this test proves nothing"


def test_objects_in_an_npz_are_refused(tmp_path: Path) -> None:
    proof = tmp_path / "it ran"
    objects = np.empty(1, dtype=object)
    objects[0] = Malicious(proof)
    np.savez(tmp_path / "params.npz", W_enc=objects)
    with pytest.raises(DataError, match="cannot be read"):
        load_any_sae(tmp_path)
    assert not proof.exists()


@pytest.mark.parametrize("keep", [0, 10, 300])
@pytest.mark.parametrize("name", ["ae.pt", "layer0.sae.pt", "params.npz", "params.safetensors"])
def test_truncated_files_are_named(tmp_path: Path, name: str, keep: int) -> None:
    folder = tmp_path / "sae"
    if name == "ae.pt":
        write_dictionary_learning(folder, "AutoEncoderTopK", 6, 20)
    elif name == "layer0.sae.pt":
        write_qwen_scope(folder, 0, 6, 20, 3)
    else:
        write_gemma_scope(folder, 6, 20, file=name)
    path = folder / name
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError) as caught:
        load_any_sae(folder, k=3)
    assert str(path) in caught.value.message


def test_what_is_not_a_table_of_tensors(tmp_path: Path) -> None:
    torch.save([torch.zeros(3)], tmp_path / "ae.pt")
    with pytest.raises(DataError, match="is not a table of tensors"):
        load_any_sae(tmp_path)
    torch.save({"W_enc": torch.zeros(3), "W_dec": torch.zeros(3)}, tmp_path / "ae.pt")
    with pytest.raises(DataError, match="has no tensor 'b_enc'"):
        load_any_sae(tmp_path)
    torch.save({n: torch.zeros(3) for n in ("W_enc", "W_dec", "b_enc", "b_dec", "threshold")}, tmp_path / "ae.pt")
    with pytest.raises(DataError, match=r"'W_enc' has shape \[3\], not two axes"):
        load_any_sae(tmp_path)


def test_paths_that_say_nothing_or_too_much(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="There is no SAE folder"):
        load_any_sae(tmp_path / "nowhere")
    with pytest.raises(SpecError, match="holds no SAE in a known layout"):
        load_any_sae(tmp_path)
    with pytest.raises(SpecError, match="Did you mean 'sparsify'"):
        load_any_sae(tmp_path, layout="sparsefy")
    (tmp_path / "weights.bin").touch()
    with pytest.raises(SpecError, match="holds no SAE in a known layout"):
        load_any_sae(tmp_path / "weights.bin")
    folder = tmp_path / "two"
    sae = own_sae(folder)
    forward = write_qwen_scope(folder, 1, 6, 20, 3)
    with pytest.raises(SpecError, match="in the layouts qwen_scope, saelens"):
        load_any_sae(folder)
    assert load_any_sae(folder, layout="saelens").fingerprint() == sae.fingerprint()
    assert_same(load_any_sae(folder, layout="qwen_scope", k=3), forward)
    (folder / "layer1.sae.pt").unlink()
    for layout, named in (
        ("gemma_scope", "params.npz cannot be read"),
        ("dictionary_learning", "ae.pt cannot be read"),
        ("sparsify", "sae.safetensors cannot be read"),
        ("qwen_scope", "holds no file layer"),
    ):
        with pytest.raises(DataError, match=named):
            load_any_sae(folder, layout=layout)
