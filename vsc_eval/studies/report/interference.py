"""Section 5: what unions do beyond their parts, under every edit."""

from __future__ import annotations

import re

from vsc_eval.analysis.interactions import Form, InteractionRow
from vsc_eval.analysis.run_tables import TextTable
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.report.markdown import code, escape, folded, image, paragraphs, table
from vsc_eval.studies.report.words import (
    FORM_WORDS,
    correction_words,
    interval_note,
    names,
    p_words,
    share_ci,
    sign_flip_words,
    signed_ci,
    size,
)


def figure_name(edit: str) -> str:
    """`interference_scale-4.png`."""
    return f"interference_{re.sub(r'[^A-Za-z0-9.]+', '-', edit).strip('-')}.png"


def section(results: StudyResults) -> str:
    verdict = results.spec.verdict.edit
    others = [edit for edit in results.spec.sweep.edits if edit != verdict]
    return paragraphs(
        [
            "## 5. Interference: unions against their parts",
            _meaning(results),
            _figure(results, verdict),
            *_tables(results, verdict),
            *(
                folded(f"The same under {escape(edit)}", paragraphs([_figure(results, edit), *_tables(results, edit)]))
                for edit in others
            ),
        ]
    )


def _meaning(results: StudyResults) -> str:
    text = (
        "Raw: D(A+B) - D(A) - D(B) of drift, d(A+B) - d(A) - d(B) of the accuracy difference. Drift cannot exceed "
        "100 % and an answer can change only once, so the sum of two drifts is more than a union of independent sets "
        "would do; the interaction over the Bliss expectation D(A) + D(B) - D(A) D(B) allows for that."
    )
    match = results.spec.sweep.norm_match
    if match == "mean":
        text += " Norm-matched: the union at the mean of its parts' norms, less the mean of their effects."
    elif match == "max":
        text += (
            " Norm-matched: the union at the larger of its parts' norms, less the larger drift and the smaller "
            "accuracy difference of the two."
        )
    return text


def _figure(results: StudyResults, edit: str) -> str:
    alpha = results.spec.verdict.alpha
    forms = "raw and norm-matched" if results.spec.sweep.norm_match else "raw"
    return image(
        f"figures/{figure_name(edit)}",
        f"Matrices of the interaction of every union of two sets under {edit}, drift and accuracy, {forms}",
        "Percentage points. Lower triangle: interaction of the union of row and column. Diagonal (grey): the "
        "single set's "
        f"own drift, or accuracy difference, which is no interaction. \\*: adjusted p of the interaction at most "
        f"{alpha:g}. Red "
        "is harmful in every panel; empty: that pair was not asked for.",
    )


def _tables(results: StudyResults, edit: str) -> list[str]:
    found = []
    for form in FORM_WORDS:
        pairs = [pair for pair in results.pairs if pair.edit == edit and pair.form == form]
        if pairs:
            found.append(table(_table(results, pairs, form)))
    return found


def _table(results: StudyResults, pairs: list[InteractionRow], form: Form) -> TextTable:
    raw = form == "raw"
    figures = [f for pair in pairs for f in (pair.drift_interaction, pair.accuracy_interaction)]
    return TextTable(
        title=f"Interaction of {FORM_WORDS[form]} unions under {code(pairs[0].edit)}, points "
        f"({size(pairs[0].n, pairs[0].n_clusters)})",
        columns=(
            *("pair", "union's drift %", "drift interaction", "p (adj.)"),
            *(("drift over Bliss",) if raw else ()),
            *("accuracy interaction", "p (adj.)"),
        ),
        rows=tuple(
            (
                names(pair.parts),
                share_ci(pair.drift),
                signed_ci(pair.drift_interaction),
                p_words(pair.p_drift_adjusted),
                *((signed_ci(pair.drift_bliss),) if raw else ()),
                signed_ci(pair.accuracy_interaction),
                p_words(pair.p_accuracy_adjusted),
            )
            for pair in pairs
        ),
        notes=(
            f"{interval_note(figures)} p: {sign_flip_words(results)}, {correction_words(results)} over the "
            f"{2 * len(pairs)} tests of this table.{' The interaction over Bliss is not tested.' if raw else ''}",
        ),
    )
