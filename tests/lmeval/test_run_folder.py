"""A run folder goes on with its own run and refuses every other."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from vsc_eval import files
from vsc_eval.errors import BackendError, DataError, SpecError
from vsc_eval.specs import ConditionSpec, EditSpec, FeatureSet, InterventionSpec
from vsc_eval.sweeps.folder import folder_name, open_run_folder
from vsc_eval.sweeps.run_spec import RunSpec, resolve_conditions, targets_of

SETTINGS = {"model": "m", "n": 8, "edit": {"kind": "scale", "value": 2.0}}


def test_the_same_run_goes_on(tmp_path: Path) -> None:
    with open_run_folder(tmp_path / "a" / "b", SETTINGS) as folder:
        folder.agree("hashes", {"model": "1"})
    with open_run_folder(tmp_path / "a" / "b", SETTINGS) as folder:
        assert folder.document["hashes"] == {"model": "1"}
        folder.agree("hashes", {"model": "1"})


def test_a_folder_that_was_killed_between_its_two_documents_goes_on(tmp_path: Path) -> None:
    """local.yaml is written first."""
    (tmp_path / "local.yaml").write_text("attempts:\n- started: '2026-01-01T00:00:00+00:00'\n")
    with open_run_folder(tmp_path, SETTINGS, kind="study") as folder:
        folder.agree("hashes", {"model": "1"})
    assert (tmp_path / "study.yaml").is_file()


def test_a_run_that_never_began_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), open_run_folder(tmp_path / "run", SETTINGS):
        raise ZeroDivisionError
    assert not (tmp_path / "run").exists()
    with pytest.raises(SpecError), open_run_folder(tmp_path / "run", SETTINGS) as folder:
        folder.agree("settings", {})
    assert not (tmp_path / "run").exists()
    with open_run_folder(tmp_path / "run", SETTINGS) as folder:
        folder.save()
    assert (tmp_path / "run" / "run.yaml").exists()


def test_another_run_is_refused_and_the_keys_named(tmp_path: Path) -> None:
    with open_run_folder(tmp_path, SETTINGS) as folder:
        folder.agree("hashes", {"model": "1"})
    other = {**SETTINGS, "n": 16, "edit": {"kind": "scale", "value": 3.0}}
    with (
        pytest.raises(SpecError, match=r"n: there 8, now 16\n  edit.value: there 2.0, now 3.0.*--out"),
        open_run_folder(tmp_path, other),
    ):
        pass
    with open_run_folder(tmp_path, SETTINGS) as folder, pytest.raises(SpecError, match="model: there '1', now '2'"):
        folder.agree("hashes", {"model": "2"})


def test_a_folder_of_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(SpecError, match=r"thesis.tex.*new or empty"), open_run_folder(tmp_path, SETTINGS):
        pass
    assert not (tmp_path / "run.yaml").exists()


@pytest.mark.parametrize("text", ["settings: [", "[]", "settings: 3", ""])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.yaml").write_text(text)
    with pytest.raises(DataError, match=r"run.yaml is damaged"), open_run_folder(tmp_path, SETTINGS):
        pass


def test_an_unwritable_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BackendError, match="--out"), open_run_folder(tmp_path / "file" / "run", SETTINGS):
        pass


def test_two_processes_cannot_share_a_folder(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from vsc_eval.sweeps.folder import open_run_folder\n"
        "with open_run_folder(Path(sys.argv[1]), {'a': 1}): pass"
    )
    with open_run_folder(tmp_path, {"a": 1}):
        result = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert "Another process is running" in result.stderr


def test_a_disk_without_locks_is_not_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(descriptor: int, *, blocking: bool) -> bool:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(files, "lock_descriptor", no_locks)
    with pytest.raises(BackendError, match=r"cannot be locked: No locks available\."), open_run_folder(tmp_path, {}):
        pass


def test_harness_folder_drops_an_earlier_attempt(tmp_path: Path) -> None:
    with open_run_folder(tmp_path, SETTINGS) as folder:
        (folder.harness_folder("a+b") / "results_1.json").write_text("{}")
        (folder.harness_folder("c") / "results_1.json").write_text("{}")
        assert list(folder.harness_folder("a+b").iterdir()) == []
        assert len(list((folder.path / "lm_eval" / "c").iterdir())) == 1


def test_condition_names_become_distinct_folder_names() -> None:
    names = ["a+b", "a:scale=2", "a/scale=2", "a scale=2", "..", "x" * 300, "x" * 301]
    folders = [folder_name(name) for name in names]
    assert folders[0] == "a+b"
    assert len(set(folders)) == len(names)
    assert not any("/" in f or f.startswith(".") or len(f) > 200 for f in folders)


INTERVENTION = InterventionSpec(
    model="m",
    layer=1,
    sae="sae",
    default_edit=EditSpec(kind="scale", value=2),
    sets=(
        FeatureSet(name="a", indices=(1,), task="counting"),
        FeatureSet(name="b", indices=(2,), task="logic"),
        FeatureSet(name="c", indices=(3,)),
    ),
)


def test_the_baseline_comes_first_and_once() -> None:
    spec = RunSpec(conditions=("a", "baseline", "a+b:ablate"))
    assert [c.name for c in resolve_conditions(spec, INTERVENTION)] == ["baseline", "a", "a+b:ablate"]


def test_a_spec_file_adds_conditions(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("conditions: [{name: strong, sets: [a], edit: {kind: scale, value: 9}}]")
    found = resolve_conditions(RunSpec(conditions=("a",), sweep_file=file), INTERVENTION)
    assert [c.name for c in found] == ["baseline", "a", "strong"]
    file.write_text("conditions: [{name: a, sets: [a], edit: {kind: scale, value: 9}}]")
    with pytest.raises(SpecError, match="Two conditions are named 'a'"):
        resolve_conditions(RunSpec(conditions=("a",), sweep_file=file), INTERVENTION)


def test_grids_are_written_out_in_specs_and_in_spec_files(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("conditions:\n- b:scale=0,4\n- {name: strong, sets: [a], edit: {kind: scale, value: 9}}\n")
    found = resolve_conditions(RunSpec(conditions=("a:scale=1,2",), sweep_file=file), INTERVENTION)
    assert [c.name for c in found] == ["baseline", "a:scale=1", "a:scale=2", "b:scale=0", "b:scale=4", "strong"]
    assert found[4].edit == EditSpec(kind="scale", value=4)
    file.write_text("conditions: [b:scale=0,4]")
    with pytest.raises(SpecError, match=r"s\.yaml:1: conditions\[1\]: .*quotes"):
        resolve_conditions(RunSpec(sweep_file=file), INTERVENTION)


def test_unknown_sets_and_a_missing_intervention_are_named() -> None:
    with pytest.raises(SpecError, match=r"Unknown feature set 'z' in condition 'a\+z'.*Known sets: a, b, c"):
        resolve_conditions(RunSpec(conditions=("a+z",)), INTERVENTION)
    with pytest.raises(SpecError, match="no intervention"):
        resolve_conditions(RunSpec(conditions=("a",)), None)


def test_targets_are_the_tasks_of_the_sets() -> None:
    conditions = resolve_conditions(RunSpec(conditions=("a", "a+b", "a+c")), INTERVENTION)
    assert targets_of(conditions, INTERVENTION) == {
        "baseline": None,
        "a": ("counting",),
        "a+b": ("counting", "logic"),
        "a+c": None,
    }


def test_how_to_compute_is_no_part_of_the_identity() -> None:
    assert RunSpec(batch_size=1, device="cpu").identity() == RunSpec(batch_size=8).identity()
    assert RunSpec(n=8).identity() != RunSpec(n=12).identity()


def test_a_condition_without_sets_must_be_the_baseline(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("conditions: [{name: nothing}]")
    with pytest.raises(SpecError, match="edits nothing"):
        resolve_conditions(RunSpec(sweep_file=file), INTERVENTION)
    assert ConditionSpec(name="nothing").is_baseline
