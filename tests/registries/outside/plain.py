"""An SAE layout: `sae.plain.npz` with our own names, and k."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vsc_eval.sae.model import SAE
from vsc_eval.sae.readers import ReadOptions, ReadSAE, SAELayout
from vsc_eval.sae.readers.files import read_from, read_tensors

FILE = "sae.plain.npz"


def write(sae: SAE, folder: Path) -> None:
    arrays = {name: tensor.detach().numpy() for name, tensor in sae.state_dict().items()}
    np.savez(folder / FILE, k=np.array(sae.cfg.k), **arrays)


def read(path: Path, options: ReadOptions) -> ReadSAE:
    tensors = read_tensors(path / FILE)
    return read_from("plain", path / FILE, tensors, options, k=int(tensors.pop("k")))


PLAIN = SAELayout("plain", is_weights=FILE.__eq__, read=read, reads_folder=True)
