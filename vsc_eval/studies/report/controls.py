"""Section 6: effects of the real sets beside those of control draws."""

from __future__ import annotations

from collections.abc import Iterable

from vsc_eval.analysis.controls import ControlTest, Outcome
from vsc_eval.analysis.run_tables import NONE, TextTable
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.report.markdown import code, escape, folded, image, paragraphs, table
from vsc_eval.studies.report.words import KIND_WORDS, names, p_words, signed

FIGURE = "controls.png"

_OUTCOMES: tuple[Outcome, ...] = ("drift", "accuracy")
_OUTCOME_WORDS: dict[Outcome, str] = {"drift": "drift", "accuracy": "accuracy difference"}


def section(results: StudyResults) -> str:
    head = "## 6. Effects against controls"
    if not results.controls:
        return paragraphs([head, "The study ran no controls, so nothing here says whether any set would do the same."])
    edit, n = results.spec.verdict.edit, results.n_control_items
    single_tables = [
        table(_table(results, effect, outcome)) for effect in ("single", "combined") for outcome in _OUTCOMES
    ]
    return paragraphs(
        [
            head,
            f"Under {code(edit)}, raw, on n = {n} items: the effect of the real sets, and the same effect of "
            f"{results.spec.controls.draws} draws of each kind of control: "
            "*matched random sets* fire as often and as strongly; *random directions* replace the decoder rows at the "
            "same norm; *permuted labels* repeat the selection with shuffled task labels. The percentile is the share "
            "of draws that are less harmful, ties half: 50 is like the controls, 100 is worse than all of them.",
            image(
                f"figures/{FIGURE}",
                "Effects of the real sets as diamonds over the effects of the control draws as dots",
                "Diamond: the real sets. Dots: control draws, one row for each kind. A filled diamond is extreme "
                "against every kind that the verdict asks for (of an interaction: by its family-wise p; of a "
                "single set: by "
                "its own p, not adjusted). Harmful is to the right for drift and to the left for accuracy.",
            ),
            *(table(_table(results, "interaction", outcome)) for outcome in _OUTCOMES),
            folded("Single sets and unions against controls", paragraphs(single_tables)),
        ]
    )


def _table(results: StudyResults, effect: str, outcome: Outcome) -> TextTable:
    tests = [test for test in results.controls if (test.effect, test.outcome) == (effect, outcome)]
    by_sets: dict[tuple[str, ...], dict[str, ControlTest]] = {}
    for test in tests:
        by_sets.setdefault(test.sets, {})[test.kind] = test
    kinds = results.spec.controls.kinds
    family = any(test.p_family is not None for test in tests)
    what = {"interaction": "Interaction of unions", "single": "Single sets", "combined": "Unions"}[effect]
    figures = "percentile, p, family-wise p" if family else "percentile, p"
    return TextTable(
        title=f"{what}, {_OUTCOME_WORDS[outcome]} in points: {figures} (n = {results.n_control_items})",
        columns=("pair" if effect != "single" else "set", "real", *(KIND_WORDS[kind] for kind in kinds)),
        rows=tuple(
            (
                names(sets),
                signed(next(iter(found.values())).value),
                *(_cell(found.get(kind), family) for kind in kinds),
            )
            for sets, found in by_sets.items()
        ),
        notes=tuple(_notes(results, tests, family)),
    )


def _cell(test: ControlTest | None, family: bool) -> str:
    if test is None:
        return NONE
    percentile = NONE if test.percentile is None else f"{test.percentile:.0f}"
    parts = [percentile, p_words(test.p), *([p_words(test.p_family)] if family else [])]
    return ", ".join(parts)


def _notes(results: StudyResults, tests: Iterable[ControlTest], family: bool) -> Iterable[str]:
    least = 1 / (1 + results.spec.controls.draws)
    yield (
        "p: (1 + draws at least as harmful) / (1 + draws), one-sided, not adjusted; it cannot be smaller than "
        f"{p_words(least)} with {results.spec.controls.draws} draws."
    )
    if family:
        yield (
            "Family-wise p: of the largest standardised interaction over all pairs with controls and all "
            "outcomes of the "
            "verdict, within one kind (max-T over draws)."
        )
    reasons: dict[tuple[str, str], int] = {}
    for test in tests:
        if test.reason:
            key = (test.kind, test.reason)
            reasons[key] = reasons.get(key, 0) + 1
    for (kind, reason), count in reasons.items():
        yield f"{escape(kind)}: {escape(reason)} ({count} effects)."
