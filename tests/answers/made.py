"""Tables of answers made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from vsc_eval.answers.answer_table import FLOAT_COLUMNS, AnswerCollector, AnswerTable, AskedCondition, AskedItem
from vsc_eval.records import Reading
from vsc_eval.specs import BASELINE, ConditionSpec, EditSpec, NormMatch

LETTERS = ("A", "B", "C", "D")


def made_table(n_orbits: int = 3, *, seed: int = 0, generate: bool = False) -> AnswerTable:
    """Two tasks of four items an orbit, under the baseline, two sets, their union and the union at matched norm."""
    rng = np.random.default_rng(seed)
    items = tuple(
        AskedItem(
            item_id=f"{task}/easy/{orbit}/{letter}",
            task=task,
            level="easy",
            cluster=f"{task}/easy/{orbit}",
            gold=letter,
            gold_index=LETTERS.index(letter),
            options=LETTERS,
            categories=(("colour", "red" if orbit % 2 else "blue"),),
            scoring="generate" if generate else "loglikelihood",
            prompt_hash=f"{orbit:016d}",
            image_hash=f"{orbit:08d}{LETTERS.index(letter):08d}",
        )
        for task in ("counting", "logic")
        for orbit in range(n_orbits)
        for letter in LETTERS
    )
    edit = EditSpec(kind="scale", value=4.0)
    matched = edit.model_copy(update={"norm_match": NormMatch()})
    specs = (
        ConditionSpec(name=BASELINE),
        ConditionSpec(name="counting", sets=("counting",), edit=edit),
        ConditionSpec(name="logic", sets=("logic",), edit=edit),
        ConditionSpec(name="counting+logic", sets=("counting", "logic"), edit=edit),
        ConditionSpec(name="counting+logic:norm=mean", sets=("counting", "logic"), edit=matched),
    )
    conditions = tuple(AskedCondition(s, targets=s.sets or None, content_hash=s.content_hash()) for s in specs)

    def interpret(place: int, reading: Reading) -> tuple[str, str]:
        if reading.text == "?":
            return "invalid", "invalid"
        assert reading.option_logprobs is not None
        letter = LETTERS[int(np.argmax(reading.option_logprobs))]
        return letter, letter

    collector = AnswerCollector([s.name for s in specs], len(items), len(LETTERS), interpret)
    for place in rng.permutation(len(items)).tolist():
        for spec in specs:
            logprobs = np.log(rng.dirichlet(np.ones(4))).astype(np.float32)
            collector.add([place], {spec.name: [_reading(spec, logprobs, rng, generate)]})
    return AnswerTable(items=items, conditions=conditions, main=collector.result())


def _reading(spec: ConditionSpec, logprobs: np.ndarray, rng: np.random.Generator, generate: bool) -> Reading:
    edited = not spec.is_baseline
    return Reading(
        text=("?" if rng.random() < 0.2 else "It is that.") if generate else None,
        token_ids=(1, 2, 3) if generate else (),
        top_token_id=int(rng.integers(50)),
        option_logprobs=tuple(logprobs.tolist()),
        kl_options=float(rng.random()),
        shift_edited=float(rng.random()) if edited else None,
        shift_last=float(rng.random()) if edited else None,
        n_edited_tokens=7 if edited else 0,
        n_fires=int(edited),
    )


def with_answers(table: AnswerTable, answers: Mapping[str, Sequence[str]]) -> AnswerTable:
    """The table with other answers [items] under some conditions."""
    words = np.array(table.main.vocabulary)[table.main.answer].astype(object)
    for name, column in answers.items():
        words[table.main.rows[name]] = list(column)
    known = sorted(set(words.ravel()))
    codes = np.array([[known.index(word) for word in row] for row in words], dtype=np.int32)
    return replace(table, main=replace(table.main, vocabulary=tuple(known), read=codes, answer=codes))


def words_of(table: AnswerTable, name: str) -> np.ndarray:
    """What was answered under a condition [items], as text."""
    return np.array(table.main.vocabulary)[table.codes([name])[0]]


def together(table: AnswerTable, other: AnswerTable) -> AnswerTable:
    """Both tables' conditions on the same items, of one vocabulary, under the baseline of the first."""
    assert table.main.vocabulary == other.main.vocabulary
    new = [row for row, name in enumerate(other.names) if name not in table.names]
    part = other.main.take(new)
    main = replace(
        table.main,
        names=(*table.names, *part.names),
        read=np.concatenate([table.main.read, part.read]),
        answer=np.concatenate([table.main.answer, part.answer]),
        option_logprobs=np.concatenate([table.main.option_logprobs, part.option_logprobs]),
        columns={
            name: np.concatenate([table.main.float_column(name), part.float_column(name)])
            for name in FLOAT_COLUMNS
            if name in part.columns
        },
    )
    return replace(table, conditions=(*table.conditions, *(other.conditions[row] for row in new)), main=main)


def cells_of(before: np.ndarray, after: np.ndarray) -> tuple[int, ...]:
    """The cells of McNemar's test of two masks: both, only before, only after, neither."""
    return tuple(int(cell.sum()) for cell in (before & after, before & ~after, ~before & after, ~before & ~after))
