"""From the folder of a finished run or study to the files of an entry."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vsc_eval.answers.answer_table import Answers, AnswerTable, AskedItem, Scoring
from vsc_eval.answers.bounded import fault
from vsc_eval.answers.finished_run import AGAIN, RESULTS, RUN, STUDY, FinishedRun
from vsc_eval.board.entry.folder import Parts, entry_id
from vsc_eval.board.entry.interventions import board_intervention
from vsc_eval.board.entry.paths import last_part, model_name, results_without_paths, without_paths
from vsc_eval.board.entry.results import Results
from vsc_eval.board.entry.view import shown_conditions
from vsc_eval.board.records import About, BoardIntervention, Shown
from vsc_eval.errors import DataError, SpecError

_KEPT = ("schema_version", "settings", "hashes", "versions", "files")
"""Sections of run.yaml that an entry has."""
_TEXTS = ("text", "thought")


def parts_of_run(
    run: FinishedRun,
    *,
    board: str,
    name: str | None = None,
    note: str = "",
    intervention: Path | None = None,
    shown: dict[str, Shown] | None = None,
) -> Parts:
    """The files of an entry, for the board of that name. `intervention` is where the run's intervention is, if it was
    moved; with `shown` texts are published too.

    Raises SpecError or DataError for a run that cannot be published.
    """
    if len(note) > 2000:
        raise SpecError(f"The note has {len(note):,} characters; one may have 2,000.", hint="Shorten it.")
    scoring_of(run.table.items)
    document = run.results
    results = _results(run)
    revision, last = run.hashes.get("model_revision"), run.attempts[-1] if run.attempts else {}
    asked_model = str(run.settings.get("model", "model"))
    shown_name = model_name(asked_model, revision, name)
    versions = run.section("versions") or document.get("versions") or last.get("versions") or {}
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
    public_model = model_name(asked_model, revision, None)
    parts = Parts(
        about=about,
        run=_public_run(run, public_model),
        table=run.table if shown is not None else without_texts(run.table),
        document=_public_results(document, public_model),
        results=results,
        shown=shown or {},
    )
    return dataclasses.replace(parts, about=about.model_copy(update={"id": entry_id(parts)}))


def generator_version(run: FinishedRun) -> str | None:
    """Of the synthetic benchmark."""
    found = run.hashes.get("generator_version", run.results.get("generator_version"))
    return None if found is None else str(found)


def scoring_of(items: Sequence[AskedItem]) -> Scoring:
    """How all items were asked. Raises SpecError if not all in one way."""
    ways = sorted({item.scoring for item in items})
    if len(ways) != 1:
        raise SpecError(
            f"The run's items were asked in {len(ways)} ways ({', '.join(ways) or 'there are none'}).",
            hint="A board asks all items in one way: publish a run of one scoring.",
        )
    return ways[0]


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
    edits = [condition for condition in shown_conditions(run.table) if condition.spec.edit is not None]
    if not edits:
        return None
    # A study says of which layer and SAE it is in its results.
    hashes, where = run.results if run.is_study else run.hashes, run.results.get("intervention")
    return board_intervention(
        moved or (run.path / "intervention" if run.is_study else str(where)),
        edits,
        layer=hashes.get("layer"),
        sae_fingerprint=hashes.get("sae_fingerprint"),
        name=name or last_part(str(where)),
    )


def _public_run(run: FinishedRun, model: str) -> dict[str, Any]:
    """run.yaml without paths."""
    document = {name: run.document[name] for name in _KEPT if name in run.document}
    settings = {**run.settings, "model": model}
    if isinstance(settings.get("intervention"), str):
        settings["intervention"] = last_part(settings["intervention"])
    return {**document, "settings": without_paths(settings)}


def _public_results(document: dict[str, Any], model: str) -> dict[str, Any]:
    public = dict(document)
    if "model" in document:
        public["model"] = model
    if isinstance(document.get("intervention"), str):
        public["intervention"] = last_part(document["intervention"])
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
    chosen = dates[0 if run.is_study else -1] if dates else None
    try:
        moment = datetime.fromisoformat(str(chosen))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise DataError(
            f"The attempts in {run.path} do not say when the run {key}.",
            hint="Give the command that made the run again: it writes the date, and computes nothing anew.",
        )
    return moment.isoformat()
