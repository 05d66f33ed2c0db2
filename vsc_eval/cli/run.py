"""`vsc-eval run`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vsc_eval.sweeps.run_spec import RunSpec

_LOG_COLUMNS = 110
_EPILOG = """\
conditions: baseline, SET, SET+SET, each with optional :EDIT[:POSITIONS][:norm=mean|max][:prefill],
EDIT one of scale=X, ablate, clamp=X, add=X and POSITIONS one of image, text, last, all.
example: vsc-eval run --conditions counting,counting+logic,counting:ablate --n 20 --out runs/first
"""


def add_parser(subparsers: Any) -> None:
    """Add `run`."""
    parser = subparsers.add_parser(
        "run",
        help="run one model under many conditions and compare them",
        description="Ask one model the same items under many conditions, score each with lm-evaluation-harness, and "
        "compare them with the baseline. A run that was cut off goes on when the same command is given again.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--model", default="vsc-tiny", help="vsc-tiny (default), a hub id or a folder")
    add("--revision", help="revision of a hub model")
    add("--trust-remote-code", action="store_true", help="run code that comes with the model")
    add("--intervention", help="name or folder of the intervention (default: the one named like the model)")
    add("--tasks", default="vsc", help="tasks, tags, groups or task files, separated by commas (default: vsc)")
    add("--include-path", action="append", type=Path, default=[], metavar="DIR", help="folder with more task files")
    add("--data-dir", type=Path, metavar="DIR", help="folder with local copies of external data sets")
    add("--override", action="append", default=[], metavar="NAME.KEY=VALUE", help="set a key of a task file anew")
    add("--conditions", default="baseline", help="conditions, separated by commas; the baseline is always run")
    add("--spec", type=Path, metavar="FILE", help="YAML with conditions written out in full")
    add("--n", type=int, help="items per cell of the benchmark, a multiple of 4 (default: 100)")
    add("--limit", type=int, help="only the first so many items of each task")
    add(
        "--scoring",
        choices=("loglikelihood", "generate"),
        default="loglikelihood",
        help="option letters (default), or text",
    )
    add("--max-new-tokens", type=int, help="of --scoring generate (default: what the task file says)")
    add("--out", type=Path, required=True, metavar="DIR", help="folder of the run")
    add("--batch-size", type=int, help="prompts a batch (default: 16; with vLLM 128)")
    add("--dtype", choices=("auto", "float32", "bfloat16", "float16"), default="auto", help="default: auto")
    add("--device", default="auto", help="cpu, cuda, cuda:1 (default: auto)")
    add("--engine-mode", choices=("auto", "shared", "hooks"), default="auto", help="default: auto")
    add("--backend", choices=("hf", "vllm"), default="hf", help="what runs the model (default: hf, transformers)")
    add("--vllm", action="append", default=[], metavar="NAME=VALUE", help="argument of vLLM: tensor_parallel_size=2")
    add("--attn-implementation", help="of transformers, for example sdpa or eager")
    add("--max-pixels", type=int, help="largest picture of the processor")
    add("--min-pixels", type=int, help="smallest picture of the processor")
    add("--seed", type=int, default=0, help="of the bootstrap and of lm-eval (default: 0)")
    parser.set_defaults(handler=_handle)


def _handle(options: argparse.Namespace) -> int:
    spec = _spec(options)
    from rich.console import Console

    from vsc_eval.sweeps.sweep import run_sweep, show

    results = run_sweep(spec, options.out).results
    console = Console()
    # rich takes 80 columns for a pipe or a log file, where nothing is gained by folding.
    show(results, options.out, console if console.is_terminal else Console(width=_LOG_COLUMNS))
    return 0


def _spec(options: argparse.Namespace) -> RunSpec:
    from pydantic import ValidationError

    from vsc_eval.backends.vllm.arguments import parse_options
    from vsc_eval.errors import SpecError
    from vsc_eval.sweeps.run_spec import RunSpec

    values = {name: value for name, value in vars(options).items() if name in RunSpec.model_fields}
    values["tasks"] = _names(options.tasks)
    values["conditions"] = _names(options.conditions)
    values["sweep_file"] = options.spec
    values["vllm"] = parse_options(options.vllm)
    try:
        return RunSpec.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise SpecError(f"vsc-eval run: {message}.", hint="Change one of the options.") from error
        option = "--" + str(first["loc"][0]).replace("_", "-")
        raise SpecError(f"{option}: {message}.", hint=f"Give another value; it was {first['input']!r}.") from error


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
