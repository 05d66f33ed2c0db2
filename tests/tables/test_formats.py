"""One table in every format, by hand."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from rich.console import Console

from vsc_eval.tables.console import draw
from vsc_eval.tables.formats import bullets, folded, paragraphs, to_csv, to_html, to_latex, to_markdown
from vsc_eval.tables.table import Cell, Column, Table, TableRow, cell, methods_note, shown, table


@pytest.fixture
def small() -> Table:
    return table(
        "small",
        "Accuracy & drift",
        (
            Column("condition", "condition", "name"),
            Column("accuracy", "accuracy %", "percent"),
            Column("difference", "diff", "points", "paired", "Against the baseline"),
            Column("p", "p", "p", "paired"),
            Column("n", "n", "count"),
            Column("note", "remark"),
        ),
        [
            ("baseline", 0.9, None, None, 420, "as it is"),
            ("a_b:scale=4", Cell(0.8881, 0.85, 0.92), Cell(-0.0119, -0.029, 0.0), 0.00001, 420, "<b>|"),
            TableRow.of(
                ("c", 0.5, Cell(0.1, reason="one orbit"), cell(None, missing="no test"), 1234, ""), is_headline=False
            ),
        ],
        ("n: items.", None),
    )


def test_markdown(small: Table) -> None:
    assert to_markdown(small) == (
        "## Accuracy &#38; drift\n\n"
        "| condition | accuracy % | paired: diff | paired: p | n | remark |\n"
        "| :--- | ---: | ---: | ---: | ---: | :--- |\n"
        "| `baseline` | 90.0 | – | – | 420 | as it is |\n"
        "| `a_b:scale=4` | 88.8 [85.0, 92.0] | −1.2 [−2.9, +0.0] | &lt;0.0001 | 420 | &#60;b&#62;&#124; |\n"
        "\n"
        "<sub>n: items.</sub>\n\n"
        "<sub>– is undefined: no test.</sub>\n\n"
        "<sub>No interval: one orbit.</sub>\n"
    )


def test_latex(small: Table) -> None:
    text = to_latex(small)
    assert r"\begin{longtable}{@{}lrrrrl@{}}" in text
    assert r"\caption{Accuracy \& drift}\\" in text
    assert r"\multicolumn{2}{c}{} & \multicolumn{2}{c}{paired} & \multicolumn{2}{c}{} \\" in text
    assert (
        r"a\_b:scale=4 & 88.8 [85.0, 92.0] & $-$1.2 [$-$2.9, +0.0] & $<$0.0001 & 420 & "
        r"\textless{}b\textgreater{}\textbar{} \\"
    ) in text
    assert r"{\footnotesize n: items.\par}" in text


def test_csv_has_all_rows_in_full_precision(small: Table) -> None:
    assert to_csv(small).split("\r\n") == [
        "condition,accuracy,accuracy_low,accuracy_high,difference,difference_low,difference_high,p,n,note",
        "baseline,0.9,,,,,,,420,as it is",
        "a_b:scale=4,0.8881,0.85,0.92,-0.0119,-0.029,0.0,1e-05,420,<b>|",
        "c,0.5,,,0.1,,,,1234,",
        "",
    ]


def test_html(small: Table) -> None:
    text = to_html(small)
    right = 'style="text-align: right"'
    assert "<caption>Accuracy &amp; drift</caption>" in text
    assert '<th colspan="2"></th><th colspan="2">paired</th><th colspan="2"></th>' in text
    assert f'<th {right} title="Against the baseline">diff</th>' in text
    assert (
        f'<td style="text-align: left"><code>a_b:scale=4</code></td><td {right}>88.8 [85.0, 92.0]</td>'
        f"<td {right}>−1.2 [−2.9, +0.0]</td>"
    ) in text
    assert f'<td {right} title="No interval: one orbit">+10.0</td>' in text
    assert "<p><small>n: items.</small></p>" in text


def test_console(small: Table) -> None:
    file = io.StringIO()
    draw(small, Console(file=file, width=110), everything=False)
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    assert lines[0] == "Accuracy & drift"
    assert [line.split() for line in lines[2:3]] == [
        ["condition", "accuracy", "%", "paired:", "diff", "paired:", "p", "n", "remark"]
    ]
    assert lines[5].split() == [
        "a_b:scale=4",
        "88.8",
        "[85.0,",
        "92.0]",
        "-1.2",
        "[-2.9,",
        "+0.0]",
        "<0.0001",
        "420",
        "<b>|",
    ]
    assert lines[7:] == ["n: items.", "– is undefined: no test.", "No interval: one orbit.", ""]


def test_a_terminal_that_is_not_utf_8_loses_signs_and_no_line() -> None:
    code = (
        "from vsc_eval.tables.clean import forgiving_streams; from vsc_eval.tables.console import *;"
        "from vsc_eval.tables.table import *; forgiving_streams();"
        "draw(table('t', 'R→W', columns('a', ('b −', 'points')), [('模型', -0.1), ('é', None)], ['–']), Console())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        env={"PYTHONIOENCODING": "ascii", "PYTHONPATH": ":".join(sys.path)},
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.isascii()
    assert b"-10.0" in done.stdout


def test_paragraphs_take_tables_and_leave_nothing_out_but_nothing(small: Table) -> None:
    text = paragraphs(["First.", None, small, "", folded("More", "inside", small), bullets(["a", "b"])])
    assert text.startswith("First.\n\n**Accuracy &#38; drift**\n\n| condition |")
    assert "<summary>More</summary>\n\ninside\n\n**Accuracy" in text
    assert text.endswith("</details>\n\n- a\n- b")


def test_reasons_stand_once_the_most_frequent_first_and_methods_too() -> None:
    reasons = ["rare", *["often"] * 3, *(f"r{i}" for i in range(4))]
    found = table("t", "T", (Column("x", "x", "percent"),), [(cell(None, missing=reason),) for reason in reasons])
    assert found.all_notes == ("– is undefined: often; r0; r1; r2; 2 other reasons.",)
    assert methods_note(["a", None, "b", "a"]) == "Intervals: a; or b."
    assert methods_note([None]) is None


def test_a_text_of_numbers_stays_a_text() -> None:
    assert shown(cell("0.5"), Column("x", "x")) == "0.5"
    assert shown(cell(2, suffix="="), Column("x", "x", "place")) == "2="


def test_latex_splits_wide_tables_and_keeps_groups_together() -> None:
    columns = (
        Column("model", "model"),
        *(Column(f"{g}{i}", f"h{i}", "percent", g) for g in ("left", "right") for i in range(4)),
    )
    text = to_latex(table("wide", "Wide", columns, [("m" * 30, *(Cell(0.5, 0.4, 0.6),) * 8)]))
    assert text.count(r"\begin{longtable}") == 2
    assert text.count("m" * 30) == 2
    first, second = text.split("part 2 of 2")
    assert ("{left}" in first, "{right}" in first, "{right}" in second) == (True, False, True)
