"""Files that were made to break whatever reads them: each is refused in words, and soon."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from harm import folder_of, reseal

from vsc_eval.answers.finished_run import RESULTS, RUN
from vsc_eval.board.check import check_board
from vsc_eval.board.spec import ENTRIES

ANSWERS, ITEMS, CONDITIONS = "answers.parquet", "items.parquet", "conditions.parquet"
Harm = Callable[[Path], None]


def rewritten(name: str, change: Callable[[pa.Table], pa.Table]) -> Harm:
    def harm(folder: Path) -> None:
        pq.write_table(change(pq.read_table(folder / name)), folder / name, compression="zstd")

    return harm


def column(name: str, values: Callable[[pa.ChunkedArray], Any]) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index(name)
        new = values(table[name])
        return table.set_column(place, pa.field(name, new.type), new)

    return change


def with_null(found: pa.ChunkedArray) -> pa.Array:
    values = found.to_pylist()
    return pa.array([None, *values[1:]], found.type)


def huge_words(found: pa.ChunkedArray) -> pa.Array:
    """A dictionary of one gigabyte that is a few kilobytes in the file."""
    words = pa.array(["x" * (600 << 20)])
    return pa.DictionaryArray.from_arrays(pa.array([0] * len(found), pa.int32()), words)


def many_options(found: pa.ChunkedArray) -> pa.Array:
    return pa.array([[-1.0] * 3_000_000, *found.to_pylist()[1:]], found.type)


def many_items(table: pa.Table) -> pa.Table:
    return table.take(pa.array([0] * 200_000))


def write(name: str, content: bytes | str) -> Harm:
    def harm(folder: Path) -> None:
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return harm


def results(change: Callable[[dict[str, Any]], None]) -> Harm:
    def harm(folder: Path) -> None:
        document = json.loads((folder / RESULTS).read_text())
        change(document)
        (folder / RESULTS).write_text(json.dumps(document))

    return harm


def cut_columns(table: pa.Table) -> pa.Table:
    return table.drop_columns(["read"])


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(9)
)

HARMS: dict[str, tuple[Harm, str]] = {
    "no parquet": (write(ANSWERS, b"PAR1" + b"\0" * 200 + b"PAR1"), "is damaged"),
    "footer of nonsense": (write(ITEMS, b"PAR1" + b"\xff" * 64 + b"\x40\0\0\0PAR1"), "is damaged"),
    "column too many": (rewritten(ANSWERS, lambda t: t.append_column("x", t["right"])), "its columns are not those"),
    "column missing": (rewritten(ANSWERS, cut_columns), "its columns are not those"),
    "other order": (rewritten(CONDITIONS, lambda t: t.select(t.column_names[::-1])), "its columns are not those"),
    "wrong type": (rewritten(ANSWERS, column("right", lambda c: c.cast(pa.int8()))), "its columns are not those"),
    "no dictionary": (rewritten(ANSWERS, column("task", lambda c: c.cast(pa.string()))), "its columns are not those"),
    "gap": (rewritten(ITEMS, column("gold", with_null)), "its column 'gold' has gaps"),
    "gap of an answer": (rewritten(ANSWERS, column("answer", with_null)), "its column 'answer' has gaps"),
    "no rows": (rewritten(ANSWERS, lambda t: t.slice(0, 0)), "its conditions are not those"),
    "no items": (rewritten(ITEMS, lambda t: t.slice(0, 0)), "one answer for each item"),
    "an answer too many": (rewritten(ANSWERS, lambda t: pa.concat_tables([t, t.slice(0, 1)])), "one answer for"),
    "conditions turned": (rewritten(CONDITIONS, lambda t: t.take(pa.array([0, 2, 1, 3, 4]))), "its conditions are not"),
    "other task": (rewritten(ANSWERS, column("task", lambda c: c.take(pa.array(range(len(c))[::-1])))), "'task'"),
    "other right": (rewritten(ANSWERS, column("right", lambda c: pa.array([True] * len(c)))), "column 'right'"),
    "huge dictionary": (rewritten(ANSWERS, column("level", huge_words)), "it would unpack to"),
    "many options": (rewritten(ANSWERS, column("option_logprobs", many_options)), "more than fit into memory"),
    "many items": (rewritten(ITEMS, many_items), "it would unpack to 200,000 rows"),
    "bad edit": (rewritten(CONDITIONS, column("edit", lambda c: pa.array(["{"] * len(c)))), "cannot be read"),
    "half a condition": (rewritten(CONDITIONS, column("edit", lambda c: pa.nulls(len(c), pa.string()))), "cannot be"),
    "not utf-8": (write(RESULTS, b'{"rows": "\xff"}'), "not UTF-8"),
    "surrogate": (write(RESULTS, '{"rows": "\\ud800"}'), "half a character"),
    "nested": (write(RESULTS, "[" * 100_000), "nested too deep"),
    "nested objects": (write(RESULTS, '{"a":' * 200 + "1" + "}" * 200), "nested too deep"),
    "key twice": (write(RESULTS, '{"rows": [], "rows": []}'), "the key is there twice"),
    "not a number": (write(RESULTS, '{"rows": NaN}'), "NaN is no number"),
    "infinite": (write(RESULTS, '{"rows": 1e999}'), "too large"),
    "long integer": (write(RESULTS, '{"rows": 1' + "0" * 400 + "}"), "too large"),
    "a list": (write(RESULTS, "[]"), "a list and no keys"),
    "no rows of results": (results(lambda d: d.pop("rows")), "at 'rows'"),
    "text for a number": (results(lambda d: d["rows"][0].update(n="84")), "at 'rows"),
    "unknown key": (results(lambda d: d["rows"][0].update(more=1)), "at 'rows"),
    "huge figures": (results(lambda d: d["rows"][0]["accuracy"].update(value=1e308)), "the answers give"),
    "negative counts": (results(lambda d: d["rows"][0].update(n=-(10**9))), "the answers give"),
    "aliases": (write(RUN, BOMB), "it holds an alias"),
    "no yaml": (write(RUN, "a: [\n"), "cannot be read as YAML"),
    "python": (write(RUN, "!!python/object/apply:os.system ['id']"), "cannot be read as YAML"),
    "dates": (write(RUN, "settings: {x: 2026-01-01}"), "plain values"),
    "a list of yaml": (write(RUN, "[]"), "a list and no keys"),
    "long yaml": (write(RUN, "#" * (2 << 20)), "it may have 1"),
    "odd hashes": (write(RUN, "hashes: {conditions: [], tasks: 3, layer: x}\nsettings: 5"), "it is model-b"),
}  # fmt: skip


@pytest.mark.parametrize(("harm", "what"), HARMS.values(), ids=HARMS.keys())
def test_it_is_refused_in_words(board: Path, harm: Harm, what: str) -> None:
    folder = folder_of(board)
    harm(folder)
    reseal(folder)
    start = time.monotonic()
    found = check_board(board, intervals=True)
    assert time.monotonic() - start < 60
    assert found
    assert {problem.file for problem in found} == {f"{ENTRIES}/{folder.name}"}
    assert any(what in problem.what for problem in found), [str(problem) for problem in found]
    assert all("Error" not in problem.what.split(": ")[-1] for problem in found), [str(p) for p in found]


def test_a_file_that_is_too_large(board: Path) -> None:
    folder = folder_of(board)
    with (folder / ANSWERS).open("r+b") as file:
        file.truncate(65 << 20)
    (found,) = check_board(board)
    assert "has 65 MiB; it may have 64" in found.what
