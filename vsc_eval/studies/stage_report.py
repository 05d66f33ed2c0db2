"""Report: results.json as Markdown with figures."""

from __future__ import annotations

from pathlib import Path

from vsc_eval.studies.conclude import read_results
from vsc_eval.studies.stages import Stage, Study


def _run(study: Study) -> list[Path]:
    # matplotlib takes a second to load, which a study that stops before its report need not wait for.
    from vsc_eval.studies.report import REPORT_FILE, write_report

    step = study.counts("report", "files")
    step(0, 1)
    files = write_report(read_results(study.path), study.path)
    step(1, 1)
    study.say(f"Report: {study.path / REPORT_FILE}, {len(files) - 1} figures")
    return files


REPORT = Stage("report", "report.md with figures, from results.json", ("conclude",), (), _run)
