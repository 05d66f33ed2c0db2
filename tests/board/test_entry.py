"""Entries of real runs and studies: their files, and their id."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from samples import sample_parts

from vsc_eval.answers.finished_run import read_run
from vsc_eval.answers.parquet import read_table
from vsc_eval.backends.hf.prompts import Prompt
from vsc_eval.board.check import entry_problems
from vsc_eval.board.entry_files import (
    ABOUT,
    FILES,
    PICTURES,
    content_sha256,
    model_name,
    read_entry,
    slug,
    without_paths,
    write_entry,
)
from vsc_eval.board.from_run import entry_of_run, shown_items
from vsc_eval.board.records import Entry
from vsc_eval.board.spec import spec_of
from vsc_eval.errors import DataError, SpecError
from vsc_eval.files import picture_hash, short_hash
from vsc_eval.specs import BASELINE
from vsc_eval.synthetic import GENERATOR_VERSION, find_item

SOURCES = ("run_folder", "study_folder", "external_folder")


@pytest.fixture(params=SOURCES)
def folder(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


def parts_of(folder: Path, **options: Any) -> Entry:
    return entry_of_run(read_run(folder), board="b", **options)


def entry_from(folder: Path, **options: Any) -> Entry:
    return parts_of(folder, **options)


def problems(parts: Entry) -> list[str]:
    items = parts.table.items
    spec = spec_of(items, name="b", title="x", scoring=items[0].scoring, generator_version=GENERATOR_VERSION)
    return [f"{found.place}: {found.what}" for found in entry_problems(parts, spec, intervals=True)]


def test_an_entry_of_a_real_folder_is_right_and_always_the_same(folder: Path, tmp_path: Path) -> None:
    parts = parts_of(folder)
    about = write_entry(parts, tmp_path / "a")
    assert problems(read_entry(tmp_path / "a")) == []
    assert write_entry(parts_of(folder), tmp_path / "b") == about
    assert write_entry(read_entry(tmp_path / "a"), tmp_path / "c") == about
    assert {file.name for file in (tmp_path / "a").iterdir()} == {ABOUT, *FILES}
    assert about.sha256 == content_sha256(json.loads((tmp_path / "a" / ABOUT).read_text()))
    document = json.loads((folder / "results.json").read_text())
    own = json.loads((tmp_path / "a" / "results.json").read_text())
    assert {name for name in document if document[name] != own[name]} <= {
        "model",
        "intervention",
        "spec",
        "probing",
        "data",
    }


def test_no_path_of_the_machine_and_no_text_is_in_an_entry(folder: Path, tmp_path: Path) -> None:
    about = write_entry(parts_of(folder), tmp_path / "a")
    for file in (tmp_path / "a").iterdir():
        content = file.read_bytes()
        for part in (str(Path.home()), str(folder.parent), "/tmp", "site-packages", str(Path.cwd())):
            assert part.encode() not in content, file.name
    assert about.name in ("vsc-tiny", "tiny")
    table = read_table(tmp_path / "a")
    assert all(item.messages is None for item in table.items)
    assert not {"text", "thought"} & set(table.main.columns)


def test_the_run_s_words_are_in_its_entry(run_folder: Path) -> None:
    document = yaml.safe_load((run_folder / "run.yaml").read_text())
    last = yaml.safe_load((run_folder / "local.yaml").read_text())["attempts"][-1]
    entry = entry_from(run_folder, note="mine", name="  Our model ")
    assert entry.name == "Our model"
    assert entry.id.startswith("our-model-")
    assert entry.about.note == "mine"
    assert entry.about.date == last["ended"]
    assert entry.about.machine == last["machine"]
    assert entry.hashes["tasks"] == document["hashes"]["tasks"]
    assert entry.generator_version == GENERATOR_VERSION
    assert entry.about.packages["torch"] == document["versions"]["torch"]
    assert {c.name: c.content_hash for c in entry.conditions} == document["hashes"]["conditions"]
    assert entry.about.intervention is not None
    assert entry.about.intervention.sae_fingerprint == document["hashes"]["sae_fingerprint"]
    assert len(entry.about.intervention.sets["counting"]) > 1
    assert [c.role for c in entry.conditions] == ["baseline", "single", "single", "combined", "norm_matched"]
    changed = [row.drift.n_changed for row in entry.results.rows if row.scope == "all" and row.drift]
    # The edits are strong, so that there is something to see.
    assert len(changed) == 4
    assert max(changed) > 0
    assert {union.form for union in entry.results.interactions} == {"raw", "norm_matched"}


def test_a_study_has_its_unions_controls_floor_and_probes(study_folder: Path) -> None:
    parts = parts_of(study_folder)
    entry, document = parts, parts.document
    names = {condition.name for condition in entry.conditions}
    assert not [name for name in names if name.endswith(":scale=1")]
    assert "counting:scale=1" in parts.table.names
    assert {row.condition for row in entry.results.rows} == names
    headline = {condition.edit for condition in entry.conditions if condition.name in entry.headlines}
    assert headline == {None, "scale=40"}
    assert {c.edit for c in entry.conditions if c.name not in entry.headlines} == {"ablate"}
    assert len(entry.results.interactions) == 4
    assert {union.verdict for union in entry.results.interactions if union.edit == "ablate"} == {None}
    assert all(union.verdict for union in entry.results.interactions if union.edit == "scale=40")
    assert len(entry.results.controls) == len(document["controls"]) > 0
    assert [row.name for row in entry.results.floor] == [row["name"] for row in document["floor"]]
    assert entry.results.probing is not None
    assert entry.results.probing.layer == document["layer"]
    assert {row.layer for row in entry.results.probing.rows} == {-1, 0, 1, 2}
    began = yaml.safe_load((study_folder / "local.yaml").read_text())["attempts"][0]["started"]
    assert entry.about.date == began


def test_official_figures_and_groups_of_a_data_set(external_folder: Path) -> None:
    parts = parts_of(external_folder)
    entry = parts
    assert len(entry.results.official) == len(parts.document["official"]) > 0
    assert sum(row.is_main for row in entry.results.official if row.condition == BASELINE) == 1
    assert {row.scope for row in entry.results.rows} >= {"group", "all", "task"}
    assert entry.generator_version is None
    assert {item.level for item in entry.table.items} == {None}
    row = next(row for row in parts.results.rows if row.scope == "group")
    rows = tuple(r.model_copy(update={"n": 99}) if r is row else r for r in parts.results.rows)
    edited = replace(parts, results=parts.results.model_copy(update={"rows": rows}))
    assert any("n is 99, and the answers give" in problem for problem in problems(edited))


def test_pictures_and_texts_of_a_data_set_only_if_asked(external_folder: Path, data_dir: Path, tmp_path: Path) -> None:
    assert parts_of(external_folder).shown == {}
    shown = shown_items(external_folder, data_dir=data_dir)
    parts = parts_of(external_folder, shown=shown)
    about = write_entry(parts, tmp_path / "a")
    assert PICTURES in about.files
    again = read_entry(tmp_path / "a")
    assert problems(again) == []
    assert again.shown == shown
    assert "text" in again.table.main.columns
    entry = again
    changed = {
        item.item_id
        for item, *answers in zip(entry.table.items, *map(entry.table.words, entry.table.names), strict=True)
        if len(set(answers)) > 1
    }
    assert set(entry.shown) == changed != set()
    assert all(found.question and (found.picture or "").startswith("data:image/jpeg") for found in shown.values())


def test_pictures_of_synthetic_items_are_not_kept(run_folder: Path) -> None:
    with pytest.raises(SpecError, match="no items of external data sets"):
        shown_items(run_folder)


def test_another_intervention_than_the_run_s_is_refused(run_folder: Path, tmp_path: Path) -> None:
    intervention = Path(yaml.safe_load((run_folder / "run.yaml").read_text())["settings"]["intervention"])
    shutil.copytree(intervention, tmp_path / "intervention")
    moved = parts_of(run_folder, intervention=tmp_path / "intervention")
    assert moved.about == parts_of(run_folder).about
    file = tmp_path / "intervention" / "intervention.yaml"
    document = yaml.safe_load(file.read_text())
    document["sets"][0]["indices"][0] = max(document["sets"][0]["indices"]) + 1
    file.write_text(yaml.safe_dump(document))
    with pytest.raises(DataError, match="features give another 'counting:scale=8'"):
        parts_of(run_folder, intervention=tmp_path / "intervention")


def without(folder: Path, copy: Path, change: Any) -> Path:
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*.sqlite", "lm_eval"))
    change(copy)
    return copy


def test_folders_that_are_not_whole_are_refused(run_folder: Path, tmp_path: Path) -> None:
    unfinished = without(run_folder, tmp_path / "a", lambda copy: (copy / "results.json").unlink())
    with pytest.raises(SpecError, match="did not come to its end"):
        parts_of(unfinished)
    damaged = without(run_folder, tmp_path / "b", lambda copy: (copy / "results.json").write_text("{}"))
    with pytest.raises(DataError, match=r"results.json is damaged"):
        parts_of(damaged)
    edited = without(run_folder, tmp_path / "e", lambda copy: (copy / "answers.parquet").write_bytes(b"PAR1"))
    with pytest.raises(DataError, match=r"answers.parquet is damaged: it is not what run.yaml says"):
        parts_of(edited)

    def other_model(copy: Path) -> None:
        file = copy / "results.json"
        document = json.loads(file.read_text())
        file.write_text(json.dumps(document | {"model_fingerprint": "0" * 16}))

    with pytest.raises(DataError, match="is of model 0000000000000000"):
        parts_of(without(run_folder, tmp_path / "c", other_model))

    def no_date(copy: Path) -> None:
        file = copy / "local.yaml"
        document = yaml.safe_load(file.read_text())
        document["attempts"][-1]["ended"] = None
        file.write_text(yaml.safe_dump(document))

    with pytest.raises(DataError, match="do not say when the run ended"):
        parts_of(without(run_folder, tmp_path / "d", no_date))
    with pytest.raises(SpecError, match="may have 2,000"):
        parts_of(run_folder, note="x" * 2001)
    with pytest.raises(SpecError, match="name is empty"):
        parts_of(run_folder, name="  ")


def test_hashes_are_those_that_runs_write() -> None:
    item = find_item("test/counting/hard/00001/C")
    prompt = Prompt(text=item.prompt, images=(item.image(),))
    assert picture_hash(item.image()) == prompt.image_hash
    assert short_hash(item.prompt) == prompt.prompt_hash


def test_the_id_is_of_what_was_asked_and_not_of_the_answers(tmp_path: Path) -> None:
    parts, again = sample_parts("m", seed=1), sample_parts("m", seed=1, note="other words")
    assert parts.about.id == again.about.id
    assert write_entry(parts, tmp_path / "a").sha256 != write_entry(again, tmp_path / "b").sha256
    fewer = sample_parts("m", seed=1, conditions=("counting",))
    others = sample_parts("m", seed=1, n_per_cell=8)
    found = (parts, fewer, others, sample_parts("m", seed=2))
    assert len({each.about.id[-10:] for each in found}) == 4


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("Qwen/Qwen2.5-VL-3B", "qwen-qwen2.5-vl-3b"),
        ("../../etc/passwd", "etc-passwd"),
        ("模型", "model"),
        ("é" * 300, "e" * 60),
        ("-.-", "model"),
        ("\u202ea\x00b", "a-b"),
    ],
)
def test_slugs_are_safe_file_names(name: str, plain: str) -> None:
    assert slug(name) == plain


@pytest.mark.parametrize(
    ("model", "revision", "shown"),
    [
        ("vsc-tiny", None, "vsc-tiny"),
        ("Qwen/Qwen3-VL", "abc", "Qwen/Qwen3-VL"),
        ("/home/me/models/mine/", None, "mine"),
        ("models/mine", None, "mine"),
        ("./mine", None, "mine"),
        ("/home/me/x", "abc", "x"),
        ("C:\\Users\\me\\model", None, "model"),
    ],
)
def test_a_model_s_folder_is_shown_by_its_last_part(model: str, revision: str | None, shown: str) -> None:
    assert model_name(model, revision, None) == shown
    assert model_name(model, revision, "given") == "given"


def test_paths_in_settings_are_cut_to_their_last_part() -> None:
    settings = {
        "model": "org/name",
        "tasks": ["vsc", "/home/me/tasks/mine.yaml", "./mine.yaml", "~/x/y.yaml"],
        "override": ["mine.dataset.path=/data/secret/set", "mine.filters={file: '/srv/a b'}"],
        "backend_options": {"download_dir": "C:\\Users\\me\\hub", "n": 1.5, "none": None},
        "ratio": ["1/2", "/", " / ", "https://example.org/a/b", r"\d+/x", "A:B/C"],
        "urls": ["file:///home/me/x.json", "key:/home/me/b", r"\\\\server\\share\\x", "~me/secret/x"],
    }
    assert without_paths(settings) == {
        "model": "org/name",
        "tasks": ["vsc", "mine.yaml", "mine.yaml", "y.yaml"],
        "override": ["mine.dataset.path=set", "mine.filters={file: 'a b'}"],
        "backend_options": {"download_dir": "hub", "n": 1.5, "none": None},
        "ratio": ["1/2", "/", " / ", "https://example.org/a/b", r"\d+/x", "A:B/C"],
        "urls": ["file:x.json", "key:b", "x", "x"],
    }


@given(st.text("ab/\\~.: ='", max_size=12))
def test_what_was_cut_has_no_path_left(text: str) -> None:
    assert without_paths(without_paths(text)) == without_paths(text)
