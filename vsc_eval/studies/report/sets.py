"""Section 3: the feature sets, how firmly they were chosen and how alike they are."""

from __future__ import annotations

from vsc_eval.analysis.run_tables import NONE, TextTable
from vsc_eval.studies.records import Selection, SetRow, StudyResults
from vsc_eval.studies.report.markdown import code, image, paragraphs, table
from vsc_eval.studies.report.words import decimal

FIGURE = "sets.png"


def section(results: StudyResults) -> str:
    rule, found = results.spec.select.rule, results.selection
    exclusive = (
        "a feature belongs only to the task where it scores highest, so sets are disjoint by construction"
        if rule.exclusive
        else "a feature may belong to several sets"
    )
    return paragraphs(
        [
            "## 3. The feature sets",
            f"Rule: the {rule.m} features with the best {code(rule.score)} of the task's items against all others, of "
            f"those that fire on at least {100 * rule.min_frequency:g} % of the task's items; {exclusive}. Chosen on "
            "the `select` split, which shares no scene with the test items.",
            table(_sets(found)),
            image(
                f"figures/{FIGURE}",
                "Heat maps of the Jaccard overlap and of the decoder cosine between feature sets",
                "Left: Jaccard overlap, shared features over all features of the two sets. Right: mean over the "
                "features of both sets of the cosine with the most similar decoder row of the other set; a mean of "
                "maxima, so a little above 0 between unlike sets. The diagonal is a set with itself.",
            ),
        ]
    )


def _sets(found: Selection) -> TextTable:
    missing = any(row.stability_mean is None for row in found.sets)
    return TextTable(
        title="Feature sets",
        columns=("set", "features", "best score", "worst score", "stability"),
        rows=tuple(
            (
                code(row.name),
                str(len(row.indices)),
                decimal(max(row.scores, default=None), 3),
                decimal(min(row.scores, default=None), 3),
                _stability(row),
            )
            for row in found.sets
        ),
        notes=(
            f"stability: mean Jaccard overlap with the sets that {found.stability_draws} bootstrap samples of orbits "
            "choose, [2.5 %, 97.5 % quantile] over the samples.",
            *((f"{NONE}: no sample chose a set.",) if missing else ()),
        ),
    )


def _stability(row: SetRow) -> str:
    if row.stability_low is None or row.stability_high is None:
        return decimal(row.stability_mean, 2)
    return f"{decimal(row.stability_mean, 2)} [{decimal(row.stability_low, 2)}, {decimal(row.stability_high, 2)}]"
