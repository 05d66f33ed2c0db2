"""Every mistake a user can make with `vsc-eval run`: a clear message that names the hint, and exit code 2."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from small_vlm import untrained_vsc_tiny

from training.config import TinyShape
from vsc_eval.cli import main as cli
from vsc_eval.interventions.intervention import save_intervention
from vsc_eval.sae.model import SAE, SAEConfig
from vsc_eval.sae.readers.saelens import save_sae
from vsc_eval.specs import EditSpec, FeatureSet, InterventionSpec

pytestmark = pytest.mark.xdist_group("bad_input")

SHAPE = TinyShape(
    d_vision=48, vision_depth=2, vision_heads=2, vision_mlp=48, d_model=64, n_layers=4, n_heads=2, d_mlp=64
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained_vsc_tiny(tmp_path_factory.mktemp("model") / "small", SHAPE)


def write_intervention(folder: Path, model: Path, *, width: int = SHAPE.d_model, **changes: Any) -> Path:
    sae = SAE(SAEConfig(d_in=width, d_sae=16, k=4))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in sae.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    save_sae(sae, folder / "sae")
    values: dict[str, Any] = {
        "model": str(model),
        "layer": 1,
        "sae": "sae",
        "default_edit": EditSpec(kind="scale", value=2.0),
        "sets": (FeatureSet(name="counting", indices=(0, 1, 2), task="counting"),),
    }
    save_intervention(InterventionSpec.model_validate({**values, **changes}), folder)
    return folder


@pytest.fixture(scope="module")
def intervention(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    return write_intervention(tmp_path_factory.mktemp("intervention"), model)


Run = Callable[..., str]


@pytest.fixture
def run(model: Path, intervention: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line with the given changes, expect exit code 2, return the message."""

    def go(**changes: object) -> str:
        options = {
            "model": model,
            "intervention": intervention,
            "tasks": "vsc_counting_easy",
            "conditions": "counting",
            "n": 4,
            "out": tmp_path / "run",
            "device": "cpu",
            **changes,
        }
        words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items() if value is not None]
        capsys.readouterr()
        try:
            code = cli.main(["run", *words])
        except SystemExit as end:
            code = int(str(end.code))
        message = capsys.readouterr().err
        assert code == 2, message
        assert "Traceback" not in message
        # The message, and after it, indented, what to do; before it may stand how far the run got.
        start = max(message.rfind("vsc-eval: error: "), message.rfind("vsc-eval run: "))
        assert start >= 0, message
        assert "\n  " in message[start:]
        return message[start:]

    return go


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"model": "vsc-tny"}, "vsc-tny", "vsc-tiny"),
        ({"model": "nobody/no-such-model"}, "nobody/no-such-model", "--model /path"),
        ({"model": "/no/such/folder"}, "/no/such/folder", "vsc-tiny"),
        ({"tasks": "vsc_countin_easy"}, "Unknown task 'vsc_countin_easy'", "vsc_counting_easy"),
        ({"tasks": "vsc_counting_paired", "scoring": "generate"}, "asks each question 2 times", "vsc-eval harness"),
        ({"tasks": "vsc,vsc_counting"}, "Duplicate task 'vsc_counting_easy_choice'", "do not overlap"),
        ({"conditions": "colour"}, "Unknown feature set 'colour'", "Known sets: counting"),
        ({"conditions": "counting+logic"}, "Unknown feature set 'logic'", "Known sets: counting"),
        ({"conditions": "counting+counting"}, "named twice", "Fix the condition"),
        ({"conditions": "counting:scal=2"}, "Unknown modifier 'scal=2'", "scale=X"),
        ({"conditions": "counting:scale=two"}, "'two'", "scale=2"),
        ({"conditions": "baseline:ablate"}, "the baseline takes no edit", "`baseline` alone"),
        ({"intervention": "no-such-intervention"}, "no intervention 'no-such-intervention'", "intervention.yaml"),
        ({"intervention": None}, "There is no intervention", "intervention.yaml"),
        ({"n": 6}, "6", "multiple of 4"),
        ({"n": 0}, "--n: 0 is no positive multiple of 4", "Change the value"),
        ({"tasks": ","}, "--tasks: no task is named", "Change"),
        ({"max_new_tokens": 4}, "--max-new-tokens: it is of the scoring `generate`", "Change"),
        ({"batch_size": 0}, "--batch-size: input should be greater than or equal to 1", "not '0'"),
        ({"limit": "many"}, "--limit: input should be a valid integer", "not 'many'"),
        ({"scoring": "letters"}, "invalid choice: 'letters'", "--help"),
        ({"bath_size": 4}, "unrecognized arguments: --bath-size=4", "Did you mean --batch-size?"),
        ({"device": "gpu9"}, "gpu9", "`cpu`"),
        ({"spec": "/no/such/file.yaml"}, "no file /no/such/file.yaml", "path"),
    ],
)
def test_names_and_numbers(run: Run, tmp_path: Path, changes: dict[str, object], message: str, hint: str) -> None:
    shown = run(**changes)
    assert message in shown
    assert hint in shown
    assert not (tmp_path / "run").exists()  # nothing is left that would refuse the fixed command


def test_layer_out_of_range(run: Run, model: Path, tmp_path: Path) -> None:
    shown = run(intervention=write_intervention(tmp_path / "intervention", model, layer=4))
    assert "layer 4" in shown.lower()
    assert "0 to 3" in shown


def test_sae_of_another_width(run: Run, model: Path, tmp_path: Path) -> None:
    shown = run(intervention=write_intervention(tmp_path / "intervention", model, width=48))
    assert "width 48" in shown
    assert "width 64" in shown
    assert "sae train" in shown


def test_feature_index_out_of_range(run: Run, model: Path, tmp_path: Path) -> None:
    bad = FeatureSet(name="counting", indices=(3, 16), task="counting")
    shown = run(intervention=write_intervention(tmp_path / "intervention", model, sets=(bad,)))
    assert "Feature index 16 of set 'counting' is out of range: the SAE has 16 features" in shown
    assert "0 to 15" in shown


def test_misspelt_key_in_a_intervention(run: Run, model: Path, tmp_path: Path) -> None:
    folder = write_intervention(tmp_path / "intervention", model)
    text = (folder / "intervention.yaml").read_text()
    (folder / "intervention.yaml").write_text(text.replace("layer:", "layr:"))
    shown = run(intervention=folder)
    assert f"{folder / 'intervention.yaml'}:3: layr: unknown key" in shown
    assert "layer" in shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("conditons: []", "spec.yaml:1: conditons: unknown key"),
        ("conditions: [{name: a, sets: [counting], edit: {kind: scale, valu: 2}}]", "valu"),
        ("conditions: [{name: a, sets: [counting], edit: {kind: scale}}]", "needs a `value`"),
        ("conditions:\n- {name: a, sets: [a],\n   edit: {kind: squash, value: 1}}", "yaml:3: conditions[0].edit.kind"),
        ("conditions: [{name: a, sets: [colour], edit: {kind: ablate}}]", "Unknown feature set 'colour'"),
        ("conditions: [", "spec.yaml:1: no YAML: "),
        ("- just\n- a list", "condit"),
    ],
)
def test_mistakes_in_a_spec_file(run: Run, tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text(text)
    assert message in run(spec=file)


@pytest.mark.parametrize("keep", [0, 5, 0.5])
def test_truncated_weights_of_the_model(run: Run, model: Path, tmp_path: Path, keep: float) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(model, folder)
    truncate(folder / "model.safetensors", keep)
    shown = run(model=folder)
    assert str(folder) in shown
    assert "again" in shown


@pytest.mark.parametrize("keep", [0, 5, 0.5])
def test_truncated_weights_of_the_sae(run: Run, intervention: Path, tmp_path: Path, keep: float) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(intervention, folder)
    truncate(folder / "sae" / "sae_weights.safetensors", keep)
    shown = run(intervention=folder)
    assert "sae_weights.safetensors" in shown
    assert "again" in shown


def truncate(path: Path, keep: float) -> None:
    """Keep a share of the file, or, from 1 on, so many bytes."""
    data = path.read_bytes()
    path.write_bytes(data[: int(keep if keep >= 1 else keep * len(data))])


def test_a_model_that_is_no_vlm(run: Run, tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path / "llama"
    config = LlamaConfig(vocab_size=16, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    LlamaForCausalLM(config).save_pretrained(folder)
    shown = run(model=folder)
    assert "no vision-language model" in shown
    assert "llama" in shown
    assert "Choose a VLM" in shown


def test_a_folder_that_is_no_model(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "empty" in run(model=tmp_path / "empty")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    assert "broken" in run(model=tmp_path / "broken")


def test_a_run_folder_of_another_spec(run: Run, model: Path, intervention: Path, tmp_path: Path) -> None:
    words = (
        f"run --model {model} --intervention {intervention} --tasks vsc_counting_easy --n 4 --device cpu "
        f"--out {tmp_path / 'run'}"
    )
    assert cli.main(words.split()) == 0
    before = (tmp_path / "run" / "results.json").read_bytes()
    shown = run(n=8, seed=3)
    assert "holds a run of another spec" in shown
    assert "n: there 4, now 8" in shown
    assert "seed: there 0, now 3" in shown
    assert "conditions: there" in shown
    assert "--out" in shown
    assert (tmp_path / "run" / "results.json").read_bytes() == before
    (tmp_path / "run" / "run.yaml").write_text("settings: [")
    assert "run.yaml is damaged" in run()


def test_a_folder_of_other_files(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    shown = run(out=tmp_path)
    assert "notes.txt" in shown
    assert "new or empty folder" in shown
    assert [path.name for path in tmp_path.iterdir() if path.name != ".lock"] == ["notes.txt"]


@pytest.mark.parametrize("place", ["file/run", "/proc/run", "/dev/full"])
def test_an_unwritable_folder(run: Run, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    shown = run(out=tmp_path / place)
    assert "cannot be used as a run folder" in shown
    assert "--out" in shown


@contextmanager
def largest_file(n_bytes: int) -> Iterator[None]:
    """No file of this process may grow beyond `n_bytes`: writes then fail as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(("n_bytes", "stage"), [(300, "run.yaml"), (9_000, "answers"), (75_000, "lm_eval")])
def test_a_full_disk_at_any_stage(
    run: Run, model: Path, intervention: Path, tmp_path: Path, n_bytes: int, stage: str
) -> None:
    with largest_file(n_bytes):
        shown = run(n=40, batch_size=64)
    assert stage in shown
    assert "disk" in shown
    words = (
        f"run --model {model} --intervention {intervention} --tasks vsc_counting_easy --conditions counting "
        f"--n 40 --device cpu"
    )
    assert cli.main([*words.split(), "--out", str(tmp_path / "run")]) == 0  # with room again, it goes on
    assert json.loads((tmp_path / "run" / "results.json").read_text())["rows"]


def test_a_damaged_answer_store(run: Run, model: Path, intervention: Path, tmp_path: Path) -> None:
    words = (
        f"run --model {model} --intervention {intervention} --tasks vsc_counting_easy --conditions counting "
        f"--n 4 --device cpu"
    )
    assert cli.main([*words.split(), "--out", str(tmp_path / "run")]) == 0
    (tmp_path / "run" / "answers.sqlite").write_bytes(b"not a database, " * 500)
    shown = run()
    assert "answers.sqlite is damaged" in shown
    assert "Delete that file" in shown


def test_two_conditions_of_one_name(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    condition = {"name": "counting", "sets": ["counting"], "edit": {"kind": "ablate"}}
    file.write_text(yaml.safe_dump({"conditions": [condition]}))
    assert "Two conditions are named 'counting'" in run(spec=file)


def test_the_installed_command_gives_the_exit_code_and_the_message(model: Path, tmp_path: Path) -> None:
    """The same through a real process, without pytest's capture around it."""
    command = [sys.executable, "-m", "vsc_eval.cli.main", "run", "--model", str(model), "--conditions", "counting"]
    ended = subprocess.run(
        [*command, "--intervention", "nowhere", "--out", str(tmp_path / "run")], capture_output=True, text=True
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    first, second = ended.stderr.splitlines()
    assert first == "vsc-eval: error: There is no intervention 'nowhere'."
    assert second.startswith("  Hint: Give a folder with an intervention.yaml")
