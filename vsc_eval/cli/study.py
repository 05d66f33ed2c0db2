"""Run the whole causal pipeline on one model: find the layer, train an SAE there, select feature sets, edit them and
their combined edits, compare with controls, and say for every pair whether it interferes."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from vsc_eval.cli.flags import Flags
from vsc_eval.resources import interventions_dir
from vsc_eval.settings import EngineSpec

if TYPE_CHECKING:
    from vsc_eval.studies.records import StudyResults

STAGE_NAMES = ("probing", "sae", "select", "sweep", "controls", "conclude", "report")

_EPILOG = f"""\
stages: {", ".join(STAGE_NAMES)}.
A finished stage is not run again; a study that was cut off goes on when the same command is given again.
example: vsc-eval study vsc-tiny --out studies/first
"""


def fill(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = __doc__, _EPILOG
    add, which = parser.add_argument, parser.add_mutually_exclusive_group().add_argument
    add("spec", metavar="SPEC.yaml", help="what to do, and the rule of the verdicts; a file, or `vsc-tiny`")
    add("--out", type=Path, required=True, metavar="DIR", help="folder of the study")
    which("--until", choices=STAGE_NAMES, metavar="STAGE", help="stop after that stage")
    which("--only", choices=STAGE_NAMES, metavar="STAGE", help="run that stage, whose inputs must be there")
    how = parser.add_argument_group("how it is computed, in place of what the spec says")
    Flags(EngineSpec, only=EngineSpec.how()).add_to(how)
    parser.set_defaults(handler=_handle)


def spec_file(text: str) -> Path:
    """The file that was named, or the shipped spec of a model."""
    shipped = interventions_dir() / text / "study.yaml"
    return shipped if shipped.is_file() and not Path(text).is_file() else Path(text)


def _handle(options: argparse.Namespace) -> int:
    from vsc_eval.specs import load_yaml_spec
    from vsc_eval.studies.report.evidence import verdict_table
    from vsc_eval.studies.run import run_study
    from vsc_eval.studies.spec import StudySpec
    from vsc_eval.tables.console import console_for, draw, say

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
        return 0
    console = console_for()
    draw(verdict_table(results, "raw"), console)
    for line in _summary(results):
        say(line, console)
    files = "report.md, results.json, study.yaml, answers.parquet, intervention/"
    say(f"Written to {options.out}: {files}", console)
    return 0


def _summary(results: "StudyResults") -> Iterator[str]:
    """The verdicts, the most and least harmful conditions, and what the study could have seen."""
    from vsc_eval.studies.words import drift_of, gain_of
    from vsc_eval.tables.numbers import counted, percent, points

    (found, denied, unclear), whole = results.verdict_counts("raw"), results.baseline
    pairs, accuracy = counted(found + denied + unclear, "pair"), percent(whole.accuracy.value)
    yield f"Of {pairs}: {found} interfere, {denied} do not, {unclear} without enough evidence."
    yield f"Layer {results.layer} of {results.spec.model}; baseline accuracy {accuracy} % (n = {whole.n})."
    edited = [row for row in results.conditions if row.difference is not None]
    best, worst = (
        f"{row.condition} ({points(gain_of(row))} points, drift {percent(drift_of(row))} %)"
        for row in (max(edited, key=gain_of), min(edited, key=gain_of))
    )
    yield f"Best for accuracy: {best}; worst: {worst}."
    yield f"Noise floor: {percent(results.noise_floor, 2)} % of answers change where nothing is done."
    yield from (f"Excluded: {entry.what}: {entry.why}" for entry in results.excluded)
