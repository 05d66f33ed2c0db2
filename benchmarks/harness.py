"""`python -m benchmarks.harness`: the unedited model by vsc-hf against lm-eval's `hf-multimodal`."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import lm_eval
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

from benchmarks.shared import Timed, build_parser, run, table, take_turns
from vsc_eval.answers.store import AnswerStore
from vsc_eval.errors import BackendError
from vsc_eval.lmeval.lm import VscHF
from vsc_eval.lmeval.scoring import read_text
from vsc_eval.lmeval.session_lm import SessionLM
from vsc_eval.lmeval.tasks import quiet_harness
from vsc_eval.resources import embedded_dir, tasks_dir

LM_EVAL_BATCH_SIZE = 1
"""What lm-eval takes if no --batch_size is given."""

_NEEDED = ("accelerate", "peft")


def bench_harness(
    model: str = "vsc-tiny",
    *,
    tasks: Sequence[str] = ("vsc",),
    n: int = 4,
    repeats: int = 3,
    batch_size: int = 16,
    their_batch_sizes: Sequence[int] = (LM_EVAL_BATCH_SIZE, 16),
) -> tuple[list[Timed], list[tuple[str, ...]]]:
    """`evaluate_in_turns` of ours and theirs. Raises BackendError if lm-eval's model cannot be imported."""
    theirs = {f"hf-multimodal, batch {size}": _their_model(model, size) for size in their_batch_sizes}
    ours = {f"vsc-hf, batch {batch_size}": VscHF(model, batch_size=batch_size, device="cpu")}
    return evaluate_in_turns({**ours, **theirs}, tasks=tasks, n=n, repeats=repeats)


def evaluate_in_turns(
    models: dict[str, LM], *, tasks: Sequence[str], n: int, repeats: int
) -> tuple[list[Timed], list[tuple[str, ...]]]:
    """Time `lm_eval.evaluate` of loaded models on `n` items a cell; also their parsed answers."""
    manager = TaskManager(include_path=str(tasks_dir()), include_defaults=False, metadata={"vsc_n": n})
    n_items = sum(len(task.eval_docs) for task in manager.load(list(tasks))["tasks"].values())
    return take_turns(
        {label: (n_items, partial(task_answers, lm, manager, tasks)) for label, lm in models.items()}, repeats
    )


def report(timed: Sequence[Timed], answers: Sequence[Sequence[str]]) -> list[str]:
    """The lines to print: times, and how many of the parsed answers are those of the first."""
    lines = table(timed, "items")
    for one, theirs in zip(timed[1:], answers[1:], strict=True):
        same = sum(a == b for a, b in zip(answers[0], theirs, strict=True))
        lines.append(f"same answers as {one.label}: {same} of {len(theirs)} ({same / len(theirs):.1%})")
    return lines


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
    if isinstance(lm, SessionLM):
        lm.session.store = AnswerStore(":memory:")
    # Ours apply the chat template by themselves; the others only on demand.
    found: Any = lm_eval.evaluate(
        lm, manager.load(list(tasks)), apply_chat_template=not isinstance(lm, SessionLM), bootstrap_iters=0
    )
    samples = found["samples"]
    return tuple(
        read_text(sample["doc"], sample["resps"][0][0]).read for task in sorted(samples) for sample in samples[task]
    )


def bench(options: argparse.Namespace) -> list[str]:
    """The lines to print."""
    with quiet_harness():
        timed, answers = bench_harness(
            options.model,
            tasks=[name.strip() for name in options.tasks.split(",")],
            n=options.n,
            repeats=options.repeats,
            batch_size=options.batch_size,
            their_batch_sizes=options.their_batch_sizes,
        )
    return report(timed, answers)


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    parser = build_parser("harness", "The baseline against lm-eval's hf-multimodal on the same items.")
    parser.add_argument("--tasks", default="vsc", help="tasks with text answers, separated by commas")
    parser.add_argument("--their-batch-sizes", type=int, nargs="+", default=[1, 16], help="of hf-multimodal")
    return run(parser, bench, argv)


if __name__ == "__main__":
    sys.exit(main())
