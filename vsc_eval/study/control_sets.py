"""The sets that stand for the real ones in the controls, `controls.yaml`: every draw, or why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from vsc_eval.errors import DataError
from vsc_eval.interventions.controls import matched_random_sets, permuted_label_sets
from vsc_eval.interventions.harvest import Harvest
from vsc_eval.seeding import derived_seed
from vsc_eval.specs import FeatureSet, InterventionSuite, Spec
from vsc_eval.study import names
from vsc_eval.study.spec import ControlKind, StudySpec

CONTROLS_FILE = "controls.yaml"


class ControlDraw(Spec):
    """One draw of one kind: sets for all tasks, or the seed of directions for the real sets."""

    kind: ControlKind
    draw: int
    sets: tuple[FeatureSet, ...] = ()
    """In the order of the study's tasks; none for random directions."""
    direction_seed: int | None = None


class FailedDraws(Spec):
    """Draws of one kind that could not be made, for one reason."""

    kind: ControlKind
    draws: tuple[int, ...]
    why: str


class ControlSets(Spec):
    """`controls.yaml`."""

    draws: tuple[ControlDraw, ...]
    failed: tuple[FailedDraws, ...]


def draw_controls(
    spec: StudySpec, suite: InterventionSuite, harvest: Harvest, progress: Callable[[int, int], None]
) -> ControlSets:
    """All draws of all kinds. A draw for which there are too few features is left out and named."""
    total = len(spec.controls.kinds) * spec.controls.draws
    made: list[ControlDraw] = []
    failures: dict[tuple[ControlKind, str], list[int]] = {}
    for done, (kind, draw) in enumerate(_wanted(spec), start=1):
        try:
            made.append(_draw(spec, suite, harvest, kind, draw))
        except DataError as error:
            failures.setdefault((kind, error.message), []).append(draw)
        progress(done, total)
    failed = tuple(FailedDraws(kind=kind, draws=tuple(which), why=why) for (kind, why), which in failures.items())
    return ControlSets(draws=tuple(made), failed=failed)


def _wanted(spec: StudySpec) -> Iterator[tuple[ControlKind, int]]:
    return ((kind, draw) for kind in spec.controls.kinds for draw in range(spec.controls.draws))


def _draw(spec: StudySpec, suite: InterventionSuite, harvest: Harvest, kind: ControlKind, draw: int) -> ControlDraw:
    if kind == "random_directions":
        return ControlDraw(kind=kind, draw=draw, direction_seed=derived_seed("study directions", spec.seed, draw))
    make = (
        partial(matched_random_sets, suite.sets, harvest)
        if kind == "random_sets"
        else partial(permuted_label_sets, harvest, spec.select.rule)
    )
    sets = make(seed=spec.seed, draw=draw)
    assert [s.name for s in sets] == [names.control_set(task, kind, draw) for task in spec.tasks]
    return ControlDraw(kind=kind, draw=draw, sets=sets)
