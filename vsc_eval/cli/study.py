"""`vsc-eval study`."""

import argparse
import sys
from pathlib import Path

from vsc_eval.cli.flags import Flags
from vsc_eval.resources import interventions_dir
from vsc_eval.settings import EngineSpec

STAGE_NAMES = ("probing", "sae", "select", "sweep", "controls", "conclude", "report")

_DESCRIPTION = """\
Run the whole causal pipeline on one model: find the layer, train an SAE there, select feature sets, edit them and
their combined edits, compare with controls, and say for every pair whether it interferes.
"""
_EPILOG = f"""\
stages: {", ".join(STAGE_NAMES)}.
A finished stage is not run again; a study that was cut off goes on when the same command is given again.
example: vsc-eval study vsc-tiny --out studies/first
"""


def fill(parser: argparse.ArgumentParser) -> None:
    """The options of `study`."""
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    parser.add_argument(
        "spec", metavar="SPEC.yaml", help="what to do, and the rule of the verdicts; a file, or `vsc-tiny`"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the study")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--until", choices=STAGE_NAMES, metavar="STAGE", help="stop after that stage")
    which.add_argument(
        "--only", choices=STAGE_NAMES, metavar="STAGE", help="run that stage, whose inputs must be there"
    )
    how = parser.add_argument_group("how it is computed, in place of what the spec says")
    Flags(EngineSpec, only=EngineSpec.how()).add_to(how)
    parser.set_defaults(handler=_handle)


def spec_file(text: str) -> Path:
    """The file that was named, or the shipped spec of a model."""
    shipped = interventions_dir() / text / "study.yaml"
    return shipped if shipped.is_file() and not Path(text).is_file() else Path(text)


def _handle(options: argparse.Namespace) -> int:
    from vsc_eval.specs import load_yaml_spec
    from vsc_eval.studies.run import run_study
    from vsc_eval.studies.spec import StudySpec
    from vsc_eval.studies.summary import print_summary

    written = load_yaml_spec(spec_file(options.spec), StudySpec)
    spec = Flags(StudySpec, only=EngineSpec.how()).read(options, "vsc-eval study", base=written)
    try:
        results = run_study(spec, options.out, until=options.until, only=options.only)
    except KeyboardInterrupt:
        print(
            "\nvsc-eval: interrupted. Finished stages and the answers so far are kept: give the same command again to"
            " go on.",
            file=sys.stderr,
        )
        return 130
    if results is None:
        print(f"{options.out} is not concluded yet; give the command without --until and --only to go on.")
    else:
        print_summary(results, options.out)
    return 0
