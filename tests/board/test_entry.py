"""Entries of real runs and studies, their id and their one canonical form."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from samples import sample_entry

from vsc_eval.analysis.compare.run_files import read_run
from vsc_eval.analysis.results import Results
from vsc_eval.answers.hashes import picture_hash, prompt_hash
from vsc_eval.backends.hf.prompts import Prompt
from vsc_eval.board.board import spec_of
from vsc_eval.board.check import entry_findings
from vsc_eval.board.check.interval_check import interval_findings
from vsc_eval.board.check.recount import Recount
from vsc_eval.board.check.union_check import union_findings
from vsc_eval.board.entry.assemble import sealed, slug
from vsc_eval.board.entry.canonical import content_sha256, entry_document, entry_sha256, entry_text
from vsc_eval.board.entry.parts import model_name, without_paths
from vsc_eval.board.entry.shown import shown_items
from vsc_eval.board.publish import make_entry
from vsc_eval.board.records import Entry
from vsc_eval.errors import DataError, SpecError
from vsc_eval.specs import BASELINE
from vsc_eval.studies.conclude import read_results
from vsc_eval.synthetic import GENERATOR_VERSION, find_item

SOURCES = ("run_folder", "study_folder", "external_folder")


@pytest.fixture(params=SOURCES)
def folder(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


def problems(entry: Entry) -> list[str]:
    spec = spec_of(entry.items, name=entry.board, title="x", scoring=entry.scoring, generator_version=GENERATOR_VERSION)
    return [f"{found.place}: {found.what}" for found in entry_findings(entry, spec)]


def test_an_entry_of_a_real_folder_is_right_and_always_the_same(folder: Path) -> None:
    entry = make_entry(folder, "b")
    assert problems(entry) == []
    assert list(interval_findings(entry, Recount(entry))) == []
    assert list(union_findings(entry, Recount(entry))) == []
    assert entry_text(make_entry(folder, "b")) == entry_text(entry)
    assert Entry.model_validate(json.loads(entry_text(entry))) == entry
    assert entry.sha256 == entry_sha256(entry)


def test_tests_of_a_study_are_made_anew(study_folder: Path) -> None:
    """p of rows and of unions, and intervals of unions: what the answers give, and nothing else."""
    entry = make_entry(study_folder, "b")
    row = next(place for place, row in enumerate(entry.rows) if row.p_difference is not None)
    rows = [r.model_copy(update={"p_difference": 0.012}) if i == row else r for i, r in enumerate(entry.rows)]
    unions = [u.model_copy(update={"p_drift_adjusted": 0.012}) for u in entry.unions]
    unions[1] = entry.unions[1].model_copy(
        update={
            "accuracy_interaction": entry.unions[1].accuracy_interaction.model_copy(update={"low": -0.9, "high": 0.9})
        }
    )
    edited = entry.model_copy(update={"rows": tuple(rows), "unions": tuple(unions)})
    (found,) = interval_findings(edited, Recount(edited))
    assert found.place == f"rows[{row}].p_difference"
    assert "it is 0.012, and the test gives" in found.what
    assert [f.place for f in union_findings(edited, Recount(edited))] == [
        "unions[0].p_drift_adjusted",
        "unions[1].accuracy_interaction",
        *(f"unions[{place}].p_drift_adjusted" for place in range(2, len(unions))),
    ]


def test_settings_of_another_study_are_told(study_folder: Path) -> None:
    entry = make_entry(study_folder, "b")
    for change, what in (
        ({"tasks": "all"}, "the settings are no study's"),
        ({"statistics": {"draws": 10**9}}, "the settings are no study's"),
        ({"sweep": {"edits": ["scale=40", "scale=50"], "items_per_cell": 8}}, "a study with other conditions"),
    ):
        settings = {**entry.provenance.settings, **change}
        edited = entry.model_copy(update={"provenance": entry.provenance.model_copy(update={"settings": settings})})
        (found,) = union_findings(edited, Recount(edited))
        assert what in found.what


def test_no_path_of_the_machine_is_in_an_entry(folder: Path) -> None:
    entry = make_entry(folder, "b")
    text = entry_text(entry)
    for part in (str(Path.home()), str(folder.parent), "/tmp", "site-packages", str(Path.cwd())):
        assert part not in text
    assert entry.model.name in ("vsc-tiny", "tiny")
    assert entry.provenance.settings["model"] == entry.model.name


def test_the_figures_are_those_of_the_run(run_folder: Path) -> None:
    entry = make_entry(run_folder, "b")
    results = Results.model_validate_json((run_folder / "results.json").read_bytes())
    assert len(entry.rows) == len(results.rows)
    for row, source in zip(entry.rows, results.rows, strict=True):
        assert (row.condition, row.scope, row.task, row.level) == (
            source.condition,
            source.scope,
            source.task,
            source.level,
        )
        assert row.n_right == round((source.accuracy.value or 0) * source.n)
        assert row.accuracy.low == (source.accuracy.low and pytest.approx(source.accuracy.low, rel=1e-5))
        if source.drift is not None and source.difference is not None and source.mcnemar is not None:
            assert row.drift_counts is not None
            assert row.drift_counts.n_changed == source.drift.n_changed
            p = source.mcnemar.p_value
            assert row.p_difference == (p and pytest.approx(p, rel=1e-5))
    # The edits are strong, so that there is something to see.
    changed = [row.drift_counts.n_changed for row in entry.rows if row.scope == "all" and row.drift_counts]
    assert len(changed) == 4
    assert max(changed) > 0
    assert {union.form for union in entry.unions} == {"raw", "norm_matched"}
    assert {union.parts for union in entry.unions} == {("counting:scale=8", "logic:scale=8")}


def test_the_run_s_words_are_in_its_entry(run_folder: Path) -> None:
    document = yaml.safe_load((run_folder / "run.yaml").read_text())
    entry = make_entry(run_folder, "b", note="mine", name="  Our model ")
    assert entry.model.name == "Our model"
    assert entry.id.startswith("our-model-")
    assert entry.note == "mine"
    assert entry.provenance.date == document["attempts"][-1]["ended"]
    assert entry.provenance.task_hashes == document["hashes"]["tasks"]
    assert entry.provenance.generator_version == GENERATOR_VERSION
    assert entry.provenance.packages["torch"] == document["attempts"][-1]["versions"]["torch"]
    assert {c.name: c.content_hash for c in entry.conditions} == document["hashes"]["conditions"]
    assert entry.intervention is not None
    assert entry.intervention.sae_fingerprint == document["hashes"]["sae_fingerprint"]
    assert len(entry.intervention.sets["counting"]) > 1
    assert [c.role for c in entry.conditions] == ["baseline", "single", "single", "union", "norm_matched_union"]


def test_log_probabilities_are_of_changed_answers(run_folder: Path) -> None:
    entry = make_entry(run_folder, "b")
    lines = {line.id: line for line in read_run(run_folder).lines}
    for condition, column in entry.items.answers.items():
        changed = {i for i, a, b in zip(entry.items.id, column, entry.items.answers[BASELINE], strict=True) if a != b}
        if condition != BASELINE:
            assert set(entry.logprobs.get(condition, {})) == changed
            for name, values in entry.logprobs.get(condition, {}).items():
                assert values == pytest.approx(lines[name].option_logprobs[condition], rel=1e-5)
    assert set(entry.logprobs[BASELINE]) == set().union(*map(set, list(entry.logprobs.values())[1:]))


def test_a_study_has_its_unions_controls_floor_and_probes(study_folder: Path) -> None:
    entry, results = make_entry(study_folder, "b"), read_results(study_folder)
    names = {condition.name for condition in entry.conditions}
    assert not [name for name in names if name.endswith(":scale=1")]
    assert "counting:scale=1" in read_run(study_folder).conditions
    assert {row.condition for row in entry.rows} == names
    headline = {condition.edit for condition in entry.conditions if condition.is_headline}
    assert headline == {None, "scale=40"}
    assert {c.edit for c in entry.conditions if not c.is_headline} == {"ablate"}
    assert len(entry.unions) == len(results.pairs) == 4
    assert {union.verdict for union in entry.unions if union.edit == "ablate"} == {None}
    assert all(union.verdict for union in entry.unions if union.edit == "scale=40")
    assert len(entry.controls) == len(results.controls) > 0
    assert [row.name for row in entry.floor] == [row.name for row in results.floor]
    assert entry.probes is not None
    assert entry.probes.chosen_layer == results.layer
    assert {point.layer for point in entry.probes.points} == {-1, 0, 1, 2}
    began = yaml.safe_load((study_folder / "study.yaml").read_text())["attempts"][0]["started"]
    assert entry.provenance.date == began


def test_official_figures_and_groups_of_a_data_set(external_folder: Path) -> None:
    entry = make_entry(external_folder, "b")
    results = Results.model_validate_json((external_folder / "results.json").read_bytes())
    assert len(entry.official) == len(results.official) > 0
    assert sum(row.is_main for row in entry.official if row.condition == BASELINE) == 1
    assert {row.scope for row in entry.rows} >= {"group", "all", "task"}
    assert entry.provenance.generator_version is None
    assert set(entry.items.level) == {None}
    for field, value in (("n_right", 99), ("n", 1)):
        rows = tuple(r.model_copy(update={field: value}) if r.scope == "group" else r for r in entry.rows)
        assert problems(sealed(entry.model_copy(update={"rows": rows})))


def test_pictures_of_a_data_set_only_if_asked(external_folder: Path, data_dir: Path) -> None:
    assert make_entry(external_folder, "b").shown == {}
    shown = shown_items(external_folder, data_dir=data_dir)
    entry = make_entry(external_folder, "b", shown=shown)
    assert problems(entry) == []
    changed = {
        name
        for place, name in enumerate(entry.items.id)
        if len({column[place] for column in entry.items.answers.values()}) > 1
    }
    assert set(entry.shown) == changed != set()
    assert all(found.question and (found.picture or "").startswith("data:image/jpeg") for found in shown.values())


def test_pictures_of_synthetic_items_are_not_kept(run_folder: Path) -> None:
    with pytest.raises(SpecError, match="no items of external data sets"):
        shown_items(run_folder)


def test_another_intervention_than_the_run_s_is_refused(run_folder: Path, tmp_path: Path) -> None:
    intervention = Path(yaml.safe_load((run_folder / "run.yaml").read_text())["settings"]["intervention"])
    shutil.copytree(intervention, tmp_path / "intervention")
    assert make_entry(run_folder, "b", intervention=tmp_path / "intervention") == make_entry(run_folder, "b")
    file = tmp_path / "intervention" / "intervention.yaml"
    document = yaml.safe_load(file.read_text())
    document["sets"][0]["indices"][0] = max(document["sets"][0]["indices"]) + 1
    file.write_text(yaml.safe_dump(document))
    with pytest.raises(DataError, match="features give another 'counting:scale=8'"):
        make_entry(run_folder, "b", intervention=tmp_path / "intervention")


def without(folder: Path, copy: Path, change: Any) -> Path:
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*.sqlite", "lm_eval"))
    change(copy)
    return copy


def test_folders_that_are_not_whole_are_refused(run_folder: Path, tmp_path: Path) -> None:
    unfinished = without(run_folder, tmp_path / "a", lambda copy: (copy / "results.json").unlink())
    with pytest.raises(SpecError, match="did not come to its end"):
        make_entry(unfinished, "b")
    damaged = without(run_folder, tmp_path / "b", lambda copy: (copy / "results.json").write_text("{}"))
    with pytest.raises(DataError, match=r"results.json is damaged: at 'model'"):
        make_entry(damaged, "b")

    def other_model(copy: Path) -> None:
        file = copy / "results.json"
        document = json.loads(file.read_text())
        file.write_text(json.dumps(document | {"model_fingerprint": "0" * 16}))

    with pytest.raises(DataError, match="is of model 0000000000000000"):
        make_entry(without(run_folder, tmp_path / "c", other_model), "b")

    def no_date(copy: Path) -> None:
        file = copy / "run.yaml"
        document = yaml.safe_load(file.read_text())
        document["attempts"][-1]["ended"] = None
        file.write_text(yaml.safe_dump(document))

    with pytest.raises(DataError, match="do not say when the run ended"):
        make_entry(without(run_folder, tmp_path / "d", no_date), "b")
    with pytest.raises(SpecError, match="may have 2,000"):
        make_entry(run_folder, "b", note="x" * 2001)
    with pytest.raises(SpecError, match="name is empty"):
        make_entry(run_folder, "b", name="  ")


def test_hashes_are_those_that_runs_write() -> None:
    item = find_item("test/counting/hard/00001/C")
    prompt = Prompt(text=item.prompt, images=(item.image(),))
    assert picture_hash(item.image()) == prompt.image_hash
    assert prompt_hash(item.prompt) == prompt.prompt_hash


def test_the_id_is_of_what_was_asked_and_not_of_the_answers() -> None:
    entry, again = sample_entry("m", seed=1), sample_entry("m", seed=1, note="other words")
    assert entry.id == again.id
    assert entry.sha256 != again.sha256
    fewer = sample_entry("m", seed=1, conditions=("counting",))
    others = sample_entry("m", seed=1, n_per_cell=8)
    assert len({found.id[-10:] for found in (entry, fewer, others, sample_entry("m", seed=2))}) == 4


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
        "vllm": {"download_dir": "C:\\Users\\me\\hub", "n": 1.5, "none": None},
        "ratio": ["1/2", "/", " / ", "https://example.org/a/b", r"\d+/x", "A:B/C"],
        "urls": ["file:///home/me/x.json", "key:/home/me/b", r"\\\\server\\share\\x", "~me/secret/x"],
    }
    assert without_paths(settings) == {
        "model": "org/name",
        "tasks": ["vsc", "mine.yaml", "mine.yaml", "y.yaml"],
        "override": ["mine.dataset.path=set", "mine.filters={file: 'a b'}"],
        "vllm": {"download_dir": "hub", "n": 1.5, "none": None},
        "ratio": ["1/2", "/", " / ", "https://example.org/a/b", r"\d+/x", "A:B/C"],
        "urls": ["file:x.json", "key:b", "x", "x"],
    }


@given(st.text("ab/\\~.: ='", max_size=12))
def test_what_was_cut_has_no_path_left(text: str) -> None:
    assert without_paths(without_paths(text)) == without_paths(text)


def test_the_canonical_form() -> None:
    entry = sample_entry("m\u202e\x07", source="study", note="Zeile\n2 \u2028 🙂")
    text = entry_text(entry)
    assert text.isascii()
    assert all(character >= " " or character == "\n" for character in text)
    lines = text.splitlines()
    # A row, a column, a condition a line, so that a diff names what changed.
    assert sum('"scope":' in line for line in lines) == len(entry.rows)
    assert sum(line.startswith('"baseline": [') for line in lines) == 1
    assert Entry.model_validate(json.loads(text)) == entry
    document = json.loads(text)
    assert content_sha256(document) == document["sha256"] == entry.sha256
    shuffled = dict(reversed(document.items()))
    assert content_sha256(shuffled) == entry.sha256
    assert content_sha256(document | {"note": "x"}) != entry.sha256


def test_floats_are_rounded_and_settings_are_not() -> None:
    entry = sample_entry("m")
    row = entry.rows[0].model_copy(update={"mean_kl_options": 0.123456789, "mean_margin_change": -0.0})
    settings = {"lr": 0.123456789}
    changed = entry.model_copy(
        update={
            "rows": (row,),
            "provenance": entry.provenance.model_copy(update={"settings": settings}),
        }
    )
    document = entry_document(changed)
    assert document["rows"][0]["mean_kl_options"] == 0.123457
    assert str(document["rows"][0]["mean_margin_change"]) == "0.0"
    assert document["provenance"]["settings"] == settings
    bad = changed.model_copy(update={"rows": (row.model_copy(update={"mean_kl_options": np.inf}),)})
    with pytest.raises(DataError, match="JSON cannot hold"):
        entry_text(bad)
