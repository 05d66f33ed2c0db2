"""Sections 5, 6 and 8: unions against their parts, effects against controls, and the verdicts."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from vsc_eval.analysis.controls import ControlTest, Effect, Outcome
from vsc_eval.analysis.interactions import InteractionRow
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.report.words import (
    Section,
    correction_words,
    detectable_words,
    interaction_of,
    intervals_note,
    set_names,
    sign_flip_words,
    size,
)
from vsc_eval.studies.words import FORM_WORDS, KIND_WORDS, OUTCOME_WORDS
from vsc_eval.tables.clean import code, markdown
from vsc_eval.tables.markdown import bullets, folded, image
from vsc_eval.tables.numbers import UNDEFINED, p_value
from vsc_eval.tables.table import Table, by_columns

CONTROLS_FIGURE = "controls.png"

_MATCHED = {
    None: "",
    "mean": " Norm-matched: the union at the mean of its parts' norms, less the mean of their effects.",
    "max": " Norm-matched: the union at the larger of its parts' norms, less the larger drift and the smaller accuracy "
    "difference of the two.",
}
"""By what the norms of unions were matched to."""


def interference_figure_name(edit: str) -> str:
    """`interference_scale-4.png`."""
    return f"interference_{re.sub(r'[^A-Za-z0-9.]+', '-', edit).strip('-')}.png"


def interference(results: StudyResults) -> Section:
    """What unions do beyond their parts, under every edit."""
    verdict, edits = results.spec.verdict.edit, results.spec.sweep.edits
    return [
        "## 5. Interference: unions against their parts",
        "Raw: D(A+B) - D(A) - D(B) of drift, d(A+B) - d(A) - d(B) of the accuracy difference. Drift cannot exceed "
        "100 % and an answer can change only once, so the sum of two drifts is more than a union of independent sets "
        "would do; the interaction over the Bliss expectation D(A) + D(B) - D(A) D(B) allows for that."
        + _MATCHED[results.spec.sweep.norm_match],
        *_under(results, verdict),
        *(folded(f"The same under {edit}", *_under(results, edit)) for edit in edits if edit != verdict),
    ]


def _under(results: StudyResults, edit: str) -> list[str | Table]:
    forms = "raw and norm-matched" if results.spec.sweep.norm_match else "raw"
    figure = image(
        f"figures/{interference_figure_name(edit)}",
        f"Matrices of the interaction of every union of two sets under {edit}, drift and accuracy, {forms}",
        "Percentage points. Lower triangle: interaction of the union of row and column. Diagonal (grey): the single "
        "set's own drift, or accuracy difference, which is no interaction. \\*: adjusted p of the interaction at most "
        f"{results.spec.verdict.alpha:g}. Red is harmful in every panel; empty: that pair was not asked for.",
    )
    return [figure, *(_beyond(results, pairs) for pairs in results.pairs_by_form(edit).values())]


def _beyond(results: StudyResults, pairs: Sequence[InteractionRow]) -> Table:
    raw = pairs[0].form == "raw"
    return by_columns(
        "interactions",
        f"Interaction of {FORM_WORDS[pairs[0].form]} unions under {pairs[0].edit}, points ({size(pairs[0])})",
        ("pair", "name", [set_names(pair.parts) for pair in pairs]),
        ("union's drift %", "percent", [pair.drift for pair in pairs]),
        *_columns(pairs, "drift"),
        *[("drift over Bliss", "points", [pair.drift_bliss for pair in pairs])] * raw,
        *_columns(pairs, "accuracy"),
        notes=[_tests_note(results, pairs, "this table") + " The interaction over Bliss is not tested." * raw],
    )


def _columns(pairs: Sequence[InteractionRow], outcome: Outcome) -> Iterator[tuple[Any, ...]]:
    figures, p = zip(*(interaction_of(pair, outcome) for pair in pairs), strict=True)
    yield f"{outcome} interaction", "points", figures
    yield "p (adj.)", "p", p


def _tests_note(results: StudyResults, pairs: Sequence[InteractionRow], of: str) -> str:
    figures = [interaction_of(pair, outcome)[0] for pair in pairs for outcome in OUTCOME_WORDS]
    return (
        f"{intervals_note(figures)} p: {sign_flip_words(results)}, {correction_words(results)} over the "
        f"{2 * len(pairs)} tests of {of}."
    )


def controls(results: StudyResults) -> Section:
    """Effects of the real sets beside those of control draws."""
    head = "## 6. Effects against controls"
    if not results.controls:
        return [head, "The study ran no controls, so nothing here says whether any set would do the same."]
    others: tuple[tuple[Effect, str], ...] = (("single", "Single sets"), ("combined", "Combined edits"))
    return [
        head,
        f"Under {code(results.spec.verdict.edit)}, raw, on n = {results.n_control_items} items: the effect of the "
        f"real sets, and the same effect of {results.spec.controls.draws} draws of each kind of control: *matched "
        "random sets* fire as often and as strongly; *random directions* replace the decoder rows at the same norm; "
        "*permuted labels* repeat the selection with shuffled task labels. The percentile is the share of draws that "
        "are less harmful, ties half: 50 is like the controls, 100 is worse than all of them.",
        image(
            f"figures/{CONTROLS_FIGURE}",
            "Effects of the real sets as diamonds over the effects of the control draws as dots",
            "Diamond: the real sets. Dots: control draws, one row for each kind. A filled diamond is extreme against "
            "every kind that the verdict asks for (of an interaction: by its family-wise p; of a single set: by its "
            "own p, not adjusted). Harmful is to the right for drift and to the left for accuracy.",
        ),
        *_against_controls(results, "interaction", "Interaction of unions"),
        folded(
            "Single sets and unions against controls",
            *(made for effect, what in others for made in _against_controls(results, effect, what)),
        ),
    ]


def _against_controls(results: StudyResults, effect: Effect, what: str) -> Iterator[Table]:
    """A table an outcome."""
    for outcome, words in OUTCOME_WORDS.items():
        tests = [test for test in results.controls if (test.effect, test.outcome) == (effect, outcome)]
        by_sets: dict[tuple[str, ...], dict[str, ControlTest]] = {}
        for test in tests:
            by_sets.setdefault(test.sets, {})[test.kind] = test
        rows, family = by_sets.values(), any(test.p_family is not None for test in tests)
        yield by_columns(
            f"controls-{effect}-{outcome}",
            f"{what}, {words} in points: percentile, p{', family-wise p' if family else ''} "
            f"(n = {results.n_control_items})",
            ("set" if effect == "single" else "pair", "name", map(set_names, by_sets)),
            ("real", "points", [next(iter(found.values())).value for found in rows]),
            *(
                (KIND_WORDS[kind], "text", "", "", 40, None, True, [_beside(found.get(kind), family) for found in rows])
                for kind in results.spec.controls.kinds
            ),
            notes=_control_notes(results, tests, family),
        )


def _beside(test: ControlTest | None, family: bool) -> str | None:
    if test is None:
        return None
    percentile = UNDEFINED if test.percentile is None else f"{test.percentile:.0f}"
    return ", ".join([percentile, p_value(test.p), *[p_value(test.p_family)] * family])


def _control_notes(results: StudyResults, tests: Sequence[ControlTest], family: bool) -> Iterator[str]:
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
        if pairs := results.ruled(form):
            parts += [verdict_table(results, pairs), _decided(pairs)]
    return parts


def verdict_table(results: StudyResults, pairs: Sequence[InteractionRow]) -> Table:
    """Of pairs of one form."""
    return by_columns(
        "verdicts",
        f"Verdicts on {FORM_WORDS[pairs[0].form]} unions under {pairs[0].edit} ({size(pairs[0])})",
        ("pair", "name", [set_names(pair.parts) for pair in pairs]),
        *_columns(pairs, "drift"),
        *_columns(pairs, "accuracy"),
        ("verdict", "text", [pair.verdict for pair in pairs]),
        notes=[
            _tests_note(results, pairs, "pairs and outcomes"),
            f"Smallest detectable interaction (power 0.8, one test alone): {detectable_words(pairs)}.",
        ],
    )


def _decided(pairs: Sequence[InteractionRow]) -> str:
    """Pairs that the same numbers decided share a line."""
    groups: dict[tuple[str, str], list[str]] = {}
    for pair in pairs:
        groups.setdefault((str(pair.verdict), pair.decided_by or ""), []).append(code(set_names(pair.parts)))
    lines = [f"{', '.join(which)}: **{verdict}**. {markdown(why)}." for (verdict, why), which in groups.items()]
    return folded(f"The numbers that decided the {FORM_WORDS[pairs[0].form]} ones", bullets(lines))
