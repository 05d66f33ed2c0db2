"""Put two finished runs side by side, paired by item: two models, backends or conditions. Accuracies and their paired
difference, agreement and drift, distances of the options' log-probabilities, and what each condition does to either
run. Runs with other prompts, pictures, right answers or generation settings are refused."""

import argparse
from pathlib import Path

from vsc_eval.errors import SpecError


def fill(parser: argparse.ArgumentParser) -> None:
    parser.description = __doc__
    add = parser.add_argument
    add("run_a", type=Path, metavar="RUN_A", help="folder of a finished run or study")
    add("run_b", type=Path, metavar="RUN_B", help="another; or the same one, to compare two of its conditions")
    add("--condition", metavar="X", help="only this condition (default: each that both runs have)")
    add("--condition-a", metavar="X", help="condition of RUN_A, with --condition-b")
    add("--condition-b", metavar="Y", help="condition of RUN_B, with --condition-a")
    add("--common", action="store_true", help="compare the items of both runs, leave out the others")
    add("--out", type=Path, metavar="DIR", help="write compare.md and compare.json there")
    add("--json", action="store_true", help="print compare.json instead of tables")
    add("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    parser.set_defaults(handler=_handle)


def _handle(options: argparse.Namespace) -> int:
    conditions = _conditions(options)
    from vsc_eval.analysis.compare.compare import compare_runs
    from vsc_eval.analysis.compare.tables import markdown, print_comparison
    from vsc_eval.answers.finished_run import read_run
    from vsc_eval.files import write_text
    from vsc_eval.tables.console import console_for

    a = read_run(options.run_a)
    b = a if options.run_b == options.run_a else read_run(options.run_b)
    found = compare_runs(a, b, conditions=conditions, common=options.common, seed=options.seed)
    text = found.model_dump_json(indent=1) + "\n"
    if options.out is not None:
        write_text(options.out / "compare.json", text)
        write_text(options.out / "compare.md", markdown(found))
    if options.json:
        print(text, end="")
        return 0
    console = console_for()
    print_comparison(found, console)
    if options.out is not None:
        console.print(f"Written to {options.out}: compare.md, compare.json", highlight=False, markup=False)
    return 0


def _conditions(options: argparse.Namespace) -> tuple[str, str] | None:
    if options.seed < 0:
        raise SpecError(f"--seed: {options.seed} is below 0.", hint="Give 0 or a positive number.")
    one, a, b = options.condition, options.condition_a, options.condition_b
    if one is not None and (a, b) != (None, None):
        raise SpecError(
            "--condition goes without --condition-a and --condition-b.", hint="Give --condition, or the other two."
        )
    if (a is None) != (b is None):
        raise SpecError("--condition-a and --condition-b go together.", hint="Give both, or --condition.")
    return (one, one) if one is not None else (a, b) if a is not None else None
