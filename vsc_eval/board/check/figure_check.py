"""results.json against what the answers give: one edited number is a difference."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from vsc_eval.board.check.problem import Finding
from vsc_eval.board.check.recompute import Recomputed, verdict_rule, with_stated_verdicts
from vsc_eval.board.entry.folder import Parts
from vsc_eval.errors import VscError
from vsc_eval.specs import BASELINE
from vsc_eval.stats import control_p, control_percentile

_TOLERANCE = 1e-7
"""Sums of floats in another order, or by another library, end in other digits."""
_DRAWN = frozenset({
    "low", "high", "method", "p_difference", "p_difference_adjusted", "p_drift", "p_accuracy", "p_drift_adjusted",
    "p_accuracy_adjusted",
})  # fmt: skip
"""What chance decided: compared only if it was drawn anew in the same way."""
_REDRAWN = "Ask the publisher; another version of numpy draws other bounds, as `packages` of entry.json may show."
_ROW = ("condition", "scope", "task", "level", "by", "category")
_OFFICIAL = ("task", "condition", "metric", "figure")
_CONTROL = ("kind", "outcome", "effect", "sets")
_OF_DRAWS = ("draws", "percentile", "p", "p_family", "reason")
"""Of a control test: an entry has the draws' effects, and not their answers."""
_RULED = ("verdict", "decided_by")

Difference = tuple[str, str]
"""Dotted place within a record, and what is wrong there."""


def figure_findings(parts: Parts, *, drawn: bool = False) -> Iterator[Finding]:
    """Everything in results.json that the answers do not give; with `drawn` the intervals and p too, which is slow, and
    which another version of numpy draws otherwise without the entry being wrong."""
    yield from _form(parts)
    try:
        again = Recomputed(parts, drawn=drawn)
        yield from _verdicts(parts)
        yield from _sections(parts, again, drawn=drawn)
    except VscError as error:
        yield Finding("results", f"it cannot be computed anew: {error.message.rstrip('.')}")
    except (ArithmeticError, AssertionError, LookupError, MemoryError, TypeError, ValueError) as error:
        # Answers that no run can give; what of them is wrong is another check's to say.
        yield Finding("results", f"it cannot be computed anew: {type(error).__name__}")


def _sections(parts: Parts, again: Recomputed, *, drawn: bool) -> Iterator[Finding]:
    stated, is_study = parts.results, parts.about.source == "study"

    def small_cell(row: BaseModel) -> bool:
        """A study has rows of cells for the baseline alone."""
        return is_study and getattr(row, "scope", None) == "cell" and getattr(row, "condition", None) != BASELINE

    yield from _compared("rows", _ROW, stated.rows, again.rows(), drawn, may_miss=small_cell)
    yield from _compared("interactions", ("condition",), stated.interactions, again.interactions(), drawn, but=_RULED)
    yield from _compared("official", _OFFICIAL, stated.official, again.official(), drawn)
    yield from _compared("floor", ("name",), stated.floor, again.floor(), drawn)
    if stated.controls and (verdict_rule(parts) or not _asks_verdicts(parts)):
        yield from _compared("controls", _CONTROL, stated.controls, again.controls(), drawn, but=_OF_DRAWS)


def _compared(
    section: str,
    keys: Sequence[str],
    stated: Sequence[BaseModel],
    right: Sequence[BaseModel],
    drawn: bool,
    *,
    but: Sequence[str] = (),
    may_miss: Callable[[BaseModel], bool] = lambda record: False,
) -> Iterator[Finding]:
    """The first difference of each record, records that are there twice, and those that are missing."""
    found = {_key(record, keys): record for record in right}
    seen = set()
    for place, record in enumerate(stated):
        key = _key(record, keys)
        if key in seen:
            yield Finding(f"{section}[{place}]", f"{_words(key)} is there twice")
        seen.add(key)
        if key not in found:
            yield Finding(f"{section}[{place}]", f"the entry has no such items or conditions: {_words(key)}")
            continue
        skipped = {*but, *(() if drawn else _DRAWN)}
        difference = next(differences(record.model_dump(), found[key].model_dump(), skipped), None)
        if difference is not None:
            field, what = difference
            hint = {"hint": _REDRAWN} if field.rpartition(".")[2] in _DRAWN else {}
            yield Finding(f"{section}[{place}].{field}", f"{_words(key)}: {what}", **hint)
    missing = next((key for key, record in found.items() if key not in seen and not may_miss(record)), None)
    if missing is not None:
        yield Finding(section, f"{_words(missing)} is missing")


def differences(stated: Any, right: Any, skipped: set[str], place: str = "") -> Iterator[Difference]:
    """Every value that is not the same, but for the last digits of floats and the keys in `skipped`."""
    if isinstance(stated, Mapping) and isinstance(right, Mapping):
        for name, value in stated.items():
            if name not in skipped:
                yield from differences(value, right[name], skipped, f"{place}.{name}".lstrip("."))
    elif isinstance(stated, list | tuple) and isinstance(right, list | tuple) and len(stated) == len(right):
        for i, (a, b) in enumerate(zip(stated, right, strict=True)):
            yield from differences(a, b, skipped, f"{place}[{i}]")
    elif not _same(stated, right):
        name = place.rpartition(".")[2]
        yield place, f"{name} is {_shown(stated)}, and the answers give {_shown(right)}"


def _same(stated: Any, right: Any) -> bool:
    if isinstance(stated, float) and isinstance(right, int | float):
        return math.isclose(stated, right, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
    return bool(stated == right)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.9g}"
    return "undefined" if value is None else f"{value!r:.80}"


def _key(record: BaseModel, keys: Sequence[str]) -> tuple[Any, ...]:
    return tuple(getattr(record, name) for name in keys)


def _words(key: tuple[Any, ...]) -> str:
    words = [", ".join(part) if isinstance(part, tuple) else str(part) for part in key if part is not None]
    return "/".join(f"{word:.80}" for word in words)


def _asks_verdicts(parts: Parts) -> bool:
    return parts.settings.get("verdict") is not None and parts.about.source == "study"


def _verdicts(parts: Parts) -> Iterator[Finding]:
    """What the rule of the settings makes of the stated numbers."""
    if _asks_verdicts(parts) and verdict_rule(parts) is None:
        yield Finding("interactions", "there are verdicts for which the settings have no rule")
        return
    for place, (stated, right) in enumerate(zip(parts.results.interactions, with_stated_verdicts(parts), strict=True)):
        for field in _RULED:
            found, ruled = getattr(stated, field), getattr(right, field)
            if found != ruled:
                what = f"it is {_shown(found)}, and the rule of the settings gives {_shown(ruled)}"
                yield Finding(f"interactions[{place}].{field}", what)
                break


def _form(parts: Parts) -> Iterator[Finding]:
    """What no answers can give, and what is not drawn anew: checked for form."""
    for place, test in enumerate(parts.results.controls):
        # More drift is more harmful, and less accuracy.
        harm = -1 if test.outcome == "accuracy" else 1
        value, draws = harm * test.value, [harm * draw for draw in test.draws]
        for field, found, right in (
            ("percentile", test.percentile, control_percentile(value, draws)),
            ("p", test.p, control_p(value, draws)),
        ):
            if not _same(found, right):
                yield Finding(
                    f"controls[{place}].{field}", f"it is {_shown(found)}, and the draws give {_shown(right)}"
                )
        if not all(-3 <= draw <= 3 for draw in test.draws):
            yield Finding(f"controls[{place}].draws", "a share of items is out of range")
    yield from _probabilities("", parts.document)
    for section in ("rows", "interactions", "official", "floor"):
        for place, record in enumerate(getattr(parts.results, section)):
            fault = next(_interval_faults(record.model_dump()), None)
            if fault:
                yield Finding(f"{section}[{place}].{fault[0]}", fault[1])
    yield from _probes(parts)


def _interval_faults(record: Any, place: str = "") -> Iterator[Difference]:
    """Of every figure within a record: whether it could be one."""
    if not isinstance(record, Mapping):
        return
    if {"value", "low", "high", "reason"} <= record.keys():
        value, low, high = record["value"], record["low"], record["high"]
        if (low is None) != (high is None) or (value is None and low is not None):
            yield place, "it has one bound of two, or bounds and no value"
        elif low is None and not record["reason"]:
            yield place, "it has no interval and no reason"
        elif low is not None and low > high:
            yield place, f"its interval [{low:g}, {high:g}] is turned around"
        # Resampled means are around the mean; a largest part's or an official figure's need not be.
        elif (
            low is not None
            and place in ("accuracy", "difference", "drift.share")
            and not (low - _TOLERANCE <= value <= high + _TOLERANCE)
        ):
            yield place, f"its interval [{low:g}, {high:g}] does not contain {value:g}"
        return
    for name, inner in record.items():
        yield from _interval_faults(inner, f"{place}.{name}".lstrip("."))


def _probabilities(place: str, value: Any) -> Iterator[Finding]:
    """Every p that results.json has is one."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in pairs:
        where = f"{place}[{name}]" if isinstance(name, int) else f"{place}.{name}".lstrip(".")
        is_p = isinstance(name, str) and (name == "p" or name.startswith("p_"))
        if is_p and isinstance(inner, int | float) and not 0 <= inner <= 1:
            yield Finding(where[:200], f"{inner:g} is no probability")
        yield from _probabilities(where, inner)


def _probes(parts: Parts) -> Iterator[Finding]:
    found = parts.results.probing
    seen = set()
    for place, row in enumerate(found.rows if found else ()):
        key = row.target, row.pooling, row.layer, row.control
        if key in seen:
            yield Finding(f"probing.rows[{place}]", f"{_words(key)} is there twice")
        seen.add(key)
        low, value, high = row.low, row.test_accuracy, row.high
        if low is None or value is None or high is None:
            continue
        if not -1e-9 <= low <= value <= high <= 1 + 1e-9:
            yield Finding(f"probing.rows[{place}]", f"[{low:g}, {high:g}] is no interval of the accuracy {value:g}")
