"""A section for a model's card on the Hugging Face hub: `model-index` for its widgets, a table and a recipe for people.

The front matter is what the hub reads (https://github.com/huggingface/hub-docs/blob/main/modelcard.md): one result for
each task and one for all items, of the model without edits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import yaml

from vsc_eval.analysis.rows import Row
from vsc_eval.board.board import Board
from vsc_eval.board.figure import known_accuracies
from vsc_eval.board.records import Entry
from vsc_eval.specs import BASELINE
from vsc_eval.stats import Figure
from vsc_eval.tables import clean
from vsc_eval.tables.clean import LONG, SHORT, code, markdown
from vsc_eval.tables.formats import to_markdown
from vsc_eval.tables.table import columns, table

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

TASK_TYPE = "visual-question-answering"
_WIDTH = 1_000_000
"""No folded lines: a value is on the line of its key."""
_DIGITS = 6
_OPTIONS = (
    "revision", "intervention", "tasks", "conditions", "n", "limit", "scoring", "max_new_tokens", "dtype", "backend",
    "seed", )  # fmt: skip
"""Of `vsc-eval run`, that change what is asked."""
_PLAIN_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./:=+\-]{0,120}")


def model_card(entry: Entry, board: Board) -> str:
    """The card as Markdown with its YAML front matter; ends with a newline."""
    # Loads a tenth of a second of huggingface_hub, for cards alone.
    from huggingface_hub.repocard_data import eval_results_to_model_index

    index = eval_results_to_model_index(clean.name(entry.name, LONG), list(_results(entry, board)))
    front = yaml.safe_dump({"model-index": index}, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return f"---\n{front}---\n\n{_body(entry, board)}"


def _scored(entry: Entry) -> list[Row]:
    """The baseline's rows by task, then of all items."""
    return [row for row, _ in (*known_accuracies(entry, "task"), *known_accuracies(entry, "all"))]


def _results(entry: Entry, board: Board) -> Iterator[EvalResult]:
    main = [figure for figure in entry.results.official if figure.condition == BASELINE and figure.is_main]
    for row in _scored(entry):
        about = {"n": row.n, "invalid": row.n_invalid, "interval": clean.name(row.method, LONG)}
        yield _result(entry, board, row, "accuracy", "Accuracy", row.accuracy, about)
        for figure in main:
            if figure.task == row.task and figure.figure != "accuracy" and figure.value.value is not None:
                name = clean.name(figure.figure, LONG)
                yield _result(entry, board, row, name, name, figure.value, {})


def _result(
    entry: Entry, board: Board, row: Row, metric: str, metric_name: str, value: Figure, about: dict[str, Any]
) -> EvalResult:
    """One metric of the items of a row."""
    from huggingface_hub import EvalResult

    task = None if row.task is None else board.spec.tasks.get(row.task)
    is_synthetic = entry.generator_version is not None and (task is None or task.kind == "synthetic")
    name = "all items" if row.task is None else clean.name(row.task, LONG)
    asked: dict[str, Any] = {"scoring": entry.scoring}
    if is_synthetic:
        asked["generator_version"] = entry.generator_version
    if task is not None:
        asked["items_sha256"] = {clean.name(level, LONG): group.sha256 for level, group in task.levels.items()}
    ends = {key: round(end, _DIGITS) for key, end in (("low", value.low), ("high", value.high)) if end is not None}
    assert value.value is not None
    return EvalResult(
        task_type=TASK_TYPE,
        task_name="Visual Question Answering",
        dataset_type=board.spec.name,
        dataset_name=f"{clean.name(board.spec.title, LONG)}: {name}",
        dataset_config="all" if row.task is None else name,
        dataset_split="test" if is_synthetic else None,
        dataset_args=asked,
        metric_type=metric,
        metric_name=metric_name,
        metric_value=round(value.value, _DIGITS),
        metric_args={**about, **ends},
        source_name=clean.name(board.spec.title, LONG) if board.spec.url else None,
        source_url=board.spec.url,
    )


def _body(entry: Entry, board: Board) -> str:
    about = entry.about
    title = markdown(board.spec.title, LONG)
    where = f"[{title}]({board.spec.url})" if board.spec.url else title
    versions = ", ".join(
        f"{name} {markdown(about.packages[name], SHORT)}"
        for name in ("vsc-eval", "torch", "transformers", "vllm")
        if name in about.packages
    )
    scored = _scored(entry)
    heads = columns("task", ("items", "count"), ("accuracy, %", "percent"), ("unreadable answers", "count"))
    rows = [(row.task or "all items", row.n, row.accuracy, row.n_invalid) for row in scored]
    parts = [
        f"## Evaluation on {where}",
        f"Model {markdown(entry.name, LONG)} without edits, {entry.backend} in "
        f"{markdown(entry.about.dtype, SHORT)}, answers read "
        f"{'from the option letters' if entry.scoring == 'loglikelihood' else 'from generated text'}.",
        to_markdown(table("accuracy", "Accuracy", heads, rows), heading="###").rstrip("\n"),
        f"Intervals: {markdown('; '.join(dict.fromkeys(clean.name(row.method, LONG) for row in scored)))}.",
        "### How to reproduce",
        f"```sh\n{_command(entry)}\nvsc-eval publish OUT --to BOARD\n```",
        f"The entry `{entry.id}` of the board (sha256 `{about.sha256}`) holds every answer and all settings; a run "
        f"that asks the same of the same weights gets the same id. Weights: {code(entry.fingerprint, SHORT)}. "
        f"Versions: {versions or 'not known'}. Machine: {markdown(about.machine, LONG)}. "
        f"Date: {markdown(about.day, SHORT)}.",
    ]
    if entry.edits:
        parts.insert(4, f"The entry also holds {len(entry.edits)} conditions with edits of the model's activations.")
    return "\n\n".join(parts) + "\n"


def _command(entry: Entry) -> str:
    """What made the entry. A line that people paste into a shell has plain words only, and placeholders for others."""
    if entry.is_study:
        return "vsc-eval study study.yaml --out OUT    # study.yaml: `provenance.settings` of the entry"
    settings, words = entry.settings, ["vsc-eval", "run"]
    words += ["--model", _word(settings.get("model", entry.name), "MODEL")]
    for option in _OPTIONS:
        value = settings.get(option)
        if value is None or value == []:
            continue
        joined = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        words += [f"--{option.replace('_', '-')}", _word(joined, option.upper(), commas=True)]
    return " ".join([*words, "--out", "OUT"])


def _word(value: object, placeholder: str, *, commas: bool = False) -> str:
    parts = str(value).split(",") if commas else [str(value)]
    return ",".join(parts) if all(_PLAIN_WORD.fullmatch(part) for part in parts) else placeholder
