"""How lm-eval scores the documents of task files: one document and the model's answers -> a value for each metric.

lm-eval averages the values and gives their standard error; that of `acc_delta` is therefore the paired one. A right
answer counts as one answer however it is written: it is compared as the gold. So drift, the share of documents whose
answer changed, is 0 between 12.1 and 12.2 where the official metric takes both for 12; `invalid` is an answer too.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from lm_eval.api.metrics import mean
from lm_eval.api.task import ConfigurableTask

from vsc_eval import metrics
from vsc_eval.extract import INVALID, extract, likeliest_option
from vsc_eval.metrics import Metric, ScoredItem

LogLikelihood = tuple[float, bool]
Document = Mapping[str, Any]

GROUP_ACC = "group_acc"


class Answer(NamedTuple):
    """One parsed answer."""

    read: str
    """As the extractor read it, `invalid` if there is none, or the likeliest option."""
    counted: str
    """As it is compared: for a task file's data the gold, however a right answer is written."""


def is_external(doc: object) -> bool:
    """Whether a document is of a task file's data."""
    return isinstance(doc, Mapping) and "vsc_source" in doc


def option_letters(doc: object) -> tuple[str, ...]:
    """The letters that a document of the synthetic benchmark offers in its prompt, or of one with the same fields; none
    for any other document."""
    if not isinstance(doc, Mapping) or not {"id", "prompt", "options", "letters", "answer"} <= doc.keys():
        return ()
    letters, options = doc["letters"], doc["options"]
    if not (isinstance(letters, list) and isinstance(options, list) and all(isinstance(x, str) for x in letters)):
        return ()
    fits = len(letters) == len(options) == len(set(letters)) and doc["answer"] in letters
    return tuple(letters) if fits else ()


def metric_of(doc: Document) -> Metric:
    """The metric that scores a document of a task file's data."""
    return metrics.get(doc["score"] or "exact")


def scored_item(doc: Document, answer: str) -> ScoredItem:
    """What a metric sees of a document of a task file's data and a parsed answer."""
    return ScoredItem(
        id=doc["id"], answer=answer, gold=doc["answer"], accepted=tuple(doc["accepted"]), fields=dict(doc["fields"])
    )


def read_text(doc: Document, text: str) -> Answer:
    """The answer that a text gives to a document of ours."""
    kind = doc.get("kind", "multiple_choice")
    return _answer(doc, extract(text, kind=kind, options=doc["options"], letters=doc["letters"]))


def likeliest(doc: Document, answers: Sequence[str], logprobs: Sequence[float]) -> Answer:
    """The answer of the likeliest option, in any document."""
    return _answer(doc, likeliest_option(answers, logprobs))


def _answer(doc: Document, read: str) -> Answer:
    if read == INVALID or not is_external(doc):
        return Answer(read, read)
    return Answer(read, metric_of(doc).canonicalise(scored_item(doc, read)))


def category_metric(column: str, value: str) -> str:
    """lm-eval's name of the accuracy on the rows of one category. Commas end a metric's name there."""
    return f"acc[{column}={value}]".replace(",", ";")


def score_text(doc: Document, results: Sequence[str]) -> dict[str, Any]:
    """One generated answer."""
    return _scored(doc, read_text(doc, results[0]))


def score_choice(doc: Document, results: Sequence[LogLikelihood]) -> dict[str, Any]:
    """The log-likelihood of each option's words."""
    return _scored(doc, _chosen(doc, [logprob for logprob, _ in results]), is_choice=True)


def score_text_pair(doc: Document, results: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Two generated answers to one request: without and with the edit."""
    base, edited = (read_text(doc, text) for text in results[0])
    return _scored(doc, edited, base)


def score_choice_pair(doc: Document, results: Sequence[Sequence[LogLikelihood]]) -> dict[str, Any]:
    """For each option's words, their log-likelihood without and with the edit."""
    base, edited = (_chosen(doc, [option[arm][0] for option in results]) for arm in (0, 1))
    return _scored(doc, edited, base, is_choice=True)


def _chosen(doc: Document, logprobs: Sequence[float]) -> Answer:
    return likeliest(doc, doc["answers"] if is_external(doc) else doc["letters"], logprobs)


def _scored(doc: Document, answer: Answer, base: Answer | None = None, *, is_choice: bool = False) -> dict[str, Any]:
    """The values of an answer; `base` is the one without the edit. Of a choice every answer is valid."""
    right = float(answer.counted == doc["answer"])
    found: dict[str, Any] = {"acc": right} if is_choice else {"acc": right, "invalid": float(answer.read == INVALID)}
    if is_external(doc):
        found |= {category_metric(column, value): right for column, value in doc["categories"]}
        if doc["group_size"]:
            found[GROUP_ACC] = [doc["group"], doc["group_size"], right]
        if doc["score"]:
            # The official metric has its own idea of what is right, so it gets the answer as it was read.
            found[doc["score"]] = [doc["id"], answer.read]
    if base is not None:
        before = float(base.counted == doc["answer"])
        drift = float(base.counted != answer.counted)
        found |= {"acc_base": before, "acc_delta": right - before, "drift": drift}
    return found


def group_accuracy(entries: Sequence[tuple[str, int, float]]) -> float:
    """Share of complete groups all of whose rows are right; nan without one. Groups of which lm-eval's --limit left
    rows out are not counted."""
    members: dict[tuple[str, int], list[float]] = {}
    for group, size, right in entries:
        members.setdefault((group, size), []).append(right)
    whole = [all(rights) for (_, size), rights in members.items() if len(rights) == size]
    return sum(whole) / len(whole) if whole else float("nan")


class ExternalTask(ConfigurableTask):  # type: ignore[misc]
    """A task of a task file: lm-eval's own class, with metrics whose names are only known from the data.

    Categories are values of a column, and the figures of an official metric depend on them; lm-eval wants every metric
    in the task's file. An official metric's figures are all computed from one list, so `process_results` gives that
    list once and this class hands it to each figure.
    """

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        assert config is not None
        super().__init__(config={key: value for key, value in config.items() if key != "class"})
        self._documents: dict[str, Document] = {doc["id"]: doc for doc in self.eval_docs}
        documents = self._documents.values()
        self._score = next((doc["score"] for doc in documents if doc["score"]), "")
        for column, value in dict.fromkeys(tuple(pair) for doc in documents for pair in doc["categories"]):
            self._add_metric(category_metric(column, value), mean)
        if any(doc["group_size"] for doc in documents):
            self._add_metric(GROUP_ACC, group_accuracy)
        golds = [scored_item(doc, doc["answer"]) for doc in documents]
        figures = metrics.get(self._score).aggregate(golds) if self._score else ()
        # lm-eval's name of each official figure -> the figure.
        self._figures = {f"{self._score}_{name}".replace(",", ";"): name for name in figures}
        for name, figure in self._figures.items():
            is_error = any(word in figure for word in ("rate", "invalid"))
            self._add_metric(name, partial(self._figure, figure), higher_is_better=not is_error)

    def _add_metric(self, name: str, aggregation: Any, *, higher_is_better: bool = True) -> None:
        self._aggregation_list[name], self._higher_is_better[name] = aggregation, higher_is_better

    def process_results(self, doc: Document, results: Any) -> dict[str, Any]:
        """The metrics of one document; the official metric's entry under each of its figures' names."""
        found: dict[str, Any] = super().process_results(doc, results)
        entry = found.pop(self._score, None)
        return {**found, **({} if entry is None else dict.fromkeys(self._figures, entry))}

    def _figure(self, figure: str, entries: Sequence[tuple[str, str]]) -> float:
        """One official figure of [(document id, answer)]; nan where it is undefined."""
        items = [scored_item(self._documents[name], answer) for name, answer in entries]
        found = metrics.get(self._score).aggregate(items).get(figure)
        value = None if found is None else found.value()
        return float("nan") if value is None else value
