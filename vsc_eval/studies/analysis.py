"""A study's figures: the analysis of any table of answers, with the study's conditions, rule and controls."""

import numpy as np

from vsc_eval.analysis.controls import ControlTest, control_tests
from vsc_eval.analysis.interactions import InteractionRow, interactions
from vsc_eval.analysis.noise_floor import changed_without_cause
from vsc_eval.analysis.rows import Row, rows
from vsc_eval.analysis.verdict import with_verdicts
from vsc_eval.answers.answer_table import AnswerTable
from vsc_eval.settings import StatisticsSpec
from vsc_eval.specs import BASELINE
from vsc_eval.studies.conditions import swept_names
from vsc_eval.studies.spec import StudySpec


def statistics_of(spec: StudySpec) -> StatisticsSpec:
    """The study's settings of intervals and tests."""
    return StatisticsSpec(**spec.statistics.model_dump(), correction=spec.verdict.correction, seed=spec.seed)


def study_rows(table: AnswerTable, spec: StudySpec) -> tuple[Row, ...]:
    """Rows of each of `swept_names`: all items, tasks, levels, on and off target. Cells, which are too small for a
    comparison, have rows of the baseline only. Conditions of strength zero have none: they are for the noise floor."""
    swept, null = table.under(swept_names(spec)), changed_without_cause(table)
    statistics = statistics_of(spec)
    found = rows(swept, statistics, by=("all", "task", "level", "on_target", "off_target"), null_changed=null)
    cells = rows(swept.under([BASELINE]), statistics, by="cell", null_changed=null)
    own = [row for row in found if row.condition == BASELINE]
    return (*own, *cells, *found[len(own) :])


def analyse(
    table: AnswerTable, controls: AnswerTable | None, spec: StudySpec
) -> tuple[tuple[InteractionRow, ...], tuple[ControlTest, ...]]:
    """All pairs with their verdicts, and all control tests. `table` has the sweep's conditions on all items; `controls`
    the control draws' on the control items, which are among them; None where the study has no controls."""
    tests = () if controls is None else against_controls(table, controls, spec)
    found = interactions(table, statistics_of(spec))
    return with_verdicts(found, spec.verdict, tests, level=spec.statistics.level), tests


def against_controls(table: AnswerTable, controls: AnswerTable, spec: StudySpec) -> tuple[ControlTest, ...]:
    """The real sets on the control items beside the control draws."""
    wanted = {item.item_id for item in controls.items}
    real = table.only(np.array([item.item_id in wanted for item in table.items], dtype=bool))
    baselines = (np.array(part.main.vocabulary)[part.main.answer[0]] for part in (real, controls))
    assert np.array_equal(*baselines), "two baselines"
    return control_tests(
        real,
        controls,
        edit=spec.verdict.edit,
        pairs=spec.control_pairs,
        kinds=spec.controls.kinds,
        n_draws=spec.controls.draws,
        outcomes=spec.verdict.outcomes,
    )
