"""Asking in chunks and slices."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vsc_eval.answers.store import AnswerStore
from vsc_eval.backends.hf.engine import Engine
from vsc_eval.backends.hf.load import LoadedVLM, load_vlm
from vsc_eval.backends.hf.prompts import Prompt
from vsc_eval.features.benchmark import benchmark_items
from vsc_eval.interventions.edits import compile_condition
from vsc_eval.interventions.intervention import LoadedIntervention, load_intervention
from vsc_eval.records import Reading
from vsc_eval.specs import parse_condition
from vsc_eval.studies import asking
from vsc_eval.studies.answered import READING_FIELDS, AnsweredItem, AnsweredItems
from vsc_eval.studies.asking import Respondent, ask
from vsc_eval.studies.floor import unchanged
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

    def __call__(self, store: AnswerStore, stop_after: float = math.inf) -> AnsweredItems:
        engine = Engine(self.vlm, sae=self.intervention.sae, layer=self.intervention.spec.layer, batch_size=5)
        compile_ = partial(
            compile_condition,
            known_sets=self.intervention.sets,
            sae=self.intervention.sae,
            layer=self.intervention.spec.layer,
        )
        conditions = [parse_condition(text, self.intervention.spec.default_edit) for text in EXPRESSIONS]
        self.heard = []

        def progress(done: int, total: int) -> None:
            self.heard.append((done, total))
            if done > stop_after:
                raise KeyboardInterrupt

        return ask(Respondent(self.vlm, engine, store), self.items, conditions, compile_, progress)


@pytest.fixture
def asker(vlm: LoadedVLM, intervention: LoadedIntervention, items: list[Item]) -> Asker:
    return Asker(vlm, intervention, items)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_slices_change_nothing(asker: Asker, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    whole = asker(AnswerStore(":memory:"))
    assert asker.heard[-1] == (5 * 24, 5 * 24)  # the order of the sets makes no other edit
    monkeypatch.setattr(asking, "SLICE", size)
    sliced = asker(AnswerStore(":memory:"))
    assert sliced.conditions == whole.conditions == ("baseline", *EXPRESSIONS)
    np.testing.assert_array_equal(sliced.logprobs, whole.logprobs)
    for field, table in whole.readings.items():
        np.testing.assert_array_equal(sliced.readings[field], table)


def test_items_apart_are_asked_in_the_batches_of_a_run_of_their_own(
    vlm: LoadedVLM, intervention: LoadedIntervention, spec: StudySpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches of other prompts round otherwise: in 16 bits that would set the controls apart from the real sets."""
    few = benchmark_items("test", spec.tasks, 4)
    many = benchmark_items("test", spec.tasks, 8)
    engine = Engine(vlm, batch_size=5)
    asked: list[list[str]] = []
    read = engine.read

    def recorded(prompts: list[Prompt], *rest: Any) -> list[list[Reading]]:
        asked.append([prompt.text for prompt in prompts])
        return read(prompts, *rest)

    monkeypatch.setattr(engine, "read", recorded)

    def batches(items: list[Item], apart: set[str]) -> list[list[str]]:
        asked.clear()
        compile_ = partial(
            compile_condition, known_sets=intervention.sets, sae=intervention.sae, layer=intervention.spec.layer
        )
        respondent = Respondent(vlm, engine, AnswerStore(":memory:"))
        answered = ask(respondent, items, (), compile_, lambda done, total: None, apart=apart)
        assert [item.id for item in answered.items] == [item.id for item in items]
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
        np.testing.assert_array_equal(again.logprobs, whole.logprobs)


def test_baseline_has_no_shift_and_zero_divergence(asker: Asker) -> None:
    answered = asker(AnswerStore(":memory:"))
    assert np.isnan(answered.readings["shift_edited"][0]).all()
    np.testing.assert_array_equal(answered.readings["kl_options"][0], 0.0)
    assert (answered.readings["shift_edited"][1:] > 0).all()


def test_arrays_survive_the_disk(asker: Asker, tmp_path: Path) -> None:
    answered = asker(AnswerStore(":memory:"))
    files = answered.save(tmp_path, "some")
    assert sorted(file.name for file in files) == ["some.json", "some.safetensors"]
    loaded = AnsweredItems.load(tmp_path, "some")
    assert (loaded.items, loaded.conditions) == (answered.items, answered.conditions)
    np.testing.assert_array_equal(loaded.logprobs, answered.logprobs)
    for field, table in answered.readings.items():
        np.testing.assert_array_equal(loaded.readings[field], table)
    first = [file.read_bytes() for file in files]
    assert first == [file.read_bytes() for file in loaded.save(tmp_path, "some")]


def _two_items(logprobs: list[list[list[float]]]) -> AnsweredItems:
    described = {"cluster": "o", "task": "counting", "level": "easy", "prompt": "?", "image_hash": "none"}
    items = tuple(AnsweredItem(id=str(i), gold=gold, **described) for i, gold in enumerate("BD"))
    return AnsweredItems(items, ("baseline",), np.array(logprobs), {})


def test_codes_and_margins_by_hand() -> None:
    answered = _two_items([[[-2.0, -1.0, -1.0, -3.0], [-np.inf, -np.inf, -0.5, -1.5]]])
    # The first of equals, as `vsc-eval run` parses it.
    assert answered.codes.tolist() == [[1, 2]]
    assert answered.gold.tolist() == [1, 3]
    margins = AnsweredItems(
        answered.items, answered.conditions, answered.logprobs, dict.fromkeys(READING_FIELDS, np.zeros((1, 2)))
    ).reading_arrays()["baseline"]
    assert margins.margin.tolist() == [0.0, -1.0]


def test_unchanged_counts_answers_and_the_largest_difference() -> None:
    before = np.array([[-1.0, -2.0, -np.inf, -3.0], [-1.0, -2.0, -3.0, -4.0]])
    after = np.array([[-1.0, -2.25, -np.inf, -3.0], [-2.5, -2.0, -3.0, -4.0]])
    found = unchanged("again", before, after)
    assert (found.n_items, found.n_changed, found.max_logprob_difference) == (2, 1, 1.5)
