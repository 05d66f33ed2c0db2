"""`process_results` of compiled task files: one document and the model's answers -> a value for each metric.

A right answer counts as one answer however it is written: it is compared as the gold. So drift is 0 between 12.1 and
12.2 where the official metric takes both for 12.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vsc_eval import metrics
from vsc_eval.extract import INVALID, extract
from vsc_eval.metrics import Metric, ScoredItem

LogLikelihood = tuple[float, bool]
Document = Mapping[str, Any]

GROUP_ACC = "group_acc"


def is_external(doc: object) -> bool:
    """Whether a document is of a task file's data."""
    return isinstance(doc, Mapping) and "vsc_source" in doc


def metric_of(doc: Document) -> Metric:
    """The metric that scores a document."""
    return metrics.get(doc["score"] or "exact")


def scored_item(doc: Document, answer: str) -> ScoredItem:
    """What a metric sees of a document and a parsed answer."""
    return ScoredItem(
        id=doc["id"], answer=answer, gold=doc["answer"], accepted=tuple(doc["accepted"]), fields=dict(doc["fields"])
    )


def read_answer(doc: Document, text: str) -> str:
    """The answer in a text as the extractor reads it, `invalid` if there is none."""
    return extract(text, kind=doc["kind"], options=doc["options"], letters=doc["letters"])


def canonical(doc: Document, answer: str) -> str:
    """The answer as it is compared: the gold if it counts as right, else itself."""
    return answer if answer == INVALID else metric_of(doc).canonicalise(scored_item(doc, answer))


def choose(doc: Document, scores: Sequence[float]) -> str:
    """The answer whose words are the likeliest."""
    answers: list[str] = doc["answers"]
    return answers[max(range(len(answers)), key=lambda place: scores[place])]


def category_metric(column: str, value: str) -> str:
    """lm-eval's name of the accuracy on the rows of one category. Commas end a metric's name there."""
    return f"acc[{column}={value}]".replace(",", ";")


def score_text(doc: Document, results: Sequence[str]) -> dict[str, Any]:
    """One generated answer."""
    return _single(doc, read_answer(doc, results[0]))


def score_choice(doc: Document, results: Sequence[LogLikelihood]) -> dict[str, Any]:
    """The log-likelihood of each option's words."""
    found = _single(doc, choose(doc, [score for score, _ in results]))
    del found["invalid"]
    return found


def score_text_pair(doc: Document, results: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Two generated answers to one request: without and with the edit."""
    base, edited = (read_answer(doc, text) for text in results[0])
    return _pair(doc, base, edited)


def score_choice_pair(doc: Document, results: Sequence[Sequence[LogLikelihood]]) -> dict[str, Any]:
    """For each option's words, their log-likelihood without and with the edit."""
    base, edited = (choose(doc, [option[arm][0] for option in results]) for arm in (0, 1))
    found = _pair(doc, base, edited)
    del found["invalid"]
    return found


def _single(doc: Document, answer: str) -> dict[str, Any]:
    right = float(canonical(doc, answer) == doc["answer"])
    found: dict[str, Any] = {"acc": right, "invalid": float(answer == INVALID)}
    found |= {category_metric(column, value): right for column, value in doc["categories"]}
    if doc["group_size"]:
        found[GROUP_ACC] = [doc["group"], doc["group_size"], right]
    if doc["score"]:
        # The official metric has its own idea of what is right, so it gets the answer as it was read.
        found[doc["score"]] = [doc["id"], answer]
    return found


def _pair(doc: Document, base: str, edited: str) -> dict[str, Any]:
    found, before = _single(doc, edited), _single(doc, base)["acc"]
    changed = canonical(doc, base) != canonical(doc, edited)
    return {**found, "acc_base": before, "acc_delta": found["acc"] - before, "drift": float(changed)}


def group_accuracy(entries: Sequence[tuple[str, int, float]]) -> float:
    """Share of complete groups all of whose rows are right; nan without one.

    Groups of which lm-eval's --limit left rows out are not counted.
    """
    members: dict[str, list[float]] = {}
    sizes: dict[str, int] = {}
    for group, size, right in entries:
        members.setdefault(group, []).append(right)
        sizes[group] = int(size)
    whole = [all(rights) for group, rights in members.items() if len(rights) == sizes[group]]
    return sum(whole) / len(whole) if whole else float("nan")
