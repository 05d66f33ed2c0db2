"""Write lm-eval's own task files: of the synthetic benchmark, 21 cells x 6 variants with groups and tags, and of a task
file of ours, text and choice scoring, each plain and paired.

lm-eval wants one YAML a task. The cells of a variant differ in a name and two keys; what they share stands in a
`*_yaml` file that lm-eval includes and does not take for a task. A compiled task file holds the whole task file in its
metadata, so lm-eval needs nothing but this package to run it. Run `python -m vsc_eval.lmeval.task_files` and
`vsc-eval tasks compile` after a change here: tests compare `tasks/vsc` and `tasks/external/lm_eval` with this module.

Views by task and by level are tags, because two groups that share a task cannot be asked for together. The groups nest
each cell once, so that their means and standard errors are right; `vsc_views` nests both groups and averages nothing.
"""

import argparse
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vsc_eval.resources import tasks_dir
from vsc_eval.synthetic import LEVELS, TASKS
from vsc_eval.taskfiles.schema import TaskFile

TASK_VERSION = 1
"""Of the benchmark's task files: raised when a prompt, a metric or a default changes."""

TAG = "vsc_external"
COMPILED = "lm_eval"
"""Folder of compiled files beside the task files."""

_HEADER = "# Written by `python -m vsc_eval.lmeval.task_files`; change that, not this.\n"
_COMPILED_HEADER = "# Compiled by `vsc-eval tasks compile`; change the task file {name}.yaml, not this.\n"


@dataclass(frozen=True)
class Variant:
    """One way to ask for and score a task. `name` is the suffix of its tasks; empty for the plain one."""

    name: str
    summary: str
    is_choice: bool = False
    """Scored by the log-likelihood of the options."""
    is_paired: bool = False
    """Asked without and with the edit."""
    is_blind: bool = False
    """Asked without the picture; of the synthetic benchmark only."""

    @property
    def folder(self) -> str:
        return self.name or "generate"

    @property
    def marks(self) -> dict[str, bool]:
        """What a task's metadata say of the variant, and the loader writes into its documents."""
        return {"vsc_paired": True} if self.is_paired else {}

    @property
    def metrics(self) -> tuple[str, ...]:
        paired = ("acc_base", "acc_delta", "drift") if self.is_paired else ()
        return ("acc", *paired, *(() if self.is_choice else ("invalid",)))

    def named(self, stem: str) -> str:
        return f"{stem}_{self.name}" if self.name else stem


VARIANTS = (
    Variant("", "text answers, read by one extractor"),
    Variant("choice", "log-likelihood of the option letters", is_choice=True),
    Variant("paired", "text answers without and with the edit", is_paired=True),
    Variant("choice_paired", "option letters without and with the edit", is_choice=True, is_paired=True),
    Variant("blind_none", "text answers without the picture", is_blind=True),
    Variant("blind_grey", "text answers on a grey canvas", is_blind=True),
)


class _Function(str):
    """The name of a function of this package that YAML is to write as `!function vsc_eval.lmeval.name`."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_function(self, name: _Function) -> yaml.Node:
        return self.represent_scalar("!function", f"vsc_eval.lmeval.{name}")

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)


_Dumper.add_representer(_Function, _Dumper.represent_function)


def _yaml(config: Mapping[str, Any]) -> str:
    return yaml.dump(config, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def _config(
    variant: Variant, *, load: str, images: str, gold_index: str, options: str, max_new_tokens: int
) -> dict[str, Any]:
    """What lm-eval is told of a variant: functions of `documents.py`, and fields of the documents that they make."""
    config: dict[str, Any] = {
        "custom_dataset": _Function(f"documents.{load}"),
        "test_split": "test",
        "output_type": "multiple_choice" if variant.is_choice else "generate_until",
        "doc_to_text": "<image>{{prompt}}",
        "doc_to_image": _Function(f"documents.{images}"),
        "doc_to_target": gold_index if variant.is_choice else "answer",
    }
    if variant.is_choice:
        config |= {"doc_to_choice": options, "target_delimiter": ""}
    else:
        config["generation_kwargs"] = {"until": [], "do_sample": False, "max_gen_toks": max_new_tokens}
    score = "score_" + ("choice" if variant.is_choice else "text") + ("_pair" if variant.is_paired else "")
    config["process_results"] = _Function(f"scoring.{score}")
    if variant.is_paired:
        # lm-eval asks each request twice in a row; vsc-hf answers the first without the edit, the second with it.
        config["repeats"] = 2
        config["filter_list"] = [{"name": "none", "filter": [{"function": "take_first_k", "k": 2}]}]
    config["num_fewshot"] = 0
    config["metric_list"] = [
        {"metric": name, "aggregation": "mean", "higher_is_better": name not in ("drift", "invalid")}
        for name in variant.metrics
    ]
    return config


def _shared(variant: Variant) -> dict[str, Any]:
    """What all cells of a variant share."""
    images = "grey_images" if variant.name == "blind_grey" else "scene_images"
    config = _config(variant, load="load_cell", images=images, gold_index="gold", options="letters", max_new_tokens=8)
    if variant.name == "choice":
        # lm-eval's own accuracy, against which a run holds ours.
        del config["process_results"]
    if variant.name == "blind_none":
        del config["doc_to_image"]
        config["doc_to_text"] = "{{prompt}}"
    return config


def _cell_name(variant: Variant, task: str, level: str) -> str:
    return variant.named(f"vsc_{task}_{level}")


def _cell(variant: Variant, task: str, level: str) -> dict[str, Any]:
    # Another package's task is no part of the benchmark, and so of no view of it.
    views = (task, level) if task in TASKS else (task,)
    return {
        "include": f"../_{variant.folder}_yaml",
        "task": _cell_name(variant, task, level),
        "tag": [variant.named(f"vsc_{view}") for view in views],
        "metadata": {"version": TASK_VERSION, "vsc_task": task, "vsc_level": level, **variant.marks},
    }


def _groups(variant: Variant) -> list[dict[str, Any]]:
    means = {"aggregate_metric_list": [{"metric": name, "weight_by_size": False} for name in variant.metrics]}
    version = {"metadata": {"version": TASK_VERSION}}
    by_task = {task: [_cell_name(variant, task, level) for level in LEVELS] for task in TASKS}
    by_level = {level: [_cell_name(variant, task, level) for task in TASKS] for level in LEVELS}
    names = variant.named("vsc"), variant.named("vsc_by_level")
    groups = []
    for name, members in zip(names, (by_task, by_level), strict=True):
        # `a::b` is how lm-eval itself names a group that is defined inside another.
        inner = [{"group": member, "group_alias": member, "task": cells, **means} for member, cells in members.items()]
        groups.append({"group": name, "task": inner, **means, **version})
    return [*groups, {"group": variant.named("vsc_views"), "task": list(names), **version}]


def cell_files(tasks: Sequence[str]) -> dict[str, str]:
    """Path relative to the tasks folder -> text, of the cells of `tasks` and what they include."""
    files = {f"vsc/_{variant.folder}_yaml": _shared(variant) for variant in VARIANTS}
    for variant, task, level in itertools.product(VARIANTS, tasks, LEVELS):
        files[f"vsc/{variant.folder}/{_cell_name(variant, task, level)}.yaml"] = _cell(variant, task, level)
    return {path: _HEADER + _yaml(config) for path, config in files.items()}


def task_files() -> dict[str, str]:
    """Path relative to the tasks folder -> text, of all files of the benchmark."""
    groups = [group for variant in VARIANTS for group in _groups(variant)]
    return cell_files(TASKS) | {f"vsc/groups/{group['group']}.yaml": _HEADER + _yaml(group) for group in groups}


def variants(file: TaskFile) -> dict[str, Variant]:
    """Task name -> variant, of all variants of a task file."""
    fitting = [variant for variant in VARIANTS if not variant.is_blind]
    return {v.named(file.task_name): v for v in fitting if file.has_choice_scoring or not v.is_choice}


def compiled_files(file: TaskFile) -> dict[str, str]:
    """File name -> text of every variant of a task file."""
    fields = {"load": "load_task", "images": "images", "gold_index": "gold_index", "options": "words"}
    whole = file.model_dump(mode="json", exclude_unset=True)
    found = {}
    for name, variant in variants(file).items():
        config = {
            "task": name,
            "tag": [variant.named(TAG)],
            "class": _Function("scoring.ExternalTask"),
            **_config(variant, **fields, max_new_tokens=file.max_new_tokens),
            "metadata": {"version": file.version, **variant.marks, "vsc_task_file": whole},
        }
        found[f"{name}.yaml"] = _COMPILED_HEADER.format(name=file.name) + _yaml(config)
    return found


def write_task_files(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """Write `files` below `folder`; returns their paths."""
    paths = [folder / path for path in files]
    for path, text in zip(paths, files.values(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return paths


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the benchmark's lm-eval task files.")
    parser.add_argument("--out", type=Path, default=tasks_dir(), help="folder of task files")
    print(len(write_task_files(parser.parse_args().out, task_files())), "files written")
