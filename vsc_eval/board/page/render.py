"""The page's text: the template filled, with style and script inside and a policy that lets nothing else run; and what
a reader sees first: what the board asks, who is ahead, and what its entries are called."""

import base64
import hashlib
import re
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from vsc_eval.board.board import Board
from vsc_eval.board.gallery import gallery_views
from vsc_eval.board.page.entry_view import READOUTS, entry_view
from vsc_eval.board.page.tables import split_view
from vsc_eval.board.tables import BoardTables, board_tables
from vsc_eval.tables.clean import json_block, name, plain
from vsc_eval.tables.numbers import counted, percent, with_interval

SCRIPTS = ("dom", "tables", "heat", "plot", "frontier", "probes", "matrices", "entry", "gallery", "main")
"""In the order in which the page runs them; each may use what stands before it."""
_FOLDER = files("vsc_eval.board.page")
_MOST_LEADERS = 3


def render_page(board: Board, tables: BoardTables | None = None) -> str:
    """The page of a board that was checked, with its `board_tables` if they are there already: text without lone
    surrogates, ready for UTF-8. The same board gives the same text.

    Raises DataError where a picture drawn anew is not the one that the entry's model saw.
    """
    tables = tables or board_tables(board)
    style, script, spec = page_style(), page_script(), board.spec
    places = {entry.id: place for place, entry in enumerate(board.entries)}
    baseline, interventions = (
        [split_view(table, places) for table in found] for found in (tables.baseline, tables.interventions)
    )
    shared, galleries = gallery_views(board)
    views = [entry_view(entry, board) for entry in board.entries]
    blocks = {
        "items": shared,
        **{f"entry-{place}": view for place, view in enumerate(views)},
        **{f"flips-{place}": gallery for place, gallery in enumerate(galleries)},
        **{f"rows-{table['key']}": table["rest"] for table in (*baseline, *interventions) if table["rest"]},
    }
    edits = ", as they are and while features inside them are edited" if tables.interventions else ""
    sentence = f"Vision-language models answer the same {spec.asked}{edits}."
    return (
        _environment()
        .get_template("page.html")
        .render(
            title=name(spec.title),
            description=plain(spec.description, lines=True).strip() or sentence,
            **_leaders(board),
            facts=[(label, plain(text, limit=200)) for label, text in _facts(board).items()],
            asked=[
                (name(task), one.kind, name(level), f"{group.n:,}", group.sha256)
                for task, one in spec.tasks.items()
                for level, group in one.levels.items()
            ],
            baseline=baseline,
            interventions=interventions,
            has_others=any(not row.is_headline for table in tables.interventions for row in table.rows),
            entries=[{"id": view["id"], "label": view["name"]} for view in views],
            blocks=[{"id": key, "json": Markup(json_block(value))} for key, value in blocks.items()],
            style=Markup(style),
            style_hash=_policy_hash(style),
            script=Markup(script),
            script_hash=_policy_hash(script),
        )
    )


def _leaders(board: Board) -> dict[str, Any]:
    """The template's `leaders`: (name, id of an entry, accuracy with its interval) of all that have the first rank."""
    found = [
        (name(each.model.label), each.model.ids[0], with_interval(each.all.accuracy, percent))
        for each in board.ranking
        if each.rank.rank == 1
    ]
    left_out = len(found) - _MOST_LEADERS
    told_apart = "" if len(found) == 1 else ", not told apart by their intervals"
    return {
        "leaders": found[:_MOST_LEADERS],
        "leaders_words": f"Most accurate without edits{told_apart}:",
        "leaders_more": f"; and {left_out:,} more" if left_out > 0 else "",
    }


def _facts(board: Board) -> dict[str, str]:
    """What is asked."""
    spec, synthetic, external = board.spec, board.spec.tasks_of("synthetic"), board.spec.tasks_of("external")
    facts = {"Entries": f"{len(board.entries):,}", "Items": f"{spec.n_items:,}"}
    if synthetic:
        facts["Synthetic tasks"] = f"{len(synthetic)} at {counted(len(spec.levels), 'level')}"
    if external:
        facts["External data sets"] = str(len(external))
    facts["Answers read by"] = READOUTS[spec.scoring]
    return facts | ({"Generator version": spec.generator_version} if spec.generator_version else {})


@lru_cache(maxsize=1)
def page_style() -> str:
    """The page's only style sheet."""
    return (_FOLDER / "static" / "page.css").read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def page_script() -> str:
    """The page's only script: the files of `static/` in order, in one function's scope."""
    parts = [(_FOLDER / "static" / f"{part}.js").read_text(encoding="utf-8") for part in SCRIPTS]
    script = '(() => {\n"use strict";\n' + "\n".join(parts) + "})();\n"
    assert "</script" not in script.lower()
    assert "<!--" not in script
    return script


def _policy_hash(text: str) -> str:
    """As the policy's source expressions want it: of the element's text, byte by byte."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(lambda key: (_FOLDER / "templates" / key).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["broken"] = _broken
    return environment


def _broken(text: str) -> Markup:
    """A name that may break after its joints, as `broken` of the script has it."""
    return Markup("<wbr>").join(re.split(r"(?<=[_+:=/])(?=[^\W\d_])", text))
