"""`vsc-eval sae`: train and select here, show and convert in files_cli.py."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from vsc_eval.cli.sae_files import add_convert, add_show
from vsc_eval.specs import EditSpec, Spec, explain, parse_condition

_SCORES = {"auroc": "auroc", "diff": "diff_of_means", "freq": "frequency_gap"}
_POSITIONS = ("image", "text", "last", "all")

S = TypeVar("S", bound=Spec)


def add_parser(subparsers: Any) -> None:
    """Mount `sae` on the main command line."""
    sae = subparsers.add_parser("sae", help="train a sparse autoencoder, select feature sets")
    commands = sae.add_subparsers(dest="sae_command", metavar="COMMAND", required=True)
    _add_train(commands.add_parser("train", help="train an SAE on one decoder layer"))
    _add_select(commands.add_parser("select", help="choose one feature set per task and judge the SAE"))
    add_show(commands.add_parser("show", help="say what an SAE on disk is, whichever library wrote it"))
    add_convert(commands.add_parser("convert", help="write an SAE of another library in the layout used here"))


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, help="vsc-tiny, a path or a hub id")
    parser.add_argument("--revision", help="revision on the hub")
    parser.add_argument("--tasks", nargs="+", metavar="TASK", help="benchmark tasks; all unless given")
    parser.add_argument(
        "--items-per-cell", type=int, help="items of each task and level; the split's size unless given"
    )
    parser.add_argument("--batch-size", type=int, default=16, help="prompts a model forward")


def _add_train(parser: argparse.ArgumentParser) -> None:
    _add_common(parser)
    parser.add_argument("--layer", type=int, required=True, help="decoder layer whose output is learnt, from 0")
    parser.add_argument("--out", type=Path, required=True, help="folder of the SAE")
    parser.add_argument("--d-sae", type=int, default=1024, help="number of features")
    parser.add_argument(
        "--activation",
        choices=("topk", "batchtopk", "jumprelu"),
        default="topk",
        help="what makes it sparse: k features a token, k on average in a batch, or learnt thresholds aiming at k",
    )
    parser.add_argument("--k", type=int, default=16, help="active features a token")
    parser.add_argument("--tokens", type=int, default=1_500_000, help="tokens to train on")
    parser.add_argument("--positions", choices=_POSITIONS, default="all", help="tokens whose activations are learnt")
    parser.add_argument(
        "--lr", type=float, help="peak learning rate; 0.003 unless given, and 0.01 for batchtopk and jumprelu"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and order")
    parser.set_defaults(handler=run_train)


def _add_select(parser: argparse.ArgumentParser) -> None:
    _add_common(parser)
    parser.add_argument("--sae", type=Path, required=True, help="folder of the SAE")
    parser.add_argument("--out", type=Path, required=True, help="folder of the intervention")
    parser.add_argument("--score", choices=tuple(_SCORES), default="auroc", help="what a feature is ranked by")
    parser.add_argument(
        "--pooling", choices=("mean", "max", "fired"), default="mean", help="tokens -> one value an item"
    )
    parser.add_argument("--m", type=int, default=16, help="features a set")
    parser.add_argument("--min-freq", type=float, default=0.05, help="share of a task's items a feature must fire on")
    parser.add_argument("--shared", action="store_true", help="let a feature be in the sets of several tasks")
    parser.add_argument(
        "--edit", help="default edit of the intervention, for example scale=2:image; scale=2 unless given"
    )
    elsewhere = parser.add_argument_group("for an SAE made elsewhere, whose files do not say it")
    elsewhere.add_argument("--layer", type=int, help="decoder layer whose output it reads, from 0")
    elsewhere.add_argument("--positions", choices=_POSITIONS, help="tokens that it was trained on")
    elsewhere.add_argument(
        "--layout", default="auto", help="library that wrote it; told by the files' names unless given"
    )
    elsewhere.add_argument("--hook", help="subfolder of the SAE, where the folder holds several")
    elsewhere.add_argument("--sae-k", type=int, help="active features of a Top-K SAE")
    parser.add_argument("--draws", type=int, default=50, help="bootstrap samples of the stability figures")
    parser.add_argument("--seed", type=int, default=0, help="seed of those samples")
    parser.add_argument(
        "--keep-features",
        action="store_true",
        help="keep every item's features and all scores (5 bytes an item and feature), which control sets need",
    )
    parser.set_defaults(handler=run_select)


def _build(model: type[S], /, **values: Any) -> S:
    """A spec from options; a value that it refuses is named in a SpecError."""
    try:
        return model(**values)
    except ValidationError as error:
        raise explain(error, model, "vsc-eval sae") from error


def _common(args: argparse.Namespace) -> dict[str, Any]:
    common = {"model": args.model, "revision": args.revision, "batch_size": args.batch_size}
    if args.tasks:
        common["tasks"] = tuple(args.tasks)
    return {**common, "items_per_cell": args.items_per_cell}


def run_train(args: argparse.Namespace) -> int:
    """Handler of `vsc-eval sae train`."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from vsc_eval.features.sae_train import SAETrainSpec, train_sae_for
    from vsc_eval.sae.train import TrainConfig, TrainProgress

    settings = {"d_sae": args.d_sae, "k": args.k, "n_tokens": args.tokens, "seed": args.seed}
    if args.lr is not None:
        settings["lr"] = args.lr
    train = _build(TrainConfig, activation=args.activation, **settings)
    spec = _build(SAETrainSpec, layer=args.layer, positions=args.positions, train=train, **_common(args))
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f}%"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("harvesting", total=args.tokens)

        def show(step: TrainProgress) -> None:
            text = f"fvu {step.fvu:.3f}, L0 {step.mean_l0:.1f}, dead {step.n_dead}"
            bar.update(task, completed=step.n_tokens, description=text)

        result = train_sae_for(spec, args.out, callback=show)
    if result is None:
        print(f"{args.out} holds this SAE already; nothing to do.")
    else:
        print(
            f"{args.out}: {result.n_tokens:,} tokens, FVU {result.final_fvu:.4f} on the last batch, "
            f"{result.n_dead} of {args.d_sae} features dead."
        )
    return 0


def _default_edit(text: str | None) -> EditSpec | None:
    if text is None:
        return None
    return parse_condition(f"set:{text}", EditSpec(kind="scale", value=2.0)).edit


def run_select(args: argparse.Namespace) -> int:
    """Handler of `vsc-eval sae select`."""
    from rich.console import Console
    from rich.progress import Progress

    from vsc_eval.features.sae_select import SelectSpec, select_sets
    from vsc_eval.features.select_tables import select_tables
    from vsc_eval.features.site import SAESource
    from vsc_eval.interventions.select import SelectionRule
    from vsc_eval.tables.console import console_for, draw

    rule = _build(
        SelectionRule,
        score=_SCORES[args.score],
        pooling=args.pooling,
        m=args.m,
        min_frequency=args.min_freq,
        exclusive=not args.shared,
    )
    spec = _build(
        SelectSpec,
        rule=rule,
        default_edit=_default_edit(args.edit),
        source=_build(
            SAESource, layout=args.layout, layer=args.layer, positions=args.positions, hook=args.hook, k=args.sae_k
        ),
        stability_draws=args.draws,
        seed=args.seed,
        **_common(args),
    )
    with Progress(console=Console(stderr=True)) as bar:
        stages: dict[str, Any] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in stages:
                stages[stage] = bar.add_task(stage, total=total)
            bar.advance(stages[stage], done)

        selected = select_sets(spec, args.sae, args.out, keep_features=args.keep_features, progress=show)
    if selected.reused:
        print(f"{args.out} holds this selection already; nothing to do.")
    console = console_for()
    for table in select_tables(selected):
        draw(table, console)
    return 0
