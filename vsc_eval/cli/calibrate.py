"""Put simulated studies through the statistics of a real one: with edits that do nothing, with sets drawn as those of
permuted labels, and with planted interference. Bars: false verdicts in at most 5 % of studies, planted interference
found in at least 90 %."""

import argparse
from pathlib import Path

from vsc_eval.errors import SpecError

_FEWEST = 20
_ENOUGH = 200

_EPILOG = """\
Without a spec: the default sizes and the default rule of a study. Exit code 1 if a bar is missed.
example: vsc-eval calibrate interventions/vsc-tiny/study.yaml --sizes 0.1 0.2 --out calibration.json
"""


def fill(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = __doc__, _EPILOG
    add = parser.add_argument
    add("spec", type=Path, nargs="?", metavar="SPEC.yaml", help="sizes and rule")
    add("--repetitions", type=int, default=_ENOUGH, help="studies of each kind (default: 200)")
    planted = "planted: shares of items that the combined edit puts wrong"
    add("--sizes", type=float, nargs="+", metavar="SHARE", help=planted)
    add("--seed", type=int, default=0, help="(default: 0)")
    add("--out", type=Path, metavar="FILE.json", help="write all figures there")
    own = "a finished study: take its own permuted-label draws for the real sets"
    add("--study", type=Path, metavar="DIR", help=own)
    parser.set_defaults(handler=_handle)


def _handle(options: argparse.Namespace) -> int:
    if options.study is not None:
        if options.spec is not None:
            raise SpecError("--study has a spec of its own.", hint="Leave SPEC.yaml out.")
        return _of_study(options.study)
    if options.repetitions < _FEWEST:
        raise SpecError(
            f"--repetitions is {options.repetitions}: a rate of so few studies says nothing.",
            hint=f"Give at least {_FEWEST}; the bars are meant for {_ENOUGH}.",
        )
    for size in options.sizes or ():
        if not 0 < size < 1:
            raise SpecError(f"--sizes: {size:g} is no share of items.", hint="Give numbers between 0 and 1.")
    from vsc_eval.files import write_text
    from vsc_eval.progress import progress_shown
    from vsc_eval.specs import load_yaml_spec
    from vsc_eval.studies.calibrate import SIZES, bar_lines, calibrate, false_table, power_table
    from vsc_eval.studies.spec import StudySpec
    from vsc_eval.tables.console import console_for, draw, say

    spec = load_yaml_spec(options.spec, StudySpec) if options.spec else StudySpec()
    sizes = sorted(options.sizes or SIZES)
    with progress_shown() as advance:
        found = calibrate(spec, repetitions=options.repetitions, sizes=sizes, seed=options.seed, progress=advance)
    console = console_for()
    draw(false_table(found, spec), console)
    draw(power_table(found), console)
    for line in bar_lines(found):
        say(line, console)
    if options.out:
        write_text(options.out, found.model_dump_json(indent=1) + "\n")
    return 0 if found.calibrated and found.powerful_from is not None else 1


def _of_study(folder: Path) -> int:
    from vsc_eval.answers.parquet import read_table
    from vsc_eval.studies.calibrate import left_out_draws, rate
    from vsc_eval.studies.conditions import CONTROLS_STEM
    from vsc_eval.studies.records import RESULTS_FILE, read_results

    if not (folder / RESULTS_FILE).is_file():
        raise SpecError(
            f"{folder} is no finished study: it has no {RESULTS_FILE}.", hint="Finish it with `vsc-eval study`."
        )
    spec = read_results(folder).spec
    if "permuted_labels" not in spec.controls.kinds or spec.controls.draws < 2:
        raise SpecError(f"{folder} has no draws of permuted labels to leave out.", hint="Run a study that has them.")
    controls = read_table(folder, CONTROLS_STEM)
    studies = list(left_out_draws(controls, spec))
    if not studies:
        raise SpecError(f"{folder}: every draw of permuted labels lacks a set.", hint="Run a study with more draws.")
    print(
        f"{len(studies)} draws of permuted labels in place of the real sets, {len(controls.items)} items: "
        f"interference found in {rate([study.n_false > 0 for study in studies])} of them, "
        f"{sum(study.n_false for study in studies)} of {sum(study.n_innocent for study in studies)} pairs. "
        f"Without controls: {rate([study.false_by_sign_flip for study in studies])}. "
        "The draws share items and controls, so the interval is a rough one."
    )
    return 0
