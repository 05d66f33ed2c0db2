"""Everything in a board's folder that is made from board.yaml and the entries, and from nothing else."""

import re
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from vsc_eval import __version__
from vsc_eval.board.board import Board
from vsc_eval.board.check import check_entries
from vsc_eval.board.records import Entry
from vsc_eval.board.spec import CARDS, ENTRIES, FIGURES, FOLDERS, TABLES, read_board_spec
from vsc_eval.errors import DataError
from vsc_eval.files import locked_folder, replacing
from vsc_eval.progress import Advance

_OWN_FILE = {
    CARDS: re.compile(r"[a-z0-9][a-z0-9.\-]*-[0-9a-f]{10}\.md"),
    FIGURES: re.compile(r"[a-z0-9][a-z0-9.\-]*-[0-9a-f]{10}\.(png|svg)"),
    TABLES: re.compile(r"(baseline|interventions)\.(md|csv|tex)"),
}
"""Names that only a build gives to files: what has one and is not of this board any more is deleted."""

_OWN_FOLDER = re.compile(r"\.[a-z0-9][a-z0-9.\-]*-[0-9a-f]{10}\.(\d+|old)\.partial")
_PICTURES = re.compile(r"data:image/[a-z]+;base64,[A-Za-z0-9+/=]+")


@dataclass(frozen=True)
class Built:
    """What a build did, as paths below the board."""

    written: tuple[str, ...]
    removed: tuple[str, ...]


def build_board(
    path: Path, *, log: Callable[[str], None] = lambda _: None, progress: Advance = lambda *_: None
) -> Built:
    """Check the board, then bring all generated files up to date; those that are, are not touched.

    `progress` is of the figures, whose drawing takes most of a build's time. Raises SpecError if there is no board,
    DataError, before anything is written, for an entry that is wrong, and BackendError for a folder that cannot be
    written.
    """
    read_board_spec(path)
    with locked_folder(path, "a board", log):
        return write_generated(checked_board(path), progress=progress)


def checked_board(path: Path, *, forgiven: str | None = None) -> Board:
    """The board, all of it right; of the entry's folder named `forgiven` anything may be wrong: it then is left out.
    Raises SpecError if there is no board, DataError naming the first problem."""
    entries, problems = check_entries(path)
    problems = tuple(problem for problem in problems if problem.file != f"{ENTRIES}/{forgiven}")
    if problems:
        first, n_files = problems[0], len({problem.file for problem in problems})
        place = f", at '{first.place}'" if first.place else ""
        more = f" {len(problems)} problems in {n_files} files: `vsc-eval board check {path}` tells all."
        hint = first.hint + (more if len(problems) > 1 else "")
        raise DataError(f"{path / first.file}{place}: {first.what}.", hint=hint)
    return Board(path=path, spec=read_board_spec(path), entries=entries)


def generated_texts(board: Board) -> dict[str, str]:
    """Path below the board -> content, of all generated files but the figures. The same board gives the same texts.
    Raises DataError where an item's picture, drawn anew, is not the one that the entry's model saw."""
    # Templates, tables and pictures load only here: checking a board needs none of them.
    from vsc_eval.board.model_card import model_card
    from vsc_eval.board.page.render import render_page
    from vsc_eval.board.tables import board_tables, readme, table_files

    tables = board_tables(board)
    texts = {"README.md": readme(board, tables), "index.html": render_page(board, tables)}
    texts |= {f"{TABLES}/{name}": text for name, text in table_files(tables, board.spec.title).items()}
    return texts | {f"{CARDS}/{entry.id}.md": model_card(entry, board) for entry in board.entries}


def write_generated(board: Board, texts: dict[str, str] | None = None, *, progress: Advance = lambda *_: None) -> Built:
    """Write what is not up to date, each file at once or not at all, and delete what is left of entries that are gone.
    `texts` are `generated_texts`, if they are there already. The caller holds the board's lock."""
    texts = generated_texts(board) if texts is None else texts
    written = [name for name, text in texts.items() if _write(board.path / name, text.encode())]
    for place, entry in enumerate(board.entries):
        progress("figures", place, len(board.entries))
        written += _write_figures(board.path, entry)
    progress("figures", len(board.entries), len(board.entries))
    removed = _leftovers(board, texts)
    for name in removed:
        file = board.path / name
        shutil.rmtree(file) if file.is_dir() else file.unlink()
    return Built(tuple(written), tuple(removed))


def stale_files(board: Board) -> dict[str, str]:
    """Generated file -> what is wrong with it, for those that a build would write or delete.

    Of figures only that they are there, and of the page not how its pictures are compressed: both may differ between
    versions of libraries, which changes nothing that is shown.
    """
    texts, found = generated_texts(board), dict[str, str]()
    for name in (*texts, *_figures(board.entries)):
        file = board.path / name
        if not file.is_file():
            found[name] = "missing"
        elif name in texts and _comparable(file.read_bytes().decode("utf-8", "replace")) != _comparable(texts[name]):
            found[name] = "out of date"
    return found | dict.fromkeys(_leftovers(board, texts), "of no entry")


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


def _figures(entries: Iterable[Entry]) -> list[str]:
    """Paths of their figures below the board."""
    return [f"{FIGURES}/{entry.id}.{kind}" for entry in entries for kind in ("svg", "png")]


def _write_figures(path: Path, entry: Entry) -> list[str]:
    """A figure takes a second: the SVG says of which entry it is, and is left if that has not changed."""
    names = _figures([entry])
    svg, png = (path / name for name in names)
    mark = f"<!-- vsc-eval {__version__}, entry {entry.about.sha256} -->\n".encode()
    if svg.is_file() and png.is_file() and svg.read_bytes().endswith(mark):
        return []
    from vsc_eval.board.figure import summary_figure

    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder) / svg.name, Path(folder) / png.name
        summary_figure(entry, *drawn)
        # The SVG last: with its mark it says that both are there.
        _write(png, drawn[1].read_bytes())
        _write(svg, drawn[0].read_bytes().rstrip() + b"\n" + mark)
    return names


def _leftovers(board: Board, texts: Iterable[str]) -> list[str]:
    """Paths of generated files of entries that are gone, and of what a killed process left half written: a writer
    leaves files, a publisher also the folder of an entry."""
    kept = {*texts, *_figures(board.entries)}
    found = []
    for folder in (".", *FOLDERS):
        for file in sorted((board.path / folder).glob("*")):
            name, pattern = file.relative_to(board.path).as_posix(), _OWN_FILE.get(folder)
            is_own = pattern is not None and pattern.fullmatch(file.name) and not file.is_dir() and name not in kept
            is_folder = _OWN_FOLDER.fullmatch(file.name) and not file.is_symlink()
            if is_own or (file.match(".*.partial") and (not file.is_dir() or is_folder)):
                found.append(name)
    return found
