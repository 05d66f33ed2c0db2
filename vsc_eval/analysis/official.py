"""The figures of the official metrics of external data sets, with intervals."""

from __future__ import annotations

from collections.abc import Sequence

from vsc_eval import metrics
from vsc_eval.analysis.results import OfficialRow, figure_of
from vsc_eval.answers.table import AnswerTable
from vsc_eval.metrics import Metric, Quantity, ScoredItem
from vsc_eval.specs import BASELINE
from vsc_eval.stats import stream


def official_rows(table: AnswerTable, model: str, conditions: Sequence[str], seed: int) -> tuple[OfficialRow, ...]:
    """Every figure of every task that has an official metric, under every condition."""
    scores = dict.fromkeys((item.task, item.score) for item in table.items if item.score)
    return tuple(
        row
        for condition in conditions
        for task, score in scores
        for row in _rows(table, model, task, metrics.get(str(score)), condition, seed)
    )


def _rows(table: AnswerTable, model: str, task: str, metric: Metric, condition: str, seed: int) -> list[OfficialRow]:
    clusters = table.column("cluster")[table.column("task") == task]
    name = " or ".join(dict.fromkeys(item.cluster_kind for item in table.items if item.task == task))
    before = _figures(table, task, metric, BASELINE)
    found = before if condition == BASELINE else _figures(table, task, metric, condition)
    rows = []
    for figure, quantity in found.items():
        difference = None
        if condition != BASELINE and figure in before:
            rng = stream(seed, "official", task, figure)
            difference = metrics.estimate_difference(before[figure], quantity, clusters, rng, cluster_name=name)
        value = metrics.estimate(quantity, clusters, stream(seed, "official", task, figure), cluster_name=name)
        rows.append(
            OfficialRow(
                model=model,
                task=task,
                condition=condition,
                metric=metric.name,
                figure=figure,
                is_main=figure == metric.main,
                unit=quantity.unit,
                value=figure_of(value),
                difference=figure_of(difference) if difference else None,
            )
        )
    return rows


def _figures(table: AnswerTable, task: str, metric: Metric, condition: str) -> dict[str, Quantity]:
    items = [
        ScoredItem(id=item.item_id, answer=answer, gold=item.gold, accepted=item.accepted, fields=dict(item.fields))
        for item, answer in zip(table.items, (table.read or table.answers)[condition], strict=True)
        if item.task == task
    ]
    return metric.aggregate(items)
