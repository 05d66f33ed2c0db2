"""Choose one feature set per task by the selection rule, on the benchmark's `select` split, and judge the SAE."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field
from torch import Tensor

from vsc_eval.errors import DataError
from vsc_eval.files import ensure_writable, replacing
from vsc_eval.interventions.select import SelectionRule, select_features
from vsc_eval.interventions.suite import save_suite
from vsc_eval.pipeline.benchmark import benchmark_items, prompts_of
from vsc_eval.pipeline.harvest import Positions, harvest_items, option_logprobs
from vsc_eval.records import Record
from vsc_eval.sae.io import load_sae, read_sae_metadata, save_sae
from vsc_eval.sae.model import SAE
from vsc_eval.sae.quality import ReconstructionQuality, SpliceQuality, splice_quality
from vsc_eval.specs import EditSpec, InterventionSuite, Spec
from vsc_eval.synth import GENERATOR_VERSION, LETTERS, TASKS, Item
from vsc_eval.vlm.decoder import find_decoder
from vsc_eval.vlm.load import LoadedVLM, load_vlm

QUALITY_FILE = "quality.json"
SPLIT = "select"


class SelectSpec(Spec):
    """`vsc-eval sae select`."""

    model: str
    """Embedded model, path or hub id; the one that the SAE was trained on."""
    revision: str | None = None
    rule: SelectionRule = SelectionRule()
    default_edit: EditSpec | None = None
    """Edit of a condition that names none; None: scale by 2 at the positions that the SAE was trained on."""
    tasks: tuple[str, ...] = TASKS
    items_per_cell: int | None = None
    """Items of each (task, level); None: the split's default size."""
    batch_size: int = Field(default=16, gt=0)
    """Prompts a model forward."""


class SAEQuality(Record):
    """`quality.json`: the SAE on the items that the sets were selected on."""

    split: str
    reconstruction: ReconstructionQuality
    splice: SpliceQuality


@dataclass(frozen=True, eq=False)
class Selected:
    """What `select_sets` wrote."""

    suite: InterventionSuite
    path: Path
    quality: SAEQuality


Progress = Callable[[str, int, int], None]
"""Told of (stage, items just done, items of the stage)."""


def select_sets(
    spec: SelectSpec,
    sae_folder: Path,
    out: Path,
    *,
    vlm: LoadedVLM | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> Selected:
    """Write `suite.yaml` (one set per task), `quality.json` and, unless it is there already, the SAE into `out`.

    Layer and positions are those that the SAE was trained for. Raises DataError if the SAE is damaged, of another width
    or trained on other weights than the model's, or if a task has too few eligible features; BackendError if `out`
    cannot be written.
    """
    vlm = vlm or load_vlm(spec.model, revision=spec.revision)
    sae = load_sae(sae_folder, d_model=find_decoder(vlm.model).d_model)
    metadata = read_sae_metadata(sae_folder)
    layer, positions = _trained_at(metadata, sae_folder, vlm)
    sae.to(vlm.device)
    ensure_writable(out)
    items = benchmark_items(SPLIT, spec.tasks, spec.items_per_cell)
    harvest = harvest_items(
        vlm,
        layer,
        prompts_of(items),
        positions,
        spec.batch_size,
        sae,
        spec.rule.pooling,
        lambda n: progress("features", n, len(items)),
    )
    provenance: dict[str, str | int | float | bool | None] = {
        "split": SPLIT,
        "positions": positions,
        "layer": layer,
        "model_fingerprint": vlm.fingerprint,
        "sae_fingerprint": sae.fingerprint(),
        "generator_version": GENERATOR_VERSION,
        "items_per_cell": spec.items_per_cell,
    }
    sets = select_features(harvest.pooled, [item.task for item in items], spec.rule, provenance=provenance)
    quality = SAEQuality(
        split=SPLIT,
        reconstruction=harvest.meter.result(),
        splice=_splice(vlm, sae, layer, positions, items, spec.batch_size, progress),
    )
    suite = InterventionSuite(
        model=spec.model,
        layer=layer,
        sae=_place_sae(sae, sae_folder, out, metadata),
        default_edit=spec.default_edit or EditSpec(kind="scale", value=2.0, positions=positions),
        sets=sets,
    )
    with replacing(out / QUALITY_FILE) as partial:
        partial.write_text(quality.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return Selected(suite, save_suite(suite, out), quality)


def _trained_at(metadata: dict[str, Any], folder: Path, vlm: LoadedVLM) -> tuple[int, Positions]:
    for key in ("layer", "positions", "model_fingerprint"):
        if key not in metadata:
            raise DataError(
                f"The SAE in {folder} does not say its {key}.", mend="Use an SAE that `vsc-eval sae train` wrote."
            )
    if metadata["model_fingerprint"] != vlm.fingerprint:
        raise DataError(
            f"The SAE in {folder} was trained on other weights than those of '{vlm.name}'.",
            mend="Train it again with `vsc-eval sae train`, or give the model it was trained on.",
        )
    return metadata["layer"], metadata["positions"]


def _splice(
    vlm: LoadedVLM, sae: SAE, layer: int, positions: Positions, items: list[Item], batch_size: int, progress: Progress
) -> SpliceQuality:
    def run(replace: Callable[[Tensor], Tensor] | None) -> Tensor:
        stage = "plain model" if replace is None else "SAE spliced in"
        return option_logprobs(
            vlm,
            layer,
            prompts_of(items),
            positions,
            batch_size,
            LETTERS,
            replace,
            lambda n: progress(stage, n, len(items)),
        )

    return splice_quality(run, sae, [item.gold for item in items])


def _place_sae(sae: SAE, sae_folder: Path, out: Path, metadata: dict[str, Any]) -> str:
    """Path of the SAE relative to the suite; one from elsewhere is copied to `out/sae`: a suite can travel."""
    if sae_folder.resolve().is_relative_to(out.resolve()):
        return sae_folder.resolve().relative_to(out.resolve()).as_posix()
    save_sae(sae, out / "sae", metadata)
    return "sae"
