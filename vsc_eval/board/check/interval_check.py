"""The intervals of rows, and p of sign-flip tests, drawn anew from the answers with the run's own random streams.

Slower than all other checks, and an entry of another version of numpy or of vsc-eval may differ without being wrong:
for a maintainer who wants to know, and not for every pull request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from vsc_eval.analysis.results import Figure
from vsc_eval.board.check.problem import Finding, differs, number
from vsc_eval.board.check.recount import Mask, Recount
from vsc_eval.board.entry.method import method_words
from vsc_eval.board.records import BoardRow, Entry, Interval
from vsc_eval.specs import BASELINE
from vsc_eval.stats import Figure, accuracy, bootstrap_many, drift, paired_difference, sign_flip, stream
from vsc_eval.stats.bootstrap import DRAWS, LEVEL

MOST_DRAWS = 100_000
"""Whoever sends an entry says how many were drawn."""

MEND = "Ask the publisher; another version of numpy draws other bounds, as `provenance.packages` may show."


def interval_findings(entry: Entry, recount: Recount) -> Iterator[Finding]:
    """Rows whose bounds are not those that the answers give; of categories and groups an entry lacks the items."""
    for place, row in enumerate(entry.rows):
        condition = recount.conditions.get(row.condition)
        mask = recount.mask(row.scope, row.task, row.level, condition.targets if condition else None)
        if condition is None or mask is None or not mask.any():
            continue
        if entry.provenance.source == "run":
            found = _of_run(row, mask, entry, recount)
        else:
            found = _of_study(row, mask, entry, recount, condition.sets)
            p = _sign_flip(row, mask, entry, recount, condition.sets)
            if differs(row.p_difference, p):
                what = f"it is {number(row.p_difference)}, and the test gives {number(p)}"
                yield Finding(f"rows[{place}].p_difference", what, MEND)
        if row.method != (method := method_words([estimate.method for estimate in found])):
            yield Finding(f"rows[{place}].method", f"it is '{row.method:.80}', and they are by '{method}'")
        for (field, interval), estimate in zip(_intervals(row), found, strict=True):
            if interval is not None and (fault := bounds_fault(interval, estimate)):
                yield Finding(f"rows[{place}].{field}", fault, MEND)
                break


def _intervals(row: BoardRow) -> list[tuple[str, Interval | None]]:
    found = [("accuracy", row.accuracy), ("difference", row.difference), ("drift", row.drift)]
    return found[:1] if row.condition == BASELINE else found


def bounds_fault(interval: Interval, estimate: Figure | Figure) -> str | None:
    """Where bounds differ from those drawn anew."""
    if differs(interval.low, estimate.low) or differs(interval.high, estimate.high):
        return (
            f"its interval is [{number(interval.low)}, {number(interval.high)}], and drawn anew "
            f"[{number(estimate.low)}, {number(estimate.high)}]"
        )
    return None


def _of_run(row: BoardRow, mask: Mask, entry: Entry, recount: Recount) -> list[Figure]:
    """As `vsc_eval.analysis.results` does it: one stream for a group, used for one figure after the other."""
    rng = stream(entry.provenance.seed, "bootstrap", row.scope, row.task or "", row.level or "")
    clusters, kinds = recount.cluster_names[mask], recount.cluster_kind
    base, cond, gold = recount.answered(row.condition, mask)
    found = [accuracy(cond == gold, clusters, rng, cluster_name=kinds)]
    if row.condition != BASELINE:
        found.append(paired_difference(base == gold, cond == gold, clusters, rng, cluster_name=kinds).difference)
        found.append(drift(base, cond, gold, clusters, rng, cluster_name=kinds).share)
    return found


def _of_study(row: BoardRow, mask: Mask, entry: Entry, recount: Recount, sets: tuple[str, ...]) -> list[Figure]:
    """As `vsc_eval.studies.condition_rows` does it: all figures of a group under the same draws."""
    rng = _stream("bootstrap", row, entry, sets)
    base, cond, gold = recount.answered(row.condition, mask)
    right, before, changed = (np.asarray(a, dtype=np.float64) for a in (cond == gold, base == gold, base != cond))
    found = bootstrap_many(
        np.stack([right, right - before, changed]),
        recount.cluster_names[mask],
        rng,
        draws=_draws(entry, "draws"),
        level=_level(entry),
    )
    return list(found[:1] if row.condition == BASELINE else found)


def _sign_flip(row: BoardRow, mask: Mask, entry: Entry, recount: Recount, sets: tuple[str, ...]) -> float | None:
    if row.condition == BASELINE:
        return None
    base, cond, gold = recount.answered(row.condition, mask)
    gain = (cond == gold).astype(np.float64) - (base == gold)
    rng = _stream("sign flips", row, entry, sets)
    return sign_flip(gain[None], recount.cluster_names[mask], rng, draws=_draws(entry, "permutations")).p_values[0]


def _stream(of: str, row: BoardRow, entry: Entry, sets: tuple[str, ...]) -> np.random.Generator:
    groups = (row.task or "", row.level or "") if row.scope not in ("on_target", "off_target") else sets
    return stream(entry.provenance.seed, "study", "conditions", of, row.scope, *groups)


def _draws(entry: Entry, name: str) -> int:
    """As the settings say, if that is a number that can be drawn; with any other the bounds differ."""
    value: Any = _statistics(entry).get(name)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and 100 <= value <= MOST_DRAWS else DRAWS


def _level(entry: Entry) -> float:
    value = _statistics(entry).get("level")
    return value if isinstance(value, float) and 0.5 < value < 1 else LEVEL


def _statistics(entry: Entry) -> Mapping[str, Any]:
    found = entry.provenance.settings.get("statistics")
    return found if isinstance(found, Mapping) else {}
