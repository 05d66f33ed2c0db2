"""A run's figures from its files, by pandas alone: nothing of the package is needed to read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made import made_table

from vsc_eval.analysis.interactions import interactions
from vsc_eval.analysis.rows import find_row, rows
from vsc_eval.answers.parquet import write_table
from vsc_eval.settings import StatisticsSpec


def by_pandas(folder: Path) -> tuple[pd.DataFrame, dict[str, float]]:
    """Accuracy and drift by condition and task, and the drift interaction of each combined edit."""
    answers = pd.read_parquet(folder / "answers.parquet")
    answers = answers[answers["pass"] == "main"].astype({"condition": str, "task": str, "item_id": str, "answer": str})
    baseline = answers[answers["condition"] == "baseline"].set_index("item_id")["answer"]
    answers["changed"] = answers["answer"].to_numpy() != baseline[answers["item_id"]].to_numpy()
    figures = answers.groupby(["condition", "task"], sort=False)[["right", "changed"]].mean()
    drift = answers.groupby("condition", sort=False)["changed"].mean()
    conditions = pd.read_parquet(folder / "conditions.parquet")
    singles = {
        (row["sets"][0], row["alpha"]): row["condition"] for _, row in conditions.iterrows() if row["role"] == "single"
    }
    found = {}
    for _, row in conditions[conditions["role"].isin(["combined", "norm_matched"])].iterrows():
        parts = drift[[singles[name, row["alpha"]] for name in row["sets"]]]
        expected = {"mean": parts.mean(), "max": parts.max()}.get(row["norm_match"], parts.sum())
        found[row["condition"]] = drift[row["condition"]] - expected
    return figures, found


@pytest.mark.parametrize("generate", [False, True])
def test_twenty_lines_of_pandas_have_the_same_figures(tmp_path: Path, generate: bool) -> None:
    table, statistics = made_table(5, generate=generate), StatisticsSpec(draws=100, permutations=100)
    write_table(tmp_path, table)
    figures, found = by_pandas(tmp_path)
    ours = rows(table, statistics, by="task")
    assert len(ours) == len(figures) == 10
    for (condition, task), expected in figures.iterrows():
        row = find_row(ours, condition, "task", task)
        assert row is not None
        assert row.accuracy.value == pytest.approx(expected["right"])
        assert (row.drift.share.value if row.drift else 0) == pytest.approx(expected["changed"])
    pairs = {row.condition: row.drift_interaction.value for row in interactions(table, statistics)}
    assert pairs == pytest.approx(found)
    assert np.ptp(list(found.values())) > 0
