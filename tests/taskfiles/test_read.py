"""Task files: what is read, and that every mistake is told with its line or column and how to fix it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from vsc_eval.errors import SpecError
from vsc_eval.resources import tasks_dir
from vsc_eval.taskfiles.read import is_task_file, override, read_task_file
from vsc_eval.taskfiles.schema import TaskFile, to_json_schema

GOOD = """\
schema_version: 1
name: birds
dataset: {path: owner/birds, split: val}
kind: multiple_choice
fields:
  image: photo
  question: text
  choices: [a, b, c]
  answer: right
answer_format: index1
prompt: "{question}\\n{options}\\nOne of {letters}; {{no}} column; {place}"
report_by: [place]
cluster_by: [photo_id, place]
group: {by: pair}
filters: {level: [easy, hard], ok: true}
limit: 100
pixels: {min: 100, max: 10000}
score: exact
licence: CC0
"""


def write(folder: Path, text: str, name: str = "task.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_full_file_is_read_and_round_trips(tmp_path: Path) -> None:
    file = read_task_file(write(tmp_path, GOOD))
    assert file.task_name == "vsc_birds"
    assert file.fields.choices == ("a", "b", "c")
    assert file.filters == {"level": ("easy", "hard"), "ok": True}
    assert TaskFile.model_validate_json(file.model_dump_json()) == file
    assert file.content_hash() == TaskFile.model_validate(file.model_dump()).content_hash()


# (what is wrong, the text that is exchanged, by what, line of the error, key in the message, words of the hint)
BROKEN = [
    ("misspelt key", "answer_format:", "answer_fromat:", 10, "answer_fromat", "answer_format"),
    ("misspelt inner key", "  question: text", "  qestion: text", 7, "fields.qestion", "question"),
    ("no name", "name: birds\n", "", 1, "name", "Add it"),
    ("bad name", "name: birds", "name: Birds-2", 2, "name", "small letters"),
    ("name of a variant", "name: birds", "name: birds_paired", 2, "name", "Change"),
    ("unknown kind", "kind: multiple_choice", "kind: multiple_choise", 4, "kind", "multiple_choice"),
    ("unknown answer format", "answer_format: index1", "answer_format: roman", 10, "answer_format", "index1"),
    ("no options", "  choices: [a, b, c]\n", "", 5, "fields.choices", "Change"),
    ("options of a number", "kind: multiple_choice", "kind: number", 8, "fields.choices", "Change"),
    ("a key twice", "limit: 100", "limit: 100\nlimit: 5", 17, "limit", "Keep one"),
    ("limit of nothing", "limit: 100", "limit: 0", 16, "limit", "Change"),
    ("limit in words", "limit: 100", "limit: many", 16, "limit", "Change"),
    ("an empty budget", "{min: 100, max: 10000}", "{min: 100, max: 50}", 17, "pixels", "Change"),
    ("a negative budget", "{min: 100, max: 10000}", "{min: -1}", 17, "pixels.min", "Change"),
    ("two ways to group", "group: {by: pair}", "group: {by: pair, every: 2}", 14, "group", "Keep one"),
    ("no question in the prompt", "{question}\\n", "", 11, "prompt", "Change"),
    ("no options in the prompt", "{options}\\n", "", 11, "prompt", "Change"),
    ("a brace left open", "{{no}}", "{no", 11, "prompt", "Change"),
    ("a format in a placeholder", "{place}", "{place:>3}", 11, "prompt", "Change"),
    ("clusters by no group", "group: {by: pair}\n", "", 13, "cluster_by", "Change"),
    ("a word that YAML reads as true", "  answer: right", "  answer: true", 9, "fields.answer", "quotes"),
    ("unknown format", "split: val}", "split: val, format: xml}", 3, "dataset.format", "parquet"),
    ("a missing local file", "path: owner/birds", "path: ./birds.parquet", 3, "dataset.path", "relative"),
    ("another schema", "schema_version: 1", "schema_version: 2", 1, "schema_version", "1"),
    ("a tab", "  image: photo", "\timage: photo", 6, "", "tabs"),
    ("a bracket left open", "choices: [a, b, c]", "choices: [a, b, c", 9, "", "brackets|quotes"),
    ("a hook that is no function", "licence: CC0", "hook: my hook", 19, "hook", "module:function"),
    ("yes as a number", "limit: 100", "limit: yes", 16, "limit", "Change"),
    ("no column to cluster by", "cluster_by: [photo_id, place]", "cluster_by: []", 13, "cluster_by", "at least one"),
    ("a column twice", "choices: [a, b, c]", "choices: [a, b, a]", 8, "fields.choices", "Change"),
    ("a number as revision", "split: val}", "split: val, revision: 1234567}", 3, "dataset.revision", "quotes"),
    ("a word where a list stands", "report_by: [place]", "report_by: place", 12, "report_by", "brackets"),
    ("a list that holds itself", "licence: CC0", "note: &a [*a]", 19, "", "Write the values out"),
    ("a tag", "licence: CC0", "licence: !secret x", 19, "", "plain values"),
]


@pytest.mark.parametrize(("what", "old", "new", "line", "key", "hint"), BROKEN, ids=[case[0] for case in BROKEN])
def test_each_mistake_names_line_key_and_mend(
    tmp_path: Path, what: str, old: str, new: str, line: int, key: str, hint: str
) -> None:
    text = GOOD.replace("[photo_id, place]", "group") if "clusters" in what else GOOD
    assert old in text
    path = write(tmp_path, text.replace(old, new, 1))
    with pytest.raises(SpecError) as caught:
        read_task_file(path)
    assert f"{path}:{line}: {key}" in caught.value.message, caught.value
    assert re.search(hint, caught.value.hint), caught.value
    assert "validation error" not in str(caught.value)


def test_there_are_at_least_25_of_them() -> None:
    assert len(BROKEN) >= 25


def test_a_file_that_is_empty_missing_or_binary_is_told(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="is empty"):
        read_task_file(write(tmp_path, ""))
    with pytest.raises(SpecError, match="no file"):
        read_task_file(tmp_path / "absent.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="UTF-8"):
        read_task_file(tmp_path / "binary.yaml")
    with pytest.raises(SpecError, match="looks like a date"):
        read_task_file(write(tmp_path, GOOD.replace("CC0", "2024-02-31")))


def test_a_local_path_begins_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    path = write(tmp_path, GOOD.replace("owner/birds", "data"))
    monkeypatch.chdir("/")
    assert read_task_file(path).dataset.path == str(tmp_path / "data")
    hooked = write(tmp_path, GOOD.replace("licence: CC0", "hook: fix.py:row"), "hooked.yaml")
    assert read_task_file(hooked).hook == f"{tmp_path}/fix.py:row"


def test_overrides_set_keys_anew_and_are_checked(tmp_path: Path) -> None:
    file = read_task_file(write(tmp_path, GOOD))
    changed = override(file, ["dataset.revision=abc", "limit=7", "pixels.max=500", "report_by=[place, level]"])
    assert (changed.dataset.revision, changed.limit, changed.pixels.max) == ("abc", 7, 500)
    assert changed.dataset.path == "owner/birds"
    assert changed.report_by == ("place", "level")
    for wrong, said in (("datset.path=x", "datset"), ("limit=0", "limit"), ("limit", "changes no key")):
        with pytest.raises(SpecError, match=said):
            override(file, [wrong])


def test_the_kinds_of_rows_decide_the_scorings(tmp_path: Path) -> None:
    file = read_task_file(write(tmp_path, GOOD))
    assert file.has_choice_scoring
    mixed = file.model_copy(update={"without_options": "short_text"})
    assert mixed.kinds == ("multiple_choice", "short_text")
    assert not mixed.has_choice_scoring


def test_lm_evals_own_files_are_told_from_ours(tmp_path: Path) -> None:
    assert is_task_file(write(tmp_path, GOOD))
    assert is_task_file(write(tmp_path, "name: x\nkind: nonsense\nfields: 3\n"))
    assert is_task_file(write(tmp_path, GOOD.replace("name:", "task:")))
    assert not is_task_file(write(tmp_path, "task: x\ndataset_path: y\noutput_type: generate_until\n"))
    assert not is_task_file(write(tmp_path, "group: x\ntask: [a, b]\n"))


def test_every_shipped_file_is_read() -> None:
    files = [read_task_file(path) for path in sorted((tasks_dir() / "external").glob("*.yaml"))]
    names = {file.name for file in files}
    assert {"cvbench", "pope", "naturalbench", "chartqa", "realworldqa"} <= names
    assert len(names) == len(files)


def test_the_schema_for_editors_is_current_and_knows_every_key() -> None:
    path = tasks_dir() / "schema.json"
    assert path.read_text(encoding="utf-8") == to_json_schema(), "run `vsc-eval tasks schema --out tasks/schema.json`"
    schema = json.loads(path.read_text(encoding="utf-8"))
    assert set(schema["properties"]) == set(TaskFile.model_fields)
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["name", "dataset", "kind", "fields"]
