"""The seven stages of a study, and running them one after the other, each finished one left alone."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console

from vsc_eval.analysis.noise_floor import floor_rows, largest_differences
from vsc_eval.answers.parquet import read_table, table_files, write_table
from vsc_eval.errors import SpecError, known_names
from vsc_eval.features.harvest import benchmark_items
from vsc_eval.features.options import SAETrainSpec, SelectSpec
from vsc_eval.features.sae_select import OVERLAP_FILE, QUALITY_FILE, STABILITY_FILE, SAEQuality, select_sets
from vsc_eval.features.sae_train import CHECKPOINT_FILE, train_sae_for
from vsc_eval.files import write_text
from vsc_eval.interventions.harvest import load_harvest
from vsc_eval.interventions.intervention import load_intervention
from vsc_eval.interventions.similarity import SetOverlap, Stability
from vsc_eval.probing.probes import run_probing
from vsc_eval.probing.records import RESULT_FILE, LayerRule, ProbeSizes, ProbingResult, ProbingSpec
from vsc_eval.progress import Advance, progress_shown
from vsc_eval.sae.train import TrainProgress
from vsc_eval.seeding import derived_seed
from vsc_eval.settings import ModelSpec
from vsc_eval.specs import EditSpec, InterventionSpec, load_yaml_spec, save_yaml_spec
from vsc_eval.studies.analysis import analyse, statistics_of, study_rows
from vsc_eval.studies.asking import answer_table, ask_items
from vsc_eval.studies.conditions import (
    CONTROLS_FILE,
    CONTROLS_STEM,
    ControlSets,
    control_conditions,
    draw_controls,
    sweep_conditions,
)
from vsc_eval.studies.records import RESULTS_FILE, Exclusion, Selection, SetRow, StudyResults, read_results
from vsc_eval.studies.spec import StudySpec, parse_edit
from vsc_eval.studies.study import INTERVENTION, Stage, Study
from vsc_eval.sweeps.folder import attempt, open_run_folder, package_versions
from vsc_eval.synthetic import GENERATOR_VERSION, Item

_PROBING = "probing"
_SAE = f"{INTERVENTION}/sae"
_SPLIT = "test"
_SCHEMA_VERSION = 1
"""Of study.yaml."""


def _probe(study: Study) -> list[Path]:
    """Probe every decoder layer and pick one by the spec's rule."""
    options, folder = study.spec.probing, study.path / _PROBING
    spec = ProbingSpec(
        **study.spec.part(ModelSpec),
        **options.part(ProbeSizes),
        tasks=study.spec.tasks,
        rule=LayerRule(
            kind=options.rule,
            pooling=options.pooling,
            tolerance=options.tolerance if options.rule == "earliest" else None,
            layer=options.layer,
        ),
        seed=study.spec.seed,
    )
    result = run_probing(spec, folder, vlm=study.vlm, progress=study.steps("probing"))
    study.say(f"Probing: {result.chosen_by}")
    return [folder / RESULT_FILE]


def _probing_result(study: Study) -> ProbingResult:
    return ProbingResult.model_validate_json((study.path / _PROBING / RESULT_FILE).read_bytes())


def _train(study: Study) -> list[Path]:
    """Train an SAE on the chosen layer."""
    options, folder, advance = study.spec.sae, study.path / _SAE, study.counts("sae", "tokens")
    seed = derived_seed("study sae", study.spec.seed, options.train.seed)
    spec = SAETrainSpec(
        **study.spec.part(ModelSpec),
        **{**dict(options), "train": options.train.model_copy(update={"seed": seed})},
        layer=_probing_result(study).layer,
        tasks=study.spec.tasks,
    )

    def show(step: TrainProgress) -> None:
        advance(step.n_tokens, spec.train.n_tokens)

    result = train_sae_for(spec, folder, vlm=study.vlm, callback=show)
    if result is not None:
        study.say(
            f"SAE: {result.n_tokens:,} tokens, FVU {result.final_fvu:.3f} on the last batch, {result.n_dead} dead"
        )
    return [file for file in folder.iterdir() if file.is_file() and file.name != CHECKPOINT_FILE]


def _select(study: Study) -> list[Path]:
    """Select one feature set per task; how alike the sets are, and how firmly the items choose them."""
    spec, folder = study.spec, study.path / INTERVENTION
    # What a condition that leaves it out does: the verdict's edit, at the positions that the SAE was trained on.
    edit = parse_edit(spec.verdict.edit, EditSpec(kind="ablate", positions=spec.sae.positions))
    common = {"tasks": spec.tasks, "seed": spec.seed, "default_edit": edit}
    options = SelectSpec(**spec.part(ModelSpec), **dict(spec.select), **common)
    selected = select_sets(options, study.path / _SAE, folder, vlm=study.vlm, progress=study.steps("select"))
    fvu = selected.quality.reconstruction.fvu
    words = "undefined" if fvu is None else f"{fvu:.3f}"
    study.say(f"Select: {len(selected.intervention.sets)} sets; the SAE's FVU on the `select` split is {words}")
    return [file for file in folder.iterdir() if file.is_file() and not file.name.startswith(".")]


def _selection(folder: Path, intervention: InterventionSpec) -> Selection:
    """The sets with all that is known of them."""
    overlap = SetOverlap.model_validate_json((folder / OVERLAP_FILE).read_bytes())
    stability = Stability.model_validate_json((folder / STABILITY_FILE).read_bytes())
    assert overlap.names == tuple(s.name for s in intervention.sets) == tuple(s.name for s in stability.sets)
    sets = [
        SetRow(
            **chosen.model_dump(include={"name", "task", "indices", "scores"}),
            stability_mean=found.jaccard_mean,
            stability_low=found.jaccard_low,
            stability_high=found.jaccard_high,
        )
        for chosen, found in zip(intervention.sets, stability.sets, strict=True)
    ]
    return Selection(
        sets=tuple(sets),
        jaccard=overlap.jaccard,
        decoder_cosine=overlap.decoder_cosine,
        stability_draws=stability.draws,
    )


def _control_items(spec: StudySpec) -> list[Item]:
    """The items of the controls, which are the first of each cell of the sweep's."""
    return benchmark_items(_SPLIT, spec.tasks, spec.controls.items_per_cell)


def _sweep(study: Study) -> list[Path]:
    """Ask the test items under every single set and combined edit, and the baseline again for the noise floor."""
    spec, intervention = study.spec, study.intervention()
    items = benchmark_items(_SPLIT, spec.tasks, spec.sweep.items_per_cell)
    conditions = sweep_conditions(spec, intervention.spec)
    with study.session(intervention, conditions) as session:
        # The control draws are then compared with the baseline, and with the real sets, in the very same batches.
        apart = {item.id for item in _control_items(spec)}
        main = ask_items(session, items, study.counts("sweep", "answers"), apart=apart)
    # The baseline once more in other batches: of another size, mixed anew, from a store of its own.
    order = np.random.default_rng(derived_seed("study floor", spec.seed)).permutation(len(items)).tolist()
    with study.session(intervention, batch_size=spec.batch_size // 2 or 2, store="floor.sqlite") as other:
        again = ask_items(other, items, study.counts("sweep", "floor"), order=order)
    table = answer_table(session, items, main, {"other_batches": again})
    study.folder.document["files"] = write_table(study.path, table)
    largest = max(largest_differences(table).values())
    study.say(f"Sweep: {len(conditions)} conditions on {len(items)} items; noise floor {largest:.1e} nats at most")
    return [study.path / name for name in table_files()]


def _control(study: Study) -> list[Path]:
    """The same edit of sets and directions that mean nothing, on the first items of each cell."""
    spec, intervention = study.spec, study.intervention()
    harvest = load_harvest(study.path / INTERVENTION)
    drawn = draw_controls(spec, intervention.spec, harvest, study.counts("controls", "draws"))
    for failed in drawn.failed:
        short = spec.controls.draws - drawn.n_made(failed.kind)
        outcome = f"{short} draws are missing." if short else "Others took their place."
        draws = ", ".join(map(str, failed.draws))
        study.say(f"Controls: no {failed.kind} in draws {draws}: {failed.why} {outcome}")
    file = study.path / CONTROLS_FILE
    save_yaml_spec(file, drawn)
    planned = [(c, made) for made in drawn.draws for c in control_conditions(spec, intervention.spec, made)]
    of_draws = [chosen for made in drawn.draws for chosen in made.sets]
    sets = {chosen.name: chosen for chosen in (*intervention.spec.sets, *of_draws)}
    items = _control_items(spec)
    with study.session(intervention, [condition for condition, _ in planned], sets) as session:
        answers = ask_items(session, items, study.counts("controls", "answers"))
    table = answer_table(session, items, answers, draws={c.name: (made.kind, made.draw) for c, made in planned})
    write_table(study.path, table, CONTROLS_STEM)
    study.say(f"Controls: {len(planned)} conditions on {len(items)} items")
    return [file, *(study.path / name for name in table_files(CONTROLS_STEM))]


def _conclude(study: Study) -> list[Path]:
    """From answers to `results.json`, which holds every number of the report."""
    spec, folder = study.spec, study.path / INTERVENTION
    intervention = load_intervention(folder)
    table, controls = read_table(study.path), read_table(study.path, CONTROLS_STEM)
    control_sets = load_yaml_spec(study.path / CONTROLS_FILE, ControlSets)
    step = study.counts("conclude", "statistics")
    step(0, 3)
    pairs, tests = analyse(table, controls, spec)
    step(1, 3)
    rows = study_rows(table, spec)
    step(2, 3)
    quality = SAEQuality.model_validate_json((folder / QUALITY_FILE).read_bytes())
    results = StudyResults(
        spec=spec,
        model_fingerprint=study.folder.document["hashes"]["model_fingerprint"],
        sae_fingerprint=intervention.sae.fingerprint(),
        generator_version=GENERATOR_VERSION,
        versions={name: version for name, version in package_versions().items() if version is not None},
        n_items=len(table.items),
        n_control_items=len(controls.items),
        probing=_probing_result(study),
        layer=intervention.spec.layer,
        reconstruction=quality.reconstruction,
        splice=quality.splice,
        selection=_selection(folder, intervention.spec),
        floor=floor_rows(table, statistics_of(spec)),
        rows=rows,
        pairs=pairs,
        controls=tests,
        excluded=tuple(exclusions(control_sets, spec.controls.draws)),
    )
    write_text(study.path / RESULTS_FILE, results.model_dump_json(indent=1) + "\n")
    step(3, 3)
    return [study.path / RESULTS_FILE]


def exclusions(controls: ControlSets, wanted: int) -> Iterator[Exclusion]:
    """Control draws that failed; `wanted` is the number of draws of each kind."""
    for failed in controls.failed:
        draws = ", ".join(map(str, failed.draws))
        replaced = "; others took their place" if controls.n_made(failed.kind) == wanted else ""
        yield Exclusion(what=f"{failed.kind}, draws {draws} ({len(failed.draws)} in all){replaced}", why=failed.why)


def _report(study: Study) -> list[Path]:
    """results.json as Markdown with figures."""
    # matplotlib takes a second to load, which a study that stops before its report need not wait for.
    from vsc_eval.studies.report.write import REPORT_FILE, write_report

    step = study.counts("report", "files")
    step(0, 1)
    files = write_report(read_results(study.path), study.path)
    step(1, 1)
    study.say(f"Report: {study.path / REPORT_FILE}, {len(files) - 1} figures")
    return files


PROBING = Stage("probing", _probe, (), ("probing",), bound=_PROBING)
SAE = Stage("sae", _train, (PROBING,), ("sae",), bound=_SAE)
SELECT = Stage("select", _select, (SAE,), ("sae", "select", "verdict"))
SWEEP = Stage("sweep", _sweep, (SELECT,), ("sae", "sweep", "controls", "verdict", "backend", "backend_options"))
# Not before the sweep, whose baseline it takes from the store: in other batches that would differ in its last bits.
CONTROLS = Stage(
    "controls", _control, (SELECT, SWEEP), ("sae", "select", "controls", "verdict", "backend", "backend_options")
)
CONCLUDE = Stage(
    "conclude",
    _conclude,
    (PROBING, SAE, SELECT, SWEEP, CONTROLS),
    ("probing", "sae", "select", "sweep", "controls", "statistics", "verdict"),
)
REPORT = Stage("report", _report, (CONCLUDE,))

STAGES = (PROBING, SAE, SELECT, SWEEP, CONTROLS, CONCLUDE, REPORT)
"""In the order in which they run."""


def run_study(
    spec: StudySpec,
    out: Path,
    *,
    until: str | None = None,
    only: str | None = None,
    console: Console | None = None,
    watch: Advance | None = None,
) -> StudyResults | None:
    """Run the study of `spec` in the folder `out`, or go on with it there: all stages, those up to `until`, or `only`
    one.

    A stage whose files are there, made from the same settings and the same files of earlier stages, is not run again.
    `watch` is told of (what, done, total) whenever something has got further. None if the study has not been concluded.

    Raises SpecError, DataError or BackendError, as the parts say, for whatever the user can fix.
    """
    console = console or Console(stderr=True)
    stages = _chosen(until, only)
    how = spec.model_dump(include={"batch_size", "device", "dtype", "engine_mode"})
    with open_run_folder(out, spec.identity(), kind="study") as folder, progress_shown(console, {}) as shown:

        def advance(what: str, done: int, total: int) -> None:
            shown(what, done, total)
            if watch is not None:
                watch(what, done, total)

        study = Study(spec, folder, advance, lambda text: console.print(text, highlight=False, markup=False))
        folder.document.setdefault("schema_version", _SCHEMA_VERSION)
        with attempt(folder, {**how, "stages": []}, worth_keeping=lambda entry: bool(entry["stages"])) as entry:
            finished = [stage.name for stage in stages if not stage.run(study, entry)]
        if finished:
            study.say(f"Finished before: {', '.join(finished)}")
        return read_results(out) if CONCLUDE.is_finished(study) else None


def _chosen(until: str | None, only: str | None) -> tuple[Stage, ...]:
    by_name = {stage.name: stage for stage in STAGES}
    for name in filter(None, (until, only)):
        if name not in by_name:
            raise SpecError(f"A study has no stage '{name}'.", hint=known_names("stages", name, by_name))
    if only is not None:
        return (by_name[only],)
    return STAGES if until is None else STAGES[: list(by_name).index(until) + 1]
