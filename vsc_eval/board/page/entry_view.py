"""What the page shows of one entry: figures as numbers for the script's charts, everything else as words.

Conditions are referred to by their place in `conditions`, so that no name has to be matched in the browser.
"""

from __future__ import annotations

import json
from typing import Any

from vsc_eval.analysis.interactions import InteractionRow
from vsc_eval.analysis.rows import Row
from vsc_eval.board.board import NO_LEVEL, Board
from vsc_eval.board.page.entry_tables import entry_tables
from vsc_eval.board.page.table_view import table_view
from vsc_eval.board.records import Entry
from vsc_eval.board.tables.groups import baseline_of
from vsc_eval.probing.result import CONTROL_WORDS, POOLING_WORDS, ProbingResult
from vsc_eval.stats import Figure
from vsc_eval.studies.words import ROLE_WORDS
from vsc_eval.tables.clean import name, plain
from vsc_eval.tables.numbers import hundredfold

View = dict[str, Any]
Triple = tuple[float | None, float | None, float | None]


def entry_view(entry: Entry, board: Board, label: str) -> View:
    """The whole of one entry, ready to become JSON. `label` is what the board calls it."""
    places = {condition.name: i for i, condition in enumerate(entry.conditions)}
    return {
        "id": entry.id,
        "name": label,
        "note": plain(entry.about.note, lines=True),
        "about": _about(entry),
        "provenance": _provenance(entry),
        "conditions": [
            {
                "name": name(condition.name),
                "role": ROLE_WORDS[condition.role],
                "edit": None if condition.edit is None else name(condition.edit),
                "headline": condition.is_headline,
            }
            for condition in entry.conditions
        ],
        "grid": _grid(entry, board, places),
        "frontier": _frontier(entry, places),
        "matrices": _matrices(entry),
        "probes": None if entry.probing is None else _probes(entry.probing),
        "tables": [table_view(table, {}) for table in entry_tables(entry, board)],
    }


def _about(entry: Entry) -> list[tuple[str, str]]:
    intervention = entry.intervention
    lines = [
        ("Items", f"{len(entry.table.items):,} in {len(set(entry.table.clusters)):,} clusters"),
        ("Answers read by", READOUTS[entry.scoring]),
        ("Conditions", f"{len(entry.conditions):,}"),
    ]
    if intervention is not None:
        sets = ", ".join(f"{key} ({len(features)})" for key, features in intervention.sets.items())
        lines += [
            ("Intervention", intervention.name),
            ("Edited layer", f"{intervention.layer}, counted from 0"),
            ("Feature sets (features)", sets),
        ]
    return [(label, plain(text, limit=600)) for label, text in lines]


READOUTS = {
    "loglikelihood": "the most probable option letter",
    "generate": "the text that the model wrote",
}


def _provenance(entry: Entry) -> list[tuple[str, str]]:
    made, tasks = entry.about, sorted(entry.task_hashes.items())
    lines = [
        ("Model", entry.name),
        ("Revision", entry.revision or "not from a hub"),
        ("Fingerprint of the model", f"{entry.fingerprint}, {made.dtype}"),
        (
            "Fingerprint of the SAE",
            "no SAE" if entry.intervention is None else entry.intervention.sae_fingerprint,
        ),
        ("Made by", "vsc-eval study" if made.source == "study" else "vsc-eval run"),
        ("Date", made.date),
        ("Backend", {"hf": "Hugging Face transformers", "vllm": "vLLM"}.get(entry.backend, entry.backend)),
        ("Device", made.device),
        ("Machine", made.machine),
        ("Seed", str(entry.seed)),
        ("Generator of the synthetic items", entry.generator_version or "not asked"),
        ("Packages", "\n".join(f"{key} {version}" for key, version in sorted(made.packages.items())) or "none named"),
        (
            "Task files",
            "\n".join(f"{key}: {value}" for key, value in tasks) or "none named",
        ),
        ("SHA-256 of the entry", made.sha256),
        ("Settings", json.dumps(entry.settings, indent=1, sort_keys=True, ensure_ascii=False)),
    ]
    return [(label, plain(text, limit=8000, lines=True)) for label, text in lines]


def triple(interval: Figure) -> Triple:
    """Value, low and high in percent or points, so exact that they are rounded as in the tables; None stays None."""
    ends = (interval.value, interval.low, interval.high)
    value, low, high = (None if end is None else hundredfold(end) for end in ends)
    return value, low, high


def _grid(entry: Entry, board: Board, places: dict[str, int]) -> View | None:
    """The heat map's figures: synthetic tasks down, levels across, and the margins; None without such tasks."""
    tasks = board.spec.tasks_of("synthetic")
    levels = list(
        dict.fromkeys(level for task in tasks for level in board.spec.tasks[task].levels if level != NO_LEVEL)
    )
    rows = [row for row in entry.rows if row.by is None and row.scope in ("cell", "task", "level", "all")]
    if not any(row.scope == "cell" and row.task in tasks for row in rows):
        return None
    if not entry.tasks <= set(tasks):
        # The entry's own totals hold external data sets too.
        totals = [*(baseline_of(entry, tasks, "level", level) for level in levels), baseline_of(entry, tasks, "all")]
        rows = [*(row for row in rows if row.task is not None), *(row for row in totals if row is not None)]
    values: dict[int, list[list[float | int | None]]] = {}
    for row in rows:
        down = len(tasks) if row.task is None else (tasks.index(row.task) if row.task in tasks else None)
        across = len(levels) if row.level is None else (levels.index(row.level) if row.level in levels else None)
        if down is not None and across is not None:
            values.setdefault(places[row.condition], []).append([down, across, *_figures(row)])
    return {
        "rows": [name(task) for task in tasks],
        "columns": [name(level) for level in levels],
        "values": values,
        "methods": plain("; ".join(dict.fromkeys(row.method for row in rows)), limit=300),
    }


def _figures(row: Row) -> list[float | int | None]:
    """n, invalid answers, then accuracy, difference and drift in percent, each with its interval's two ends."""
    undefined = Figure(None, None, None, 0, 0, "")
    return [
        row.n,
        row.n_invalid,
        *triple(row.accuracy),
        *triple(row.difference or undefined),
        *triple(row.drift.share if row.drift else undefined),
    ]


def _frontier(entry: Entry, places: dict[str, int]) -> list[list[float | int | None]]:
    """[condition, drift, low, high, difference, low, high] of every edit over all items, in percent and points."""
    points: list[list[float | int | None]] = []
    for row in entry.rows:
        if row.scope != "all" or row.by is not None or row.drift is None or row.difference is None:
            continue
        if row.drift.share.value is not None and row.difference.value is not None:
            points.append([places[row.condition], *triple(row.drift.share), *triple(row.difference)])
    return points


def _matrices(entry: Entry) -> View | None:
    """Interaction of every combined edit, with the single sets' own effects for the diagonal; None without any."""
    if not entry.interactions:
        return None
    sets = list(entry.intervention.sets) if entry.intervention is not None else []
    for pair in entry.interactions:
        sets += [label for part in pair.part_conditions if (label := _set_of(entry, part)) not in sets]
    edits = list(dict.fromkeys(pair.edit for pair in entry.interactions))
    headline = {condition.name for condition in entry.conditions if condition.is_headline}
    chosen = next((pair.edit for pair in entry.interactions if pair.condition in headline), edits[0])
    return {
        "sets": [name(key) for key in sets],
        "chosen": edits.index(chosen),
        "edits": [
            {
                "edit": name(edit),
                "diagonal": _diagonal(entry, sets, edit),
                "pairs": [_pair(entry, sets, pair) for pair in entry.interactions if pair.edit == edit],
            }
            for edit in edits
        ],
    }


def _set_of(entry: Entry, part: str) -> str:
    """What a part of a combined edit, a condition, edits."""
    condition = entry.condition(part)
    return "+".join(condition.sets) if condition is not None and condition.sets else part


def _diagonal(entry: Entry, sets: list[str], edit: str) -> list[tuple[Triple, Triple] | None]:
    """(drift, difference) of each set alone under that edit; None where it was not asked alone."""
    alone = {"+".join(c.sets): c.name for c in entry.conditions if c.edit == edit and c.role == "single"}
    own: list[tuple[Triple, Triple] | None] = []
    for key in sets:
        row = entry.row(alone[key], "all") if key in alone else None
        if row is None or row.drift is None or row.difference is None:
            own.append(None)
        else:
            own.append((triple(row.drift.share), triple(row.difference)))
    return own


def _pair(entry: Entry, sets: list[str], pair: InteractionRow) -> list[Any]:
    """Places of the two sets, form, drift and accuracy interaction, their adjusted p, verdict and its reasons."""
    first, second = (sets.index(_set_of(entry, part)) for part in pair.part_conditions)
    return [
        first,
        second,
        0 if pair.form == "raw" else 1,
        triple(pair.drift_interaction),
        triple(pair.accuracy_interaction),
        pair.p_drift_adjusted,
        pair.p_accuracy_adjusted,
        pair.verdict and plain(pair.verdict),
        pair.decided_by and plain(pair.decided_by, limit=400),
    ]


def _probes(found: ProbingResult) -> View:
    """Panels of target x pooling, each with one line a control; probes that were not asked for have no figure."""
    panels: list[View] = []
    rows = [row for row in found.rows if row.test_accuracy is not None and row.low is not None and row.high is not None]
    for target, pooling in dict.fromkeys((row.target, row.pooling) for row in rows):
        here = [row for row in rows if (row.target, row.pooling) == (target, pooling)]
        lines = [
            {
                "name": CONTROL_WORDS.get(control) or name(control),
                "control": control != "real",
                "points": [
                    [
                        row.layer,
                        *(None if v is None else hundredfold(v) for v in (row.test_accuracy, row.low, row.high)),
                    ]
                    for row in sorted(here, key=lambda row: row.layer)
                    if row.control == control
                ],
            }
            for control in dict.fromkeys(row.control for row in here)
        ]
        chance = found.chance.get(target)
        panels.append(
            {
                "title": f"{name(target)}, {POOLING_WORDS.get(pooling) or name(pooling)}",
                "chance": None if chance is None else 100 * chance,
                "lines": lines,
            }
        )
    return {
        "layer": found.layer,
        "by": plain(found.chosen_by),
        "interval": plain(found.interval),
        "panels": panels,
    }
