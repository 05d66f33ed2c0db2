"""Write a task file as lm-eval's own task files: text and choice scoring, each plain and paired.

The compiled files hold the whole task file in their metadata, so lm-eval needs nothing but this package to run them.
Those of the shipped task files stand in `tasks/external/lm_eval`; run `vsc-eval tasks compile` after a change.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from vsc_eval.taskfiles.schema import TaskFile

TAG = "vsc_external"
COMPILED = "lm_eval"
"""Folder of compiled files beside the task files."""

_LMEVAL = "vsc_eval.lmeval"
_HEADER = "# Compiled by `vsc-eval tasks compile`; change the task file {name}.yaml, not this.\n"
_LOWER_IS_BETTER = ("drift", "invalid")
_PAIRED_METRICS = ("acc_base", "acc_delta", "drift")


class _Function(str):
    """A dotted name that YAML is to write as `!function name`."""


class _Dumper(yaml.SafeDumper):
    pass


def _write_function(dumper: yaml.SafeDumper, name: _Function) -> yaml.Node:
    return dumper.represent_scalar("!function", str(name))


_Dumper.add_representer(_Function, _write_function)


def variants(file: TaskFile) -> Iterator[tuple[str, bool, bool]]:
    """(task name, choice scoring, paired) of every variant."""
    for is_choice in (False, True) if file.has_choice_scoring else (False,):
        for is_paired in (False, True):
            suffix = ("_choice" if is_choice else "") + ("_paired" if is_paired else "")
            yield file.task_name + suffix, is_choice, is_paired


def compiled_config(file: TaskFile, name: str, *, is_choice: bool, is_paired: bool) -> dict[str, Any]:
    """One variant as lm-eval's configuration."""
    metrics = ["acc", *(_PAIRED_METRICS if is_paired else ()), *(() if is_choice else ("invalid",))]
    suffix = name.removeprefix(file.task_name)
    config: dict[str, Any] = {
        "task": name,
        "tag": [f"{TAG}{suffix}"],
        "class": _Function(f"{_LMEVAL}.external_task.ExternalTask"),
        "custom_dataset": _Function(f"{_LMEVAL}.documents.load_task"),
        "test_split": "test",
        "output_type": "multiple_choice" if is_choice else "generate_until",
        "doc_to_text": "<image>{{prompt}}",
        "doc_to_image": _Function(f"{_LMEVAL}.documents.images"),
        "doc_to_target": "gold_index" if is_choice else "answer",
    }
    if is_choice:
        config |= {"doc_to_choice": "words", "target_delimiter": ""}
    else:
        config["generation_kwargs"] = {"until": [], "do_sample": False, "max_gen_toks": file.max_new_tokens}
    score = "score_" + ("choice" if is_choice else "text") + ("_pair" if is_paired else "")
    config["process_results"] = _Function(f"{_LMEVAL}.external_scoring.{score}")
    if is_paired:
        # lm-eval asks each request twice in a row; vsc-hf answers the first without the edit, the second with it.
        config["repeats"] = 2
        config["filter_list"] = [{"name": "none", "filter": [{"function": "take_first_k", "k": 2}]}]
    config["num_fewshot"] = 0
    config["metric_list"] = [
        {"metric": metric, "aggregation": "mean", "higher_is_better": metric not in _LOWER_IS_BETTER}
        for metric in metrics
    ]
    metadata: dict[str, Any] = {"version": file.version}
    if is_paired:
        metadata["vsc_paired"] = True
    metadata["vsc_task_file"] = file.model_dump(mode="json", exclude_unset=True)
    config["metadata"] = metadata
    return config


def compiled_files(file: TaskFile) -> dict[str, str]:
    """File name -> text of every variant."""
    found = {}
    for name, is_choice, is_paired in variants(file):
        config = compiled_config(file, name, is_choice=is_choice, is_paired=is_paired)
        text = yaml.dump(config, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
        found[f"{name}.yaml"] = _HEADER.format(name=file.name) + text
    return found


def write_compiled(file: TaskFile, folder: Path) -> list[Path]:
    """Write all variants into `folder`; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in compiled_files(file).items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths
