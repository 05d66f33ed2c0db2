"""What a finished study found, on one page of a terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from vsc_eval.analysis.interactions import InteractionRow
from vsc_eval.analysis.rows import Row
from vsc_eval.analysis.run_tables import points
from vsc_eval.stats import Figure
from vsc_eval.studies.records import StudyResults

_WIDTH = 110


def print_summary(results: StudyResults, out: Path, console: Console) -> None:
    """Verdicts, the most and least harmful conditions, and what the study could have seen."""
    if not console.is_terminal:
        # rich takes 80 columns for a pipe or a log file, where nothing is gained by folding.
        console = Console(file=console.file, width=_WIDTH)
    verdict = results.spec.verdict
    ruled = [pair for pair in results.pairs if pair.form == "raw" and pair.verdict is not None]
    title = f"Pairs under {verdict.edit}, {results.n_items} items; interaction of the union over its parts, points"
    table = Table("pair", "drift interaction", "p", "accuracy interaction", "p", "verdict", title=title)
    for pair in ruled:
        table.add_row(
            " + ".join(pair.parts),
            _points(pair.drift_interaction),
            _p(pair.p_drift_adjusted),
            _points(pair.accuracy_interaction),
            _p(pair.p_accuracy_adjusted),
            str(pair.verdict),
        )
    console.print(table)
    for line in _lines(results, ruled):
        console.print(line, highlight=False, markup=False)
    console.print(
        f"Written to {out}: report.md, results.json, study.yaml, answers.parquet, intervention/",
        highlight=False,
        markup=False,
    )


def _lines(results: StudyResults, ruled: list[InteractionRow]) -> list[str]:
    counts = {verdict: sum(pair.verdict == verdict for pair in ruled) for verdict in ("interference", "none")}
    unclear = len(ruled) - sum(counts.values())
    baseline = results.row("baseline")
    assert baseline is not None
    lines = [
        f"Of {len(ruled)} pairs: {counts['interference']} interfere, {counts['none']} do not, "
        f"{unclear} without enough evidence.",
        f"Layer {results.layer} of {results.spec.model}; baseline accuracy {_share(baseline.accuracy)}.",
    ]
    edited = [row for row in results.rows if row.scope == "all" and row.difference is not None]
    if edited:
        lines.append(
            f"Best for accuracy: {_condition(max(edited, key=_gain))}; worst: {_condition(min(edited, key=_gain))}."
        )
    seen = [(pair.detectable_drift, pair.detectable_accuracy) for pair in ruled]
    for what, values in zip(("drift", "accuracy"), zip(*seen, strict=True), strict=False):
        known = [value for value in values if value is not None]
        if known:
            lines.append(
                f"Smallest detectable {what} interaction (power 0.8, one test alone): "
                f"{100 * min(known):.1f} to {100 * max(known):.1f} points."
            )
    floor = max((row.drift.value or 0.0 for row in results.floor), default=0.0)
    lines.append(f"Noise floor: {100 * floor:.2f} % of answers change where nothing is done.")
    lines += [f"Excluded: {entry.what}: {entry.why}" for entry in results.excluded]
    return lines


def _gain(row: Row) -> float:
    assert row.difference is not None
    return row.difference.value or 0.0


def _condition(row: Row) -> str:
    drift = row.drift.share.value if row.drift else None
    words = "" if drift is None else f", drift {100 * drift:.1f} %"
    return f"{row.condition} ({100 * _gain(row):+.1f} points{words})"


def _points(figure: Figure) -> str:
    return "undefined" if figure.value is None else points(figure)


def _share(figure: Figure) -> str:
    return "undefined" if figure.value is None else f"{100 * figure.value:.1f} % (n = {figure.n_items})"


def _p(p: float | None) -> str:
    return "undefined" if p is None else f"{p:.3f}"
