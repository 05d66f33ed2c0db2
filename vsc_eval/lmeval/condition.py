"""One condition of a sweep, asked and scored by lm-eval itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.evaluator import simple_evaluate
from lm_eval.loggers import EvaluationTracker
from torch.utils import collect_env

from vsc_eval.answers.answer_table import Scoring
from vsc_eval.backends.ask import Session
from vsc_eval.backends.hf.prompts import Prompt
from vsc_eval.backends.protocol import GenSettings
from vsc_eval.errors import BackendError
from vsc_eval.lmeval.requests import gen_settings
from vsc_eval.lmeval.session_lm import SessionLM
from vsc_eval.lmeval.tasks import Answer, DocKey, SweepTasks, parse_sample, quiet_harness
from vsc_eval.specs import BASELINE


@dataclass(frozen=True)
class HarnessSettings:
    """What lm-eval is told of a run beside its tasks."""

    model: str
    scoring: Scoring
    limit: int | None
    max_new_tokens: int | None
    seed: int


@dataclass(frozen=True)
class Question:
    """What a document was asked."""

    prompt: Prompt
    settings: GenSettings
    stops: tuple[str, ...]


class SweepLM(SessionLM):
    """A session's model that remembers what each document was asked, so that all answers can be found again.

    Under the baseline, with which a sweep begins, all conditions of the session are asked; the others then find their
    answers stored.
    """

    def __init__(self, session: Session, condition: str) -> None:
        super().__init__(session, condition)
        self.questions: dict[DocKey, Question] = {}

    def _asked_together(self, names: Sequence[str]) -> Sequence[str]:
        return list(self.session.conditions) if self.condition == BASELINE else names

    def _answered(self, settings: GenSettings, asked: Sequence[tuple[Instance, Prompt]]) -> None:
        for request, prompt in asked:
            generates = settings.scoring == "generate"
            stops = gen_settings(request.task_name, request.args[1])[1] if generates else ()
            self.questions[_key(request)] = Question(prompt, settings, stops)
            # lm-eval's log would hold the sha256 of a PNG of every picture, written anew for each option and condition.
            if len(request.args) > 2 and request.args[2].get("visual"):
                visual = [f"pixels:{prompt.image_hash}"]
                request.arguments = (*request.args[:2], {**request.args[2], "visual": visual})


def _key(request: Instance) -> DocKey:
    assert request.task_name is not None
    assert request.doc_id is not None
    return request.task_name, request.doc_id


@contextmanager
def one_environment_report() -> Iterator[None]:
    """Let lm-eval ask pip and the system what is installed once, not once for each condition (a second each)."""
    original = collect_env.get_pretty_env_info
    collect_env.get_pretty_env_info = cache(original)
    try:
        yield
    finally:
        collect_env.get_pretty_env_info = original


def score_condition(
    model: SweepLM,
    tasks: SweepTasks,
    settings: HarnessSettings,
    folder: Path | None,
) -> dict[DocKey, Answer]:
    """Run lm-eval on all tasks under the model's condition and write its files; the answers as lm-eval scored them.

    Raises BackendError if its files cannot be written.
    """
    tracker = EvaluationTracker(output_path=str(folder)) if folder else None
    overrides = None if settings.max_new_tokens is None else {"max_gen_toks": settings.max_new_tokens}
    with quiet_harness():
        outcome = simple_evaluate(
            model=model,
            model_args={"pretrained": settings.model, "condition": model.condition},
            tasks=list(tasks.names),
            task_manager=tasks.manager,
            limit=settings.limit,
            gen_kwargs=overrides if settings.scoring == "generate" else None,
            evaluation_tracker=tracker,
            batch_size=model.session.engine.batch_size,
            device=str(model.session.vlm.device),
            random_seed=settings.seed,
            numpy_random_seed=settings.seed,
            torch_random_seed=settings.seed,
            fewshot_random_seed=settings.seed,
            # Of our metrics all are means, whose error has a formula; for others lm-eval's own default is meant.
            bootstrap_iters=1000,
        )
        assert outcome is not None
        samples = outcome["samples"]
        answers = _parsed(samples, tasks, settings.scoring)
        _check_accuracies(answers, outcome["results"], tasks, model.condition)
        if folder is not None and tracker is not None:
            results = {key: value for key, value in outcome.items() if key != "samples"}
            tracker.save_results_aggregated(results=results, samples=samples)
            for name, rows in samples.items():
                tracker.save_results_samples(task_name=name, samples=rows)
            _flatten(folder)
            _check_written(folder, samples)
    return answers


def _flatten(folder: Path) -> None:
    """Move lm-eval's files out of the subfolder that it names after the model."""
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        path.replace(folder / path.name)
    for path in folder.iterdir():
        if path.is_dir():
            path.rmdir()


def _parsed(samples: Mapping[str, Any], tasks: SweepTasks, scoring: Scoring) -> dict[DocKey, Answer]:
    answers = {}
    for name, rows in samples.items():
        for sample in rows:
            key = (name, int(sample["doc_id"]))
            if sample["filter"] == rows[0]["filter"]:
                answers[key] = parse_sample(sample, tasks.letters[key], scoring)
    assert answers.keys() == tasks.items.keys()
    return answers


def _check_accuracies(
    answers: Mapping[DocKey, Answer], results: Mapping[str, Any], tasks: SweepTasks, condition: str
) -> None:
    """Our accuracy of every task must be the one that lm-eval computed from the same responses."""
    for name in tasks.hashes:
        theirs = results[name].get("acc,none")
        if theirs is None:
            continue
        right = [answers[key].counted == item.gold for key, item in tasks.items.items() if key[0] == name]
        ours = sum(right) / len(right)
        if abs(ours - theirs) > 1e-9:
            raise BackendError(
                f"Task '{name}' under '{condition}': our accuracy is {ours}, lm-eval's is {theirs}.",
                hint="Report it with the run's folder: one of the two reads answers wrongly. Until then use neither.",
            )


def _check_written(folder: Path, samples: Mapping[str, Any]) -> None:
    """lm-eval logs a failed write at WARNING and goes on, so look."""
    if len(list(folder.glob("results_*.json"))) == 1:
        written = {
            path.name.removeprefix("samples_").rsplit("_", 1)[0]: path for path in folder.glob("samples_*.jsonl")
        }
        if all(name in written and _lines(written[name]) == len(rows) for name, rows in samples.items()):
            return
    raise BackendError(
        f"lm-eval's files could not be written to {folder}.",
        hint="Check that the disk has space and give the same command again; stored answers are kept.",
    )


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)
