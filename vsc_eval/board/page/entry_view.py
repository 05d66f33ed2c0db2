"""What the page shows of one entry: figures as numbers for the script's charts, everything else as words.

Conditions are referred to by their place in `conditions`, so that no name has to be matched in the browser.
"""

import json
from typing import Any

from vsc_eval.analysis.interactions import InteractionRow
from vsc_eval.board.board import Board
from vsc_eval.board.page.tables import entry_tables, table_view
from vsc_eval.board.records import Entry, drift_share, mapping
from vsc_eval.board.spec import NO_LEVEL
from vsc_eval.probing.records import CONTROL_WORDS, POOLING_WORDS, ProbingResult, Target
from vsc_eval.stats import Figure
from vsc_eval.tables.clean import name, plain
from vsc_eval.tables.numbers import counted, hundredfold

View = dict[str, Any]
Numbers = tuple[float | None, ...]

READOUTS = {"loglikelihood": "the most probable option letter", "generate": "the text that the model wrote"}


def entry_view(entry: Entry, board: Board) -> View:
    """The whole of one entry, ready to become JSON."""
    places = {condition.name: i for i, condition in enumerate(entry.conditions)}
    return {
        "id": entry.id,
        "name": name(board.labels[entry.id]),
        "note": plain(entry.about.note, lines=True),
        "about": [(key, plain(text, limit=600)) for key, text in _about(entry).items()],
        "provenance": [(key, plain(text, limit=8000, lines=True)) for key, text in _provenance(entry).items()],
        "conditions": [
            {
                "name": name(condition.name),
                "role": condition.role,
                "edit": None if condition.edit is None else name(condition.edit),
                "headline": condition.name in entry.headlines,
            }
            for condition in entry.conditions
        ],
        "grid": _grid(entry, board, places),
        # Of every edit over all items, in percent and points.
        "frontier": [(places[r.condition], *triple(drift_share(r)), *triple(r.difference)) for r in entry.effects],
        "matrices": _matrices(entry),
        "probes": _probes(entry.results.probing) if entry.results.probing else None,
        "tables": [table_view(table, {}) for table in entry_tables(entry, board)],
    }


def _about(entry: Entry) -> dict[str, str]:
    intervention = entry.about.intervention
    facts = {
        "Items": f"{len(entry.table.items):,} in {counted(len(set(entry.table.clusters)), 'cluster')}",
        "Answers read by": READOUTS[entry.scoring],
        "Conditions": f"{len(entry.conditions):,}",
    }
    if intervention is not None:
        sets = ", ".join(f"{key} ({len(features)})" for key, features in intervention.sets.items())
        facts["Intervention"] = intervention.name
        facts["Edited layer"] = f"{intervention.layer}, counted from 0"
        facts["Feature sets (features)"] = sets
    return facts


def _provenance(entry: Entry) -> dict[str, str]:
    made, tasks, seed = entry.about, mapping(entry.hashes.get("tasks")), entry.settings.get("seed")
    return {
        "Model": entry.name,
        "Revision": entry.revision or "not from a hub",
        "Fingerprint of the model": f"{entry.fingerprint}, {made.dtype}",
        "Fingerprint of the SAE": made.intervention.sae_fingerprint if made.intervention else "no SAE",
        "Made by": f"vsc-eval {made.source}",
        "Date": made.date,
        "Backend": {"hf": "Hugging Face transformers", "vllm": "vLLM"}[entry.backend],
        "Device": made.device,
        "Machine": made.machine,
        "Seed": str(seed if isinstance(seed, int) else 0),
        "Generator of the synthetic items": entry.generator_version or "not asked",
        "Packages": "\n".join(f"{key} {version}" for key, version in sorted(made.packages.items())) or "none named",
        "Task files": "\n".join(f"{key}: {value}" for key, value in sorted(tasks.items())) or "none named",
        "SHA-256 of the entry": made.sha256,
        "Settings": json.dumps(entry.settings, indent=1, sort_keys=True, ensure_ascii=False),
    }


def triple(figure: Figure | None) -> Numbers:
    """Value, low and high in percent or points, so exact that they are rounded as in the tables; None stays None."""
    return (None,) * 3 if figure is None else _in_percent(figure.value, figure.low, figure.high)


def _in_percent(*shares: float | None) -> Numbers:
    return tuple(None if share is None else hundredfold(share) for share in shares)


def _grid(entry: Entry, board: Board, places: dict[str, int]) -> View | None:
    """The heat map's figures: synthetic tasks down, levels across, and the margins; None without such tasks."""
    tasks = board.spec.tasks_of("synthetic")
    levels = [level for level in board.spec.levels if level != NO_LEVEL]
    rows = [row for row in entry.results.rows if row.by is None and row.scope in ("cell", "task", "level", "all")]
    if not any(row.scope == "cell" and row.task in tasks for row in rows):
        return None
    if not entry.tasks <= set(tasks):
        # The entry's own totals hold external data sets too.
        totals = [*(board.baseline(entry, "level", level=level) for level in levels), board.baseline(entry, "all")]
        rows = [*(row for row in rows if row.task is not None), *filter(None, totals)]
    down, across = ({key: place for place, key in enumerate([*keys, None])} for keys in (tasks, levels))
    values: dict[int, list[Numbers]] = {}
    for row in rows:
        if row.task in down and row.level in across:
            # n, invalid answers, then accuracy, difference and drift in percent, each with its interval's two ends.
            figures = *triple(row.accuracy), *triple(row.difference), *triple(drift_share(row))
            found = down[row.task], across[row.level], row.n, row.n_invalid, *figures
            values.setdefault(places[row.condition], []).append(found)
    return {
        "rows": [name(task) for task in tasks],
        "columns": [name(level) for level in levels],
        "values": values,
        "methods": plain("; ".join(dict.fromkeys(row.method for row in rows)), limit=300),
    }


def _matrices(entry: Entry) -> View | None:
    """Interaction of every combined edit, with the single sets' own effects for the diagonal; None without any."""
    pairs, intervention = entry.results.interactions, entry.about.intervention
    if not pairs:
        return None
    edited = {condition.name: "+".join(condition.spec.sets) for condition in entry.conditions}
    parts = {part: edited.get(part) or part for pair in pairs for part in pair.part_conditions}
    sets = list(dict.fromkeys([*(intervention.sets if intervention else ()), *parts.values()]))
    edits = list(dict.fromkeys(pair.edit for pair in pairs))
    chosen = next((pair.edit for pair in pairs if pair.condition in entry.headlines), edits[0])
    return {
        "sets": [name(key) for key in sets],
        "chosen": edits.index(chosen),
        "edits": [
            {
                "edit": name(edit),
                "diagonal": _diagonal(entry, sets, edit),
                "pairs": [
                    _pair(pair, *(sets.index(parts[part]) for part in pair.part_conditions))
                    for pair in pairs
                    if pair.edit == edit
                ],
            }
            for edit in edits
        ],
    }


def _diagonal(entry: Entry, sets: list[str], edit: str) -> list[tuple[Numbers, Numbers] | None]:
    """(drift, difference) of each set alone under that edit; None where it was not asked alone."""
    alone = {"+".join(c.spec.sets): c.name for c in entry.conditions if c.edit == edit and c.role == "single"}
    rows = [entry.row(alone[key], "all") if key in alone else None for key in sets]
    return [
        (triple(row.drift.share), triple(row.difference)) if row and row.drift and row.difference else None
        for row in rows
    ]


def _pair(pair: InteractionRow, first: int, second: int) -> list[Any]:
    """Places of the two sets, form, drift and accuracy interaction, their adjusted p, verdict and its reasons."""
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
    panels: dict[tuple[Target, str], dict[str, list[Numbers]]] = {}
    for row in sorted(found.rows, key=lambda row: row.layer):
        if None not in (row.test_accuracy, row.low, row.high):
            lines = panels.setdefault((row.target, row.pooling), {})
            point = row.layer, *_in_percent(row.test_accuracy, row.low, row.high)
            lines.setdefault(row.control, []).append(point)
    return {
        "layer": found.layer,
        "by": plain(found.chosen_by),
        "interval": plain(found.interval),
        "panels": [
            {
                "title": f"{name(target)}, {POOLING_WORDS.get(pooling) or name(pooling)}",
                "chance": 100 * found.chance[target] if target in found.chance else None,
                "lines": [
                    {"name": CONTROL_WORDS.get(key) or name(key), "control": key != "real", "points": points}
                    for key, points in lines.items()
                ],
            }
            for (target, pooling), lines in panels.items()
        ],
    }
