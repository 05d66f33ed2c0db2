"""Add a run to a board, and start a board from a run."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vsc_eval.analysis.compare.run_files import FinishedRun, read_run
from vsc_eval.board.board import BOARD_FILE, ENTRIES, Board, BoardSpec, BoardTask, read_board_spec, spec_of
from vsc_eval.board.build import Advance, Built, checked_board, generated_texts, no_advance, write_generated
from vsc_eval.board.check.board_check import entry_findings, name_of_known
from vsc_eval.board.entry.canonical import entry_sha256, entry_text
from vsc_eval.board.entry.parts import item_table, scoring_of
from vsc_eval.board.entry.read import read_entry
from vsc_eval.board.lock import locked
from vsc_eval.board.records import Entry, Shown
from vsc_eval.errors import DataError, SpecError
from vsc_eval.files import replacing
from vsc_eval.specs import BASELINE, save_yaml_spec
from vsc_eval.synthetic import TASKS

Done = Literal["added", "replaced", "already there"]


@dataclass(frozen=True)
class Published:
    """What became of a run."""

    entry: Entry
    file: Path
    done: Done
    built: Built


def make_entry(
    run: Path,
    board: str,
    *,
    name: str | None = None,
    note: str = "",
    intervention: Path | None = None,
    shown: dict[str, Shown] | None = None,
) -> Entry:
    """The entry of a run's or a study's folder for the board of that name. Raises SpecError or DataError."""
    found = read_run(run)
    if len(note) > 2000:
        raise SpecError(f"The note has {len(note):,} characters; one may have 2,000.", hint="Shorten it.")
    if is_study(found):
        from vsc_eval.board.entry.from_study import entry_from_study

        return entry_from_study(found, board=board, name=name, note=note)
    from vsc_eval.board.entry.from_run import entry_from_run

    return entry_from_run(found, board=board, name=name, note=note, intervention=intervention, shown=shown)


def is_study(run: FinishedRun) -> bool:
    """Whether the folder is of a study: of run.yaml and study.yaml, the first that is there says what it is."""
    return not (run.path / "run.yaml").is_file()


def publish(
    run: Path,
    board: Path,
    *,
    name: str | None = None,
    note: str = "",
    replace: bool = False,
    intervention: Path | None = None,
    shown: dict[str, Shown] | None = None,
    say: Callable[[str], None] = lambda _: None,
    advance: Advance = no_advance,
) -> Published:
    """Write the run's entry into the board, then everything that is made from the entries.

    The same run gives the same bytes: published a second time, nothing is written. Raises SpecError for a run that
    cannot be published or whose entry is there with other content (unless `replace`), DataError for a damaged run or
    board, BackendError for a folder that cannot be written; nothing is written then.
    """
    spec = read_board_spec(board)
    say(f"Making the entry of {run} ...")
    entry = make_entry(run, spec.name, name=name, note=note, intervention=intervention, shown=shown)
    return publish_entry(entry, board, replace=replace, say=say, advance=advance)


def publish_entry(
    entry: Entry,
    board: Path,
    *,
    replace: bool = False,
    say: Callable[[str], None] = lambda _: None,
    advance: Advance = no_advance,
) -> Published:
    """The same of an entry that is there."""
    with locked(board, say):
        file = board / ENTRIES / f"{entry.id}.json"
        # To put a run in the place of a damaged entry is how that is fixed.
        is_damaged = replace and file.is_file() and _is_damaged(file)
        before = checked_board(board, but=file.name if is_damaged else None)
        _check_fits(entry, before.spec)
        twins = [known for known in before.entries if known.asked == entry.asked]
        done: Done = "replaced" if is_damaged else _decide(entry, twins, replace)
        others = [known for known in before.entries if known not in twins]
        _check_name(entry, others)
        after = Board(board, before.spec, tuple(sorted([*others, entry], key=lambda known: known.id)))
        say(f"Building {board} ...")
        texts = generated_texts(after)
        if done != "already there":
            with replacing(file) as partial:
                partial.write_text(entry_text(entry), encoding="ascii")
            for known in twins:
                if known.id != entry.id:
                    (board / ENTRIES / f"{known.id}.json").unlink()
        return Published(entry=entry, file=file, done=done, built=write_generated(after, texts, advance=advance))


def _is_damaged(file: Path) -> bool:
    """Whether an entry is not one of its board, for whatever reason."""
    try:
        return bool(entry_findings(read_entry(file), read_board_spec(file.parent.parent)))
    except DataError:
        return True


def _check_fits(entry: Entry, spec: BoardSpec) -> None:
    findings = entry_findings(entry, spec)
    if findings:
        first = findings[0]
        more = f" There are {len(findings) - 1} more such problems." if len(findings) > 1 else ""
        raise SpecError(
            f"The run of '{entry.model.name}' does not fit the board: at '{first.place}': {first.what}.{more}",
            hint=first.hint,
        )


def _check_name(entry: Entry, others: Sequence[Entry]) -> None:
    known = name_of_known(entry, others)
    if known is not None:
        raise SpecError(
            f"The board has entries of this model under the name '{known:.80}', and this one says "
            f"'{entry.model.name:.80}'.",
            hint=f"Give --name {shlex.quote(known[:80])}, or take those entries out: a model has one name on a board.",
        )


def _decide(entry: Entry, twins: Sequence[Entry], replace: bool) -> Done:
    if not twins:
        return "added"
    if any(known.id == entry.id and entry_sha256(known) == entry.sha256 for known in twins) and len(twins) == 1:
        return "already there"
    if not replace:
        raise SpecError(
            f"The board has an entry of the same model, items and conditions with other content: {twins[0].id} of "
            f"{twins[0].provenance.date}.",
            hint="Give --replace to put this run in its place.",
        )
    return "replaced"


def new_board(path: Path, runs: Sequence[Path], *, title: str | None = None, description: str = "") -> BoardSpec:
    """Write the board.yaml of a board that asks what these runs asked; nothing is published.

    Raises SpecError for a board that is there already, a folder's name that is none for a board, or runs that asked the
    same task differently.
    """
    if (path / BOARD_FILE).exists():
        raise SpecError(
            f"{path} is a board already.", hint=f"Add the run to it: `vsc-eval publish {runs[0]} --to {path}`."
        )
    name = path.resolve().name
    found = [_spec_of_run(run, name, title or name, description) for run in runs]
    tasks: dict[str, BoardTask] = {}
    for run, spec in zip(runs, found, strict=True):
        if spec.scoring != found[0].scoring:
            raise SpecError(f"{run} was read by another scoring.", hint="A board asks all items in one way.")
        for task, asked in spec.tasks.items():
            if tasks.setdefault(task, asked) != asked:
                raise SpecError(f"{run} asked other items of '{task}'.", hint="Name runs that asked the same items.")
    versions = {spec.generator_version for spec in found} - {None}
    if len(versions) > 1:
        raise SpecError("The runs' items are of several generator versions.", hint="Name runs of one version.")
    spec = found[0].model_copy(update={"tasks": tasks, "generator_version": next(iter(versions), None)})
    with replacing(path / BOARD_FILE) as partial:
        save_yaml_spec(partial, spec)
    return spec


def _spec_of_run(path: Path, name: str, title: str, description: str) -> BoardSpec:
    run = read_run(path)
    if not run.lines:
        raise DataError(f"The run in {path} has no items.", hint="Name another run.")
    items = item_table(run.lines, [BASELINE])
    version = run.hashes.get("generator_version") if any(task in TASKS for task in items.task) else None
    scoring = scoring_of(run.lines)
    return spec_of(items, name=name, title=title, scoring=scoring, generator_version=version, description=description)
