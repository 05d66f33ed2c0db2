"""`vsc-eval bench`: the engine against one hooked run for each condition, lm-eval's own VLM and vLLM."""

from __future__ import annotations

import argparse
from itertools import combinations, count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vsc_eval.errors import SpecError

if TYPE_CHECKING:
    from vsc_eval.specs import ConditionSpec, InterventionSpec
    from vsc_eval.synthetic import Item


def add_parser(subparsers: Any) -> None:
    """Add `bench`."""
    parser = subparsers.add_parser("bench", help="time the engine against plain runs")
    commands = parser.add_subparsers(dest="bench_command", metavar="COMMAND", required=True)
    engine = commands.add_parser("engine", help="many conditions in one pass against one hooked run for each")
    _add_common(engine)
    engine.add_argument(
        "--intervention", help="name or folder of the intervention (default: the one named like the model)"
    )
    engine.add_argument("--conditions", type=int, default=20, help="conditions, the baseline included (default: 20)")
    engine.add_argument("--device", default="auto", help="cpu, cuda, cuda:1 (default: auto)")
    engine.set_defaults(handler=_engine)
    harness = commands.add_parser("harness", help="the baseline against lm-eval's hf-multimodal on the same items")
    _add_common(harness)
    harness.add_argument("--tasks", default="vsc", help="tasks with text answers, separated by commas (default: vsc)")
    harness.add_argument(
        "--their-batch-sizes", type=int, nargs="+", default=[1, 16], help="of hf-multimodal (default: 1 16)"
    )
    harness.set_defaults(handler=_harness)
    vllm = commands.add_parser("vllm", help="vLLM against transformers, baseline and mixed conditions")
    _add_common(vllm)
    vllm.add_argument(
        "--intervention", help="name or folder of the intervention (default: the one named like the model)"
    )
    vllm.add_argument("--conditions", type=int, default=7, help="conditions, the baseline included (default: 7)")
    vllm.add_argument("--vllm", action="append", default=[], metavar="NAME=VALUE", help="argument of vLLM")
    vllm.add_argument("--with-vllm-vlm", action="store_true", help="also the baseline against lm-eval's own vllm-vlm")
    vllm.set_defaults(handler=_vllm)


def _add_common(parser: argparse.ArgumentParser) -> None:
    # argparse's own way of showing defaults would add "(default: None)" where there is none.
    parser.formatter_class = argparse.HelpFormatter
    parser.add_argument("--model", default="vsc-tiny", help="vsc-tiny (default), a folder or a hub id")
    parser.add_argument("--n", type=int, default=4, help="items of each cell, a multiple of 4 (default: 4)")
    parser.add_argument("--batch-size", type=int, default=16, help="prompts a batch of ours (default: 16)")
    parser.add_argument("--repeats", type=int, default=3, help="timed repeats, taking turns (default: 3)")


def bench_items(n: int) -> list[Item]:
    """The first `n` test items of every cell. Raises SpecError unless `n` is a positive multiple of 4."""
    from vsc_eval.synthetic import LEVELS, TASKS, make_items

    return [item for task in TASKS for level in LEVELS for item in make_items("test", task, level, n)]


def bench_conditions(intervention: InterventionSpec, n_edits: int) -> tuple[ConditionSpec, ...]:
    """`n_edits` different edits: the sets, their unions in pairs, then the sets again at other strengths."""
    from vsc_eval.specs import parse_condition

    names = [feature_set.name for feature_set in intervention.sets]
    heads = [*names, *("+".join(pair) for pair in combinations(names, 2))]
    stronger = (f"{name}:scale={10 + step}" for step in count() for name in names)
    expressions = [*heads, *islice(stronger, max(0, n_edits - len(heads)))][:n_edits]
    return tuple(parse_condition(expression, intervention.default_edit) for expression in expressions)


def _engine(options: argparse.Namespace) -> int:
    if options.conditions < 2:
        raise SpecError("--conditions must be at least 2.", hint="Give the baseline and at least one edit.")
    from vsc_eval.backends.hf.bench import bench_engine
    from vsc_eval.backends.hf.load import load_vlm
    from vsc_eval.backends.hf.prompts import Prompt
    from vsc_eval.interventions.edits import compile_condition
    from vsc_eval.interventions.intervention import load_intervention

    items = bench_items(options.n)
    intervention = load_intervention(options.intervention or Path(options.model).name)
    vlm = load_vlm(options.model, device=options.device)
    edits = [
        compile_condition(spec, intervention.sets, intervention.sae, intervention.spec.layer)
        for spec in bench_conditions(intervention.spec, options.conditions - 1)
    ]
    prompts = [Prompt(text=item.prompt, images=(_picture(item),), options=_letters()) for item in items]
    result = bench_engine(
        vlm, intervention.sae, edits, prompts, options.repeats, batch_size=options.batch_size, progress=_say
    )
    print("\n".join([_machine(), *result.lines()]))
    return 0


def _harness(options: argparse.Namespace) -> int:
    from vsc_eval.lmeval.bench import bench_harness
    from vsc_eval.lmeval.tasks import quiet_harness

    with quiet_harness():
        result = bench_harness(
            options.model,
            tasks=[name.strip() for name in options.tasks.split(",")],
            n=options.n,
            repeats=options.repeats,
            batch_size=options.batch_size,
            their_batch_sizes=options.their_batch_sizes,
        )
    print("\n".join([_machine(), result.report()]))
    return 0


def _vllm(options: argparse.Namespace) -> int:
    if options.conditions < 2:
        raise SpecError("--conditions must be at least 2.", hint="Give the baseline and at least one edit.")
    from vsc_eval.backends.hf.load import load_vlm
    from vsc_eval.backends.hf.prompts import Prompt
    from vsc_eval.backends.vllm.arguments import parse_options
    from vsc_eval.backends.vllm.available import require_vllm
    from vsc_eval.backends.vllm.bench import bench_vllm
    from vsc_eval.interventions.edits import compile_condition
    from vsc_eval.interventions.intervention import load_intervention

    installed = require_vllm()
    if options.with_vllm_vlm:
        from vsc_eval.lmeval.bench_vllm import require_vllm_vlm

        require_vllm_vlm()
    items = bench_items(options.n)
    intervention = load_intervention(options.intervention or Path(options.model).name)
    vlm = load_vlm(options.model)
    edits = [
        compile_condition(spec, intervention.sets, intervention.sae, intervention.spec.layer)
        for spec in bench_conditions(intervention.spec, options.conditions - 1)
    ]
    result = bench_vllm(
        vlm,
        intervention.sae,
        edits,
        [Prompt(text=item.prompt, images=(_picture(item),), options=_letters()) for item in items],
        options.repeats,
        batch_size=options.batch_size,
        options=parse_options(options.vllm),
        progress=_say,
    )
    print("\n".join([f"{_machine()}, {installed}", *result.lines()]))
    if options.with_vllm_vlm:
        _vllm_vlm(options)
    return 0


def _vllm_vlm(options: argparse.Namespace) -> None:
    from vsc_eval.backends.vllm.arguments import parse_options
    from vsc_eval.lmeval.bench_vllm import bench_vllm_vlm
    from vsc_eval.lmeval.tasks import quiet_harness

    with quiet_harness():
        result = bench_vllm_vlm(
            options.model, n=options.n, repeats=options.repeats, options=parse_options(options.vllm)
        )
    print("\n".join(["", "lm-eval's evaluator, text answers", result.report()]))


def _picture(item: Item) -> Any:
    from vsc_eval.synthetic.render import render

    return render(item.scene)


def _letters() -> tuple[str, ...]:
    from vsc_eval.synthetic import LETTERS

    return LETTERS


def _machine() -> str:
    from vsc_eval.sweeps.machine import machine_words

    return f"on {machine_words()}"


def _say(line: str) -> None:
    print(line, flush=True)
