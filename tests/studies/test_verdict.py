"""The verdict rule on numbers written by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vsc_eval.analysis.controls import CONTROL_KINDS
from vsc_eval.analysis.verdict import Evidence, VerdictRule, decide
from vsc_eval.stats.bootstrap import zero_count_limit

RULE = VerdictRule()
EXTREME = dict.fromkeys(CONTROL_KINDS, 0.04)
STRONG = Evidence("drift", 0.12, 0.08, 0.16, 105, 0.001, EXTREME)
QUIET = Evidence("accuracy", -0.002, -0.02, 0.015, 105, 0.8, dict.fromkeys(CONTROL_KINDS, 0.6))


def but(evidence: Evidence, **changes: Any) -> Evidence:
    return dataclasses.replace(evidence, **changes)


def test_one_outcome_that_meets_everything_is_interference() -> None:
    ruling = decide([STRONG, QUIET], RULE)
    assert ruling.verdict == "interference"
    assert ruling.decided_by == (
        "drift interaction +12.0 points [+8.0, +16.0]: sign-flip p 0.001 (holm), random_sets p 0.04, "
        "random_directions p 0.04, permuted_labels p 0.04"
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"interaction": -0.12, "low": -0.16, "high": 0.06}, "not harmful"),
        ({"interaction": 0.009, "low": -0.04, "high": 0.06}, "below 1 points"),
        ({"p_adjusted": 0.051}, "sign-flip p 0.051 (holm) > 0.05"),
        ({"p_adjusted": None}, "sign-flip p undefined (holm) > 0.05"),
        ({"family_p": {**EXTREME, "random_sets": 0.06}}, "random_sets p 0.06 > 0.05"),
        ({"family_p": {**EXTREME, "random_directions": None}}, "random_directions p undefined > 0.05"),
        ({"family_p": {}}, "no permuted_labels were run for it"),
    ],
)
def test_one_condition_that_fails_is_not_enough_evidence(changes: dict[str, Any], words: str) -> None:
    ruling = decide([but(STRONG, **changes), QUIET], RULE)
    assert ruling.verdict == "not enough evidence"
    assert words in ruling.decided_by
    assert "margin 5" in ruling.decided_by


def test_at_the_limits_counts() -> None:
    edge = but(STRONG, interaction=0.01, p_adjusted=0.05, family_p=dict.fromkeys(CONTROL_KINDS, 1 / 20))
    assert decide([edge, QUIET], RULE).verdict == "interference"


def test_a_loss_of_accuracy_is_harmful_and_a_gain_is_not() -> None:
    lost = but(STRONG, outcome="accuracy", interaction=-0.12, low=-0.16, high=-0.08)
    calm = but(QUIET, outcome="drift", interaction=0.002, low=-0.015, high=0.02)
    assert decide([calm, lost], RULE).verdict == "interference"
    gained = but(lost, interaction=0.12, low=0.08, high=0.16)
    assert decide([calm, gained], RULE).verdict == "none"


def test_all_outcomes_may_be_required() -> None:
    rule = VerdictRule(require="all")
    assert decide([STRONG, QUIET], rule).verdict == "not enough evidence"
    lost = but(STRONG, outcome="accuracy", interaction=-0.12, low=-0.16, high=-0.08)
    assert decide([STRONG, lost], rule).verdict == "interference"


def test_outcomes_that_the_rule_does_not_name_do_not_count() -> None:
    rule = VerdictRule(outcomes=("accuracy",))
    assert decide([STRONG, QUIET], rule).verdict == "none"


def test_none_needs_the_whole_interval_within_the_margin() -> None:
    calm = but(QUIET, outcome="drift", interaction=0.01, low=-0.01, high=0.049)
    ruling = decide([calm, QUIET], RULE)
    assert ruling.verdict == "none"
    assert ruling.decided_by == "harmful ends of the intervals: drift +4.9, accuracy -2.0 points; margin 5"
    assert decide([but(calm, high=0.05), QUIET], RULE).verdict == "not enough evidence"


def test_nothing_seen_is_none_only_where_enough_was_looked_at() -> None:
    """Without an interval the limit of 0 clusters of n decides: 3.5 points of 105 orbits, 5.1 of 70."""
    still = [Evidence(outcome, 0.0, None, None, 105, 1.0, EXTREME) for outcome in ("drift", "accuracy")]
    assert zero_count_limit(105) == pytest.approx(0.0345, abs=1e-4)
    assert decide(still, RULE).verdict == "none"
    assert decide([but(e, n_clusters=70) for e in still], RULE).verdict == "not enough evidence"
    assert decide([but(e, n_clusters=1) for e in still], RULE).verdict == "not enough evidence"


def test_a_norm_matched_pair_stands_on_the_raw_ones_controls() -> None:
    matched = [but(STRONG, family_p={}), but(QUIET, family_p={})]
    assert decide(matched, RULE, raw_verdict="interference").verdict == "interference"
    ruling = decide(matched, RULE, raw_verdict="not enough evidence")
    assert ruling.verdict == "not enough evidence"
    assert "the raw combined edit: not enough evidence" in ruling.decided_by


figures = st.floats(-0.5, 0.5)


@settings(deadline=None)
@given(figures, st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.3))
def test_stronger_evidence_never_loses_the_verdict(interaction: float, p: float, control: float, more: float) -> None:
    family = dict.fromkeys(CONTROL_KINDS, control)
    drift = Evidence("drift", interaction, interaction - 0.1, interaction + 0.1, 50, p, family)
    stronger = but(
        drift, interaction=interaction + more, p_adjusted=p / 2, family_p=dict.fromkeys(CONTROL_KINDS, control / 2)
    )
    if decide([drift, QUIET], RULE).verdict == "interference":
        assert decide([stronger, QUIET], RULE).verdict == "interference"


@settings(deadline=None)
@given(figures, figures, st.floats(0, 1), st.floats(0, 1))
def test_interference_is_never_said_of_what_does_no_harm(drift: float, gain: float, p: float, control: float) -> None:
    family = dict.fromkeys(CONTROL_KINDS, control)
    rows = [
        Evidence("drift", -abs(drift), None, None, 50, p, family),
        Evidence("accuracy", abs(gain), None, None, 50, p, family),
    ]
    assert decide(rows, RULE).verdict != "interference"
