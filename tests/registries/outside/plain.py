"""An SAE layout: `sae.plain.npz` with our own names, and k."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vsc_eval.sae import SAE
from vsc_eval.sae.readers import ReadSAE, SAELayout
from vsc_eval.sae.readers.files import ReadOptions, config_of, filled, read_tensors

FILE = "sae.plain.npz"


def write(sae: SAE, folder: Path) -> None:
    arrays = {name: tensor.detach().numpy() for name, tensor in sae.state_dict().items()}
    np.savez(folder / FILE, k=np.array(sae.cfg.k), **arrays)


def read(path: Path, options: ReadOptions) -> ReadSAE:
    tensors = read_tensors(path / FILE)
    d_in, d_sae = tensors["W_enc"].shape
    cfg = config_of(path, d_in=d_in, d_sae=d_sae, k=int(tensors.pop("k")))
    return ReadSAE(filled(cfg, tensors, path), "plain", path / FILE, options.layer, None)


PLAIN = SAELayout("plain", is_weights=FILE.__eq__, read=read, reads_folder=True)
