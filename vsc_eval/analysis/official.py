"""The figures of the official metrics of external data sets, with intervals."""

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
    found = []
    for task, score in dict.fromkeys((item.task, item.score) for item in table.items if item.score):
        part, metric = table.only(table.column("task") == task), metrics.get(str(score))
        before = _figures(part, metric, BASELINE)
        for condition in table.names:
            for figure, quantity in _figures(part, metric, condition).items():
                names, is_compared = ("official", task, figure), condition != BASELINE and figure in before
                gap = metrics.difference(before[figure], quantity) if is_compared else None
                found.append(
                    OfficialRow(
                        task=task,
                        condition=condition,
                        metric=metric.name,
                        figure=figure,
                        is_main=figure == metric.main,
                        unit=quantity.unit,
                        value=_estimate(quantity, part, statistics, names),
                        difference=None if gap is None else _estimate(gap, part, statistics, names),
                    )
                )
    # Stable: of a condition the tasks stay in their order.
    return tuple(sorted(found, key=lambda row: table.main.rows[row.condition]))


def _estimate(quantity: Quantity, table: AnswerTable, statistics: StatisticsSpec, names: tuple[str, ...]) -> Figure:
    rng = stream(statistics.seed, *names)
    draws, level, name = statistics.draws, statistics.level, table.cluster_name
    return metrics.estimate(quantity, table.clusters, rng, cluster_name=name, draws=draws, level=level)


def _figures(table: AnswerTable, metric: Metric, condition: str) -> dict[str, Quantity]:
    """Metrics want answers as they were read, where `answer` has the gold in place of any right one."""
    words, read = table.main.vocabulary, table.main.read[table.main.rows[condition]].tolist()
    return metric.aggregate(
        [
            ScoredItem(item.item_id, words[code], item.gold, item.accepted, dict(item.fields))
            for item, code in zip(table.items, read, strict=True)
        ]
    )
