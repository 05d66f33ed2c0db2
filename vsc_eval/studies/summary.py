"""What a finished study found, on one page of a terminal."""

from collections.abc import Iterator
from pathlib import Path

from vsc_eval.analysis.rows import Row
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.report.evidence import verdict_table
from vsc_eval.studies.words import gain_of
from vsc_eval.tables.console import console_for, draw, say
from vsc_eval.tables.numbers import counted, percent, points


def print_summary(results: StudyResults, out: Path) -> None:
    """Verdicts, the most and least harmful conditions, and what the study could have seen."""
    console = console_for()
    draw(verdict_table(results, "raw"), console)
    for line in _lines(results):
        say(line, console)
    say(f"Written to {out}: report.md, results.json, study.yaml, answers.parquet, intervention/", console)


def _lines(results: StudyResults) -> Iterator[str]:
    found, denied, unclear = results.verdict_counts("raw")
    whole = results.baseline
    yield (
        f"Of {counted(found + denied + unclear, 'pair')}: {found} interfere, {denied} do not, {unclear} without enough "
        "evidence."
    )
    yield (
        f"Layer {results.layer} of {results.spec.model}; baseline accuracy {percent(whole.accuracy.value)} % (n = "
        f"{whole.n})."
    )
    edited = [row for row in results.conditions if row.difference is not None]
    if edited:
        best, worst = max(edited, key=gain_of), min(edited, key=gain_of)
        yield f"Best for accuracy: {_condition(best)}; worst: {_condition(worst)}."
    yield f"Noise floor: {percent(results.noise_floor, 2)} % of answers change where nothing is done."
    yield from (f"Excluded: {entry.what}: {entry.why}" for entry in results.excluded)


def _condition(row: Row) -> str:
    drift = row.drift.share.value if row.drift else None
    words = "" if drift is None else f", drift {percent(drift)} %"
    return f"{row.condition} ({points(gain_of(row))} points{words})"
