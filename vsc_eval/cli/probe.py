"""`vsc-eval probe`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vsc_eval.cli.flags import Flags
from vsc_eval.errors import SpecError
from vsc_eval.probing.spec import EMBEDDINGS, TARGETS, ProbingSpec, Target
from vsc_eval.specs import load_yaml_spec

if TYPE_CHECKING:
    from rich.console import Console

    from vsc_eval.probing.result import ProbeRow, ProbingResult

_TOLERANCE = 0.02
_FLAGS = Flags(ProbingSpec, names={"rule.kind": "rule", "rule.pooling": "rule-pooling"})


def add_parser(subparsers: Any) -> None:
    """Mount `probe` on the main command line."""
    parser = subparsers.add_parser("probe", help="probe every decoder layer and pick the one that carries the task")
    parser.add_argument(
        "--spec", type=Path, metavar="FILE", help="YAML file with all settings, instead of --model and the rest"
    )
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="DIR", help="folder of the result; a killed run goes on there"
    )
    _FLAGS.add_to(parser)
    parser.set_defaults(handler=run)


def spec_of(args: argparse.Namespace) -> ProbingSpec:
    """The spec that the options say. Raises SpecError."""
    given = _FLAGS.given(args)
    if args.spec is not None:
        if given:
            raise SpecError(
                f"--spec and other settings ({', '.join(sorted(given))}) are both given.",
                hint="Write them in the file.",
            )
        return load_yaml_spec(args.spec, ProbingSpec)
    rule = given.get("rule", {})
    if rule.get("kind") == "earliest" and "tolerance" not in rule:
        setattr(args, "rule.tolerance", _TOLERANCE)
    return _FLAGS.read(args, "vsc-eval probe")


def run(args: argparse.Namespace) -> int:
    """Handler of `vsc-eval probe`."""
    from rich.console import Console

    from vsc_eval.probing.figure import FIGURE_FILE, probe_figure
    from vsc_eval.probing.result import RESULT_FILE
    from vsc_eval.probing.run import run_probing
    from vsc_eval.progress import steps_shown

    spec = spec_of(args)
    with steps_shown() as step:
        result = run_probing(spec, args.out, progress=step)
    probe_figure(result, args.out / FIGURE_FILE)
    print_result(result, Console())
    print(f"{args.out / RESULT_FILE} and {args.out / FIGURE_FILE} are written.")
    return 0


def print_result(result: ProbingResult, console: Console) -> None:
    """The table of each target, the chosen layer, what the other poolings would have chosen, and what went wrong."""
    for target in TARGETS:
        console.print(_table(result, target))
    console.print(f"Chosen {result.chosen_by}", highlight=False)
    others = [choice for choice in result.choices if choice.pooling != result.spec.rule.pooling]
    if others:
        words = ", ".join(f"{choice.pooling} tokens layer {choice.layer} ({choice.accuracy:.3f})" for choice in others)
        console.print(f"By the same rule the other poolings would have chosen: {words}.", highlight=False)
    failed = [row for row in result.rows if not row.converged]
    if failed:
        where = ", ".join(f"{row.target}/{row.pooling}/{row.layer}/{row.control}" for row in failed[:5])
        console.print(f"Not converged, so not to be trusted: {len(failed)} probes ({where}).", style="bold red")


def _table(result: ProbingResult, target: Target) -> Any:
    from rich.table import Table

    first = result.rows[0]
    controls = "grey picture / text alone / random labels"
    title = f"{target}: test accuracy \\[95% CI], {controls}; chance {result.chance[target]:.3f}"
    caption = f"{first.n_test} test items in {first.n_test_orbits} orbits, {first.n_train} training items; "
    table = Table(title=title, caption=caption + result.interval)
    table.add_column("layer", justify="right")
    for pooling in result.spec.poolings:
        table.add_column(f"{pooling} tokens")
    for layer in range(EMBEDDINGS, result.n_layers):
        name = "embeddings" if layer == EMBEDDINGS else str(layer)
        cells = [
            f"{_accuracy(result.row(target, pooling, layer))}\n"
            + " / ".join(
                _number(result.row(target, pooling, layer, control).test_accuracy)
                for control in ("blank_image", "text_only", "random_labels")
            )
            for pooling in result.spec.poolings
        ]
        table.add_row(name, *cells, style="bold" if layer == result.layer else None)
    return table


def _accuracy(row: ProbeRow) -> str:
    if row.low is None or row.high is None:
        return _number(row.test_accuracy)
    return f"{_number(row.test_accuracy)} [{row.low:.2f}, {row.high:.2f}]".replace("[", r"\[")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
