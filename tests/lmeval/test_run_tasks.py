"""Which tasks a sweep takes, its own and lm-eval's, and what it knows of their items."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vsc_eval.errors import DataError, SpecError
from vsc_eval.lmeval import tasks as run_tasks
from vsc_eval.lmeval.tasks import SweepTasks, find_tasks
from vsc_eval.settings import AskSpec
from vsc_eval.sweeps.run_spec import RunSpec

FUNCTIONS = """\
import datasets
from PIL import Image

ROWS = [(0, "q0", 1), (0, "q1", 2), (9, "q2", 0)]


def rows(**_):
    return datasets.DatasetDict({"test": datasets.Dataset.from_list(
        [{"image": Image.new("RGB", (8, 8), (s, 0, 0)), "q": q, "gold": g, "letter": "ABC"[g]} for s, q, g in ROWS],
        features=datasets.Features({
            "image": datasets.Image(), "q": datasets.Value("string"),
            "gold": datasets.Value("int64"), "letter": datasets.Value("string"),
        }),
    )})


def unreachable(**_):
    raise ConnectionError("no route to the hub")


def images(doc):
    return [doc["image"]]
"""
TASK = """\
task: {name}
custom_dataset: !function functions.{rows}
test_split: test
output_type: multiple_choice
doc_to_text: "<image>{{{{q}}}}"
{images}
doc_to_choice: {choices}
doc_to_target: {target}
"""
SHOWN = "doc_to_image: !function functions.images"

Find = Callable[..., SweepTasks]


@pytest.fixture
def find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Find:
    """`find_tasks` among tasks that are not ours."""
    (tmp_path / "functions.py").write_text(FUNCTIONS)
    for name, rows, images, target, choices in (
        ("pictured", "rows", SHOWN, "gold", '["A", "B", "C"]'),
        ("by_letter", "rows", "", "letter", '["A", "B", "C"]'),
        ("no_gold", "rows", "", "q", '["A", "B", "C"]'),
        ("twice", "rows", "", "gold", '["A", "B", "B"]'),
        ("far_away", "unreachable", "", "gold", '["A", "B", "C"]'),
    ):
        text = TASK.format(name=name, rows=rows, images=images, target=target, choices=choices)
        (tmp_path / f"{name}.yaml").write_text(text)
    monkeypatch.setattr(run_tasks, "benchmark_dir", lambda: tmp_path)

    def go(*names: str, n: int | None = None) -> SweepTasks:
        return find_tasks(AskSpec(tasks=names, n=n))

    return go


def test_items_of_other_tasks_are_clustered_by_picture(find: Find) -> None:
    items = list(find("pictured").items.values())
    assert [item.gold for item in items] == ["B", "C", "A"]
    assert [item.gold_index for item in items] == [1, 2, 0]
    assert {item.cluster_kind for item in items} == {"image"}
    assert items[0].cluster == items[1].cluster != items[2].cluster


def test_without_a_picture_every_item_stands_alone(find: Find) -> None:
    items = list(find("by_letter").items.values())
    assert [item.gold for item in items] == ["B", "C", "A"]
    assert [(item.cluster, item.cluster_kind) for item in items] == [(f"by_letter/{i}", "item") for i in range(3)]


def test_documents_with_pictures_have_the_same_hash_again(find: Find) -> None:
    assert find("pictured").hashes == find("pictured").hashes
    assert find("pictured").hashes["pictured"] == find("by_letter").hashes["by_letter"]


def test_what_cannot_be_compared_is_refused(find: Find) -> None:
    for name in ("no_gold", "twice"):
        with pytest.raises(SpecError, match=f"'{name}' has no options with one right answer"):
            find(name)
    with pytest.raises(SpecError, match=r"--n sizes the cells.*--limit"):
        find("pictured", n=8)
    with pytest.raises(DataError, match=r"far_away cannot be loaded: no route to the hub"):
        find("far_away")


def test_views_hold_every_item_once() -> None:
    found = find_tasks(AskSpec(tasks=("vsc_views",), n=4, limit=1))
    assert len(found.items) == len({item.item_id for item in found.items.values()}) == 21
    assert {item.cluster_kind for item in found.items.values()} == {"orbit"}


def test_settings_without_effect_are_refused() -> None:
    with pytest.raises(ValueError, match="max_new_tokens: it is of the scoring `generate`"):
        RunSpec(max_new_tokens=4)
    with pytest.raises(ValueError, match="no task is named"):
        RunSpec(tasks=())
    assert RunSpec(max_new_tokens=4, scoring="generate").max_new_tokens == 4
