"""Ask models the same items under many conditions, score each with lm-evaluation-harness, and compare them with the
baseline. A run that was cut off goes on when the same command is given again."""

import argparse
from pathlib import Path

from vsc_eval.cli.flags import Flags
from vsc_eval.errors import SpecError
from vsc_eval.sweeps.run_spec import RunSpec

_EPILOG = """\
conditions: baseline, SET, SET+SET, each with optional :EDIT[:POSITIONS][:norm=mean|max][:prefill],
EDIT one of scale=X, ablate, clamp=X, add=X and POSITIONS one of image, text, last, all.
SET:scale=0,0.5,1 is a grid of three conditions; two grids in one expression are their product.
Several models (--model A --model B) run one after the other, each in a folder of its own below --out.
example: vsc-eval run --conditions counting,counting+logic:scale=1,2,4 --n 20 --out runs/first
"""
_FLAGS = Flags(RunSpec, skip=("model",), names={"sweep_file": "spec"})


def fill(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = __doc__, _EPILOG
    model = RunSpec.model_fields["model"]
    parser.add_argument(
        "-m", "--model", action="append", help=f"{model.description} Several, if repeated (default: {model.default})"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="folder of the run")
    _FLAGS.add_to(parser)
    parser.set_defaults(handler=_handle)


def _handle(options: argparse.Namespace) -> int:
    models = options.model or [RunSpec.model_fields["model"].default]
    spec = _FLAGS.read(options, "vsc-eval run", model=models[0])
    from vsc_eval.cli.main import print_error
    from vsc_eval.sweeps.sweep import run_models, run_sweep, show, summary
    from vsc_eval.tables.console import console_for, draw

    console = console_for()
    if len(models) == 1:
        show(run_sweep(spec, options.out).results, options.out, console)
        return 0
    if len(set(models)) < len(models):
        raise SpecError(f"--model: one of {', '.join(models)} is named twice.", hint="Name each model once.")
    done, failed = run_models(spec, models, options.out, done=lambda results, folder: show(results, folder, console))
    if done:
        draw(summary(done), console)
    for model, error in failed.items():
        print_error(type(error)(f"{model}: {error.message}", hint=error.hint))
    return 2 if failed else 0
