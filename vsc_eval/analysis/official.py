"""The figures of the official metrics of external data sets, with intervals."""

from __future__ import annotations

from collections.abc import Iterator

from vsc_eval import metrics
from vsc_eval.answers.answer_table import AnswerTable
from vsc_eval.metrics import Metric, Quantity, ScoredItem
from vsc_eval.records import Record
from vsc_eval.settings import StatisticsSpec
from vsc_eval.specs import BASELINE
from vsc_eval.stats import Figure, stream


class OfficialRow(Record):
    """A figure of a data set's official metric, under one condition."""

    task: str
    condition: str
    metric: str
    figure: str
    is_main: bool
    """Whether it is the one that the data set is known by."""
    unit: str
    """What it is a mean of: items, questions, images, groups."""
    value: Figure
    difference: Figure | None
    """Against the baseline, resampled together; None for the baseline."""


def official_rows(table: AnswerTable, statistics: StatisticsSpec) -> tuple[OfficialRow, ...]:
    """Every figure of every task that has an official metric, under every condition."""
    scores = dict.fromkeys((item.task, item.score) for item in table.items if item.score)
    parts = {task: table.only(table.column("task") == task) for task, _ in scores}
    return tuple(
        row
        for condition in table.names
        for task, score in scores
        for row in _rows(parts[task], metrics.get(str(score)), condition, statistics)
    )


def _rows(table: AnswerTable, metric: Metric, condition: str, statistics: StatisticsSpec) -> Iterator[OfficialRow]:
    """`table` is of the items of one task."""
    task = table.items[0].task
    before = _figures(table, metric, BASELINE)
    found = before if condition == BASELINE else _figures(table, metric, condition)
    for figure, quantity in found.items():
        difference = None
        if condition != BASELINE and figure in before:
            difference = metrics.estimate_difference(
                before[figure],
                quantity,
                table.clusters,
                stream(statistics.seed, "official", task, figure),
                cluster_name=table.cluster_name,
                draws=statistics.draws,
                level=statistics.level,
            )
        yield OfficialRow(
            task=task,
            condition=condition,
            metric=metric.name,
            figure=figure,
            is_main=figure == metric.main,
            unit=quantity.unit,
            value=metrics.estimate(
                quantity,
                table.clusters,
                stream(statistics.seed, "official", task, figure),
                cluster_name=table.cluster_name,
                draws=statistics.draws,
                level=statistics.level,
            ),
            difference=difference,
        )


def _figures(table: AnswerTable, metric: Metric, condition: str) -> dict[str, Quantity]:
    """Metrics want answers as they were read, where `answer` has the gold in place of any right one."""
    read = table.main.read[table.main.rows[condition]]
    return metric.aggregate(
        [
            ScoredItem(
                id=item.item_id,
                answer=table.main.vocabulary[code],
                gold=item.gold,
                accepted=item.accepted,
                fields=dict(item.fields),
            )
            for item, code in zip(table.items, read, strict=True)
        ]
    )
