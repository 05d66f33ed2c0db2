"""`python -m benchmarks.engine`: all conditions in one pass, against one hooked run for each of them."""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from benchmarks.shared import (
    Agreement,
    Timed,
    add_edits,
    agreement,
    bench_prompts,
    build_parser,
    compiled_edits,
    run,
    table,
    take_turns,
)
from vsc_eval.backends.hf.edit_hook import BatchState, row_edit
from vsc_eval.backends.hf.engine import Engine
from vsc_eval.backends.hf.forward import full_forward, run_hooked
from vsc_eval.backends.hf.load import LoadedVLM, load_vlm
from vsc_eval.backends.hf.prompts import Prompt, encode_prompts, prompt_head, similar_batches
from vsc_eval.backends.hf.scoring import stack_readings
from vsc_eval.backends.hf.shared import run_prefix
from vsc_eval.backends.protocol import GenSettings
from vsc_eval.interventions.edits import CompiledCondition
from vsc_eval.records import Reading
from vsc_eval.sae.model import SAE


@dataclass(frozen=True)
class LayerCosts:
    """Seconds of wall clock for one batch of the benchmark's prompts."""

    processing: float
    """Image processor and tokenizer."""
    vision: float
    """Vision tower and embeddings, up to decoder layer 0."""
    layer: float
    """One decoder layer, the head's share included."""


@dataclass(frozen=True)
class EngineBench:
    """Timings of the same readings; the baseline counts as a condition."""

    shared: Timed
    """Every condition in one pass."""
    hooked: Timed
    """One hooked run for each condition, pictures processed anew in each."""
    agreement: Agreement
    n_conditions: int
    n_layers: int
    layer: int
    costs: LayerCosts

    def lines(self) -> list[str]:
        """The result for a terminal."""
        ratios = self.shared.ratios(self.hooked)
        cpu = statistics.median(h / s for h, s in zip(self.hooked.cpu_seconds, self.shared.cpu_seconds, strict=True))
        vision, layer = self.costs.vision, self.costs.layer
        allowed, with_processing = (
            layer_count_ratio(self.n_conditions, self.n_layers, self.layer, before, layer)
            for before in (vision, vision + self.costs.processing)
        )
        return [
            f"{self.n_conditions} conditions x {self.shared.n // self.n_conditions} prompts, "
            f"edit at layer {self.layer} of {self.n_layers}",
            *table([self.shared, self.hooked], "answers"),
            f"ratio: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}); in CPU time {cpu:.2f}",
            f"layer counts allow: {allowed:.2f}; with the image processor, which each run pays: {with_processing:.2f}",
            self.agreement.line(),
        ]


def layer_count_ratio(n_conditions: int, n_layers: int, layer: int, vision: float, per_layer: float) -> float:
    """Cost of separate runs over the cost of a shared prefix, from `vision` and `per_layer` in one unit of time:
    N (V + n l) / (V + (L + 1) l + N (n - L - 1) l)."""
    separate = n_conditions * (vision + n_layers * per_layer)
    above = n_layers - layer - 1
    return separate / (vision + (layer + 1) * per_layer + n_conditions * above * per_layer)


def bench_engine(
    vlm: LoadedVLM,
    sae: SAE,
    edits: Sequence[CompiledCondition],
    prompts: Sequence[Prompt],
    repeats: int = 3,
    *,
    settings: GenSettings | None = None,
    batch_size: int = 16,
) -> EngineBench:
    """Time both paths on the same readings. `edits` are of one layer; the baseline is added."""
    settings = settings or GenSettings("loglikelihood" if all(p.options for p in prompts) else "generate")
    layer = edits[0].layer
    engine = Engine(vlm, sae=sae, layer=layer, batch_size=batch_size, mode="shared")
    hooks = Engine(vlm, sae=sae, layer=layer, batch_size=batch_size, mode="hooks")
    conditions = [None, *edits]
    n_answers = len(conditions) * len(prompts)
    ways: dict[str, tuple[int, Callable[[], list[list[Reading]]]]] = {
        "shared": (n_answers, lambda: engine.read(prompts, conditions, settings)),
        "one hooked run for each": (n_answers, lambda: _read_separately(hooks, prompts, conditions, settings)),
    }
    (shared, hooked), readings = take_turns(ways, repeats)
    costs = layer_costs(vlm, prompts[:batch_size], repeats)
    n_layers = vlm.decoder.n_layers
    return EngineBench(shared, hooked, agreement(*readings), len(conditions), n_layers, layer, costs)


def _read_separately(
    engine: Engine, prompts: Sequence[Prompt], conditions: Sequence[CompiledCondition | None], settings: GenSettings
) -> list[list[Reading]]:
    """Each condition as a run of its own would do it: nothing is shared but the baseline's logits and last hidden
    state, which the readings are measured against."""
    baselines: dict[int, BatchState] = {}
    rows = []
    for condition in conditions:
        edit = row_edit(condition, engine.sae)
        row: list[Reading | None] = [None] * len(prompts)
        for indices in similar_batches(prompts, engine.batch_size):
            chosen = [prompts[i] for i in indices]
            inputs = encode_prompts(engine.vlm, chosen)
            batch = BatchState(inputs.attention_mask, inputs.image_mask)
            if edit is None:
                baselines[indices[0]] = batch
            else:
                known = baselines[indices[0]]
                batch.baseline_last, batch.baseline_logits = known.baseline_last, known.baseline_logits
            result = run_hooked(engine.runner, inputs.tensors, batch, edit, max_new_tokens=settings.new_tokens)
            ids = [engine.option_ids(prompt.options) for prompt in chosen]
            heads = [prompt_head(prompt) for prompt in chosen]
            for index, reading in zip(
                indices, stack_readings(result, ids, heads, engine.vlm.tokenizer)[0], strict=True
            ):
                row[index] = reading
        rows.append([reading for reading in row if reading is not None])
    return rows


@torch.no_grad()
def layer_costs(vlm: LoadedVLM, prompts: Sequence[Prompt], repeats: int) -> LayerCosts:
    """Time image processor, vision tower and a decoder layer on one batch; the fastest of `repeats` runs each."""
    inputs = encode_prompts(vlm, prompts)
    last = vlm.decoder.n_layers - 1

    def fastest(work: Callable[[], object]) -> float:
        return min(_seconds(work) for _ in range(repeats))

    processing = fastest(lambda: encode_prompts(vlm, prompts))
    through_first = fastest(lambda: run_prefix(vlm.model, vlm.decoder, 0, inputs.tensors, keep_cache=False))
    through_all = fastest(lambda: full_forward(vlm.model, vlm.decoder, inputs.tensors, keep_cache=False))
    layer = max((through_all - through_first) / max(last, 1), 1e-9)
    return LayerCosts(processing=processing, vision=max(through_first - layer, 0.0), layer=layer)


def _seconds(work: Callable[[], object]) -> float:
    """Wall clock of one call, the GPU's work included: unlike readings, tensors may still be on their way."""
    started = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def bench(options: argparse.Namespace) -> list[str]:
    """The lines to print."""
    sae, edits = compiled_edits(options)
    prompts = bench_prompts(options.n)
    vlm = load_vlm(options.model, device=options.device)
    return bench_engine(vlm, sae, edits, prompts, options.repeats, batch_size=options.batch_size).lines()


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    parser = build_parser("engine", "Many conditions in one pass against one hooked run for each.")
    add_edits(parser, conditions=20)
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1")
    return run(parser, bench, argv)


if __name__ == "__main__":
    sys.exit(main())
