"""What was asked, the rule of the verdicts in words, and what the study could have seen."""

from __future__ import annotations

from vsc_eval.analysis.verdict import VerdictRule
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.report.words import (
    Section,
    baseline,
    correction_words,
    detectable_words,
    edited,
    ruled,
    sign_flip_words,
    size,
)
from vsc_eval.studies.words import CORRECTION_WORDS, KIND_WORDS
from vsc_eval.synthetic import LEVELS
from vsc_eval.tables.clean import code, markdown
from vsc_eval.tables.markdown import bullets, paragraphs
from vsc_eval.tables.numbers import counted, in_points, span

COMMAND = "vsc-eval study study.yaml --out STUDY"


def asked(results: StudyResults) -> Section:
    return ["## What was asked", _setting(results), _rule(results), _power(results), _reading(results)]


def _setting(results: StudyResults) -> str:
    spec = results.spec
    revision = f", revision {code(spec.revision)}" if spec.revision else ""
    match = spec.sweep.norm_match
    matched = f"each union also rescaled at every token to the {match} of its parts' norms" if match else "not rescaled"
    return bullets(
        [
            f"Model: {code(spec.model)}{revision}, fingerprint {code(results.model_fingerprint)}. Edits act on the "
            f"output of decoder layer {results.layer} of 0 to {results.probing.n_layers - 1}.",
            f"Command: {code(COMMAND)} (the spec is at the end of this report).",
            f"Items: {size(results.n_items, baseline(results).n_clusters)}, split `test`: "
            f"{spec.sweep.items_per_cell} for each of {len(spec.tasks)} tasks x {len(LEVELS)} levels. Controls: the "
            f"first {spec.controls.items_per_cell} of each cell, {results.n_control_items} in all.",
            f"Feature sets: one a task, {len(results.selection.sets)} in all. Edits: "
            f"{', '.join(map(code, spec.sweep.edits))}; {counted(len(spec.pairs), 'pair')} of sets, {matched}.",
            "Answers: the most probable of the option letters; an answer has *drifted* if it is not the baseline's.",
        ]
    )


def _rule(results: StudyResults) -> str:
    rule = results.spec.verdict
    lines = [
        "The *interaction* of a pair is what its union does beyond its parts: D(A+B) - D(A) - D(B) for drift and "
        "d(A+B) - "
        "d(A) - d(B) for the accuracy difference. It is harmful where drift's is positive or accuracy's is negative.",
        _interference(rule, results.spec.controls.draws),
        f"**none**: neither of {', '.join(rule.outcomes)} is harmful by {in_points(rule.margin)} or more anywhere in "
        "the confidence interval of its interaction.",
        "**not enough evidence**: everything else.",
    ]
    if results.spec.sweep.norm_match:
        lines.insert(
            2,
            f"A norm-matched union is compared with the {results.spec.sweep.norm_match} of its parts in place of their "
            "sum. It has no controls of its own, and interferes only where the raw union does too.",
        )
    return paragraphs([f"The rule of the verdicts, written before the run, under {code(rule.edit)}:", bullets(lines)])


def _interference(rule: VerdictRule, draws: int) -> str:
    which = f"for {rule.require} of {', '.join(rule.outcomes)}" if len(rule.outcomes) > 1 else f"for {rule.outcomes[0]}"
    controls = ""
    if rule.control_kinds:
        kinds = ", ".join(KIND_WORDS[kind] for kind in rule.control_kinds)
        controls = (
            f"; and among {draws} control draws of each kind ({kinds}) it is extreme with p at most "
            f"{rule.control_alpha:g}, family-wise over pairs and outcomes"
        )
    correction = CORRECTION_WORDS[rule.correction]
    return (
        f"**interference**: {which}, the interaction is harmful and at least {in_points(rule.min_effect)}; its "
        f"sign-flip p, adjusted by {correction} over all pairs and outcomes, is at most {rule.alpha:g}{controls}."
    )


def _power(results: StudyResults) -> str:
    edit = results.spec.verdict.edit
    rows = edited(results, edit, "single")
    parts = [f"interaction of a raw union {detectable_words(ruled(results, 'raw'))}"]
    if matched := ruled(results, "norm_matched"):
        parts.append(f"of a norm-matched one {detectable_words(matched)}")
    parts.append(f"accuracy difference of a single set {span(row.detectable_difference for row in rows)} points")
    return (
        f"Smallest detectable differences under {code(edit)} (power 0.8 at level 0.05 for one test alone, from the "
        f"cluster-robust standard error; after correction for many tests more is needed): {'; '.join(parts)}."
    )


def _reading(results: StudyResults) -> str:
    return (
        "How to read the tables: shares are in percent, differences in percentage points, [low, high] is a "
        f"{markdown(baseline(results).accuracy.method)}. p of a difference or an interaction: "
        f"{sign_flip_words(results)}; adjusted by {correction_words(results)}. – is undefined, and the note below says "
        "why. Every number is in [results.json](results.json)."
    )
