"""Sections 1 to 3: the layer, the sparse autoencoder and the feature sets."""

from vsc_eval.probing.records import CONTROL_WORDS, CONTROLS, EMBEDDINGS, TARGETS, ProbeRow
from vsc_eval.studies.records import SetRow, StudyResults
from vsc_eval.studies.report.words import Section
from vsc_eval.tables.clean import code, markdown
from vsc_eval.tables.markdown import image
from vsc_eval.tables.numbers import count, counted, decimal, percent
from vsc_eval.tables.table import Cell, Table, by_columns, cell, columns, table

LAYER_FIGURE = "probes.png"
SETS_FIGURE = "sets.png"


def layer(results: StudyResults) -> Section:
    """Where the tasks can be read, and which layer the rule picked."""
    found = results.probing
    rule, choices = found.spec.rule, found.choices
    picked = by_columns(
        "choices",
        "What the same rule picks at each pooling",
        ("tokens", "text", [f"{c.pooling}{' (decides)' * (c.pooling == rule.pooling)}" for c in choices]),
        ("layer", "count", [c.layer for c in choices]),
        ("test accuracy %", "percent", [c.accuracy for c in choices]),
        notes=["Accuracy of the task probe on held-out paraphrases, n as above."],
    )
    return [
        "## 1. The layer",
        f"Chosen: {markdown(found.chosen_by)}",
        image(
            f"figures/{LAYER_FIGURE}",
            "Test accuracy of linear probes for task and level, by decoder layer, with controls",
            "Linear probes by layer, on held-out paraphrases. Bands: 95% intervals by orbit. Tokens over which "
            "activations are averaged, one column each.",
        ),
        _probes(results),
        picked if choices else None,
    ]


def _probes(results: StudyResults) -> Table:
    found = results.probing
    first = found.row("task", found.spec.poolings[0], results.layer)
    chance = ", ".join(f"{target} {percent(found.chance[target])} %" for target in TARGETS)
    failed = sum(not row.converged for row in found.rows)
    probes = [(target, pooling) for target in TARGETS for pooling in found.spec.poolings]
    at_layer = [(control, results.layer, CONTROL_WORDS[control]) for control in CONTROLS]
    return by_columns(
        "probes",
        f"Test accuracy % of the probes at layer {results.layer} (n = {first.n_test} items in {first.n_test_orbits} "
        f"orbits; learnt from {first.n_train})",
        ("probe for", "text", [target for target, _ in probes]),
        ("tokens", "text", [pooling for _, pooling in probes]),
        *(
            (words, "percent", [_accuracy(found.row(*probe, place, control)) for probe in probes])
            for control, place, words in [*at_layer, ("real", EMBEDDINGS, "embeddings")]
        ),
        notes=[
            f"Intervals: {found.interval}. Guessing: {chance}. embeddings: picture and text before the first layer.",
            f"{failed} of {len(found.rows)} probes did not converge." if failed else None,
        ],
    )


def _accuracy(row: ProbeRow) -> Cell:
    return Cell(row.test_accuracy, row.low, row.high, row.reason or "")


def sae(results: StudyResults) -> Section:
    """What the sparse autoencoder keeps of the activations and of the model."""
    quality, splice, train = results.reconstruction, results.splice, results.spec.sae.train
    fvu = None if quality.fvu is None else decimal(quality.fvu)
    rows = (
        ("activation", train.activation),
        ("features", count(quality.d_sae)),
        ("tokens learnt from", count(train.n_tokens)),
        ("fraction of variance unexplained", cell(fvu, missing="the activations are constant")),
        ("mean features a token (L0)", decimal(quality.mean_l0, 2)),
        ("features that never fired", f"{quality.n_dead} of {quality.d_sae}"),
        ("loss, plain model", decimal(splice.loss_plain)),
        ("loss, reading the reconstruction", decimal(splice.loss_spliced)),
        ("accuracy %, plain model", percent(splice.accuracy_plain)),
        ("accuracy %, reading the reconstruction", percent(splice.accuracy_spliced)),
    )
    note = (
        f"Reconstruction: {counted(quality.n_tokens, 'token')}. Loss (nats, of the right letter, full vocabulary) and "
        f"accuracy: n = {splice.n_items} items, no intervals. Edits add to the activation and leave the SAE's error "
        "in it."
    )
    title = f"The SAE of layer {results.layer}, on the select split"
    return ["## 2. The sparse autoencoder", table("sae", title, columns("figure", "value"), rows, [note])]


def sets(results: StudyResults) -> Section:
    """The feature sets, how firmly they were chosen and how alike they are."""
    rule, found = results.spec.select.rule, results.selection
    three = ("decimal", "", "", 40, 3)
    exclusive = (
        "a feature belongs only to the task where it scores highest, so sets are disjoint by construction"
        if rule.exclusive
        else "a feature may belong to several sets"
    )
    return [
        "## 3. The feature sets",
        f"Rule: the {rule.m} features with the best {code(rule.score)} of the task's items against all others, of "
        f"those that fire on at least {100 * rule.min_frequency:g} % of the task's items; {exclusive}. Chosen on "
        "the `select` split, which shares no scene with the test items.",
        by_columns(
            "sets",
            "Feature sets",
            ("set", "name", [row.name for row in found.sets]),
            ("features", "count", [len(row.indices) for row in found.sets]),
            ("best score", *three, [max(row.scores, default=None) for row in found.sets]),
            ("worst score", *three, [min(row.scores, default=None) for row in found.sets]),
            ("stability", "decimal", "", "", 40, 2, map(_stability, found.sets)),
            notes=[
                f"stability: mean Jaccard overlap with the sets that {found.stability_draws} bootstrap samples of "
                "orbits choose, [2.5 %, 97.5 % quantile] over the samples."
            ],
        ),
        image(
            f"figures/{SETS_FIGURE}",
            "Heat maps of the Jaccard overlap and of the decoder cosine between feature sets",
            "Left: Jaccard overlap, shared features over all features of the two sets. Right: mean over the features "
            "of both sets of the cosine with the most similar decoder row of the other set; a mean of maxima, so a "
            "little above 0 between unlike sets. The diagonal is a set with itself.",
        ),
    ]


def _stability(row: SetRow) -> Cell:
    missing = "" if row.stability_mean is not None else "no sample chose a set"
    return Cell(row.stability_mean, row.stability_low, row.stability_high, missing)
