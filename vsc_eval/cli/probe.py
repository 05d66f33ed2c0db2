"""`vsc-eval probe`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from vsc_eval.probing.spec import EMBEDDINGS, POOLINGS, TARGETS, LayerRule, ProbingSpec, Target
from vsc_eval.specs import explain, load_yaml_spec

if TYPE_CHECKING:
    from rich.console import Console

    from vsc_eval.probing.result import ProbeRow, ProbingResult

_RULES = ("peak", "earliest", "selectivity", "fixed")
_TOLERANCE = 0.02


def add_parser(subparsers: Any) -> None:
    """Mount `probing` on the main command line."""
    parser = subparsers.add_parser("probing", help="probe every decoder layer and pick the one that carries the task")
    parser.add_argument("--model", help="vsc-tiny, a path or a hub id")
    parser.add_argument("--revision", help="revision on the hub")
    parser.add_argument("--spec", type=Path, help="YAML file with all settings, instead of --model and the rest")
    parser.add_argument("--out", type=Path, required=True, help="folder of the result; a killed run goes on there")
    parser.add_argument("--tasks", nargs="+", metavar="TASK", help="benchmark tasks; all unless given")
    parser.add_argument("--items-per-cell", type=int, help="training items of each task and level; 20 unless given")
    parser.add_argument("--test-items-per-cell", type=int, help="test items of each task and level; 20 unless given")
    parser.add_argument(
        "--poolings", nargs="+", choices=POOLINGS, help="tokens to average over; all three unless given"
    )
    parser.add_argument("--rule", choices=_RULES, help="how the layer is picked; peak unless given")
    parser.add_argument("--rule-pooling", choices=POOLINGS, help="whose probe decides; text unless given")
    parser.add_argument("--tolerance", type=float, help=f"for --rule earliest; {_TOLERANCE} unless given")
    parser.add_argument("--layer", type=int, help="for --rule fixed")
    parser.add_argument("--folds", type=int, help="of the cross-validation; 5 unless given")
    parser.add_argument("--C", type=float, help="inverse strength of the L2 penalty; 0.1 unless given")
    parser.add_argument("--random-draws", type=int, help="shuffles of the random-label control; 5 unless given")
    parser.add_argument("--seed", type=int, help="seed of folds, shuffles and intervals; 0 unless given")
    parser.add_argument("--batch-size", type=int, help="prompts a model forward; 16 unless given")
    parser.set_defaults(handler=run)


_PLAIN = (
    "model",
    "revision",
    "items_per_cell",
    "test_items_per_cell",
    "folds",
    "C",
    "random_draws",
    "seed",
    "batch_size",
)


def spec_of(args: argparse.Namespace) -> ProbingSpec:
    """The spec that the options say. Raises SpecError."""
    given = {name: value for name in _PLAIN if (value := getattr(args, name)) is not None}
    given |= {name: tuple(value) for name in ("tasks", "poolings") if (value := getattr(args, name))}
    tolerance = _TOLERANCE if args.rule == "earliest" and args.tolerance is None else args.tolerance
    rule = {"kind": args.rule, "pooling": args.rule_pooling, "tolerance": tolerance, "layer": args.layer}
    rule = {name: value for name, value in rule.items() if value is not None}
    if args.spec is not None:
        clash = sorted(given) + (["rule"] if rule else [])
        if clash:
            from vsc_eval.errors import SpecError

            raise SpecError(
                f"--spec and other settings ({', '.join(clash)}) are both given.", hint="Write them in the file."
            )
        return load_yaml_spec(args.spec, ProbingSpec)
    try:
        return ProbingSpec(**given, rule=LayerRule(**rule))
    except ValidationError as error:
        raise explain(error, ProbingSpec, "vsc-eval probe") from error


def run(args: argparse.Namespace) -> int:
    """Handler of `vsc-eval probe`."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from vsc_eval.probing.figure import FIGURE_FILE, probe_figure
    from vsc_eval.probing.result import RESULT_FILE
    from vsc_eval.probing.run import run_probing

    spec = spec_of(args)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        stages: dict[str, Any] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in stages:
                stages[stage] = bar.add_task(stage, total=total)
            bar.advance(stages[stage], done)

        result = run_probing(spec, args.out, progress=show)
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
