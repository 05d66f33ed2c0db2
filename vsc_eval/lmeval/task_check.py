"""`vsc-eval tasks check`: does a task file fit its data, what would a model be asked, and what could be answered with
no picture: chance, the commonest answer, and the answers of like questions.

A model that beats none of these has not been shown to see anything.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vsc_eval.errors import DataError
from vsc_eval.files import ensure_writable
from vsc_eval.lmeval.documents import adjusted, load_data
from vsc_eval.lmeval.scoring import Document, metric_of, read_text, scored_item
from vsc_eval.lmeval.task_index import chosen_files
from vsc_eval.settings import AskSpec
from vsc_eval.tables.clean import terminal
from vsc_eval.taskfiles.items import ExternalData
from vsc_eval.taskfiles.schema import TaskFile

_VALUES_SHOWN = 8
_NEIGHBOURS = 5
_MOST = 1000
"""Documents that the blind vote is taken of and by, evenly spaced: every one is compared with every other."""
_WORD = re.compile(r"\w+")


def check(spec: AskSpec, *, rows: int | None, show: int, out: Path | None) -> bool:
    """Load the first `rows` rows (None: all) of the task file of `spec`, and print what is asked and expected.

    Pictures of the `show` rows that are printed are written to `out`. Returns whether every gold answer reads back as
    itself and scores 1. Raises SpecError or DataError for what does not fit.
    """
    data = load_data(adjusted(task_file(spec), limit=rows))
    if out is not None:
        ensure_writable(out)
    wrong = [doc["id"] for doc in data.documents if not _scores_one(doc)]
    for line in _lines(data, min(show, len(data.documents)), out):
        print(terminal(line))
    if wrong:
        print(terminal(f"NOT FINE: {len(wrong)} gold answers are not read back as themselves: {', '.join(wrong[:5])}"))
    else:
        print(f"Fine: {len(data.documents)} rows; every gold answer is read back as itself and scores 1.")
    return not wrong


def task_file(spec: AskSpec) -> TaskFile:
    """The one task file that `spec` names or gives the path of, overridden. Raises SpecError or DataError."""
    _, files = chosen_files(spec)
    if not files:
        hint = "Give its path, or see `vsc-eval tasks list`."
        raise DataError(f"There is no task file '{spec.tasks[0]}'.", hint=hint)
    return next(iter(files.values()))


def _lines(data: ExternalData, n_shown: int, out: Path | None) -> Iterator[str]:
    file, report = data.file, data.report
    yield f"{file.task_name}: {' and '.join(file.kinds)}, {report.source}"
    rows = [f"{report.n_items} looked at"]
    if report.n_filtered_out:
        rows.append(f"{report.n_filtered_out} filtered out")
    if report.n_beyond_limit:
        rows.append(f"{report.n_beyond_limit} beyond the limit of this check")
    yield f"{report.n_rows} rows in the data; {', '.join(rows)}"
    kinds = dict.fromkeys(doc["cluster_kind"] for doc in data.documents)
    yield f"{len({doc['cluster'] for doc in data.documents})} clusters, by {' and '.join(kinds)}"
    for column in file.report_by:
        values = list(dict.fromkeys(dict(doc["categories"])[column] for doc in data.documents))
        more = f", ... ({len(values)} values)" if len(values) > _VALUES_SHOWN else ""
        yield f"reported by {column}: {', '.join(values[:_VALUES_SHOWN])}{more}"
    for place in range(n_shown):
        yield from _shown(data, place, out)
    found = baselines(data.documents)
    yield f"\nWithout a picture, on these {found.n} rows:"
    if found.chance is not None:
        yield f"  chance                       {100 * found.chance:5.1f}%"
    yield f"  always '{found.majority_answer}'".ljust(31) + f"{100 * found.majority:5.1f}%"
    yield f"  as like questions are        {100 * found.blind:5.1f}%"
    for note in report.notes():
        yield f"Note: {note}"


def _shown(data: ExternalData, place: int, out: Path | None) -> Iterator[str]:
    doc = data.documents[place]
    yield f"\n--- {doc['id']}"
    yield doc["prompt"]
    # A hook may have made the column up.
    written = data.pictures.rows[doc["vsc_row"]].get(data.file.fields.answer, doc["answer"])
    option = f" ({doc['options'][doc['gold_index']]})" if doc["options"] else ""
    yield f"gold: {written!r}   parsed: {doc['answer']}{option}"
    if len(doc["accepted"]) > 1:
        yield f"also right: {', '.join(doc['accepted'][1:])}"
    where = " (--out DIR writes it)"
    if out is not None:
        path = out / f"{place:03d}.png"
        data.pictures.decode(doc["vsc_row"]).save(path)
        where = f", {path}"
    width, height = doc["image_size"]
    yield f"picture: {width} x {height} px{where}"


def _scores_one(doc: dict[str, Any]) -> bool:
    """Whether the gold answer, given as a text, is read as itself and scores 1."""
    answer = read_text(doc, doc["answer"]).read
    return answer == doc["answer"] and metric_of(doc).score(scored_item(doc, answer)) == 1.0


@dataclass(frozen=True)
class Baselines:
    """Shares of right answers among `n` documents; None where it is undefined."""

    n: int
    chance: float | None
    """Drawing an option at random; None if some documents offer none."""
    majority: float
    """Always the commonest gold answer."""
    majority_answer: str
    blind: float
    """The vote of the five questions with the most words in common, none of them of the same cluster; among 1,000
    documents at most."""


def baselines(documents: Sequence[Document]) -> Baselines:
    """The baselines of a task's documents."""
    answer, count = Counter(doc["answer"] for doc in documents).most_common(1)[0]
    n, sizes = len(documents), [len(doc["answers"]) for doc in documents]
    chance = sum(1 / size for size in sizes) / n if all(sizes) else None
    return Baselines(n, chance, count / n, answer, _blind(documents, answer))


def _blind(documents: Sequence[Document], fallback: str) -> float:
    documents = documents[:: -(-len(documents) // _MOST)]
    words = [frozenset(_WORD.findall(doc["prompt"].casefold())) for doc in documents]
    # The gold answers in words: what a letter stands for differs from question to question.
    meant = [
        str(doc["options"][doc["gold_index"]]).casefold() if doc["options"] else str(doc["answer"]) for doc in documents
    ]
    right = 0
    for place, doc in enumerate(documents):
        others = (i for i, other in enumerate(documents) if other["cluster"] != doc["cluster"])
        nearest = sorted(others, key=lambda i: (-_overlap(words[place], words[i]), i))[:_NEIGHBOURS]
        right += _voted(doc, Counter(meant[i] for i in nearest), fallback) == doc["answer"]
    return right / len(documents)


def _overlap(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a & b) / (len(a | b) or 1)


def _voted(doc: Document, votes: Counter[str], fallback: str) -> str:
    if not doc["options"]:
        return votes.most_common(1)[0][0] if votes else fallback
    scores = [votes[option.casefold()] for option in doc["options"]]
    if max(scores) > 0:
        return str(doc["letters"][scores.index(max(scores))])
    return fallback if fallback in doc["letters"] else str(doc["letters"][0])
