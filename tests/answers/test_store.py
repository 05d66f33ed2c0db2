"""The answer store: exact, durable through a kill, and loud about damage."""

from __future__ import annotations

import math
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vsc_eval.answers.store import AnswerStore, answer_key
from vsc_eval.errors import BackendError, DataError
from vsc_eval.records import Reading

KEY = {"model_fingerprint": "m", "condition_hash": "c", "prompt_hash": "p", "image_hash": "i", "settings_hash": "s"}

floats = st.floats(allow_nan=False)
readings = st.builds(
    Reading,
    text=st.none() | st.text(alphabet=st.characters(exclude_categories=["Cs"])),
    token_ids=st.lists(st.integers(0, 2**31)).map(tuple),
    option_logprobs=st.none() | st.lists(floats, min_size=4, max_size=4).map(tuple),
    kl_vocab=st.none() | floats,
    shift_edited=st.none() | floats,
    n_fires=st.integers(0, 100),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(readings, max_size=8))
def test_readings_come_back_exactly(batch: list[Reading]) -> None:
    rows = {f"key{i}": reading for i, reading in enumerate(batch)}
    with AnswerStore(":memory:") as store:
        store.put_many(rows)
        assert store.get_many(rows) == rows
        assert len(store) == len(rows)


def test_floats_survive_a_reopen_bit_for_bit(tmp_path: Path) -> None:
    values = (math.pi, 5e-324, -math.inf, 0.1 + 0.2)
    with AnswerStore(tmp_path / "a.sqlite") as store:
        store.put_many({"k": Reading(option_logprobs=values, kl_vocab=math.nan)})
    with AnswerStore(tmp_path / "a.sqlite") as store:
        reading = store.get_many(["k"])["k"]
    assert reading.option_logprobs == values
    assert reading.kl_vocab is not None
    assert math.isnan(reading.kl_vocab)


def test_missing_keys_are_left_out_and_many_keys_fit() -> None:
    with AnswerStore(":memory:") as store:
        store.put_many({str(i): Reading(n_fires=i) for i in range(0, 3000, 2)})
        found = store.get_many(str(i) for i in range(3000))
    assert sorted(map(int, found)) == list(range(0, 3000, 2))
    assert found["42"].n_fires == 42


def test_the_first_reading_of_a_key_stays() -> None:
    with AnswerStore(":memory:") as store:
        store.put_many({"k": Reading(text="A")})
        store.put_many({"k": Reading(text="B")})
        assert store.get_many(["k"])["k"].text == "A"


@pytest.mark.parametrize("part", sorted(KEY))
def test_every_part_changes_the_key(part: str) -> None:
    assert answer_key(**KEY) != answer_key(**{**KEY, part: "other"})


def test_parts_of_a_key_cannot_run_into_each_other() -> None:
    assert answer_key(**{**KEY, "prompt_hash": "ab", "image_hash": "c"}) != answer_key(
        **{**KEY, "prompt_hash": "a", "image_hash": "bc"}
    )


def test_kill_9_loses_no_committed_batch(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    writer = """
import sys
from vsc_eval.records import Reading
from vsc_eval.answers.store import AnswerStore
store = AnswerStore(sys.argv[1])
batch = 0
while True:
    store.put_many({f"{batch}/{i}": Reading(text="x" * 500, n_fires=batch) for i in range(16)})
    print(batch, flush=True)
    batch += 1
"""
    for _ in range(3):
        path.unlink(missing_ok=True)
        with subprocess.Popen([sys.executable, "-c", writer, str(path)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if int(line) >= 20:
                    break
            os.kill(process.pid, signal.SIGKILL)
            reported = [int(line), *map(int, process.stdout.read().split())][-1]
        assert process.returncode == -signal.SIGKILL
        with AnswerStore(path) as store:
            committed = {f"{batch}/{i}" for batch in range(reported + 1) for i in range(16)}
            assert store.get_many(committed).keys() == committed
            assert len(store) % 16 == 0  # no half batch
            store.put_many({"after": Reading()})


def test_a_rolled_back_batch_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with AnswerStore(path) as store:
        with pytest.raises(AttributeError):
            store.put_many({"k": Reading(), "l": None})  # type: ignore[dict-item]
        with pytest.raises(sqlite3.IntegrityError), store._db:
            store._db.executemany("INSERT INTO answers VALUES (?, '{}', '')", [("k",), ("k",)])
    with AnswerStore(path) as store:
        assert len(store) == 0


def test_a_changed_row_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with AnswerStore(path) as store:
        store.put_many({"k": Reading(text="A"), "l": Reading(text="B")})
    db = sqlite3.connect(path)
    db.execute("UPDATE answers SET reading = replace(reading, 'A', 'C') WHERE key = 'k'")
    db.commit()
    db.close()
    with AnswerStore(path) as store:
        assert store.get_many(["l"])["l"].text == "B"
        with pytest.raises(DataError, match=r"damaged.*Delete"):
            store.get_many(["k"])


def test_a_file_with_overwritten_pages_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    rows = {f"{i:064}": Reading(text=f"{i}" * 200) for i in range(200)}
    with AnswerStore(path) as store:
        store.put_many(rows)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(DataError, match="damaged"), AnswerStore(path) as store:
        store.get_many(rows)


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.sqlite"
    text.write_text("not a database, but long enough to have a header\n" * 30)
    with pytest.raises(DataError, match="damaged"):
        AnswerStore(text)
    other = tmp_path / "other.sqlite"
    db = sqlite3.connect(other)
    db.execute("CREATE TABLE t (x)")
    db.commit()
    db.close()
    with pytest.raises(DataError, match="another program"):
        AnswerStore(other)


def test_an_unwritable_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "no" / "folder" / "a.sqlite", tmp_path / "file" / "a.sqlite", tmp_path):
        with pytest.raises(BackendError, match="writable"):
            AnswerStore(path)


def test_a_full_disk_is_an_error_and_keeps_what_was_committed(tmp_path: Path) -> None:
    with AnswerStore(tmp_path / "a.sqlite") as store:
        store.put_many({"k": Reading(text="A")})
        store._db.execute("PRAGMA max_page_count=8")  # SQLite then reports SQLITE_FULL, as on a full disk
        with pytest.raises(BackendError, match=r"full.*disk has space"):
            store.put_many({str(i): Reading(text="x" * 1000) for i in range(100)})
        assert len(store) == 1
        assert store.get_many(["k"])["k"].text == "A"


def test_a_second_writer_waits_or_is_told(tmp_path: Path) -> None:
    with AnswerStore(tmp_path / "a.sqlite") as one, AnswerStore(tmp_path / "a.sqlite") as two:
        two._db.execute("PRAGMA busy_timeout=50")
        with one._db:
            one._db.execute("BEGIN IMMEDIATE")
            with pytest.raises(BackendError, match="in use by another process"):
                two.put_many({"k": Reading()})
        two.put_many({"k": Reading()})
        assert len(one) == 1
