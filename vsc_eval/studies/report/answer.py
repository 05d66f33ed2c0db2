"""The answer in three sentences, made from the numbers."""

from __future__ import annotations

from vsc_eval.analysis.interactions import InteractionRow
from vsc_eval.analysis.rows import Row
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.report.markdown import bullets, code, paragraphs
from vsc_eval.studies.report.words import (
    FORM_WORDS,
    correction_words,
    counted,
    in_points,
    interval_note,
    p_words,
    ruled,
    share_ci,
    signed_ci,
)

CLAIM = (
    "one set can help a little, the union of two reliably brings drift and loses accuracy, even at the norm of a "
    "single set"
)


def section(results: StudyResults) -> str:
    return paragraphs(
        ["## The answer", bullets([_verdicts(results), _claim(results), _best_single(results)]), _scope(results)]
    )


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
    against_baseline = [_harmed(results, role) for role in ("combined", "norm_matched")]
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
        f"The paper claims that {CLAIM}; on this model {holds} (against the baseline, "
        f"{_harm_words(results, *against_baseline)})."
    )


def _harmed(results: StudyResults, role: str) -> tuple[int, int, int]:
    """Unions that drift beyond the floor by their interval, that lose accuracy, and all of them: against the baseline,
    whatever their parts do."""
    unions = _rows(results, role)
    floor = max((row.drift.value or 0.0 for row in results.floor), default=0.0)
    drift = sum(row.drift is not None and (row.drift.share.low or 0.0) > floor for row in unions)
    return drift, sum(_shown(row, results) and _gain(row) < 0 for row in unions), len(unions)


def _harm_words(results: StudyResults, raw: tuple[int, int, int], matched: tuple[int, int, int]) -> str:
    words = (
        f"{raw[0]} of {counted(raw[2], 'raw union')} drift beyond the floor by their interval and {raw[1]} lose "
        f"accuracy at an adjusted p of {results.spec.verdict.alpha:g} or less"
    )
    return f"{words}; norm-matched, {matched[0]} and {matched[1]} of {matched[2]}" if matched[2] else words


def _best_single(results: StudyResults) -> str:
    singles = [row for row in results.rows if row.scope == "all" and row.role == "single"]
    best = max(singles, key=_gain)
    shown = _shown(best, results) and _gain(best) > 0
    if shown:
        ruling = "a gain that is larger than chance by this test"
    elif _gain(best) > 0:
        ruling = "which cannot be told from no gain"
    else:
        ruling = "so no single set gains anything in this sample"
    reasons = interval_note([best.difference]) if best.difference and best.difference.low is None else ""
    return (
        f"The best single set, {code(best.condition)}, changes accuracy by {signed_ci(best.difference)} points (n = "
        f"{best.n}, adjusted p = {p_words(best.p_difference_adjusted)}) at a drift of "
        f"{share_ci(best.drift.share if best.drift else None)} %, {ruling}; it is the best of {len(singles)} "
        f"conditions on these very items, so its value flatters it. {reasons}".rstrip()
    )


def _scope(results: StudyResults) -> str:
    return (
        f"By the sign-flip tests alone (p adjusted by {correction_words(results)}, at most "
        f"{results.spec.verdict.alpha:g}), without controls and least size, a harmful interaction in some outcome "
        f"is found "
        f"for {_by_sign_flip(results)}. p of single conditions are adjusted over all conditions of the sweep. This is "
        "one model on one synthetic benchmark, with sets chosen by one rule; it says nothing about others."
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


def _rows(results: StudyResults, role: str) -> list[Row]:
    edit = results.spec.verdict.edit
    return [row for row in results.rows if row.scope == "all" and row.role == role and row.edit == edit]


def _shown(row: Row, results: StudyResults) -> bool:
    p = row.p_difference_adjusted
    return p is not None and p <= results.spec.verdict.alpha


def _gain(row: Row) -> float:
    return 0.0 if row.difference is None or row.difference.value is None else row.difference.value
