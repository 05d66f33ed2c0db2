"""Numbers in words, by hand."""

from __future__ import annotations

import pytest

from vsc_eval.tables.numbers import (
    count,
    counted,
    decimal,
    in_points,
    interval,
    p_value,
    percent,
    points,
    signed,
    significant,
    span,
    writer,
)


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0.0"), (1.0, "100.0"), (0.72449, "72.4"), (0.9996, "100.0"), (-0.0001, "0.0"), (0.5785, "57.9")],
)
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("difference", "text"), [(0.012, "+1.2"), (-0.0034, "−0.3"), (0.0, "+0.0"), (-0.0004, "+0.0"), (-1.0, "−100.0")]
)
def test_points_have_a_true_minus_and_zero_a_plus(difference: float, text: str) -> None:
    assert points(difference) == text


@pytest.mark.parametrize(
    ("p", "text"), [(1.0, "1"), (0.0385742, "0.039"), (0.0001, "0.0001"), (0.0000999, "<0.0001"), (0.0, "<0.0001")]
)
def test_p(p: float, text: str) -> None:
    assert p_value(p) == text


def test_a_figure_stands_with_its_interval_or_alone() -> None:
    assert interval(-0.012, -0.03, 0.004, points) == "−1.2 [−3.0, +0.4]"
    assert interval(1.0, None, None, percent) == "100.0"
    assert interval(None, None, None, percent) == "–"


def test_what_is_undefined_is_a_dash_in_every_unit() -> None:
    units = (percent, points, p_value, decimal, significant, signed)
    assert {write(None) for write in units} == {"–"}
    assert span([None]) == "–"


def test_other_units() -> None:
    assert (decimal(-0.00001), decimal(1.23456, 2)) == ("0.0000", "1.23")
    assert (significant(-0.000123456), significant(1.5e-9)) == ("−0.00012", "1.5e−09")
    assert (signed(0.5), signed(-0.5), signed(0)) == ("+0.5", "−0.5", "0")
    assert (count(1234.0), counted(1, "pair"), counted(2, "pair"), counted(2, "is", "are")) == (
        *("1,234", "1 pair", "2 pairs", "2 are"),
    )
    assert (in_points(0.01), in_points(0.05), in_points(0.025)) == ("1 point", "5 points", "2.5 points")
    assert span([0.01, None, 0.052]) == "1.0 to 5.2"
    assert writer("percent", 2)(0.12349) == "12.35"
