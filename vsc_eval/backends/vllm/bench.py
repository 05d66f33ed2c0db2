"""`vsc-eval bench vllm`: vLLM against transformers, and its mixed conditions against its baseline, turn by turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vsc_eval.backends.hf.engine import Engine, GenSettings
from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.backends.hf.prompts import Prompt
from vsc_eval.backends.protocol import AnswerEngine
from vsc_eval.backends.vllm.engine import VllmEngine
from vsc_eval.interventions.edits import CompiledCondition
from vsc_eval.records import Reading
from vsc_eval.sae.model import SAE


@dataclass(frozen=True)
class Timed:
    """One way to get answers: how many a second in each repeat."""

    label: str
    n_answers: int
    wall_seconds: tuple[float, ...]

    @property
    def answers_per_second(self) -> float:
        return self.n_answers / statistics.median(self.wall_seconds)

    def ratio(self, other: Timed) -> float:
        """Median over the repeats of our answers a second by the other's."""
        return statistics.median(
            (self.n_answers / ours) / (other.n_answers / theirs)
            for ours, theirs in zip(self.wall_seconds, other.wall_seconds, strict=True)
        )


@dataclass(frozen=True)
class VllmBench:
    """Answers a second, and how far the backends agree on the same questions."""

    hf_baseline: Timed
    hf_mixed: Timed
    vllm_baseline: Timed
    vllm_mixed: Timed
    same_answers: float
    """Share of (condition, prompt) with the same most likely token on both backends."""
    largest_difference_nats: float
    """Of an option's log-probability between the backends."""

    def lines(self) -> list[str]:
        """The report."""
        timed = (self.hf_baseline, self.hf_mixed, self.vllm_baseline, self.vllm_mixed)
        repeats = len(self.hf_baseline.wall_seconds)
        return [
            f"{repeats} repeats, taking turns; medians",
            f"{'':<34} {'answers':>8} {'seconds':>8} {'a second':>9}",
            *(
                f"{one.label:<34} {one.n_answers:>8} {statistics.median(one.wall_seconds):>8.2f}"
                f" {one.answers_per_second:>9.1f}"
                for one in timed
            ),
            f"vLLM's baseline by transformers' baseline: {self.vllm_baseline.ratio(self.hf_baseline):.2f}x",
            f"vLLM's mixed conditions by its baseline, per request: {self.vllm_mixed.ratio(self.vllm_baseline):.2f}x",
            f"vLLM's mixed conditions by transformers' shared ones: {self.vllm_mixed.ratio(self.hf_mixed):.2f}x",
            f"same most likely token: {self.same_answers:.2%}; largest difference of an option's log-probability:"
            f" {self.largest_difference_nats:.1e} nats",
        ]


def bench_vllm(
    vlm: LoadedVLM,
    sae: SAE,
    edits: Sequence[CompiledCondition],
    prompts: Sequence[Prompt],
    repeats: int,
    *,
    batch_size: int = 16,
    options: Mapping[str, Any] | None = None,
    progress: Callable[[str], None] | None = None,
) -> VllmBench:
    """Time the `loglikelihood` scoring of `prompts`, with models loaded and every shape seen before. `vlm` has its
    weights; `batch_size` is of transformers, as vLLM batches by itself."""
    layer = edits[0].layer
    baseline: list[CompiledCondition | None] = [None]
    every: list[CompiledCondition | None] = [None, *edits]
    hf = Engine(vlm, sae=sae, layer=layer, batch_size=batch_size)
    # Its baseline runs without the hook, as if there were no edits at all.
    plain = VllmEngine(vlm, options=options)
    edited = VllmEngine(vlm, sae=sae, layer=layer, options=options)
    ways: list[tuple[str, AnswerEngine, list[CompiledCondition | None]]] = [
        ("transformers, baseline", hf, baseline),
        (f"transformers, {len(every)} conditions shared", hf, every),
        ("vLLM, baseline", plain, baseline),
        (f"vLLM, {len(every)} conditions mixed", edited, every),
    ]
    settings = GenSettings("loglikelihood")
    seconds: dict[str, list[float]] = {label: [] for label, _, _ in ways}
    last: dict[str, list[list[Reading]]] = {}
    for turn in range(repeats + 1):
        # Every repeat begins with another one: a machine that warms up or slows down favours nobody.
        for label, engine, conditions in ways[turn % len(ways) :] + ways[: turn % len(ways)]:
            started = time.perf_counter()
            last[label] = engine.read(prompts, conditions, settings)
            if turn:
                seconds[label].append(time.perf_counter() - started)
        if progress is not None:
            progress(f"repeat {turn} of {repeats}" if turn else "warmed up")
    found = [Timed(label, len(prompts) * len(conditions), tuple(seconds[label])) for label, _, conditions in ways]
    same, largest = _agreement(last[ways[1][0]], last[ways[3][0]])
    return VllmBench(
        hf_baseline=found[0],
        hf_mixed=found[1],
        vllm_baseline=found[2],
        vllm_mixed=found[3],
        same_answers=same,
        largest_difference_nats=largest,
    )


def _agreement(theirs: list[list[Reading]], ours: list[list[Reading]]) -> tuple[float, float]:
    pairs = [(a, b) for row in zip(theirs, ours, strict=True) for a, b in zip(*row, strict=True)]
    largest = max(
        abs(p - q) for a, b in pairs for p, q in zip(a.option_logprobs or (), b.option_logprobs or (), strict=True)
    )
    return sum(a.top_token_id == b.top_token_id for a, b in pairs) / len(pairs), largest
