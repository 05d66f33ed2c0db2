"""The lm-eval tasks of a sweep: which they are, what is known of their items before a model has seen them, and their
scoring by lm-eval itself, one condition after the other."""

import difflib
import logging
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, NoReturn

import lm_eval.api.task
from datasets.exceptions import DatasetsError
from lm_eval.evaluator import simple_evaluate
from lm_eval.loggers import EvaluationTracker
from lm_eval.tasks import TaskManager
from PIL import Image
from torch.utils import collect_env

from vsc_eval.answers.answer_table import AskedItem, Scoring
from vsc_eval.backends.hf.prompts import Prompt
from vsc_eval.errors import BackendError, DataError, SpecError
from vsc_eval.files import short_hash
from vsc_eval.lmeval.documents import loaded
from vsc_eval.lmeval.scoring import Answer, is_external, likeliest, option_letters, read_text
from vsc_eval.lmeval.session_lm import DocKey, SessionLM
from vsc_eval.lmeval.task_index import benchmark_dir, chosen_files, clear_errors, compiled_folder
from vsc_eval.settings import AskSpec
from vsc_eval.taskfiles.schema import DataReport, TaskFile

_OUTPUT_TYPES = {"loglikelihood": "multiple_choice", "generate": "generate_until"}


@dataclass(frozen=True)
class SweepTasks:
    """The tasks of a sweep, found and checked."""

    spec: AskSpec
    manager: TaskManager
    names: tuple[str, ...]
    """As lm-eval is asked for them: cells, tags, groups."""
    items: dict[DocKey, AskedItem] = field(default_factory=dict)
    letters: dict[DocKey, tuple[str, ...]] = field(default_factory=dict)
    documents: dict[DocKey, Mapping[str, Any]] = field(default_factory=dict)
    """What lm-eval calls a doc: of ours, with which a text is read; none of other tasks, whose texts are not."""
    hashes: dict[str, str] = field(default_factory=dict)
    """Task -> hash of its documents."""
    reports: dict[str, DataReport] = field(default_factory=dict)
    """Task of a task file -> what became of its rows."""


_environment_report = cache(collect_env.get_pretty_env_info)


@contextmanager
def quiet_harness() -> Iterator[None]:
    """Hold back lm-eval's remarks below errors and its bars; one a task and condition would bury the tables, and ours
    has the time left of the whole run. It asks pip and the system what is installed once, not once for each condition
    (a second each)."""
    logger = logging.getLogger("lm_eval")
    level, bar, report = logger.level, lm_eval.api.task.tqdm, collect_env.get_pretty_env_info
    logger.setLevel(logging.ERROR)
    lm_eval.api.task.tqdm = partial(bar, disable=True)
    collect_env.get_pretty_env_info = _environment_report
    try:
        yield
    finally:
        logger.setLevel(level)
        lm_eval.api.task.tqdm = bar
        collect_env.get_pretty_env_info = report


def find_tasks(spec: AskSpec) -> SweepTasks:
    """Load the tasks' documents. A name without a scoring stands for its variant of the spec's; task files are named as
    `cvbench` or by their path.

    Raises SpecError for an unknown task, one of another scoring, or one without options, DataError for data that cannot
    be loaded.
    """
    names, files = chosen_files(spec)
    with quiet_harness():
        manager = _manager(names, spec, files)
        variants = {name: _variant(name, spec.scoring, manager) or _unknown(name, manager) for name in names}
        found = SweepTasks(spec, manager, tuple(dict.fromkeys(variants.values())))
        tasks = _load(manager, found.names)
        for name, task in tasks.items():
            _check_scoring(name, task, spec.scoring)
            contents = []
            for doc_id, doc in task.doc_iterator(rank=0, limit=spec.limit, world_size=1):
                found.items[name, doc_id], found.letters[name, doc_id] = _item(name, task, doc_id, doc)
                if is_external(doc) or option_letters(doc):
                    found.documents[name, doc_id] = doc
                if is_external(doc):
                    found.reports[name] = loaded(doc).report
                contents.append(repr(_by_content(doc)))
            found.hashes[name] = short_hash(*contents)
    _check_items(found.items)
    if spec.n is not None and not any("vsc_task" in (task.config.metadata or {}) for task in tasks.values()):
        said = "--n sizes the cells of the synthetic benchmark, and no task here is of it."
        raise SpecError(said, hint="Use --limit instead.")
    return found


def _manager(names: Sequence[str], spec: AskSpec, files: Mapping[str, TaskFile]) -> TaskManager:
    """lm-eval's index of the benchmark, the task files and what else the user's folders hold."""
    compiled = compiled_folder(files.values())
    folders = [str(folder) for folder in (benchmark_dir(), *spec.include_path, compiled.name)]
    metadata = {} if spec.n is None else {"vsc_n": spec.n}
    manager = TaskManager(include_path=folders, include_defaults=False, metadata=metadata)
    unknown = [name for name in names if _variant(name, spec.scoring, manager) is None]
    if unknown and not any(name.startswith("vsc") for name in unknown):
        # lm-eval's own tasks take seconds to index, so only for a name that cannot be ours.
        manager = TaskManager(include_path=folders, metadata=metadata)
    # lm-eval reads a file again whenever it loads its task.
    weakref.finalize(manager, compiled.cleanup)
    return manager


def _load(manager: TaskManager, names: Sequence[str]) -> dict[str, Any]:
    try:
        with clear_errors():
            tasks: dict[str, Any] = manager.load(list(names))["tasks"]
    except (OSError, DatasetsError) as error:
        raise DataError(
            f"The data of {', '.join(names)} cannot be loaded: {error}.",
            hint="Check the connection to the hub, or fill its cache beforehand; the `vsc` tasks need neither.",
        ) from error
    return tasks


def _by_content(value: Any) -> Any:
    """`value` with pictures as hashes of their pixels: their own repr names a place in memory."""
    if isinstance(value, Image.Image):
        return f"pixels:{Prompt(text='', images=(value,)).image_hash}"
    if isinstance(value, Mapping):
        return sorted((key, _by_content(part)) for key, part in value.items())
    if isinstance(value, list | tuple):
        return [_by_content(part) for part in value]
    return value


def _variant(name: str, scoring: Scoring, manager: TaskManager) -> str | None:
    known = set(manager.all_tasks)
    wanted = f"{name}_choice" if scoring == "loglikelihood" else name
    return wanted if wanted in known else name if name in known else None


def _unknown(name: str, manager: TaskManager) -> NoReturn:
    close = difflib.get_close_matches(name, manager.all_tasks, n=3) or ["vsc", "vsc_counting", "vsc_easy"]
    hint = f"Did you mean {', '.join(close)}? `vsc-eval tasks list` shows all."
    raise SpecError(f"Unknown task '{name}'.", hint=hint)


def _check_scoring(name: str, task: Any, scoring: Scoring) -> None:
    output_type = task.config.output_type
    if task.config.repeats != 1:
        raise SpecError(
            f"Task '{name}' asks each question {task.config.repeats} times; a run compares conditions by itself.",
            hint="Use the plain task here, or this one with `vsc-eval harness`.",
        )
    if output_type != _OUTPUT_TYPES[scoring]:
        fitting = next((known for known, kind in _OUTPUT_TYPES.items() if kind == output_type), None)
        raise SpecError(
            f"Task '{name}' is of lm-eval's type {output_type}, which is not what --scoring {scoring} reads.",
            hint=f"Use --scoring {fitting}." if fitting else "Use it with `vsc-eval harness`.",
        )


def _item(name: str, task: Any, doc_id: int, doc: Mapping[str, Any]) -> tuple[AskedItem, tuple[str, ...]]:
    """One item and its letters: of a task file, the synthetic benchmark, or any lm-eval multiple-choice task."""
    if is_external(doc):
        item = AskedItem(
            item_id=doc["id"],
            doc_id=doc_id,
            task=name.removesuffix("_choice"),
            gold=doc["answer"],
            gold_index=doc["gold_index"] if doc["gold_index"] >= 0 else None,
            categories=tuple((column, value) for column, value in doc["categories"]),
            fields=tuple((column, value) for column, value in doc["fields"]),
            group=doc["group"] or None,
            score=doc["score"] or None,
            accepted=tuple(doc["accepted"]),
            **{key: doc[key] for key in ("cluster", "cluster_kind", "group_size")},
        )
        return item, tuple(doc["answers"])
    if letters := option_letters(doc):
        item = AskedItem(
            item_id=doc["id"],
            doc_id=doc_id,
            split=doc.get("split"),
            task=doc.get("task") or name,
            level=doc.get("level"),
            cluster=doc.get("orbit_id") or doc["id"],
            gold=doc["answer"],
            gold_index=letters.index(doc["answer"]),
        )
        return item, letters
    letters, gold = _choices(name, task, doc)
    item_id = f"{name}/{doc_id}"
    images = tuple(image for image in task.doc_to_image(doc) or () if isinstance(image, Image.Image))
    item = AskedItem(
        item_id=item_id,
        doc_id=doc_id,
        task=name,
        cluster=Prompt(text="", images=images).image_hash if images else item_id,
        gold=letters[gold],
        gold_index=gold,
        cluster_kind="image" if images else "item",
    )
    return item, letters


def _choices(name: str, task: Any, doc: Mapping[str, Any]) -> tuple[tuple[str, ...], int]:
    """Letters for the options of another's multiple-choice document, and the place of the right one."""
    if task.config.output_type == "multiple_choice":
        choices, gold = list(task.doc_to_choice(doc)), task.doc_to_target(doc)
        # lm-eval takes the option itself as well as its place.
        if isinstance(gold, str) and gold in choices:
            gold = choices.index(gold)
        if len(set(choices)) == len(choices) and isinstance(gold, int) and 0 <= gold < len(choices):
            return tuple(chr(ord("A") + place) for place in range(len(choices))), gold
    raise SpecError(
        f"Task '{name}' has no options with one right answer, which a run needs to tell how answers change.",
        hint="Use it with `vsc-eval harness`.",
    )


def _check_items(items: Mapping[DocKey, AskedItem]) -> None:
    tasks: dict[str, str] = {}
    for (task, _), item in items.items():
        if item.item_id in tasks:
            raise SpecError(
                f"Item '{item.item_id}' is in both '{tasks[item.item_id]}' and '{task}'.",
                hint="Name tasks that do not overlap; each item counts once.",
            )
        tasks[item.item_id] = task
    if not items:
        raise SpecError("The tasks have no items.", hint="Raise --limit or --n.")


def score_condition(
    model: SessionLM, tasks: SweepTasks, folder: Path | None, *, name: str, seed: int
) -> dict[DocKey, Answer]:
    """Run lm-eval on all tasks under the model's condition and write its files; the answers as lm-eval scored them.
    `name` is the model's in lm-eval's files. Raises BackendError if they cannot be written."""
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
