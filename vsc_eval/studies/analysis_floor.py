"""The noise floor: how much answers changed where nothing was done to them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vsc_eval.specs import BASELINE
from vsc_eval.stats import bootstrap_many, stream
from vsc_eval.studies.analysis import figure
from vsc_eval.studies.arrays import AnswerArrays, Codes, Floats
from vsc_eval.studies.records import FloorRow
from vsc_eval.studies.spec import StudySpec


def floor_rows(
    table: AnswerArrays,
    null_answers: Mapping[str, Codes],
    max_logprob_difference: Mapping[str, float],
    spec: StudySpec,
) -> tuple[FloorRow, ...]:
    """Drift of each condition that did nothing. The mappings have the same keys; `null_answers` are [items] each."""
    changed = changed_without_cause(table, null_answers)
    rng = stream(spec.seed, "study", "floor", "bootstrap")
    options = spec.statistics
    found = bootstrap_many(changed, table.clusters, rng, draws=options.draws, level=options.level)
    return tuple(
        FloorRow(
            name=name,
            drift=figure(share),
            n_changed=int(items.sum()),
            max_logprob_difference=max_logprob_difference[name],
        )
        for name, share, items in zip(null_answers, found, changed, strict=True)
    )


def changed_without_cause(table: AnswerArrays, null_answers: Mapping[str, Codes]) -> Floats:
    """1 where an answer is not the baseline's though nothing was done, [conditions, items]."""
    base = table.answers[BASELINE]
    return np.array([codes != base for codes in null_answers.values()], dtype=np.float64).reshape(-1, len(base))
