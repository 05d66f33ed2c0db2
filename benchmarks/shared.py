"""What the timings share: ways of doing the same work that take turns, and the items and edits that they work on.

Nothing here asserts a time. Machines differ and are shared; what counts is the ratio within one run.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, count, islice
from pathlib import Path
from typing import TypeVar

from vsc_eval.backends.hf.prompts import Prompt
from vsc_eval.cli.main import Parser, exit_code
from vsc_eval.errors import SpecError
from vsc_eval.interventions.edits import CompiledCondition, compile_condition
from vsc_eval.interventions.intervention import load_intervention
from vsc_eval.records import Reading
from vsc_eval.sae.model import SAE
from vsc_eval.specs import ConditionSpec, InterventionSpec, parse_condition
from vsc_eval.sweeps.folder import machine_words
from vsc_eval.synthetic import LETTERS, LEVELS, TASKS, Item, make_items

T = TypeVar("T")


@dataclass(frozen=True)
class Timed:
    """One way to do the work: how much it does in a repeat (answers, figures), and its seconds in each."""

    label: str
    n: int
    wall_seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]

    @property
    def rate(self) -> float:
        """Answers or figures a second of wall clock, by the median repeat."""
        return self.n / statistics.median(self.wall_seconds)

    def ratios(self, other: Timed) -> tuple[float, ...]:
        """How many times as fast as the other this is for the same amount of work, repeat by repeat."""
        pairs = zip(self.wall_seconds, other.wall_seconds, strict=True)
        return tuple((self.n / ours) / (other.n / theirs) for ours, theirs in pairs)

    def ratio(self, other: Timed) -> float:
        """The median of `ratios`."""
        return statistics.median(self.ratios(other))


def take_turns(
    ways: Mapping[str, tuple[int, Callable[[], T]]], repeats: int, *, progress: Callable[[str], None] = print
) -> tuple[list[Timed], list[T]]:
    """Time each way, label -> (how much it does, how), after one untimed turn; also what each gave in the last turn.

    Raises SpecError for fewer than one repeat.
    """
    if repeats < 1:
        raise SpecError("The benchmark needs at least one repeat.", hint="Give --repeats 1 or more.")
    labels = list(ways)
    wall: dict[str, list[float]] = {label: [] for label in labels}
    cpu: dict[str, list[float]] = {label: [] for label in labels}
    results: dict[str, T] = {}
    for turn in range(repeats + 1):
        # Every repeat begins with another one: a machine that warms up or slows down favours nobody.
        for label in labels[turn % len(labels) :] + labels[: turn % len(labels)]:
            gc.collect()
            started = time.perf_counter(), time.process_time()
            results[label] = ways[label][1]()
            if turn:
                wall[label].append(time.perf_counter() - started[0])
                cpu[label].append(time.process_time() - started[1])
        progress(f"repeat {turn} of {repeats}" if turn else "warmed up")
    timed = [Timed(label, ways[label][0], tuple(wall[label]), tuple(cpu[label])) for label in labels]
    return timed, [results[label] for label in labels]


def table(timed: Sequence[Timed], unit: str) -> list[str]:
    """One line for each way; the ratio says how many times as fast as it the first one is."""
    first, repeats = timed[0], len(timed[0].wall_seconds)
    lines = [
        f"medians of {repeats} repeats, taking turns",
        f"{'':<40} {unit:>8} {'wall s':>9} {'cpu s':>9} {'a second':>9} {'ratio':>7}",
    ]
    for one in timed:
        wall, cpu = statistics.median(one.wall_seconds), statistics.median(one.cpu_seconds)
        ratio = "" if one is first else f"{first.ratio(one):>6.2f}x"
        lines.append(f"{one.label:<40} {one.n:>8} {wall:>9.3f} {cpu:>9.3f} {one.rate:>9.1f} {ratio}".rstrip())
    return lines


@dataclass(frozen=True)
class Agreement:
    """How far two ways read the same answers."""

    n: int
    n_same: int
    """Readings with the same most likely option and the same generated tokens."""
    largest_difference_nats: float | None
    """Of an option's log-probability; None for prompts without options."""

    def line(self) -> str:
        """The comparison in words."""
        line = f"same answers: {self.n_same} of {self.n}"
        if self.largest_difference_nats is not None:
            line += f"; option log-probabilities differ by at most {self.largest_difference_nats:.1e} nats"
        return line


def agreement(first: Sequence[Sequence[Reading]], second: Sequence[Sequence[Reading]]) -> Agreement:
    """Compare two tables of readings, a row a condition."""
    pairs = [(a, b) for rows in zip(first, second, strict=True) for a, b in zip(*rows, strict=True)]
    differences = [
        abs(p - q) for a, b in pairs for p, q in zip(a.option_logprobs or (), b.option_logprobs or (), strict=True)
    ]
    n_same = sum(a.token_ids == b.token_ids and _best(a) == _best(b) for a, b in pairs)
    return Agreement(len(pairs), n_same, max(differences, default=None))


def _best(reading: Reading) -> int | None:
    options = reading.option_logprobs
    return None if options is None else options.index(max(options))


def build_parser(name: str, description: str) -> argparse.ArgumentParser:
    """The options that the timings of models have in common."""
    parser = Parser(prog=f"python -m benchmarks.{name}", description=description)
    parser.add_argument("--model", default="vsc-tiny", help="vsc-tiny, a folder or a hub id")
    parser.add_argument("--n", type=int, default=4, help="items of each cell, a multiple of 4")
    parser.add_argument("--batch-size", type=int, default=16, help="prompts a batch of ours")
    parser.add_argument("--repeats", type=int, default=3, help="timed repeats, taking turns")
    return parser


def add_edits(parser: argparse.ArgumentParser, *, conditions: int) -> None:
    """The options that `compiled_edits` reads; `conditions` is the default of their number."""
    # Its default is said in words: "(default: None)" would say nothing.
    parser.add_argument(
        "--intervention", default=argparse.SUPPRESS, help="name or folder of one (default: named like the model)"
    )
    parser.add_argument("--conditions", type=int, default=conditions, help="conditions, the baseline included")


def run(
    parser: argparse.ArgumentParser, bench: Callable[[argparse.Namespace], list[str]], argv: Sequence[str] | None
) -> int:
    """Print the machine and what `bench` found; returns the exit code of `vsc_eval.cli.main`."""

    def command() -> int:
        lines = bench(parser.parse_args(argv))
        print("\n".join([f"on {machine_words()}", *lines]))
        return 0

    return exit_code(command, parser.prog)


def bench_items(n: int) -> list[Item]:
    """The first `n` test items of every cell. Raises SpecError unless `n` is a positive multiple of 4."""
    return [item for task in TASKS for level in LEVELS for item in make_items("test", task, level, n)]


def bench_prompts(n: int) -> list[Prompt]:
    """`bench_items` as prompts with pictures and option letters."""
    return [Prompt(text=item.prompt, images=(item.image(),), options=LETTERS) for item in bench_items(n)]


def bench_conditions(intervention: InterventionSpec, n_edits: int) -> tuple[ConditionSpec, ...]:
    """`n_edits` different edits: the sets, their unions in pairs, then the sets again at other strengths."""
    names = [feature_set.name for feature_set in intervention.sets]
    heads = [*names, *("+".join(pair) for pair in combinations(names, 2))]
    stronger = (f"{name}:scale={10 + step}" for step in count() for name in names)
    expressions = [*heads, *islice(stronger, max(0, n_edits - len(heads)))][:n_edits]
    return tuple(parse_condition(expression, intervention.default_edit) for expression in expressions)


def compiled_edits(options: argparse.Namespace) -> tuple[SAE, list[CompiledCondition]]:
    """SAE and edits of the intervention that the options name. Raises SpecError for fewer than two conditions."""
    if options.conditions < 2:
        raise SpecError("--conditions must be at least 2.", hint="Give the baseline and at least one edit.")
    intervention = load_intervention(getattr(options, "intervention", Path(options.model).name))
    specs = bench_conditions(intervention.spec, options.conditions - 1)
    sae, layer = intervention.sae, intervention.spec.layer
    return sae, [compile_condition(spec, intervention.sets, sae, layer) for spec in specs]
