"""What the user may tell vLLM: plain data, checked without it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from vsc_eval.errors import SpecError
from vsc_eval.yaml_files import read_yaml_value

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


def parse_options(pairs: Sequence[str]) -> dict[str, Any]:
    """`NAME=VALUE` with a YAML value -> arguments of vLLM. Raises SpecError."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.strip().isidentifier():
            raise SpecError(f"--vllm {pair} is not NAME=VALUE.", hint="Write, for example, tensor_parallel_size=2.")
        if name.strip() in found:
            raise SpecError(f"--vllm sets '{name.strip()}' twice.", hint="Keep one of the two.")
        found[name.strip()] = read_yaml_value(text, f"--vllm {pair}")
    check_options(found)
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
    if not counting:
        return "vllm"
    return "vllm-" + hashlib.sha256(json.dumps(counting, sort_keys=True).encode()).hexdigest()[:12]
