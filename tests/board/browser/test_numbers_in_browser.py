"""The script writes figures as the tables do: the same value never reads two ways on one page."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from vsc_eval.board.page.entry_view import triple
from vsc_eval.board.page.render import page_script
from vsc_eval.stats import Figure
from vsc_eval.tables.numbers import p_value, percent, points

pytestmark = pytest.mark.xdist_group("browser")


def test_figures_and_p_values_read_as_in_the_tables(chromium: Browser) -> None:
    # Of 16 and 400 some lie between two figures, of 420 and 3,000 some come near it, of 2,000 some only seem to.
    shares = [k / n for n in (3, 16, 400, 420, 2000, 3000) for k in range(-n, n + 1, 1 if n < 1000 else 3)]
    sent = [triple(Figure(share, None, None, 1, 1, ""))[0] for share in shares]
    ps = [1.0, 0.5, 0.0476, 0.33333, 0.05, 0.00012, 0.0001, 0.00009, 1e-9]
    helpers = page_script().partition("let counter = 0;")[0]
    page = chromium.new_page()
    found = page.evaluate(
        f"([values, ps]) => {helpers}"
        " return [values.map((v) => fixed(v)), values.map((v) => signed(v)), ps.map(pText)]; })()",
        [sent, ps],
    )
    page.close()
    assert found[0] == [percent(share) for share in shares]
    assert found[1] == [points(share) for share in shares]
    assert found[2] == [p_value(p) for p in ps]
