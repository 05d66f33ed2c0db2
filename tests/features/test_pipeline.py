"""Harvest, train, select and splice on an untrained model of the embedded one's make."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from small_vlm import untrained_vsc_tiny

from vsc_eval.backends.hf.decoder import find_decoder
from vsc_eval.backends.hf.forward import layer_outputs
from vsc_eval.backends.hf.load import LoadedVLM, load_vlm
from vsc_eval.backends.hf.prompts import encode_prompts
from vsc_eval.cli.main import main
from vsc_eval.errors import BackendError, DataError, SpecError
from vsc_eval.features.harvest import LayerReader, benchmark_items, endless_shuffled_prompts, to_prompt
from vsc_eval.features.sae_select import QUALITY_FILE, SelectSpec, select_sets
from vsc_eval.features.sae_train import CHECKPOINT_FILE, SAETrainSpec, train_sae_for
from vsc_eval.interventions.edits import compile_condition
from vsc_eval.interventions.intervention import load_intervention
from vsc_eval.interventions.select import SelectionRule
from vsc_eval.sae.readers.saelens import load_sae
from vsc_eval.sae.train import TrainConfig, TrainProgress
from vsc_eval.specs import Positions, parse_condition

LAYER = 2
TASKS = ("counting", "existence")
SAE_SPEC = SAETrainSpec(
    model="untrained",
    layer=LAYER,
    tasks=TASKS,
    items_per_cell=4,
    batch_size=8,
    train=TrainConfig(d_sae=96, k=4, n_tokens=6_000, batch_size=500, mix_tokens=1_000, warmup_steps=2),
)
SELECT_SPEC = SelectSpec(
    model="untrained", tasks=TASKS, items_per_cell=4, rule=SelectionRule(m=2, min_frequency=0.0), batch_size=8
)


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    untrained_vsc_tiny(folder)
    return folder


@pytest.fixture(scope="module")
def vlm(model_folder: Path) -> LoadedVLM:
    return load_vlm(str(model_folder))


@pytest.fixture(scope="module")
def trained(vlm: LoadedVLM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sae")
    assert train_sae_for(SAE_SPEC, folder, vlm=vlm) is not None
    return folder


@pytest.mark.parametrize("positions", ["all", "image", "text", "last"])
def test_collect_is_the_layers_output_at_the_positions(vlm: LoadedVLM, positions: Positions) -> None:
    prompts = [to_prompt(item) for item in benchmark_items("sae", TASKS, 4)[::5]]
    chunks = list(LayerReader(vlm, LAYER, positions, 3).collect(prompts))
    expected = []
    for start in range(0, len(prompts), 3):
        inputs = encode_prompts(vlm, prompts[start : start + 3])
        h = layer_outputs(vlm.model, find_decoder(vlm.model), inputs.tensors, (LAYER,))[LAYER]
        for row in range(inputs.n_items):
            real, image = inputs.attention_mask[row].bool(), inputs.image_mask[row]
            chosen = {"all": real, "image": real & image, "text": real & ~image, "last": torch.zeros_like(real)}[
                positions
            ]
            chosen[-1] |= positions == "last"  # prompts are padded on the left
            expected.append(h[row][chosen])
    assert [c.dtype for c in chunks] == [torch.float32] * len(chunks)
    assert torch.equal(torch.cat(chunks), torch.cat(expected).float())


def test_skipped_tokens_leave_the_rest_as_it_is(vlm: LoadedVLM) -> None:
    prompts = [to_prompt(item) for item in benchmark_items("sae", TASKS, 4)[:6]]
    reader = LayerReader(vlm, LAYER, "all", 2)
    whole = torch.cat(list(reader.collect(prompts)))
    for skip in (0, 10, 700, len(whole) - 1):
        assert torch.equal(torch.cat(list(reader.collect(prompts, skip_tokens=skip))), whole[skip:])
    assert not list(reader.collect(prompts, skip_tokens=len(whole)))


def test_epochs_show_every_item_in_another_order() -> None:
    items = benchmark_items("sae", ("logic",), 4)
    prompts = endless_shuffled_prompts(items, seed=0)
    first, second = ([next(prompts).image_hash for _ in items] for _ in range(2))
    assert sorted(first) == sorted(second) == sorted(to_prompt(item).image_hash for item in items)
    assert first != second


class KilledError(Exception):
    """Stands for kill -9: nothing behind it runs."""


def test_a_killed_training_ends_in_the_same_sae(vlm: LoadedVLM, trained: Path, tmp_path: Path) -> None:
    def kill(progress: TrainProgress) -> None:
        if progress.step == 7:
            raise KilledError

    with pytest.raises(KilledError):
        train_sae_for(SAE_SPEC, tmp_path, vlm=vlm, checkpoint_every=4, callback=kill)
    assert [p.name for p in tmp_path.iterdir()] == [CHECKPOINT_FILE]
    seen: list[TrainProgress] = []
    resumed = train_sae_for(SAE_SPEC, tmp_path, vlm=vlm, callback=seen.append)
    assert resumed is not None
    assert seen[0].step == 5
    assert resumed.sae.fingerprint() == load_sae(trained).fingerprint()
    assert not (tmp_path / CHECKPOINT_FILE).exists()


def test_training_again_into_the_same_folder(vlm: LoadedVLM, trained: Path) -> None:
    assert train_sae_for(SAE_SPEC, trained, vlm=vlm) is None
    other = SAE_SPEC.model_copy(update={"positions": "image"})
    with pytest.raises(SpecError, match=r"trained with other settings \(positions\)"):
        train_sae_for(other, trained, vlm=vlm)


def test_selection_writes_a_intervention_that_works(vlm: LoadedVLM, trained: Path, tmp_path: Path) -> None:
    stages: dict[str, int] = {}

    def count(stage: str, done: int, total: int) -> None:
        assert total == (96 if stage == "stability" else 24)
        stages[stage] = stages.get(stage, 0) + done

    selected = select_sets(SELECT_SPEC, trained, tmp_path, vlm=vlm, progress=count)
    assert stages == {"features": 24, "plain model": 24, "SAE spliced in": 24, "stability": 96}
    intervention = load_intervention(tmp_path, d_model=find_decoder(vlm.model).d_model)
    assert intervention.spec == selected.intervention
    assert intervention.spec.layer == LAYER
    assert list(intervention.sets) == list(TASKS)
    chosen = intervention.sets["counting"]
    assert chosen.provenance["model_fingerprint"] == vlm.fingerprint
    assert chosen.provenance["sae_fingerprint"] == intervention.sae.fingerprint() == load_sae(trained).fingerprint()
    assert chosen.provenance["split"] == "select"
    condition = parse_condition("counting+existence", intervention.spec.default_edit)
    assert len(compile_condition(condition, intervention.sets, intervention.sae, LAYER).union) == 4
    quality = json.loads((tmp_path / QUALITY_FILE).read_text())
    assert quality == selected.quality.model_dump()
    assert 0 < quality["reconstruction"]["fvu"] < 1
    assert 0 < quality["reconstruction"]["mean_l0"] <= 4


def test_harvest_does_not_depend_on_the_batches(vlm: LoadedVLM, trained: Path) -> None:
    sae = load_sae(trained)
    prompts = [to_prompt(item) for item in benchmark_items("select", TASKS, 4)[:6]]
    one, _, quality_of_one = LayerReader(vlm, LAYER, "text", 1).harvest(prompts, sae, "mean")
    three, _, quality_of_three = LayerReader(vlm, LAYER, "text", 3).harvest(prompts, sae, "mean")
    torch.testing.assert_close(one.values, three.values, rtol=1e-3, atol=1e-4)
    assert quality_of_one.n_tokens == quality_of_three.n_tokens


def test_splicing_the_same_state_in_changes_nothing_and_another_one_does(vlm: LoadedVLM) -> None:
    prompts = [to_prompt(item) for item in benchmark_items("select", TASKS, 4)[:3]]
    plain, same, other = (
        LayerReader(vlm, LAYER, "all", 2).option_logprobs(prompts, replace)
        for replace in (None, lambda h: h, lambda h: torch.roll(h, 1, -1))
    )
    assert plain.shape == (3, 4)
    assert (plain.exp().sum(1) < 1).all()
    assert torch.equal(plain, same)
    assert not torch.allclose(plain, other)


def test_what_does_not_fit_is_refused(vlm: LoadedVLM, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="Layer 99 does not exist"):
        train_sae_for(SAE_SPEC.model_copy(update={"layer": 99}), tmp_path, vlm=vlm)
    with pytest.raises(SpecError, match="Unknown task 'countin'"):
        train_sae_for(SAE_SPEC.model_copy(update={"tasks": ("countin",)}), tmp_path, vlm=vlm)
    for tasks in ((), ("counting", "counting")):
        with pytest.raises(ValidationError, match="at least one task, and each only once"):
            SAETrainSpec.model_validate({**SAE_SPEC.model_dump(), "tasks": tasks})
    config = json.loads((trained / "cfg.json").read_text())
    config["metadata"]["model_fingerprint"] = "another"
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    (stranger / "cfg.json").write_text(json.dumps(config))
    (stranger / "sae_weights.safetensors").write_bytes((trained / "sae_weights.safetensors").read_bytes())
    with pytest.raises(DataError, match="was trained on other weights"):
        select_sets(SELECT_SPEC, stranger, tmp_path / "intervention", vlm=vlm)
    del config["metadata"]["layer"], config["metadata"]["hook_name"]
    (stranger / "cfg.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match="does not say its layer"):
        select_sets(SELECT_SPEC, stranger, tmp_path / "intervention", vlm=vlm)
    assert not (tmp_path / "intervention").exists()
    (tmp_path / "file").touch()
    with pytest.raises(BackendError, match="cannot be written"):
        train_sae_for(SAE_SPEC, tmp_path / "file" / "sae", vlm=vlm)
    with pytest.raises(BackendError, match="cannot be written"):
        select_sets(SELECT_SPEC, trained, tmp_path / "file", vlm=vlm)


def test_command_line(model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--model", str(model_folder), "--tasks", *TASKS, "--items-per-cell", "4"]
    sae = str(tmp_path / "intervention" / "sae")
    train = ["sae", "train", *common, "--layer", "2", "--out", sae, "--d-sae", "64", "--k", "4", "--tokens", "3000"]
    assert main(train) == 0
    assert "2,048 tokens" in capsys.readouterr().out
    assert main(train) == 0
    assert "nothing to do" in capsys.readouterr().out
    select = [
        "sae",
        "select",
        *common,
        "--sae",
        sae,
        "--out",
        str(tmp_path / "intervention"),
        "--m",
        "2",
        "--min-freq",
        "0",
    ]
    assert main([*select, "--score", "diff_of_means", "--edit", "scale=3:image"]) == 0
    printed = " ".join(capsys.readouterr().out.split())  # titles are folded
    for figure in (
        "fraction of variance unexplained",
        "dead features",
        "mean L0",
        "accuracy, plain -> spliced",
        "counting",
        "stability",
        "No feature is in two sets",
        "Decoder rows: mean max cosine",
        "Mean directions: cosine",
    ):
        assert figure in printed
    intervention = load_intervention(tmp_path / "intervention").spec
    assert intervention.sae == "sae"
    small = ["intervention.yaml", "overlap.json", QUALITY_FILE, "sae", "select.json", "stability.json"]
    assert sorted(p.name for p in (tmp_path / "intervention").iterdir()) == small
    assert (intervention.default_edit.value, intervention.default_edit.positions) == (3.0, "image")
    assert intervention.sets[0].provenance["rule_score"] == "diff_of_means"
    assert main([*select, "--score", "diff_of_means", "--edit", "scale=3:image"]) == 0
    assert "holds this selection already" in capsys.readouterr().out
    assert main([*train, "--lr", "-1"]) == 2
    assert "--lr: input should be greater than 0" in capsys.readouterr().err
    assert main([*select, "--edit", "scale=much"]) == 2
    assert "not a number" in capsys.readouterr().err
