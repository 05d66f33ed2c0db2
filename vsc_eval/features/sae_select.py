"""Choose one feature set per task by the selection rule, on the benchmark's `select` split, and judge the SAE."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field
from torch import Tensor

from vsc_eval.backends.hf.load import LoadedVLM, load_vlm
from vsc_eval.errors import DataError
from vsc_eval.features.benchmark import benchmark_items, prompts_of
from vsc_eval.features.done import is_done, mark_done, read_record, write_record
from vsc_eval.features.features import (
    ITEMS_FILE,
    SCORES_FILE,
    TENSORS_FILE,
    KeptHarvest,
    drop_harvest,
    harvest_key,
    read_harvest,
    save_harvest,
    save_scores,
)
from vsc_eval.features.features import load_harvest as load_harvest
from vsc_eval.features.harvest import harvest_items, option_logprobs
from vsc_eval.features.site import SAESite, SAESource, place_sae, sae_site
from vsc_eval.files import ensure_writable
from vsc_eval.interventions.harvest import Harvest
from vsc_eval.interventions.intervention import INTERVENTION_FILE, save_intervention
from vsc_eval.interventions.overlap import SetOverlap, set_overlap
from vsc_eval.interventions.select import Scalar, SelectionRule, choose_features, score_table
from vsc_eval.interventions.stability import Stability, set_stability
from vsc_eval.records import Record
from vsc_eval.sae.model import SAE
from vsc_eval.sae.quality import ReconstructionQuality, SpliceQuality, splice_quality
from vsc_eval.settings import ItemsPerCell, ModelSpec, Seed, TaskTypesSpec, with_default
from vsc_eval.specs import EditSpec, InterventionSpec, load_yaml_spec
from vsc_eval.synthetic import GENERATOR_VERSION, LETTERS, Item

QUALITY_FILE = "quality.json"
OVERLAP_FILE = "overlap.json"
STABILITY_FILE = "stability.json"
DONE_FILE = "select.json"
SPLIT = "select"


class SelectSpec(TaskTypesSpec, ModelSpec):
    """`vsc-eval sae select`; the model is the one that the SAE was trained on."""

    rule: SelectionRule = SelectionRule()
    default_edit: EditSpec | None = None
    """Edit of a condition that names none; None: scale by 2 at the positions that the SAE was trained on."""
    items_per_cell: ItemsPerCell | None = None
    """Items of each task and level; unless given, the split's size."""
    batch_size: int = with_default(ModelSpec, "batch_size", 16)
    source: SAESource = SAESource()
    """For an SAE that was made elsewhere."""
    stability_draws: int = Field(default=50, ge=1)
    """Bootstrap samples of orbits on which the selection is repeated."""
    seed: Seed = 0
    """Of those samples."""


class SAEQuality(Record):
    """`quality.json`: the SAE on the items that the sets were selected on."""

    split: str
    reconstruction: ReconstructionQuality
    splice: SpliceQuality
    inputs: str | None = None
    """Hash of model, SAE, layer, positions and items; None in files of earlier versions."""


@dataclass(frozen=True, eq=False)
class Selected:
    """What is in the intervention's folder."""

    intervention: InterventionSpec
    path: Path
    quality: SAEQuality
    overlap: SetOverlap
    stability: Stability
    reused: bool = False
    """Whether all of it was there already."""


Progress = Callable[[str, int, int], None]
"""Told of (stage, items just done, items of the stage)."""


def select_sets(
    spec: SelectSpec,
    sae_folder: Path,
    out: Path,
    *,
    vlm: LoadedVLM | None = None,
    keep_features: bool = True,
    progress: Progress = lambda stage, done, total: None,
) -> Selected:
    """Write an intervention into `out`: `intervention.yaml` with one set per task, the SAE unless it is there
    already, `quality.json`, `overlap.json` and `stability.json`.

    `sae_folder` is an SAE of `vsc-eval sae train` or in any of the layouts that vsc_eval.sae.readers reads. With
    `keep_features` also the harvest (`load_harvest`) and the score of every feature (`load_scores`), which the
    controls of a study need; they are large. What a run that was cut short has finished is used again, and a finished
    selection of the same inputs is only read. Layer and positions are those that the SAE was trained for. Raises
    DataError if the SAE is damaged, of another width or trained on other weights than the model's, or if a task has too
    few eligible features; SpecError if the spec contradicts the SAE; BackendError if `out` cannot be written.
    """
    vlm = vlm or load_vlm(spec.model, **spec.loading())
    site = sae_site(sae_folder, vlm, spec.source)
    ensure_writable(out)
    place, sae = place_sae(site, out)
    sae.to(vlm.device)
    job = _Job(spec, site, place, vlm, sae, benchmark_items(SPLIT, spec.tasks, spec.items_per_cell), progress)
    done = _finished(job, out, keep_features)
    return done or _select(job, out, keep_features)


@dataclass(frozen=True, eq=False)
class _Job:
    spec: SelectSpec
    site: SAESite
    place: str
    """Of the SAE, relative to the intervention."""
    vlm: LoadedVLM
    sae: SAE
    items: list[Item]
    progress: Progress

    @property
    def origin(self) -> dict[str, Scalar]:
        return {
            "split": SPLIT,
            "positions": self.site.positions,
            "layer": self.site.layer,
            "model_fingerprint": self.vlm.fingerprint,
            "sae_fingerprint": self.sae.fingerprint(),
            "generator_version": GENERATOR_VERSION,
            "items_per_cell": self.spec.items_per_cell,
        }

    @property
    def item_ids(self) -> tuple[str, ...]:
        return tuple(item.id for item in self.items)

    def key(self) -> str:
        """Hash of what the figures of the SAE depend on."""
        return harvest_key(self.origin, None, self.item_ids)

    def full_key(self) -> str:
        """Hash of what the whole folder depends on."""
        # The model is known by its fingerprint, the SAE by its own.
        known = {*ModelSpec.model_fields, "source"} - {"model"}
        spec = self.spec.model_dump(mode="json", exclude=known)
        payload = json.dumps([self.key(), spec, self.place], sort_keys=True)
        return hashlib.sha256(payload.encode()).hexdigest()[:16]

    def told(self, stage: str) -> Callable[[int], None]:
        return lambda n: self.progress(stage, n, len(self.items))


def _select(job: _Job, out: Path, keep_features: bool) -> Selected:
    (out / DONE_FILE).unlink(missing_ok=True)
    kept = _harvest(job, out, keep_features)
    harvest, rule = kept.harvest, job.spec.rule
    table = score_table(harvest.pooled, harvest.tasks, rule)
    sets = choose_features(table, rule, provenance=harvest.origin)
    quality = _quality(job, kept, out)
    # A harvest that an earlier run kept stays, and the scores beside it must be of this rule.
    kept_on_disk = (out / ITEMS_FILE).exists()
    if kept_on_disk:
        save_scores(table, rule, out)
    intervention = InterventionSpec(
        model=job.spec.model,
        layer=job.site.layer,
        sae=job.place,
        default_edit=job.spec.default_edit or EditSpec(kind="scale", value=2.0, positions=job.site.positions),
        sets=sets,
    )
    overlap = set_overlap(sets, job.sae, harvest.firing)
    stability = set_stability(
        sets,
        harvest,
        rule,
        draws=job.spec.stability_draws,
        seed=job.spec.seed,
        progress=lambda n: job.progress("stability", n, harvest.d_sae),
    )
    path = save_intervention(intervention, out)
    write_record(overlap, out / OVERLAP_FILE)
    write_record(stability, out / STABILITY_FILE)
    mark_done(out / DONE_FILE, job.full_key(), _files(kept_on_disk))
    return Selected(intervention, path, quality, overlap, stability)


def _harvest(job: _Job, out: Path, keep_features: bool) -> KeptHarvest:
    """From the folder if the same one is there, else from the model."""
    pooling = job.spec.rule.pooling
    if (out / ITEMS_FILE).exists():
        try:
            kept = read_harvest(out)
        except DataError:
            drop_harvest(out)
        else:
            if kept.items.key() == harvest_key(job.origin, pooling, job.item_ids):
                job.progress("features", len(job.items), len(job.items))
                return kept
            drop_harvest(out)
    found = harvest_items(
        job.vlm,
        job.site.layer,
        prompts_of(job.items),
        job.site.positions,
        job.spec.batch_size,
        job.sae,
        pooling,
        job.told("features"),
    )
    harvest = Harvest(
        pooled=found.pooled,
        firing=found.firing,
        item_ids=job.item_ids,
        tasks=tuple(item.task for item in job.items),
        orbits=tuple(item.orbit_id for item in job.items),
        origin=job.origin,
    )
    kept = KeptHarvest(harvest, pooling, found.meter.result())
    if keep_features:
        save_harvest(kept, out)
    return kept


def _quality(job: _Job, kept: KeptHarvest, out: Path) -> SAEQuality:
    """From the folder if it is of the same inputs, else measured and written."""
    known = read_record(SAEQuality, out / QUALITY_FILE)
    if known is not None and known.inputs == job.key():
        return known

    def run(replace: Callable[[Tensor], Tensor] | None) -> Tensor:
        return option_logprobs(
            job.vlm,
            job.site.layer,
            prompts_of(job.items),
            job.site.positions,
            job.spec.batch_size,
            LETTERS,
            replace,
            job.told("plain model" if replace is None else "SAE spliced in"),
        )

    splice = splice_quality(run, job.sae, [item.gold for item in job.items])
    quality = SAEQuality(split=SPLIT, reconstruction=kept.reconstruction, splice=splice, inputs=job.key())
    write_record(quality, out / QUALITY_FILE)
    return quality


def _finished(job: _Job, out: Path, keep_features: bool) -> Selected | None:
    """What a finished selection of the same inputs left; None if there is none, or a file was changed since."""
    if not is_done(out / DONE_FILE, job.full_key(), _files(keep_features)):
        return None
    intervention = load_yaml_spec(out / INTERVENTION_FILE, InterventionSpec)
    quality = read_record(SAEQuality, out / QUALITY_FILE)
    overlap = read_record(SetOverlap, out / OVERLAP_FILE)
    stability = read_record(Stability, out / STABILITY_FILE)
    if quality is None or overlap is None or stability is None:
        return None
    return Selected(intervention, out / INTERVENTION_FILE, quality, overlap, stability, reused=True)


def _files(with_features: bool) -> tuple[str, ...]:
    always = (INTERVENTION_FILE, QUALITY_FILE, OVERLAP_FILE, STABILITY_FILE)
    return (*always, ITEMS_FILE, TENSORS_FILE, SCORES_FILE) if with_features else always
