"""The shipped task files on copies of the hub's data: every row becomes the question it is meant to be."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures import COPIES, Copy, decoded, save_copy, write_copy

from vsc_eval import metrics
from vsc_eval.errors import DataError
from vsc_eval.extract import extract
from vsc_eval.lmeval.documents import images, load_data
from vsc_eval.metrics import Metric, ScoredItem
from vsc_eval.resources import tasks_dir
from vsc_eval.taskfiles.items import ExternalData
from vsc_eval.taskfiles.read import read_task_file
from vsc_eval.taskfiles.schema import TaskFile

NAMES = sorted(COPIES)


def task_file(name: str) -> TaskFile:
    return read_task_file(tasks_dir() / "external" / f"{name}.yaml")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All copies, laid out as on the hub."""
    folder = tmp_path_factory.mktemp("hub")
    for copy in COPIES.values():
        write_copy(copy, folder)
    return folder


def loaded(name: str, data_dir: Path) -> ExternalData:
    return load_data(task_file(name), data_dir=data_dir)


def in_task(copy: Copy) -> list[dict[str, object]]:
    """The rows that the task file asks."""
    rows = [row for row in copy.rows if "category" not in row or copy.name != "pope" or row["category"] == copy.split]
    return [row for row in rows if row.get("question_type", "multi_choice") == "multi_choice"]


@pytest.mark.parametrize("name", NAMES)
def test_rows_become_the_questions_they_are_meant_to_be(name: str, data_dir: Path) -> None:
    copy, data = COPIES[name], loaded(name, data_dir)
    assert [doc["id"] for doc in data.documents] == [e.id for e in copy.expected]
    for doc, expected in zip(data.documents, copy.expected, strict=True):
        assert (doc["kind"], doc["answer"]) == (expected.kind, expected.gold), doc["id"]
        assert tuple(doc["options"]) == expected.options, doc["id"]
        assert tuple(doc["letters"]) == tuple("ABCDEF"[: len(expected.options)])
    clusters = [doc["cluster"] for doc in data.documents]
    groups = [expected.cluster for expected in copy.expected]
    same = [[a == b for b in clusters] for a in clusters]
    assert same == [[a == b for b in groups] for a in groups], "which rows depend on each other"


@pytest.mark.parametrize("name", NAMES)
def test_prompts_hold_question_and_options(name: str, data_dir: Path) -> None:
    columns = {"naturalbench": "Question"}
    for doc, row in zip(loaded(name, data_dir).documents, in_task(COPIES[name]), strict=True):
        question = str(row[columns.get(name, "question")])
        assert question in doc["prompt"]
        assert all(option in doc["prompt"] for option in doc["options"])
        assert doc["prompt"].count(question) == 1


@pytest.mark.parametrize("name", NAMES)
def test_pictures_are_the_rows_pictures_in_rgb(name: str, data_dir: Path) -> None:
    columns = {"naturalbench": "Image", "blink": "image_1", "mathvista_mc": "decoded_image"}
    for doc, row in zip(loaded(name, data_dir).documents, in_task(COPIES[name]), strict=True):
        cell = row[columns.get(name, "image")]
        assert isinstance(cell, dict)
        (image,) = images(doc)
        wanted = decoded(cell)
        assert (image.mode, image.size) == ("RGB", wanted.size), doc["id"]
        assert np.array_equal(np.asarray(image), np.asarray(wanted)), doc["id"]


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_data_set_gives_the_same_questions(name: str, data_dir: Path, tmp_path: Path) -> None:
    save_copy(COPIES[name], tmp_path)
    saved = load_data(task_file(name), data_dir=tmp_path)
    ours = [{k: v for k, v in doc.items() if k != "vsc_row"} for doc in saved.documents]
    assert ours == [{k: v for k, v in doc.items() if k != "vsc_row"} for doc in loaded(name, data_dir).documents]


@pytest.mark.parametrize("name", NAMES)
def test_every_gold_scores_one_and_is_read_from_plain_answers(name: str, data_dir: Path) -> None:
    for doc in loaded(name, data_dir).documents:
        metric = metrics.get(doc["score"] or "exact")

        def right(text: str, doc: dict[str, Any] = doc, metric: Metric = metric) -> float:
            answer = extract(text, kind=doc["kind"], options=doc["options"], letters=doc["letters"])
            return metric.score(ScoredItem(id=doc["id"], answer=answer, gold=doc["answer"], fields=dict(doc["fields"])))

        for frame in ("{}", "The answer is {}.", "**{}**", "<think>hm</think>{}"):
            assert right(frame.format(doc["answer"])) == 1.0
        assert right("") == right("I cannot tell.") == 0.0
        for option, letter in zip(doc["options"], doc["letters"], strict=True):
            assert right(f"{letter}. {option}") == float(letter == doc["answer"])


def test_pope_has_its_three_splits(data_dir: Path) -> None:
    for split in ("random", "popular", "adversarial"):
        file = task_file("pope")
        other = file.model_copy(update={"dataset": file.dataset.model_copy(update={"split": split})})
        data = load_data(other, data_dir=data_dir)
        assert {doc["fields"][0][1] for doc in data.documents} == {split}


def test_cv_bench_has_its_two_halves(data_dir: Path) -> None:
    file = task_file("cvbench")
    for config, n in (("2D", 5), ("3D", 3), ("default", 8)):
        other = file.model_copy(update={"dataset": file.dataset.model_copy(update={"config": config})})
        assert len(load_data(other, data_dir=data_dir).documents) == n


@pytest.mark.parametrize(("limit", "n"), [(3, None), (4, 4), (7, 4), (8, 8), (100, 12)])
def test_a_limit_keeps_whole_groups_of_natural_bench(limit: int, n: int | None, data_dir: Path) -> None:
    file = task_file("naturalbench").model_copy(update={"limit": limit})
    if n is None:
        with pytest.raises(DataError, match="no rows left"):
            load_data(file, data_dir=data_dir)
        return
    data = load_data(file, data_dir=data_dir)
    assert len(data.documents) == n
    assert len(data.report.incomplete) == min(limit, 12) - n


def test_another_copy_of_the_same_name_is_not_the_first_one_and_a_changed_one_not_the_old(tmp_path: Path) -> None:
    """`datasets` keeps what it made of a folder with a README by the folder's name alone."""
    copy = COPIES["chartqa"]
    answers = []
    for place, answer in (("first", "14"), ("second", "15"), ("first", "16")):
        rows = [{**row, "answer": answer} for row in copy.rows]
        write_copy(dataclasses.replace(copy, rows=rows), tmp_path / place)
        # Each time a file of its own, so that nothing is kept for the process either.
        file = task_file("chartqa").model_copy(update={"max_new_tokens": 40 + len(answers)})
        answers.append(load_data(file, data_dir=tmp_path / place).documents[0]["answer"])
    assert answers == ["14", "15", "16"]
