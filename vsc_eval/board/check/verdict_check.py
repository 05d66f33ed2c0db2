"""Verdicts of unions against the numbers that an entry has.

A verdict of interference also needs p against controls that an entry does not have, so that it cannot be proven right;
the others can.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from vsc_eval.board.check.problem import TOLERANCE
from vsc_eval.board.check.recount import Recount
from vsc_eval.board.records import Entry, UnionFigure
from vsc_eval.stats import zero_count_limit

_VERDICTS = ("interference", "none", "not enough evidence")


class Rule(BaseModel):
    """What is needed of a study's `VerdictRule`, whose module loads torch."""

    edit: str
    outcomes: tuple[Literal["drift", "accuracy"], ...] = Field(min_length=1)
    require: Literal["any", "all"]
    alpha: float = Field(gt=0, lt=1)
    min_effect: float = Field(ge=0, le=1)
    margin: float = Field(gt=0, le=1)
    level: float = Field(default=0.95, gt=0.5, lt=1)
    """Of the intervals."""


def verdict_rule(entry: Entry) -> Rule | None:
    """The rule in the entry's settings, if there is one."""
    rule, statistics = (entry.provenance.settings.get(name) for name in ("verdict", "statistics"))
    level = {"level": statistics["level"]} if isinstance(statistics, Mapping) and "level" in statistics else {}
    try:
        return Rule.model_validate({**rule, **level} if isinstance(rule, Mapping) else rule)
    except ValidationError:
        return None


def verdict_faults(union: UnionFigure, rule: Rule | None, recount: Recount) -> Iterator[tuple[str, str]]:
    """Field and fault, for a union's verdict."""
    if rule is None or union.edit != rule.edit:
        if union.verdict is not None:
            yield "verdict", "there is a verdict under an edit for which the settings have no rule"
        return
    if union.verdict not in _VERDICTS:
        said = "missing" if union.verdict is None else f"'{union.verdict:.40}'"
        yield "verdict", f"it is {said}, and none of: {', '.join(_VERDICTS)}"
        return
    if not union.decided_by:
        yield "decided_by", "a verdict without the numbers that decided it"
        return
    judged = [
        found
        for found in _judged(union, len(np.unique(recount.clusters)), rule.level)
        if found.outcome in rule.outcomes
    ]
    met = [
        found.harm >= rule.min_effect - TOLERANCE and found.p is not None and found.p <= rule.alpha * (1 + TOLERANCE)
        for found in judged
    ]
    may_interfere = all(met) if rule.require == "all" else any(met)
    limits = [found.most_harm for found in judged]
    if union.verdict == "interference":
        if not may_interfere:
            yield "verdict", "it says interference, and its interactions and p do not meet the rule of the settings"
    elif union.verdict == "none":
        for found in judged:
            if found.most_harm is None or found.most_harm >= rule.margin + TOLERANCE:
                yield "verdict", f"it says none, and the interval of {found.outcome} reaches beyond the margin"
    elif not may_interfere and all(limit is not None and limit < rule.margin - TOLERANCE for limit in limits):
        yield "verdict", "it says not enough evidence, and no interval reaches the margin"


@dataclass(frozen=True)
class _Judged:
    outcome: str
    harm: float
    """The interaction in the harmful direction."""
    p: float | None
    most_harm: float | None
    """As `vsc_eval.studies.verdict.Evidence.most_harm` says."""


def _judged(union: UnionFigure, n_clusters: int, level: float) -> Iterator[_Judged]:
    limit = zero_count_limit(n_clusters, level=level) if n_clusters > 1 else None
    for outcome, interval, p, sign in (
        ("drift", union.drift_interaction, union.p_drift_adjusted, 1),
        ("accuracy", union.accuracy_interaction, union.p_accuracy_adjusted, -1),
    ):
        harm = sign * (interval.value or 0.0)
        end = interval.high if sign == 1 else interval.low
        no_interval = None if limit is None else harm + limit
        yield _Judged(outcome, harm, p, no_interval if end is None else sign * end)
