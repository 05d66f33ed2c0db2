"""results.json against what the answers give, by the functions that made it: one edited number is a difference."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from vsc_eval.analysis.controls import CONTROL_KINDS, ControlTest, control_tests, first_of_cells
from vsc_eval.analysis.interactions import interactions
from vsc_eval.analysis.noise_floor import changed_without_cause, changes_nothing, floor_rows
from vsc_eval.analysis.official import official_rows
from vsc_eval.analysis.rows import rows
from vsc_eval.analysis.verdict import VerdictRule, with_verdicts
from vsc_eval.answers.answer_table import AnswerTable
from vsc_eval.board.records import Entry, Problem, mapping
from vsc_eval.errors import SpecError, VscError
from vsc_eval.settings import StatisticsSpec
from vsc_eval.specs import BASELINE

MOST_DRAWS = 100_000
"""Whoever sends an entry says how many were drawn."""
_MOST_WEIGHTS = 2 << 30
"""Draws times items."""
_FEW = 100
"""Draws where no interval is compared."""
_TOLERANCE = 1e-7
"""Sums of floats in another order, or by another library, end in other digits."""
_DRAWN = frozenset({
    "low", "high", "method", "p_difference", "p_difference_adjusted", "p_drift", "p_accuracy", "p_drift_adjusted",
    "p_accuracy_adjusted",
})  # fmt: skip
"""What chance decided: compared only if it was drawn anew in the same way."""
_REDRAWN = "Ask the publisher; another version of numpy draws other bounds, as `packages` of entry.json may show."
_KEYS = {
    "rows": ("condition", "scope", "task", "level", "by", "category"),
    "interactions": ("condition",),
    "official": ("task", "condition", "metric", "figure"),
    "floor": ("name",),
    "controls": ("kind", "outcome", "effect", "sets"),
}
"""Section -> what tells its records apart."""
_RULED = ("verdict", "decided_by")
_NOT_COMPARED = {
    "interactions": _RULED,
    # An entry has the effects of the draws, and not their answers.
    "controls": ("draws", "percentile", "p", "p_family", "reason"),
}


def figure_problems(entry: Entry, *, drawn: bool = False) -> Iterator[Problem]:
    """Everything in results.json that the answers do not give; with `drawn` the intervals and p too, which is slow, and
    which another version of numpy draws otherwise without the entry being wrong."""
    try:
        statistics, rule = statistics_of(entry, drawn=drawn), _verdict_rule(entry)
        yield from _verdicts(entry, rule, statistics.level)
        for section, right in _recomputed(entry, statistics, rule):
            yield from _compared(section, entry, right, {*_NOT_COMPARED.get(section, ()), *(() if drawn else _DRAWN)})
    except VscError as error:
        yield Problem("results", f"it cannot be computed anew: {error.message.rstrip('.')}")
    except (ArithmeticError, AssertionError, LookupError, MemoryError, TypeError, ValueError) as error:
        # Answers that no run can give; what of them is wrong is another check's to say.
        yield Problem("results", f"it cannot be computed anew: {type(error).__name__}")


def statistics_of(entry: Entry, *, drawn: bool) -> StatisticsSpec:
    """As the settings say; without `drawn`, of a few draws. Raises SpecError where they say nothing that can be
    computed."""
    settings, verdict = entry.settings, mapping(entry.settings.get("verdict"))
    stated = settings.get("statistics", {})
    given = {name: each[name] for each in (verdict, settings) for name in ("correction", "seed") if name in each}
    try:
        found = StatisticsSpec.model_validate({**given, **stated} if isinstance(stated, Mapping) else stated)
    except ValidationError as error:
        raise SpecError("the settings name no statistics that could be computed here", hint="") from error
    if max(found.draws, found.permutations) > MOST_DRAWS:
        raise SpecError(f"the settings ask for more than {MOST_DRAWS:,} draws", hint="")
    if drawn and found.draws * len(entry.table.items) > _MOST_WEIGHTS:
        raise SpecError("the settings ask for more draws of these items than fit into memory", hint="")
    return found if drawn else found.model_copy(update={"draws": _FEW, "permutations": _FEW})


def _verdict_rule(entry: Entry) -> VerdictRule | None:
    """The rule in a study's settings, if there is one."""
    try:
        return VerdictRule.model_validate(entry.settings.get("verdict")) if _asks_verdicts(entry) else None
    except ValidationError:
        return None


def _asks_verdicts(entry: Entry) -> bool:
    return entry.is_study and entry.settings.get("verdict") is not None


def _verdicts(entry: Entry, rule: VerdictRule | None, level: float) -> Iterator[Problem]:
    """What the rule of the settings makes of the stated numbers and controls."""
    if _asks_verdicts(entry) and rule is None:
        yield Problem("interactions", "there are verdicts for which the settings have no rule")
        return
    stated = entry.results.interactions
    ruled = tuple(row.model_copy(update=dict.fromkeys(_RULED)) for row in stated)
    if rule is not None:
        ruled = with_verdicts(ruled, rule, entry.results.controls, level=level)
    for place, (row, right) in enumerate(zip(stated, ruled, strict=True)):
        for field in _RULED:
            found, by_rule = getattr(row, field), getattr(right, field)
            if found != by_rule:
                what = f"it is {shown(found)}, and the rule of the settings gives {shown(by_rule)}"
                yield Problem(f"interactions[{place}].{field}", what)
                break


def _recomputed(
    entry: Entry, statistics: StatisticsSpec, rule: VerdictRule | None
) -> Iterator[tuple[str, Sequence[BaseModel]]]:
    """Sections of results.json as these answers give them; interactions without verdicts."""
    # Edits of strength zero are asked for the noise floor; of them there need not be rows.
    stated = {row.condition for row in entry.results.rows}
    table = entry.table.under([c.name for c in entry.table.conditions if c.name in stated or not changes_nothing(c)])
    yield "rows", rows(table, statistics, null_changed=changed_without_cause(entry.table))
    yield "interactions", interactions(table, statistics)
    yield "official", official_rows(table, statistics)
    yield "floor", floor_rows(entry.table, statistics) if entry.is_study else ()
    if entry.results.controls and (rule or not _asks_verdicts(entry)):
        yield "controls", _controls(entry, table, rule)


def _controls(entry: Entry, table: AnswerTable, rule: VerdictRule | None) -> Sequence[ControlTest]:
    """The real sets' effects on the items of the controls."""
    options = mapping(entry.settings.get("controls"))
    n, kinds = options.get("items_per_cell"), options.get("kinds", CONTROL_KINDS)
    if rule is None or not isinstance(n, int) or n < 1 or not isinstance(kinds, Sequence):
        return ()
    table = first_of_cells(table, n)
    asked, pairs = options.get("pairs", "all"), dict.fromkeys(row.parts for row in entry.results.interactions)
    return control_tests(
        table,
        table.under([BASELINE]),
        edit=rule.edit,
        pairs=[pair for pair in pairs if asked == "all" or list(pair) in asked],
        kinds=[kind for kind in CONTROL_KINDS if kind in kinds],
        n_draws=1,
    )


def _compared(section: str, entry: Entry, right: Sequence[BaseModel], skipped: set[str]) -> Iterator[Problem]:
    """The first difference of each record, records that are there twice, and those that are missing."""
    found = {_key(section, record): record for record in right}
    seen = set()
    for place, record in enumerate(getattr(entry.results, section)):
        key = _key(section, record)
        if key in seen:
            yield Problem(f"{section}[{place}]", f"{key_words(key)} is there twice")
        seen.add(key)
        if key not in found:
            yield Problem(f"{section}[{place}]", f"the entry has no such items or conditions: {key_words(key)}")
            continue
        difference = next(_differences(record.model_dump(), found[key].model_dump(), skipped), None)
        if difference is not None:
            field, what = difference
            hint = {"hint": _REDRAWN} if field.rpartition(".")[2] in _DRAWN else {}
            yield Problem(f"{section}[{place}].{field}", f"{key_words(key)}: {what}", **hint)
    # A study has rows of cells for the baseline alone.
    is_part = section == "rows" and entry.is_study
    wanted = (key for key in found if not (is_part and key[1] == "cell" and key[0] != BASELINE))
    missing = next((key for key in wanted if key not in seen), None)
    if missing is not None:
        yield Problem(section, f"{key_words(missing)} is missing")


def _differences(stated: Any, right: Any, skipped: set[str], place: str = "") -> Iterator[tuple[str, str]]:
    """Dotted place and words of every value that differs, but for last digits of floats and the keys in `skipped`."""
    if isinstance(stated, dict) and isinstance(right, dict):
        for name, value in stated.items():
            if name not in skipped and value != right[name]:
                yield from _differences(value, right[name], skipped, f"{place}.{name}".lstrip("."))
    elif isinstance(stated, list | tuple) and isinstance(right, list | tuple) and len(stated) == len(right):
        for i, (a, b) in enumerate(zip(stated, right, strict=True)):
            yield from _differences(a, b, skipped, f"{place}[{i}]")
    elif not same(stated, right):
        name = place.rpartition(".")[2]
        yield place, f"{name} is {shown(stated)}, and the answers give {shown(right)}"


def same(stated: Any, right: Any) -> bool:
    """Whether two values are equal, but for the last digits of floats."""
    if isinstance(stated, float) and isinstance(right, int | float):
        return math.isclose(stated, right, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
    return bool(stated == right)


def shown(value: Any) -> str:
    """A value in a problem's words."""
    if isinstance(value, float):
        return f"{value:.9g}"
    return "undefined" if value is None else f"{value!r:.80}"


def _key(section: str, record: BaseModel) -> tuple[Any, ...]:
    return tuple(getattr(record, name) for name in _KEYS[section])


def key_words(key: tuple[Any, ...]) -> str:
    """What tells a record apart, in a problem's words."""
    words = [", ".join(part) if isinstance(part, tuple) else str(part) for part in key if part is not None]
    return "/".join(f"{word:.80}" for word in words)
