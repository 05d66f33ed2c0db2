"""Rows of results.json, of a run or of a study, as rows of an entry."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from vsc_eval.analysis.results import DriftFigures, Figure, InteractionRow, OfficialRow, ResultRow
from vsc_eval.board.entry.method import method_words
from vsc_eval.board.records import BoardRow, DriftCounts, Interval, OfficialFigure, UnionFigure
from vsc_eval.errors import DataError
from vsc_eval.specs import ConditionSpec
from vsc_eval.stats.drift import PARTS

if TYPE_CHECKING:
    from vsc_eval.studies.records import ConditionRow


def run_rows(rows: Iterable[ResultRow]) -> tuple[BoardRow, ...]:
    """Of a run; p is McNemar's. Raises DataError for a row whose figures are no counts of its items."""
    return tuple(_row(row, row.mcnemar.p_value if row.mcnemar else None, row.by, row.category) for row in rows)


def study_rows(rows: Iterable[ConditionRow]) -> tuple[BoardRow, ...]:
    """Of a study; p is the sign-flip test's, of whole clusters. Raises DataError as `run_rows` does."""
    return tuple(_row(row, row.p_difference, None, None) for row in rows)


def _row(row: ResultRow | ConditionRow, p: float | None, by: str | None, category: str | None) -> BoardRow:
    return BoardRow(
        condition=row.condition,
        scope=row.scope,
        task=row.task,
        level=row.level,
        by=by,
        category=category,
        n=row.n,
        n_clusters=row.n_clusters,
        n_right=_count(row.accuracy.value, row),
        n_invalid=_count(row.invalid_rate, row),
        method=_method(row),
        accuracy=interval(row.accuracy),
        difference=interval(row.difference) if row.difference else None,
        p_difference=p,
        detectable_difference=row.detectable_difference,
        drift=interval(row.drift.share) if row.drift else None,
        drift_counts=_counts(row.drift) if row.drift else None,
        mean_kl_options=row.mean_kl_options,
        mean_margin_change=row.mean_margin_change,
        mean_shift_edited=row.mean_shift_edited,
        mean_shift_last=row.mean_shift_last,
        amplification=row.amplification,
    )


def interval(figure: Figure) -> Interval:
    return Interval(value=figure.value, low=figure.low, high=figure.high, reason=figure.reason)


def official_figures(rows: Iterable[OfficialRow]) -> tuple[OfficialFigure, ...]:
    return tuple(
        OfficialFigure(
            task=row.task,
            condition=row.condition,
            metric=row.metric,
            figure=row.figure,
            is_main=row.is_main,
            unit=row.unit,
            value=interval(row.value),
            difference=interval(row.difference) if row.difference else None,
        )
        for row in rows
    )


def run_unions(rows: Iterable[InteractionRow], conditions: Iterable[ConditionSpec]) -> tuple[UnionFigure, ...]:
    """Of a run, which gives intervals and no verdict."""
    by_name = {condition.name: condition for condition in conditions}
    return tuple(
        UnionFigure(
            union=row.union,
            parts=row.parts,
            edit=edit_words(by_name[row.union]) or "",
            form="norm_matched" if _is_matched(by_name[row.union]) else "raw",
            drift_interaction=interval(row.drift),
            drift_bliss=interval(row.drift_bliss),
            accuracy_interaction=interval(row.accuracy),
        )
        for row in rows
    )


def _is_matched(condition: ConditionSpec) -> bool:
    return condition.edit is not None and condition.edit.norm_match is not None


def edit_words(condition: ConditionSpec) -> str | None:
    """The edit as it is written in a condition, `scale=4:image`, norm matching aside; None for the baseline."""
    edit = condition.edit
    if edit is None:
        return None
    words = [edit.kind if edit.value is None else f"{edit.kind}={edit.value:g}"]
    words += [edit.positions] if edit.positions != "all" else []
    words += [f"random={edit.random_directions}"] if edit.random_directions is not None else []
    words += [] if edit.decode else ["prefill"]
    return ":".join(words)


def _counts(drift: DriftFigures) -> DriftCounts:
    return DriftCounts(n_changed=drift.n_changed, **{part: getattr(drift, part) for part in PARTS})


def _count(share: float | None, row: ResultRow | ConditionRow) -> int:
    count = None if share is None else round(share * row.n)
    if share is None or count is None or abs(share * row.n - count) > 1e-6 * row.n:
        place = "/".join(part for part in (row.scope, row.task, row.level) if part)
        raise DataError(
            f"results.json says that {share} of {row.n} items are right or invalid (condition '{row.condition}', "
            f"{place}), which is no whole number of them.",
            hint="The file is damaged: give the command that made it again.",
        )
    return count


def _method(row: ResultRow | ConditionRow) -> str:
    figures = (row.accuracy, row.difference, row.drift.share if row.drift else None)
    return method_words([figure.method for figure in figures if figure])
