"""The answers that a study keeps as tables of answers."""

from __future__ import annotations

from collections.abc import Iterable

from vsc_eval.answers.answer_table import Answers, AnswerTable, AskedCondition, AskedItem
from vsc_eval.answers.hashes import prompt_hash
from vsc_eval.specs import BASELINE, ConditionSpec, InterventionSpec
from vsc_eval.studies.answered import AnsweredItem, AnsweredItems
from vsc_eval.studies.conditions import asked_condition, control_conditions, sweep_conditions
from vsc_eval.studies.control_sets import ControlSets
from vsc_eval.studies.spec import StudySpec
from vsc_eval.synthetic import LETTERS

_BASELINE = AskedCondition(ConditionSpec(name=BASELINE))


def sweep_table(
    swept: AnsweredItems, again: AnsweredItems, spec: StudySpec, intervention: InterventionSpec
) -> AnswerTable:
    """Of the sweep; `again` is the second baseline."""
    conditions = [_BASELINE, *map(asked_condition, sweep_conditions(spec, intervention))]
    return _table(swept, conditions, again)


def control_table(
    answered: AnsweredItems, drawn: ControlSets, spec: StudySpec, intervention: InterventionSpec
) -> AnswerTable:
    """Of the control draws, which the sweep's baseline is before."""
    conditions = [_BASELINE]
    for draw in drawn.draws:
        specs = control_conditions(spec, intervention, draw.kind, draw.draw, draw.direction_seed)
        conditions += [asked_condition(each, draw.kind, draw.draw) for each in specs]
    return _table(answered, conditions)


def _table(
    answered: AnsweredItems, conditions: Iterable[AskedCondition], again: AnsweredItems | None = None
) -> AnswerTable:
    by_name = {condition.name: condition for condition in conditions}
    return AnswerTable(
        items=tuple(map(_item, answered.items)),
        conditions=tuple(by_name[name] for name in answered.conditions),
        main=_answers(answered),
        passes={} if again is None else {"other_batches": _answers(again)},
    )


def _answers(answered: AnsweredItems) -> Answers:
    codes = answered.codes.astype("int32")
    return Answers(
        names=answered.conditions,
        vocabulary=LETTERS,
        read=codes,
        answer=codes,
        option_logprobs=answered.logprobs.astype("float32"),
        floats=answered.readings,
        counts={},
        texts={},
    )


def _item(item: AnsweredItem) -> AskedItem:
    return AskedItem(
        item_id=item.id,
        task=item.task,
        cluster=item.cluster,
        gold=item.gold,
        level=item.level,
        gold_index=LETTERS.index(item.gold),
        options=LETTERS,
        prompt_hash=prompt_hash(item.prompt),
        image_hash=item.image_hash,
    )
