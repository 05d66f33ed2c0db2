"""Every task file: up to date, loadable, and right about its own gold answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import datasets
import lm_eval
import numpy as np
import pytest
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml
from PIL import Image

from vsc_eval.errors import BackendError, SpecError
from vsc_eval.lmeval.documents import document, grey_images, load_cell, scene_images
from vsc_eval.lmeval.scoring import score_choice_pair, score_text, score_text_pair
from vsc_eval.lmeval.task_files import VARIANTS, task_files, write_task_files
from vsc_eval.resources import tasks_dir
from vsc_eval.synthetic import LETTERS, LEVELS, TASKS, find_item, make_items

CELLS = [f"vsc_{task}_{level}" for task in TASKS for level in LEVELS]


class OracleLM(LM):
    """Answers from the document: `rank` 0 is the gold letter, 1 the next one."""

    MULTIMODAL = True

    def __init__(self, rank: int = 0) -> None:
        super().__init__()
        self.shift = rank

    def _letter(self, request: Any) -> str:
        return LETTERS[(request.doc["gold"] + self.shift) % 4]

    def generate_until(self, requests: list[Any]) -> list[str]:
        return [f"The answer is ({self._letter(r)})." for r in requests]

    def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
        return [(0.0, True) if r.args[1] == self._letter(r) else (-5.0, False) for r in requests]

    def loglikelihood_rolling(self, requests: list[Any]) -> list[float]:
        raise NotImplementedError


@cache
def manager() -> TaskManager:
    return TaskManager(include_path=str(tasks_dir()), include_defaults=False, metadata={"vsc_n": 4, "dtype": "auto"})


def evaluate(*names: str, lm: LM | None = None) -> Mapping[str, Any]:
    found = lm_eval.evaluate(lm or OracleLM(), manager().load(list(names)), log_samples=False)
    assert found is not None
    return found


def test_the_folder_is_what_the_generator_writes(tmp_path: Path) -> None:
    expected = task_files()
    present = {p.relative_to(tasks_dir()).as_posix() for p in (tasks_dir() / "vsc").rglob("*") if p.is_file()}
    assert present == set(expected)
    for path, text in expected.items():
        assert (tasks_dir() / path).read_text(encoding="utf-8") == text, f"{path}: run vsc_eval.lmeval.task_files"
    assert len(write_task_files(tmp_path, task_files())) == len(expected)


def test_every_yaml_is_in_lm_evals_index() -> None:
    # The index leaves out a file that it cannot read, without a word.
    files = sorted((tasks_dir() / "vsc").rglob("*.yaml"))
    names = named_in(files)
    assert len(names) == len(files) == len(VARIANTS) * (21 + 3)
    external = named_in(sorted((tasks_dir() / "external" / "lm_eval").glob("*.yaml")))
    assert names | external <= set(manager().all_tasks)
    assert len(set(manager().all_subtasks) - external) == len(VARIANTS) * 21
    tags = {tag for tag in manager().all_tags if not tag.startswith("vsc_external")}
    assert len(tags) == len(VARIANTS) * 10


def named_in(files: list[Path]) -> set[str]:
    """Tasks and groups that the files define."""
    return {
        load_yaml(path, resolve_func=True)[key]
        for path in files
        for key in ("task", "group")
        if isinstance(load_yaml(path, resolve_func=False).get(key), str)
    }


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: v.name or "generate")
def test_every_gold_answer_scores_one(variant: Any) -> None:
    names = [variant.named(cell) for cell in CELLS]
    results = evaluate(*names)["results"]
    assert set(results) == set(names)
    for name in names:
        found = {key.split(",")[0]: value for key, value in results[name].items() if key.endswith(",none")}
        metrics = {key: value for key, value in found.items() if not key.endswith("_stderr")}
        assert set(metrics) == set(variant.metrics), name
        for metric, value in metrics.items():
            assert value == (1.0 if metric in ("acc", "acc_base") else 0.0), (name, metric)
        assert all(f"{metric}_stderr" in found for metric in metrics), name


def test_wrong_answers_score_zero() -> None:
    results = evaluate("vsc_logic_easy", "vsc_logic_easy_choice", lm=OracleLM(1))["results"]
    assert [results[name]["acc,none"] for name in results] == [0.0, 0.0]


def test_views_by_task_and_by_level_go_together() -> None:
    loaded = manager().load(["vsc_counting", "vsc_easy", "vsc_counting_easy", "vsc_hard_choice"])
    assert len(loaded["tasks"]) == 3 + 7 - 1 + 7
    assert loaded["groups"] == {}


def test_group_rows_are_means_of_cells() -> None:
    class Half(OracleLM):
        def _letter(self, request: Any) -> str:
            right = request.doc["level"] == "easy" or (request.doc["level"] == "medium" and request.doc["gold"] < 2)
            return LETTERS[(request.doc["gold"] + (0 if right else 1)) % 4]

    results = evaluate("vsc_views", lm=Half())
    rows = results["groups"]
    assert rows["vsc"]["acc,none"] == rows["vsc_by_level"]["acc,none"] == pytest.approx(0.5)
    assert rows["vsc_by_level::easy"]["acc,none"] == 1.0
    assert rows["vsc_by_level::medium"]["acc,none"] == 0.5
    assert rows["vsc::logic"]["acc,none"] == pytest.approx(0.5)
    # 7 cells with standard error s each, the other 14 with none: s * sqrt(7) / 21.
    cell = results["results"]["vsc_logic_medium"]["acc_stderr,none"]
    assert rows["vsc"]["acc_stderr,none"] == pytest.approx(cell * math.sqrt(7) / 21)
    assert "vsc_views" not in rows


def test_documents_rebuild_their_items() -> None:
    cell = load_cell(vsc_task="logic", vsc_level="hard", vsc_n=8, pretrained="x", dtype="auto")["test"]
    assert isinstance(cell, datasets.Dataset)
    assert len(cell) == 8
    for doc in cell:
        item = find_item(doc["id"])
        assert document(item) == doc
        assert doc["answer"] == LETTERS[doc["gold"]] == item.answer
        (image,) = scene_images(doc)
        assert np.array_equal(np.asarray(image), np.asarray(item.image()))
        assert all(isinstance(value, str | int | list) for value in doc.values())


def test_the_default_is_the_whole_test_split() -> None:
    assert len(load_cell(vsc_task="counting", vsc_level="easy")["test"]) == 100
    assert len(load_cell(vsc_task="counting", vsc_level="easy", vsc_split="select", vsc_n=4)["test"]) == 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"vsc_task": "count"},
        {"vsc_level": "hrad"},
        {"vsc_split": "tset"},
        {"vsc_n": 6},
        {"vsc_n": "many"},
        {"vsc_m": 8},
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        load_cell(**{"vsc_task": "counting", "vsc_level": "easy", "vsc_n": 4, **wrong})


def test_scene_image_is_an_ordinary_image() -> None:
    item = make_items("test", "existence", "easy", 4)[0]
    plain, lazy = item.image(), scene_images(document(item))[0]
    assert isinstance(lazy, Image.Image)
    assert (lazy.mode, lazy.size) == ("RGB", (448, 448))
    assert lazy.tobytes() == plain.tobytes()
    for work in (
        lambda i: i.convert("L"),
        lambda i: i.convert("RGB"),
        lambda i: i.resize((56, 56)),
        lambda i: i.crop((3, 4, 50, 60)),
        lambda i: i.copy(),
    ):
        assert work(lazy).tobytes() == work(plain).tobytes()
    copied = lazy.copy()
    for image in (lazy, plain):
        image.paste((1, 2, 3), (0, 0, 10, 10))
    assert lazy.tobytes() == plain.tobytes() != copied.tobytes()
    assert scene_images(document(item))[0].tobytes() == copied.tobytes()


def test_requests_with_scenes_are_not_pickled() -> None:
    import pickle

    item = make_items("test", "existence", "easy", 4)[0]
    with pytest.raises(BackendError, match="request cache"):
        pickle.dumps(scene_images(document(item))[0])


def test_blind_variants_show_nothing() -> None:
    loaded = manager().load(["vsc_counting_easy_blind_none", "vsc_counting_easy_blind_grey"])["tasks"]
    none, grey = loaded["vsc_counting_easy_blind_none"], loaded["vsc_counting_easy_blind_grey"]
    doc = none.eval_docs[0]
    assert not getattr(none, "MULTIMODAL", False)
    assert none.doc_to_image(doc) is None
    assert none.doc_to_text(doc) == doc["prompt"]
    assert grey.doc_to_text(doc) == f"<image>{doc['prompt']}"
    (image,) = grey_images(doc)
    assert image.getextrema() == ((128, 128),) * 3


DOC = {"options": ["red", "blue", "green", "black"], "letters": list(LETTERS), "answer": "B", "gold": 1}


def test_scores_by_hand() -> None:
    assert score_text(DOC, ["(B)"]) == {"acc": 1.0, "invalid": 0.0}
    assert score_text(DOC, ["no idea"]) == {"acc": 0.0, "invalid": 1.0}
    pair = {"acc": 0.0, "acc_base": 1.0, "acc_delta": -1.0, "drift": 1.0, "invalid": 0.0}
    assert score_text_pair(DOC, [["blue", "A"]]) == pair
    # The words changed, the answer did not.
    assert score_text_pair(DOC, [["B", "It is blue."]])["drift"] == 0.0
    # invalid is an answer of its own.
    assert score_text_pair(DOC, [["A", "?"]])["drift"] == 1.0
    assert score_text_pair(DOC, [["!", "?"]])["drift"] == 0.0
    lls = [[(-1.0, True), (-3.0, False)], [(-2.0, False), (-1.5, True)], [(-9.0, False)] * 2, [(-9.0, False)] * 2]
    assert score_choice_pair(DOC, lls) == {"acc": 1.0, "acc_base": 0.0, "acc_delta": 1.0, "drift": 1.0}
