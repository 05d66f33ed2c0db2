"""`python -m benchmarks.vllm`: vLLM against transformers, and its mixed conditions against its baseline."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.shared import add_edits, agreement, bench_prompts, build_parser, compiled_edits, run, table, take_turns
from vsc_eval.backends.hf.engine import Engine
from vsc_eval.backends.hf.load import LoadedVLM, load_vlm
from vsc_eval.backends.hf.prompts import Prompt
from vsc_eval.backends.protocol import AnswerEngine, GenSettings
from vsc_eval.backends.vllm.engine import VllmEngine
from vsc_eval.backends.vllm.start import require_vllm
from vsc_eval.cli.flags import named_values
from vsc_eval.interventions.edits import CompiledCondition
from vsc_eval.records import Reading
from vsc_eval.sae.model import SAE


def bench_vllm(
    vlm: LoadedVLM,
    sae: SAE,
    edits: Sequence[CompiledCondition],
    prompts: Sequence[Prompt],
    repeats: int,
    *,
    batch_size: int = 16,
    options: Mapping[str, Any] | None = None,
) -> list[str]:
    """Time the `loglikelihood` scoring of `prompts`, with models loaded and every shape seen before. `vlm` has its
    weights; `batch_size` is of transformers, as vLLM batches by itself. Returns the lines to print."""
    layer = edits[0].layer
    baseline: list[CompiledCondition | None] = [None]
    every: list[CompiledCondition | None] = [None, *edits]
    hf = Engine(vlm, sae=sae, layer=layer, batch_size=batch_size)
    # Its baseline runs without the hook, as if there were no edits at all.
    plain = VllmEngine(vlm, options=options)
    edited = VllmEngine(vlm, sae=sae, layer=layer, options=options)
    settings = GenSettings("loglikelihood")

    def way(
        engine: AnswerEngine, conditions: list[CompiledCondition | None]
    ) -> tuple[int, Callable[[], list[list[Reading]]]]:
        return len(prompts) * len(conditions), lambda: engine.read(prompts, conditions, settings)

    timed, readings = take_turns(
        {
            "transformers, baseline": way(hf, baseline),
            f"transformers, {len(every)} conditions shared": way(hf, every),
            "vLLM, baseline": way(plain, baseline),
            f"vLLM, {len(every)} conditions mixed": way(edited, every),
        },
        repeats,
    )
    hf_baseline, hf_mixed, vllm_baseline, vllm_mixed = timed
    return [
        *table(timed, "answers"),
        f"vLLM's baseline by transformers' baseline: {vllm_baseline.ratio(hf_baseline):.2f}x",
        f"vLLM's mixed conditions by its baseline, per request: {vllm_mixed.ratio(vllm_baseline):.2f}x",
        f"vLLM's mixed conditions by transformers' shared ones: {vllm_mixed.ratio(hf_mixed):.2f}x",
        agreement(readings[1], readings[3]).line(),
    ]


def bench(options: argparse.Namespace) -> list[str]:
    """The lines to print."""
    installed, vllm_options = require_vllm(), named_values("--backend-options", options.backend_options)
    if options.with_vllm_vlm:
        from benchmarks.vllm_vlm import require_vllm_vlm

        require_vllm_vlm()
    sae, edits = compiled_edits(options)
    prompts = bench_prompts(options.n)
    vlm = load_vlm(options.model)
    lines = bench_vllm(vlm, sae, edits, prompts, options.repeats, batch_size=options.batch_size, options=vllm_options)
    if options.with_vllm_vlm:
        from benchmarks.vllm_vlm import bench_vllm_vlm

        found = bench_vllm_vlm(options.model, n=options.n, repeats=options.repeats, options=vllm_options)
        lines += ["", "lm-eval's evaluator, text answers", *found]
    return [str(installed), *lines]


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    parser = build_parser("vllm", "vLLM against transformers, baseline and mixed conditions.")
    add_edits(parser, conditions=7)
    parser.add_argument("--backend-options", action="append", default=[], metavar="NAME=VALUE", help="argument of vLLM")
    parser.add_argument("--with-vllm-vlm", action="store_true", help="also the baseline against lm-eval's vllm-vlm")
    return run(parser, bench, argv)


if __name__ == "__main__":
    sys.exit(main())
