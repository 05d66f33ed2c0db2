"""Sections 5, 6 and 8: unions against their parts, effects against controls, and the verdicts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from vsc_eval.analysis.controls import ControlTest
from vsc_eval.analysis.interactions import InteractionRow
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.report.words import (
    Section,
    correction_words,
    detectable_words,
    interactions,
    intervals_note,
    pairs_of,
    ruled,
    set_names,
    sign_flip_words,
    size,
)
from vsc_eval.studies.words import FORM_WORDS, KIND_WORDS, OUTCOME_WORDS
from vsc_eval.tables.clean import code, markdown
from vsc_eval.tables.markdown import bullets, folded, image
from vsc_eval.tables.numbers import UNDEFINED, p_value
from vsc_eval.tables.table import Table, columns, table

CONTROLS_FIGURE = "controls.png"


def interference_figure_name(edit: str) -> str:
    """`interference_scale-4.png`."""
    return f"interference_{re.sub(r'[^A-Za-z0-9.]+', '-', edit).strip('-')}.png"


def interference(results: StudyResults) -> Section:
    """What unions do beyond their parts, under every edit."""
    verdict = results.spec.verdict.edit
    others = [edit for edit in results.spec.sweep.edits if edit != verdict]
    return [
        "## 5. Interference: unions against their parts",
        _meaning(results),
        *_under(results, verdict),
        *(folded(f"The same under {edit}", *_under(results, edit)) for edit in others),
    ]


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


def _under(results: StudyResults, edit: str) -> list[str | Table]:
    forms = "raw and norm-matched" if results.spec.sweep.norm_match else "raw"
    figure = image(
        f"figures/{interference_figure_name(edit)}",
        f"Matrices of the interaction of every union of two sets under {edit}, drift and accuracy, {forms}",
        "Percentage points. Lower triangle: interaction of the union of row and column. Diagonal (grey): the single "
        "set's own drift, or accuracy difference, which is no interaction. \\*: adjusted p of the interaction at most "
        f"{results.spec.verdict.alpha:g}. Red is harmful in every panel; empty: that pair was not asked for.",
    )
    tables = [_beyond(results, pairs) for form in FORM_WORDS if (pairs := pairs_of(results, edit, form))]
    return [figure, *tables]


def _beyond(results: StudyResults, pairs: list[InteractionRow]) -> Table:
    raw = pairs[0].form == "raw"
    return table(
        "interactions",
        f"Interaction of {FORM_WORDS[pairs[0].form]} unions under {pairs[0].edit}, points "
        f"({size(pairs[0].n, pairs[0].n_clusters)})",
        columns(
            ("pair", "name"),
            ("union's drift %", "percent"),
            ("drift interaction", "points"),
            ("p (adj.)", "p"),
            *((("drift over Bliss", "points"),) if raw else ()),
            ("accuracy interaction", "points"),
            ("p (adj.)", "p"),
        ),
        [
            (
                *(set_names(pair.parts), pair.drift, pair.drift_interaction, pair.p_drift_adjusted),
                *((pair.drift_bliss,) if raw else ()),
                *(pair.accuracy_interaction, pair.p_accuracy_adjusted),
            )
            for pair in pairs
        ],
        [_tests_note(results, pairs, "this table") + " The interaction over Bliss is not tested." * raw],
    )


def _tests_note(results: StudyResults, pairs: list[InteractionRow], of: str) -> str:
    return (
        f"{intervals_note(interactions(pairs))} p: {sign_flip_words(results)}, {correction_words(results)} over the "
        f"{2 * len(pairs)} tests of {of}."
    )


def controls(results: StudyResults) -> Section:
    """Effects of the real sets beside those of control draws."""
    head = "## 6. Effects against controls"
    if not results.controls:
        return [head, "The study ran no controls, so nothing here says whether any set would do the same."]
    return [
        head,
        f"Under {code(results.spec.verdict.edit)}, raw, on n = {results.n_control_items} items: the effect of the "
        f"real sets, and the same effect of {results.spec.controls.draws} draws of each kind of control: "
        "*matched random sets* fire as often and as strongly; *random directions* replace the decoder rows at the "
        "same norm; *permuted labels* repeat the selection with shuffled task labels. The percentile is the share "
        "of draws that are less harmful, ties half: 50 is like the controls, 100 is worse than all of them.",
        image(
            f"figures/{CONTROLS_FIGURE}",
            "Effects of the real sets as diamonds over the effects of the control draws as dots",
            "Diamond: the real sets. Dots: control draws, one row for each kind. A filled diamond is extreme against "
            "every kind that the verdict asks for (of an interaction: by its family-wise p; of a single set: by its "
            "own p, not adjusted). Harmful is to the right for drift and to the left for accuracy.",
        ),
        *(_against_controls(results, "interaction", "Interaction of unions", outcome) for outcome in OUTCOME_WORDS),
        folded(
            "Single sets and unions against controls",
            *(
                _against_controls(results, effect, what, outcome)
                for effect, what in (("single", "Single sets"), ("combined", "Combined edits"))
                for outcome in OUTCOME_WORDS
            ),
        ),
    ]


def _against_controls(results: StudyResults, effect: str, what: str, outcome: str) -> Table:
    tests = [test for test in results.controls if (test.effect, test.outcome) == (effect, outcome)]
    by_sets: dict[tuple[str, ...], dict[str, ControlTest]] = {}
    for test in tests:
        by_sets.setdefault(test.sets, {})[test.kind] = test
    kinds = results.spec.controls.kinds
    family = any(test.p_family is not None for test in tests)
    figures = "percentile, p, family-wise p" if family else "percentile, p"
    return table(
        f"controls-{effect}-{outcome}",
        f"{what}, {OUTCOME_WORDS[outcome]} in points: {figures} (n = {results.n_control_items})",
        columns(
            ("pair" if effect != "single" else "set", "name"),
            ("real", "points"),
            *((KIND_WORDS[kind], "text", "", "", 40, None, True) for kind in kinds),
        ),
        [
            (
                *(set_names(sets), next(iter(found.values())).value),
                *(_beside(found.get(kind), family) for kind in kinds),
            )
            for sets, found in by_sets.items()
        ],
        _control_notes(results, tests, family),
    )


def _beside(test: ControlTest | None, family: bool) -> str | None:
    if test is None:
        return None
    percentile = UNDEFINED if test.percentile is None else f"{test.percentile:.0f}"
    return ", ".join([percentile, p_value(test.p), *([p_value(test.p_family)] if family else [])])


def _control_notes(results: StudyResults, tests: Iterable[ControlTest], family: bool) -> Iterable[str]:
    draws = results.spec.controls.draws
    yield (
        "p: (1 + draws at least as harmful) / (1 + draws), one-sided, not adjusted; it cannot be smaller than "
        f"{p_value(1 / (1 + draws))} with {draws} draws."
    )
    if family:
        yield (
            "Family-wise p: of the largest standardised interaction over all pairs with controls and all outcomes of "
            "the verdict, within one kind (max-T over draws)."
        )
    reasons = Counter((test.kind, test.reason) for test in tests if test.reason)
    for (kind, reason), count in reasons.items():
        yield f"{KIND_WORDS[kind]}: {reason} ({count} effects)."


def verdicts(results: StudyResults) -> Section:
    """Every pair's verdict with the numbers that decided it."""
    parts: Section = ["## 8. Verdicts"]
    for form in FORM_WORDS:
        if pairs := ruled(results, form):
            parts += [verdict_table(results, pairs), _decided(pairs)]
    return parts


def verdict_table(results: StudyResults, pairs: list[InteractionRow]) -> Table:
    """Of pairs of one form."""
    return table(
        "verdicts",
        f"Verdicts on {FORM_WORDS[pairs[0].form]} unions under {pairs[0].edit} "
        f"({size(pairs[0].n, pairs[0].n_clusters)})",
        columns(
            ("pair", "name"),
            ("drift interaction", "points"),
            ("p (adj.)", "p"),
            ("accuracy interaction", "points"),
            ("p (adj.)", "p"),
            "verdict",
        ),
        [
            (
                *(set_names(pair.parts), pair.drift_interaction, pair.p_drift_adjusted),
                *(pair.accuracy_interaction, pair.p_accuracy_adjusted, pair.verdict),
            )
            for pair in pairs
        ],
        [
            _tests_note(results, pairs, "pairs and outcomes"),
            f"Smallest detectable interaction (power 0.8, one test alone): {detectable_words(pairs)}.",
        ],
    )


def _decided(pairs: list[InteractionRow]) -> str:
    """Pairs that the same numbers decided share a line."""
    groups: dict[tuple[str, str], list[str]] = {}
    for pair in pairs:
        groups.setdefault((str(pair.verdict), pair.decided_by or ""), []).append(code(set_names(pair.parts)))
    lines = [f"{', '.join(which)}: **{verdict}**. {markdown(why)}." for (verdict, why), which in groups.items()]
    return folded(f"The numbers that decided the {FORM_WORDS[pairs[0].form]} ones", bullets(lines))
