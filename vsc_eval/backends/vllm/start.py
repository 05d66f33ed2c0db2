"""How vLLM is started."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vsc_eval import resources
from vsc_eval.backends.hf.load import EMBEDDED, LoadedVLM
from vsc_eval.backends.vllm.arguments import check_options
from vsc_eval.backends.vllm.available import require_vllm
from vsc_eval.errors import BackendError

if TYPE_CHECKING:
    from vllm import LLM

EXTENSION = "vsc_eval.backends.vllm.worker.EditExtension"

_CPU_KV_CACHE_BYTES = 1 << 30


def start_vllm(vlm: LoadedVLM, options: Mapping[str, Any], *, edits: bool) -> LLM:
    """vLLM with `vlm`'s weights, pixel limits and dtype. Raises BackendError if it does not start."""
    with starting(vlm, options, edits=edits) as arguments:
        from vllm import LLM

        return LLM(**arguments)


@contextlib.contextmanager
def starting(vlm: LoadedVLM, options: Mapping[str, Any], *, edits: bool) -> Iterator[dict[str, Any]]:
    """The arguments of vLLM's `LLM`, which is to be made inside. Raises BackendError if it may not be or cannot be."""
    require_vllm()
    check_options(options)
    if edits and options.get("enforce_eager") is False:
        raise BackendError(
            "vLLM edits nothing in a compiled or captured forward: a hook in it never fires.",
            hint="Leave enforce_eager out, or run `--conditions baseline` only.",
        )
    arguments = _arguments(vlm, options, edits=edits)
    with _environment(edits=edits, single=arguments.get("tensor_parallel_size", 1) == 1):
        from vllm.platforms import current_platform

        said = "gpu_memory_utilization" in arguments or "VLLM_CPU_KVCACHE_SPACE" in os.environ
        if current_platform.is_cpu() and not said:
            # The share of the whole memory, vLLM's default, is more than a shared machine has free.
            arguments.setdefault("kv_cache_memory_bytes", _CPU_KV_CACHE_BYTES)
        try:
            yield arguments
        except (ValueError, RuntimeError, TypeError, OSError) as error:
            raise BackendError(
                f"vLLM does not start with '{vlm.name}': {_first_line(error)}",
                hint="Change its arguments (--vllm NAME=VALUE), or leave --backend vllm out.",
            ) from error


def _arguments(vlm: LoadedVLM, options: Mapping[str, Any], *, edits: bool) -> dict[str, Any]:
    model = str(resources.embedded_dir(vlm.name)) if vlm.name in EMBEDDED else vlm.name
    arguments: dict[str, Any] = {
        "model": model,
        "revision": vlm.revision,
        "dtype": str(vlm.dtype).removeprefix("torch."),
        "seed": 0,
        "enable_prefix_caching": False,
        "limit_mm_per_prompt": {"image": 1, "video": 0},
        "generation_config": "vllm",
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
        **options,
    }
    if edits:
        # A hook in a compiled or captured forward never fires.
        arguments.setdefault("enforce_eager", True)
        arguments["worker_extension_cls"] = EXTENSION
    if vlm.pixels_limited:
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
