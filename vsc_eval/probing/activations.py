"""The items that probes learn from and are tested on, and every layer's pooled hidden states on them, on disk."""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vsc_eval.backends.hf.decoder import hidden_of, keep_last_logits
from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.backends.hf.prompts import Prompt, encode_prompts
from vsc_eval.errors import BackendError, SpecError
from vsc_eval.files import short_hash
from vsc_eval.interventions.edits import position_mask
from vsc_eval.probing.records import EMBEDDINGS, POOLINGS, SPLIT, Pooling, ProbingSpec, Target
from vsc_eval.progress import Advance
from vsc_eval.sae.readers.files import opened_tensors, write_tensors
from vsc_eval.stats import stream
from vsc_eval.synthetic import GENERATOR_VERSION, LETTERS, LEVELS, Item, blind_image, make_items, render

Strings = npt.NDArray[np.str_]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

InputKind = Literal["real", "blank_image", "text_only"]
"""What the model is shown: the item's picture, a plain grey one, or none."""
INPUT_KINDS: tuple[InputKind, ...] = get_args(InputKind)
_STAGES = {"real": "real pictures", "blank_image": "blank picture", "text_only": "text alone"}

Part = Literal["train", "test"]

FOLDER = "activations"
_PROMPTS_A_CHUNK = 64
_HINT = "Delete that file; it is made again."


@dataclass(frozen=True, eq=False)
class Sample:
    """Items of one part, cell after cell, orbit after orbit."""

    items: tuple[Item, ...]

    @cached_property
    def orbits(self) -> Strings:
        """Orbit id of each item."""
        return np.array([item.orbit_id for item in self.items])

    @cached_property
    def cells(self) -> Strings:
        """`task/level` of each item."""
        return np.array([f"{item.task}/{item.level}" for item in self.items])

    def labels(self, target: Target) -> Strings:
        return np.array([getattr(item, target) for item in self.items])

    def rows(self, kind: InputKind) -> tuple[tuple[Item, ...], Ints]:
        """The items that have to be shown to the model, and for each item of the sample its place among them. Without
        its own picture an item says no more than its orbit's prompt, so one of the four is enough."""
        if kind == "real":
            return self.items, np.arange(len(self.items))
        _, first, place = np.unique(self.orbits, return_index=True, return_inverse=True)
        shown = tuple(self.items[index] for index in first)
        assert all(shown[p].prompt == item.prompt for p, item in zip(place, self.items, strict=True))
        return shown, place


def draw_samples(spec: ProbingSpec) -> dict[Part, Sample]:
    """The items of `spec`: the two parts share no scene and no wording."""
    n, n_test = spec.items_per_cell, spec.test_items_per_cell
    cells = [(task, level) for task in spec.tasks for level in LEVELS]
    train = [make_items(SPLIT, *cell, n) for cell in cells]
    test = [make_items(SPLIT, *cell, n + n_test, paraphrase="heldout")[n:] for cell in cells]
    return {"train": Sample(tuple(chain(*train))), "test": Sample(tuple(chain(*test)))}


def to_prompt(item: Item, kind: InputKind) -> Prompt:
    """The item's question as `kind` shows it."""
    image = render(item.scene) if kind == "real" else blind_image("grey" if kind == "blank_image" else "none")
    return Prompt(text=item.prompt, images=() if image is None else (image,), options=LETTERS)


@torch.no_grad()
def pooled_layers(vlm: LoadedVLM, prompts: Sequence[Prompt]) -> dict[tuple[int, Pooling], Tensor]:
    """One batch: what each decoder layer puts out, and what the first one gets (layer -1), pooled: float32 [n, d] on
    the CPU by layer and pooling. A pooling without tokens (the picture's, in text alone) is absent.

    Each layer's output is pooled inside its hook and let go: of a batch only [B, poolings, d] per layer is kept, not
    the hidden states of all layers at once. Raises BackendError if the model does not run each decoder layer once on
    [B, T, d], and what `encode_prompts` does.
    """
    inputs = encode_prompts(vlm, prompts)
    masks = torch.stack([position_mask(name, inputs.attention_mask, inputs.image_mask) for name in POOLINGS], dim=1)
    present = masks.any(-1)
    there = present.all(0)
    assert bool((present.any(0) == there).all()), "a batch mixes prompts with and without pictures"
    names = [name for name, has_tokens in zip(POOLINGS, there.tolist(), strict=True) if has_tokens]
    # A row sums to 1 and is zero outside the chosen tokens, padding included: [B, poolings, T].
    weights = masks[:, there].float()
    weights /= weights.sum(-1, keepdim=True)
    kept: dict[int, Tensor] = {}

    def keep(layer: int, hidden: Tensor) -> None:
        if layer in kept or hidden.shape[:-1] != inputs.attention_mask.shape:
            raise BackendError(
                f"'{vlm.name}' runs decoder layer {max(layer, 0)} more than once a prompt, or on hidden states of the "
                f"shape {list(hidden.shape)} for {inputs.n_items} prompts of {inputs.n_tokens} tokens.",
                hint="Its layers cannot be probed; use a model with one residual stream.",
            )
        kept[layer] = weights @ hidden.float()

    def keep_input(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        keep(EMBEDDINGS, args[0] if args else kwargs["hidden_states"])

    layers = vlm.decoder.layers
    with contextlib.ExitStack() as stack:
        stack.enter_context(layers[0].register_forward_pre_hook(keep_input, with_kwargs=True))
        for index, module in enumerate(layers):

            def keep_output(_module: Any, _args: Any, output: Any, index: int = index) -> None:
                keep(index, hidden_of(output))

            stack.enter_context(module.register_forward_hook(keep_output))
        vlm.model(**inputs.tensors, use_cache=False, **keep_last_logits(vlm.model))
    for layer in (EMBEDDINGS, *range(len(layers))):
        if layer not in kept:
            raise BackendError(
                f"'{vlm.name}' ran without calling decoder layer {max(layer, 0)}.", hint="Use another model."
            )
    return {(layer, name): hidden[:, place].cpu() for layer, hidden in kept.items() for place, name in enumerate(names)}


@dataclass(frozen=True, eq=False)
class Activations:
    """Pooled activations of every layer, chunk by chunk: a killed run goes on, and a probe reads one layer only."""

    folder: Path
    samples: dict[Part, Sample]
    seed: int
    batch_size: int

    def harvest(self, vlm: LoadedVLM, progress: Advance = lambda stage, just_done, total: None) -> None:
        """Run the model over both parts in all three input kinds. Chunks that are there already are not run again.
        `progress` is told of (stage, how many were just done, how many there are). Raises SpecError if chunks are of
        other settings, DataError if one is damaged, BackendError if they cannot be written."""
        for kind in INPUT_KINDS:
            total = sum(len(sample.rows(kind)[0]) for sample in self.samples.values())
            for part, sample in self.samples.items():
                shown, _ = sample.rows(kind)
                for path, batches in self._chunks(kind, part):
                    ids = [[shown[index].id for index in batch] for batch in batches]
                    identity = short_hash(json.dumps([vlm.fingerprint, GENERATOR_VERSION, ids, kind]))
                    if path.exists():
                        with opened_tensors(path, _HINT) as file:
                            known = (file.metadata() or {}).get("identity")
                        if known != identity:
                            others = "activations of another model, of other items or of other settings"
                            hint = "Choose another output folder, or delete that one."
                            raise SpecError(f"{self.folder} holds {others}.", hint=hint)
                    else:
                        found = [pooled_layers(vlm, [to_prompt(shown[i], kind) for i in batch]) for batch in batches]
                        merged = {f"{at}/{name}": torch.cat([f[at, name] for f in found]) for at, name in found[0]}
                        write_tensors(path, merged, {"identity": identity})
                    progress(_STAGES[kind], sum(map(len, batches)), total)

    def features(self, kind: InputKind, part: Part, layer: int, pooling: Pooling) -> Floats | None:
        """[items of the part, d], float64; None if prompts of this kind have no tokens to pool."""
        shown, place = self.samples[part].rows(kind)
        chunks = self._chunks(kind, part)
        found = []
        for path, _ in chunks:
            with opened_tensors(path, _HINT) as file:
                if (name := f"{layer}/{pooling}") not in file.keys():  # noqa: SIM118 (not a dict)
                    return None
                found.append(file.get_tensor(name).numpy())
        rows = np.empty((len(shown), found[0].shape[1]))
        rows[np.concatenate([batch for _, batches in chunks for batch in batches])] = np.concatenate(found)
        return rows[place]

    def _chunks(self, kind: InputKind, part: Part) -> list[tuple[Path, list[Ints]]]:
        """Files, each with its batches of the items shown; the same whether or not the run was interrupted."""
        n = len(self.samples[part].rows(kind)[0])
        # In the order of the cells a batch would hold one task only, and its padding (hence its rounding) would tell
        # which.
        order = stream(self.seed, "localize", "order", kind, part).permutation(n)
        batches = [order[start : start + self.batch_size] for start in range(0, n, self.batch_size)]
        size = max(1, _PROMPTS_A_CHUNK // self.batch_size)
        chunks = [batches[start : start + size] for start in range(0, len(batches), size)]
        return [(self.folder / f"{kind}-{part}-{number:04d}.safetensors", chunk) for number, chunk in enumerate(chunks)]
