"""Every row's counts and shares, computed anew."""

from __future__ import annotations

from collections.abc import Iterator

from vsc_eval.board.check.problem import Finding, differs, interval_faults, number
from vsc_eval.board.check.recount import Counts, Recount
from vsc_eval.board.records import BoardRow, BoardScope, Entry
from vsc_eval.specs import BASELINE
from vsc_eval.stats.drift import PARTS
from vsc_eval.stats.mcnemar import mcnemar_of_cells

Key = tuple[str, str | None, str | None, str | None, str | None]
"""Scope, task, level, by, category."""


def row_findings(entry: Entry, recount: Recount) -> Iterator[Finding]:
    """What is wrong in `rows`, the first fault of each row."""
    baselines = {_key(row): row for row in entry.rows if row.condition == BASELINE}
    seen = set()
    for place, row in enumerate(entry.rows):
        where = f"rows[{place}]"
        if (row.condition, _key(row)) in seen:
            yield Finding(where, f"a second row for {_words(row)}")
        seen.add((row.condition, _key(row)))
        if row.condition not in recount.answers:
            yield Finding(where, f"the condition '{row.condition:.80}' has no answers")
            continue
        fault = next(_faults(row, baselines.get(_key(row)), entry, recount), None)
        if fault:
            yield Finding(f"{where}.{fault[0]}", f"{_words(row)}: {fault[1]}")
    yield from _missing(entry, recount, {(name, key[:3]) for name, key in seen})


Fault = tuple[str, str]
"""Field and what is wrong with it."""


def _faults(row: BoardRow, base: BoardRow | None, entry: Entry, recount: Recount) -> Iterator[Fault]:
    if row.scope in ("category", "group"):
        yield from _faults_without_items(row, base)
    else:
        condition = recount.conditions.get(row.condition)
        mask = recount.mask(row.scope, row.task, row.level, condition.targets if condition else None)
        if mask is None or not mask.any():
            yield "scope", "the entry has no such items"
            return
        yield from _count_faults(row, recount.counts(row.condition, mask), entry.provenance.source == "run")
    yield from _figure_faults(row)


def _count_faults(row: BoardRow, right: Counts, is_run: bool) -> Iterator[Fault]:
    for field in ("n", "n_clusters", "n_right", "n_invalid"):
        if getattr(row, field) != getattr(right, field):
            yield field, f"{field} is {getattr(row, field)}, and the answers give {getattr(right, field)}"
    if row.condition == BASELINE:
        return
    if row.drift_counts is None:
        yield "drift_counts", "they are missing"
    else:
        for part in ("n_changed", *PARTS):
            found, counted = getattr(row.drift_counts, part), getattr(right.drift, part)
            if found != counted:
                yield f"drift_counts.{part}", f"{part} is {found}, and the answers give {counted}"
    if row.difference and differs(row.difference.value, (right.won - right.lost) / right.n):
        yield "difference.value", f"it is {number(row.difference.value)}, not ({right.won} - {right.lost}) / {right.n}"
    if is_run:
        p = mcnemar_of_cells(0, right.lost, right.won, 0).p_value
        if differs(row.p_difference, p):
            yield "p_difference", f"it is {number(row.p_difference)}, and McNemar's test gives {number(p)}"


def _faults_without_items(row: BoardRow, base: BoardRow | None) -> Iterator[Fault]:
    """An entry does not say which items these are, so that only the row itself is checked."""
    if row.n_clusters > row.n or row.n_right + row.n_invalid > row.n:
        yield "n", f"of {row.n} items, {row.n_clusters} clusters, {row.n_right} right and {row.n_invalid} invalid"
    if (row.scope == "category") != (row.by is not None and row.category is not None):
        yield "by", "a category needs its column and its value, and nothing else has them"
    if base is None:
        yield "condition", "the baseline has no such row"
    elif base.n != row.n or base.n_clusters != row.n_clusters:
        yield "n", f"it has {row.n} items, and the baseline {base.n}"
    elif row.difference and differs(row.difference.value, (row.n_right - base.n_right) / row.n):
        yield "difference.value", f"it is not ({row.n_right} - {base.n_right}) / {row.n}"
    counts = row.drift_counts
    if counts and counts.n_changed != sum(getattr(counts, part) for part in PARTS):
        yield "drift_counts", "the parts do not add up"


def _figure_faults(row: BoardRow) -> Iterator[Fault]:
    if differs(row.accuracy.value, row.n_right / row.n):
        yield "accuracy.value", f"it is {number(row.accuracy.value)}, not {row.n_right} / {row.n}"
    if row.drift and row.drift_counts and differs(row.drift.value, row.drift_counts.n_changed / row.n):
        yield "drift.value", f"it is {number(row.drift.value)}, not {row.drift_counts.n_changed} / {row.n}"
    effects = (row.difference, row.drift, row.drift_counts)
    if any((effect is None) != (row.condition == BASELINE) for effect in effects):
        yield "difference", "a difference, a drift and its counts are of conditions, and not of the baseline"
    for field, interval, low in (
        ("accuracy", row.accuracy, 0.0),
        ("difference", row.difference, -1.0),
        ("drift", row.drift, 0.0),
    ):
        if interval is not None:
            yield from ((field, fault) for fault in interval_faults(interval, low=low, high=1.0))
    if row.p_difference is not None and not 0 <= row.p_difference <= 1:
        yield "p_difference", f"{number(row.p_difference)} is no probability"
    for field in ("detectable_difference", "mean_kl_options", "mean_shift_edited", "mean_shift_last"):
        value = getattr(row, field)
        # KL of float32 probabilities may come out a rounding error below 0.
        if value is not None and value < -1e-4:
            yield field, f"{number(value)} is negative"
    edited, last, ratio = row.mean_shift_edited, row.mean_shift_last, row.amplification
    if ratio is not None and (not edited or last is None or abs(ratio - last / edited) > 1e-4 * max(1.0, ratio)):
        yield "amplification", "it is not mean_shift_last / mean_shift_edited"


def _missing(entry: Entry, recount: Recount, seen: set[tuple[str, tuple[str | None, ...]]]) -> Iterator[Finding]:
    """Every condition has the sums; the cells, which add up to them, too, but in a study those of the baseline only."""
    items = entry.items
    cells = dict.fromkeys(("cell", *pair) for pair in zip(items.task, items.level, strict=True))
    sums: list[tuple[str, str | None, str | None]] = [("all", None, None)]
    sums += [("task", task, None) for task in dict.fromkeys(items.task)]
    sums += [("level", None, level) for level in dict.fromkeys(filter(None, items.level))]
    for name in recount.answers:
        wanted = [*sums, *cells] if name == BASELINE or entry.provenance.source == "run" else sums
        for key in (*wanted, *_target_keys(entry, recount, name)):
            if (name, key) not in seen:
                words = "/".join(part for part in key if part)
                yield Finding("rows", f"the row of '{name:.80}' on {words} is missing")
                break


def _target_keys(entry: Entry, recount: Recount, name: str) -> Iterator[tuple[str, None, None]]:
    condition = recount.conditions.get(name)
    scopes: tuple[BoardScope, BoardScope] = ("on_target", "off_target")
    for scope in scopes:
        mask = recount.mask(scope, None, None, condition.targets if condition else None)
        if mask is not None and mask.any():
            yield scope, None, None


def _key(row: BoardRow) -> Key:
    return row.scope, row.task, row.level, row.by, row.category


def _words(row: BoardRow) -> str:
    group = "/".join(str(part)[:40] for part in (row.task, row.level, row.by, row.category) if part is not None)
    return f"'{row.condition:.80}' on {row.scope}{' ' + group if group else ''}"
