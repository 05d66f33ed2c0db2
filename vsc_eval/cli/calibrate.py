"""`vsc-eval calibrate`: how often the verdict rule is wrong, and how large an interference it finds."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vsc_eval.errors import SpecError

if TYPE_CHECKING:
    from vsc_eval.studies.calibrate import Calibration, Rate
    from vsc_eval.studies.spec import StudySpec
    from vsc_eval.tables.table import Cell, Table

_FEWEST = 20
_ENOUGH = 200

_EPILOG = """\
Without a spec: the default sizes and the default rule of a study. Exit code 1 if a bar is missed.
example: vsc-eval calibrate interventions/vsc-tiny/study.yaml --sizes 0.1 0.2 --out calibration.json
"""


def add_parser(subparsers: Any) -> None:
    """Add `calibrate`."""
    parser = subparsers.add_parser(
        "calibrate",
        help="false verdicts and power of a study's rule, on simulated studies",
        description="Put simulated studies through the statistics of a real one: with edits that do nothing, with sets "
        "drawn as those of permuted labels, and with planted interference. Bars: false verdicts in at most 5 % of "
        "studies, planted interference found in at least 90 %.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("spec", type=Path, nargs="?", metavar="SPEC.yaml", help="sizes and rule")
    parser.add_argument("--repetitions", type=int, default=_ENOUGH, help="studies of each kind (default: 200)")
    parser.add_argument(
        "--sizes", type=float, nargs="+", metavar="SHARE", help="planted: shares of items that the union puts wrong"
    )
    parser.add_argument("--seed", type=int, default=0, help="(default: 0)")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="write all figures there")
    parser.add_argument(
        "--study",
        type=Path,
        metavar="DIR",
        help="a finished study: take its own permuted-label draws for the real sets",
    )
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
    return _simulated(options)


def _simulated(options: argparse.Namespace) -> int:
    from rich.console import Console

    from vsc_eval.files import replacing
    from vsc_eval.progress import progress_shown
    from vsc_eval.specs import load_yaml_spec
    from vsc_eval.studies.calibrate import SIZES, calibrate
    from vsc_eval.studies.spec import StudySpec
    from vsc_eval.tables.console import console_for, draw, say

    spec = load_yaml_spec(options.spec, StudySpec) if options.spec else StudySpec()
    with progress_shown(Console(stderr=True), {}) as advance:
        found = calibrate(
            spec,
            repetitions=options.repetitions,
            sizes=tuple(sorted(options.sizes or SIZES)),
            seed=options.seed,
            progress=advance,
        )
    console = console_for()
    for table in (false_table(found, spec), power_table(found)):
        draw(table, console)
    for line in bar_lines(found):
        say(line, console)
    if options.out:
        with replacing(options.out) as partial:
            partial.write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return 0 if found.calibrated and found.powerful_from is not None else 1


def _of_study(folder: Path) -> int:
    from vsc_eval.answers.parquet import read_table
    from vsc_eval.studies.calibrate import rate
    from vsc_eval.studies.calibrate_study import left_out_draws
    from vsc_eval.studies.conclude import RESULTS_FILE, read_results
    from vsc_eval.studies.stage_controls import CONTROLS_STEM

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
        f"interference found in {_rate_words(rate([study.n_false > 0 for study in studies]))} of them, "
        f"{sum(study.n_false for study in studies)} of {sum(study.n_innocent for study in studies)} pairs. "
        f"Without controls: {_rate_words(rate([study.false_by_sign_flip for study in studies]))}. "
        "The draws share items and controls, so the interval is a rough one."
    )
    return 0


def false_table(found: Calibration, spec: StudySpec) -> Table:
    """Verdicts where nothing interferes."""
    from vsc_eval.tables.table import columns, table

    return table(
        "false",
        f"False verdicts in {found.repetitions} simulated studies of each kind",
        columns(
            "studies",
            ("a study % [95% CI]", "percent"),
            ("a pair %", "percent", "", "", 40, 2),
            ("no controls %", "percent"),
            ("permuted only %", "percent"),
        ),
        [
            (
                f"{s.scenario}, {s.world}",
                _rate(s.false_per_study),
                s.false_per_pair,
                s.by_sign_flip.value,
                s.by_permuted.value,
            )
            for s in found.scenarios
            if s.scenario != "planted"
        ],
        [
            f"n = {found.n_items} items, {found.n_control_items} of them with controls; {found.n_pairs} pairs; "
            f"{found.control_draws} draws of {', '.join(spec.controls.kinds)}; {found.bootstrap_draws} bootstraps, "
            f"{found.permutations} sign flips; seed {found.seed}. Intervals: Wilson, studies independent.",
            "no controls: studies with a false verdict if effect and sign-flip test alone decided; permuted only: if "
            "the comparison with permuted labels did.",
        ],
    )


def power_table(found: Calibration) -> Table:
    """Verdicts of the planted pair."""
    from vsc_eval.tables.table import columns, table

    return table(
        "power",
        "Planted interference of one pair",
        columns(
            ("items hit %", "text", "", "", 40, None, True),
            ("found % [95% CI]", "percent"),
            ("denied %", "percent"),
            ("drift interaction", "points"),
            ("accuracy interaction", "points"),
        ),
        [
            (
                f"{100 * s.planted:g}",
                _rate(s.found) if s.found else None,
                s.denied.value if s.denied else None,
                s.drift_interaction,
                s.accuracy_interaction,
            )
            for s in found.scenarios
            if s.planted is not None
        ],
        [
            "On the items hit the union puts the right option last. found: the rule says interference; denied: it says "
            "none. Interactions: of the planted pair in points, mean over studies."
        ],
    )


def bar_lines(found: Calibration) -> Iterator[str]:
    """Whether the bars are met."""
    from vsc_eval.studies.calibrate import LEAST_POWER, MOST_FALSE

    null = [s.false_per_study.value for s in found.scenarios if s.scenario != "planted"]
    yield (
        f"False verdicts: at most {100 * max(null):.1f}% of studies without interference; bar {100 * MOST_FALSE:g}%: "
        f"{'met' if found.calibrated else 'MISSED'}."
    )
    size, bar = found.powerful_from, f"bar {100 * LEAST_POWER:g}%"
    if size is None:
        yield f"Power: no planted size is found as often as it should be; {bar}: MISSED."
        return
    first = next(s for s in found.scenarios if s.planted == size)
    assert first.found is not None
    assert first.accuracy_interaction is not None
    yield (
        f"Power: interference on {100 * size:g}% of items (accuracy interaction "
        f"{100 * first.accuracy_interaction:+.1f} points) "
        f"is found in {_rate_words(first.found)} of studies; {bar}: met from that size on."
    )


def _rate(rate: Rate) -> Cell:
    from vsc_eval.tables.table import Cell

    return Cell(rate.value, rate.low, rate.high)


def _rate_words(rate: Rate) -> str:
    from vsc_eval.tables.numbers import interval, percent

    return interval(rate.value, rate.low, rate.high, percent)
