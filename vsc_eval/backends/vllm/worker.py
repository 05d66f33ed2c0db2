"""vLLM's worker, extended: a forward hook on one decoder layer gives every request of a flattened batch its own edit.

vLLM mixes EditExtension into its own worker class (`worker_extension_cls`), in every process that runs a model; its
methods are called by name (`collective_rpc`). They return plain data and refuse in words, as an exception in a worker
would end the engine.

vLLM's decoder layers hand on (hidden, residual); the residual stream is their sum, and what is added to one half is
added to the stream. Requests of all conditions and of none are mixed in a batch; the SAE codes of all edited tokens are
computed in one product.

vLLM runs a prompt in one piece or in chunks, alone or flattened together with others, and may run it again after a
preemption. So a token is known by its position in its own request: prompt tokens first, generated ones after them. What
was edited of each request is noted token by token, so that an edit that did not happen cannot go unnoticed.
"""

import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vsc_eval.backends.hf.edit_hook import Positions, edits_decode, relative_norm
from vsc_eval.interventions.edits import CompiledCondition, compile_condition, edit_delta, position_mask
from vsc_eval.sae.model import SAE, SparseCodes
from vsc_eval.sae.readers.saelens import load_sae
from vsc_eval.specs import ConditionSpec, FeatureSet

ARGUMENT = "vsc_eval"
"""Key of SamplingParams.extra_args; the value is {"request_id": int, "condition": content hash or None}."""

ATTACH, CONDITIONS, REPORT = "vsc_attach", "vsc_conditions", "vsc_report"


@dataclass(frozen=True)
class Slice:
    """Part of one request in one forward."""

    request_id: int
    """Names the request: the number that the asking side gave it."""
    row: int
    """First row of the flattened batch that is its own."""
    start: int
    """Position in the request of that row's token."""
    length: int
    """Rows."""


def edited_prompt(positions: Positions, is_image: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Edited prompt tokens [prompt length]; `is_image` [prompt length] is true on image tokens."""
    image = torch.from_numpy(is_image)[None]
    found: NDArray[np.bool_] = position_mask(positions, torch.ones_like(image), image)[0].numpy()
    return found


def edited_offsets(piece: Slice, prompt: NDArray[np.bool_], *, decode: bool) -> NDArray[np.int64]:
    """Offsets within `piece` of the tokens that are edited, ascending.

    `prompt` is what `edited_prompt` gave; generated tokens are edited if `decode`.
    """
    inside = prompt[piece.start : piece.start + piece.length]
    generated = np.full(piece.length - len(inside), decode)
    return np.flatnonzero(np.concatenate([inside, generated]))


class Account(TypedDict):
    """What was edited of one request."""

    condition: str
    """Content hash; empty for the baseline."""
    prompt_tokens: int
    """Different prompt tokens edited."""
    decode_tokens: int
    """Different generated tokens edited."""
    passes: int
    """Forwards in which the request had a token at the edited layer."""
    shift: float | None
    """Mean ||h' - h|| / ||h|| over its edited prompt tokens; None without any."""


@dataclass
class Entry:
    """One request in the audit log. A token that runs again, after a preemption, is counted once."""

    condition: str
    edited_prompt: NDArray[np.bool_] | None
    """Prompt tokens to edit; None for the baseline."""
    n_prompt: int
    passes: int = 0
    decoded: set[int] = field(default_factory=set)
    done: NDArray[np.bool_] = field(init=False)
    shifts: NDArray[np.float32] = field(init=False)

    def __post_init__(self) -> None:
        self.done = np.zeros(self.n_prompt, dtype=bool)
        self.shifts = np.zeros(self.n_prompt, dtype=np.float32)

    def note(self, positions: NDArray[np.int64], shifts: NDArray[np.float32]) -> None:
        """The tokens at `positions`, ascending, were edited, by `shifts` of their norm."""
        n_inside = int(np.searchsorted(positions, self.n_prompt))
        inside = positions[:n_inside]
        self.done[inside] = True
        self.shifts[inside] = shifts[:n_inside]
        self.decoded.update(positions[n_inside:].tolist())

    def account(self) -> Account:
        n_edited = int(self.done.sum())
        return {
            "condition": self.condition,
            "prompt_tokens": n_edited,
            "decode_tokens": len(self.decoded),
            "passes": self.passes,
            "shift": float(self.shifts[self.done].mean()) if n_edited else None,
        }


_Tokens = tuple[Entry, NDArray[np.int64], NDArray[np.int64]]
"""Edited tokens of a request: their positions in it, and their rows of the batch."""


@dataclass
class BatchEdit:
    """What the hook needs; `slices` tells the batch that is running, nothing outside of one."""

    sae: SAE
    slices: Callable[[], Sequence[Slice]]
    conditions: dict[str, CompiledCondition] = field(default_factory=dict)
    """By content hash."""
    audit_log: dict[int, Entry] = field(default_factory=dict)
    """By request_id."""

    def accounts(self) -> dict[int, Account]:
        """The accounts of all requests, which are then forgotten."""
        found = {request_id: entry.account() for request_id, entry in self.audit_log.items()}
        self.audit_log.clear()
        return found

    def __call__(self, _module: Any, _args: Any, output: Any) -> Any:
        edited: dict[str, list[_Tokens]] = defaultdict(list)
        for piece in self.slices():
            entry = self.audit_log[piece.request_id]
            entry.passes += 1
            if entry.edited_prompt is None:
                continue
            decode = edits_decode(self.conditions[entry.condition])
            offsets = edited_offsets(piece, entry.edited_prompt, decode=decode)
            if len(offsets):
                edited[entry.condition].append((entry, offsets + piece.start, offsets + piece.row))
        return self._edited(output, edited) if edited else None

    @torch.no_grad()
    def _edited(self, output: Any, edited: Mapping[str, list[_Tokens]]) -> Any:
        """`output` with the edit of each condition at its tokens."""
        hidden, stream = residual_stream(output)
        flat = list(itertools.chain.from_iterable(edited.values()))
        rows = torch.from_numpy(np.concatenate([own for _, _, own in flat])).to(hidden.device)
        before = stream(rows)
        codes = self.sae.encode_sparse(before)
        deltas = torch.empty_like(before)
        start = 0
        for name, found in edited.items():
            part = slice(start, start + sum(len(own) for _, _, own in found))
            chosen = SparseCodes(codes.indices[part], codes.values[part])
            deltas[part] = edit_delta(self.conditions[name], before[part], chosen, self.sae)
            start = part.stop
        changed = hidden.clone()
        changed[rows] += deltas
        shifts = relative_norm(deltas, before).cpu().numpy()
        for entry, positions, _ in flat:
            entry.note(positions, shifts[: len(positions)])
            shifts = shifts[len(positions) :]
        return (changed, *output[1:]) if isinstance(output, tuple) else changed


def residual_stream(output: Any) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """(hidden [tokens, d], what gives the residual stream of some rows) of a decoder layer's output.

    Raises TypeError for an output of another form.
    """
    if isinstance(output, Tensor) and output.ndim == 2:
        return output, lambda rows: output[rows]
    if isinstance(output, tuple) and len(output) >= 2 and all(isinstance(part, Tensor) for part in output[:2]):
        hidden, residual = output[0], output[1]
        if hidden.ndim == 2 and hidden.shape == residual.shape:
            # In 16 bits the sum is rounded once, as in the fused norm of the next layer.
            return hidden, lambda rows: (hidden[rows].float() + residual[rows].float()).to(hidden.dtype)
    raise TypeError(f"a decoder layer gave {type(output).__name__}, neither a tensor nor (hidden, residual)")


class EditExtension:
    """Mixed into vLLM's worker; the attributes that are declared here are the worker's."""

    model_runner: Any
    vllm_config: Any

    def vsc_attach(self, layer: int, sae_folder: str, image_token_ids: list[int]) -> str | None:
        """Hook the edit onto a decoder layer (0-based). Returns why it cannot be done; None if it is done."""
        reason = why_not_edited(self.vllm_config, self.model_runner)
        if reason is not None:
            return reason
        layers = decoder_layers(self.model_runner.get_model())
        if layers is None:
            return "its decoder layers are in no place that is known"
        if not 0 <= layer < len(layers):
            return f"it has no layer {layer}; they are 0 to {len(layers) - 1}"
        # In the place of an earlier hook.
        if (before := self.__dict__.get("_vsc")) is not None:
            before.handle.remove()
        sae = load_sae(Path(sae_folder)).to(next(layers[layer].parameters()).device)
        self._vsc = _Attached(self.model_runner, layers[layer], sae, image_token_ids)
        return None

    def vsc_conditions(self, packed: str) -> None:
        """Add conditions; see pack_conditions."""
        edit = self._vsc.edit
        edit.conditions.update(unpack_conditions(packed, edit.sae))

    def vsc_report(self) -> list[tuple[int, Account]]:
        """What was edited of every request since the last report."""
        return list(self._vsc.edit.accounts().items())


class _Attached:
    """The hook and what it reads of vLLM's runner."""

    def __init__(self, runner: Any, layer: nn.Module, sae: SAE, image_token_ids: Sequence[int]) -> None:
        self.runner = runner
        self.image_token_ids = np.array(image_token_ids)
        self.edit = BatchEdit(sae, self.slices)
        self.handle = layer.register_forward_hook(self.edit)

    def slices(self) -> Sequence[Slice]:
        """The requests of the batch that is running, in its order; none in vLLM's own trial runs.

        Raises RuntimeError for a request that did not come from us: nobody said how it is to be edited.
        """
        from vllm.forward_context import get_forward_context

        if get_forward_context().attn_metadata is None:
            return ()
        batch = self.runner.input_batch
        starts = self.runner.query_start_loc.np
        found = []
        for index, name in enumerate(batch.req_ids):
            request_id = self._request_id(name, self.runner.requests[name])
            first, after = int(starts[index]), int(starts[index + 1])
            found.append(Slice(request_id, first, int(batch.num_computed_tokens_cpu[index]), after - first))
        return found

    def _request_id(self, name: str, request: Any) -> int:
        said = (request.sampling_params.extra_args or {}).get(ARGUMENT) if request.sampling_params else None
        if said is None:
            raise RuntimeError(f"request {name} names no condition (SamplingParams.extra_args['{ARGUMENT}'])")
        request_id = int(said["request_id"])
        if request_id not in self.edit.audit_log:
            tokens = np.asarray(request.prompt_token_ids)
            edited = None
            if said["condition"] is not None:
                spec = self.edit.conditions[said["condition"]].spec.edit
                assert spec is not None
                edited = edited_prompt(spec.positions, np.isin(tokens, self.image_token_ids))
            self.edit.audit_log[request_id] = Entry(said["condition"] or "", edited, len(tokens))
        return request_id


def pack_conditions(conditions: Iterable[CompiledCondition]) -> str:
    """Conditions as text, to be sent to the workers: JSON of their specs and feature indices."""
    return json.dumps(
        [
            {
                "spec": condition.spec.model_dump(mode="json"),
                "layer": condition.layer,
                "members": [members.tolist() for members in condition.members],
                "content_hash": condition.content_hash,
            }
            for condition in conditions
        ]
    )


def unpack_conditions(text: str, sae: SAE) -> dict[str, CompiledCondition]:
    """The conditions by content hash, bound again to the SAE, on its device."""
    found = {}
    for entry in json.loads(text):
        spec = ConditionSpec.model_validate(entry["spec"])
        sets = {n: FeatureSet(name=n, indices=m) for n, m in zip(spec.sets, entry["members"], strict=True)}
        condition = compile_condition(spec, sets, sae, entry["layer"])
        # The hash holds the SAE's too: another SAE on the worker would be another edit.
        assert condition.content_hash == entry["content_hash"], (condition.content_hash, entry["content_hash"])
        found[condition.content_hash] = condition.to(sae.W_dec.device)
    return found


def decoder_layers(model: Any) -> nn.ModuleList | None:
    """The text decoder's layers of a vLLM model; None if they are not where they are known to be."""
    text = model.get_language_model() if hasattr(model, "get_language_model") else model
    found = (getattr(holder, "layers", None) for holder in (getattr(text, "model", None), text))
    return next((layers for layers in found if isinstance(layers, nn.ModuleList)), None)


def why_not_edited(config: Any, runner: Any) -> str | None:
    """Why a hook would miss tokens, or mix up requests, under this configuration of vLLM; None if it does not.

    The reasons are what was found in vLLM 0.32.
    """
    parallel, compilation = config.parallel_config, config.compilation_config
    # The enum's 0 is NONE.
    if int(compilation.mode or 0) != 0:
        return "its forward is compiled, and a hook in a compiled forward never fires (enforce_eager=False)"
    if compilation.cudagraph_mode is not None and compilation.cudagraph_mode.name != "NONE":
        return "its forward is replayed from a CUDA graph, in which a hook never fires (enforce_eager=False)"
    if config.use_v2_model_runner or not hasattr(runner, "query_start_loc") or not hasattr(runner, "requests"):
        return "its model runner V2 keeps the requests of a batch elsewhere (set VLLM_USE_V2_MODEL_RUNNER=0)"
    if config.cache_config.enable_prefix_caching:
        return "its prefix cache would hand one condition's keys and values to another (enable_prefix_caching=True)"
    if parallel.pipeline_parallel_size > 1:
        return "with pipeline parallelism the edited layer is in one process only (pipeline_parallel_size)"
    if getattr(parallel, "prefill_context_parallel_size", 1) > 1 or parallel.decode_context_parallel_size > 1:
        return "with context parallelism a process sees a part of the tokens only"
    if parallel.use_sequence_parallel_moe or getattr(compilation.pass_config, "enable_sp", False):
        return "with sequence parallelism a process sees a part of the residual stream only"
    if parallel.use_ubatching:
        return "it runs a batch in two halves at a time (enable_dbo), and rows are counted from the whole"
    if config.speculative_config is not None:
        return "tokens that speculative decoding guesses would be edited, and rejected ones counted"
    return None
