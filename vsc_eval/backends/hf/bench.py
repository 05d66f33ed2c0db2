"""How much the shared path saves: all conditions in one pass, against one hooked run for each of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from vsc_eval.backends.hf.batching import similar_batches
from vsc_eval.backends.hf.edit_hook import BatchState, row_edit
from vsc_eval.backends.hf.engine import Engine, GenSettings
from vsc_eval.backends.hf.hooks import full_forward, run_hooked
from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.backends.hf.prefix import run_prefix
from vsc_eval.backends.hf.prompts import Prompt, encode_prompts, prompt_head
from vsc_eval.backends.hf.scoring import stack_readings
from vsc_eval.errors import SpecError
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
    """Interleaved timings; the baseline counts as a condition."""

    n_conditions: int
    n_prompts: int
    n_layers: int
    layer: int
    shared_seconds: tuple[float, ...]
    """Wall clock of each repeat: every condition in one pass."""
    hooked_seconds: tuple[float, ...]
    """The same readings by one hooked run for each condition, pictures processed anew in each."""
    shared_cpu_seconds: tuple[float, ...]
    hooked_cpu_seconds: tuple[float, ...]
    costs: LayerCosts
    max_logprob_difference: float | None
    """Between the two paths, over all option letters; None for prompts without options."""
    n_answers: int
    n_same_answers: int

    @property
    def ratios(self) -> tuple[float, ...]:
        """Hooked over shared wall clock, repeat by repeat."""
        return tuple(h / s for h, s in zip(self.hooked_seconds, self.shared_seconds, strict=True))

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def cpu_ratio(self) -> float:
        pairs = zip(self.hooked_cpu_seconds, self.shared_cpu_seconds, strict=True)
        return statistics.median(h / s for h, s in pairs)

    @property
    def theory(self) -> float:
        """What the layer counts allow: N(V + n l) / (V + (L+1) l + N (n-L-1) l)."""
        return layer_count_ratio(self.n_conditions, self.n_layers, self.layer, self.costs.vision, self.costs.layer)

    @property
    def theory_with_processing(self) -> float:
        """The same, with the image processor counted as part of V: separate runs pay it each time."""
        vision = self.costs.vision + self.costs.processing
        return layer_count_ratio(self.n_conditions, self.n_layers, self.layer, vision, self.costs.layer)

    def lines(self) -> list[str]:
        """The result for a terminal."""
        spread = f"{min(self.ratios):.2f} to {max(self.ratios):.2f} in {len(self.ratios)} interleaved repeats"
        difference = self.max_logprob_difference
        return [
            f"{self.n_conditions} conditions x {self.n_prompts} prompts, edit at layer {self.layer} of {self.n_layers}",
            f"shared: {statistics.median(self.shared_seconds):.2f} s   one hooked run each: "
            f"{statistics.median(self.hooked_seconds):.2f} s",
            f"ratio: {self.ratio:.2f} ({spread}); in CPU time {self.cpu_ratio:.2f}",
            f"layer counts allow: {self.theory:.2f}; with the image processor, which each run pays: "
            f"{self.theory_with_processing:.2f}",
            f"same answers: {self.n_same_answers} of {self.n_answers}"
            + ("" if difference is None else f"; option log-probabilities differ by at most {difference:.1e}"),
        ]


def layer_count_ratio(n_conditions: int, n_layers: int, layer: int, vision: float, per_layer: float) -> float:
    """Cost of separate runs over the cost of a shared prefix, from `vision` and `per_layer` in one unit of time."""
    separate = n_conditions * (vision + n_layers * per_layer)
    above = n_layers - layer - 1
    return separate / (vision + (layer + 1) * per_layer + n_conditions * above * per_layer)


def bench_engine(
    vlm: LoadedVLM,
    sae: SAE,
    conditions: Sequence[CompiledCondition],
    prompts: Sequence[Prompt],
    repeats: int = 3,
    *,
    settings: GenSettings | None = None,
    batch_size: int = 16,
    progress: Callable[[str], None] | None = None,
) -> EngineBench:
    """Time both paths on the same readings, taking turns, after one untimed warm-up each.

    `conditions` are edits of one layer; the baseline is added. Raises SpecError without conditions, prompts or repeats.
    """
    edits = [c for c in conditions if not c.is_baseline]
    if not edits or not prompts or repeats < 1:
        raise SpecError("The benchmark needs at least one edit, one prompt and one repeat.", hint="Give some of each.")
    settings = settings or GenSettings("loglikelihood" if all(p.options for p in prompts) else "generate")
    layer = edits[0].layer
    shared = Engine(vlm, sae=sae, layer=layer, batch_size=batch_size, mode="shared")
    hooked = Engine(vlm, sae=sae, layer=layer, batch_size=batch_size, mode="hooks")

    def run_shared() -> list[list[Reading]]:
        return shared.read(prompts, [None, *edits], settings)

    def run_separate() -> list[list[Reading]]:
        return _read_separately(hooked, prompts, [None, *edits], settings)

    readings = run_shared(), run_separate()
    walls: tuple[list[float], list[float]] = ([], [])
    cpus: tuple[list[float], list[float]] = ([], [])
    for repeat in range(repeats):
        order = ((0, run_shared), (1, run_separate)) if repeat % 2 == 0 else ((1, run_separate), (0, run_shared))
        for which, run in order:
            wall, cpu = _timed(run)
            walls[which].append(wall)
            cpus[which].append(cpu)
        if progress is not None:
            progress(f"repeat {repeat + 1} of {repeats}: ratio {walls[1][-1] / walls[0][-1]:.2f}")
    n_same, largest = _compare(*readings)
    return EngineBench(
        n_conditions=len(edits) + 1,
        n_prompts=len(prompts),
        n_layers=vlm.decoder.n_layers,
        layer=layer,
        shared_seconds=tuple(walls[0]),
        hooked_seconds=tuple(walls[1]),
        shared_cpu_seconds=tuple(cpus[0]),
        hooked_cpu_seconds=tuple(cpus[1]),
        costs=layer_costs(vlm, prompts[:batch_size], repeats),
        max_logprob_difference=largest,
        n_answers=(len(edits) + 1) * len(prompts),
        n_same_answers=n_same,
    )


def _read_separately(
    engine: Engine, prompts: Sequence[Prompt], conditions: Sequence[CompiledCondition | None], settings: GenSettings
) -> list[list[Reading]]:
    """Each condition as a run of its own would do it: nothing is shared but the baseline's logits and last hidden
    state, which the readings are measured against."""
    baselines: dict[int, BatchState] = {}
    table = []
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
        table.append([reading for reading in row if reading is not None])
    return table


@torch.no_grad()
def layer_costs(vlm: LoadedVLM, prompts: Sequence[Prompt], repeats: int) -> LayerCosts:
    """Time image processor, vision tower and a decoder layer on one batch; the fastest of `repeats` runs each."""
    inputs = encode_prompts(vlm, prompts)
    last = vlm.decoder.n_layers - 1

    def fastest(run: Callable[[], object]) -> float:
        return min(_timed(run)[0] for _ in range(repeats))

    processing = fastest(lambda: encode_prompts(vlm, prompts))
    through_first = fastest(lambda: run_prefix(vlm.model, vlm.decoder, 0, inputs.tensors, keep_cache=False))
    through_all = fastest(lambda: full_forward(vlm.model, vlm.decoder, inputs.tensors, keep_cache=False))
    layer = max((through_all - through_first) / max(last, 1), 1e-9)
    return LayerCosts(processing=processing, vision=max(through_first - layer, 0.0), layer=layer)


def _timed(run: Callable[[], object]) -> tuple[float, float]:
    """Wall clock and CPU seconds of one call, the GPU's work included."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - cpu


def _compare(first: list[list[Reading]], second: list[list[Reading]]) -> tuple[int, float | None]:
    """(number of same answers, largest difference of an option's log-probability)."""
    n_same, differences = 0, []
    for left, right in zip((r for row in first for r in row), (r for row in second for r in row), strict=True):
        if left.option_logprobs is not None and right.option_logprobs is not None:
            pairs = list(zip(left.option_logprobs, right.option_logprobs, strict=True))
            differences.append(max(abs(a - b) for a, b in pairs))
            n_same += _best(left.option_logprobs) == _best(right.option_logprobs) and left.token_ids == right.token_ids
        else:
            n_same += left.token_ids == right.token_ids
    return n_same, max(differences) if differences else None


def _best(logprobs: tuple[float, ...]) -> int:
    return logprobs.index(max(logprobs))
