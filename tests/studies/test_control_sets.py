"""Draws of the controls: a shuffle of the labels that gives no sets is replaced by another one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vsc_eval.analysis.verdict import VerdictRule
from vsc_eval.interventions.controls import permuted_label_sets
from vsc_eval.interventions.harvest import Harvest, PooledActivations
from vsc_eval.interventions.select import SelectionRule
from vsc_eval.sae.quality import Firing
from vsc_eval.specs import EditSpec, InterventionSpec
from vsc_eval.studies.conditions import SHUFFLES_A_DRAW, ControlSets, draw_controls
from vsc_eval.studies.run import exclusions
from vsc_eval.studies.spec import ControlOptions, SelectOptions, StudySpec

TASKS = ("counting", "existence", "logic")
DRAWS = 10


@pytest.fixture(scope="module")
def harvest() -> Harvest:
    """Ten orbits a task, and 90 features that know nothing."""
    tasks = tuple(task for task in TASKS for _ in range(40))
    values = torch.tensor(np.random.default_rng(0).random((len(tasks), 90)), dtype=torch.float32)
    return Harvest(
        pooled=PooledActivations(values, values > 0),
        firing=Firing(torch.full((90,), 0.5), torch.ones(90)),
        item_ids=tuple(map(str, range(len(tasks)))),
        tasks=tasks,
        orbits=tuple(str(i // 4) for i in range(len(tasks))),
        origin={},
    )


def drawn(harvest: Harvest, m: int) -> ControlSets:
    spec = StudySpec(
        tasks=TASKS,
        select=SelectOptions(rule=SelectionRule(m=m, min_frequency=0.0)),
        controls=ControlOptions(kinds=("permuted_labels",), draws=DRAWS),
        verdict=VerdictRule(control_kinds=()),
    )
    intervention = InterventionSpec.model_construct(
        model="m", layer=0, sae="sae", default_edit=EditSpec(kind="ablate"), sets=()
    )
    told: list[tuple[int, int]] = []
    found = draw_controls(spec, intervention, harvest, lambda done, total: told.append((done, total)))
    assert told == [(done, DRAWS) for done in range(1, DRAWS + 1)]
    return found


def test_a_shuffle_without_sets_is_replaced(harvest: Harvest) -> None:
    found = drawn(harvest, 26)
    failed = {number for entry in found.failed for number in entry.draws}
    assert [draw.draw for draw in found.draws] == list(range(DRAWS))
    assert failed & set(range(DRAWS)), "no shuffle failed: the test shows nothing"
    shuffles = [draw.shuffle for draw in found.draws if draw.shuffle is not None]
    # Each is used once, none is passed over, and those that gave sets are what they would have been.
    assert sorted([*shuffles, *failed]) == list(range(DRAWS + len(failed)))
    assert all(draw.shuffle == draw.draw for draw in found.draws if draw.draw not in failed)
    for draw in found.draws:
        assert [s.name for s in draw.sets] == [f"{task}.permuted.{draw.draw:02d}" for task in TASKS]
        assert {s.provenance["control_shuffle"] for s in draw.sets} == {draw.shuffle}
    assert len({tuple(s.indices for s in draw.sets) for draw in found.draws}) == DRAWS
    assert found == drawn(harvest, 26)
    assert all("others took their place" in entry.what for entry in exclusions(found, DRAWS))


def test_the_replacement_is_that_shuffle_of_the_labels(harvest: Harvest) -> None:
    replaced = next(draw for draw in drawn(harvest, 26).draws if draw.shuffle != draw.draw)
    assert replaced.shuffle is not None
    rule = SelectionRule(m=26, min_frequency=0.0)
    expected = permuted_label_sets(harvest, rule, seed=0, draw=replaced.shuffle)
    assert [s.indices for s in replaced.sets] == [s.indices for s in expected]


def test_it_is_not_tried_without_end(harvest: Harvest) -> None:
    found = drawn(harvest, 40)
    assert found.draws == ()
    tried = [number for entry in found.failed for number in entry.draws]
    assert sorted(tried) == list(range(SHUFFLES_A_DRAW * DRAWS))
    assert not any("took their place" in entry.what for entry in exclusions(found, DRAWS))
