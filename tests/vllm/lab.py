"""Everything that the tests ask of vLLM, run once in a process of its own: `lab.py FOLDER` writes FOLDER/found.json.

vLLM on a CPU runs inside the process that starts it, binds its threads and replaces functions of torch; and starting it
takes longer than asking it. The model is vsc-tiny with an end token that never wins, so that answers have several
tokens and edits of generated tokens can be told from edits of the prompt alone.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest.mock import patch

# Other jobs may run beside the tests.
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")

import numpy as np
import torch
import yaml
from safetensors.torch import load_file, save_file

from vsc_eval import resources
from vsc_eval.backends.hf.engine import Engine
from vsc_eval.backends.hf.load import load_vlm
from vsc_eval.backends.hf.prompts import Prompt, encode_prompts
from vsc_eval.backends.protocol import GenSettings
from vsc_eval.backends.vllm import worker as hook
from vsc_eval.backends.vllm.engine import Asked, VllmEngine, render, sampling
from vsc_eval.backends.vllm.worker import ATTACH, CONDITIONS, why_not_edited
from vsc_eval.errors import VscError
from vsc_eval.features.harvest import benchmark_items, to_prompt
from vsc_eval.interventions.edits import CompiledCondition, compile_condition
from vsc_eval.interventions.intervention import load_intervention
from vsc_eval.records import Reading
from vsc_eval.specs import parse_condition

EXPRESSIONS = (
    "counting",
    "counting+logic",
    "counting+logic:scale=4:norm=mean",
    "counting:ablate",
    "counting:add=60:image",
    "comparison:add=3:last",
    "existence:clamp=2:text:prefill",
    "logic:scale=6",
    "logic:scale=6:prefill",
)
GENERATE = GenSettings("generate", max_new_tokens=5)
CHOICE = GenSettings("loglikelihood")
Table = list[list[Reading]]


def endless_model(folder: Path) -> Path:
    """vsc-tiny, whose end token's logit is the mean of all logits and so never the largest."""
    source = resources.embedded_dir()
    folder.mkdir()
    for file in source.iterdir():
        if file.suffix in (".json", ".jinja"):
            (folder / file.name).write_bytes(file.read_bytes())
    weights = load_file(source / "model.safetensors")
    end = json.loads((source / "config.json").read_text())["eos_token_id"]
    weights["lm_head.weight"][end] = weights["lm_head.weight"].mean(0)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


class Lab:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        model = endless_model(folder / "model")
        self.intervention = load_intervention("vsc-tiny")
        self.layer = self.intervention.spec.layer
        self.hf = Engine(load_vlm(model), sae=self.intervention.sae, layer=self.layer)
        self.shell = load_vlm(model, weights=False)
        self.vllm = self.engine()
        self.conditions: list[CompiledCondition | None] = [None, *(self.compiled(e) for e in EXPRESSIONS)]
        self.prompts = [to_prompt(item) for item in benchmark_items("test", items_per_cell=4)[::8]]

    def engine(self, **options: Any) -> VllmEngine:
        return VllmEngine(self.shell, sae=self.intervention.sae, layer=self.layer, options=options)

    def compiled(self, expression: str) -> CompiledCondition:
        spec = parse_condition(expression, self.intervention.spec.default_edit)
        return compile_condition(spec, self.intervention.sets, self.intervention.sae, self.layer)

    def both(self, prompts: Sequence[Prompt], settings: GenSettings, engine: VllmEngine | None = None) -> Any:
        ours = (engine or self.vllm).read(prompts, self.conditions, settings)
        return {"hf": dump(self.hf.read(prompts, self.conditions, settings)), "vllm": dump(ours)}

    def mixed(self) -> Any:
        return self.both(self.prompts, GENERATE)

    def loglikelihood(self) -> Any:
        return self.both(self.prompts[:6], CHOICE)

    def one_at_a_time(self) -> Any:
        """Every condition alone, the last first: no request of another one is near."""
        found = {}
        for index in reversed(range(len(self.conditions))):
            (found[index],) = self.vllm.read(self.prompts, [self.conditions[index]], GENERATE)
        return dump([found[index] for index in range(len(self.conditions))])

    def text_only(self) -> Any:
        """Prompts with and without a picture in one batch."""
        prompts = [p if i % 2 else Prompt(text=p.text, options=p.options) for i, p in enumerate(self.prompts[:8])]
        texts, pictures = prompts[::2], prompts[1::2]
        conditions = [c for c in self.conditions if c is None or c.spec.edit.positions != "image"]  # type: ignore[union-attr]
        mixed = self.vllm.read(prompts, conditions, GENERATE)
        parts = self.hf.read(texts, conditions, GENERATE), self.hf.read(pictures, conditions, GENERATE)
        apart = [[reading for pair in zip(a, b, strict=True) for reading in pair] for a, b in zip(*parts, strict=True)]
        return {"hf": dump(apart), "vllm": dump(mixed)}

    def chunked(self) -> Any:
        """At most 40 tokens a forward, under a limit on the pictures' area: every prompt runs in pieces, beside others'
        pieces and generated tokens."""
        model, limit = self.shell.name, 100_000
        hf = Engine(load_vlm(model, max_pixels=limit), sae=self.intervention.sae, layer=self.layer)
        engine = VllmEngine(
            load_vlm(model, weights=False, max_pixels=limit),
            sae=self.intervention.sae,
            layer=self.layer,
            options={"max_num_batched_tokens": 100, "max_model_len": 300, "max_num_seqs": 7},
        )
        # vLLM wants room for a whole picture; what it gives out in one forward may be less.
        engine.llm.llm_engine.engine_core.engine_core.scheduler.max_num_scheduled_tokens = 40
        passes = []
        accounts = engine._accounts

        def noted() -> Any:
            found = accounts()
            passes.extend(account["passes"] for account in found.values())
            return found

        with patch.object(engine, "_accounts", noted):
            vllm = engine.read(self.prompts[:6], self.conditions, GENERATE)
        rendered = render(engine.llm, engine.vlm, self.prompts[0])["prompt_token_ids"]
        full, few = (encode_prompts(vlm, self.prompts[:1]).n_tokens for vlm in (self.shell, hf.vlm))
        return {
            "hf": dump(hf.read(self.prompts[:6], self.conditions, GENERATE)),
            "vllm": dump(vllm),
            "passes": passes,
            "tokens": {"hf": few, "vllm": len(rendered), "without a limit": full},
        }

    def aborted(self) -> Any:
        """A third of the requests is aborted after two steps; the others' tokens, and what was expected."""
        engine = self.vllm.llm.llm_engine
        asked = []
        for index in range(4):
            for condition in self.conditions:
                request_id = 10**6 + len(asked)
                asked.append(Asked(request_id, index, None if condition is None else condition.content_hash))
                params = sampling(asked[-1], GENERATE, (), sorted(self.shell.end_token_ids))
                engine.add_request(str(request_id), render(self.vllm.llm, self.shell, self.prompts[index]), params)
        done = {}
        for step in range(10_000):
            if not engine.has_unfinished_requests():
                break
            if step == 2:
                engine.abort_request([str(one.request_id) for one in asked[::3]])
            for output in engine.step():
                if output.finished:
                    done[int(output.request_id)] = list(output.outputs[0].token_ids)
        self.vllm._accounts()
        hashes = [None if c is None else c.content_hash for c in self.conditions]
        table = self.vllm.read(self.prompts[:4], self.conditions, GENERATE)
        expected = {one.request_id: list(table[hashes.index(one.condition)][one.prompt].token_ids) for one in asked}
        return {"asked": len(asked), "done": done, "expected": expected}

    def stopped(self) -> Any:
        """The caller stops in the middle; what is asked next is as if nothing had been."""

        class StopHere(Exception):  # noqa: N818  # an interruption, not an error
            pass

        def stop(_: int) -> None:
            raise StopHere

        try:
            self.vllm.read(self.prompts, self.conditions, GENERATE, stop)
        except StopHere:
            unfinished = self.vllm.llm.llm_engine.has_unfinished_requests()
        return {"unfinished": unfinished, "after": dump(self.vllm.read(self.prompts[:4], self.conditions, GENERATE))}

    def fault(self, fault: AbstractContextManager[Any]) -> Any:
        with fault:
            return dump(self.vllm.read(self.prompts[:4], self.conditions, GENERATE))

    def wrong_layer(self) -> Any:
        try:
            self.attach(self.layer - 1)
            return dump(self.vllm.read(self.prompts[:4], self.conditions, GENERATE))
        finally:
            self.attach(self.layer)

    def attach(self, layer: int) -> None:
        from tempfile import TemporaryDirectory

        from vsc_eval.backends.vllm.worker import pack_conditions
        from vsc_eval.sae.readers.saelens import save_sae

        with TemporaryDirectory() as folder:
            save_sae(self.intervention.sae, Path(folder))
            self.vllm.llm.collective_rpc(ATTACH, args=(layer, folder, self.shell.image_token_ids))
        edits = [condition for condition in self.conditions if condition is not None]
        self.vllm.llm.collective_rpc(CONDITIONS, args=(pack_conditions(edits),))

    def faults(self) -> Any:
        stream, offsets = hook.residual_stream, hook.edited_offsets

        def half(output: Any) -> Any:
            hidden, _ = stream(output)
            return hidden, lambda rows: hidden[rows]

        def shifted(piece: Any, prompt: Any, *, decode: bool) -> Any:
            return (offsets(piece, prompt, decode=decode) - 1).clip(0)

        return {
            "wrong layer": self.wrong_layer(),
            "dropped half": self.fault(patch.object(hook, "residual_stream", half)),
            "shifted by one": self.fault_without_check(patch.object(hook, "edited_offsets", shifted)),
        }

    def fault_without_check(self, fault: AbstractContextManager[Any]) -> Any:
        """A shift also miscounts; the counts are not what is to be tested here."""
        with patch("vsc_eval.backends.vllm.engine.check_account"):
            return self.fault(fault)

    def refusals(self) -> dict[str, str]:
        """Name -> the message of the error."""
        (worker,) = self.vllm.llm.collective_rpc(_self)
        config, runner = worker.vllm_config, worker.model_runner
        found = {}

        def without_hook() -> None:
            worker._vsc.handle.remove()
            self.vllm.read(self.prompts[:1], self.conditions, CHOICE)

        def lost_edit() -> None:
            with patch.object(hook, "edited_offsets", lambda piece, prompt, *, decode: torch.zeros(0).long().numpy()):
                self.vllm.read(self.prompts[:1], self.conditions, CHOICE)

        def image_of_text() -> None:
            self.vllm.read([Prompt(text="Which?", options=("A", "B"))], self.conditions, CHOICE)

        def too_long() -> None:
            self.vllm.read([Prompt(text="Which? " * 3000, options=("A", "B"))], [None], CHOICE)

        def unknown_argument() -> None:
            self.engine(no_such_argument=1).read(self.prompts[:1], [None], CHOICE)

        attempts: dict[str, Callable[[], None]] = {
            "lost edit": lost_edit,
            "image of a text": image_of_text,
            "too long": too_long,
            "unknown argument": unknown_argument,
            "hook removed": without_hook,
        }
        for name, attempt in attempts.items():
            try:
                attempt()
                found[name] = ""
            except VscError as error:
                found[name] = error.message
        self.attach(self.layer)
        for name, (holder, field, value) in {
            "compiled": (config.compilation_config, "mode", 3),
            "prefix caching": (config.cache_config, "enable_prefix_caching", True),
            "pipeline": (config.parallel_config, "pipeline_parallel_size", 2),
            "speculation": (config, "speculative_config", object()),
        }.items():
            before = getattr(holder, field)
            object.__setattr__(holder, field, value)
            found[name] = why_not_edited(config, runner) or ""
            object.__setattr__(holder, field, before)
        with patch.object(type(config), "use_v2_model_runner", True):
            found["newer runner"] = why_not_edited(config, runner) or ""
        found["as it is"] = why_not_edited(config, runner) or ""
        return found

    def run(self) -> Any:
        """`vsc-eval run` with both backends; the second time with vLLM everything is in the store."""
        from rich.console import Console

        from vsc_eval.answers.parquet import read_table
        from vsc_eval.sweeps.run_spec import RunSpec
        from vsc_eval.sweeps.sweep import run_sweep

        found: dict[str, Any] = {}
        for backend in ("hf", "vllm"):
            spec = RunSpec(tasks=("vsc_counting_easy",), n=4, conditions=EXPRESSIONS[:2], backend=backend)
            out = self.folder / f"run-{backend}"
            run_sweep(spec, out, console=Console(quiet=True))
            document = yaml.safe_load((out / "run.yaml").read_text())
            table = read_table(out)
            found[backend] = {
                "answers": np.array(table.main.vocabulary)[table.main.answer].tolist(),
                "fingerprint": document["hashes"]["model_fingerprint"],
                "settings": document["settings"],
            }
        with patch("vsc_eval.backends.vllm.engine.starting", side_effect=AssertionError):
            run_sweep(spec, out, console=Console(quiet=True))
        found["resumed without starting vLLM"] = True
        return found

    def lm_eval(self) -> Any:
        """The answers of lm-eval's own evaluator with our two models."""
        from lm_eval import simple_evaluate
        from lm_eval.tasks import TaskManager

        from vsc_eval.lmeval.models import register_models

        register_models()
        manager = TaskManager(include_path=str(resources.tasks_dir()), include_defaults=False, metadata={"vsc_n": 4})
        found = {}
        for model in ("vsc-hf", "vsc-vllm"):
            results: Any = simple_evaluate(
                model=model,
                model_args="pretrained=vsc-tiny,condition=counting",
                tasks=["vsc_logic_easy"],
                task_manager=manager,
                bootstrap_iters=0,
            )
            found[model] = [sample["resps"] for sample in results["samples"]["vsc_logic_easy"]]
        return found


def _self(worker: Any) -> Any:
    return worker


def dump(table: Table) -> list[list[dict[str, Any]]]:
    return [[reading.model_dump() for reading in row] for row in table]


def main(folder: Path) -> None:
    lab = Lab(folder)
    parts = (
        "mixed",
        "loglikelihood",
        "one_at_a_time",
        "text_only",
        "aborted",
        "stopped",
        "faults",
        "refusals",
        "chunked",
        "run",
        "lm_eval",
    )
    found = {}
    for part in parts:
        started = time.monotonic()
        found[part] = getattr(lab, part)()
        print(f"{part}: {time.monotonic() - started:.1f} s", flush=True)
    (folder / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
