"""`vsc-eval harness ...`: lm-evaluation-harness's own command line, knowing our models and tasks.

lm-eval 0.4.13 has no entry points, so this registers the models, adds our task folder and hands over.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vsc_eval.errors import SpecError
from vsc_eval.resources import tasks_dir
from vsc_eval.specs import split_names

_COMMANDS = ("run", "ls", "validate")
_DESCRIPTION = "Run lm-evaluation-harness with --model vsc-hf and the vsc tasks. All its options are available."
_EPILOG = """\
example: vsc-eval harness run --model vsc-hf --model_args pretrained=vsc-tiny,condition=counting
  --tasks vsc_counting_easy_paired
"""


def fill(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = _DESCRIPTION, _EPILOG
    parser.add_argument("harness_command", choices=_COMMANDS, metavar="|".join(_COMMANDS), help="lm-eval's command")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="lm-eval's options (`run --help` shows them)")
    parser.set_defaults(handler=lambda options: run_harness([options.harness_command, *options.arguments]))


def run_harness(arguments: Sequence[str]) -> int:
    """Run lm-eval's command line on `arguments`.

    Raises SpecError for its caches, which would give wrong answers, and for unknown models and tasks.
    """
    # Imported here: lm-eval takes seconds, and `vsc-eval --help` must not.
    from lm_eval._cli import HarnessCLI
    from lm_eval.utils import setup_logging

    from vsc_eval.lmeval.models import refuse_grid, register_models
    from vsc_eval.lmeval.task_index import clear_errors, compiled_includes

    # Before lm-eval takes the numbers of a grid for arguments of their own.
    for argument in (part for word in arguments for part in split_names(word)):
        if argument.startswith("condition="):
            refuse_grid(argument.removeprefix("condition="))
    setup_logging()
    register_models()
    # lm-eval prints it once for each task that has a loader of its own.
    hint = "Custom kwargs can be passed"
    logging.getLogger("lm_eval.api.task").addFilter(lambda record: hint not in record.getMessage())
    cli = HarnessCLI()
    # Not its parse_args, which reads sys.argv.
    options = cli._parser.parse_args(["run", "--help"] if list(arguments) == ["run"] else arguments)
    asked = {**_config(options), **{key: value for key, value in vars(options).items() if value}}
    if asked.get("use_cache"):
        raise SpecError(
            "--use_cache keeps answers under a key without model, edit and picture.",
            hint="Leave it out; with --model_args ...,answers=FILE answers are kept under a key that has all three.",
        )
    if asked.get("cache_requests"):
        raise SpecError(
            "--cache_requests keeps requests under a key without the task's settings.",
            hint="Leave it out; building our requests takes no time.",
        )
    folder = asked.get("include_path")
    if folder and not Path(folder).is_dir():
        raise SpecError(f"--include_path {folder} is no folder.", hint="Give one folder of task files.")
    # lm-eval's index leaves broken files out without a word, and cannot read task files of ours: both are seen to here.
    names = getattr(options, "tasks", None)
    own = compiled_includes([Path(folder)] if folder else [], names if isinstance(names, list) else ())
    with own as (folders, known), clear_errors(getattr(options, "model", None)):
        options.include_path = [str(tasks_dir()), *folders]
        if known:
            options.tasks = known
        cli.execute(options)
    return 0


def _config(options: argparse.Namespace) -> dict[str, Any]:
    """The keys of lm-eval's --config file, if there is one."""
    if not getattr(options, "config", None):
        return {}
    from lm_eval.config.evaluate_config import EvaluatorConfig

    try:
        loaded: dict[str, Any] = EvaluatorConfig.load_yaml_config(options.config)
    except (FileNotFoundError, ValueError, TypeError) as error:
        raise SpecError(f"{error}.", hint="Check the path and the syntax of the --config file.") from error
    return loaded
