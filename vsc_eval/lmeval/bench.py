"""`vsc-eval bench harness`: the unedited model by vsc-hf against lm-eval's own `hf-multimodal`, on the same items."""

from __future__ import annotations

import gc
import importlib.util
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import lm_eval
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

from vsc_eval.answers.store import AnswerStore
from vsc_eval.errors import BackendError
from vsc_eval.lmeval.lm import VscHF
from vsc_eval.lmeval.scoring import parse_answer
from vsc_eval.lmeval.session_lm import SessionLM
from vsc_eval.resources import embedded_dir, tasks_dir

LM_EVAL_BATCH_SIZE = 1
"""What lm-eval takes if no --batch_size is given."""

_NEEDED = ("accelerate", "peft")


@dataclass(frozen=True)
class Contender:
    """One way to get the answers, its time in each repeat and what it answered."""

    label: str
    wall_seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]
    answers: tuple[str, ...]
    """Parsed answers in the order of the items."""


@dataclass(frozen=True)
class HarnessBench:
    """`ours` first; the others answered the same items in the same process, turn by turn."""

    ours: Contender
    theirs: tuple[Contender, ...]

    def ratio(self, other: Contender) -> float:
        """Median over the repeats of their wall time by ours."""
        return statistics.median(t / o for t, o in zip(other.wall_seconds, self.ours.wall_seconds, strict=True))

    def same(self, other: Contender) -> int:
        """Items with the same parsed answer."""
        return sum(a == b for a, b in zip(self.ours.answers, other.answers, strict=True))

    def report(self) -> str:
        """The table that the command prints."""
        n = len(self.ours.answers)
        head = f"{'':<34} {'wall s (median)':>16} {'cpu s':>8} {'items/s':>8} {'ratio':>7}   same answers"
        lines = [f"{n} items, {len(self.ours.wall_seconds)} repeats, interleaved", head]
        for one in (self.ours, *self.theirs):
            wall, cpu = statistics.median(one.wall_seconds), statistics.median(one.cpu_seconds)
            rest = (
                ""
                if one is self.ours
                else f"{self.ratio(one):>6.2f}x   {self.same(one)}/{n} ({self.same(one) / n:.1%})"
            )
            lines.append(f"{one.label:<34} {wall:>16.2f} {cpu:>8.2f} {n / wall:>8.2f} {rest}")
        return "\n".join(lines)


def bench_harness(
    model: str = "vsc-tiny",
    *,
    tasks: Sequence[str] = ("vsc",),
    n: int = 4,
    repeats: int = 3,
    batch_size: int = 16,
    their_batch_sizes: Sequence[int] = (LM_EVAL_BATCH_SIZE, 16),
) -> HarnessBench:
    """Time `lm_eval.evaluate` on `n` items a cell, models loaded before; nothing is taken from a store.

    Raises BackendError if lm-eval's model cannot be imported.
    """
    theirs = [(f"hf-multimodal, batch {size}", _their_model(model, size)) for size in their_batch_sizes]
    own = VscHF(model, batch_size=batch_size, device="cpu")
    contenders: list[tuple[str, LM]] = [(f"vsc-hf, batch {batch_size}", own), *theirs]
    ours, *others = take_turns(contenders, task_manager(n), tasks, repeats)
    return HarnessBench(ours, tuple(others))


def task_manager(n: int) -> TaskManager:
    """lm-eval's view of the built-in tasks with `n` items a cell."""
    return TaskManager(include_path=str(tasks_dir()), include_defaults=False, metadata={"vsc_n": n})


def take_turns(
    contenders: Sequence[tuple[str, LM]], manager: TaskManager, tasks: Sequence[str], repeats: int
) -> list[Contender]:
    """Time (label, model) pairs on the same tasks, turn by turn; nothing is taken from a store."""
    contenders = list(contenders)
    wall: dict[str, list[float]] = {label: [] for label, _ in contenders}
    cpu: dict[str, list[float]] = {label: [] for label, _ in contenders}
    answers: dict[str, tuple[str, ...]] = {}
    for turn in range(repeats):
        # Every repeat begins with another one: a machine that warms up or slows down favours nobody.
        for label, lm in contenders[turn % len(contenders) :] + contenders[: turn % len(contenders)]:
            if isinstance(lm, SessionLM):
                lm.session.store = AnswerStore(":memory:")
            gc.collect()
            started = time.perf_counter(), time.process_time()
            answers[label] = task_answers(lm, manager, tasks)
            wall[label].append(time.perf_counter() - started[0])
            cpu[label].append(time.process_time() - started[1])
    return [Contender(label, tuple(wall[label]), tuple(cpu[label]), answers[label]) for label, _ in contenders]


def _their_model(model: str, batch_size: int) -> LM:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise BackendError(
            f"lm-eval's hf-multimodal needs {' and '.join(missing)}.", hint=f"Run `pip install {' '.join(missing)}`."
        )
    from lm_eval.models.hf_vlms import HFMultimodalLM

    folder = str(embedded_dir(model)) if model == "vsc-tiny" else model
    return HFMultimodalLM(folder, batch_size=batch_size, device="cpu", dtype="auto")


def task_answers(lm: LM, manager: TaskManager, tasks: Sequence[str]) -> tuple[str, ...]:
    """Parsed answers to all items of the tasks, by lm-eval's own evaluator."""
    # Ours apply the chat template by themselves; the others only on demand.
    found: Any = lm_eval.evaluate(
        lm, manager.load(list(tasks)), apply_chat_template=not isinstance(lm, SessionLM), bootstrap_iters=0
    )
    samples = found["samples"]
    return tuple(
        parse_answer(sample["doc"], sample["resps"][0][0]) for task in sorted(samples) for sample in samples[task]
    )
