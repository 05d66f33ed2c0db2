"""External data: every local format, lazy pictures, rows that cannot be asked, and what is told where data fail."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest
from PIL import Image

from vsc_eval.backends.hf.prompts import Prompt
from vsc_eval.errors import BackendError, DataError, SpecError, VscError
from vsc_eval.lmeval.documents import images, load_data, load_task
from vsc_eval.lmeval.task_check import baselines
from vsc_eval.taskfiles.image import budget_size
from vsc_eval.taskfiles.schema import PixelBudget, TaskFile
from vsc_eval.taskfiles.source import local_copy

FIELDS = {"image": "image", "question": "question", "choices": "choices", "answer": "answer"}


def png(color: tuple[int, int, int], size: tuple[int, int] = (20, 10)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, "PNG")
    return file.getvalue()


def picture(i: int) -> dict[str, Any]:
    return {"bytes": png((10 * i, 100, 200)), "path": None}


def rows_of(n: int, **changes: Any) -> list[dict[str, Any]]:
    return [
        {
            "image": picture(i),
            "question": f"Which is number {i}?",
            "choices": ["red", "blue"],
            "answer": "AB"[i % 2],
            "level": "easy" if i < n // 2 else "hard",
            **{key: value(i) if callable(value) else value for key, value in changes.items()},
        }
        for i in range(n)
    ]


def features(**more: Any) -> datasets.Features:
    text = datasets.Value("string")
    return datasets.Features(
        {
            "image": datasets.Image(),
            "question": text,
            "choices": datasets.List(text),
            "answer": text,
            "level": text,
            **more,
        }
    )


def parquet(folder: Path, rows: Sequence[Mapping[str, Any]], name: str = "test.parquet", **more: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    datasets.Dataset.from_list(list(rows), features=features(**more)).to_parquet(str(path))
    return path


def task(path: Path | str, **keys: Any) -> TaskFile:
    source = {"path": str(path), **keys.pop("dataset", {})}
    basis = {"name": "small", "dataset": source, "kind": "multiple_choice", "fields": FIELDS}
    return TaskFile.model_validate({**basis, **keys})


def test_a_parquet_file_becomes_questions(tmp_path: Path) -> None:
    data = load_data(task(parquet(tmp_path, rows_of(4)), report_by=["level"]))
    assert [row["answer"] for row in data.documents] == ["A", "B", "A", "B"]
    assert [dict(row["categories"])["level"] for row in data.documents] == ["easy", "easy", "hard", "hard"]
    assert data.report.n_rows == data.report.n_items == 4
    assert data.documents[0]["image_size"] == [20, 10]
    assert all(isinstance(value, str | int | list) for value in data.documents[0].values())


def _jsonl(folder: Path) -> Path:
    (folder / "pictures").mkdir()
    lines = []
    for i, row in enumerate(rows_of(4)):
        (folder / f"pictures/{i}.png").write_bytes(row["image"]["bytes"])
        lines.append(json.dumps({**row, "image": f"pictures/{i}.png"}))
    (folder / "test.jsonl").write_text("\n".join(lines))
    return folder / "test.jsonl"


def _csv(folder: Path) -> Path:
    lines = ["image\tquestion\tchoices\tanswer"]
    for row in rows_of(4):
        encoded = base64.b64encode(row["image"]["bytes"]).decode()
        lines.append(f"{encoded}\t{row['question']}\t['red', 'blue']\t{row['answer']}")
    (folder / "data.tsv").write_text("\n".join(lines))
    return folder / "data.tsv"


def _imagefolder(folder: Path) -> Path:
    (folder / "test").mkdir()
    lines = []
    for i, row in enumerate(rows_of(4)):
        (folder / f"test/{i}.png").write_bytes(row["image"]["bytes"])
        lines.append(json.dumps({**row, "image": None, "file_name": f"{i}.png"} | {"image": None}))
    text = "\n".join(json.dumps({k: v for k, v in json.loads(line).items() if k != "image"}) for line in lines)
    (folder / "test/metadata.jsonl").write_text(text)
    return folder


def _saved(folder: Path) -> Path:
    rows = datasets.Dataset.from_list(rows_of(4), features=features())
    datasets.DatasetDict({"test": rows, "train": rows.select([0])}).save_to_disk(str(folder / "saved"))
    return folder / "saved"


def _arrow(folder: Path) -> Path:
    datasets.Dataset.from_list(rows_of(4), features=features()).save_to_disk(str(folder / "x"))
    return next((folder / "x").glob("*.arrow"))


def _folder(folder: Path) -> Path:
    parquet(folder / "repo/data", rows_of(4), "test-00000-of-00001.parquet")
    parquet(folder / "repo/data", rows_of(9), "train-00000-of-00001.parquet")
    return folder / "repo"


@pytest.mark.parametrize("make", [_jsonl, _csv, _imagefolder, _saved, _arrow, _folder])
def test_each_local_format_gives_the_same_questions(tmp_path: Path, make: Any) -> None:
    expected = load_data(task(parquet(tmp_path / "reference", rows_of(4))))
    found = load_data(task(make(tmp_path)))
    assert [row["prompt"] for row in found.documents] == [row["prompt"] for row in expected.documents]
    assert [doc["image"] for doc in found.documents] == [doc["image"] for doc in expected.documents]
    assert [row["answer"] for row in found.documents] == [row["answer"] for row in expected.documents]


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_a_named_format_reads_a_folder(tmp_path: Path, form: str) -> None:
    _folder(tmp_path) if form == "parquet" else _jsonl(tmp_path)
    folder = tmp_path / "repo" if form == "parquet" else tmp_path
    assert len(load_data(task(folder, dataset={"format": form})).documents) == 4


def test_pictures_are_decoded_when_looked_at_and_not_kept(tmp_path: Path) -> None:
    data = load_data(task(parquet(tmp_path, rows_of(8))))
    first = images(data.documents[0])[0]
    assert first.size == (20, 10)
    assert first.getpixel((0, 0)) == (0, 100, 200)
    assert images(data.documents[7])[0].getpixel((0, 0)) == (70, 100, 200)
    assert Prompt(text="", images=(first,)).image_hash == data.documents[0]["image"]
    with pytest.raises(BackendError, match="request cache"):
        first.__reduce__()


def test_a_turned_photo_a_palette_and_transparency_come_as_datasets_gives_them(tmp_path: Path) -> None:
    turned, clear, exif = io.BytesIO(), io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 10), (200, 0, 0)).save(turned, "JPEG", exif=exif)
    Image.new("RGBA", (4, 4), (0, 0, 250, 128)).save(clear, "PNG")
    rows = rows_of(2)
    rows[0]["image"], rows[1]["image"] = (
        {"bytes": turned.getvalue(), "path": None},
        {"bytes": clear.getvalue(), "path": None},
    )
    path = parquet(tmp_path, rows)
    data = load_data(task(path))
    own = [images(doc)[0] for doc in data.documents]
    theirs = [row["image"].convert("RGB") for row in datasets.Dataset.from_parquet(str(path))]
    assert own[0].size == (10, 20)
    assert [image.tobytes() for image in own] == [image.tobytes() for image in theirs]


@pytest.mark.parametrize(
    ("size", "budget", "expected"),
    [
        ((100, 50), {}, (100, 50)),
        ((100, 50), {"max": 1250}, (50, 25)),
        ((100, 50), {"min": 20000}, (200, 100)),
        ((100, 50), {"min": 1000, "max": 6000}, (100, 50)),
        ((1000, 1), {"max": 10}, (100, 1)),
    ],
)
def test_pixel_budgets(size: tuple[int, int], budget: dict[str, int], expected: tuple[int, int]) -> None:
    assert budget_size(size, PixelBudget(**budget)) == expected


def test_the_budget_is_what_every_model_gets(tmp_path: Path) -> None:
    data = load_data(task(parquet(tmp_path, rows_of(2)), pixels={"max": 50}))
    assert images(data.documents[0])[0].size == (10, 5)
    assert data.documents[0]["image_size"] == [10, 5]


def test_rows_that_cannot_be_decoded_are_reported_by_id_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = rows_of(5)
    rows[1]["image"] = {"bytes": b"no picture", "path": None}
    rows[3]["image"] = {"bytes": png((1, 2, 3), (400, 300))[:-40], "path": None}
    data = load_data(task(parquet(tmp_path, rows), name="holes"))
    assert [row["id"] for row in data.documents] == ["holes/0", "holes/2", "holes/4"]
    assert [row.id for row in data.report.undecodable] == ["holes/1", "holes/3"]
    assert data.report.n_rows == data.report.n_items + 2
    assert "2 of 5 rows" in caplog.text
    assert "holes/3" in caplog.text


def test_a_set_without_one_picture_that_decodes_is_refused(tmp_path: Path) -> None:
    rows = rows_of(2, image={"bytes": b"no picture", "path": None})
    with pytest.raises(DataError, match=r"None of 2 pictures .*small/0"):
        load_data(task(parquet(tmp_path, rows)))


def test_groups_stay_whole(tmp_path: Path) -> None:
    # The rows of each pair stand apart, and one row cannot be decoded.
    rows = rows_of(8, level=lambda i: "abcd"[i % 4])
    rows[6]["image"] = {"bytes": b"no picture", "path": None}
    path = parquet(tmp_path, rows)
    data = load_data(task(path, group={"by": "level"}))
    assert [row["group"] for row in data.documents] == ["a", "a", "b", "b", "d", "d"]
    assert [row.id for row in data.report.incomplete] == ["small/2"]
    limited = load_data(task(path, group={"by": "level"}, limit=3))
    assert [row["id"] for row in limited.documents] == ["small/0", "small/4"]
    assert [row.id for row in limited.report.incomplete] == ["small/1"]
    assert limited.report.n_beyond_limit == 5
    assert {doc["group_size"] for doc in data.documents} == {2}
    with pytest.raises(DataError, match="no rows left"):
        load_data(task(path, group={"every": 4}, limit=3))


def test_filters_keep_the_rows_that_match(tmp_path: Path) -> None:
    path = parquet(tmp_path, rows_of(6, number=lambda i: i), number=datasets.Value("int64"))
    data = load_data(task(path, filters={"level": "hard", "number": [1, 4, 5]}))
    # Ids are numbers in the whole data set.
    assert [row["id"] for row in data.documents] == ["small/4", "small/5"]
    assert data.report.n_filtered_out == 4


def test_a_hook_makes_columns(tmp_path: Path) -> None:
    hook = tmp_path / "shape.py"
    hook.write_text(
        "def row(r):\n    left, right = r['question'].split('|')\n    return {**r, 'q': left, 'c': [left, right]}\n"
    )
    path = parquet(tmp_path, rows_of(2, question="red|blue"))
    fields = {"image": "image", "question": "q", "choices": "c", "answer": "answer"}
    data = load_data(task(path, fields=fields, hook=f"{hook}:row"))
    assert data.documents[0]["options"] == ["red", "blue"]
    with pytest.raises(SpecError, match="hook"):
        load_data(task(path, hook=f"{hook}:absent"))
    hook.write_text("def bad(r):\n    raise KeyError('x')\n")
    with pytest.raises(DataError, match=r"Row 0 .*KeyError"):
        load_data(task(path, hook=f"{hook}:bad"))


PICTURES = {"second": datasets.Image()}
BROKEN: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], str, str]] = [
    # what, changes of the rows, more features, keys of the task file, message, fix
    ("a missing column", {}, {}, {"fields": {**FIELDS, "answer": "anwser"}}, "fields.answer: .*'anwser'", "answer"),
    ("a missing category", {}, {}, {"report_by": ["levl"]}, "report_by: .*'levl'", "level"),
    ("a missing cluster", {}, {}, {"cluster_by": "scene"}, "cluster_by: .*'scene'", "Known columns"),
    ("a missing group", {}, {}, {"group": {"by": "pair"}}, "group.by: .*'pair'", "Known columns"),
    ("a missing filter", {}, {}, {"filters": {"lvl": "easy"}}, "filters: .*'lvl'", "level"),
    ("a missing placeholder", {}, {}, {"prompt": "{question} {options} {hint}"}, "prompt: .*'hint'", "Known columns"),
    (
        "a filter that keeps nothing",
        {},
        {},
        {"filters": {"level": "medium"}},
        "filters.level: .*'medium'",
        "easy, hard",
    ),
    ("a filter read as false", {}, {}, {"filters": {"level": False}}, "filters.level: .*False", "quotes"),
    ("a metric's column", {}, {}, {"score": "cv_bench"}, "score: cv_bench: .*'source'", "Known columns"),
    ("an unknown metric", {}, {}, {"score": "bleu"}, "metric 'bleu'", "exact"),
    ("a second picture", {"second": picture}, PICTURES, {}, "'image' and 'second'", "other_images"),
    ("no picture", {"image": None}, {}, {}, "no picture in column 'image'", "filters"),
    ("a gold among no options", {"answer": "D"}, {}, {}, r"2 of 2 rows.*\n.*'D' in column 'answer'", "answer_format"),
    ("an empty question", {"question": " "}, {}, {}, "column 'question'", "filters"),
    ("one option", {"choices": lambda i: ["red"]}, {}, {}, "1 option in 'choices'", "without_options"),
    ("one id twice", {}, {}, {"fields": {**FIELDS, "id": "question"}}, "two rows|Two rows", "fields.id"),
    ("no such split", {}, {}, {"dataset": {"split": "nope"}}, "no split 'nope'", "test"),
]


@pytest.mark.parametrize(
    ("what", "changes", "more", "keys", "message", "hint"), BROKEN, ids=[case[0] for case in BROKEN]
)
def test_what_does_not_fit_is_told_with_its_column(
    tmp_path: Path,
    what: str,
    changes: dict[str, Any],
    more: dict[str, Any],
    keys: dict[str, Any],
    message: str,
    hint: str,
) -> None:
    if what == "one id twice":
        changes = {"question": "The same?"}
    path = parquet(tmp_path / "data", rows_of(2, **changes), **more)
    with pytest.raises(VscError) as caught:
        load_data(task(path.parent if what == "no such split" else path, **keys))
    assert re.search(message, caught.value.message), caught.value
    assert re.search(hint, caught.value.hint), caught.value


def test_other_pictures_may_be_left_out_on_purpose(tmp_path: Path) -> None:
    path = parquet(tmp_path, rows_of(2, second=picture), second=datasets.Image())
    assert len(load_data(task(path, fields={**FIELDS, "other_images": ["second"]})).documents) == 2


def test_several_pictures_in_one_cell_are_refused(tmp_path: Path) -> None:
    rows = rows_of(2, image=lambda i: [picture(i)] * (i + 1))
    path = tmp_path / "test.parquet"
    many = features() | {"image": datasets.List(datasets.Image())}
    datasets.Dataset.from_list(rows, features=datasets.Features(many)).to_parquet(str(path))
    with pytest.raises(DataError, match=r"small/1.*2 pictures"):
        load_data(task(path))
    assert len(load_data(task(path, limit=1)).documents) == 1


def test_a_loading_script_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "scripted"
    folder.mkdir()
    (folder / "scripted.py").write_text("import datasets\n")
    for path in (folder, folder / "scripted.py"):
        with pytest.raises(DataError, match="loading script") as caught:
            load_data(task(path))
        assert "refs/convert/parquet" in caught.value.hint


def test_local_copies_are_found_by_name(tmp_path: Path) -> None:
    file = task("owner/birds")
    with pytest.raises(DataError, match="no copy") as caught:
        local_copy(file, tmp_path)
    assert "owner__birds" in caught.value.hint
    assert "hf download owner/birds" in caught.value.hint
    for name in ("birds", "owner__birds", "owner/birds", "small"):
        parquet(tmp_path / name, rows_of(2))
        assert local_copy(file, tmp_path) == tmp_path / name
    assert len(load_data(file, data_dir=tmp_path).documents) == 2


UNREACHABLE = """
import sys
from vsc_eval.lmeval.documents import load_data
from vsc_eval.errors import DataError
from vsc_eval.taskfiles.schema import TaskFile
file = TaskFile.model_validate({"name": "birds", "dataset": {"path": "owner/birds"}, "kind": "yes_no",
    "fields": {"image": "i", "question": "q", "answer": "a"}})
try:
    load_data(file)
except DataError as error:
    print(error.message); print(error.hint)
"""


def test_a_hub_that_cannot_be_reached_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    for name in ("HF_DATASETS_CACHE", "HF_HUB_CACHE"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", UNREACHABLE], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    message, hint = done.stdout.strip().splitlines()
    assert "'owner/birds' cannot be reached" in message
    assert "--data-dir" in hint
    assert "--override birds.dataset.path=" in hint
    assert [path for path in (tmp_path / "hf").rglob("*") if path.is_file()] == []


def test_a_damaged_file_is_told_and_nothing_half_written_stays(tmp_path: Path) -> None:
    path = parquet(tmp_path / "data", rows_of(4))
    path.write_bytes(path.read_bytes()[:-60])
    cache = Path(datasets.config.HF_DATASETS_CACHE)
    before = set(cache.rglob("*")) if cache.exists() else set()
    with pytest.raises(DataError, match=r"cannot be read") as caught:
        load_data(task(path))
    assert "copy is complete" in caught.value.hint
    after = set(cache.rglob("*")) if cache.exists() else set()
    assert [p for p in after - before if p.suffix != ".lock" and p.is_file()] == []


def test_load_task_is_what_lm_eval_calls(tmp_path: Path) -> None:
    file = task(parquet(tmp_path, rows_of(4))).model_dump(mode="json", exclude_unset=True)
    rows = load_task(vsc_task_file=file, vsc_paired=True, vsc_limit=2, pretrained="x", vsc_n=4)["test"]
    assert len(rows) == 2
    assert rows[0]["vsc_paired"] is True
    assert len(load_task(vsc_task_file=file, vsc_override=["small.limit=1", "other.limit=3"])["test"]) == 1
    with pytest.raises(SpecError, match="vsc_lmit"):
        load_task(vsc_task_file=file, vsc_lmit=2)


def test_documents_do_not_depend_on_where_the_data_lie(tmp_path: Path) -> None:
    here, there = parquet(tmp_path / "a", rows_of(3)), parquet(tmp_path / "b", rows_of(3))
    assert load_data(task(here)).documents == load_data(task(there)).documents


def test_baselines_by_hand(tmp_path: Path) -> None:
    rows = rows_of(6, answer=lambda i: "AAAAAB"[i], question=lambda i: "What is red?" if i < 5 else "What is blue?")
    found = baselines(load_data(task(parquet(tmp_path, rows))).documents)
    assert (found.n, found.chance, found.majority_answer) == (6, 0.5, "A")
    assert found.majority == pytest.approx(5 / 6)
    # The last row's neighbours all say red.
    assert found.blind == pytest.approx(5 / 6)
