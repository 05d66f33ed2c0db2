"""What the answer rests on: the verdicts, effects beside controls, the layer, the sparse autoencoder, the sets."""

from collections.abc import Iterator, Sequence
from typing import Any

from vsc_eval.analysis.controls import Outcome
from vsc_eval.analysis.interactions import Form, InteractionRow
from vsc_eval.probing.records import TARGETS
from vsc_eval.studies.records import SetRow, StudyResults
from vsc_eval.studies.report import figures
from vsc_eval.studies.words import EDITED, FORM_WORDS, OUTCOME_WORDS, Section, detectable_words, size, tests_note
from vsc_eval.tables.clean import code, markdown
from vsc_eval.tables.formats import folded, image
from vsc_eval.tables.numbers import count, counted, decimal, p_value, percent
from vsc_eval.tables.table import Cell, Column, Table, by_columns, cell, columns, table

_MATCHED = {
    None: "",
    "mean": " Norm-matched: the combined edit at the mean of its parts' norms, less the mean of their effects.",
    "max": " Norm-matched: the combined edit at the larger of its parts' norms, less the larger drift and the smaller "
    "accuracy difference of the two.",
}
"""By what the norms of combined edits were matched to."""


def verdicts(results: StudyResults) -> Section:
    """Every pair's verdict, and what its combined edit does beyond its parts."""
    edit, edits, match = results.spec.verdict.edit, results.spec.sweep.edits, results.spec.sweep.norm_match
    return [
        "## Verdicts",
        "Raw: D(A+B) - D(A) - D(B) of drift, d(A+B) - d(A) - d(B) of the accuracy difference. Drift cannot exceed "
        "100 % and an answer can change only once, so the sum of two drifts is more than a combined edit of "
        "independent sets would do; the interaction over the Bliss expectation D(A) + D(B) - D(A) D(B) allows for "
        "that. It is not tested, and stands in [pairs.csv](tables/pairs.csv) with the numbers that decided each "
        f"verdict (`decided_by`).{_MATCHED[match]}",
        _matrix(results, edit),
        *(verdict_table(results, form) for form in FORM_WORDS if results.ruled(form)),
        *(folded(f"The interactions under {other}", _matrix(results, other)) for other in edits if other != edit),
    ]


def _matrix(results: StudyResults, edit: str) -> str:
    forms = "raw and norm-matched" if results.spec.sweep.norm_match else "raw"
    return image(
        f"figures/{figures.interference_name(edit)}",
        f"Matrices of the interaction of every combined edit of two sets under {edit}, drift and accuracy, {forms}",
        "Percentage points. Lower triangle: interaction of the row's set and the column's. Diagonal (grey): the single "
        "set's own drift, or accuracy difference, which is no interaction. \\*: adjusted p of the interaction at most "
        f"{results.spec.verdict.alpha:g}. Red is harmful in every panel; empty: that pair was not asked for. Lines in "
        "the colour bar: the margin of the rule.",
    )


def verdict_table(results: StudyResults, form: Form) -> Table:
    """Of the pairs of one form that have a verdict."""
    pairs = results.ruled(form)
    interactions = [pair.interaction(outcome)[0] for pair in pairs for outcome in OUTCOME_WORDS]
    return by_columns(
        "verdicts",
        f"Verdicts on {FORM_WORDS[form]} combined edits under {pairs[0].edit} ({size(pairs[0])})",
        ("pair", "name", ["+".join(pair.parts) for pair in pairs]),
        *(column for outcome in OUTCOME_WORDS for column in _interactions(pairs, outcome)),
        ("verdict", "text", [pair.verdict for pair in pairs]),
        notes=[
            tests_note(results.spec, interactions, f"the {2 * len(pairs)} tests of pairs and outcomes"),
            f"Smallest detectable interaction (power 0.8, one test alone): {detectable_words(pairs)}.",
        ],
    )


def _interactions(pairs: Sequence[InteractionRow], outcome: Outcome) -> Iterator[tuple[Any, ...]]:
    found, p = zip(*(pair.interaction(outcome) for pair in pairs), strict=True)
    yield f"{outcome} interaction", "points", found
    yield "p (adj.)", "p", p


def effects(results: StudyResults) -> Section:
    """Effects of the real sets beside those of control draws, and every condition against the baseline."""
    roles = {row.role for row in results.conditions}
    return [
        "## Effects",
        *_controls(results),
        image(
            f"figures/{figures.FRONTIER}",
            "Scatter of accuracy against drift, one point for each condition, with the baseline and the frontier",
            "Every condition of the sweep. Colour: edit; shape: "
            f"{', '.join(words for role, words in EDITED.items() if role in roles)}. Bars: intervals of the conditions "
            "that are named. Line: conditions that no other one beats in both accuracy and drift. They are the best of "
            "many on these items: a gain along this line is not evidence of one "
            "([conditions.csv](tables/conditions.csv) has the tests).",
        ),
    ]


def _controls(results: StudyResults) -> Section:
    spec, draws = results.spec, results.spec.controls.draws
    if not results.controls:
        return ["The study ran no controls, so nothing here says whether any set would do the same."]
    return [
        f"Under {code(spec.verdict.edit)}, raw, on n = {results.n_control_items} items: the effect of the real sets, "
        f"and the same effect of {draws} draws of each kind of control: *matched random sets* fire as often and as "
        "strongly; *random directions* replace the decoder rows at the same norm; *permuted labels* repeat the "
        "selection with shuffled task labels. In [controls.csv](tables/controls.csv) the percentile is the share of "
        "draws that are less harmful, ties half: 50 is like the controls, 100 is worse than all of them. p: (1 + draws "
        "at least as harmful) / (1 + draws), one-sided, not adjusted; it cannot be smaller than "
        f"{p_value(1 / (1 + draws))}. Family-wise p: of the largest standardised interaction over all pairs with "
        "controls and all outcomes of the verdict, within one kind (max-T over draws).",
        image(
            f"figures/{figures.CONTROLS}",
            "Effects of the real sets as diamonds over the effects of the control draws as dots",
            "Diamond: the real sets. Dots: control draws, one row for each kind; arrows at the edge: so many draws "
            "lie beyond it. A filled diamond is extreme against every kind that the verdict asks for (of an "
            "interaction: by its family-wise p; of a single set: by its own p, not adjusted). Harmful is to the right "
            "for drift and to the left for accuracy.",
        ),
    ]


def layer(results: StudyResults) -> Section:
    """Where the tasks can be read, and which layer the rule picked."""
    found = results.probing
    first = found.row("task", found.spec.poolings[0], results.layer)
    chance = ", ".join(f"{target} {percent(found.chance[target])} %" for target in TARGETS)
    failed = sum(not row.converged for row in found.rows)
    unconverged = f" {failed} of {len(found.rows)} probes did not converge." if failed else ""
    return [
        "## The layer",
        f"Chosen: {markdown(found.chosen_by)}",
        image(
            f"figures/{figures.LAYER}",
            "Test accuracy of linear probes for task and level, by decoder layer, with controls",
            f"Linear probes by layer, on held-out paraphrases (n = {first.n_test} items in {first.n_test_orbits} "
            f"orbits; learnt from {first.n_train}). Bands: {markdown(found.interval)}. Tokens over which activations "
            f"are averaged, one column each. Guessing: {chance}.{unconverged} What the rule would have picked "
            "at each pooling: [layers.csv](tables/layers.csv).",
        ),
    ]


def sae(results: StudyResults) -> Section:
    """What the sparse autoencoder keeps of the activations and of the model."""
    quality, splice, train = results.reconstruction, results.splice, results.spec.sae.train
    fvu = None if quality.fvu is None else decimal(quality.fvu)
    return [
        "## The sparse autoencoder",
        table(
            "sae",
            f"The SAE of layer {results.layer} ({train.activation}, {count(quality.d_sae)} features, learnt from "
            f"{counted(train.n_tokens, 'token')}), on the select split",
            columns("figure", Column("value", "value", right=True)),
            (
                ("fraction of variance unexplained", cell(fvu, missing="the activations are constant")),
                ("mean features a token (L0)", decimal(quality.mean_l0, 2)),
                ("features that never fired", f"{quality.n_dead} of {quality.d_sae}"),
                ("loss, plain model", decimal(splice.loss_plain)),
                ("loss, reading the reconstruction", decimal(splice.loss_spliced)),
                ("accuracy %, plain model", percent(splice.accuracy_plain)),
                ("accuracy %, reading the reconstruction", percent(splice.accuracy_spliced)),
            ),
            [
                f"Reconstruction: {counted(quality.n_tokens, 'token')}. Loss (nats, of the right letter, full "
                f"vocabulary) and accuracy: n = {splice.n_items} items, no intervals. Edits add to the activation and "
                "leave the SAE's error in it."
            ],
        ),
    ]


def sets(results: StudyResults) -> Section:
    """The feature sets: how firmly they were chosen, how alike they are, and what each does alone."""
    rule, found, edit = results.spec.select.rule, results.selection, results.spec.verdict.edit
    exclusive = (
        "a feature belongs only to the task where it scores highest, so sets are disjoint by construction"
        if rule.exclusive
        else "a feature may belong to several sets"
    )
    alone = {row.sets[0]: row for row in results.edited(edit, "single")}
    rows = [alone[chosen.name] for chosen in found.sets]
    differences, drifts = [row.difference for row in rows], [row.drift.share if row.drift else None for row in rows]
    return [
        "## The feature sets",
        f"Rule: the {rule.m} features with the best {code(rule.score)} of the task's items against all others, of "
        f"those that fire on at least {100 * rule.min_frequency:g} % of the task's items; {exclusive}. Chosen on "
        "the `select` split, which shares no scene with the test items.",
        by_columns(
            "sets",
            f"Feature sets, and each alone under {edit} against the baseline ({size(rows[0])})",
            ("set", "name", [row.name for row in found.sets]),
            ("features", "count", [len(row.indices) for row in found.sets]),
            (Column("best", "best score", "decimal", digits=3), [max(s.scores, default=None) for s in found.sets]),
            (Column("worst", "worst score", "decimal", digits=3), [min(s.scores, default=None) for s in found.sets]),
            (Column("stability", "stability", "decimal", digits=2), map(_stability, found.sets)),
            ("accuracy", "points", differences),
            ("p (adj.)", "p", [row.p_difference_adjusted for row in rows]),
            ("drift %", "percent", drifts),
            notes=[
                f"stability: mean Jaccard overlap with the sets that {found.stability_draws} bootstrap samples of "
                "orbits choose, [2.5 %, 97.5 % quantile] over the samples. accuracy: difference in points.",
                tests_note(
                    results.spec, [*differences, *drifts], f"the {len(results.conditions) - 1} conditions of the sweep"
                ),
            ],
        ),
        image(
            f"figures/{figures.SETS}",
            "Heat maps of the Jaccard overlap and of the decoder cosine between feature sets",
            "Left: Jaccard overlap, shared features over all features of the two sets. Right: mean over the features "
            "of both sets of the cosine with the most similar decoder row of the other set; a mean of maxima, so a "
            "little above 0 between unlike sets. The diagonal is a set with itself.",
        ),
    ]


def _stability(row: SetRow) -> Cell:
    missing = "" if row.stability_mean is not None else "no sample chose a set"
    return Cell(row.stability_mean, row.stability_low, row.stability_high, missing)
