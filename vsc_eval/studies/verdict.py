"""The rule of the verdicts, as a pure function of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vsc_eval.stats import zero_count_limit
from vsc_eval.studies.records import Verdict
from vsc_eval.studies.spec import ControlKind, Outcome, VerdictRule

_HARM = {"drift": 1, "accuracy": -1}
"""Sign of a harmful interaction."""


@dataclass(frozen=True)
class Evidence:
    """One outcome of one pair. Shares of items; drift up and accuracy down are harmful."""

    outcome: Outcome
    interaction: float
    low: float | None
    high: float | None
    n_clusters: int
    p_adjusted: float | None
    """Sign-flip p of the interaction, adjusted by the rule's correction over its pairs and outcomes."""
    family_p: Mapping[ControlKind, float | None] = field(default_factory=dict)
    """Against each kind of control, family-wise; a kind that is missing was not run for this pair."""

    @property
    def harm(self) -> float:
        """The interaction in the harmful direction."""
        return _HARM[self.outcome] * self.interaction

    def most_harm(self, level: float) -> float | None:
        """The harmful end of the interval.

        Where every cluster gives the same value there is no interval: then at most a share of clusters that a
        Clopper-Pearson limit of none seen allows would differ, by one answer an item. None for less than two clusters.
        """
        if self.low is not None and self.high is not None:
            return self.high if self.outcome == "drift" else -self.low
        limit = zero_count_limit(self.n_clusters, level=level)
        return None if limit is None or self.n_clusters < 2 else self.harm + limit


@dataclass(frozen=True)
class Ruling:
    verdict: Verdict
    decided_by: str
    """The numbers that decided it, in words."""


def decide(
    evidence: Sequence[Evidence], rule: VerdictRule, *, level: float = 0.95, raw_verdict: Verdict | None = None
) -> Ruling:
    """Applies `rule`, whose docstring defines it, to the evidence of its outcomes.

    `raw_verdict` is given for a norm-matched pair: it has no controls of its own and stands on those of the raw union,
    so it interferes only where that does. `level` is that of the intervals.
    """
    judged = [e for e in evidence if e.outcome in rule.outcomes]
    assert {e.outcome for e in judged} == set(rule.outcomes)
    kinds = rule.control_kinds if raw_verdict is None else ()
    failures = {e.outcome: _failures(e, rule, kinds) for e in judged}
    if raw_verdict not in (None, "interference"):
        failures = {outcome: [*found, f"the raw union: {raw_verdict}"] for outcome, found in failures.items()}
    enough = any if rule.require == "any" else all
    if enough(not found for found in failures.values()):
        met = [_met(e, rule, kinds) for e in judged if not failures[e.outcome]]
        return Ruling("interference", "; ".join(met))
    limits = [(e, e.most_harm(level)) for e in judged]
    if all(limit is not None and limit < rule.margin for _, limit in limits):
        words = ", ".join(f"{e.outcome} {_signed(e.outcome, limit)}" for e, limit in limits if limit is not None)
        return Ruling("none", f"harmful ends of the intervals: {words} points; margin {100 * rule.margin:g}")
    return Ruling("not enough evidence", "; ".join(_unmet(e, failures[e.outcome], level, rule) for e in judged))


def _failures(e: Evidence, rule: VerdictRule, kinds: Sequence[ControlKind]) -> list[str]:
    found = []
    if e.harm <= 0:
        found.append("not harmful")
    elif e.harm < rule.min_effect - 1e-9:
        found.append(f"below {100 * rule.min_effect:g} points")
    if e.p_adjusted is None or e.p_adjusted > rule.alpha:
        found.append(f"sign-flip p {_p(e.p_adjusted)} ({rule.correction}) > {rule.alpha:g}")
    for kind in kinds:
        if kind not in e.family_p:
            found.append(f"no {kind} were run for it")
        elif (p := e.family_p[kind]) is None or p > rule.control_alpha + 1e-12:
            found.append(f"{kind} p {_p(p)} > {rule.control_alpha:g}")
    return found


def _met(e: Evidence, rule: VerdictRule, kinds: Sequence[ControlKind]) -> str:
    controls = "".join(f", {kind} p {_p(e.family_p[kind])}" for kind in kinds)
    return f"{_interaction(e)}: sign-flip p {_p(e.p_adjusted)} ({rule.correction}){controls}"


def _unmet(e: Evidence, failures: Sequence[str], level: float, rule: VerdictRule) -> str:
    limit = e.most_harm(level)
    reach = "; no interval" if limit is None else f"; may reach {_signed(e.outcome, limit)}"
    margin = "" if limit is not None and limit < rule.margin else f"{reach}, margin {100 * rule.margin:g}"
    return f"{_interaction(e)}: {', '.join(failures) or 'meets the rule, which asks for all outcomes'}{margin}"


def _interaction(e: Evidence) -> str:
    interval = "no interval" if e.low is None or e.high is None else f"{100 * e.low:+.1f}, {100 * e.high:+.1f}"
    return f"{e.outcome} interaction {100 * e.interaction:+.1f} points [{interval}]"


def _signed(outcome: Outcome, harm: float) -> str:
    return f"{100 * _HARM[outcome] * harm:+.1f}"


def _p(p: float | None) -> str:
    return "undefined" if p is None else f"{p:.2g}"
