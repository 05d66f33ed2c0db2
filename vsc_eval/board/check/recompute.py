"""The figures of an entry once more, from its answers, by the functions that made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import ValidationError

from vsc_eval.analysis.controls import CONTROL_KINDS, ControlTest, control_tests
from vsc_eval.analysis.interactions import InteractionRow, interactions
from vsc_eval.analysis.noise_floor import FloorRow, changed_without_cause, changes_nothing, floor_rows
from vsc_eval.analysis.official import OfficialRow, official_rows
from vsc_eval.analysis.rows import Row, rows
from vsc_eval.analysis.verdict import VerdictRule, with_verdicts
from vsc_eval.answers.answer_table import AnswerTable
from vsc_eval.board.entry.folder import Parts
from vsc_eval.errors import SpecError
from vsc_eval.settings import StatisticsSpec
from vsc_eval.specs import BASELINE

MOST_DRAWS = 100_000
"""Whoever sends an entry says how many were drawn."""
_MOST_WEIGHTS = 2 << 30
"""Draws times items."""
_FEW = 100
"""Draws where no interval is compared."""


class Recomputed:
    """What a run's or a study's results.json says of these answers, section by section.

    With `drawn` the intervals and p of resampling are those of the entry's settings; without it they are of a few draws
    and not to be compared. Raises SpecError for settings that name no statistics which could be computed here.
    """

    def __init__(self, parts: Parts, *, drawn: bool) -> None:
        self.parts = parts
        self.statistics = statistics_of(parts)
        if drawn and self.statistics.draws * len(parts.table.items) > _MOST_WEIGHTS:
            raise SpecError("the settings ask for more draws of these items than fit into memory", hint="")
        if not drawn:
            self.statistics = self.statistics.model_copy(update={"draws": _FEW, "permutations": _FEW})
        # Edits of strength zero are asked for the noise floor; of them there need not be rows.
        stated = {row.condition for row in parts.results.rows}
        self.table = parts.table.under(
            [c.name for c in parts.table.conditions if c.name in stated or not changes_nothing(c)]
        )

    def rows(self) -> tuple[Row, ...]:
        return rows(self.table, self.statistics, null_changed=changed_without_cause(self.parts.table))

    def interactions(self) -> tuple[InteractionRow, ...]:
        """Without verdicts."""
        return interactions(self.table, self.statistics)

    def official(self) -> tuple[OfficialRow, ...]:
        return official_rows(self.table, self.statistics)

    def floor(self) -> tuple[FloorRow, ...]:
        return floor_rows(self.parts.table, self.statistics) if self.parts.about.source == "study" else ()

    def controls(self) -> tuple[ControlTest, ...]:
        """The real sets' effects; an entry has the effects of the draws, and not their answers."""
        rule, options = verdict_rule(self.parts), _mapping(self.parts.settings.get("controls"))
        n, kinds = options.get("items_per_cell"), options.get("kinds", CONTROL_KINDS)
        if rule is None or not isinstance(n, int) or n < 1 or not isinstance(kinds, Sequence):
            return ()
        table = first_of_cells(self.table, n)
        asked, pairs = options.get("pairs", "all"), dict.fromkeys(row.parts for row in self.parts.results.interactions)
        return control_tests(
            table,
            table.under([BASELINE]),
            edit=rule.edit,
            pairs=[pair for pair in pairs if asked == "all" or list(pair) in asked],
            kinds=[kind for kind in CONTROL_KINDS if kind in kinds],
            n_draws=1,
        )


def with_stated_verdicts(parts: Parts) -> tuple[InteractionRow, ...]:
    """The stated interactions with the verdicts that follow from their numbers and the stated controls."""
    bare = [row.model_copy(update={"verdict": None, "decided_by": None}) for row in parts.results.interactions]
    rule = verdict_rule(parts)
    if rule is None:
        return tuple(bare)
    return with_verdicts(bare, rule, parts.results.controls, level=statistics_of(parts).level)


def verdict_rule(parts: Parts) -> VerdictRule | None:
    """The rule in a study's settings, if there is one."""
    try:
        rule = parts.settings.get("verdict")
        return VerdictRule.model_validate(rule) if rule is not None and parts.about.source == "study" else None
    except ValidationError:
        return None


def statistics_of(parts: Parts) -> StatisticsSpec:
    """As the settings say. Raises SpecError where they say nothing that can be computed."""
    settings = parts.settings
    verdict = _mapping(settings.get("verdict"))
    stated = settings.get("statistics", {})
    given = {name: each[name] for each in (verdict, settings) for name in ("correction", "seed") if name in each}
    try:
        found = StatisticsSpec.model_validate({**given, **stated} if isinstance(stated, Mapping) else stated)
    except ValidationError as error:
        raise SpecError("the settings name no statistics that could be computed here", hint="") from error
    if max(found.draws, found.permutations) > MOST_DRAWS:
        raise SpecError(f"the settings ask for more than {MOST_DRAWS:,} draws", hint="")
    return found


def first_of_cells(table: AnswerTable, n: int) -> AnswerTable:
    """The first `n` items of each task and level, which a study's controls are asked."""
    seen: dict[tuple[str, str | None], int] = {}
    mask = np.zeros(len(table.items), dtype=np.bool_)
    for place, item in enumerate(table.items):
        cell = item.task, item.level
        seen[cell] = seen.get(cell, 0) + 1
        mask[place] = seen[cell] <= n
    return table.only(mask)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
