"""The answer in three sentences, made from the numbers."""

from __future__ import annotations

from vsc_eval.analysis.interactions import InteractionRow
from vsc_eval.analysis.rows import Row
from vsc_eval.answers.answer_table import Role
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.report.words import (
    Section,
    conditions,
    correction_words,
    edited,
    gain_of,
    noise_floor,
    ruled,
)
from vsc_eval.studies.words import FORM_WORDS
from vsc_eval.tables.clean import code, markdown
from vsc_eval.tables.markdown import bullets
from vsc_eval.tables.numbers import counted, in_points, p_value, percent, points, with_interval

CLAIM = (
    "one set can help a little, the union of two reliably brings drift and loses accuracy, even at the norm of a "
    "single set"
)


def answer(results: StudyResults) -> Section:
    return ["## The answer", bullets([_verdicts(results), _claim(results), _best_single(results)]), _scope(results)]


def verdict_counts(results: StudyResults, form: str) -> tuple[int, int, int]:
    """Pairs that interfere, that do not, and without enough evidence."""
    verdicts = [pair.verdict for pair in ruled(results, form)]
    return verdicts.count("interference"), verdicts.count("none"), verdicts.count("not enough evidence")


def _verdicts(results: StudyResults) -> str:
    raw = ruled(results, "raw")
    text = (
        f"Of {counted(len(raw), 'pair')} under {code(results.spec.verdict.edit)}, {_in_words(results, 'raw')} "
        f"(n = {raw[0].n} items in {raw[0].n_clusters} orbits)"
    )
    if ruled(results, "norm_matched"):
        text += f"; norm-matched, {_in_words(results, 'norm_matched')}"
    return text + "."


def _in_words(results: StudyResults, form: str) -> str:
    found, denied, unclear = verdict_counts(results, form)
    does, do = ("interferes", "interfere")
    return (
        f"**{found} {does if found == 1 else do}**, {denied} {'does' if denied == 1 else 'do'} not, and for {unclear} "
        "the evidence is not enough"
    )


def _claim(results: StudyResults) -> str:
    n, n_matched = len(ruled(results, "raw")), len(ruled(results, "norm_matched"))
    (found, denied, _), also_matched = verdict_counts(results, "raw"), verdict_counts(results, "norm_matched")[0]
    against_baseline = [_harmed(results, "combined"), _harmed(results, "norm_matched")]
    all_harmed = all(drift == lose == of for drift, lose, of in against_baseline)
    if found == n and n_matched and also_matched == n_matched and all_harmed:
        holds = "it holds for every pair that was asked for"
    elif found:
        rest = f", {also_matched} of them at matched norm too" if n_matched else "; norm matching was not asked for"
        holds = f"it holds in part: {found} of {n} pairs interfere{rest}"
    elif denied == n:
        holds = f"it does not hold: no pair does more harm than its parts by {in_points(results.spec.verdict.margin)}"
    else:
        holds = "it is not shown: no pair meets the rule, which does not mean that none interferes"
    return (
        '"Sparse Visual Thought Circuits in Vision-Language Models" (arXiv 2603.25075) claims that '
        f"{CLAIM}; on this model {holds} (against the baseline, "
        f"{_harm_words(results, *against_baseline)})."
    )


def _harmed(results: StudyResults, role: Role) -> tuple[int, int, int]:
    """Unions that drift beyond the floor by their interval, that lose accuracy, and all of them: against the baseline,
    whatever their parts do."""
    unions = edited(results, results.spec.verdict.edit, role)
    floor = noise_floor(results)
    drift = sum(row.drift is not None and (row.drift.share.low or 0.0) > floor for row in unions)
    return drift, sum(_shown(row, results) and gain_of(row) < 0 for row in unions), len(unions)


def _harm_words(results: StudyResults, raw: tuple[int, int, int], matched: tuple[int, int, int]) -> str:
    words = (
        f"{raw[0]} of {counted(raw[2], 'raw union')} drift beyond the floor by their interval and {raw[1]} lose "
        f"accuracy at an adjusted p of {results.spec.verdict.alpha:g} or less"
    )
    return f"{words}; norm-matched, {matched[0]} and {matched[1]} of {matched[2]}" if matched[2] else words


def _best_single(results: StudyResults) -> str:
    singles = [row for row in conditions(results) if row.role == "single"]
    best = max(singles, key=gain_of)
    shown = _shown(best, results) and gain_of(best) > 0
    if shown:
        ruling = "a gain that is larger than chance by this test"
    elif gain_of(best) > 0:
        ruling = "which cannot be told from no gain"
    else:
        ruling = "so no single set gains anything in this sample"
    difference = best.difference
    reason = f"No interval, since {markdown(difference.reason)}." if difference and difference.reason else ""
    drift = with_interval(best.drift.share if best.drift else None, percent)
    return (
        f"The best single set, {code(best.condition)}, changes accuracy by {with_interval(difference, points)} points "
        f"(n = {best.n}, adjusted p = {p_value(best.p_difference_adjusted)}) at a drift of {drift} %, {ruling}; it is "
        f"the best of {len(singles)} conditions on these very items, so its value flatters it. {reason}".rstrip()
    )


def _scope(results: StudyResults) -> str:
    return (
        f"By the sign-flip tests alone (p adjusted by {correction_words(results)}, at most "
        f"{results.spec.verdict.alpha:g}), without controls and least size, a harmful interaction in some outcome "
        f"is found for {_by_sign_flip(results)}. p of single conditions are adjusted over all conditions of the "
        "sweep. This is one model on one synthetic benchmark, with sets chosen by one rule; it says nothing about "
        "others."
    )


def _by_sign_flip(results: StudyResults) -> str:
    found = []
    for form, words in FORM_WORDS.items():
        pairs = ruled(results, form)
        if pairs:
            found.append(f"{sum(_harmful(pair, results) for pair in pairs)} of {len(pairs)} {words} pairs")
    return " and ".join(found)


def _harmful(pair: InteractionRow, results: StudyResults) -> bool:
    tests = {
        "drift": (pair.drift_interaction.value or 0.0, pair.p_drift_adjusted),
        "accuracy": (-(pair.accuracy_interaction.value or 0.0), pair.p_accuracy_adjusted),
    }
    asked = (tests[outcome] for outcome in results.spec.verdict.outcomes)
    return any(harm > 0 and p is not None and p <= results.spec.verdict.alpha for harm, p in asked)


def _shown(row: Row, results: StudyResults) -> bool:
    p = row.p_difference_adjusted
    return p is not None and p <= results.spec.verdict.alpha
