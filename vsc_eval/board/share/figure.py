"""One figure of an entry: how well the model answers, and what the edits change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vsc_eval.board.records import Entry
from vsc_eval.board.share.accuracies import accuracy_words, cells, draw_cells, draw_tasks
from vsc_eval.board.share.canvas import DPI, HEIGHT_PX, WIDTH_PX, fit, label
from vsc_eval.board.share.effects import draw_effects, effect_words, effects
from vsc_eval.figures.style import GREY, new_figure, plain_style, save_png, save_svg
from vsc_eval.specs import BASELINE
from vsc_eval.tables.clean import name
from vsc_eval.tables.numbers import percent, with_interval

_NAME = 60


def summary_figure(entry: Entry, svg: Path, png: Path) -> str:
    """Draw the entry's summary and return its text alternative.

    On the left the accuracy of the 21 cells, on the right the headline conditions' change of accuracy against their
    drift. An entry without edits, or without the benchmark's cells, has its tasks' accuracies there instead. Both files
    are the same bytes every time. Raises BackendError if they cannot be written.
    """
    has_cells, has_effects = bool(cells(entry)), bool(effects(entry))
    with plain_style():
        model = label(entry.model.name, _NAME)
        figure = new_figure(WIDTH_PX / DPI, HEIGHT_PX / DPI, pad=(0.12, 0.08))
        if has_cells or has_effects:
            left, right = figure.subplots(1, 2, width_ratios=(0.85, 1) if has_cells else (1, 1))
        else:
            left, right = None, figure.subplots()
        if left is not None:
            (draw_cells if has_cells else draw_tasks)(left, entry)
        (draw_effects if has_effects else draw_tasks)(right, entry)
        fit(figure, figure.suptitle(f"{model} · {_overall(entry)}", fontsize=15))
        fit(figure, figure.supxlabel(_provenance(entry), fontsize=9, color=GREY))
        title = f"{model}: summary of its results"
        save_svg(figure, svg, title=title)
        save_png(figure, png, dpi=DPI, title=title)
    words = [f"Results of {name(entry.model.name, _NAME)}: {_overall(entry)}."]
    words += [accuracy_words(entry)] if has_cells else []
    words += [effect_words(entry)] if has_effects else []
    return " ".join(words)


def _overall(entry: Entry) -> str:
    row = entry.row(BASELINE, "all")
    if row is None or row.accuracy.value is None:
        return "accuracy not known"
    return f"accuracy {with_interval(row.accuracy, percent)} % of {row.n:,} items"


def _provenance(entry: Entry) -> str:
    given: list[Any] = [
        f"vsc-eval {label(entry.provenance.packages.get('vsc-eval', '?'), 20)}",
        f"{entry.provenance.backend}, {label(entry.model.dtype, 20)}",
        f"generator {label(entry.provenance.generator_version, 20)}" if entry.provenance.generator_version else None,
        f"weights {label(entry.model.fingerprint, 20)}",
        label(entry.provenance.day, 10),
        entry.id,
    ]
    return "  ·  ".join(part for part in given if part)
