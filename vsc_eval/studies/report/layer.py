"""Section 1: where the tasks can be read, and which layer the rule picked."""

from __future__ import annotations

from vsc_eval.analysis.run_tables import NONE, TextTable
from vsc_eval.probing.result import CONTROLS, Choice, Control, ProbeRow, ProbingResult
from vsc_eval.probing.spec import EMBEDDINGS, TARGETS
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.report.markdown import escape, image, paragraphs, table
from vsc_eval.studies.report.words import share

FIGURE = "probes.png"

_CONTROL_WORDS: dict[Control, str] = {
    "real": "picture and text",
    "blank_image": "grey picture",
    "text_only": "text alone",
    "random_labels": "random labels",
}


def section(results: StudyResults) -> str:
    found = results.probing
    return paragraphs(
        [
            "## 1. The layer",
            f"Chosen: {escape(found.chosen_by)}",
            image(
                f"figures/{FIGURE}",
                "Test accuracy of linear probes for task and level, by decoder layer, with controls",
                "Linear probes by layer, on held-out paraphrases. Bands: 95% intervals by orbit. Tokens over which "
                "activations are averaged, one column each.",
            ),
            table(_probes(results)),
            table(_choices(found)) if found.choices else None,
        ]
    )


def _probes(results: StudyResults) -> TextTable:
    found = results.probing
    rows = []
    for target in TARGETS:
        for pooling in found.spec.poolings:
            at = [found.row(target, pooling, results.layer, control) for control in CONTROLS]
            embedded = found.row(target, pooling, EMBEDDINGS)
            rows.append((target, pooling, *map(_accuracy, at), _accuracy(embedded)))
    first = found.row("task", found.spec.poolings[0], results.layer)
    chance = ", ".join(f"{target} {share(found.chance[target])} %" for target in TARGETS)
    failed = sum(not row.converged for row in found.rows)
    reasons = dict.fromkeys(row.reason for row in found.rows if row.test_accuracy is None and row.reason)
    return TextTable(
        title=f"Test accuracy % of the probes at layer {results.layer} (n = {first.n_test} items in "
        f"{first.n_test_orbits} orbits; learnt from {first.n_train})",
        columns=("probe for", "tokens", *(_CONTROL_WORDS[control] for control in CONTROLS), "embeddings"),
        rows=tuple(rows),
        notes=(
            f"[ ]: {escape(found.interval)}. Guessing: {chance}. embeddings: picture and text before the first layer.",
            *([f"{failed} of {len(found.rows)} probes did not converge."] if failed else []),
            *(f"{NONE}: {escape(reason)}." for reason in reasons),
        ),
    )


def _accuracy(row: ProbeRow) -> str:
    interval = "" if row.low is None or row.high is None else f" [{share(row.low)}, {share(row.high)}]"
    return share(row.test_accuracy) + interval


def _choices(found: ProbingResult) -> TextTable:
    return TextTable(
        title="What the same rule picks at each pooling",
        columns=("tokens", "layer", "test accuracy %"),
        rows=tuple((_pooling(choice, found), str(choice.layer), share(choice.accuracy)) for choice in found.choices),
        notes=("Accuracy of the task probe on held-out paraphrases, n as above.",),
    )


def _pooling(choice: Choice, found: ProbingResult) -> str:
    return f"{choice.pooling} (decides)" if choice.pooling == found.spec.rule.pooling else choice.pooling
