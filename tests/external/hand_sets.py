"""Small sets of the five shipped data sets' schema, so regular that their scores can be worked out by hand."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
from PIL import Image

from vsc_eval.lmeval.task_index import find_task_files

TEXT, INT = datasets.Value("string"), datasets.Value("int64")


def picture(i: int, form: str = "PNG", mode: str = "RGB") -> dict[str, Any]:
    file = io.BytesIO()
    Image.new(mode, (40 + i, 30), 37 * i % 256 if mode == "L" else (37 * i % 256, 90, 160)).save(file, form)
    return {"bytes": file.getvalue(), "path": f"{i}.{form.lower()}"}


def cv_bench() -> datasets.Dataset:
    kinds = [
        ("Count", "2D", "ADE20K"),
        ("Relation", "2D", "COCO"),
        ("Depth", "3D", "Omni3D"),
        ("Distance", "3D", "Omni3D"),
    ]
    columns = {
        "idx": INT,
        "type": TEXT,
        "task": TEXT,
        "image": datasets.Image(),
        "question": TEXT,
        "choices": datasets.List(TEXT),
        "answer": TEXT,
        "prompt": TEXT,
        "filename": TEXT,
        "source": TEXT,
        "source_dataset": TEXT,
        "source_filename": TEXT,
        "target_class": TEXT,
        "target_size": INT,
        "bbox": datasets.List(datasets.List(datasets.Value("float64"))),
    }
    rows = []
    for i in range(12):
        task, kind, source = kinds[i % 4]
        choices = ["4", "1", "3", "2", "0"] if task == "Count" else ["left", "right"]
        rows.append(
            {
                "idx": i,
                "type": kind,
                "task": task,
                "image": picture(i // 2, "JPEG"),
                "choices": choices,
                "question": f"How is thing {i} in the image?",
                "answer": f"({'AB'[i % 2]})",
                "prompt": "unused",
                "filename": f"img/{task}/{i // 2}.jpg",
                "source": source,
                "source_dataset": f"{source} Dataset",
                "source_filename": None,
                "target_class": None,
                "target_size": None,
                "bbox": [[0.1, 0.2, 0.3, 0.4]],
            }
        )
    return datasets.Dataset.from_list(rows, features=datasets.Features(columns))


def pope() -> datasets.Dataset:
    names = ("id", "question_id", "question", "answer", "image_source", "category")
    columns = {**dict.fromkeys(names, TEXT), "image": datasets.Image()}
    rows = [
        {
            "id": str(i),
            "question_id": str(i % 6 + 1),
            "question": f"Is there a thing {i} in the image?",
            "answer": "yes" if i % 2 == 0 else "no",
            "image_source": f"COCO_val2014_{i // 6:012d}",
            "image": picture(i // 6, "JPEG", "L" if i < 6 else "RGB"),
            "category": "adversarial",
        }
        for i in range(12)
    ]
    return datasets.Dataset.from_list(rows, features=datasets.Features(columns))


def naturalbench() -> datasets.Dataset:
    columns = {"Index": INT, "Image": datasets.Image(), "Question": TEXT, "Question_Type": TEXT, "Answer": TEXT}
    rows = []
    for i in range(16):
        group, place = divmod(i, 4)
        first = place in (0, 3)
        if group % 2 == 0:
            kind, answer, question = "yes_no", "Yes" if first else "No", f"Is the dog {place // 2} left?"
        else:
            kind, answer = "multiple_choice", "A" if first else "B"
            question = f"Where is the cat {place // 2}?\nOption: A: on the left; B: on the right;"
        rows.append(
            {
                "Index": i,
                "Image": picture(10 * group + place % 2),
                "Question": question,
                "Question_Type": kind,
                "Answer": answer,
            }
        )
    return datasets.Dataset.from_list(rows, features=datasets.Features(columns))


def chartqa() -> datasets.Dataset:
    columns = {"type": TEXT, "question": TEXT, "answer": TEXT, "image": datasets.Image()}
    answers = ["14", "0.57", "Yes", "Dark blue", "2016", "64%", "$1,200", "[1, 2]", "-3.5", "No"]
    rows = [
        {
            "type": "human_test" if i < 5 else "augmented_test",
            "question": f"What is bar {i}?",
            "answer": a,
            "image": picture(i),
        }
        for i, a in enumerate(answers)
    ]
    return datasets.Dataset.from_list(rows, features=datasets.Features(columns))


def realworldqa() -> datasets.Dataset:
    columns = {"image": datasets.Image(), "question": TEXT, "answer": TEXT}
    letter = "\nPlease answer directly with only the letter of the correct option and nothing else."
    word = "\nPlease answer directly with a single word or number."
    rows = [
        {
            "image": picture(0, "WEBP"),
            "question": f"Which way?\n\nA. Left\nB. Right\nC. Straight{letter}",
            "answer": "C",
        },
        {"image": picture(1, "WEBP"), "question": f"Is it wet?\nA. Yes\nB. No{letter}", "answer": "B"},
        {"image": picture(2, "WEBP"), "question": f"How many cars are there?{word}", "answer": "3"},
        {"image": picture(3, "WEBP"), "question": f"Is there a stop sign?{word}", "answer": "Yes"},
        {"image": picture(4, "WEBP"), "question": f"Which lane?\n\nA. Left\nB. Right{letter}", "answer": "A"},
        {"image": picture(5, "WEBP"), "question": f"What is the colour?{word}", "answer": "Red"},
        {"image": picture(6, "WEBP"), "question": f"How far?{word}", "answer": "20"},
        {"image": picture(7, "WEBP"), "question": f"Which is near?\n\nA. Van\nB. Bus{letter}", "answer": "B"},
    ]
    return datasets.Dataset.from_list(rows, features=datasets.Features(columns))


SETS: dict[str, Callable[[], datasets.Dataset]] = {
    "cvbench": cv_bench,
    "pope": pope,
    "naturalbench": naturalbench,
    "chartqa": chartqa,
    "realworldqa": realworldqa,
}


def write_sets(folder: Path) -> None:
    """Copies of the five sets, laid out as `hf download` leaves a repository."""
    files = find_task_files()
    for name, make in SETS.items():
        source = files[name].dataset
        repository = folder / source.path.rsplit("/", 1)[-1]
        sub = f"{source.config}/" if source.config else "data/"
        path = repository / f"{sub}{source.split}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True)
        make().to_parquet(str(path))
        config = source.config or "default"
        front = {"config_name": config, "data_files": [{"split": source.split, "path": f"{sub}{source.split}-*"}]}
        (repository / "README.md").write_text(f"---\nconfigs:\n- {json.dumps(front)}\n---\n")
