"""The files of a table of answers: what is written is read, by us and by pandas; what is damaged is told."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made import made_table

from vsc_eval.answers.answer_table import AnswerTable
from vsc_eval.answers.parquet import read_table, table_files, write_table
from vsc_eval.errors import DataError
from vsc_eval.files import file_hash
from vsc_eval.specs import BASELINE


def same(a: AnswerTable, b: AnswerTable) -> bool:
    """Whether two tables hold the same, whatever the order of their vocabularies."""
    words = [[np.array(t.main.vocabulary)[codes] for codes in (t.main.read, t.main.answer)] for t in (a, b)]
    return (
        (a.items, a.conditions, list(a.passes)) == (b.items, b.conditions, list(b.passes))
        and all(np.array_equal(x, y) for x, y in zip(*words, strict=True))
        and np.array_equal(a.main.option_logprobs, b.main.option_logprobs, equal_nan=True)
        and set(a.main.columns) == set(b.main.columns)
        and all(
            np.array_equal(column, b.main.columns[name], equal_nan=column.dtype.kind == "f")
            for name, column in a.main.columns.items()
        )
    )


@pytest.mark.parametrize("generate", [False, True])
def test_what_is_written_is_read(tmp_path: Path, generate: bool) -> None:
    table = made_table(generate=generate)
    again = replace(table, passes={"other_batches": table.main.take([0])})
    hashes = write_table(tmp_path, again)
    assert hashes == {name: file_hash(tmp_path / name) for name in table_files()}
    found = read_table(tmp_path)
    assert same(found, again)
    assert found.passes["other_batches"].names == (BASELINE,)
    assert write_table(tmp_path / "..", found, "copy")["copy.parquet"] != ""


def test_the_same_answers_are_the_same_bytes_in_whatever_order_they_came(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.mkdir(), b.mkdir()
    table = made_table()
    shuffled = table.main.vocabulary[::-1]
    places = np.array([shuffled.index(word) for word in table.main.vocabulary], dtype=np.int32)
    other = replace(table.main, vocabulary=shuffled, read=places[table.main.read], answer=places[table.main.answer])
    write_table(a, table)
    write_table(b, read_table(a))
    assert file_hash(a / "answers.parquet") == file_hash(b / "answers.parquet")
    write_table(b, replace(table, main=other))
    assert file_hash(a / "answers.parquet") == file_hash(b / "answers.parquet")


def test_pandas_reads_a_row_an_item_and_condition(tmp_path: Path) -> None:
    table = made_table()
    write_table(tmp_path, table)
    rows = pd.read_parquet(tmp_path / "answers.parquet")
    assert len(rows) == len(table.items) * len(table.conditions)
    right = rows.groupby("condition", observed=True)["right"].mean()
    for name in table.names:
        assert right[name] == pytest.approx(table.right([name]).mean())
    assert len(rows["option_logprobs"].iloc[0]) == 4
    assert set(rows["pass"]) == {"main"}


def test_margins_are_of_the_gold_option() -> None:
    table = made_table(n_orbits=1)
    row = table.main.option_logprobs[1, 2].astype(float)
    gold = table.items[2].gold_index
    assert gold is not None
    expected = row[gold] - max(value for place, value in enumerate(row) if place != gold)
    assert table.margins(["counting"])[0, 2] == expected
    lonely = replace(table, main=replace(table.main, option_logprobs=table.main.option_logprobs[:, :, :1]))
    with pytest.raises(IndexError):
        lonely.margins(["counting"])
    assert math.isnan(
        replace(table, items=tuple(replace(i, gold_index=None) for i in table.items)).margins([BASELINE])[0, 0]
    )


@pytest.mark.parametrize("name", table_files())
def test_a_missing_or_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    write_table(tmp_path, made_table())
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=f"{name} is damaged"):
        read_table(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=f"no {tmp_path / name}"):
        read_table(tmp_path)


def test_a_row_that_is_missing_or_twice_is_told(tmp_path: Path) -> None:
    write_table(tmp_path, made_table())
    file = tmp_path / "answers.parquet"
    rows = pq.read_table(file)
    pq.write_table(rows.slice(1), file)
    with pytest.raises(DataError, match="one answer for each item and condition"):
        read_table(tmp_path)
    pq.write_table(pa.concat_tables([rows, rows.slice(0, 1)]), file)
    with pytest.raises(DataError, match="one answer for each item and condition"):
        read_table(tmp_path)


def test_another_version_is_refused(tmp_path: Path) -> None:
    write_table(tmp_path, made_table())
    file = tmp_path / "items.parquet"
    rows = pq.read_table(file)
    pq.write_table(rows.replace_schema_metadata({"vsc_eval_schema": "99"}), file)
    with pytest.raises(DataError, match="schema version 99"):
        read_table(tmp_path)
