"""Pooled activations of every layer on disk, chunk by chunk: a killed run goes on, and a probe reads one layer only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open

from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.errors import DataError, SpecError
from vsc_eval.probing.capture import pooled_layers
from vsc_eval.probing.sample import INPUT_KINDS, InputKind, Part, Sample, to_prompt
from vsc_eval.probing.spec import Pooling
from vsc_eval.sae.tensors import write_tensors
from vsc_eval.stats import stream
from vsc_eval.synthetic import GENERATOR_VERSION

FOLDER = "activations"
_PROMPTS_A_CHUNK = 64

Floats = npt.NDArray[np.float64]
Progress = Callable[[str, int, int], None]
"""Told of (stage, how many were just done, how many there are)."""

_STAGES = {"real": "real pictures", "blank_image": "blank picture", "text_only": "text alone"}


@dataclass(frozen=True, eq=False)
class Activations:
    """What `harvest` left on disk."""

    folder: Path
    samples: dict[Part, Sample]
    seed: int
    batch_size: int

    def features(self, kind: InputKind, part: Part, layer: int, pooling: Pooling) -> Floats | None:
        """[items of the part, d], float64; None if prompts of this kind have no tokens to pool."""
        shown, place = self.samples[part].rows(kind)
        parts = []
        for number in range(len(_chunks(len(shown), self.batch_size))):
            tensors = _read(self.folder / _name(kind, part, number), f"{layer}/{pooling}")
            if tensors is None:
                return None
            parts.append(tensors)
        rows = np.empty((len(shown), parts[0].shape[1]))
        rows[_order(self.seed, kind, part, len(shown))] = np.concatenate(parts)
        return rows[place]


def harvest(
    vlm: LoadedVLM,
    samples: dict[Part, Sample],
    out: Path,
    *,
    seed: int,
    batch_size: int,
    progress: Progress = lambda stage, done, total: None,
) -> Activations:
    """Run the model over both parts in all three input kinds and write `out/activations/`.

    Chunks that are there already are not run again. Raises SpecError if they are of other settings, DataError if one is
    damaged, BackendError if they cannot be written.
    """
    folder = out / FOLDER
    for kind in INPUT_KINDS:
        total = sum(len(sample.rows(kind)[0]) for sample in samples.values())
        for part, sample in samples.items():
            shown, _ = sample.rows(kind)
            order = _order(seed, kind, part, len(shown))
            for number, batches in enumerate(_chunks(len(shown), batch_size)):
                path = folder / _name(kind, part, number)
                identity = _identity(vlm, [[shown[i].id for i in order[start:stop]] for start, stop in batches], kind)
                if path.exists():
                    _check_identity(path, identity)
                else:
                    rows = [
                        pooled_layers(vlm, [to_prompt(shown[index], kind) for index in order[start:stop]])
                        for start, stop in batches
                    ]
                    merged = {f"{layer}/{name}": torch.cat([b[layer, name] for b in rows]) for layer, name in rows[0]}
                    write_tensors(path, merged, {"identity": identity})
                progress(_STAGES[kind], batches[-1][1] - batches[0][0], total)
    return Activations(folder, samples, seed, batch_size)


def _chunks(n: int, batch_size: int) -> list[list[tuple[int, int]]]:
    """Batches (start, stop) by chunk; the same whether or not the run was interrupted."""
    batches = [(start, min(start + batch_size, n)) for start in range(0, n, batch_size)]
    size = max(1, _PROMPTS_A_CHUNK // batch_size)
    return [batches[start : start + size] for start in range(0, len(batches), size)]


def _order(seed: int, kind: InputKind, part: Part, n: int) -> npt.NDArray[np.int64]:
    # In the order of the cells a batch would hold one task only, and its padding (hence its rounding) would tell which.
    return stream(seed, "localize", "order", kind, part).permutation(n)


def _name(kind: InputKind, part: Part, number: int) -> str:
    return f"{kind}-{part}-{number:04d}.safetensors"


def _identity(vlm: LoadedVLM, batches: list[list[str]], kind: InputKind) -> str:
    """Of one chunk, from everything that its activations depend on; `batches` are item ids."""
    payload = json.dumps([vlm.fingerprint, GENERATOR_VERSION, batches, kind])
    return hashlib.sha256(payload.encode()).hexdigest()[:16]


def _damaged(path: Path, error: object) -> DataError:
    return DataError(f"The activations {path} cannot be read: {error}.", hint="Delete that file; it is made again.")


def _check_identity(path: Path, identity: str) -> None:
    try:
        with safe_open(path, framework="np") as file:
            found = (file.metadata() or {}).get("identity")
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from error
    if found != identity:
        raise SpecError(
            f"{path.parent} holds activations of another model, of other items or of other settings.",
            hint="Choose another output folder, or delete that one.",
        )


def _read(path: Path, name: str) -> npt.NDArray[np.float32] | None:
    try:
        with safe_open(path, framework="np") as file:
            return file.get_tensor(name) if name in file.keys() else None  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from error
