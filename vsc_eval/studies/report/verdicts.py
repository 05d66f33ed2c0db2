"""Section 8: every pair's verdict with the numbers that decided it."""

from __future__ import annotations

from vsc_eval.analysis.interactions import Form, InteractionRow
from vsc_eval.analysis.run_tables import TextTable
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.report.markdown import bullets, code, escape, folded, paragraphs, table
from vsc_eval.studies.report.words import (
    FORM_WORDS,
    correction_words,
    interval_note,
    names,
    p_words,
    ruled,
    sign_flip_words,
    signed_ci,
    size,
    span,
)


def section(results: StudyResults) -> str:
    parts = ["## 8. Verdicts"]
    for form in FORM_WORDS:
        if pairs := ruled(results, form):
            parts += [table(_table(results, pairs, form)), _decided(pairs, form)]
    return paragraphs(parts)


def _table(results: StudyResults, pairs: list[InteractionRow], form: Form) -> TextTable:
    figures = [f for pair in pairs for f in (pair.drift_interaction, pair.accuracy_interaction)]
    drift, accuracy = (
        span(pair.detectable_drift for pair in pairs),
        span(pair.detectable_accuracy for pair in pairs),
    )
    return TextTable(
        title=f"Verdicts on {FORM_WORDS[form]} unions under {code(pairs[0].edit)} "
        f"({size(pairs[0].n, pairs[0].n_clusters)})",
        columns=("pair", "drift interaction", "p (adj.)", "accuracy interaction", "p (adj.)", "verdict"),
        rows=tuple(
            (
                names(pair.parts),
                signed_ci(pair.drift_interaction),
                p_words(pair.p_drift_adjusted),
                signed_ci(pair.accuracy_interaction),
                p_words(pair.p_accuracy_adjusted),
                f"**{pair.verdict}**" if pair.verdict == "interference" else str(pair.verdict),
            )
            for pair in pairs
        ),
        notes=(
            f"{interval_note(figures)} p: {sign_flip_words(results)}, {correction_words(results)} over the "
            f"{2 * len(pairs)} tests of pairs and outcomes.",
            f"Smallest detectable interaction (power 0.8, one test alone): drift {drift}, accuracy {accuracy} points.",
        ),
    )


def _decided(pairs: list[InteractionRow], form: Form) -> str:
    """Pairs that the same numbers decided share a line."""
    groups: dict[tuple[str, str], list[str]] = {}
    for pair in pairs:
        groups.setdefault((str(pair.verdict), pair.decided_by or ""), []).append(names(pair.parts))
    lines = [f"{', '.join(which)}: **{verdict}**. {escape(why)}." for (verdict, why), which in groups.items()]
    return folded(f"The numbers that decided the {FORM_WORDS[form]} ones", bullets(lines))
