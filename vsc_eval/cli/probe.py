"""`vsc-eval probe`."""

import argparse
from pathlib import Path

from vsc_eval.cli.flags import Flags
from vsc_eval.errors import SpecError
from vsc_eval.probing.records import ProbingSpec
from vsc_eval.specs import load_yaml_spec

_TOLERANCE = 0.02
_FLAGS = Flags(ProbingSpec, names={"rule.kind": "rule", "rule.pooling": "rule-pooling"})


def fill(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--spec", type=Path, metavar="FILE", help="YAML file with all settings, instead of --model and the rest")
    there = "folder of the result; a killed run goes on there"
    add("-o", "--out", type=Path, required=True, metavar="DIR", help=there)
    _FLAGS.add_to(parser)
    parser.set_defaults(handler=_run)


def _spec(args: argparse.Namespace) -> ProbingSpec:
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


def _run(args: argparse.Namespace) -> int:
    from vsc_eval.probing.probes import run_probing
    from vsc_eval.probing.records import RESULT_FILE
    from vsc_eval.probing.show import FIGURE_FILE, print_result, probe_figure
    from vsc_eval.progress import steps_shown
    from vsc_eval.tables.console import console_for

    spec = _spec(args)
    with steps_shown() as step:
        result = run_probing(spec, args.out, progress=step)
    probe_figure(result, args.out / FIGURE_FILE)
    print_result(result, console_for())
    print(f"{args.out / RESULT_FILE} and {args.out / FIGURE_FILE} are written.")
    return 0
