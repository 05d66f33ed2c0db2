"""`vsc-eval tasks` on task files, as a user meets it."""

from __future__ import annotations

import io
import json
import re
import string
from pathlib import Path
from typing import Any

import datasets
import pytest
from PIL import Image

from vsc_eval.cli.main import main
from vsc_eval.taskfiles.read import read_task_file

N = 6


def picture(i: int) -> dict[str, Any]:
    file = io.BytesIO()
    Image.new("RGB", (30, 20), (40 * i, 0, 0)).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    """A parquet file with everything that a task file can name."""
    text = datasets.Value("string")
    names = ("question", "answer", "colour", "place", "twice")
    columns = {"photo": datasets.Image(), "left": datasets.Image(), "options": datasets.List(text)}
    rows = [
        {
            "photo": picture(i),
            "left": picture(i),
            "question": f"Which bird is number {i}?",
            "options": ["owl", "tit", "jay"],
            "answer": string.ascii_uppercase[i % 3],
            "colour": "red",
            "place": "wood" if i < 4 else "lake",
            "twice": "same",
        }
        for i in range(N)
    ]
    features = datasets.Features({**columns, **dict.fromkeys(names, text)})
    datasets.Dataset.from_list(rows, features=features).to_parquet(str(tmp_path / "birds.parquet"))
    return tmp_path / "birds.parquet"


GOOD = """\
name: birds
dataset: {path: birds.parquet}
kind: multiple_choice
fields:
  image: photo
  question: question
  choices: options
  answer: answer
  other_images: [left]
report_by: [place]
"""


def test_check_prints_what_is_asked_and_what_is_right(
    birds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "birds.yaml").write_text(GOOD)
    assert main(["tasks", "check", str(tmp_path / "birds.yaml"), "--show", "2", "--out", str(tmp_path / "look")]) == 0
    printed = capsys.readouterr().out
    assert "Which bird is number 0?\nA. owl\nB. tit\nC. jay" in printed
    assert "gold: 'B'   parsed: B (tit)" in printed
    assert "picture: 30 x 20 px" in printed
    assert "reported by place: wood, lake" in printed
    assert re.search(r"chance +33\.3%", printed)
    assert re.search(r"always 'A' +33\.3%", printed)
    assert "as like questions are" in printed
    assert "Fine: 6 rows" in printed
    assert [path.name for path in sorted((tmp_path / "look").iterdir())] == ["000.png", "001.png"]
    with Image.open(tmp_path / "look/001.png") as drawn:
        assert drawn.getpixel((0, 0)) == (40, 0, 0)


# (what is wrong, old text, new text, what the error says, what its fix says)
BROKEN = [
    ("misspelt key", "report_by", "reportby", r"birds\.yaml:10: reportby: unknown key", "report_by"),
    ("misspelt field", "  question:", "  qestion:", r":6: fields\.qestion: unknown key", "question"),
    ("missing key", "kind: multiple_choice\n", "", r":1: kind: the key is missing", "Add it"),
    ("missing field", "  answer: answer\n", "", r":4: fields\.answer: the key is missing", "Add it"),
    ("unknown kind", "multiple_choice", "choice", r":3: kind: 'choice' is not allowed", "multiple_choice"),
    ("bad name", "name: birds", "name: My Birds", r":1: name: ", "small letters"),
    ("no options", "  choices: options\n", "", r":4: fields\.choices: ", "Change"),
    ("key twice", "report_by: [place]", "report_by: [place]\nreport_by: []", r":11: report_by: .*twice", "Keep one"),
    ("tab", "  image", "\timage", r":5: ", "tabs"),
    ("open bracket", "[place]", "[place", r":11: ", "brackets|quotes"),
    ("false by accident", "  answer: answer", "  answer: false", r":8: fields\.answer: ", "quotes"),
    ("limit of 0", "report_by", "limit: 0\nreport_by", r":10: limit: ", "Change"),
    ("brace left open", "report_by", 'prompt: "{question} {options"\nreport_by', r":10: prompt: ", "Change"),
    ("prompt without question", "report_by", 'prompt: "{options}"\nreport_by', r":10: prompt: \{question\}", "Change"),
    ("no such file", "birds.parquet", "./bird.parquet", r":2: dataset\.path: ", "task file's folder"),
    ("unknown format", "birds.parquet}", "birds.parquet, format: xls}", r":2: dataset\.format: ", "parquet"),
    ("missing picture column", "photo", "picture", r"fields\.image: .*no column 'picture'", "photo"),
    ("missing answer column", "answer: answer", "answer: anser", r"fields\.answer: .*no column 'anser'", "answer"),
    ("missing category", "[place]", "[plaice]", r"report_by: .*no column 'plaice'", "place"),
    (
        "missing placeholder",
        "report_by",
        'prompt: "{question} {options} {hint}"\nreport_by',
        r"prompt: .*'hint'",
        "Known",
    ),
    ("options that are none", "choices: options", "choices: colour", r"column 'colour'", "inline"),
    ("a gold of another format", "report_by", "answer_format: index\nreport_by", r"column 'answer'", "answer_format"),
    ("a second picture", "  other_images: [left]\n", "", r"columns 'photo' and 'left'", "other_images"),
    ("an id twice", "  answer: answer", "  answer: answer\n  id: twice", r"the id 'birds/same'", r"fields\.id"),
    (
        "a filter without rows",
        "report_by",
        "filters: {place: sea}\nreport_by",
        r"filters\.place: .*'sea'",
        "wood, lake",
    ),
    ("an unknown metric", "report_by", "score: bleu\nreport_by", r"metric 'bleu'", "exact"),
    ("a metric's column", "report_by", "score: cv_bench\nreport_by", r"score: cv_bench: .*no column 'source'", "Known"),
    ("pictures that are none", "image: photo", "image: colour", r"picture", r"fields\.image|other_images"),
]


@pytest.mark.parametrize(("what", "old", "new", "message", "hint"), BROKEN, ids=[case[0] for case in BROKEN])
def test_check_tells_each_mistake_by_line_or_column(
    birds: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    what: str,
    old: str,
    new: str,
    message: str,
    hint: str,
) -> None:
    assert old in GOOD
    (tmp_path / "birds.yaml").write_text(GOOD.replace(old, new, 1))
    assert main(["tasks", "check", str(tmp_path / "birds.yaml")]) == 2
    error, _, advice = capsys.readouterr().err.strip().rpartition("\n  ")
    assert re.search(message, error), error
    assert re.search(hint, advice), advice


def test_there_are_at_least_25_broken_files() -> None:
    assert len(BROKEN) >= 25


def test_new_writes_a_file_that_passes_the_check(
    birds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mine.yaml"
    assert main(["tasks", "new", "mine", "--from", str(birds), "--out", str(out)]) == 0
    assert "Next: vsc-eval tasks check" in capsys.readouterr().out
    file = read_task_file(out)
    assert (file.kind, file.fields.image, file.fields.choices, file.answer_format) == (
        "multiple_choice",
        "photo",
        "options",
        "letter",
    )
    assert len([line for line in out.read_text().splitlines() if not line.startswith("#")]) < 15
    assert main(["tasks", "check", str(out)]) == 0
    assert main(["tasks", "new", "mine", "--from", str(birds), "--out", str(out)]) == 2
    assert "there already" in capsys.readouterr().err
    assert main(["tasks", "new", "Bad-Name", "--from", str(birds)]) == 2


@pytest.mark.parametrize(
    ("answers", "options", "expected"),
    [
        (["yes", "no"], None, {"kind": "yes_no"}),
        (["3", "12"], None, {"kind": "number"}),
        (["a dog", "red"], None, {"kind": "short_text"}),
        (["0", "2"], "['x', 'y', 'z']", {"kind": "multiple_choice", "answer_format": "index"}),
        (["1", "3"], "['x', 'y', 'z']", {"kind": "multiple_choice", "answer_format": "index1"}),
        (["y", "z"], "['x', 'y', 'z']", {"kind": "multiple_choice", "answer_format": "text"}),
    ],
)
def test_new_guesses_the_kind(
    tmp_path: Path, answers: list[str], options: str | None, expected: dict[str, str]
) -> None:
    (tmp_path / "p.png").write_bytes(picture(1)["bytes"])
    rows = [
        {"image": "p.png", "question": "Which?", "answer": a, **({"choices": options} if options else {})}
        for a in answers
    ]
    (tmp_path / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert (
        main(["tasks", "new", "guess", "--from", str(tmp_path / "data.jsonl"), "--out", str(tmp_path / "g.yaml")]) == 0
    )
    file = read_task_file(tmp_path / "g.yaml")
    assert {key: getattr(file, key) for key in expected} == expected
    assert main(["tasks", "check", str(tmp_path / "g.yaml")]) == 0


def test_new_says_what_it_did_not_find(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data.jsonl").write_text('{"image": "p.png", "caption": "x"}\n')
    assert main(["tasks", "new", "guess", "--from", str(tmp_path / "data.jsonl")]) == 2
    assert "question" in capsys.readouterr().err


def test_list_and_show_know_the_data_sets(birds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "list"]) == 0
    assert re.search(r"naturalbench +yes_no and multiple_choice +text, choice +BaiqiL", capsys.readouterr().out)
    (tmp_path / "birds.yaml").write_text(GOOD)
    assert main(["tasks", "show", str(tmp_path / "birds.yaml"), "--n", "1"]) == 0
    printed = capsys.readouterr().out
    assert "report_by: ['place']" in printed
    assert "--- birds/0" in printed


def test_compile_and_schema_write_files(birds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "birds.yaml").write_text(GOOD)
    assert main(["tasks", "compile", str(tmp_path / "birds.yaml"), "--out", str(tmp_path / "lm")]) == 0
    assert len(list((tmp_path / "lm").iterdir())) == 4
    assert main(["tasks", "schema", "--out", str(tmp_path / "schema.json")]) == 0
    assert "properties" in json.loads((tmp_path / "schema.json").read_text())
    assert "vsc_birds_choice_paired.yaml" in capsys.readouterr().out


def test_a_run_takes_a_file_by_its_path(
    birds: Path, tmp_path: Path, tiny_folder: Path, intervention_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "birds.yaml").write_text(GOOD)
    command = [
        "run",
        "--model",
        str(tiny_folder),
        "--intervention",
        str(intervention_folder),
        "--conditions",
        "counting",
    ]
    command += ["--tasks", str(tmp_path / "birds.yaml"), "--override", "birds.limit=4", "--batch-size", "4"]
    assert main([*command, "--out", str(tmp_path / "run")]) == 0
    assert "vsc_birds place=wood" in (tmp_path / "run/results.md").read_text()
    (tmp_path / "broken.yaml").write_text(GOOD.replace("kind:", "knd:"))
    assert main([*command, "--include-path", str(tmp_path), "--out", str(tmp_path / "other")]) == 2
    assert "broken.yaml:3: knd" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_lm_evals_command_line_takes_a_folder_of_task_files(
    birds: Path, tmp_path: Path, tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    text = GOOD.replace("birds.parquet", "../birds.parquet")
    (tmp_path / "mine/birds.yaml").write_text(text)
    command = ["harness", "run", "--model", "vsc-hf", "--model_args", f"pretrained={tiny_folder}", "--limit", "2"]
    command += ["--tasks", "vsc_birds_choice", "--include_path", str(tmp_path / "mine")]
    assert main(command) == 0
    assert "acc[place=wood]" in capsys.readouterr().out
    by_path = [*command[:-4], "--tasks", str(tmp_path / "mine/birds.yaml")]
    assert main(by_path) == 0
    assert re.search(r"vsc_birds *\|", capsys.readouterr().out)
    (tmp_path / "mine/broken.yaml").write_text(text.replace("image: photo", "image: [photo"))
    assert main(command) == 2
    assert "broken.yaml:" in capsys.readouterr().err
