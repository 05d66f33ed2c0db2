"""`python -m training train`, `eval` and `install`: vsc-tiny from scratch, in a checkout only."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vsc_eval.cli.main import Parser, exit_code
from vsc_eval.errors import SpecError
from vsc_eval.specs import load_yaml_spec


def build_parser() -> Parser:
    """The three commands."""
    parser = Parser(prog="python -m training", description="Build, train and test the embedded model.")
    commands = parser.add_subparsers(metavar="COMMAND", parser_class=Parser, required=True)
    train = commands.add_parser("train", help="train vsc-tiny from scratch, or go on with a run")
    train.add_argument("--work", type=Path, required=True, help="folder of the run: checkpoints, log, exported model")
    train.add_argument("--config", type=Path, help="YAML of a TinyConfig; the run's own, or the default, unless given")
    train.add_argument("--threads", type=int, default=2, help="threads of torch")
    train.add_argument(
        "--no-compile", action="store_true", help="do not compile the layers (slower, no compiler needed)"
    )
    train.set_defaults(handler=run_train)
    evaluate = commands.add_parser("eval", help="accuracy of the 21 cells by the fast training-time forward")
    evaluate.add_argument("--model", default="vsc-tiny", help="vsc-tiny or the folder of an exported model")
    evaluate.add_argument("--split", default="select", help="split of the benchmark")
    evaluate.add_argument("--n", type=int, default=100, help="items a cell, a multiple of 4")
    evaluate.set_defaults(handler=run_eval)
    install = commands.add_parser("install", help="make a run's exported model the embedded one")
    install.add_argument("--work", type=Path, required=True, help="folder of the run")
    install.set_defaults(handler=run_install)
    return parser


def run_train(args: argparse.Namespace) -> int:
    """Handler of `python -m training train`."""
    import torch
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from training.config import TinyConfig
    from training.train import Trainer

    own = args.work / "config.yaml"
    path = args.config or (own if own.exists() else None)
    config = load_yaml_spec(path, TinyConfig) if path else TinyConfig()
    torch.set_num_threads(args.threads)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f}%"),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as bar:
        tasks = [bar.add_task(f"stage {i}: {stage.kind}", total=stage.steps) for i, stage in enumerate(config.stages)]

        def report(figures: dict[str, Any]) -> None:
            stage = config.stages[figures["stage"]]
            shown = ("letter", "right") if stage.kind == "packed" else ("objects", "objects_right")
            text = ", ".join(f"{name} {figures[name]:.3f}" for name in shown)
            bar.update(tasks[figures["stage"]], completed=figures["step"], description=f"{stage.kind}: {text}")

        Trainer(config, args.work, compile_layers=not args.no_compile, report=report).run()
    print(f"Trained. Look at it with `python -m training eval --model {args.work / 'exported'}`.")
    return 0


def run_eval(args: argparse.Namespace) -> int:
    """Handler of `python -m training eval`."""
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

    from training.config import TinyConfig
    from training.evaluate import cell_accuracies
    from vsc_eval.backends.hf.load import load_vlm
    from vsc_eval.synthetic import LEVELS, TASKS

    vlm = load_vlm(args.model, dtype="float32")
    folder = _model_folder(args.model)
    config = load_yaml_spec(folder / "training.yaml", TinyConfig)
    with Progress() as bar:
        task = bar.add_task("evaluating", total=len(TASKS) * len(LEVELS))
        table = cell_accuracies(
            vlm.model, vlm.tokenizer, config.shape, split=args.split, n=args.n, progress=lambda: bar.advance(task)
        )
    shown = Table(title=f"Accuracy, split {args.split}, n = {args.n} a cell")
    for column in ("task", *LEVELS):
        shown.add_column(column)
    for name, cells in table.items():
        shown.add_row(name, *(f"{cells[level]:.3f}" for level in LEVELS))
    means = [sum(cells[level] for cells in table.values()) / len(table) for level in LEVELS]
    shown.add_row("mean", *(f"{mean:.3f}" for mean in means))
    console = Console()
    console.print(shown)
    console.print(f"mean of the {len(TASKS) * len(LEVELS)} cells: {sum(means) / len(means):.3f}")
    return 0


def _model_folder(model: str) -> Path:
    from vsc_eval.resources import embedded_dir

    folder = embedded_dir() if model == "vsc-tiny" else Path(model)
    if not (folder / "training.yaml").is_file():
        raise SpecError(
            f"{model} was not made by `python -m training train`: it has no training.yaml.",
            hint="Use `vsc-eval run` for other models.",
        )
    return folder


def run_install(args: argparse.Namespace) -> int:
    """Handler of `python -m training install`."""
    from training.install import install
    from vsc_eval.resources import embedded_dir

    install(args.work, embedded_dir())
    print(f"{embedded_dir()} is now the model of {args.work}.")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code of `vsc_eval.cli.main`."""
    parser = build_parser()

    def command() -> int:
        options = parser.parse_args(argv)
        return int(options.handler(options))

    return exit_code(command, parser.prog)


if __name__ == "__main__":
    sys.exit(main())
