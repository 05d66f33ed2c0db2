"""Words of others in Markdown: no markup comes of them."""

from __future__ import annotations

import pytest

from vsc_eval.analysis.run_tables import TextTable
from vsc_eval.stats import Figure
from vsc_eval.studies.report.markdown import block, code, escape, image, table
from vsc_eval.studies.report.words import counted, in_points, p_words, share_ci, signed, signed_ci, span


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain words, 1.5 [-2, +3]: p > 0.05", "plain words, 1.5 [-2, +3]: p > 0.05"),
        ("a_b stays, _c_ does not", "a_b stays, \\_c\\_ does not"),
        ("*bold* `code` ~x~ $y$ a|b #1", "\\*bold\\* \\`code\\` \\~x\\~ \\$y\\$ a\\|b \\#1"),
        ("[t](http://x) [a][b]", "[t]\\(http://x) [a]\\[b]"),
        ("<b>&amp;</b>", "&lt;b>&amp;amp;&lt;/b>"),
        ("two\nlines\x07", "two lines"),
        ("back\\slash", "back\\\\slash"),
    ],
)
def test_escape(text: str, written: str) -> None:
    assert escape(text) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("counting:scale=4", "`counting:scale=4`"),
        ("a|b", "`a\\|b`"),
        ("a`b``c", "```a`b``c```"),
        ("`a`", "`` `a` ``"),
        ("", "` `"),
        ("a\n# b", "`a # b`"),
    ],
)
def test_code(text: str, written: str) -> None:
    assert code(text) == written


def test_a_block_cannot_be_closed_from_inside() -> None:
    assert block("a\n````\nb", "yaml") == "`````yaml\na\n````\nb\n`````"


def test_alt_texts_have_no_brackets() -> None:
    assert image("figures/x.png", "a [b](c)", "Caption.") == "![a b\\(c)](figures/x.png)\n\n*Caption.*"


def test_columns_of_figures_keep_right_and_words_left() -> None:
    found = table(TextTable("T", ("a", "b", "c"), (("x", "+1.2 [–]", "3 of words"), ("y", "–", "none")), ("N.",)))
    assert found.splitlines()[3] == "| :--- | ---: | :--- |"
    assert found.endswith("<sub>N.</sub>")


def figure(value: float | None, low: float | None = None, high: float | None = None) -> Figure:
    return Figure(value=value, low=low, high=high, n_items=4, n_clusters=1, method="m", reason=None)


def test_figures() -> None:
    assert signed_ci(figure(0.0123, -0.004, 0.03)) == "+1.2 [-0.4, +3.0]"
    assert signed_ci(figure(-0.0001, -0.2, 0.0)) == "0.0 [-20.0, 0.0]"
    assert share_ci(figure(0.5)) == "50.0 [–]"
    assert share_ci(figure(None)) == share_ci(None) == signed(None) == p_words(None) == "–"
    assert p_words(0.00012) == "0.00012"
    assert span([0.01, None, 0.052]) == "1.0 to 5.2"
    assert span([None]) == "–"
    assert (counted(1, "pair"), counted(2, "pair")) == ("1 pair", "2 pairs")
    assert (in_points(0.01), in_points(0.05)) == ("1 point", "5 points")
