"""What the user may tell vLLM, and how it is started."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vsc_eval.errors import BackendError, SpecError
from vsc_eval.serving.available import require_vllm
from vsc_eval.vlm.audio_mend import mend_audio
from vsc_eval.vlm.load import EMBEDDED, LoadedVLM
from vsc_eval.vlm.torchvision_mend import mend_torchvision

if TYPE_CHECKING:
    from vllm import LLM

EXTENSION = "vsc_eval.serving.worker.EditExtension"

_OURS = {
    "model": "--model",
    "tokenizer": "--model",
    "revision": "--revision",
    "dtype": "--dtype",
    "trust_remote_code": "--trust-remote-code",
    "mm_processor_kwargs": "--min-pixels and --max-pixels",
    "enable_prefix_caching": "nothing: it is off, as it would hand one condition's keys and values to another",
    "worker_extension_cls": "nothing: it is ours",
    "logprobs_mode": "nothing: log-probabilities are those of the whole vocabulary",
    "generation_config": "nothing: decoding is greedy",
}
# They say where and in how many pieces is computed, not what.
_HOW = (
    "tensor_parallel_size",
    "pipeline_parallel_size",
    "data_parallel_size",
    "distributed_executor_backend",
    "enforce_eager",
    "gpu_memory_utilization",
    "kv_cache_memory_bytes",
    "limit_mm_per_prompt",
    "max_model_len",
    "max_num_batched_tokens",
    "max_num_seqs",
    "mm_processor_cache_gb",
    "disable_log_stats",
)
_CPU_KV_CACHE_BYTES = 1 << 30


def check_options(options: Mapping[str, Any]) -> None:
    """Raises SpecError for an argument of vLLM that is set elsewhere."""
    for name in options:
        if name in _OURS:
            raise SpecError(f"vLLM's argument '{name}' is not yours to set.", mend=f"Use {_OURS[name]}.")


def options_mark(options: Mapping[str, Any]) -> str:
    """Names the backend in the answer store's keys, with those of its options that may change an answer."""
    what = {name: value for name, value in options.items() if name not in _HOW}
    if not what:
        return "vllm"
    return "vllm-" + hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()[:12]


def start_vllm(vlm: LoadedVLM, options: Mapping[str, Any], *, edits: bool, pixel_limits: bool) -> LLM:
    """vLLM with `vlm`'s weights, pixel limits and dtype. Raises BackendError if it does not start."""
    require_vllm()
    check_options(options)
    mend_torchvision()
    mend_audio()
    arguments = _arguments(vlm, options, edits=edits, pixel_limits=pixel_limits)
    with _environment(edits=edits, single=arguments.get("tensor_parallel_size", 1) == 1):
        from vllm import LLM
        from vllm.platforms import current_platform

        if current_platform.is_cpu():
            # The share of the whole memory, vLLM's default, is more than a shared machine has free.
            if "gpu_memory_utilization" not in arguments and "VLLM_CPU_KVCACHE_SPACE" not in os.environ:
                arguments.setdefault("kv_cache_memory_bytes", _CPU_KV_CACHE_BYTES)
        try:
            return LLM(**arguments)
        except (ValueError, RuntimeError, TypeError, OSError) as error:
            raise BackendError(
                f"vLLM does not start with '{vlm.name}': {_first_line(error)}",
                mend="Change its arguments (--vllm NAME=VALUE), or leave --backend vllm out.",
            ) from error


def _arguments(vlm: LoadedVLM, options: Mapping[str, Any], *, edits: bool, pixel_limits: bool) -> dict[str, Any]:
    from vsc_eval import resources

    model = str(resources.zoo_dir(vlm.name)) if vlm.name in EMBEDDED else vlm.name
    arguments: dict[str, Any] = {
        "model": model,
        "revision": vlm.revision,
        "dtype": str(vlm.dtype).removeprefix("torch."),
        "seed": 0,
        "enable_prefix_caching": False,
        "limit_mm_per_prompt": {"image": 1, "video": 0},
        "generation_config": "vllm",
        "disable_log_stats": True,
        **options,
    }
    if edits:
        # A hook in a compiled or captured forward never fires.
        arguments.setdefault("enforce_eager", True)
        arguments["worker_extension_cls"] = EXTENSION
    if pixel_limits:
        arguments["mm_processor_kwargs"] = {"size": dict(vlm.processor.image_processor.size)}
    if _needs_remote_code(vlm):
        arguments["trust_remote_code"] = True
    return arguments


def _needs_remote_code(vlm: LoadedVLM) -> bool:
    return type(vlm.model).__module__.startswith("transformers_modules")


@contextlib.contextmanager
def _environment(*, edits: bool, single: bool) -> Iterator[None]:
    """vLLM reads these while it starts. What the user has set stays."""
    wanted = {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
    if edits:
        wanted["VLLM_USE_V2_MODEL_RUNNER"] = "0"
    if single and not _has_gpu():
        # One process less to start; there is nothing to be gained by a second one on the same cores.
        wanted["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[0] if lines else type(error).__name__)
