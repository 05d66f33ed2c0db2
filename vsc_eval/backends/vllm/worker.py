"""vLLM's worker, extended: it edits the residual stream after one layer and reports what it edited.

vLLM mixes this class into its own worker class (`worker_extension_cls`), in every process that runs a model; the
methods are called by name (`collective_rpc`). They return plain data and refuse in words, as an exception in a worker
would end the engine.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from vsc_eval.backends.vllm.hook import Account, BatchEdit, Entry, Slice, edited_prompt
from vsc_eval.interventions.edits import CompiledCondition, compile_condition
from vsc_eval.sae.model import SAE
from vsc_eval.sae.readers.saelens import load_sae
from vsc_eval.specs import ConditionSpec, FeatureSet

ARGUMENT = "vsc_eval"
"""Key of SamplingParams.extra_args; the value is {"request_id": int, "condition": content hash or None}."""

ATTACH, CONDITIONS, REPORT = "vsc_attach", "vsc_conditions", "vsc_report"


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
    for holder in (getattr(text, "model", None), text):
        layers = getattr(holder, "layers", None)
        if isinstance(layers, nn.ModuleList):
            return layers
    return None


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
