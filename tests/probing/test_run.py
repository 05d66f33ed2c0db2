"""From a model to the chosen layer: resuming, reading back, the command line and the figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.cli.main import main
from vsc_eval.errors import BackendError, DataError, SpecError
from vsc_eval.probing.activations import Activations, draw_samples, pooled_layers, to_prompt
from vsc_eval.probing.probes import rounding_of, run_probing
from vsc_eval.probing.records import LayerRule, ProbingResult, ProbingSpec
from vsc_eval.probing.show import probe_figure

TASKS = ("counting", "existence")
SPEC = ProbingSpec(
    model="untrained", tasks=TASKS, items_per_cell=8, test_items_per_cell=4, folds=2, random_draws=2, batch_size=10
)


@pytest.fixture(scope="module")
def out(vlm: LoadedVLM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("probing")
    run_probing(SPEC, folder, vlm=vlm)
    return folder


@pytest.fixture(scope="module")
def result(out: Path) -> ProbingResult:
    return ProbingResult.model_validate_json((out / "probing.json").read_bytes())


def test_the_result_is_complete(result: ProbingResult, vlm: LoadedVLM) -> None:
    assert result.n_layers == 4
    assert result.model_fingerprint == vlm.fingerprint
    assert result.chance == {"task": 1 / 2, "level": 1 / 3}
    assert len(result.rows) == 2 * 3 * 5 * 4
    assert 0 <= result.layer <= 2
    (chosen,) = [choice for choice in result.choices if choice.pooling == "text"]
    assert chosen.layer == result.layer
    accuracies = [result.row("task", "text", layer).test_accuracy for layer in range(3)]
    assert chosen.accuracy == max(a for a in accuracies if a is not None)
    assert accuracies.index(chosen.accuracy) == result.layer
    # The picture comes first and its tokens see nothing of the question: without a picture of its own, nothing is left.
    grey = result.row("task", "image", 2, "blank_image")
    assert (grey.n_constant, grey.test_accuracy) == (result.d_model, 0.5)
    assert result.row("task", "image", 2, "text_only").reason == "these prompts have no image tokens"
    # Nothing but the same token in all prompts.
    assert result.row("task", "last", -1).n_constant == result.d_model


def test_stored_activations_are_the_items_own(vlm: LoadedVLM, out: Path) -> None:
    samples = draw_samples(SPEC)
    stored = Activations(out / "activations", samples, SPEC.seed, SPEC.batch_size)
    for kind, index in (("real", 5), ("real", 30), ("blank_image", 13), ("text_only", 46)):
        item = samples["train"].items[index]
        alone = pooled_layers(vlm, [to_prompt(item, kind)])  # type: ignore[arg-type]
        for pooling in ("last", "text"):
            found = stored.features(kind, "train", 1, pooling)  # type: ignore[arg-type]
            assert found is not None
            assert found.shape == (48, 48)
            np.testing.assert_allclose(found[index], alone[1, pooling][0].numpy(), rtol=1e-3, atol=1e-4)  # type: ignore[index]


class KilledError(Exception):
    """Stands for kill -9: nothing behind it runs."""


@pytest.mark.parametrize("stage", ["real pictures", "text alone", "probes"])
def test_a_killed_run_ends_in_the_same_result(
    stage: str, vlm: LoadedVLM, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(name: str, done: int, total: int) -> None:
        if name == stage:
            raise KilledError

    monkeypatch.setattr("vsc_eval.probing.activations._PROMPTS_A_CHUNK", 20)
    with pytest.raises(KilledError):
        run_probing(SPEC, tmp_path, vlm=vlm, progress=kill)
    shown = []
    real = pooled_layers

    def counting(vlm: LoadedVLM, prompts: list[Any]) -> Any:
        shown.append(len(prompts))
        return real(vlm, prompts)

    monkeypatch.setattr("vsc_eval.probing.activations.pooled_layers", counting)
    told: dict[str, list[int]] = {}
    run_probing(SPEC, tmp_path, vlm=vlm, progress=lambda name, n, total: told.setdefault(name, [0, total]).append(n))
    assert (tmp_path / "probing.json").read_bytes() == (out / "probing.json").read_bytes()
    assert sum(shown) == {"real pictures": 88, "text alone": 6, "probes": 0}[stage]
    assert all(sum(ns) == total for _, total, *ns in told.values())
    assert list(told) == ["real pictures", "blank picture", "text alone", "probes"]


def test_a_finished_result_is_read_back(vlm: LoadedVLM, out: Path, result: ProbingResult) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("something was computed")

    assert run_probing(SPEC, out, vlm=vlm, progress=never) == result
    other = SPEC.model_copy(update={"C": 1.0, "rule": LayerRule(kind="selectivity")})
    with pytest.raises(SpecError, match=r"other settings \(C, rule\)"):
        run_probing(other, out, vlm=vlm)


def test_a_damaged_result_is_refused(vlm: LoadedVLM, tmp_path: Path) -> None:
    (tmp_path / "probing.json").write_text('{"layer": 2}')
    with pytest.raises(DataError, match="cannot be read"):
        run_probing(SPEC, tmp_path, vlm=vlm)


def test_stored_activations_of_other_settings_or_damaged_ones_are_refused(
    vlm: LoadedVLM, out: Path, tmp_path: Path
) -> None:
    samples = draw_samples(SPEC)
    with pytest.raises(SpecError, match="of another model, of other items or of other settings"):
        Activations(out / "activations", samples, SPEC.seed + 1, SPEC.batch_size).harvest(vlm)
    broken = tmp_path / "activations" / "real-train-0000.safetensors"
    broken.parent.mkdir()
    broken.write_bytes((out / "activations" / broken.name).read_bytes()[:100])
    with pytest.raises(DataError, match=r"real-train-0000.*cannot be read.*made again"):
        Activations(tmp_path / "activations", samples, SPEC.seed, SPEC.batch_size).harvest(vlm)


def test_what_cannot_be_done_is_said_before_the_work(vlm: LoadedVLM, tmp_path: Path) -> None:
    last = SPEC.model_copy(update={"rule": LayerRule(kind="fixed", layer=3)})
    with pytest.raises(SpecError, match="Choose a layer from 0 to 2"):
        run_probing(last, tmp_path, vlm=vlm)
    (tmp_path / "file").touch()
    with pytest.raises(BackendError, match="cannot be written"):
        run_probing(SPEC, tmp_path / "file", vlm=vlm)


def test_rounding_grows_with_the_type_of_the_weights() -> None:
    assert rounding_of(torch.float32) == 1e-5
    assert rounding_of(torch.bfloat16) == 2**-9


def test_a_fixed_layer_is_taken_and_the_probes_still_shown(vlm: LoadedVLM, out: Path, tmp_path: Path) -> None:
    (tmp_path / "activations").symlink_to(out / "activations")
    fixed = SPEC.model_copy(update={"rule": LayerRule(kind="fixed", layer=1)})
    result = run_probing(fixed, tmp_path, vlm=vlm)
    assert result.layer == 1
    assert result.choices == ()
    assert result.chosen_by.startswith("layer 1: fixed by the spec")
    assert len(result.rows) == 120


def _has(pixels: Any, colour: tuple[int, int, int]) -> bool:
    return bool((np.abs(pixels.astype(int) - colour).max(-1) < 3).any())


def test_the_figure_shows_every_curve(result: ProbingResult, tmp_path: Path) -> None:
    probe_figure(result, tmp_path / "probes.png")
    picture = np.asarray(Image.open(tmp_path / "probes.png").convert("RGB"))
    height, width = picture.shape[:2]
    middles = ((0.05, 0.34), (0.38, 0.66), (0.70, 0.99))
    panels = [picture[: int(0.88 * height), int(left * width) : int(right * width)] for left, right in middles]
    real, text_alone, chosen = (0x00, 0x72, 0xB2), (0x00, 0x9E, 0x73), (0xEB, 0xCF, 0xDF)
    assert [_has(panel, real) for panel in panels] == [True, True, True]
    assert [_has(panel, text_alone) for panel in panels] == [True, False, True]
    assert [_has(panel, chosen) for panel in panels] == [False, False, True]
    assert [path.name for path in tmp_path.iterdir()] == ["probes.png"]


def test_command_line(vlm_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["probe", "--model", str(vlm_folder), "--out", str(tmp_path / "out"), "--tasks", *TASKS]
    small = ["--items-per-cell", "4", "--test-items-per-cell", "4", "--folds", "2", "--random-draws", "1"]
    assert main([*command, *small, "--rule", "earliest"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for words in (
        "embeddings",
        "last tokens",
        "chance 0.500",
        "24 test items in 6 orbits",
        "Chosen layer",
        "earliest layer within 0.02 of the best",
        "the other poolings would have chosen: last tokens layer",
    ):
        assert words in printed
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["activations", "probes.png", "probing.json"]
    assert main([*command, *small, "--rule", "fixed"]) == 2
    assert "the rule `fixed` needs `layer`" in capsys.readouterr().err
    assert main([*command, "--items-per-cell", "5"]) == 2
    assert "--items-per-cell: 5 is no positive multiple of 4" in capsys.readouterr().err
    spec = tmp_path / "spec.yaml"
    spec.write_text(f"model: {vlm_folder}\nitem_per_cell: 4\n")
    assert main(["probe", "--spec", str(spec), "--out", str(tmp_path / "other")]) == 2
    assert f"{spec}:2: item_per_cell: unknown key" in capsys.readouterr().err
    assert main([*command, "--spec", str(spec)]) == 2
    assert "are both given" in capsys.readouterr().err
