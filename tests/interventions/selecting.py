"""Scores and choice of features in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vsc_eval.interventions.harvest import PooledActivations
from vsc_eval.interventions.select import Scalar, SelectionRule, choose_features, score_table
from vsc_eval.specs import FeatureSet


def select_features(
    pooled: PooledActivations,
    labels: Sequence[str],
    rule: SelectionRule,
    *,
    provenance: Mapping[str, Scalar] | None = None,
) -> tuple[FeatureSet, ...]:
    """One set for each distinct label, named after it."""
    return choose_features(score_table(pooled, labels, rule), rule, provenance=provenance)
