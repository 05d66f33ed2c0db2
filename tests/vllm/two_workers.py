"""Run by test_vllm_tensor_parallel.py; a script of its own, since vLLM's workers import the main module."""

from __future__ import annotations

import os

os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")

from vsc_eval.backends.hf.engine import Engine
from vsc_eval.backends.hf.load import load_vlm
from vsc_eval.backends.protocol import GenSettings
from vsc_eval.backends.vllm.engine import VllmEngine
from vsc_eval.features.harvest import benchmark_items, to_prompt
from vsc_eval.interventions.edits import CompiledCondition, compile_condition
from vsc_eval.interventions.intervention import load_intervention
from vsc_eval.specs import parse_condition

EXPRESSIONS = ("counting", "counting+logic", "logic:scale=6:prefill", "counting:add=3:last")


def main() -> None:
    intervention = load_intervention("vsc-tiny")
    layer = intervention.spec.layer
    conditions: list[CompiledCondition | None] = [None]
    for expression in EXPRESSIONS:
        spec = parse_condition(expression, intervention.spec.default_edit)
        conditions.append(compile_condition(spec, intervention.sets, intervention.sae, layer))
    prompts = [to_prompt(item) for item in benchmark_items("test", items_per_cell=4)[::8]]
    settings = GenSettings("generate", max_new_tokens=4)
    one = Engine(load_vlm("vsc-tiny"), sae=intervention.sae, layer=layer).read(prompts, conditions, settings)
    engine = VllmEngine(
        load_vlm("vsc-tiny", weights=False), sae=intervention.sae, layer=layer, options={"tensor_parallel_size": 2}
    )
    two = engine.read(prompts, conditions, settings)
    pairs = [(a, b) for rows in zip(one, two, strict=True) for a, b in zip(*rows, strict=True)]
    for a, b in pairs:
        assert (a.token_ids, a.n_edited_tokens, a.n_fires) == (b.token_ids, b.n_edited_tokens, b.n_fires)
        assert a.option_logprobs is not None
        assert b.option_logprobs is not None
        assert max(abs(p - q) for p, q in zip(a.option_logprobs, b.option_logprobs, strict=True)) < 1e-3
    print("the same")


if __name__ == "__main__":
    main()
