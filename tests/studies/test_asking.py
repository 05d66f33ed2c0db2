"""Asking in batches and slices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made import made_table

from vsc_eval.analysis.noise_floor import OTHER_BATCHES, changed_without_cause, largest_differences
from vsc_eval.answers.answer_table import Answers, AnswerTable, AskedCondition
from vsc_eval.answers.store import AnswerStore
from vsc_eval.backends import ask as ask_module
from vsc_eval.backends.hf.engine import Engine
from vsc_eval.backends.hf.load import LoadedVLM, load_vlm
from vsc_eval.backends.hf.prompts import Prompt
from vsc_eval.features.harvest import benchmark_items
from vsc_eval.interventions.intervention import LoadedIntervention, load_intervention
from vsc_eval.records import Reading
from vsc_eval.specs import ConditionSpec, EditSpec, parse_condition
from vsc_eval.studies.asking import ask_items, open_study_session
from vsc_eval.studies.spec import StudySpec
from vsc_eval.synthetic import Item

EXPRESSIONS = (
    "counting:scale=40",
    "existence:scale=40",
    "counting+existence:scale=40",
    "counting:ablate",
    "existence+counting:scale=40",
)


@pytest.fixture(scope="module")
def vlm(spec: StudySpec) -> LoadedVLM:
    return load_vlm(spec.model, device="cpu")


@pytest.fixture(scope="module")
def intervention(finished: Path) -> LoadedIntervention:
    return load_intervention(finished / "intervention")


@pytest.fixture(scope="module")
def items(spec: StudySpec) -> list[Item]:
    return benchmark_items("test", spec.tasks, 4)


class Asker:
    """Asks all items under all conditions, and keeps what progress it was told."""

    def __init__(self, vlm: LoadedVLM, intervention: LoadedIntervention, items: list[Item]) -> None:
        self.vlm, self.intervention, self.items = vlm, intervention, items
        self.heard: list[tuple[int, int]] = []

    def __call__(self, store: AnswerStore, stop_after: float = math.inf) -> Answers:
        engine = Engine(self.vlm, sae=self.intervention.sae, layer=self.intervention.spec.layer, batch_size=5)
        conditions = [parse_condition(text, self.intervention.spec.default_edit) for text in EXPRESSIONS]
        session = open_study_session(self.vlm, engine, store, self.intervention, conditions)
        self.heard = []

        def progress(done: int, total: int) -> None:
            self.heard.append((done, total))
            if done > stop_after:
                raise KeyboardInterrupt

        return ask_items(session, self.items, progress)


@pytest.fixture
def asker(vlm: LoadedVLM, intervention: LoadedIntervention, items: list[Item]) -> Asker:
    return Asker(vlm, intervention, items)


def same(a: Answers, b: Answers) -> None:
    assert a.names == b.names == ("baseline", *EXPRESSIONS)
    np.testing.assert_array_equal(a.option_logprobs, b.option_logprobs)
    assert a.columns.keys() == b.columns.keys()
    for name in a.columns:
        np.testing.assert_array_equal(a.columns[name], b.columns[name])


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_slices_change_nothing(asker: Asker, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    whole = asker(AnswerStore(":memory:"))
    assert asker.heard[-1] == (5 * 24, 5 * 24)  # the order of the sets makes no other edit
    monkeypatch.setattr(ask_module, "SLICE", size)
    same(asker(AnswerStore(":memory:")), whole)


def test_items_apart_are_asked_in_the_batches_of_a_run_of_their_own(
    vlm: LoadedVLM, intervention: LoadedIntervention, spec: StudySpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches of other prompts round otherwise: in 16 bits that would set the controls apart from the real sets."""
    few = benchmark_items("test", spec.tasks, 4)
    many = benchmark_items("test", spec.tasks, 8)
    engine = Engine(vlm, batch_size=5)
    asked: list[list[str]] = []
    read = engine.read

    def recorded(prompts: Sequence[Prompt], *rest: Any) -> list[list[Reading]]:
        asked.append([prompt.text for prompt in prompts])
        return read(prompts, *rest)

    monkeypatch.setattr(engine, "read", recorded)

    def batches(items: list[Item], apart: set[str]) -> list[list[str]]:
        asked.clear()
        session = open_study_session(vlm, engine, AnswerStore(":memory:"), intervention, ())
        answers = ask_items(session, items, lambda done, total: None, apart=apart)
        assert answers.answer.shape == (1, len(items))
        return list(asked)

    alone = batches(few, set())
    assert batches(many, {item.id for item in few})[: len(alone)] == alone
    assert batches(many, set())[: len(alone)] != alone


def test_what_is_stored_is_not_counted_as_work(asker: Asker, tmp_path: Path) -> None:
    with AnswerStore(tmp_path / "a.sqlite") as store:
        whole = asker(AnswerStore(":memory:"))
        with pytest.raises(KeyboardInterrupt):
            asker(store, stop_after=3 * 5 * 5)
        assert len(store) == 3 * 5 * 5
        again = asker(store)
        assert asker.heard[0][0] == 0
        assert asker.heard[-1] == (5 * 24 - 75, 5 * 24 - 75)
        same(again, whole)


def test_baseline_has_no_shift_and_zero_divergence(asker: Asker) -> None:
    answers = asker(AnswerStore(":memory:"))
    assert np.isnan(answers.columns["shift_edited"][0]).all()
    np.testing.assert_array_equal(answers.columns["kl_options"][0], 0.0)
    assert (answers.columns["shift_edited"][1:] > 0).all()


def test_the_noise_floor_counts_answers_and_the_largest_difference() -> None:
    table = made_table(n_orbits=1)
    null = ConditionSpec(name="counting:scale=1", sets=("counting",), edit=EditSpec(value=1.0))
    main = table.main
    logprobs = main.option_logprobs[[0, 0]]
    logprobs[:, 0, 3] = -np.inf  # no difference, in both
    logprobs[1, 0, 1] -= 1.5
    main = Answers(("baseline", null.name), main.vocabulary, main.read[:2], main.answer[:2], logprobs)
    conditions = (table.conditions[0], AskedCondition(null))
    again = Answers(("baseline",), main.vocabulary, main.read[:1], main.answer[:1], logprobs[:1])
    found = AnswerTable(table.items, conditions, main, {"other_batches": again})
    assert largest_differences(found) == pytest.approx({OTHER_BATCHES: 0, null.name: 1.5})
    assert list(changed_without_cause(found)) == [OTHER_BATCHES, null.name]
