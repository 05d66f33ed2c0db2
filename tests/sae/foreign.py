"""SAEs as other libraries write them, and their published forwards written out plainly, in float64.

Every `write_*` makes random weights in that library's names and orientation and returns the forward of those weights:
x [n, d] -> (activations [n, F], reconstruction [n, d]).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

Forward = Callable[[Tensor], tuple[Tensor, Tensor]]


def rand(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def inputs(d: int, n: int = 40) -> Tensor:
    return rand(n, d, seed=99)


def topk_of(pre: Tensor, k: int) -> Tensor:
    kept = pre.topk(k, dim=-1)
    return torch.zeros_like(pre).scatter(-1, kept.indices, kept.values)


def write_sparsify(folder: Path, d: int, F: int, k: int = 3, **config: Any) -> Forward:
    W, b, dec, b_dec = rand(F, d, seed=1), rand(F, seed=2), rand(F, d, seed=3), rand(d, seed=4)
    folder.mkdir(parents=True)
    save_file({"encoder.weight": W, "encoder.bias": b, "W_dec": dec, "b_dec": b_dec}, folder / "sae.safetensors")
    cfg = {"activation": "topk", "expansion_factor": 32, "normalize_decoder": True, "num_latents": F, "k": k, "d_in": d}
    cfg |= {"multi_topk": False, "skip_connection": False, "transcode": False, **config}
    (folder / "cfg.json").write_text(json.dumps(cfg))

    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.double() if cfg["transcode"] else x.double() - b_dec.double()
        acts = topk_of((x @ W.double().T + b.double()).relu(), k)
        return acts, acts @ dec.double() + b_dec.double()

    return forward


def write_dictionary_learning(
    folder: Path, kind: str, d: int, F: int, k: int = 3, threshold: float = 0.8, **trainer: Any
) -> Forward:
    encoder, b_enc, decoder, b_dec = rand(F, d, seed=1), rand(F, seed=2), rand(d, F, seed=3), rand(d, seed=4)
    thresholds = rand(F, seed=5).abs()
    linear = {"encoder.weight": encoder, "encoder.bias": b_enc, "decoder.weight": decoder}
    counted = {"b_dec": b_dec, "k": torch.tensor(k, dtype=torch.int), "threshold": torch.tensor(threshold)}
    own = {"W_enc": encoder.T.contiguous(), "W_dec": decoder.T.contiguous(), "b_enc": b_enc, "b_dec": b_dec}
    state = {
        "AutoEncoder": {**linear, "bias": b_dec},
        "AutoEncoderNew": {**linear, "decoder.bias": b_dec},
        "AutoEncoderTopK": {**linear, **counted},
        "BatchTopKSAE": {**linear, **counted},
        "MatryoshkaBatchTopKSAE": {**own, **counted, "group_sizes": torch.tensor([F - 2, 2])},
        "JumpReluAutoEncoder": {**own, "threshold": thresholds},
    }[kind]
    folder.mkdir(parents=True)
    torch.save(state, folder / "ae.pt")
    cfg = {"dict_class": kind, "layer": 7, "activation_dim": d, "dict_size": F, "submodule_name": "resid_post_layer_7"}
    (folder / "config.json").write_text(json.dumps({"trainer": {**cfg, "k": k, **trainer}, "buffer": {}}))

    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.double()
        if kind not in ("AutoEncoderNew", "JumpReluAutoEncoder"):
            x = x - b_dec.double()
        pre = x @ encoder.double().T + b_enc.double()
        acts = pre.relu()
        rows = decoder.double().T
        if kind == "AutoEncoder":
            norm = rows.norm(dim=1)
            acts, rows = acts * norm, rows / norm[:, None]
        elif kind == "AutoEncoderTopK":
            acts = topk_of(acts, k)
        elif kind == "JumpReluAutoEncoder":
            acts = (pre * (pre > thresholds.double())).relu()
        elif kind != "AutoEncoderNew":
            acts = acts * (acts > threshold)
        return acts, acts @ rows + b_dec.double()

    return forward


def write_qwen_scope(folder: Path, layer: int, d: int, F: int, k: int, *, relu: bool = True) -> Forward:
    W_enc, W_dec, b_enc, b_dec = rand(F, d, seed=1), rand(d, F, seed=3), rand(F, seed=2) - 2, rand(d, seed=4)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"W_enc": W_enc, "W_dec": W_dec, "b_enc": b_enc, "b_dec": b_dec}, folder / f"layer{layer}.sae.pt")

    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        acts = topk_of(x.double() @ W_enc.double().T + b_enc.double(), k)
        acts = acts.relu() if relu else acts
        return acts, acts @ W_dec.double().T + b_dec.double()

    return forward


def write_gemma_scope(folder: Path, d: int, F: int, *, file: str = "params.npz", **extra: Tensor) -> Forward:
    W_enc, W_dec, b_enc, b_dec = rand(d, F, seed=1), rand(F, d, seed=3), rand(F, seed=2), rand(d, seed=4)
    threshold = rand(F, seed=5).abs()
    folder.mkdir(parents=True)
    state = {"W_enc": W_enc, "W_dec": W_dec, "b_enc": b_enc, "b_dec": b_dec, "threshold": threshold, **extra}
    if file.endswith(".npz"):
        np.savez(folder / file, **{name: tensor.numpy() for name, tensor in state.items()})
    else:
        save_file({name.lower(): tensor for name, tensor in state.items()}, folder / file)

    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        pre = x.double() @ W_enc.double() + b_enc.double()
        acts = (pre > threshold.double()) * pre.relu()
        return acts, acts @ W_dec.double() + b_dec.double()

    return forward
