"""Everything in a board's folder that is made from board.yaml and the entries, and from nothing else."""

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vsc_eval import __version__
from vsc_eval.board.board import CARDS, ENTRIES, FIGURES, FOLDERS, TABLES, Board, read_board_spec
from vsc_eval.board.check.board_check import check_entries
from vsc_eval.board.records import Entry, Problem
from vsc_eval.errors import DataError
from vsc_eval.files import locked_folder, replacing

_OWN_FILE = {
    CARDS: re.compile(r"[a-z0-9][a-z0-9.\-]*-[0-9a-f]{10}\.md"),
    FIGURES: re.compile(r"[a-z0-9][a-z0-9.\-]*-[0-9a-f]{10}\.(png|svg)"),
    TABLES: re.compile(r"(baseline|interventions)\.(md|csv|tex)"),
}
"""Names that only a build gives to files: what has one and is not of this board any more is deleted."""

_OWN_FOLDER = re.compile(r"\.[a-z0-9][a-z0-9.\-]*-[0-9a-f]{10}\.(\d+|old)\.partial")
_PICTURES = re.compile(r"data:image/[a-z]+;base64,[A-Za-z0-9+/=]+")

Progress = Callable[[int, int], None]
"""Called with (figures drawn, figures): drawing takes most of a build's time."""


def no_progress(done: int, total: int) -> None:
    """Shows nothing."""


@dataclass(frozen=True)
class Built:
    """What a build did, as paths below the board."""

    written: tuple[str, ...]
    removed: tuple[str, ...]


def build_board(path: Path, *, log: Callable[[str], None] = lambda _: None, progress: Progress = no_progress) -> Built:
    """Check the board, then bring all generated files up to date; those that are, are not touched.

    Raises SpecError if there is no board, DataError, before anything is written, for an entry that is wrong, and
    BackendError for a folder that cannot be written.
    """
    read_board_spec(path)
    with locked_folder(path, "a board", log):
        return write_generated(checked_board(path), progress=progress)


def checked_board(path: Path, *, but: str | None = None) -> Board:
    """The board, all of it right; without the entry in the folder named `but`, whatever is wrong with that one.

    Raises SpecError if there is no board, DataError naming the first problem.
    """
    entries, problems = check_entries(path)
    if but is not None:
        entries = tuple(entry for entry in entries if entry.id != but)
        problems = tuple(problem for problem in problems if problem.file != f"{ENTRIES}/{but}")
    if problems:
        raise _refusal(path, problems)
    return Board(path=path, spec=read_board_spec(path), entries=entries)


def _refusal(path: Path, problems: tuple[Problem, ...]) -> DataError:
    """The first of them as an error."""
    first, n_files = problems[0], len({problem.file for problem in problems})
    place = f", at '{first.place}'" if first.place else ""
    more = f" {len(problems)} problems in {n_files} files: `vsc-eval board check {path}` tells all."
    return DataError(
        f"{path / first.file}{place}: {first.what}.", hint=first.hint + (more if len(problems) > 1 else "")
    )


def generated_texts(board: Board) -> dict[str, str]:
    """Path below the board -> content, of all generated files but the figures. The same board gives the same texts.

    Raises DataError where an item's picture, drawn anew, is not the one that the entry's model saw.
    """
    # Templates, tables and pictures load only here: checking a board needs none of them.
    from vsc_eval.board.page.render import render_page
    from vsc_eval.board.readme import readme
    from vsc_eval.board.share.model_card import model_card
    from vsc_eval.board.tables import board_tables, table_files

    tables = board_tables(board)
    texts = {"README.md": readme(board, tables), "index.html": render_page(board, tables)}
    texts |= {f"{TABLES}/{name}": text for name, text in table_files(tables, board.spec.title).items()}
    return texts | {f"{CARDS}/{entry.id}.md": model_card(entry, board) for entry in board.entries}


def write_generated(board: Board, texts: dict[str, str] | None = None, *, progress: Progress = no_progress) -> Built:
    """Write what is not up to date, each file at once or not at all, and delete what is left of entries that are gone.

    `texts` are `generated_texts`, if they are there already. The caller holds the board's lock.
    """
    texts = generated_texts(board) if texts is None else texts
    written = [name for name, text in texts.items() if _write(board.path / name, text.encode())]
    for place, entry in enumerate(board.entries):
        progress(place, len(board.entries))
        written += _write_figures(board.path, entry)
    progress(len(board.entries), len(board.entries))
    removed = list(_leftovers(board, set(texts)))
    for file in removed:
        shutil.rmtree(file) if file.is_dir() else file.unlink()
    return Built(written=tuple(written), removed=tuple(file.relative_to(board.path).as_posix() for file in removed))


def stale_files(board: Board) -> dict[str, str]:
    """Generated file -> what is wrong with it, for those that a build would write or delete.

    Of figures only that they are there, and of the page not how its pictures are compressed: both may differ between
    versions of libraries, which changes nothing that is shown.
    """
    texts = generated_texts(board)
    found = {}
    for name, text in texts.items():
        file = board.path / name
        if not file.is_file():
            found[name] = "missing"
        elif _comparable(file.read_bytes().decode("utf-8", "replace")) != _comparable(text):
            found[name] = "out of date"
    figures = [file for entry in board.entries for file in _figure_files(board.path, entry)]
    wrong = {file: "missing" for file in figures if not file.is_file()}
    wrong |= dict.fromkeys(_leftovers(board, set(texts)), "of no entry")
    return found | {file.relative_to(board.path).as_posix(): what for file, what in wrong.items()}


def _comparable(text: str) -> str:
    """Without what git may do to line ends."""
    return _PICTURES.sub("picture", text.replace("\r\n", "\n"))


def _write(file: Path, content: bytes) -> bool:
    """Whether there was anything to write."""
    if file.is_file() and file.read_bytes() == content:
        return False
    with replacing(file) as partial:
        partial.write_bytes(content)
    return True


def _figure_files(path: Path, entry: Entry) -> tuple[Path, Path]:
    return path / FIGURES / f"{entry.id}.svg", path / FIGURES / f"{entry.id}.png"


def _write_figures(path: Path, entry: Entry) -> list[str]:
    """A figure takes a second: the SVG says of which entry it is, and is left if that has not changed."""
    svg, png = _figure_files(path, entry)
    mark = f"<!-- vsc-eval {__version__}, entry {entry.about.sha256} -->\n".encode()
    if svg.is_file() and png.is_file() and svg.read_bytes().endswith(mark):
        return []
    from vsc_eval.board.share.figure import summary_figure

    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder) / svg.name, Path(folder) / png.name
        summary_figure(entry, *drawn)
        # The SVG last: with its mark it says that both are there.
        _write(png, drawn[1].read_bytes())
        _write(svg, drawn[0].read_bytes().rstrip() + b"\n" + mark)
    return [file.relative_to(path).as_posix() for file in (svg, png)]


def _leftovers(board: Board, texts: set[str]) -> Iterator[Path]:
    """Generated files of entries that are gone, and what a killed process left half written."""
    kept = {board.path / name for name in texts}
    kept |= {file for entry in board.entries for file in _figure_files(board.path, entry)}
    for folder, pattern in _OWN_FILE.items():
        for file in sorted((board.path / folder).glob("*")):
            if file not in kept and pattern.fullmatch(file.name) and not file.is_dir():
                yield file
    for folder in (".", *FOLDERS):
        yield from sorted(found for found in (board.path / folder).glob(".*.partial") if _is_ours(found))


def _is_ours(partial: Path) -> bool:
    """A killed writer leaves files; a killed publisher also the folder of an entry."""
    return not partial.is_dir() or (_OWN_FOLDER.fullmatch(partial.name) is not None and not partial.is_symlink())
