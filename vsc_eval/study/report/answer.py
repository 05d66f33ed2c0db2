"""The answer in three sentences, made from the numbers."""

from __future__ import annotations

from vsc_eval.study.records import ConditionRow, StudyResults
from vsc_eval.study.report.markdown import bullets, code, paragraphs
from vsc_eval.study.report.words import correction_words, counted, p_words, ruled, share_ci, signed_ci

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
    raw, matched = ruled(results, "raw"), ruled(results, "norm_matched")
    found, denied, _ = verdict_counts(results, "raw")
    also_matched = verdict_counts(results, "norm_matched")[0]
    if found == len(raw):
        holds = "interference was found for every pair" if len(raw) > 1 else "interference was found for the one pair"
        if not matched:
            holds += "; whether it survives norm matching was not asked"
        elif also_matched == len(matched):
            holds += ", norm-matched unions included"
        else:
            holds += f", but at matched norm only for {also_matched} of {len(matched)}"
    elif found:
        rest = f", {also_matched} of them at matched norm too" if matched else ""
        holds = f"it holds in part at most: {found} of {len(raw)} pairs interfere{rest}, which is not reliably"
    elif denied == len(raw):
        holds = (
            "it does not hold here: no pair does more harm than its parts by the margin of "
            f"{100 * results.spec.verdict.margin:g} points"
        )
    else:
        holds = "it is not shown here: no pair meets the rule, which is not the same as no interference"
    return f'The paper\'s claim that "{CLAIM}": on this model, {holds} ({_unions(results)}).'


def _unions(results: StudyResults) -> str:
    """What unions do against the baseline, whatever their parts do."""
    unions = _rows(results, "union")
    lose = sum(_shown(row, results) and _gain(row) < 0 for row in unions)
    floor = max((row.drift.value or 0.0 for row in results.floor), default=0.0)
    drift = sum(row.drift is not None and (row.drift.share.low or 0.0) > floor for row in unions)
    text = (
        f"of {counted(len(unions), 'raw union')} {drift} drift beyond the floor by their interval, and {lose} lose "
        f"accuracy at an adjusted p of {results.spec.verdict.alpha:g} or less"
    )
    if matched := _rows(results, "norm_matched_union"):
        lose = sum(_shown(row, results) and _gain(row) < 0 for row in matched)
        text += f", norm-matched {lose} of {len(matched)}"
    return text


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
    return (
        f"The best single set, {code(best.condition)}, changes accuracy by {signed_ci(best.difference)} points (n = "
        f"{best.n}, adjusted p = {p_words(best.p_difference_adjusted)}) at a drift of "
        f"{share_ci(best.drift.share if best.drift else None)} %, {ruling}; it is the best of {len(singles)} "
        "conditions on these very items, so its value flatters it."
    )


def _scope(results: StudyResults) -> str:
    return (
        "This is one model on one synthetic benchmark, and sets chosen by one rule; it says nothing about others. p of "
        f"single conditions are adjusted by {correction_words(results)} over all conditions of the sweep."
    )


def _rows(results: StudyResults, role: str) -> list[ConditionRow]:
    edit = results.spec.verdict.edit
    return [row for row in results.rows if row.scope == "all" and row.role == role and row.edit == edit]


def _shown(row: ConditionRow, results: StudyResults) -> bool:
    p = row.p_difference_adjusted
    return p is not None and p <= results.spec.verdict.alpha


def _gain(row: ConditionRow) -> float:
    return 0.0 if row.difference is None or row.difference.value is None else row.difference.value
