"""What a selection keeps, what it uses again, and SAEs that do not say where they belong."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from small_vlm import write_small_vlm

from vsc_eval.backends.hf.load import LoadedVLM, load_vlm
from vsc_eval.errors import DataError, SpecError
from vsc_eval.features.harvest import LayerReader, benchmark_items, to_prompt
from vsc_eval.features.options import SAESource
from vsc_eval.features.sae_select import SelectSpec, select_sets, select_tables
from vsc_eval.interventions.controls import matched_random_sets, permuted_label_sets
from vsc_eval.interventions.harvest import ITEMS_FILE, SCORES_FILE, TENSORS_FILE, load_harvest
from vsc_eval.interventions.intervention import load_intervention
from vsc_eval.interventions.select import SelectionRule
from vsc_eval.sae.model import SAE, Activation, SAEConfig
from vsc_eval.sae.readers.files import load_tensors
from vsc_eval.sae.readers.saelens import load_sae, read_sae_metadata, save_sae

LAYER, D_SAE = 1, 80
TASKS = ("counting", "existence")
SPEC = SelectSpec(
    model="untrained",
    tasks=TASKS,
    items_per_cell=4,
    rule=SelectionRule(m=3, min_frequency=0.0),
    batch_size=8,
    stability_draws=5,
)
KEPT = {
    "intervention.yaml",
    "quality.json",
    "overlap.json",
    "stability.json",
    "select.json",
    ITEMS_FILE,
    TENSORS_FILE,
    SCORES_FILE,
    "sae",
}


@pytest.fixture(scope="module")
def vlm(tmp_path_factory: pytest.TempPathFactory) -> LoadedVLM:
    sizes = {"vision_depth": 1, "n_layers": 3, "d_model": 32, "head_dim": 16, "d_mlp": 32, "mrope_section": (4, 2, 2)}
    return load_vlm(write_small_vlm(tmp_path_factory.mktemp("model"), canvas_px=64, **sizes))


def random_sae(vlm: LoadedVLM, activation: Activation = "topk") -> SAE:
    generator = torch.Generator().manual_seed(3)
    sae = SAE(SAEConfig(d_in=vlm.decoder.d_model, d_sae=D_SAE, k=6, activation=activation)).requires_grad_(False)
    sae.W_enc.copy_(torch.randn(sae.W_enc.shape, generator=generator))
    sae.W_dec.copy_(torch.nn.functional.normalize(torch.randn(sae.W_dec.shape, generator=generator), dim=1))
    return sae


@pytest.fixture(scope="module")
def sae_folder(vlm: LoadedVLM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("elsewhere")
    save_sae(random_sae(vlm), folder, {"layer": LAYER, "positions": "text", "model_fingerprint": vlm.fingerprint})
    return folder


@pytest.fixture(scope="module")
def intervention(vlm: LoadedVLM, sae_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("intervention")
    select_sets(SPEC, sae_folder, folder, vlm=vlm)
    return folder


@contextmanager
def counted_forwards(vlm: LoadedVLM) -> Iterator[list[int]]:
    """Grows by one with every forward that reaches the decoder's first layer."""
    forwards: list[int] = []
    handle = vlm.decoder.layers[0].register_forward_pre_hook(lambda *_: forwards.append(1))
    try:
        yield forwards
    finally:
        handle.remove()


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_harvest_is_kept_with_its_items(vlm: LoadedVLM, intervention: Path) -> None:
    assert {p.name for p in intervention.iterdir()} == KEPT
    items = benchmark_items("select", TASKS, 4)
    harvest = load_harvest(intervention)
    assert harvest.item_ids == tuple(item.id for item in items)
    assert harvest.tasks == tuple(item.task for item in items)
    assert harvest.orbits == tuple(item.orbit_id for item in items)
    assert harvest.origin["sae_fingerprint"] == load_intervention(intervention).sae.fingerprint()
    reader = LayerReader(vlm, LAYER, "text", 8)
    pooled, firing, _ = reader.harvest(map(to_prompt, items), load_intervention(intervention).sae, "mean")
    assert torch.equal(harvest.pooled.values, pooled.values)
    assert torch.equal(harvest.pooled.fired, pooled.fired)
    assert harvest.pooled.fired.dtype == torch.bool
    assert torch.equal(harvest.firing.mean, firing.mean)
    # k = 6 of the features fire on every token, if their pre-activations are positive.
    assert 0 < float(harvest.firing.frequency.sum()) <= 6 + 1e-4


def load_scores(folder: Path) -> tuple[tuple[str, ...], torch.Tensor]:
    """Tasks, and the scores [tasks, F] of every feature, selected or not."""
    tensors, metadata = load_tensors(folder / SCORES_FILE, "")
    return tuple(json.loads(metadata["made_by"])["tasks"]), tensors["scores"]


def test_every_feature_has_its_score(intervention: Path) -> None:
    tasks, scores = load_scores(intervention)
    assert tasks == TASKS
    assert scores.shape == (2, D_SAE)
    for row, chosen in zip(scores, load_intervention(intervention).spec.sets, strict=True):
        assert tuple(row[list(chosen.indices)].tolist()) == chosen.scores
    # With two tasks, what speaks for one speaks against the other.
    torch.testing.assert_close(scores.sum(0), torch.ones(D_SAE, dtype=torch.float64))


def test_controls_are_made_from_what_is_kept(intervention: Path) -> None:
    loaded, harvest = load_intervention(intervention), load_harvest(intervention)
    random = matched_random_sets(loaded.spec.sets, harvest, seed=0, draw=1)
    permuted = permuted_label_sets(harvest, SPEC.rule, seed=0, draw=1)
    assert [s.name for s in (*random, *permuted)] == [f"{t}.{k}.01" for k in ("random", "permuted") for t in TASKS]
    for control in (*random, *permuted):
        assert control.provenance["sae_fingerprint"] == loaded.sae.fingerprint()


def test_a_finished_selection_is_only_read(vlm: LoadedVLM, sae_folder: Path, intervention: Path) -> None:
    before = contents(intervention)
    with counted_forwards(vlm) as forwards:
        again = select_sets(SPEC, sae_folder, intervention, vlm=vlm)
        without = select_sets(SPEC, sae_folder, intervention, vlm=vlm, keep_features=False)
    assert not forwards
    assert again.reused
    assert without.reused
    assert again.intervention == load_intervention(intervention).spec
    assert contents(intervention) == before


def test_sets_that_share_features_get_a_table_of_it(vlm: LoadedVLM, sae_folder: Path, intervention: Path) -> None:
    selected = select_sets(SPEC, sae_folder, intervention, vlm=vlm)
    assert [table.title for table in select_tables(selected)][2:] == [
        "Decoder rows: mean max cosine",
        "Mean directions: cosine",
    ]
    shared = selected.overlap.model_copy(update={"jaccard": ((1.0, 0.25), (0.25, 1.0))})
    table = select_tables(dataclasses.replace(selected, overlap=shared))[2]
    assert table.title == "Shared features: Jaccard"
    assert [table.texts(row) for row in table.rows] == [["1 counting", "1.00", "0.25"], ["2 existence", "0.25", "1.00"]]


def test_another_rule_uses_the_same_harvest(
    vlm: LoadedVLM, sae_folder: Path, intervention: Path, tmp_path: Path
) -> None:
    select_sets(SPEC, sae_folder, tmp_path, vlm=vlm)
    other = SPEC.model_copy(update={"rule": SelectionRule(m=2, score="diff_of_means", min_frequency=0.0)})
    with counted_forwards(vlm) as forwards:
        selected = select_sets(other, sae_folder, tmp_path, vlm=vlm, keep_features=False)
    assert not forwards
    assert not selected.reused
    assert [len(s.indices) for s in load_intervention(tmp_path).spec.sets] == [2, 2]
    # The scores beside the kept harvest are those of the new rule.
    assert tuple(load_scores(tmp_path)[1][0, list(selected.intervention.sets[0].indices)].tolist()) == (
        selected.intervention.sets[0].scores
    )
    with counted_forwards(vlm) as forwards:
        pooled = SPEC.model_copy(update={"rule": SelectionRule(m=2, pooling="max", min_frequency=0.0)})
        select_sets(pooled, sae_folder, tmp_path, vlm=vlm, keep_features=False)
    assert len(forwards) == 3, "the features are harvested again, the SAE is not judged again"
    assert not {ITEMS_FILE, TENSORS_FILE, SCORES_FILE} & {p.name for p in tmp_path.iterdir()}


class KilledError(Exception):
    """Stands for kill -9: nothing behind it runs."""


@pytest.mark.parametrize(("stage", "forwards_left"), [("features", 9), ("SAE spliced in", 6), ("stability", 0)])
def test_a_killed_selection_ends_in_the_same_files(
    vlm: LoadedVLM, sae_folder: Path, intervention: Path, tmp_path: Path, stage: str, forwards_left: int
) -> None:
    def kill(at: str, done: int, total: int) -> None:
        if at == stage:
            raise KilledError

    with pytest.raises(KilledError):
        select_sets(SPEC, sae_folder, tmp_path, vlm=vlm, progress=kill)
    with counted_forwards(vlm) as forwards:
        select_sets(SPEC, sae_folder, tmp_path, vlm=vlm)
    assert len(forwards) == forwards_left
    assert contents(tmp_path) == contents(intervention)


@pytest.mark.parametrize("name", ["intervention.yaml", "stability.json", "quality.json", TENSORS_FILE, ITEMS_FILE])
def test_damaged_files_are_made_again(
    vlm: LoadedVLM, sae_folder: Path, intervention: Path, tmp_path: Path, name: str
) -> None:
    for path, content in contents(intervention).items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-7])
    select_sets(SPEC, sae_folder, tmp_path, vlm=vlm)
    assert contents(tmp_path) == contents(intervention)


def test_a_harvest_that_cannot_be_trusted_is_refused(intervention: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no harvest.*sae select --keep-features"):
        load_harvest(tmp_path)
    (tmp_path / ITEMS_FILE).write_bytes((intervention / ITEMS_FILE).read_bytes())
    with pytest.raises(DataError, match=r"features\.safetensors cannot be read"):
        load_harvest(tmp_path)
    (tmp_path / TENSORS_FILE).write_bytes((intervention / TENSORS_FILE).read_bytes())
    assert load_harvest(tmp_path).d_sae == D_SAE
    items = json.loads((intervention / ITEMS_FILE).read_text())
    items["origin"]["sae_fingerprint"] = "another"
    (tmp_path / ITEMS_FILE).write_text(json.dumps(items))
    with pytest.raises(DataError, match="are of different runs"):
        load_harvest(tmp_path)
    (tmp_path / ITEMS_FILE).write_text("{}")
    with pytest.raises(DataError, match=r"features\.json cannot be read"):
        load_harvest(tmp_path)


def from_elsewhere(**source: Any) -> SelectSpec:
    return SPEC.model_copy(update={"source": SAESource(**source)})


def test_an_sae_that_does_not_say_where_it_belongs(vlm: LoadedVLM, intervention: Path, tmp_path: Path) -> None:
    stranger, out = tmp_path / "stranger", tmp_path / "out"
    save_sae(random_sae(vlm), stranger)
    with pytest.raises(DataError, match=r"does not say its layer.*--layer"):
        select_sets(SPEC, stranger, out, vlm=vlm)
    with pytest.raises(DataError, match=r"does not say its positions.*--positions"):
        select_sets(from_elsewhere(layer=LAYER), stranger, out, vlm=vlm)
    with pytest.raises(SpecError, match="Layer 77 does not exist"):
        select_sets(from_elsewhere(layer=77, positions="text"), stranger, out, vlm=vlm)
    assert not out.exists()
    told = from_elsewhere(layer=LAYER, positions="text")
    assert select_sets(told, stranger, out, vlm=vlm).intervention == load_intervention(intervention).spec
    metadata = read_sae_metadata(out / "sae")
    assert (metadata["layer"], metadata["positions"]) == (LAYER, "text")


def test_an_sae_that_says_otherwise_is_not_overruled(vlm: LoadedVLM, sae_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="is an SAE with layer 1, not 2"):
        select_sets(from_elsewhere(layer=2), sae_folder, tmp_path / "out", vlm=vlm)
    with pytest.raises(SpecError, match="was trained for positions text, not all"):
        select_sets(from_elsewhere(positions="all"), sae_folder, tmp_path / "out", vlm=vlm)
    save_sae(random_sae(vlm), tmp_path / "sae", {"layer": LAYER, "positions": "text"})
    with pytest.raises(DataError, match="does not say its model_fingerprint"):
        select_sets(SPEC, tmp_path / "sae", tmp_path / "out", vlm=vlm)
    save_sae(random_sae(vlm), tmp_path / "sae", {"layer": LAYER, "positions": "some", "model_fingerprint": "x"})
    with pytest.raises(DataError, match="says that its positions are 'some'"):
        select_sets(SPEC, tmp_path / "sae", tmp_path / "out", vlm=vlm)


def test_sets_name_the_sae_that_the_intervention_holds(vlm: LoadedVLM, tmp_path: Path) -> None:
    metadata = {"layer": LAYER, "positions": "last", "model_fingerprint": vlm.fingerprint}
    save_sae(random_sae(vlm, "batchtopk"), tmp_path / "sae", metadata)
    select_sets(SPEC, tmp_path / "sae", tmp_path / "out", vlm=vlm)
    assert load_intervention(tmp_path / "out").sets["counting"].provenance["sae_fingerprint"] == (
        load_sae(tmp_path / "out" / "sae").fingerprint()
    )


def test_an_sae_of_another_library_becomes_the_interventions_own(
    vlm: LoadedVLM, intervention: Path, tmp_path: Path
) -> None:
    """The same weights in sparsify's layout give the same sets."""
    sae, d = random_sae(vlm), vlm.decoder.d_model
    folder = tmp_path / "theirs"
    folder.mkdir()
    weights = {"encoder.weight": sae.W_enc.T, "encoder.bias": sae.b_enc, "W_dec": sae.W_dec, "b_dec": sae.b_dec}
    save_file({name: tensor.detach().contiguous() for name, tensor in weights.items()}, folder / "sae.safetensors")
    (folder / "cfg.json").write_text(json.dumps({"d_in": d, "k": 6, "num_latents": D_SAE, "activation": "topk"}))
    spec = from_elsewhere(layer=LAYER, positions="text", layout="sparsify")
    selected = select_sets(spec, folder, tmp_path / "out", vlm=vlm)
    assert [s.indices for s in selected.intervention.sets] == [
        s.indices for s in load_intervention(intervention).spec.sets
    ]
    assert load_intervention(tmp_path / "out").sae.fingerprint() == load_intervention(intervention).sae.fingerprint()
    folder.rename(tmp_path / "out" / "moved")
    assert (
        select_sets(spec, tmp_path / "out" / "moved", tmp_path / "out", vlm=vlm).intervention == selected.intervention
    )
    inside = tmp_path / "new" / "sae"
    inside.parent.mkdir()
    (tmp_path / "out" / "moved").rename(inside)
    with pytest.raises(SpecError, match="is where the intervention keeps its SAE"):
        select_sets(spec, inside, tmp_path / "new", vlm=vlm)
