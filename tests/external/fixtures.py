"""Small copies of the external data sets: the exact columns and types of the hub's, and the values that are odd there.

`COPIES[name]` describes the copy for tasks/external/<name>.yaml; `write_copy` lays it out below a folder as the hub's
repository is (README with configurations, parquet files), so that `--data-dir` loads it on the hub's own path;
`save_copy` writes it with `save_to_disk`. Each row comes with what it must become: kind, options, right answer.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
from PIL import Image, ImageDraw

Row = dict[str, Any]
TEXT, NUMBER = datasets.Value("string"), datasets.Value("int64")
PICTURE = datasets.Image()


@dataclass(frozen=True)
class Expected:
    """What a row must become."""

    id: str
    kind: str
    gold: str
    options: tuple[str, ...] = ()
    cluster: str = ""
    """Rows of one cluster share this word."""


@dataclass(frozen=True)
class Copy:
    """One data set."""

    name: str
    """Of its task file."""
    folder: str
    """Last part of the hub id: where `--data-dir` looks."""
    features: datasets.Features
    rows: list[Row]
    expected: list[Expected]
    """Of the rows that the task file asks, in order."""
    files: dict[str, Callable[[Row], bool]]
    """Parquet file -> which rows are in it."""
    configs: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    """Configuration -> split -> files."""
    split: str = "test"


def picture(kind: str, seed: int) -> dict[str, Any]:
    """An encoded picture as `datasets` keeps it. Pictures with different seeds differ."""
    sizes = {"tiny": (1, 1), "wide": (400, 3), "tall": (3, 200), "grey": (40, 30), "exif": (60, 20)}
    size = sizes.get(kind, (48, 36))
    image = Image.new("RGB", size, ((53 * seed) % 256, (97 * seed) % 256, (31 * seed + 7) % 256))
    if min(size) > 8:
        ImageDraw.Draw(image).ellipse((4, 4, 20, 20), fill=((200 + 13 * seed) % 256, 30, (90 * seed) % 256))
    modes = {"rgba": "RGBA", "grey": "L", "grey_alpha": "LA", "palette": "P", "cmyk": "CMYK", "bilevel": "1"}
    image = image.convert(modes.get(kind, "RGB"))
    if kind == "rgba":
        image.putalpha(128)
    buffer = io.BytesIO()
    if kind == "exif":
        exif = Image.Exif()
        exif[0x0112] = 6
        image.save(buffer, "JPEG", exif=exif)
    else:
        image.save(buffer, "JPEG" if kind in ("cmyk", "jpeg") else "PNG")
    return {"bytes": buffer.getvalue(), "path": f"{kind}_{seed}.png"}


def decoded(cell: dict[str, Any]) -> Image.Image:
    """The RGB pixels of a cell that `picture` made; the one with a turned camera stands upright."""
    image = Image.open(io.BytesIO(cell["bytes"]))
    if image.getexif().get(0x0112) == 6:
        return image.convert("RGB").rotate(-90, expand=True)
    return image.convert("RGB")


def _cv_bench() -> Copy:
    features = datasets.Features(
        idx=NUMBER, type=TEXT, task=TEXT, image=PICTURE, question=TEXT, choices=datasets.List(TEXT), answer=TEXT,
        prompt=TEXT, filename=TEXT, source=TEXT, source_dataset=TEXT, source_filename=TEXT, target_class=TEXT,
        target_size=NUMBER, bbox=datasets.List(datasets.List(datasets.Value("float64"))),
    )  # fmt: skip
    table = [
        ("2D", "Count", "ADE20K", "ade_1", "jpeg", "How many organs are in the image?", ["3", "2", "1", "0"], "(C)"),
        ("2D", "Count", "ADE20K", "ade_1", "jpeg", "How many chairs are there?", ["0", "2", "1", "3", "5", "4"], "(F)"),
        ("2D", "Relation", "ADE20K", "ade_2", "rgba", "Where is the lamp (in red)?", ["above", "below"], "(A)"),
        ("2D", "Count", "COCO", "coco_1", "palette", "How many dogs 🐕 are in the image?", ["1", "0", "2"], "(B)"),
        ("2D", "Relation", "COCO", "coco_2", "grey", "Where is the cat?", ["left", "right"], "(B)"),
        ("3D", "Depth", "Omni3D", "omni_1", "wide", "Which is closer to the camera?", ["books", "table"], "(A)"),
        ("3D", "Distance", "Omni3D", "omni_1", "wide", "Which is nearer to the door?", ["the lamp", "the bed"], "(B)"),
        ("3D", "Depth", "Omni3D", "omni_2", "jpeg", "Which is closer?", ["car", "tree"], "(A)"),
    ]
    rows: list[Row] = []
    expected = []
    for i, (type_, task, source, file, kind, question, choices, answer) in enumerate(table):
        listed = "\n".join(f"({'ABCDEF'[k]}) {choice}" for k, choice in enumerate(choices))
        deep = type_ == "3D"
        rows.append(
            {
                "idx": i,
                "type": type_,
                "task": task,
                "image": picture(kind, len(file) + int(file[-1]) + 10 * len(source)),
                "question": question,
                "choices": choices,
                "answer": answer,
                "prompt": f"{question} Select from the following choices.\n{listed}",
                "filename": f"img/{type_}/{task.lower()}/{file}.png",
                "source": source,
                "source_dataset": f"{source} Dataset",
                "source_filename": f"{file}.jpg" if not deep else None,
                "target_class": None if deep else "lamp",
                "target_size": None if deep else 640 * i,
                "bbox": [[1.0, 2.0, 3.5, 4.0]] * 2 if deep else None,
            }
        )
        expected.append(Expected(f"cvbench/{i}", "multiple_choice", answer[1], tuple(choices), rows[-1]["filename"]))
    both = ["test_2d.parquet", "test_3d.parquet"]
    return Copy(
        name="cvbench",
        folder="CV-Bench",
        features=features,
        rows=rows,
        expected=expected,
        files={both[0]: lambda row: row["type"] == "2D", both[1]: lambda row: row["type"] == "3D"},
        configs={"default": {"test": both}, "2D": {"test": both[:1]}, "3D": {"test": both[1:]}},
    )


def _pope() -> Copy:
    features = datasets.Features(
        id=TEXT, question_id=TEXT, question=TEXT, answer=TEXT, image_source=TEXT, image=PICTURE, category=TEXT
    )
    rows = []
    for category in ("random", "popular", "adversarial"):
        for i in range(6):
            rows.append(
                {
                    "id": str(i),
                    "question_id": str(i + 1),
                    "question": f"Is there a {('snowboard', 'dining table', 'car')[i % 3]} in the image?",
                    # The hub has lower case; mirrors differ.
                    "answer": ("yes", "no", "Yes", "No ", "yes", "no")[i],
                    "image_source": f"COCO_val2014_{310196 + i // 3:012d}",
                    "image": picture(("jpeg", "cmyk")[i // 3], 3 + i // 3),
                    "category": category,
                }
            )
    expected = [Expected(f"pope/{i}", "yes_no", ("yes", "no")[i % 2], (), str(i // 3)) for i in range(6)]
    names = {c: f"Full/{c}-00000-of-00001.parquet" for c in ("random", "popular", "adversarial")}
    return Copy(
        name="pope",
        folder="POPE",
        features=features,
        rows=rows,
        expected=expected,
        files={names[c]: (lambda row, c=c: row["category"] == c) for c in names},
        configs={"Full": {c: [names[c]] for c in names}},
        split="adversarial",
    )


def _natural_bench() -> Copy:
    features = datasets.Features(Index=TEXT, Image=PICTURE, Question=TEXT, Answer=TEXT, Question_Type=TEXT, Source=TEXT)
    groups: list[tuple[str, tuple[str, str], tuple[str, str, str, str], tuple[str, ...]]] = [
        ("yes_no", ("Is the man smiling?", "Is the dog asleep?"), ("Yes", "No", "No", "Yes"), ()),
        (
            "multiple_choice",
            ("What is he holding? Option: A: a ball; B: a bat.", "Who is taller? Option:A:the man;B:the boy"),
            ("A", "B", "B", "A"),
            ("a ball", "a bat"),
        ),
        ("yes_no", ("Ist die Straße naß?", "Are there «two» signs?"), ("yes", "no", "no", "yes"), ()),
    ]
    rows, expected = [], []
    for g, (type_, questions, answers, _) in enumerate(groups):
        for k in range(4):
            rows.append(
                {
                    "Index": str(4 * g + k),
                    "Image": picture(("jpeg", "grey_alpha", "exif")[g], 2 * g + k % 2),
                    "Question": questions[k // 2],
                    "Answer": answers[k],
                    "Question_Type": type_,
                    "Source": "Flickr30K" if g < 2 else "DOCCI",
                }
            )
            options = () if type_ == "yes_no" else (("a ball", "a bat."), ("the man", "the boy"))[k // 2]
            gold = answers[k] if options else answers[k].lower()
            expected.append(Expected(f"naturalbench/{4 * g + k}", type_, gold, options, f"group {g}"))
    path = "data/test-00000-of-00001.parquet"
    return Copy(
        name="naturalbench",
        folder="NaturalBench-lmms-eval",
        features=features,
        rows=rows,
        expected=expected,
        files={path: lambda row: True},
        configs={"default": {"test": ["data/test-*"]}},
    )


def _chartqa() -> Copy:
    features = datasets.Features(type=TEXT, question=TEXT, answer=TEXT, image=PICTURE)
    table = [
        ("human_test", "How many food items are shown in the bar graph?", "14", "14"),
        ("human_test", "What is the difference in value between Lamb and Corn?", "0.57", "0.57"),
        ("human_test", "Is the value of Red above 50?", "Yes", "yes"),
        ("augmented_test", "What percentage was the share of Ünïted Kingdom?", "5%", "5%"),
        ("augmented_test", "How many stores did it have in 2019?", "1,200", "1200"),
        ("augmented_test", "Which country had the most?", "The United States", "united states"),
    ]
    rows = [
        {"type": type_, "question": question, "answer": answer, "image": picture("jpeg", 20 + i // 2)}
        for i, (type_, question, answer, _) in enumerate(table)
    ]
    path = "data/test-00000-of-00001.parquet"
    return Copy(
        name="chartqa",
        folder="ChartQA",
        features=features,
        rows=rows,
        expected=[
            Expected(f"chartqa/{i}", "short_text", gold, (), str(i // 2)) for i, (_, _, _, gold) in enumerate(table)
        ],
        files={path: lambda row: True},
        configs={"default": {"test": ["data/test-*"]}},
    )


def _realworldqa() -> Copy:
    letter = "Please answer directly with only the letter of the correct option and nothing else."
    word = "Please answer directly with a single word or number."
    table: list[tuple[str, str, str, tuple[str, ...]]] = [
        (f"Where does the sign point?\n\nA. Left\nB. Right\nC. Ahead\n{letter}", "B", "B", ("Left", "Right", "Ahead")),
        (f"How many lanes are there?\n{word}", "3", "3", ()),
        (f"Can we turn left from this lane?\nA. Yes\nB. No\n{letter}", "A", "A", ("Yes", "No")),
        (f"Is it raining?\n{word}", "No", "no", ()),
        (f"How many cars are parked?\n{word}", "Two", "2", ()),
        (f"What may enter?\n\nA. Bikes\nB. A. M. only\nC. All\n{letter}", "C", "C", ("Bikes", "A. M. only", "All")),
    ]
    kinds = ("jpeg", "tiny", "wide", "tall", "bilevel", "rgba")
    rows = [
        {"image": picture(kinds[i], 40 + i), "question": question, "answer": answer}
        for i, (question, answer, *_) in enumerate(table)
    ]
    path = "data/test-00000-of-00001.parquet"
    return Copy(
        name="realworldqa",
        folder="RealworldQA",
        features=datasets.Features(image=PICTURE, question=TEXT, answer=TEXT),
        rows=rows,
        expected=[
            Expected(f"realworldqa/{i}", "multiple_choice" if options else "short_text", gold, options, str(i))
            for i, (_, _, gold, options) in enumerate(table)
        ],
        files={path: lambda row: True},
        configs={"default": {"test": ["data/test-*"]}},
    )


def _mmstar() -> Copy:
    features = datasets.Features(
        index=NUMBER, question=TEXT, image=PICTURE, answer=TEXT, category=TEXT, l2_category=TEXT,
        meta_info={"source": TEXT, "split": TEXT, "image_path": TEXT},
    )  # fmt: skip
    options = [
        ("The suitcase is on the book.", "It is beneath the cat.", "It is beneath the bed.", "It is gone."),
        ("$x=1$", "$x=2$", "3, 4", "none"),
    ]
    first = ("Which option describe the object relationship in the image correctly?", "What is x?")
    questions = [
        f"{first[i]}\nOptions: " + ", ".join(f"{'ABCD'[k]}: {text}" for k, text in enumerate(options[i]))
        for i in range(2)
    ]
    rows = [
        {
            "index": i,
            "question": questions[i],
            "image": picture("jpeg", 60 + i),
            "answer": ("A", "C")[i],
            "category": ("coarse perception", "math")[i],
            "l2_category": ("image scene and topic", "geometry")[i],
            "meta_info": {"source": "MMBench", "split": "val", "image_path": f"images/{i}.jpg"},
        }
        for i in range(2)
    ]
    return Copy(
        name="mmstar",
        folder="MMStar",
        features=features,
        rows=rows,
        expected=[Expected(f"mmstar/{i}", "multiple_choice", ("A", "C")[i], options[i], str(i)) for i in range(2)],
        files={"mmstar.parquet": lambda row: True},
        configs={"val": {"val": ["mmstar.parquet"]}},
        split="val",
    )


def _blink() -> Copy:
    features = datasets.Features(
        idx=TEXT, sub_task=TEXT, question=TEXT, image_1=PICTURE, image_2=PICTURE, image_3=PICTURE, image_4=PICTURE,
        choices=datasets.List(TEXT), answer=TEXT, prompt=TEXT, explanation=TEXT,
    )  # fmt: skip
    choices = [["0", "3", "2", "1"], ["yes", "no"]]
    rows = [
        {
            "idx": f"val_Counting_{i + 1}",
            "sub_task": "Counting",
            "question": ("How many blue floats are there?", "Is the laptop on the left?")[i],
            "image_1": picture(("jpeg", "palette")[i], 70 + i),
            "image_2": None,
            "image_3": None,
            "image_4": None,
            "choices": choices[i],
            "answer": ("(D)", "(b)")[i],
            "prompt": "Select from the following choices.",
            "explanation": "",
        }
        for i in range(2)
    ]
    return Copy(
        name="blink",
        folder="BLINK",
        features=features,
        rows=rows,
        expected=[
            Expected(f"blink/val_Counting_{i + 1}", "multiple_choice", "DB"[i], tuple(choices[i]), str(i))
            for i in range(2)
        ],
        files={"Counting/val-00000-of-00001.parquet": lambda row: True},
        configs={"Counting": {"val": ["Counting/val-*"]}},
        split="val",
    )


def _mathvista() -> Copy:
    features = datasets.Features(
        pid=TEXT, question=TEXT, image=TEXT, decoded_image=PICTURE, choices=datasets.List(TEXT), unit=TEXT,
        precision=datasets.Value("float64"), answer=TEXT, question_type=TEXT, answer_type=TEXT,
        metadata={"category": TEXT, "context": TEXT, "grade": TEXT, "skills": datasets.List(TEXT)}, query=TEXT,
    )  # fmt: skip
    table: list[tuple[str, list[str] | None, str | None, float | None, str]] = [
        ("free_form", None, None, 1.0, "1.2"),
        ("multi_choice", ["(A) 3√3", "Yes", "π/2", "145°"], None, None, "145°"),
        ("multi_choice", ["Yes", "No"], None, None, "No"),
    ]
    rows = [
        {
            "pid": str(i + 1),
            "question": f"Frage {i}: ∠ABC = ?",
            "image": f"images/{i + 1}.jpg",
            "decoded_image": picture("jpeg", 80 + i),
            "choices": choices,
            "unit": unit,
            "precision": precision,
            "answer": answer,
            "question_type": type_,
            "answer_type": "float" if choices is None else "text",
            "metadata": {"category": "math", "context": "figure", "grade": "x", "skills": ["geometry reasoning"]},
            "query": "Hint: ...",
        }
        for i, (type_, choices, unit, precision, answer) in enumerate(table)
    ]
    return Copy(
        name="mathvista_mc",
        folder="MathVista",
        features=features,
        rows=rows,
        expected=[
            Expected("mathvista_mc/2", "multiple_choice", "D", ("(A) 3√3", "Yes", "π/2", "145°"), "1"),
            Expected("mathvista_mc/3", "multiple_choice", "B", ("Yes", "No"), "2"),
        ],
        files={"data/testmini-00000-of-00001.parquet": lambda row: True},
        configs={"default": {"testmini": ["data/testmini-*"]}},
        split="testmini",
    )


COPIES: dict[str, Copy] = {
    copy.name: copy
    for copy in (
        _cv_bench(), _pope(), _natural_bench(), _chartqa(), _realworldqa(), _mmstar(), _blink(), _mathvista()
    )
}  # fmt: skip
FIVE = ("cvbench", "pope", "naturalbench", "chartqa", "realworldqa")


def write_copy(copy: Copy, data_dir: Path) -> Path:
    """Lay a copy out like the hub's repository, in `data_dir/<folder>`; returns that folder."""
    folder = data_dir / copy.folder
    for name, belongs in copy.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [row for row in copy.rows if belongs(row)]
        datasets.Dataset.from_list(rows, features=copy.features).to_parquet(str(path))
    lines = ["---", "configs:"]
    for config, splits in copy.configs.items():
        lines += [f"- config_name: {config}", "  data_files:"]
        for split, files in splits.items():
            lines += [f"  - split: {split}", "    path:", *(f"    - {file}" for file in files)]
    (folder / "README.md").write_text("\n".join([*lines, "---", f"# {copy.folder}", ""]), encoding="utf-8")
    return folder


def save_copy(copy: Copy, data_dir: Path) -> Path:
    """Write the rows of the copy's split with `save_to_disk`, in `data_dir/<name>`; returns that folder."""
    folder = data_dir / copy.name
    in_split = [row for row in copy.rows if copy.name != "pope" or row["category"] == copy.split]
    rows = datasets.Dataset.from_list(in_split, features=copy.features)
    datasets.DatasetDict({copy.split: rows}).save_to_disk(str(folder))
    return folder
