"""Write lm-eval's task files of the synthetic benchmark: 21 cells x 6 variants, their groups and their tags.

lm-eval wants one YAML a task. They differ in a name and two keys, so they are generated; what they share stands in
`*_yaml` files that lm-eval includes and does not take for tasks. Run `python -m vsc_eval.lmeval.task_files` after a
change here; a test compares the folder with this module.

Views by task and by level are tags, because two groups that share a task cannot be asked for together. The groups nest
each cell once, so that their means and standard errors are right; `vsc_views` nests both groups and averages nothing.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vsc_eval.resources import tasks_dir
from vsc_eval.synthetic import LEVELS, TASKS

TASK_VERSION = 1
"""Of the task files: raised when a prompt, a metric or a default changes."""


@dataclass(frozen=True)
class Variant:
    """One way to ask for and score the 21 cells. `name` is the suffix of its tasks; empty for the plain one."""

    name: str
    summary: str
    template: str
    """Shared file that its tasks include."""
    metrics: tuple[str, ...]

    def named(self, stem: str) -> str:
        return f"{stem}_{self.name}" if self.name else stem


_PLAIN = ("acc", "invalid")
_PAIRED = ("acc", "acc_base", "acc_delta", "drift", "invalid")
VARIANTS = (
    Variant("", "text answers, read by one extractor", "_generate_yaml", _PLAIN),
    Variant("choice", "log-likelihood of the option letters", "_choice_yaml", ("acc",)),
    Variant("paired", "text answers without and with the edit", "_paired_yaml", _PAIRED),
    Variant("choice_paired", "option letters without and with the edit", "_choice_paired_yaml", _PAIRED[:-1]),
    Variant("blind_none", "text answers without the picture", "_blind_none_yaml", _PLAIN),
    Variant("blind_grey", "text answers on a grey canvas", "_blind_grey_yaml", _PLAIN),
)

_HEADER = "# Written by `python -m vsc_eval.lmeval.task_files`; change that, not this.\n"
_ITEM = """\
custom_dataset: !function vsc_eval.lmeval.data.load_cell
test_split: test
doc_to_text: "<image>{{prompt}}"
doc_to_image: !function vsc_eval.lmeval.data.scene_images
doc_to_target: answer
num_fewshot: 0
"""
_GENERATE = """\
include: _item_yaml
output_type: generate_until
generation_kwargs:
  until: []
  do_sample: false
  max_gen_toks: 8
process_results: !function vsc_eval.lmeval.scoring.score_text
"""
_CHOICE = """\
include: _item_yaml
output_type: multiple_choice
doc_to_choice: letters
doc_to_target: gold
target_delimiter: ""
"""
# lm-eval asks each request `repeats` times in a row; vsc-hf answers the first without the edit, the second with it.
_PAIRS = """\
repeats: 2
filter_list:
  - name: none
    filter:
      - function: take_first_k
        k: 2
"""


def _metric_list(metrics: tuple[str, ...]) -> str:
    lines = ["metric_list:"]
    for metric in metrics:
        better = "false" if metric in ("drift", "invalid") else "true"
        lines += [f"  - metric: {metric}", "    aggregation: mean", f"    higher_is_better: {better}"]
    return "\n".join(lines) + "\n"


def _templates() -> Iterator[tuple[str, str]]:
    plain, paired = _metric_list(_PLAIN), _metric_list(_PAIRED)
    yield "_item_yaml", _ITEM
    yield "_generate_yaml", _GENERATE + plain
    yield "_choice_yaml", _CHOICE + _metric_list(("acc",))
    score = "process_results: !function vsc_eval.lmeval.scoring.{}\n"
    yield "_paired_yaml", "include: _generate_yaml\n" + score.format("score_text_pair") + _PAIRS + paired
    yield (
        "_choice_paired_yaml",
        "include: _choice_yaml\n" + score.format("score_choice_pair") + _PAIRS + _metric_list(_PAIRED[:-1]),
    )
    # An empty value and not an absent key: the included file's picture must go.
    yield "_blind_none_yaml", 'include: _generate_yaml\ndoc_to_text: "{{prompt}}"\ndoc_to_image: null\n'
    yield "_blind_grey_yaml", "include: _generate_yaml\ndoc_to_image: !function vsc_eval.lmeval.data.grey_images\n"


def _cell(variant: Variant, task: str, level: str) -> str:
    # Another package's task is no part of the benchmark, and so of no view of it.
    views = (task, level) if task in TASKS else (task,)
    return (
        f"include: ../{variant.template}\n"
        f"task: {variant.named(f'vsc_{task}_{level}')}\n"
        "tag:\n" + "".join(f"  - {variant.named(f'vsc_{view}')}\n" for view in views) + "metadata:\n"
        f"  version: {TASK_VERSION}\n"
        f"  vsc_task: {task}\n"
        f"  vsc_level: {level}\n" + ("  vsc_paired: true\n" if variant.name.endswith("paired") else "")
    )


def _aggregation(variant: Variant, indent: str) -> str:
    lines = [f"{indent}aggregate_metric_list:"]
    for metric in variant.metrics:
        lines += [f"{indent}  - metric: {metric}", f"{indent}    weight_by_size: false"]
    return "\n".join(lines) + "\n"


def _group(variant: Variant, name: str, members: dict[str, list[str]]) -> str:
    text = f"group: {name}\ntask:\n"
    for member, cells in members.items():
        # `a::b` is how lm-eval itself names a group that is defined inside another.
        text += f"  - group: {member}\n    group_alias: {member}\n    task:\n"
        text += "".join(f"      - {cell}\n" for cell in cells) + _aggregation(variant, "    ")
    return text + _aggregation(variant, "") + f"metadata:\n  version: {TASK_VERSION}\n"


def _groups(variant: Variant) -> Iterator[tuple[str, str]]:
    def cell(task: str, level: str) -> str:
        return variant.named(f"vsc_{task}_{level}")

    by_task = {task: [cell(task, level) for level in LEVELS] for task in TASKS}
    by_level = {level: [cell(task, level) for task in TASKS] for level in LEVELS}
    names = variant.named("vsc"), variant.named("vsc_by_level")
    yield names[0], _group(variant, names[0], by_task)
    yield names[1], _group(variant, names[1], by_level)
    views = variant.named("vsc_views")
    yield views, f"group: {views}\ntask:\n  - {names[0]}\n  - {names[1]}\nmetadata:\n  version: {TASK_VERSION}\n"


def cell_files(tasks: Sequence[str]) -> dict[str, str]:
    """Path relative to the tasks folder -> text, of the cells of `tasks` and what they include."""
    files = {f"vsc/{name}": text for name, text in _templates()}
    for variant, task, level in itertools.product(VARIANTS, tasks, LEVELS):
        name = variant.named(f"vsc_{task}_{level}")
        files[f"vsc/{variant.name or 'generate'}/{name}.yaml"] = _cell(variant, task, level)
    return {path: _HEADER + text for path, text in files.items()}


def task_files() -> dict[str, str]:
    """Path relative to the tasks folder -> text, of all files of the benchmark."""
    groups = {name: text for variant in VARIANTS for name, text in _groups(variant)}
    return cell_files(TASKS) | {f"vsc/groups/{name}.yaml": _HEADER + text for name, text in groups.items()}


def write_task_files(folder: Path, files: Mapping[str, str]) -> int:
    """Write `files` below `folder`; returns their number."""
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return len(files)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the benchmark's lm-eval task files.")
    parser.add_argument("--out", type=Path, default=tasks_dir(), help="folder of task files")
    print(write_task_files(parser.parse_args().out, task_files()), "files written")
