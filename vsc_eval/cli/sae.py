"""`vsc-eval probe` and `vsc-eval sae`: probe layers; train, select, show and convert SAEs of any library."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vsc_eval.cli.flags import Flags
from vsc_eval.errors import SpecError
from vsc_eval.features.options import SAETrainSpec, SelectSpec
from vsc_eval.probing.records import ProbingSpec
from vsc_eval.sae.options import ReadOptions
from vsc_eval.specs import EditSpec, load_yaml_spec, parse_condition
from vsc_eval.tables.clean import terminal

if TYPE_CHECKING:
    from vsc_eval.sae.readers import ReadSAE

QUALITY_FILE = "quality.json"
_DEFAULT_EDIT = EditSpec(kind="scale", value=2.0)

_TOLERANCE = 0.02
_PROBE = Flags(ProbingSpec, names={"rule.kind": "rule", "rule.pooling": "rule-pooling"})
_TRAIN = Flags(SAETrainSpec, names={"train.n_tokens": "tokens"})
_SELECT = Flags(
    SelectSpec,
    skip=("default_edit",),
    names={
        "rule.min_frequency": "min-freq",
        "rule.exclusive": "shared",
        "stability_draws": "draws",
        "source.k": "sae-k",
    },
)
_SOURCE = Flags(ReadOptions)


def fill_probe(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--spec", type=Path, metavar="FILE", help="YAML file with all settings, instead of --model and the rest")
    there = "folder of the result; a killed run goes on there"
    add("-o", "--out", type=Path, required=True, metavar="DIR", help=there)
    _PROBE.add_to(parser)
    parser.set_defaults(handler=_probe)


def _probe_spec(args: argparse.Namespace) -> ProbingSpec:
    given = _PROBE.given(args)
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
    return _PROBE.read(args, "vsc-eval probe")


def _probe(args: argparse.Namespace) -> int:
    from vsc_eval.probing.probes import run_probing
    from vsc_eval.probing.records import RESULT_FILE
    from vsc_eval.probing.show import FIGURE_FILE, print_result, probe_figure
    from vsc_eval.progress import steps_shown
    from vsc_eval.tables.console import console_for

    spec = _probe_spec(args)
    with steps_shown() as step:
        result = run_probing(spec, args.out, progress=step)
    probe_figure(result, args.out / FIGURE_FILE)
    print_result(result, console_for())
    print(f"{args.out / RESULT_FILE} and {args.out / FIGURE_FILE} are written.")
    return 0


def fill(parser: argparse.ArgumentParser) -> None:
    commands: Any = parser.add_subparsers(dest="sae_command", metavar="COMMAND", required=True)
    for name, options, line in (
        ("train", _train_options, "train an SAE on one decoder layer"),
        ("select", _select_options, "choose one feature set per task and judge the SAE"),
        ("show", _show_options, "say what an SAE on disk is, whichever library wrote it"),
        ("convert", _convert_options, "write an SAE of another library in the layout used here"),
    ):
        commands.add_parser(name, help=line).fill = options


def _train_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="folder of the SAE")
    _TRAIN.add_to(parser)
    parser.set_defaults(handler=_train)


def _select_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--sae", type=Path, required=True, metavar="PATH", help="folder of the SAE, of any library")
    add("-o", "--out", type=Path, required=True, metavar="DIR", help="folder of the intervention")
    add("--edit", help="default edit of the intervention, for example scale=2:image; scale=2 unless given")
    features = "keep every item's features and all scores (5 bytes an item and feature), which control sets need"
    add("--keep-features", action="store_true", help=features)
    _SELECT.add_to(parser)
    parser.set_defaults(handler=_select)


def _show_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, metavar="PATH", help="folder of the SAE, or its weights file")
    _SOURCE.add_to(parser)
    parser.set_defaults(handler=_show)


def _convert_options(parser: argparse.ArgumentParser) -> None:
    _show_options(parser)
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="folder to write, in SAELens layout")
    parser.set_defaults(handler=_convert)


def _train(args: argparse.Namespace) -> int:
    from vsc_eval.features.sae_train import train_sae_for
    from vsc_eval.progress import progress_shown

    spec = _TRAIN.read(args, "vsc-eval sae train")
    n = spec.train.n_tokens
    with progress_shown(stages={"tokens": n}) as advance:
        result = train_sae_for(spec, args.out, callback=lambda step: advance("tokens", step.n_tokens, n))
    if result is None:
        print(f"{args.out} holds this SAE already; nothing to do.")
        return 0
    last = f"FVU {result.final_fvu:.4f} on the last batch, {result.n_dead} of {spec.train.d_sae} features dead"
    print(f"{args.out}: {result.n_tokens:,} tokens, {last}.")
    return 0


def _select(args: argparse.Namespace) -> int:
    from vsc_eval.features.sae_select import select_sets, select_tables
    from vsc_eval.progress import steps_shown
    from vsc_eval.tables.console import console_for, draw

    edit = parse_condition(f"set:{args.edit}", _DEFAULT_EDIT).edit if args.edit is not None else None
    spec = _SELECT.read(args, "vsc-eval sae select", default_edit=edit)
    with steps_shown() as step:
        selected = select_sets(spec, args.sae, args.out, keep_features=args.keep_features, progress=step)
    if selected.reused:
        print(f"{args.out} holds this selection already; nothing to do.")
    console = console_for()
    for table in select_tables(selected):
        draw(table, console)
    return 0


def _read(args: argparse.Namespace) -> ReadSAE:
    from vsc_eval.sae.readers import read_any_sae

    return read_any_sae(args.path, **dict(_SOURCE.read(args, "vsc-eval sae")))


def _described(read: ReadSAE) -> dict[str, str]:
    """A few words about each thing that is known."""
    sae, cfg, metadata = read.sae, read.sae.cfg, read.metadata
    norms = sae.W_dec.norm(dim=1)
    lines = {
        "layout": read.layout,
        "weights": str(read.path),
        "features x width": f"{cfg.d_sae} x {cfg.d_in}",
        "activation": cfg.activation + ("" if cfg.topk_relu else ", negative values kept"),
        "k": "none: as many as fire" if cfg.k is None else str(cfg.k),
        "threshold": "none" if sae.threshold is None else _range(sae.threshold),
        "b_dec subtracted": "yes" if cfg.apply_b_dec_to_input else "no",
        "decoder rows": f"norm {_range(norms)}, {int((norms == 0).sum())} of them zero",
        "layer": "not said" if read.layer is None else str(read.layer),
        "hook": read.hook or "not said",
        "fingerprint": sae.fingerprint(),
    }
    lines |= {key: str(metadata[key]) for key in ("model_name", "positions", "n_tokens_trained") if key in metadata}
    if "final_fvu" in metadata:
        lines["FVU, last batch"] = f"{metadata['final_fvu']:.4f}"
    if "n_dead" in metadata:
        lines["dead at the end"] = f"{metadata['n_dead']} of {cfg.d_sae}"
    # `sae select` leaves figures in the intervention's folder, around that of the SAE.
    path = read.path.parent.parent / QUALITY_FILE
    if read.layout == "saelens" and path.is_file():
        try:
            figures = json.loads(path.read_text(encoding="utf-8"))["reconstruction"]
            fvu = "undefined" if figures["fvu"] is None else f"{figures['fvu']:.4f}"
            text = f"FVU {fvu}, L0 {figures['mean_l0']:.2f}, {figures['n_dead']} of {figures['d_sae']} dead"
            lines["on the select split"] = f"{text}, {figures['n_tokens']:,} tokens"
        except (OSError, KeyError, TypeError, ValueError):
            lines["on the select split"] = f"{path} cannot be read"
    return lines


def _range(tensor: Any) -> str:
    low, high = f"{float(tensor.min()):.4g}", f"{float(tensor.max()):.4g}"
    return low if low == high else f"{low} to {high}"


def _show(args: argparse.Namespace) -> int:
    for name, value in _described(_read(args)).items():
        print(terminal(f"{name:<20} {value}"))
    return 0


def _convert(args: argparse.Namespace) -> int:
    from vsc_eval.sae.readers.saelens import CONFIG_FILE, save_sae

    if (args.to / CONFIG_FILE).exists():
        raise SpecError(f"{args.to} holds an SAE already.", hint="Choose another folder, or delete that one.")
    read = _read(args)
    source = {"converted_from": {"layout": read.layout, "weights": read.path.name}}
    place = {"layer": read.layer, "hook_name": read.hook}
    save_sae(read.sae, args.to, {**{key: v for key, v in place.items() if v is not None}, **read.metadata, **source})
    layer = "no layer named" if read.layer is None else f"layer {read.layer}"
    print(f"{args.to}: {read.sae.cfg.d_sae} features, {layer}, fingerprint {read.sae.fingerprint()}.")
    return 0
