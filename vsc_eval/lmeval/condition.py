"""One condition of a sweep, asked and scored by lm-eval itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lm_eval.evaluator import simple_evaluate
from lm_eval.loggers import EvaluationTracker

from vsc_eval.errors import BackendError
from vsc_eval.lmeval.scoring import Answer, likeliest, read_text
from vsc_eval.lmeval.session_lm import DocKey, SessionLM
from vsc_eval.lmeval.tasks import SweepTasks, quiet_harness


def score_condition(
    model: SessionLM, tasks: SweepTasks, folder: Path | None, *, name: str, seed: int
) -> dict[DocKey, Answer]:
    """Run lm-eval on all tasks under the model's condition and write its files; the answers as lm-eval scored them.

    `name` is the model's in lm-eval's files. Raises BackendError if they cannot be written.
    """
    max_new_tokens = tasks.spec.max_new_tokens
    tracker = EvaluationTracker(output_path=str(folder)) if folder else None
    with quiet_harness():
        outcome = simple_evaluate(
            model=model,
            model_args={"pretrained": name, "condition": model.condition},
            tasks=list(tasks.names),
            task_manager=tasks.manager,
            limit=tasks.spec.limit,
            gen_kwargs=None if max_new_tokens is None else {"max_gen_toks": max_new_tokens},
            evaluation_tracker=tracker,
            batch_size=model.session.engine.batch_size,
            device=str(model.session.vlm.device),
            random_seed=seed,
            numpy_random_seed=seed,
            torch_random_seed=seed,
            fewshot_random_seed=seed,
            # Of our metrics all are means, whose error has a formula; for others lm-eval's own default is meant.
            bootstrap_iters=1000,
        )
        assert outcome is not None
        samples = outcome["samples"]
        answers = _parsed(samples, tasks)
        _check_accuracies(answers, outcome["results"], tasks, model.condition)
        if folder is not None and tracker is not None:
            results = {key: value for key, value in outcome.items() if key != "samples"}
            tracker.save_results_aggregated(results=results, samples=samples)
            for task, rows in samples.items():
                tracker.save_results_samples(task_name=task, samples=rows)
            # Out of the subfolder that lm-eval names after the model.
            for subfolder in [path for path in folder.iterdir() if path.is_dir()]:
                for path in list(subfolder.iterdir()):
                    path.replace(folder / path.name)
                subfolder.rmdir()
            _check_written(folder, samples)
    return answers


def _parsed(samples: Mapping[str, Any], tasks: SweepTasks) -> dict[DocKey, Answer]:
    """The answers, from the responses that lm-eval itself scored."""
    answers = {}
    for name, rows in samples.items():
        for sample in (sample for sample in rows if sample["filter"] == rows[0]["filter"]):
            key, doc, responses = (name, int(sample["doc_id"])), sample["doc"], sample["filtered_resps"]
            if tasks.spec.scoring == "loglikelihood":
                answers[key] = likeliest(doc, tasks.letters[key], [logprob for logprob, _ in responses])
            else:
                answers[key] = read_text(doc, responses[0])
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
    n_lines = {}
    for path in folder.glob("samples_*.jsonl"):
        with path.open("rb") as file:
            n_lines[path.name.removeprefix("samples_").rsplit("_", 1)[0]] = sum(1 for _ in file)
    wanted = {name: len(rows) for name, rows in samples.items()}
    if len(list(folder.glob("results_*.json"))) != 1 or not wanted.items() <= n_lines.items():
        raise BackendError(
            f"lm-eval's files could not be written to {folder}.",
            hint="Check that the disk has space and give the same command again; stored answers are kept.",
        )
