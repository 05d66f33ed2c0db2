"""Whether a run or a study has the numbers that it had before: `python benchmarks/same_numbers.py OLD NEW`.

OLD is a results.json of before the table of answers (schema version 1), NEW one of today, or its folder. Compared are
point values, counts, p, verdicts and, of a study, intervals; those of a run are drawn from other streams now. Exit code
1 if anything differs that is not meant to.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROUNDING = 1e-12
"""Means may be summed in another order."""

READ = 1e-4
"""What a model gives in other batches: distances and shifts are float32, and a mean of them is near this far."""

FIELDS = {
    "drift_above_floor": "drift_above_noise_floor",
    "drift_excess": "drift_interaction",
    "accuracy_excess": "accuracy_interaction",
    "union": "condition",
}
VALUES = {"union": "combined", "norm_matched_union": "norm_matched", "excess": "interaction"}
"""What a field says, in today's words."""

NOT_OURS = frozenset({"model", "sets", "edit", "parts", "part_conditions", "role", "condition"})
"""Fields that say what a row is of."""

Flat = dict[tuple[str, ...], Any]
"""(table, key of the row, field) -> one value."""


def old_tables(results: Mapping[str, Any]) -> Flat:
    """Every value of a results.json of before, under today's names."""
    is_run = "pairs" not in results
    found = _rows(results["rows"]) | _flat("official", results.get("official", ()), ("task", "condition", "figure"))
    pairs = list(results.get("pairs", ()))
    for row in results.get("interactions", ()):
        named = {"drift": "drift_interaction", "accuracy": "accuracy_interaction"}
        pairs.append({named.get(key, key): value for key, value in row.items()})
    found |= _flat("interactions", map(_renamed, pairs), ("condition",))
    found |= _flat("floor", results.get("floor", ()), ("name",))
    found |= _flat("controls", map(_renamed, results.get("controls", ())), ("kind", "outcome", "effect", "sets"))
    return {key: value for key, value in found.items() if not (is_run and key[-1] in ("method", "reason"))}


def new_tables(results: Mapping[str, Any]) -> Flat:
    """The same of a results.json of today."""
    pairs = results.get("pairs", results.get("interactions", ()))
    return (
        _rows(results["rows"])
        | _flat("official", results.get("official", ()), ("task", "condition", "figure"))
        | _flat("interactions", pairs, ("condition",))
        | _flat("floor", results.get("floor", ()), ("name",))
        | _flat("controls", results.get("controls", ()), ("kind", "outcome", "effect", "sets"))
    )


def _rows(rows: Iterable[Mapping[str, Any]]) -> Flat:
    return _flat("rows", map(_renamed, rows), ("condition", "scope", "task", "level", "by", "category"))


def _renamed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        FIELDS.get(key, key): VALUES.get(value, value) if isinstance(value, str) else value
        for key, value in row.items()
    }


def _flat(table: str, rows: Iterable[Mapping[str, Any]], keys: tuple[str, ...]) -> Flat:
    found: Flat = {}
    for row in rows:
        own = " ".join(str(row.get(key)) for key in keys if row.get(key) is not None)
        for path, value in _values(row, ()):
            if path[0] not in NOT_OURS and path[0] not in keys:
                found[table, own, ".".join(path)] = value
    return found


def _values(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _values(part, (*path, str(key)))
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from _values(part, (*path, str(place)))
    else:
        yield path, value


def differs(old: Any, new: Any) -> bool:
    """Whether two values are not the same but for rounding."""
    if isinstance(old, str) and isinstance(new, str):
        return old.replace("excess", "interaction").replace("drift floor", "noise floor") != new
    if isinstance(old, int | float) and isinstance(new, int | float):
        return abs(old - new) > ROUNDING * max(1.0, abs(old))
    return bool(old != new)


def kind_of(key: tuple[str, ...], old: Any, new: Any, is_run: bool) -> tuple[str, bool]:
    """What kind of difference it is, and whether it is meant."""
    table, row, field = key
    last = field.rsplit(".", 1)[-1]
    if field.startswith(("mean_", "amplification")) and old is not None and new is not None:
        near = abs(old - new) <= READ * max(1.0, abs(old))
        return ("rows: digits of what a model gives in other batches", True) if near else (f"rows: {last}", False)
    if is_run and last in ("low", "high", "reason", "method"):
        return f"{table}: intervals of a run, drawn from the streams of a study", True
    if is_run and table == "rows" and row.startswith("baseline ") and field.startswith("mean_") and new is None:
        return "rows: the baseline has no distance from itself (it was 0)", True
    if is_run and table == "interactions" and ":norm=" in row:
        return "interactions: a norm-matched combined edit is held against the mean or extreme of its parts", True
    return f"{table}: {last}", False


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> int:
    """Print what differs, by kind; the number of differences that are not meant."""
    before, after, is_run = old_tables(old), new_tables(new), "pairs" not in old
    kinds: Counter[tuple[str, bool]] = Counter()
    examples: dict[tuple[str, bool], str] = {}
    for key, value in before.items():
        there = key in after or value is None
        if not there or differs(value, after.get(key)):
            kind = kind_of(key, value, after.get(key), is_run)
            kinds[kind] += 1
            now = after.get(key) if key in after else "missing"
            examples.setdefault(kind, f"{' / '.join(key)}: {value} was, {now} is")
    unexpected = sum(count for (_, meant), count in kinds.items() if not meant)
    print(f"{len(before)} figures compared, {sum(kinds.values())} differ, {unexpected} of them unexpectedly")
    for (name, meant), count in kinds.most_common():
        print(f"  {'meant' if meant else 'NOT MEANT'}: {name}: {count}\n    {examples[name, meant]}")
    return unexpected


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print(__doc__)
        return 2
    files = [path / "results.json" if path.is_dir() else path for path in map(Path, arguments)]
    old, new = (json.loads(file.read_text(encoding="utf-8")) for file in files)
    return 1 if compare(old, new) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
