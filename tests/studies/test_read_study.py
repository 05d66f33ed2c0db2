"""A finished study, read as frames."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

import vsc_eval as vsc
from vsc_eval.studies.records import read_results


def test_a_study_has_verdicts_and_controls_beside_its_rows(finished: Path) -> None:
    study, results = vsc.read(finished), read_results(finished)
    assert isinstance(study, vsc.Study)
    verdicts = study.verdicts
    assert list(verdicts["verdict"]) == [pair.verdict for pair in results.pairs if pair.verdict is not None]
    assert len(verdicts) > 0
    assert list(verdicts["drift_interaction"]) == [p.drift_interaction.value for p in results.pairs if p.verdict]
    controls = study.controls
    assert list(controls["p"]) == [test.p for test in results.controls]
    assert list(controls["n_draws"]) == [len(test.draws) for test in results.controls]
    assert {"sets", "kind", "outcome", "percentile"} <= set(controls)


def test_its_rows_are_the_reports(finished: Path) -> None:
    study, results = vsc.read(finished), read_results(finished)
    for scope in ("all", "task", "level"):
        expected = [row for row in results.rows if row.scope == scope]
        found = study.rows(scope)
        assert list(found["condition"]) == [row.condition for row in expected]
        for name in ("accuracy", "difference"):
            figures = [getattr(row, name) for row in expected]
            for column, part in ((name, "value"), (f"{name}_low", "low")):
                values = pd.Series([None if f is None else getattr(f, part) for f in figures], dtype=float, name=column)
                pd.testing.assert_series_equal(found[column], values)
    floor = study.noise_floor()
    assert list(floor["drift"]) == [row.drift.value for row in results.floor]
    assert f"{len(study.conditions)} conditions" in repr(study)
