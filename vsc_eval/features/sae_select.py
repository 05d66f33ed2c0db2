"""Choose one feature set per task by the selection rule, on the benchmark's `select` split, and judge the SAE."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from vsc_eval.backends.hf.load import LoadedVLM, load_vlm
from vsc_eval.errors import DataError
from vsc_eval.features.harvest import LayerReader, benchmark_items, to_prompt
from vsc_eval.features.options import SelectSpec
from vsc_eval.features.sae_train import place_sae
from vsc_eval.files import file_hash
from vsc_eval.interventions.harvest import (
    ITEMS_FILE,
    KEPT_FILES,
    Harvest,
    key_of,
    load_harvest,
    save_harvest,
    save_scores,
)
from vsc_eval.interventions.intervention import INTERVENTION_FILE, save_intervention
from vsc_eval.interventions.select import choose_features, score_table
from vsc_eval.interventions.similarity import SetOverlap, Stability, set_overlap, set_stability
from vsc_eval.progress import Advance
from vsc_eval.records import Record, read_record, write_record
from vsc_eval.sae.model import SAE
from vsc_eval.sae.quality import ReconstructionQuality, SpliceQuality, splice_quality
from vsc_eval.settings import ModelSpec
from vsc_eval.specs import EditSpec, InterventionSpec, load_yaml_spec
from vsc_eval.synthetic import GENERATOR_VERSION, Item
from vsc_eval.tables.numbers import counted, decimal
from vsc_eval.tables.table import Cell, Column, Table, cell, columns, table

QUALITY_FILE = "quality.json"
OVERLAP_FILE = "overlap.json"
STABILITY_FILE = "stability.json"
DONE_FILE = "select.json"
SPLIT = "select"


class SAEQuality(Record):
    """`quality.json`: the SAE on the items that the sets were selected on."""

    split: str
    reconstruction: ReconstructionQuality
    splice: SpliceQuality
    inputs: str | None = None
    """Hash of model, SAE, layer, positions and items; None in files of earlier versions."""


class Done(Record):
    """`select.json`, written last: the files that it names are finished while they are as they were."""

    schema_version: Literal[1] = 1
    inputs: str
    """Hash of everything that decides them."""
    sha256: dict[str, str]
    """Of each, by its path in the folder."""


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


def select_sets(
    spec: SelectSpec,
    sae_folder: Path,
    out: Path,
    *,
    vlm: LoadedVLM | None = None,
    keep_features: bool = True,
    progress: Advance = lambda stage, just_done, total: None,
) -> Selected:
    """Write an intervention into `out`: `intervention.yaml` with one set per task, the SAE unless it is there
    already, `quality.json`, `overlap.json` and `stability.json`.

    With `keep_features` also the harvest (`load_harvest`) and the score of every feature (`scores.safetensors`), which
    the controls of a study need; they are large. What a run that was cut short has finished is used again, and a
    finished selection of the same inputs is only read. `progress` is told of (stage, how many were just done, how many
    there are). Raises as `place_sae`, and DataError if a task has too few eligible features.
    """
    vlm = vlm or load_vlm(spec.model, **spec.loading())
    layer, positions, place, sae = place_sae(sae_folder, vlm, spec.source, out)
    reader = LayerReader(vlm, layer, positions, spec.batch_size)
    items = benchmark_items(SPLIT, spec.tasks, spec.items_per_cell)
    job = _Job(spec, reader, place, sae.to(vlm.device), items, out, progress)
    return job.finished(keep_features) or job.run(keep_features)


_FILES = (INTERVENTION_FILE, QUALITY_FILE, OVERLAP_FILE, STABILITY_FILE)
"""What a selection always leaves."""


@dataclass(frozen=True, eq=False)
class _Job:
    spec: SelectSpec
    reader: LayerReader
    place: str
    """Of the SAE, relative to the intervention."""
    sae: SAE
    items: list[Item]
    out: Path
    progress: Advance

    @cached_property
    def origin(self) -> dict[str, Any]:
        return {
            "split": SPLIT,
            "positions": self.reader.positions,
            "layer": self.reader.layer,
            "model_fingerprint": self.reader.vlm.fingerprint,
            "sae_fingerprint": self.sae.fingerprint(),
            "generator_version": GENERATOR_VERSION,
            "items_per_cell": self.spec.items_per_cell,
        }

    def key(self, pooling: str | None = None) -> str:
        """Hash of what a harvest depends on; without a pooling, of what the figures of the SAE do."""
        return key_of(self.origin, pooling, [item.id for item in self.items])

    @property
    def full_key(self) -> str:
        """Hash of what the whole folder depends on."""
        # The model is known by its fingerprint, the SAE by its own.
        known = {*ModelSpec.model_fields, "source"} - {"model"}
        return key_of(self.key(), self.spec.model_dump(mode="json", exclude=known), self.place)

    def told(self, stage: str, total: int) -> Callable[[int], None]:
        return lambda n: self.progress(stage, n, total)

    def finished(self, keep_features: bool) -> Selected | None:
        """What a finished selection of the same inputs left; None if there is none, or a file was changed since."""
        done, wanted = read_record(Done, self.out / DONE_FILE), {*_FILES, *(KEPT_FILES if keep_features else ())}
        if done is None or done.inputs != self.full_key or not wanted <= set(done.sha256):
            return None
        files = [(self.out / name, digest) for name, digest in done.sha256.items()]
        if not all(file.is_file() and file_hash(file) == digest for file, digest in files):
            return None
        quality = read_record(SAEQuality, self.out / QUALITY_FILE)
        overlap = read_record(SetOverlap, self.out / OVERLAP_FILE)
        stability = read_record(Stability, self.out / STABILITY_FILE)
        if quality is None or overlap is None or stability is None:
            return None
        path = self.out / INTERVENTION_FILE
        return Selected(load_yaml_spec(path, InterventionSpec), path, quality, overlap, stability, reused=True)

    def run(self, keep_features: bool) -> Selected:
        out, rule = self.out, self.spec.rule
        (out / DONE_FILE).unlink(missing_ok=True)
        harvest = self._harvest(keep_features)
        scores = score_table(harvest.pooled, harvest.tasks, rule)
        sets = choose_features(scores, rule, provenance=harvest.origin)
        quality = self._quality(harvest)
        # A harvest that an earlier run kept stays, and the scores beside it must be of this rule.
        kept_on_disk = (out / ITEMS_FILE).exists()
        if kept_on_disk:
            save_scores(scores, rule, out)
        edit = self.spec.default_edit or EditSpec(kind="scale", value=2.0, positions=self.reader.positions)
        layer = self.reader.layer
        intervention = InterventionSpec(
            model=self.spec.model, layer=layer, sae=self.place, default_edit=edit, sets=sets
        )
        overlap = set_overlap(sets, self.sae, harvest.firing)

        draws, seed, told = self.spec.stability_draws, self.spec.seed, self.told("stability", harvest.d_sae)
        stability = set_stability(sets, harvest, rule, draws=draws, seed=seed, progress=told)
        path = save_intervention(intervention, out)
        write_record(overlap, out / OVERLAP_FILE)
        write_record(stability, out / STABILITY_FILE)
        hashes = {name: file_hash(out / name) for name in (*_FILES, *(KEPT_FILES if kept_on_disk else ()))}
        write_record(Done(inputs=self.full_key, sha256=hashes), out / DONE_FILE)
        return Selected(intervention, path, quality, overlap, stability)

    def _harvest(self, keep_features: bool) -> Harvest:
        """From the folder if the same one is there, else from the model."""
        pooling, told = self.spec.rule.pooling, self.told("features", len(self.items))
        with suppress(DataError):
            kept = load_harvest(self.out)
            if self.key(pooling) == kept.key:
                told(len(self.items))
                return kept
        # Beside a new intervention, what is kept of another selection would be taken for the intervention's own.
        for name in KEPT_FILES:
            (self.out / name).unlink(missing_ok=True)
        pooled, firing, reconstruction = self.reader.harvest(map(to_prompt, self.items), self.sae, pooling, told)
        harvest = Harvest(
            pooled=pooled,
            firing=firing,
            reconstruction=reconstruction,
            item_ids=tuple(item.id for item in self.items),
            tasks=tuple(item.task for item in self.items),
            orbits=tuple(item.orbit_id for item in self.items),
            origin=self.origin,
            pooling=pooling,
        )
        if keep_features:
            save_harvest(harvest, self.out)
        return harvest

    def _quality(self, harvest: Harvest) -> SAEQuality:
        """From the folder if it is of the same inputs, else measured and written."""
        path, key = self.out / QUALITY_FILE, self.key()
        known = read_record(SAEQuality, path)
        if known is not None and known.inputs == key:
            return known

        def option_logprobs(replace: Callable[[Tensor], Tensor] | None) -> Tensor:
            told = self.told("SAE spliced in" if replace else "plain model", len(self.items))
            return self.reader.option_logprobs(map(to_prompt, self.items), replace, told)

        splice = splice_quality(option_logprobs, self.sae, [item.gold for item in self.items])
        assert harvest.reconstruction is not None
        quality = SAEQuality(split=SPLIT, reconstruction=harvest.reconstruction, splice=splice, inputs=key)
        write_record(quality, path)
        return quality


def select_tables(selected: Selected) -> tuple[Table, ...]:
    """The SAE's figures, the sets with their stability, and how alike they are."""
    overlap = selected.overlap
    reference = overlap.decoder_cosine_random
    between_random = "too few features fire" if reference is None else decimal(reference, 2)
    disjoint = all(value == 0 for i, row in enumerate(overlap.jaccard) for j, value in enumerate(row) if i != j)
    shared = "No feature is in two sets. " if disjoint else ""
    note = f"{shared}Between random sets of this SAE: {between_random}."
    jaccard = [] if disjoint else [_matrix("Shared features: Jaccard", None, overlap.names, overlap.jaccard)]
    cosines = _matrix("Decoder rows: mean max cosine", note, overlap.names, overlap.decoder_cosine)
    directions = _matrix("Mean directions: cosine", None, overlap.names, overlap.mean_delta_cosine)
    return (_quality(selected), _sets(selected), *jaccard, cosines, directions)


def _quality(selected: Selected) -> Table:
    figures, splice = selected.quality.reconstruction, selected.quality.splice
    tokens, items = counted(figures.n_tokens, "token"), counted(splice.n_items, "item")
    fvu = cell(None if figures.fvu is None else decimal(figures.fvu), missing="constant activations")
    loss = f"{decimal(splice.loss_plain)} -> {decimal(splice.loss_spliced)}"
    accuracy = f"{decimal(splice.accuracy_plain, 3)} -> {decimal(splice.accuracy_spliced, 3)}"
    return table(
        "quality",
        f"SAE on the '{selected.quality.split}' split, layer {selected.intervention.layer}",
        columns("figure", "value", "n"),
        [
            ("fraction of variance unexplained", fvu, tokens),
            ("dead features", f"{figures.n_dead} of {figures.d_sae}", tokens),
            ("mean L0", decimal(figures.mean_l0, 2), tokens),
            ("loss, plain -> spliced (nats)", loss, items),
            ("accuracy, plain -> spliced", accuracy, items),
        ],
    )


def _sets(selected: Selected) -> Table:
    sets, draws = selected.intervention.sets, selected.stability.draws
    rows = []
    for place, (chosen, stable) in enumerate(zip(sets, selected.stability.sets, strict=True), start=1):
        short = f", {stable.n_short} short" if stable.n_short else ""
        scores = f"{decimal(chosen.scores[0], 3)} to {decimal(chosen.scores[-1], 3)}"
        stability = Cell(stable.jaccard_mean, stable.jaccard_low, stable.jaccard_high, suffix=short)
        rows.append((f"{place} {chosen.name}", scores, stability, ", ".join(map(str, chosen.indices[:3]))))
    return table(
        "sets",
        f"Sets of {len(sets[0].indices)} features in {selected.path}",
        columns("set", "scores", Column("stability", "stability", "decimal", digits=2), "first of them"),
        rows,
        [f"stability: Jaccard overlap with the sets of {draws} bootstrap samples of orbits, mean [95 %]"],
    )


def _matrix(title: str, note: str | None, names: tuple[str, ...], matrix: Sequence[Sequence[float | None]]) -> Table:
    # Names as column heads would not fit a terminal.
    places = range(1, len(names) + 1)
    heads = columns("set", *(Column(str(place), str(place), "decimal", digits=2) for place in places))
    rows = [(f"{place} {name}", *row) for place, name, row in zip(places, names, matrix, strict=True)]
    return table("overlap", title, heads, rows, [note])
