"""What `vsc-eval probe` prints."""

from __future__ import annotations

from rich.console import Console

from vsc_eval.probing.result import Control, ProbingResult
from vsc_eval.probing.spec import EMBEDDINGS, TARGETS, Target
from vsc_eval.probing.words import CONTROL_WORDS, POOLING_WORDS
from vsc_eval.tables.console import draw, say
from vsc_eval.tables.numbers import decimal
from vsc_eval.tables.table import Cell, Column, Table, table

_CONTROLS: tuple[Control, ...] = ("blank_image", "text_only", "random_labels")


def print_result(result: ProbingResult, console: Console) -> None:
    """The table of each target, the chosen layer, what the other poolings would have chosen, and what went wrong."""
    for target in TARGETS:
        draw(probe_table(result, target), console)
    say(f"Chosen {result.chosen_by}", console)
    others = [choice for choice in result.choices if choice.pooling != result.spec.rule.pooling]
    if others:
        words = ", ".join(f"{choice.pooling} tokens layer {choice.layer} ({choice.accuracy:.3f})" for choice in others)
        say(f"By the same rule the other poolings would have chosen: {words}.", console)
    failed = [row for row in result.rows if not row.converged]
    if failed:
        where = ", ".join(f"{row.target}/{row.pooling}/{row.layer}/{row.control}" for row in failed[:5])
        say(f"Not converged, so not to be trusted: {len(failed)} probes ({where}).", console, style="bold red")


def probe_table(result: ProbingResult, target: Target) -> Table:
    """Test accuracies by layer: of each pooling the probe's with its interval, then its controls'."""
    first = result.rows[0]
    columns = [Column("layer", "layer", right=True)]
    for pooling in result.spec.poolings:
        columns += [
            Column(pooling, f"{POOLING_WORDS[pooling]} [95% CI]", "decimal", digits=2),
            Column(f"{pooling}_controls", "controls", right=True),
        ]
    rows = []
    for layer in range(EMBEDDINGS, result.n_layers):
        name = "embeddings" if layer == EMBEDDINGS else str(layer)
        values: list[Cell | str] = [f"{name} *" if layer == result.layer else name]
        for pooling in result.spec.poolings:
            row = result.row(target, pooling, layer)
            others = (result.row(target, pooling, layer, control).test_accuracy for control in _CONTROLS)
            values.append(Cell(row.test_accuracy, row.low, row.high, row.reason or ""))
            values.append(" / ".join(decimal(value, 2) for value in others))
        rows.append(values)
    return table(
        "probes",
        f"{target}: test accuracy; chance {result.chance[target]:.3f}",
        columns,
        rows,
        [
            f"{first.n_test} test items in {first.n_test_orbits} orbits, {first.n_train} training items; "
            f"{result.interval}. controls: {' / '.join(CONTROL_WORDS[control] for control in _CONTROLS)}. *: the "
            "chosen layer."
        ],
    )
