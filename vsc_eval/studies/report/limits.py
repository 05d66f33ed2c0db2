"""What was excluded, and reasons for caution."""

from collections import Counter
from collections.abc import Iterator

from vsc_eval.probing.records import EMBEDDINGS, ProbeRow
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.words import KIND_WORDS, Section
from vsc_eval.synthetic import LETTERS
from vsc_eval.tables.clean import TEXT, code
from vsc_eval.tables.formats import bullets
from vsc_eval.tables.numbers import counted, decimal, in_points, p_value, percent
from vsc_eval.tables.table import Column, table

_CEILING = 0.95
_ABOVE_CHANCE = 0.1
_FEW_CLUSTERS = 30
_UNSTABLE = 0.5
_HIGH_FVU = 0.1
_MANY_DEAD = 0.1
_SPLICE_LOSS = 0.02


def limits(results: StudyResults) -> Section:
    """Exclusions, and what the data themselves say against too firm a reading: the study's own limits first."""
    heads = (Column("what", "what", limit=TEXT), Column("why", "why", limit=TEXT))
    sources = (_evidence, _controls, _baseline, _sets, _layer, _sae, _floor)
    return [
        "## Exclusions and limits",
        table("excluded", "Excluded", heads, [(entry.what, entry.why) for entry in results.excluded])
        if results.excluded
        else "Nothing was excluded: every condition has an answer for every item, and every control draw was made.",
        "What the data themselves say against too firm a reading:",
        bullets(caution for source in sources for caution in source(results)),
    ]


def _evidence(results: StudyResults) -> Iterator[str]:
    spec, rule, raw = results.spec, results.spec.verdict, results.ruled("raw")
    if unclear := results.verdict_counts("raw")[2]:
        yield (
            f"For {unclear} of {counted(len(raw), 'raw pair')} harm of {in_points(rule.margin)} or more in some "
            "outcome lies within what the interval allows: a study of this size cannot rule interference out for them."
        )
    detectable = [v for pair in raw for v in (pair.detectable_drift, pair.detectable_accuracy) if v is not None]
    if detectable and max(detectable) > rule.min_effect:
        yield (
            f"An interaction of {in_points(rule.min_effect)} counts as an effect, but the smallest detectable one "
            f"is up to {percent(max(detectable))} points: smaller interference would mostly be missed."
        )
    # Holm multiplies the least p by the number of tests; a random test cannot give less than 1 / (1 + draws).
    families = ((len(results.conditions) - 1, "conditions of the sweep"), (2 * len(spec.pairs), "tests of pairs"))
    for n, what in families if rule.correction == "holm" else ():
        least = n / (1 + spec.statistics.permutations)
        if least > rule.alpha:
            yield (
                f"With {spec.statistics.permutations} sign flips and {n} {what} an adjusted p of a random test cannot "
                f"be below {p_value(least)}: none of them can reach {rule.alpha:g}. More `statistics.permutations` "
                "would fix that."
            )
    if raw and raw[0].n_clusters < _FEW_CLUSTERS:
        yield (
            f"Intervals rest on {raw[0].n_clusters} orbits; percentile bootstrap intervals of so few clusters are too "
            "narrow."
        )
    if results.ruled("norm_matched"):
        yield (
            "Norm-matched combined edits have no controls of their own. Their parts were run at their own norms, so "
            "the interaction compares an edit with parts of the same size only on average."
        )
    if others := [edit for edit in spec.sweep.edits if edit != rule.edit]:
        yield f"Under {', '.join(map(code, others))} there are no controls and no verdicts."


def _controls(results: StudyResults) -> Iterator[str]:
    spec, draws = results.spec, results.spec.controls.draws
    if not results.controls:
        yield "There are no controls: a combined edit of any two random sets might do the same."
        return
    yield (
        f"With {draws} control draws of a kind p cannot be below {p_value(1 / (1 + draws))}; a percentile is no finer "
        f"than {100 / draws:.2g} points."
    )
    if results.n_control_items < results.n_items:
        yield (
            f"Controls were run on {results.n_control_items} of the {results.n_items} items, so control p and "
            "sign-flip p are not of the same items."
        )
    if missing := len(spec.pairs) - len(spec.control_pairs):
        yield f"{counted(missing, 'pair')} of {len(spec.pairs)} have no controls."
    if unasked := [kind for kind in spec.controls.kinds if kind not in spec.verdict.control_kinds]:
        yield f"These controls were run but do not count for the verdict: {', '.join(map(code, unasked))}."
    reasons = Counter((test.kind, test.reason) for test in results.controls if test.reason)
    if reasons:
        words = (f"{KIND_WORDS[kind]}, {reason} ({counted(n, 'effect')})" for (kind, reason), n in reasons.items())
        yield f"{reasons.total()} of {len(results.controls)} control comparisons lack draws: {'; '.join(words)}."


def _baseline(results: StudyResults) -> Iterator[str]:
    rows = ((task, results.row("baseline", "task", task)) for task in results.spec.tasks)
    known = {task: row.accuracy.value for task, row in rows if row is not None and row.accuracy.value is not None}
    if high := [code(task) for task, accuracy in known.items() if accuracy >= _CEILING]:
        yield (
            f"The baseline is right on {100 * _CEILING:g} % or more of {', '.join(high)}: no edit can gain much there."
        )
    if low := [code(task) for task, accuracy in known.items() if accuracy <= 1 / len(LETTERS) + _ABOVE_CHANCE]:
        yield f"The baseline is near guessing on {', '.join(low)}: no edit can lose much there."


def _sets(results: StudyResults) -> Iterator[str]:
    found = results.selection
    overlaps = [overlap for i, row in enumerate(found.jaccard) for overlap in row[:i]]
    if overlaps and max(overlaps) == 0:
        rule = ", as the rule asks" if results.spec.select.rule.exclusive else ""
        yield (
            f"The sets are disjoint{rule}: a combined edit has as many features as its parts together, and nothing is "
            "learnt about sets that share features."
        )
    elif overlaps:
        yield (
            f"Sets share features (Jaccard overlap up to {decimal(max(overlaps), 2)}): a shared feature is edited once "
            "in a combined edit and once in each part, so the interaction of those pairs is not that of separate "
            "features."
        )
    unstable = [row.name for row in found.sets if row.stability_mean is not None and row.stability_mean < _UNSTABLE]
    if unstable:
        yield (
            f"Other items would have chosen mostly other features (stability below {_UNSTABLE:g}) for "
            f"{', '.join(map(code, unstable))}."
        )


def _layer(results: StudyResults) -> Iterator[str]:
    found, pooling = results.probing, results.probing.spec.rule.pooling
    real, text = (found.row("task", pooling, results.layer, control) for control in ("real", "text_only"))
    embedded = found.row("task", pooling, EMBEDDINGS)
    if _reaches(text, real):
        yield (
            f"Without any picture the task probe reaches {percent(text.test_accuracy)} % at layer {results.layer} "
            f"(with it {percent(real.test_accuracy)} %, n = {real.n_test}): the question's words alone tell the task "
            "types apart, so sets chosen by task may be sets of wording."
        )
    if _reaches(embedded, real):
        yield (
            f"The embeddings already reach {percent(embedded.test_accuracy)} % (n = {embedded.n_test}): the chosen "
            "layer is not where task types first become readable."
        )
    layers = {choice.layer for choice in found.choices}
    if len(layers) > 1:
        yield f"Other poolings would have chosen another layer ({', '.join(map(str, sorted(layers)))} in all)."
    above = found.n_layers - 1 - results.layer
    yield f"{counted(above, 'decoder layer')} above the edited one: what an edit can become in later layers is bounded."


def _reaches(control: ProbeRow, real: ProbeRow) -> bool:
    """Whether a control's accuracy lies within or above the probe's interval."""
    bound = real.test_accuracy if real.low is None else real.low
    return control.test_accuracy is not None and bound is not None and control.test_accuracy >= bound


def _sae(results: StudyResults) -> Iterator[str]:
    quality, splice = results.reconstruction, results.splice
    if quality.fvu is not None and quality.fvu > _HIGH_FVU:
        yield f"The SAE leaves {percent(quality.fvu)} % of the variance unexplained: it may miss what the tasks use."
    if quality.n_dead > _MANY_DEAD * quality.d_sae:
        yield f"{quality.n_dead} of {quality.d_sae} features never fired."
    if splice.accuracy_plain - splice.accuracy_spliced > _SPLICE_LOSS:
        yield (
            f"Reading the SAE's reconstruction costs accuracy: {percent(splice.accuracy_plain)} % to "
            f"{percent(splice.accuracy_spliced)} % (n = {splice.n_items}). Edits keep the SAE's error, so they do not "
            "pay this price, but its features are an imperfect account of the layer."
        )


def _floor(results: StudyResults) -> Iterator[str]:
    if not results.floor:
        yield "The noise floor was not measured."
        return
    worst = max(results.floor, key=lambda row: row.n_changed)
    if worst.n_changed:
        yield (
            f"Answers change where nothing is done: {worst.n_changed} of {worst.drift.n_items} in {code(worst.name)}. "
            "Drift of that size is no effect."
        )
