"""`vsc-eval probe`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vsc_eval.probing.spec import POOLINGS, LayerRule, ProbingSpec
from vsc_eval.specs import explain, load_yaml_spec

_RULES = ("peak", "earliest", "selectivity", "fixed")
_TOLERANCE = 0.02


def add_parser(subparsers: Any) -> None:
    """Mount `probe` on the main command line."""
    parser = subparsers.add_parser("probe", help="probe every decoder layer and pick the one that carries the task")
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
    from vsc_eval.probing.probe_tables import print_result
    from vsc_eval.probing.result import RESULT_FILE
    from vsc_eval.probing.run import run_probing
    from vsc_eval.tables.console import console_for

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
    print_result(result, console_for())
    print(f"{args.out / RESULT_FILE} and {args.out / FIGURE_FILE} are written.")
    return 0
