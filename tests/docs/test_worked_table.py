"""The worked table at the head of docs/statistics.md: every figure in it, computed from the answers above it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "statistics.md"
CONDITIONS = ["baseline", "counting", "logic", "counting+logic"]
A, B, BOTH = CONDITIONS[1:]


def _tables() -> list[pd.DataFrame]:
    """The tables of the page, all cells text."""
    found: list[list[list[str]]] = [[]]
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        elif found[-1]:
            found.append([])
    return [pd.DataFrame(rows[2:], columns=rows[0]) for rows in found if rows]


ANSWERS, FIGURES, INTERACTIONS = _tables()[:3]
LONG = ANSWERS.melt(["item", "task", "right", "baseline"], CONDITIONS[1:], "condition", "answer")
LONG = pd.concat([LONG, ANSWERS.assign(condition="baseline", answer=ANSWERS["baseline"])])
LONG["is_right"] = LONG["answer"] == LONG["right"]
LONG["was_right"] = LONG["baseline"] == LONG["right"]
LONG["changed"] = LONG["answer"] != LONG["baseline"]
LONG["on_target"] = [task in condition.split("+") for task, condition in zip(LONG.task, LONG.condition, strict=True)]

ACCURACY = LONG.groupby("condition")["is_right"].mean()
DIFFERENCE = ACCURACY - ACCURACY["baseline"]
DRIFT = LONG.groupby("condition")["changed"].mean()


def _count(mask: pd.Series[bool]) -> pd.Series[int]:
    return mask.groupby(LONG["condition"]).sum()


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


EXPECTED: dict[str, tuple[pd.Series[float], Callable[[float], str]]] = {
    "accuracy": (ACCURACY, _percent),
    "difference": (DIFFERENCE, _points),
    "drift": (DRIFT, _percent),
    "right to wrong": (_count(LONG.was_right & ~LONG.is_right), str),
    "wrong to right": (_count(~LONG.was_right & LONG.is_right), str),
    "wrong to other": (_count(LONG.changed & ~LONG.was_right & ~LONG.is_right), str),
    "on target": (LONG[LONG.on_target].groupby("condition")["changed"].mean(), _percent),
    "off target": (LONG[~LONG.on_target].groupby("condition")["changed"].mean(), _percent),
}


def test_the_page_has_these_figures_and_no_others() -> None:
    assert FIGURES["figure"].tolist() == list(EXPECTED)
    assert list(FIGURES.columns[2:]) == CONDITIONS
    assert INTERACTIONS["interaction"].tolist() == ["drift", "drift, Bliss", "accuracy"]


@pytest.mark.parametrize("figure", EXPECTED)
def test_figures(figure: str) -> None:
    values, written = EXPECTED[figure]
    row = FIGURES.set_index("figure").loc[figure]
    assert [row[name] for name in CONDITIONS[1:]] == [written(values[name]) for name in CONDITIONS[1:]]
    assert row["baseline"] == (written(values["baseline"]) if figure == "accuracy" else "–")


def test_interactions() -> None:
    d_a, d_b, d_both = (_percent(DRIFT[name]).removesuffix(" %") for name in (A, B, BOTH))
    product = f"{100 * DRIFT[A] * DRIFT[B]:.1f}"
    gains = [_points(DIFFERENCE[name]) for name in (BOTH, A, B)]
    assert INTERACTIONS[["how", "points"]].to_numpy().tolist() == [
        [f"{d_both} - {d_a} - {d_b}", _points(DRIFT[BOTH] - DRIFT[A] - DRIFT[B])],
        [
            f"{d_both} - ({d_a} + {d_b} - {product}), where {product} is {d_a} % of {d_b} %",
            _points(DRIFT[BOTH] - (DRIFT[A] + DRIFT[B] - DRIFT[A] * DRIFT[B])),
        ],
        [
            f"{gains[0]} - ({gains[1]}) - ({gains[2]})",
            _points(DIFFERENCE[BOTH] - DIFFERENCE[A] - DIFFERENCE[B]),
        ],
    ]
