"""The answer in three sentences; then what was asked, the rule of the verdicts, and what the study could have seen."""

from vsc_eval.analysis.controls import HARM
from vsc_eval.analysis.interactions import Form, InteractionRow
from vsc_eval.answers.answer_table import Role
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.words import (
    FORM_WORDS,
    KIND_WORDS,
    Section,
    correction_words,
    detectable_words,
    gain_of,
    sign_flip_words,
    size,
)
from vsc_eval.synthetic import LETTERS, LEVELS
from vsc_eval.tables.clean import code, markdown
from vsc_eval.tables.formats import bullets
from vsc_eval.tables.numbers import counted, in_points, p_value, percent, points, span, with_interval

COMMAND = "vsc-eval study study.yaml --out STUDY"


def answer(results: StudyResults) -> Section:
    """The verdicts, what they say of the paper's claim, and the best single set; then how far that reaches."""
    return ["## The answer", bullets([_verdicts(results), _claim(results), _best_single(results)]), _scope(results)]


def _verdicts(results: StudyResults) -> str:
    raw = results.ruled("raw")
    matched = f"; norm-matched, {_counts(results, 'norm_matched')}" if results.ruled("norm_matched") else ""
    return (
        f"Of {counted(len(raw), 'pair')} under {code(results.spec.verdict.edit)}, {_counts(results, 'raw')} "
        f"({size(raw[0])}){matched}."
    )


def _counts(results: StudyResults, form: Form) -> str:
    found, denied, unclear = results.verdict_counts(form)
    return (
        f"**{found} {'interferes' if found == 1 else 'interfere'}**, {denied} {'does' if denied == 1 else 'do'} not, "
        f"and for {unclear} the evidence is not enough"
    )


def _claim(results: StudyResults) -> str:
    n, n_matched = len(results.ruled("raw")), len(results.ruled("norm_matched"))
    (found, denied, _), also_matched = results.verdict_counts("raw"), results.verdict_counts("norm_matched")[0]
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
    (drift, lose, of), (matched_drift, matched_lose, matched_of) = against_baseline
    matched = f"; norm-matched, {matched_drift} and {matched_lose} of {matched_of}" if matched_of else ""
    return (
        '"Sparse Visual Thought Circuits in Vision-Language Models" (arXiv 2603.25075) claims that one set can help a '
        "little, the combined edit of two reliably brings drift and loses accuracy, even at the norm of a single set; "
        f"on this model {holds} (against the baseline, {drift} of {counted(of, 'raw combined edit')} drift beyond the "
        "floor by their interval and "
        f"{lose} lose accuracy at an adjusted p of {results.spec.verdict.alpha:g} or less{matched})."
    )


def _harmed(results: StudyResults, role: Role) -> tuple[int, int, int]:
    """Combined edits that, against the baseline, drift beyond the floor by their interval; that lose accuracy; all."""
    edits = results.edited(results.spec.verdict.edit, role)
    drift = sum(row.drift is not None and (row.drift.share.low or 0.0) > results.noise_floor for row in edits)
    return drift, sum(results.passes(row.p_difference_adjusted) and gain_of(row) < 0 for row in edits), len(edits)


def _best_single(results: StudyResults) -> str:
    singles = [row for row in results.conditions if row.role == "single"]
    best = max(singles, key=gain_of)
    if gain_of(best) <= 0:
        ruling = "so no single set gains anything in this sample"
    elif results.passes(best.p_difference_adjusted):
        ruling = "a gain that is larger than chance by this test"
    else:
        ruling = "which cannot be told from no gain"
    difference = best.difference
    reason = f"No interval, since {markdown(difference.reason)}." if difference and difference.reason else ""
    drift = with_interval(best.drift.share if best.drift else None, percent)
    return (
        f"The best single set, {code(best.condition)}, changes accuracy by {with_interval(difference, points)} points "
        f"(n = {best.n}, adjusted p = {p_value(best.p_difference_adjusted)}) at a drift of {drift} %, {ruling}; it is "
        f"the best of {len(singles)} conditions on these very items, so its value flatters it. {reason}".rstrip()
    )


def _scope(results: StudyResults) -> str:
    by_sign_flip = [
        f"{sum(_is_harmful(results, pair) for pair in pairs)} of {len(pairs)} {words} pairs"
        for form, words in FORM_WORDS.items()
        if (pairs := results.ruled(form))
    ]
    return (
        f"By the sign-flip tests alone (p adjusted by {correction_words(results.spec)}, at most "
        f"{results.spec.verdict.alpha:g}), without controls and least size, a harmful interaction in some outcome is "
        f"found for {' and '.join(by_sign_flip)}. p of single conditions are adjusted over all conditions of the "
        "sweep. This is one model on one synthetic benchmark, with sets chosen by one rule; it says nothing about "
        "others."
    )


def _is_harmful(results: StudyResults, pair: InteractionRow) -> bool:
    """By the sign-flip test of some outcome."""
    found = {outcome: pair.interaction(outcome) for outcome in results.spec.verdict.outcomes}
    return any(HARM[o] * (figure.value or 0.0) > 0 and results.passes(p) for o, (figure, p) in found.items())


def asked(results: StudyResults) -> Section:
    """The setting, the rule of the verdicts, what could have been seen, and how to read the tables."""
    return ["## What was asked", _setting(results), *_rule(results), _power(results)]


def _setting(results: StudyResults) -> str:
    spec, baseline = results.spec, results.baseline
    revision = f", revision {code(spec.revision)}" if spec.revision else ""
    match = spec.sweep.norm_match
    matched = (
        f"each combined edit also rescaled at every token to the {match} of its parts' norms"
        if match
        else "not rescaled"
    )
    return bullets(
        [
            f"Model: {code(spec.model)}{revision}, fingerprint {code(results.model_fingerprint)}. Edits act on the "
            f"output of decoder layer {results.layer} of 0 to {results.probing.n_layers - 1}.",
            f"Command: {code(COMMAND)}, with [study.yaml](tables/study.yaml).",
            f"Items: {size(baseline)}, split `test`: {spec.sweep.items_per_cell} for each of {len(spec.tasks)} "
            f"tasks x {len(LEVELS)} levels. Controls: the first {spec.controls.items_per_cell} of each cell, "
            f"{results.n_control_items} in all.",
            f"Feature sets: one a task, {len(results.selection.sets)} in all. Edits: "
            f"{', '.join(map(code, spec.sweep.edits))}; {counted(len(spec.pairs), 'pair')} of sets, {matched}.",
            "Answers: the most probable of the option letters; an answer has *drifted* if it is not the baseline's. "
            f"The baseline is right on {with_interval(baseline.accuracy, percent)} %, guessing on "
            f"{percent(1 / len(LETTERS))} %; {percent(baseline.invalid_rate)} % cannot be read. Where nothing is done, "
            f"{percent(results.noise_floor, 2)} % drift (the noise floor).",
        ]
    )


def _rule(results: StudyResults) -> list[str]:
    rule, match = results.spec.verdict, results.spec.sweep.norm_match
    which = f"for {rule.require} of {', '.join(rule.outcomes)}" if len(rule.outcomes) > 1 else f"for {rule.outcomes[0]}"
    kinds = ", ".join(KIND_WORDS[kind] for kind in rule.control_kinds)
    controls = (
        f"; and among {results.spec.controls.draws} control draws of each kind ({kinds}) it is extreme with p at most "
        f"{rule.control_alpha:g}, family-wise over pairs and outcomes"
    )
    matched = (
        f"A norm-matched combined edit is compared with the {match} of its parts in place of their sum. It has no "
        "controls of its own, and interferes only where the raw one does too.",
    )
    lines = [
        "The *interaction* of a pair is what its combined edit does beyond its parts: D(A+B) - D(A) - D(B) for drift "
        "and d(A+B) - d(A) - d(B) for the accuracy difference. It is harmful where drift's is positive or accuracy's "
        "is negative.",
        f"**interference**: {which}, the interaction is harmful and at least {in_points(rule.min_effect)}; its "
        f"sign-flip p, adjusted by {correction_words(results.spec)} over all pairs and outcomes, is at most "
        f"{rule.alpha:g}{controls if kinds else ''}.",
        *(matched if match else ()),
        f"**none**: neither of {', '.join(rule.outcomes)} is harmful by {in_points(rule.margin)} or more anywhere in "
        "the confidence interval of its interaction.",
        "**not enough evidence**: everything else.",
    ]
    return [f"The rule of the verdicts, written before the run, under {code(rule.edit)}:", bullets(lines)]


def _power(results: StudyResults) -> str:
    edit = results.spec.verdict.edit
    differences = span(row.detectable_difference for row in results.edited(edit, "single"))
    matched = results.ruled("norm_matched")
    of_matched = f"; of a norm-matched one {detectable_words(matched)}" if matched else ""
    return (
        f"Smallest detectable differences under {code(edit)} (power 0.8 at level 0.05 for one test alone, from the "
        "cluster-robust standard error; after correction for many tests more is needed): interaction of a raw combined "
        f"edit {detectable_words(results.ruled('raw'))}{of_matched}; accuracy difference of a single set {differences} "
        "points.\n\n"
        "How to read the tables: shares are in percent, differences in percentage points, [low, high] is a "
        f"{markdown(results.baseline.accuracy.method)}. p of a difference or an interaction: "
        f"{sign_flip_words(results.spec)}; adjusted by {correction_words(results.spec)}. – is undefined, and the note "
        "below says why. Every number is in [results.json](results.json), and as [tables](#every-number)."
    )
