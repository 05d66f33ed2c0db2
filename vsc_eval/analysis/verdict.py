"""The rule of the verdicts on combined edits, as a pure function of numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from pydantic import Field

from vsc_eval.analysis.controls import CONTROL_KINDS, HARM, ControlKind, ControlTest, Outcome, Pair
from vsc_eval.analysis.interactions import InteractionRow, Verdict
from vsc_eval.specs import Spec
from vsc_eval.stats.bootstrap import zero_count_limit


class VerdictRule(Spec):
    """When a pair of sets counts as interfering.

    The interaction of a pair is what its combined edit does beyond its parts: I_drift = D(A+B) - D(A) - D(B) and
    I_acc = d(A+B) - d(A) - d(B). It is harmful where I_drift > 0 or I_acc < 0.

    interference: for `require` (any, all) of the outcomes, the interaction is harmful and at least `min_effect`; its
    sign-flip p, adjusted by `correction` over all pairs and outcomes, is at most `alpha`; and against each kind of
    control in `control_kinds` it is extreme, family-wise over pairs and outcomes, with p at most `control_alpha`.
    A norm-matched combined edit, which has no controls, must instead belong to a raw one that interferes.
    none: no outcome is harmful by `margin` or more anywhere in the confidence interval of its interaction.
    not enough evidence: everything else.
    """

    edit: str = "scale=4"
    """One of the sweep's edits, named beforehand: verdicts and controls are under this one."""
    outcomes: tuple[Outcome, ...] = Field(default=("drift", "accuracy"), min_length=1)
    require: Literal["any", "all"] = "any"
    alpha: float = Field(default=0.05, gt=0, lt=1)
    correction: Literal["holm", "bh"] = "holm"
    min_effect: float = Field(default=0.01, ge=0, le=1)
    """As a share of items."""
    control_kinds: tuple[ControlKind, ...] = CONTROL_KINDS
    control_alpha: float = Field(default=0.05, gt=0, lt=1)
    margin: float = Field(default=0.05, gt=0, le=1)
    """As a share of items: an interaction below it does not matter in practice."""


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
        return HARM[self.outcome] * self.interaction

    def most_harm(self, level: float) -> float | None:
        """The harmful end of the interval.

        Where every cluster gives the same value there is no interval: then at most a share of clusters that a
        Clopper-Pearson limit of none seen allows would differ, by one answer an item. None for less than two clusters.
        """
        if self.low is not None and self.high is not None:
            return self.high if self.outcome == "drift" else -self.low
        limit = zero_count_limit(self.n_clusters, level=level)
        return None if limit is None or self.n_clusters < 2 else self.harm + limit


class Ruling(NamedTuple):
    verdict: Verdict
    decided_by: str
    """The numbers that decided it, in words."""


def decide(
    evidence: Sequence[Evidence], rule: VerdictRule, *, level: float = 0.95, raw_verdict: Verdict | None = None
) -> Ruling:
    """Applies `rule`, whose docstring defines it, to the evidence of its outcomes.

    `raw_verdict` is given for a norm-matched pair: it has no controls of its own and stands on those of the raw
    combined edit, so it interferes only where that does. `level` is that of the intervals.
    """
    judged = [e for e in evidence if e.outcome in rule.outcomes]
    assert {e.outcome for e in judged} == set(rule.outcomes)
    kinds = rule.control_kinds if raw_verdict is None else ()
    failures = {e.outcome: _failures(e, rule, kinds) for e in judged}
    if raw_verdict not in (None, "interference"):
        failures = {outcome: [*found, f"the raw combined edit: {raw_verdict}"] for outcome, found in failures.items()}
    enough = any if rule.require == "any" else all
    if enough(not found for found in failures.values()):
        met = []
        for e in (e for e in judged if not failures[e.outcome]):
            controls = "".join(f", {kind} p {_p(e.family_p[kind])}" for kind in kinds)
            met.append(f"{_interaction(e)}: sign-flip p {_p(e.p_adjusted)} ({rule.correction}){controls}")
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


def _unmet(e: Evidence, failures: Sequence[str], level: float, rule: VerdictRule) -> str:
    limit = e.most_harm(level)
    reach = "; no interval" if limit is None else f"; may reach {_signed(e.outcome, limit)}"
    margin = "" if limit is not None and limit < rule.margin else f"{reach}, margin {100 * rule.margin:g}"
    return f"{_interaction(e)}: {', '.join(failures) or 'meets the rule, which asks for all outcomes'}{margin}"


def _interaction(e: Evidence) -> str:
    interval = "no interval" if e.low is None or e.high is None else f"{100 * e.low:+.1f}, {100 * e.high:+.1f}"
    return f"{e.outcome} interaction {100 * e.interaction:+.1f} points [{interval}]"


def _signed(outcome: Outcome, harm: float) -> str:
    return f"{100 * HARM[outcome] * harm:+.1f}"


def _p(p: float | None) -> str:
    return "undefined" if p is None else f"{p:.2g}"


FamilyP = Mapping[tuple[Pair, Outcome], Mapping[ControlKind, float | None]]
"""Of the interaction of each (pair, outcome) against each kind of control."""


def with_verdicts(
    rows: Sequence[InteractionRow], rule: VerdictRule, controls: Sequence[ControlTest] = (), *, level: float = 0.95
) -> tuple[InteractionRow, ...]:
    """The rows with verdicts on those of the rule's edit, for which `controls` are used; `level` is that of the
    intervals."""
    against: dict[tuple[Pair, Outcome], dict[ControlKind, float | None]] = {}
    for test in controls:
        if test.effect == "interaction":
            a, b = test.sets
            against.setdefault(((a, b), test.outcome), {})[test.kind] = test.p_family
    judged = [row for row in rows if row.edit == rule.edit]
    raw = {row.parts: ruling(row, rule, against, level=level) for row in judged if row.form == "raw"}
    found = {row.condition: raw[row.parts] for row in judged if row.form == "raw"}
    for row in judged:
        if row.form == "norm_matched" and row.parts in raw:
            found[row.condition] = ruling(row, rule, {}, raw[row.parts].verdict, level=level)
    return tuple(
        row.model_copy(update=found[row.condition]._asdict() if row.condition in found else {}) for row in rows
    )


def ruling(
    row: InteractionRow, rule: VerdictRule, against: FamilyP, raw_verdict: Verdict | None = None, *, level: float = 0.95
) -> Ruling:
    """The rule on the numbers of a row; `against` has the p of its controls."""
    evidence = []
    for outcome in rule.outcomes:
        (found, p), controls = row.interaction(outcome), against.get((row.parts, outcome), {})
        assert found.value is not None
        evidence.append(Evidence(outcome, found.value, found.low, found.high, row.n_clusters, p, controls))
    return decide(evidence, rule, level=level, raw_verdict=raw_verdict)
