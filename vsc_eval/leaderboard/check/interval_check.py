"""The bounds of the intervals of rows, drawn anew from the answers with the run's own random streams.

Slower than all other checks, and an entry of another version of numpy or of vsc-eval may differ without being wrong:
for a maintainer who wants to know, and not for every pull request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from vsc_eval.leaderboard.check.problem import Finding, differs, number
from vsc_eval.leaderboard.check.recount import Mask, Recount
from vsc_eval.leaderboard.records import BoardRow, Entry, Interval
from vsc_eval.specs import BASELINE
from vsc_eval.stats import Estimate, accuracy, bootstrap_many, drift, paired_difference, stream

_MEND = "Ask the publisher; another version of numpy draws other bounds, as `provenance.packages` may show."


def interval_findings(entry: Entry, recount: Recount) -> Iterator[Finding]:
    """Rows whose bounds are not those that the answers give; of categories and groups an entry lacks the items."""
    kinds = " or ".join(dict.fromkeys(entry.items.cluster_kind))
    for place, row in enumerate(entry.rows):
        condition = entry.condition(row.condition)
        mask = recount.mask(row.scope, row.task, row.level, condition.targets if condition else None)
        if condition is None or mask is None or not mask.any():
            continue
        if entry.provenance.source == "run":
            found = _of_run(row, mask, entry, recount, kinds)
        else:
            found = _of_study(row, mask, entry, recount, condition.sets)
        for (field, interval), estimate in zip(_intervals(row), found, strict=True):
            if interval is not None and (fault := _fault(interval, estimate)):
                yield Finding(f"rows[{place}].{field}", fault, _MEND)
                break


def _intervals(row: BoardRow) -> list[tuple[str, Interval | None]]:
    found = [("accuracy", row.accuracy), ("difference", row.difference), ("drift", row.drift)]
    return found[:1] if row.condition == BASELINE else found


def _fault(interval: Interval, estimate: Estimate) -> str | None:
    if differs(interval.low, estimate.low) or differs(interval.high, estimate.high):
        return (
            f"its interval is [{number(interval.low)}, {number(interval.high)}], and drawn anew "
            f"[{number(estimate.low)}, {number(estimate.high)}]"
        )
    return None


def _of_run(row: BoardRow, mask: Mask, entry: Entry, recount: Recount, kinds: str) -> list[Estimate]:
    """As `vsc_eval.harness.run.results` does it: one stream for a group, used for one figure after the other."""
    rng = stream(entry.provenance.seed, "bootstrap", row.scope, row.task or "", row.level or "")
    clusters, gold = recount.cluster_names[mask], recount.gold[mask]
    base, cond = (recount.answers[name][mask] for name in (BASELINE, row.condition))
    found = [accuracy(cond == gold, clusters, rng, cluster_name=kinds)]
    if row.condition != BASELINE:
        found.append(paired_difference(base == gold, cond == gold, clusters, rng, cluster_name=kinds).difference)
        found.append(drift(base, cond, gold, clusters, rng, cluster_name=kinds).share)
    return found


def _of_study(row: BoardRow, mask: Mask, entry: Entry, recount: Recount, sets: tuple[str, ...]) -> list[Estimate]:
    """As `vsc_eval.study.condition_rows` does it: all figures of a group under the same draws."""
    groups = (row.task or "", row.level or "") if row.scope not in ("on_target", "off_target") else sets
    rng = stream(entry.provenance.seed, "study", "conditions", "bootstrap", row.scope, *groups)
    base, cond, gold = (a[mask] for a in (recount.answers[BASELINE], recount.answers[row.condition], recount.gold))
    right, before, changed = (np.asarray(a, dtype=np.float64) for a in (cond == gold, base == gold, base != cond))
    options: Any = entry.provenance.settings.get("statistics")
    known = options if isinstance(options, Mapping) else {}
    numbers = {name: known[name] for name in ("draws", "level") if isinstance(known.get(name), int | float)}
    found = bootstrap_many(np.stack([right, right - before, changed]), recount.cluster_names[mask], rng, **numbers)
    return list(found[:1] if row.condition == BASELINE else found)
