"""What the tables say, against the entries they were made of and against hand-worked cases."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from hostile_entries import hostile_entry
from samples import sample_entry, with_hashes, with_results, with_settings
from table_boards import board_of, golden_board, judged

from vsc_eval.analysis.official import OfficialRow
from vsc_eval.board.records import Entry
from vsc_eval.board.tables import board_tables, table_files
from vsc_eval.board.tables.interventions import controlled
from vsc_eval.specs import BASELINE
from vsc_eval.stats import Figure, adjust
from vsc_eval.stats.drift import PARTS
from vsc_eval.tables.clean import name
from vsc_eval.tables.formats import to_csv, to_latex, to_markdown
from vsc_eval.tables.numbers import percent, with_interval
from vsc_eval.tables.table import Table

Records = list[dict[str, str]]


def renamed(
    entry: Entry, ident: str, name: str = "", fingerprint: str = "", revision: str | None = None, backend: str = "hf"
) -> Entry:
    """The entry of another model: what is not given is as it was."""
    about = entry.about.model_copy(update={"id": f"{ident}-0123456789", "name": name or entry.name})
    found = with_results(replace(entry, about=about), model_fingerprint=fingerprint or entry.fingerprint)
    return with_settings(with_hashes(found, model_revision=revision), backend=backend)


def ids(entry: Entry) -> list[str]:
    return [item.item_id for item in entry.table.items]


def dated(entry: Entry, date: str) -> Entry:
    return replace(entry, about=entry.about.model_copy(update={"date": date}))


def table_of(key: str, *entries: Entry) -> Table:
    tables = board_tables(board_of(*entries))
    return next(table for table in (*tables.baseline, *tables.interventions) if table.key == key)


def column(table: Table, key: str) -> list[str]:
    return [table.texts(row)[table.index(key)] for row in table.rows]


def records(text: str) -> Records:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_rows_of_the_ranking_are_the_entries_own_figures() -> None:
    entry = sample_entry("model-a")
    table = table_of("ranking", entry, sample_entry("model-b"))
    row = next(row for row in table.rows if entry.id in row.entries)
    whole = entry.row(BASELINE, "all")
    assert whole is not None
    assert row.cells[table.index("all")].value == whole.accuracy.value
    assert table.texts(row)[table.index("all")] == with_interval(whole.accuracy, percent)
    assert table.texts(row)[table.index("n")] == str(whole.n)
    assert table.texts(row)[table.index("invalid")] == percent(whole.n_invalid / whole.n)
    for level in ("easy", "medium", "hard"):
        found = entry.row(BASELINE, "level", level=level)
        assert found is not None
        assert row.cells[table.index(f"level_{level}")].value == found.accuracy.value


def test_all_21_cells_are_there() -> None:
    entry = sample_entry("model-a")
    table = table_of("cells", entry)
    assert table.title == "Accuracy in the 21 cells"
    for row in table.rows:
        task = table.texts(row)[1].replace(" ", "_")
        for level in ("easy", "medium", "hard"):
            cell = entry.row(BASELINE, "cell", task, level)
            assert cell is not None
            assert row.cells[table.index(f"level_{level}")].value == cell.accuracy.value
    assert len(table.rows) == 7


def test_the_note_names_the_test_and_that_nothing_is_corrected() -> None:
    table = table_of("ranking", *(sample_entry(f"model-{i}") for i in range(3)))
    note = next(note for note in table.notes if note.startswith("rank"))
    for words in ("1 + number of models", "95% percentile bootstrap", "whole clusters", "without correction", "(3)"):
        assert words in note


def test_entries_of_one_model_complement_each_other() -> None:
    """The synthetic tasks of the later entry, the external set of the other, and one row for both."""
    own = dated(sample_entry("model-a"), "2026-12-01T00:00:00+00:00")
    other = renamed(hostile_entry("pope"), "pope", name=own.name, fingerprint=own.fingerprint, revision=own.revision)
    board = board_of(own, other)
    (model,) = board.models
    assert model.latest(board.spec.tasks_of("synthetic")) == own
    assert model.latest(["pope"]) == other
    assert model.latest(["textvqa"]) is None
    tables = {table.key: table for table in board_tables(board).baseline}
    assert column(tables["ranking"], "model") == column(tables["external"], "model") == ["model-a"]
    differing = sum(
        a != dict(zip(ids(own), own.table.words(BASELINE), strict=True)).get(i, a)
        for i, a in zip(ids(other), other.table.words(BASELINE), strict=True)
    )
    assert differing > 0
    assert f"different baseline answers to {differing} items" in " ".join(tables["ranking"].notes)


@pytest.mark.parametrize(
    "change",
    [{"fingerprint": "f" * 16}, {"revision": "abc"}, {"backend": "vllm"}],
)
def test_another_fingerprint_revision_or_backend_is_another_model(change: dict[str, str]) -> None:
    entry = sample_entry("model-a")
    assert len(board_of(entry, renamed(entry, "other", **change)).models) == 2


def test_sums_leave_external_items_out() -> None:
    """The entry has 84 synthetic items and 2 others."""
    entry = hostile_entry("pope")
    ranking = table_of("ranking", entry)
    rights = [
        answer == item.gold
        for answer, item in zip(entry.table.words(BASELINE), entry.table.items, strict=True)
        if item.task != "pope"
    ]
    assert len(rights) == 84
    assert ranking.rows[0].cells[ranking.index("all")].value == pytest.approx(sum(rights) / 84)
    assert column(ranking, "n") == ["84"]


def test_external_figures_are_the_main_ones() -> None:
    entry = hostile_entry("pope")
    main = OfficialRow(
        task="pope", condition=BASELINE, metric="pope", figure="f1", is_main=True, unit="items",
        value=Figure(0.5, 0.25, 0.75, 2, 2, "made up"), difference=None,
    )  # fmt: skip
    side = main.model_copy(update={"is_main": False, "value": Figure(0.1, None, None, 2, 2, "made up", "few")})
    table = table_of("external", with_results(entry, official=(side, main)))
    assert column(table, "official") == ["50.0 [25.0, 75.0]"]
    assert column(table, "n") == ["2"]


def test_a_board_without_synthetic_tasks_has_only_the_external_table() -> None:
    entry = hostile_entry("pope")
    board = board_of(entry)
    tasks = {name: task for name, task in board.spec.tasks.items() if task.kind == "external"}
    only = type(board)(board.path, board.spec.model_copy(update={"tasks": tasks}), board.entries)
    assert [table.key for table in board_tables(only).baseline] == ["external"]


def test_a_board_of_baselines_has_no_intervention_files() -> None:
    tables = board_tables(board_of(sample_entry("model-a", conditions=())))
    assert tables.interventions == ()
    assert sorted(table_files(tables, "x")) == ["baseline.csv", "baseline.md", "baseline.tex"]


def test_names_that_look_alike_are_told_apart() -> None:
    entry = sample_entry("model-a")
    long = "organisation/a-model-with-a-very-long-name-that-ends-in-"
    entries = [
        entry,
        renamed(entry, "b", fingerprint="1" * 16, revision="abcdef0123"),
        renamed(entry, "c", fingerprint="2" * 16),
        renamed(entry, "d", name=f"{long}base", fingerprint="3" * 16),
        renamed(entry, "e", name=f"{long}chat", fingerprint="4" * 16),
    ]
    view = board_of(*entries)
    shown = {name(model.label, 40) for model in view.models}
    assert len(shown) == 5
    assert any("abcdef0" in label for label in shown)
    assert len({name(label, 40) for label in view.labels.values()}) == 5


def test_every_condition_is_in_the_table_and_the_headlines_in_print() -> None:
    entry = judged(sample_entry("model-b", source="study"))
    table = table_of("effects", entry)
    assert column(table, "condition") == [c.name for c in entry.conditions if c.role != "baseline"]
    printed = to_markdown(table)
    assert "| model-b | counting+logic |" in printed
    assert "| model-b | logic |" not in printed
    assert "(1 more)" in printed
    assert "\nlogic &" not in to_latex(table)


def test_p_is_adjusted_over_all_conditions_of_the_entry() -> None:
    entry = sample_entry("model-a")
    table = table_of("effects", entry)
    rows = [entry.row(name, "all") for name in column(table, "condition")]
    raw = [row.p_difference for row in rows if row is not None]
    assert [row.cells[table.index("p_difference")].value for row in table.rows] == raw
    assert [row.cells[table.index("p_difference_holm")].value for row in table.rows] == list(adjust(raw))
    assert [c.head for c in table.columns if c.unit == "p"] == ["p, unadjusted", "p, Holm"]


def test_parts_add_up() -> None:
    table = table_of("parts", *golden_board().entries)
    for row in table.rows:
        parts = [int(table.texts(row)[table.index(part)]) for part in PARTS]
        assert sum(parts) == int(table.texts(row)[table.index("n_changed")])


def test_the_floor_is_the_largest_one() -> None:
    entry = sample_entry("model-b", source="study")
    larger = entry.results.floor[0].model_copy(update={"name": "zero", "drift": Figure(0.01, 0.0, 0.03, 9, 3, "")})
    table = table_of("effects", with_results(entry, floor=(*entry.results.floor, larger)))
    assert set(column(table, "floor_drift")) == {"1.0 [0.0, 3.0]"}


def test_the_worst_control_is_the_one_that_hides_the_effect_best() -> None:
    """By p first; of random directions and permuted labels, at p 0.43 each, the lower percentile."""
    entry = judged(sample_entry("model-b", source="study"))
    found = next(found for found in controlled(entry) if found["of"] == "interaction")
    assert (found["drift_control_kind"], found["drift_n_kinds"]) == ("permuted_labels", 3)
    assert found["accuracy_control_kind"] == "random_sets"
    table = table_of("controls", entry)
    row = next(row for row in table.rows if table.texts(row)[table.index("of")] == "interaction")
    assert table.texts(row)[3:] == [
        *("−5.0", "55.0", "0.43", "permuted labels"),
        *("−5.0", "100.0", "0.048", "random sets"),
    ]


def test_verdicts_are_named_and_none_is_not_a_gap() -> None:
    table = table_of("combined", judged(sample_entry("model-b", source="study")))
    assert column(table, "verdict") == ["interference", "no interference"]
    assert column(table, "p_drift_interaction_adjusted") == ["<0.0001", "0.0002"]


def test_csv_has_every_figure_in_full_precision() -> None:
    board = golden_board()
    tables = board_tables(board)
    found = records(to_csv(tables.interventions_data))
    assert len(found) == sum(len(entry.conditions) - 1 for entry in board.entries)
    by_id = {entry.id: entry for entry in board.entries}
    for record in found:
        row = by_id[record["entry"]].row(record["condition"], "all")
        assert row is not None
        assert row.difference is not None
        assert row.drift is not None
        assert float(record["difference_value"]) == row.difference.value
        assert float(record["drift_low"]) == row.drift.share.low
        assert int(record["n"]) == row.n
        assert sum(int(record[part]) for part in PARTS) == int(record["n_changed"])
    baseline = records(to_csv(tables.baseline_data))
    cells = [r for r in baseline if r["scope"] == "cell" and r["kind"] == "synthetic"]
    assert len(cells) == 21 * len(tables.baseline[0].rows)
    for record in cells:
        row = by_id[record["entry"]].row(BASELINE, "cell", record["task"], record["level"])
        assert row is not None
        assert (int(record["n_right"]), float(record["value"])) == (row.n_right, row.accuracy.value)
    assert {r["rank"] for r in baseline if r["scope"] == "all"} == {"1", "4"}


def test_what_is_missing_has_a_reason_in_the_notes() -> None:
    for table in (*board_tables(golden_board()).baseline, *board_tables(golden_board()).interventions):
        gaps = {cell.reason for row in table.rows for cell in row.cells if cell.value is None}
        assert all(gap and gap in " ".join(table.all_notes) for gap in gaps), table.key


def test_a_hundred_entries_cost_in_proportion_to_twenty() -> None:
    entry = sample_entry("model-a")
    many = [renamed(entry, f"m{i:03d}", name=f"m{i}", fingerprint=f"{i:016x}") for i in range(100)]

    def seconds(n: int) -> float:
        board = board_of(*many[:n])
        start = time.process_time()
        table_files(board_tables(board), "x")
        return time.process_time() - start

    all_, fifth = (min(seconds(n) for _ in range(2)) for n in (100, 20))
    assert all_ < 15 * fifth, f"{all_:.2f} s, {fifth:.2f} s for a fifth of them"


def test_importing_the_tables_loads_no_model_library() -> None:
    code = "import sys, vsc_eval.board.tables; print({'torch', 'lm_eval', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
