"""Adjusted p against statsmodels and by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vsc_eval.stats import adjust

ps = st.lists(st.floats(0, 1), min_size=1, max_size=30)


def test_holm_by_hand() -> None:
    # 0.01 * 3; 0.03 * 2; 0.04 * 1 would fall below the one before it.
    assert adjust([0.04, 0.01, 0.03]) == pytest.approx((0.06, 0.03, 0.06))


def test_bh_by_hand() -> None:
    # 0.01 * 3 / 1; 0.03 * 3 / 2 would rise above the next one's 0.04 * 3 / 3.
    assert adjust([0.04, 0.01, 0.03], "bh") == pytest.approx((0.04, 0.03, 0.04))


@settings(max_examples=50, deadline=None)
@given(ps)
def test_both_agree_with_statsmodels(values: list[float]) -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    assert adjust(values) == pytest.approx(multitest.multipletests(values, method="holm")[1])
    assert adjust(values, "bh") == pytest.approx(multitest.multipletests(values, method="fdr_bh")[1])


@settings(max_examples=50, deadline=None)
@given(ps, st.data())
def test_tests_that_were_not_made_do_not_count(values: list[float], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(values)))
    for correction in ("holm", "bh"):
        with_hole = adjust([*values[:place], None, *values[place:]], correction)
        assert with_hole[place] is None
        assert (*with_hole[:place], *with_hole[place + 1 :]) == adjust(values, correction)


@settings(max_examples=50, deadline=None)
@given(ps)
def test_adjusting_never_lowers_a_p_and_keeps_the_order(values: list[float]) -> None:
    for correction in ("holm", "bh"):
        adjusted = [p for p in adjust(values, correction) if p is not None]
        assert all(p - 1e-12 <= q <= 1 for p, q in zip(values, adjusted, strict=True))
        ranked = [q for _, q in sorted(zip(values, adjusted, strict=True))]
        assert ranked == pytest.approx(sorted(ranked))


def test_nothing_and_nonsense() -> None:
    assert adjust([]) == ()
    assert adjust([None]) == (None,)
    with pytest.raises(ValueError, match="between 0 and 1"):
        adjust([1.2])
