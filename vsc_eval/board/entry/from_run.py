"""From the folder of a finished run or study to an entry."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vsc_eval.analysis.noise_floor import changes_nothing
from vsc_eval.answers.answer_table import Answers, AnswerTable
from vsc_eval.answers.bounded import fault
from vsc_eval.answers.finished_run import AGAIN, RESULTS, RUN, STUDY, FinishedRun
from vsc_eval.board.board import scoring_of
from vsc_eval.board.entry.folder import entry_id, last_part, model_name, results_without_paths, without_paths
from vsc_eval.board.records import About, BoardIntervention, Entry, Results, Shown
from vsc_eval.errors import DataError, SpecError

_KEPT = ("schema_version", "settings", "hashes", "versions", "files")
"""Sections of run.yaml that an entry has."""
_TEXTS = ("text", "thought")


def entry_of_run(
    run: FinishedRun,
    *,
    board: str,
    name: str | None = None,
    note: str = "",
    intervention: Path | None = None,
    shown: dict[str, Shown] | None = None,
) -> Entry:
    """The entry of a run, for the board of that name. `intervention` is where the run's intervention is, if it was
    moved; with `shown` texts are published too.

    Raises SpecError or DataError for a run that cannot be published.
    """
    if len(note) > 2000:
        raise SpecError(f"The note has {len(note):,} characters; one may have 2,000.", hint="Shorten it.")
    scoring_of(run.table.items)
    results = _results(run)
    revision, last = run.hashes.get("model_revision"), run.attempts[-1] if run.attempts else {}
    asked_model = str(run.settings.get("model", "model"))
    shown_name, public_model = model_name(asked_model, revision, name), model_name(asked_model, revision, None)
    versions = run.section("versions") or run.results.get("versions") or last.get("versions") or {}
    about = About(
        id="unnamed-0000000000",
        board=board,
        source="study" if run.is_study else "run",
        name=shown_name,
        note=note,
        date=_date(run),
        dtype=str(last.get("dtype", "unknown")).removeprefix("torch."),
        device=_attempt_words(run, "device"),
        machine=_attempt_words(run, "machine"),
        packages={package: str(version) for package, version in versions.items() if version is not None},
        intervention=_intervention(run, intervention, f"{shown_name} study" if run.is_study else None),
    )
    document = {key: run.document[key] for key in _KEPT if key in run.document}
    entry = Entry(
        about=about,
        run={**document, "settings": without_paths(_public(run.settings, public_model))},
        table=run.table if shown is not None else without_texts(run.table),
        document=_public_results(run.results, public_model),
        results=results,
        shown=shown or {},
    )
    return dataclasses.replace(entry, about=about.model_copy(update={"id": entry_id(entry)}))


def _results(run: FinishedRun) -> Results:
    file = run.path / RESULTS
    try:
        results = Results.model_validate(run.results)
    except ValidationError as error:
        raise DataError(f"{file} is damaged: {fault(error)}.", hint=AGAIN) from error
    stored = run.hashes.get("model_fingerprint")
    if stored != results.model_fingerprint:
        # A folder's files may come from two runs, if somebody copied them.
        raise DataError(
            f"{file} is of model {results.model_fingerprint}, {STUDY if run.is_study else RUN} of {stored}.",
            hint=AGAIN,
        )
    return results


def _intervention(run: FinishedRun, moved: Path | None, name: str | None) -> BoardIntervention | None:
    """The intervention that a run edited with, proven to be the same by the hash of every condition.

    Raises SpecError if it is not there, DataError if it is not the one of the run: another layer or SAE, or, as the
    conditions' hashes tell, other features.
    """
    conditions = [c for c in run.table.conditions if c.spec.edit is not None and not changes_nothing(c)]
    if not conditions:
        return None
    # Loads torch: only making an entry needs it, and not checking or building a board.
    from vsc_eval.interventions.edits import compile_condition
    from vsc_eval.interventions.intervention import load_intervention

    # A study says of which layer and SAE it is in its results.
    hashes, where = run.results if run.is_study else run.hashes, str(run.results.get("intervention"))
    folder = moved or (run.path / "intervention" if run.is_study else where)
    loaded = load_intervention(folder)
    own, sets, sae, layer = loaded.sae.fingerprint(), loaded.sets, loaded.sae, loaded.spec.layer
    found = {c.name: compile_condition(c.spec, sets, sae, layer).content_hash for c in conditions}
    differs = [
        words
        for words, differ in (
            (f"its layer is {layer} and the run's {hashes.get('layer')}", hashes.get("layer") != layer),
            ("its SAE is another", hashes.get("sae_fingerprint") != own),
            *((f"its features give another '{c.name}'", c.content_hash != found[c.name]) for c in conditions),
        )
        if differ
    ]
    if differs:
        raise DataError(
            f"The intervention '{last_part(str(folder))}' is not the one that the run was made with: {differs[0]}.",
            hint="Put the run's intervention back, name its folder with --intervention, or make the run again.",
        )
    used = {each for condition in conditions for each in condition.spec.sets}
    return BoardIntervention(
        name=name or last_part(where),
        layer=layer,
        sae_fingerprint=own,
        sets={each: tuple(feature_set.indices) for each, feature_set in sets.items() if each in used},
    )


def _public(section: Mapping[str, Any], model: str) -> dict[str, Any]:
    """With the model as the entry shows it, and the intervention by its name."""
    own = {"model": model} if "model" in section else {}
    if isinstance(section.get("intervention"), str):
        own["intervention"] = last_part(section["intervention"])
    return {**section, **own}


def _public_results(document: dict[str, Any], model: str) -> dict[str, Any]:
    public = _public(document, model)
    if isinstance(document.get("spec"), dict):
        public["spec"] = {**document["spec"], "model": model}
    if isinstance(document.get("probing"), dict):
        public["probing"] = {**document["probing"], "spec": {**document["probing"]["spec"], "model": model}}
    return results_without_paths(public)


def without_texts(table: AnswerTable) -> AnswerTable:
    """The table without what the model wrote and was told, which may quote a data set."""

    def cut(answers: Answers) -> Answers:
        columns = {name: column for name, column in answers.columns.items() if name not in _TEXTS}
        return dataclasses.replace(answers, columns=columns)

    return dataclasses.replace(
        table,
        items=tuple(dataclasses.replace(item, messages=None) for item in table.items),
        main=cut(table.main),
        passes={name: cut(answers) for name, answers in table.passes.items()},
    )


def _attempt_words(run: FinishedRun, key: str) -> str:
    """What all attempts say under that key; several different ones one after the other."""
    return ", then ".join(dict.fromkeys(str(attempt[key]) for attempt in run.attempts if attempt.get(key)))


def _date(run: FinishedRun) -> str:
    """When a run last ended, or a study first started: from the folder's own file, so that an entry does not depend on
    when it is made."""
    key = "started" if run.is_study else "ended"
    dates = [attempt[key] for attempt in run.attempts if attempt.get(key)]
    try:
        moment = datetime.fromisoformat(str(dates[0 if run.is_study else -1]))
    except (ValueError, IndexError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise DataError(
            f"The attempts in {run.path} do not say when the run {key}.",
            hint="Give the command that made the run again: it writes the date, and computes nothing anew.",
        )
    return moment.isoformat()
