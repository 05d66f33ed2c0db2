"""External data in odd shapes: cells that pandas would change, pictures as text, empty files, two copies."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from vsc_eval.errors import DataError
from vsc_eval.files import picture_hash
from vsc_eval.lmeval import task_check
from vsc_eval.lmeval.documents import images, load_data
from vsc_eval.lmeval.task_check import baselines
from vsc_eval.taskfiles.schema import TaskFile

FIELDS = {"image": "image", "question": "question", "choices": "choices", "answer": "answer"}


def png(size: tuple[int, int], shade: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (shade, 2, 3)).save(buffer, "PNG")
    return buffer.getvalue()


def task(path: Path | str, **keys: Any) -> TaskFile:
    basis = {"name": "odd", "dataset": {"path": str(path)}, "kind": "multiple_choice", "fields": FIELDS}
    return TaskFile.model_validate({**basis, **keys})


def row(image: Any, **more: Any) -> dict[str, Any]:
    return {"image": image, "question": "Which?", "choices": ["red", "blue"], "answer": "A", **more}


def jsonl(path: Path, *rows: Mapping[str, Any]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_the_blind_vote_is_taken_of_a_thousand_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def overlap(a: frozenset[str], b: frozenset[str]) -> float:
        compared.append(a)
        return float(a == b)

    monkeypatch.setattr(task_check, "_MOST", 10)
    monkeypatch.setattr(task_check, "_overlap", overlap)
    documents = [{"answer": "1", "answers": [], "prompt": "?", "cluster": str(i), "options": []} for i in range(95)]
    assert baselines(documents).blind == 1.0
    assert len(compared) == 10 * 9


CSV = """\
picture,question,a,b,c,d,answer,ok
0.png,Which?,None,NA,1.50,,C,True
1.png,Which?,null,n/a,007,nan,D,False
"""


@pytest.mark.parametrize("name", ["test.csv", "."])
def test_cells_of_a_csv_file_are_the_texts_that_stand_there(tmp_path: Path, name: str) -> None:
    text = CSV if name != "." else CSV.replace("1.50", "x").replace("007", "y")
    (tmp_path / "test.csv").write_text(text)
    for i in range(2):
        (tmp_path / f"{i}.png").write_bytes(png((20, 10), i))
    fields = {"image": "picture", "question": "question", "choices": ["a", "b", "c", "d"], "answer": "answer"}
    data = load_data(task(tmp_path / name, fields=fields))
    first, second = text.splitlines()[1].split(","), text.splitlines()[2].split(",")
    assert [row["options"] for row in data.documents] == [list(first[2:5]), list(second[2:6])]
    assert [row["answer"] for row in data.documents] == ["C", "D"]
    assert len(load_data(task(tmp_path / name, fields=fields, filters={"ok": True})).documents) == 1


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [("test.jsonl", "", "is empty"), ("test.csv", "image,question\n", "no rows"), ("test.csv", "", "is empty")],
)
def test_a_file_without_rows_is_told(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=said):
        load_data(task(tmp_path / name))


def test_the_name_of_a_missing_file_is_no_hub_id() -> None:
    with pytest.raises(DataError, match=r"no file or folder birds/test\.jsonl"):
        load_data(task("birds/test.jsonl"))


def test_pictures_in_base64_may_be_folded_or_stand_in_a_dict(tmp_path: Path) -> None:
    folded = base64.encodebytes(png((40, 30))).decode()
    plain = base64.b64encode(png((41, 30), 9)).decode()
    assert "\n" in folded.strip()
    for name, cells in (
        ("text", [folded, plain]),
        ("dict", [{"bytes": text, "path": None} for text in (folded, plain)]),
    ):
        data = load_data(task(jsonl(tmp_path / f"{name}.jsonl", *map(row, cells))))
        assert [doc["image_size"] for doc in data.documents] == [[40, 30], [41, 30]]


def test_an_address_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not fetched from the web"):
        load_data(task(jsonl(tmp_path / "test.jsonl", row("https://example.org/a.png"))))


def test_like_rows_at_other_places_are_other_data(tmp_path: Path) -> None:
    rows = [row(base64.b64encode(png((30, 30), 50 * i)).decode(), n=f"r{i}") for i in range(4)]
    keys: dict[str, Any] = {"fields": {**FIELDS, "id": "n"}, "filters": {"n": ["r2", "r3"]}}
    first = load_data(task(jsonl(tmp_path / "a.jsonl", *rows), **keys))
    second = load_data(task(jsonl(tmp_path / "b.jsonl", *rows[2:]), **keys))
    assert [doc["id"] for doc in first.documents] == [doc["id"] for doc in second.documents]
    for doc in (*first.documents, *second.documents):
        assert picture_hash(images(doc)[0].convert("RGB")) == doc["image"]
