"""Read a finished run's folder: run.yaml (of a study: study.yaml) says how it was made, answers.parquet and the two
files beside it what was asked and answered. And what is wrong with a table that its reader takes: of another writer, or
edited by hand."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from vsc_eval.answers.answer_table import FLOAT_COLUMNS, Answers, AnswerTable
from vsc_eval.answers.bounded import damaged, read_json
from vsc_eval.answers.parquet import read_table, table_files
from vsc_eval.errors import SpecError
from vsc_eval.extract import INVALID
from vsc_eval.files import file_hash

RUN_FILES = RUN, STUDY = "run.yaml", "study.yaml"
"""Which of them is there says what made the folder; both have the sections that are read here."""

LOCAL_FILE = "local.yaml"
"""When and on what it was computed; a folder without it is read all the same."""

RESULTS = "results.json"
AGAIN = "Give the command that made it again, with the same --out: stored answers are not computed again."

Fault = tuple[str, str]
"""Dotted place, and what is wrong there."""

_ROUNDING = 1e-3
"""Float32 probabilities need not add up to 1 exactly, nor KL be above 0."""
_ODD = -2


@dataclass(frozen=True)
class FinishedRun:
    """A run as its folder tells it."""

    path: Path
    is_study: bool
    document: Mapping[str, Any]
    """run.yaml or study.yaml."""
    attempts: tuple[Mapping[str, Any], ...]
    """When and on what it was computed, one entry for each start."""
    table: AnswerTable

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.section("settings")

    @property
    def hashes(self) -> Mapping[str, Any]:
        return self.section("hashes")

    def section(self, name: str) -> Mapping[str, Any]:
        """A section of run.yaml; empty where a writer has none."""
        section = self.document.get(name)
        return section if isinstance(section, dict) else {}

    @cached_property
    def results(self) -> dict[str, Any]:
        """results.json. Raises SpecError if it is not there, DataError if it is damaged."""
        if not (self.path / RESULTS).is_file():
            raise SpecError(f"{self.path} has no {RESULTS}: it did not come to its end.", hint=AGAIN)
        return read_json(self.path / RESULTS)

    @cached_property
    def places(self) -> dict[str, int]:
        """Place of each item in the table."""
        return {item.item_id: place for place, item in enumerate(self.table.items)}


def read_run(path: Path) -> FinishedRun:
    """Read and check a run's folder. Raises SpecError if it is no run, is unfinished, or is of another version;
    DataError if a file is damaged."""
    # A folder without any is named by the first.
    file = next((path / name for name in RUN_FILES if (path / name).is_file()), path / RUN_FILES[0])
    document = _document(file)
    _check_files(file, document)
    table = read_table(path)
    for _, fault in shape_faults(table):
        raise damaged(path / table_files()[-1], fault)
    local = _document(path / LOCAL_FILE) if (path / LOCAL_FILE).is_file() else document
    return FinishedRun(
        path=path,
        is_study=file.name == STUDY,
        document=document,
        attempts=tuple(entry for entry in local.get("attempts") or () if isinstance(entry, dict)),
        table=table,
    )


def _document(file: Path) -> dict[str, Any]:
    try:
        # The C parser is ten times as fast, and is not in every build of PyYAML.
        document = yaml.load(file.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SpecError(
            f"{file.parent} is no run's folder: it has no {' or '.join(RUN_FILES)}.",
            hint="Name the folder that `vsc-eval run` or `vsc-eval study` was given with --out.",
        ) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise damaged(file, "it cannot be read as YAML") from error
    if not isinstance(document, dict):
        raise damaged(file, "it holds no keys and values")
    return document


def _check_files(file: Path, document: Mapping[str, Any]) -> None:
    """The section `files`, which is written last: name -> sha256. A writer that leaves a hash out gives up the check
    for damage."""
    section = document.get("files")
    if section is None:
        raise SpecError(
            f"The run in {file.parent} is not finished: its {file.name} does not say what is in {table_files()[-1]}.",
            hint=f"{AGAIN} That also fixes a run of an earlier version, which wrote no such file.",
        )
    if not isinstance(section, dict):
        raise damaged(file, "its section `files` is not as it was written")
    for name in table_files():
        if not (file.parent / name).is_file():
            raise damaged(file.parent / name, "it is not there")
        stamp = section.get(name)
        if stamp is not None and file_hash(file.parent / name) != stamp:
            raise damaged(file.parent / name, f"it is not what {file.name} says was written")


def shape_faults(table: AnswerTable) -> Iterator[Fault]:
    """What no analysis can go on with."""
    if len({item.item_id for item in table.items}) < len(table.items):
        yield "items.item_id", "an item is there twice"
    there = (~np.isnan(table.main.option_logprobs)).sum(-1)
    n_options = np.array([len(item.options) for item in table.items])
    for row, place in np.argwhere((there != 0) & (there != n_options))[:1].tolist():
        name, item = table.names[row], table.items[place].item_id
        yield (
            f"answers.{name:.80}.{item:.80}",
            f"item '{item:.80}' has {there[row, place]} log-probabilities under '{name:.80}' for {n_options[place]} "
            "options",
        )


def item_faults(table: AnswerTable) -> Iterator[Fault]:
    """Items whose right answer cannot be one."""
    for row, item in enumerate(table.items):
        if item.gold == INVALID:
            yield f"items.gold[{row}]", f"the right answer to '{item.item_id:.80}' cannot be `{INVALID}`"
        if item.options and item.gold_index is not None and not 0 <= item.gold_index < len(item.options):
            yield f"items.gold_index[{row}]", f"'{item.item_id:.80}' has no option {item.gold_index}"


def answer_faults(name: str, answers: Answers, table: AnswerTable) -> Iterator[Fault]:
    """The first fault of each kind among the answers of the pass of that name: log-probabilities that are none, answers
    that are none of the options or not the likeliest, distances below 0."""
    logprobs = answers.option_logprobs.astype(np.float64)
    chosen = _chosen(answers, table)
    faults: list[tuple[np.ndarray[Any, Any], str]] = []
    if logprobs.shape[2]:
        there = np.nan_to_num(logprobs, nan=-np.inf)
        top, total = there.max(-1), np.exp(np.minimum(there, 1)).sum(-1)
        faults.append((top > _ROUNDING, "a log-probability is above 0"))
        faults.append((total > 1 + _ROUNDING, "the probabilities add up to {total:.4f}"))
        of_chosen = np.take_along_axis(there, np.clip(chosen, 0, logprobs.shape[2] - 1)[:, :, None], axis=-1)[:, :, 0]
        comparable = (chosen >= 0) & (chosen < logprobs.shape[2]) & np.isfinite(there).any(axis=-1)
        unlikely = comparable & (of_chosen < top - _ROUNDING)
        faults.append((unlikely, "'{answer:.40}' was answered, and another option is likelier"))
    faults.append((chosen == _ODD, "'{answer:.40}' is none of the options"))
    for mask, words in faults:
        for condition, item in np.argwhere(mask)[:1].tolist():
            answer = answers.vocabulary[answers.answer[condition, item]]
            shown = words.format(answer=answer, total=total[condition, item] if logprobs.shape[2] else 0)
            place = f"{answers.names[condition]:.80}.{table.items[item].item_id:.80}"
            yield f"answers.{place}" if name == "main" else f"answers.{name}.{place}", shown
    for column in FLOAT_COLUMNS:
        if column != "option_logprobs_sum" and np.any(answers.float_column(column) < -_ROUNDING):
            yield f"answers.{column}", "one is negative"


def _chosen(answers: Answers, table: AnswerTable) -> npt.NDArray[np.int64]:
    """The place of each answer among its item's options [conditions, items]; _ODD for one that is none of them where
    the right one is, -1 where answers are no options and for `invalid`."""
    found = np.full(answers.answer.shape, -1)
    for place, item in enumerate(table.items):
        if item.scoring == "loglikelihood":
            codes = answers.answer[:, place]
            none = -1 if _option(item.options, item.gold) is None else _ODD
            for code in np.unique(codes).tolist():
                word = answers.vocabulary[code]
                option = _option(item.options, word)
                found[codes == code, place] = option if option is not None else -1 if word == INVALID else none
    return found


# The same few answers come again and again.
@lru_cache(maxsize=4096)
def _option(options: tuple[str, ...], answer: str) -> int | None:
    """The place of an answer among an item's options: `no` is `No`. None where options are no answers, as texts are
    none where letters are parsed."""
    words = [option.strip().casefold() for option in options]
    return words.index(answer.casefold()) if answer.casefold() in words else None
