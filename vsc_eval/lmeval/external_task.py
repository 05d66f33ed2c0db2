"""The class of compiled tasks: lm-eval's own, with metrics whose names are only known from the data.

Categories are values of a column, and the figures of an official metric depend on them; lm-eval wants every metric in
the task's file. An official metric's figures are all computed from one list, so `process_results` gives that list once
and this class hands it to each figure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from lm_eval.api.metrics import mean
from lm_eval.api.task import ConfigurableTask

from vsc_eval import metrics
from vsc_eval.lmeval.external_scoring import GROUP_ACC, category_metric, group_accuracy, scored_item

_LOWER_IS_BETTER = ("invalid", "drift")


class ExternalTask(ConfigurableTask):  # type: ignore[misc]
    """A task of a task file."""

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        assert config is not None
        super().__init__(config={key: value for key, value in config.items() if key != "class"})
        self._documents: dict[str, Mapping[str, Any]] = {doc["id"]: doc for doc in self.eval_docs}
        self._score = next((doc["score"] for doc in self._documents.values() if doc["score"]), None)
        self._figures = self._figure_names()
        for name in self._data_metrics():
            self._aggregation_list[name] = mean
            self._higher_is_better[name] = True
        if any(doc["group_size"] for doc in self._documents.values()):
            self._aggregation_list[GROUP_ACC], self._higher_is_better[GROUP_ACC] = group_accuracy, True
        for name, figure in self._figures.items():
            self._aggregation_list[name] = partial(self._figure, figure)
            self._higher_is_better[name] = not any(word in figure for word in ("rate", "invalid"))

    def process_results(self, doc: Mapping[str, Any], results: Any) -> dict[str, Any]:
        """The metrics of one document; the official metric's entry under each of its figures' names."""
        found: dict[str, Any] = super().process_results(doc, results)
        entry = found.pop(self._score, None) if self._score else None
        return {**found, **({} if entry is None else dict.fromkeys(self._figures, entry))}

    def aggregation(self) -> dict[str, Callable[[Sequence[Any]], float]]:
        """Metric -> how the documents' values become one."""
        found: dict[str, Callable[[Sequence[Any]], float]] = super().aggregation()
        return found

    def _data_metrics(self) -> list[str]:
        pairs = [tuple(pair) for doc in self._documents.values() for pair in doc["categories"]]
        return [category_metric(column, value) for column, value in dict.fromkeys(pairs)]

    def _figure_names(self) -> dict[str, str]:
        """lm-eval's name of each official figure -> the figure."""
        if self._score is None:
            return {}
        golds = [scored_item(doc, doc["answer"]) for doc in self._documents.values()]
        return {f"{self._score}_{name}".replace(",", ";"): name for name in metrics.get(self._score).aggregate(golds)}

    def _figure(self, figure: str, entries: Sequence[tuple[str, str]]) -> float:
        """One official figure of [(document id, answer)]; nan where it is undefined."""
        assert self._score is not None
        items = [scored_item(self._documents[name], answer) for name, answer in entries]
        found = metrics.get(self._score).aggregate(items).get(figure)
        value = None if found is None else found.value()
        return float("nan") if value is None else value
