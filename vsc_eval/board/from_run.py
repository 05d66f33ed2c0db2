"""From the folder of a finished run or study to an entry; and questions and small pictures of external data sets, for
publishers whose data may be passed on."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from vsc_eval.analysis.noise_floor import changes_nothing
from vsc_eval.answers.answer_table import Answers, AnswerTable, AskedItem
from vsc_eval.answers.bounded import fault
from vsc_eval.answers.finished_run import AGAIN, RESULTS, RUN, STUDY, FinishedRun, read_run
from vsc_eval.board.entry_files import entry_id, last_part, model_name, results_without_paths, without_paths
from vsc_eval.board.records import About, BoardIntervention, Entry, Results, Shown, moment_of
from vsc_eval.board.spec import scoring_of
from vsc_eval.errors import DataError, SpecError
from vsc_eval.figures.data_uri import data_uri
from vsc_eval.files import picture_hash
from vsc_eval.synthetic import TASKS

if TYPE_CHECKING:
    from vsc_eval.taskfiles.items import ExternalData

_KEPT = ("schema_version", "settings", "hashes", "versions", "files")
"""Sections of run.yaml that an entry has."""
_TEXTS = ("text", "thought")
SIDE_PX = 320
"""Longest side of a picture in an entry."""
_JPEG_QUALITY = 75


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
    moved; with `shown` texts are published too. Raises SpecError or DataError for a run that cannot be published."""
    if len(note) > 2000:
        raise SpecError(f"The note has {len(note):,} characters; one may have 2,000.", hint="Shorten it.")
    scoring_of(run.table.items)
    results = _results(run)
    revision, last = run.hashes.get("model_revision"), run.attempts[-1] if run.attempts else {}
    asked_model = str(run.settings.get("model", "model"))
    shown_name, public_name = (model_name(asked_model, revision, given) for given in (name, None))
    named = {"model": lambda _: public_name, "intervention": last_part}
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
        run={**document, "settings": without_paths(run.settings, named)},
        table=run.table if shown is not None else without_texts(run.table),
        document=results_without_paths(run.results, named),
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
    """The intervention that a run edited with. Raises SpecError if it is not there, DataError if its layer, its SAE or,
    as the hash of every condition proves, its features are not the run's."""
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
    """When a run last ended, or a study first started, by its own file: an entry does not depend on when it is made."""
    key = "started" if run.is_study else "ended"
    dates = [attempt[key] for attempt in run.attempts if attempt.get(key)]
    moment = moment_of(str(dates[0 if run.is_study else -1])) if dates else None
    if moment is None:
        raise DataError(
            f"The attempts in {run.path} do not say when the run {key}.",
            hint="Give the command that made the run again: it writes the date, and computes nothing anew.",
        )
    return moment.isoformat()


def shown_items(run: Path, *, include: Sequence[Path] = (), data_dir: Path | None = None) -> dict[str, Shown]:
    """Item id -> its question and picture, of the external items whose answer some condition changed: the gallery has
    no others. `include` and `data_dir` say where task files and data are, as they did to the run.

    Raises SpecError for a run without external items, DataError if the data are not what the run was asked.
    """
    found = read_run(run)
    table = found.table
    if all(item.task in TASKS for item in table.items):
        raise SpecError(
            "--with-pictures: the run has no items of external data sets.",
            hint="Leave it out: the page draws pictures of synthetic items anew.",
        )
    is_changed = table.changed(table.names).max(axis=0) > 0
    changed = {
        item.item_id: item
        for item, is_one in zip(table.items, is_changed.tolist(), strict=True)
        if is_one and item.task not in TASKS
    }
    shown: dict[str, Shown] = {}
    for data in _data(found, include, data_dir):
        for document in data.documents:
            item = changed.get(document["id"])
            if item is not None:
                shown[item.item_id] = _shown(item, document, data)
    missing = next((name for name in changed if name not in shown), None)
    if missing is not None:
        raise DataError(
            f"Item '{missing}' is not in the data of its task.",
            hint="Name the run's task files and data with --include-path and --data-dir.",
        )
    return shown


def _data(run: FinishedRun, include: Sequence[Path], data_dir: Path | None) -> list[ExternalData]:
    # Loads `datasets`, which takes a second, and the data themselves.
    from vsc_eval.lmeval.documents import load_data
    from vsc_eval.lmeval.task_index import chosen_files
    from vsc_eval.settings import AskSpec

    known = {name: run.settings[name] for name in ("tasks", "override", "limit") if name in run.settings}
    _, files = chosen_files(AskSpec.model_validate({**known, "include_path": include, "data_dir": data_dir}))
    return [load_data(file) for file in files.values()]


def _shown(item: AskedItem, document: Mapping[str, Any], data: ExternalData) -> Shown:
    image = data.pictures.decode(document["vsc_row"])
    if picture_hash(image) != item.image_hash or document["answer"] != item.gold:
        raise DataError(
            f"Item '{item.item_id}' has another picture or right answer than when the run was made.",
            hint="Publish without --with-pictures, or make the run again with the data as they are now.",
        )
    small, content = image.copy(), io.BytesIO()
    small.thumbnail((SIDE_PX, SIDE_PX))
    small.save(content, "JPEG", quality=_JPEG_QUALITY)
    return Shown(question=str(document["prompt"]), picture=data_uri("jpeg", content.getvalue()))
