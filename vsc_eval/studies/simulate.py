"""Answer tables of a study that was never run: what its statistics are tried on.

Each item has latent scores of its options, the right one ahead by a margin that items of an orbit share in part. A
feature set moves the scores of every item at random, more on some tasks than on others; a union moves them by the sum.
The answer is the option with the largest score. An answer changes only where a margin is crossed, so drift and accuracy
of unions are not the sums of their parts even where nothing interferes, for the real sets and the controls alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from vsc_eval.analysis.controls import ControlKind, Pair
from vsc_eval.answers.answer_table import Answers, AnswerTable, AskedCondition, AskedItem, Codes
from vsc_eval.extract import INVALID
from vsc_eval.specs import BASELINE, ConditionSpec, EditSpec, Spec, parse_condition
from vsc_eval.studies import names
from vsc_eval.studies.conditions import asked_condition
from vsc_eval.studies.spec import StudySpec
from vsc_eval.synthetic import LETTERS, LEVELS

_ORBIT = len(LETTERS)
_Scores = npt.NDArray[np.float32]


class World(Spec):
    """What simulated models, items and sets are like."""

    margin: float = 3.5
    """Mean lead of the right option, in units of the spread of option scores."""
    margin_spread: float = 1.5
    orbit_share: float = 0.5
    """Share of every variance that the items of an orbit have in common."""
    strength: float = 0.5
    """Median spread of a set's effect on an item."""
    strength_spread: float = 0.5
    """Of its logarithm, over sets and again over a set's tasks."""
    kind_strength: Mapping[ControlKind, float] = {
        "random_sets": 0.7,
        "random_directions": 0.5,
        "permuted_labels": 1.0,
    }
    """Strength of a control's sets against the real ones; permuted sets are drawn as the real ones are."""
    noise: float = 0.0
    """Share of answers that differ from run to run though nothing was done."""
    invalid: float = 0.0
    """Share of unreadable answers under an edit."""


WORLDS: Mapping[str, World] = {
    "saturating": World(),
    "threshold": World(margin=6, margin_spread=0.8, strength=1.2, strength_spread=0.3),
}
"""saturating: answers near the edge change under either set, so a union changes fewer than its parts together.
threshold: hardly any answer is near the edge, so a union crosses it where neither part did, and changes more."""


@dataclass(frozen=True)
class Planted:
    """Interference of one pair: on a random share of items its union alone puts the right option last."""

    pair: Pair
    share: float


@dataclass(frozen=True, eq=False)
class Items:
    """The items of a study, [items] each, in orbits of four with one right answer each."""

    tasks: npt.NDArray[np.str_]
    levels: npt.NDArray[np.str_]
    orbit: npt.NDArray[np.intp]
    gold: Codes
    in_controls: npt.NDArray[np.bool_]

    def asked(self) -> tuple[AskedItem, ...]:
        """As the items of a table."""
        columns = zip(self.tasks.tolist(), self.levels.tolist(), self.orbit.tolist(), self.gold.tolist(), strict=True)
        return tuple(
            AskedItem(
                item_id=f"{orbit:05d}/{LETTERS[gold]}",
                task=task,
                level=level,
                cluster=f"{orbit:05d}",
                gold=LETTERS[gold],
                gold_index=gold,
                options=LETTERS,
            )
            for task, level, orbit, gold in columns
        )


@dataclass(frozen=True, eq=False)
class Simulated:
    """Tables as a sweep and its controls give them."""

    table: AnswerTable
    controls: AnswerTable | None
    """The control draws on the control items, under the same baseline."""


class _Draw:
    """One model and its items: everything random comes from its generator."""

    def __init__(self, items: Items, world: World, rng: np.random.Generator, scores: _Scores | None = None) -> None:
        self.items, self.world, self.rng = items, world, rng
        self._task_index = np.unique(items.tasks, return_inverse=True)[1]
        self.scores = self._base_scores() if scores is None else scores

    def only_controls(self) -> _Draw:
        """The same model on the control items."""
        mask, items = self.items.in_controls, self.items
        few = Items(items.tasks[mask], items.levels[mask], items.orbit[mask], items.gold[mask], mask[mask])
        return _Draw(few, self.world, self.rng, self.scores[mask])

    def effects(self, sets: Sequence[str], strength: float) -> dict[str, _Scores]:
        """What each set adds to the scores, [items, options]."""
        world, n_tasks = self.world, int(self._task_index.max()) + 1
        found = {}
        for name in sets:
            of_set = self.rng.normal(0, world.strength_spread)
            of_task = self.rng.normal(0, world.strength_spread, size=n_tasks)
            size = strength * world.strength * np.exp(of_set + of_task)
            found[name] = (size[self._task_index, None] * self._noise()).astype(np.float32)
        return found

    def hits(self, share: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
        """A random `share` of the items [items]; those of an orbit are hit together more often than by chance
        (intraclass correlation 1/3). A generator of its own leaves the rest of the study as it is without them."""
        of_orbit = self._per_orbit(lambda n: rng.beta(2 * share, 2 * (1 - share), size=n))
        return np.asarray(rng.random(len(of_orbit)) < of_orbit)

    def answers(self, effect: _Scores | None, hit: npt.NDArray[np.bool_] | None = None) -> Codes:
        """[items]; without an effect the baseline's."""
        scores = self.scores if effect is None else self.scores + effect
        if hit is not None:
            scores = scores.copy()
            scores[hit, self.items.gold[hit]] = -np.inf
        found: Codes = scores.argmax(axis=1).astype(np.int32)
        if effect is None:
            return found
        if self.world.noise:
            other = self.rng.random(len(found)) < self.world.noise
            found[other] = (found[other] + 1 + self.rng.integers(0, _ORBIT - 1, size=int(other.sum()))) % _ORBIT
        if self.world.invalid:
            found[self.rng.random(len(found)) < self.world.invalid] = len(LETTERS)
        return found

    def table(self, answers: Mapping[str, tuple[AskedCondition, Codes]]) -> AnswerTable:
        """Name -> condition and answers [items], the baseline first."""
        codes = np.array([column for _, column in answers.values()], dtype=np.int32)
        found = Answers(
            names=tuple(answers),
            vocabulary=(*LETTERS, INVALID),
            read=codes,
            answer=codes,
            option_logprobs=np.zeros((*codes.shape, 0), dtype=np.float32),
        )
        return AnswerTable(self.items.asked(), tuple(condition for condition, _ in answers.values()), found)

    def _base_scores(self) -> _Scores:
        world = self.world
        lead = world.margin + world.margin_spread * self._noise(1)[:, 0]
        scores = self._noise()
        scores[np.arange(len(scores)), self.items.gold] += lead
        return scores.astype(np.float32)

    def _noise(self, columns: int = _ORBIT) -> _Scores:
        """Standard normal [items, columns], in part common to an orbit."""
        share = self.world.orbit_share
        own = self.rng.standard_normal((len(self.items.orbit), columns), dtype=np.float32)
        common = self._per_orbit(lambda n: self.rng.standard_normal((n, columns), dtype=np.float32))
        return np.asarray(np.sqrt(share) * common + np.sqrt(1 - share) * own, dtype=np.float32)

    def _per_orbit(self, of_orbits: Callable[[int], npt.NDArray[np.floating]]) -> npt.NDArray[np.floating]:
        _, index = np.unique(self.items.orbit, return_inverse=True)
        return of_orbits(int(index.max()) + 1)[index]


def study_items(spec: StudySpec) -> Items:
    """Task by task and level by level, in the study's sizes."""
    n, cells = spec.sweep.items_per_cell, [(task, level) for task in spec.tasks for level in LEVELS]
    place = np.tile(np.arange(n), len(cells))
    return Items(
        tasks=np.repeat(np.array([task for task, _ in cells]), n),
        levels=np.repeat(np.array([level for _, level in cells]), n),
        orbit=np.arange(n * len(cells)) // _ORBIT,
        gold=(place % _ORBIT).astype(np.int32),
        in_controls=place < spec.controls.items_per_cell,
    )


def simulate(
    spec: StudySpec,
    rng: np.random.Generator,
    *,
    world: World | None = None,
    planted: Sequence[Planted] = (),
    real_strength: float = 1.0,
) -> Simulated:
    """One study under the verdict's edit. `real_strength` multiplies that of the real sets; 0: they do nothing."""
    world = world or World()
    draw, of_hits = _Draw(study_items(spec), world, rng), rng.spawn(1)[0]
    real = draw.effects(spec.tasks, real_strength)
    answers: _Answers = {BASELINE: (AskedCondition(ConditionSpec(name=BASELINE)), draw.answers(None))}
    edit, match = spec.verdict.edit, spec.sweep.norm_match

    def add(name: str, effect: _Scores, hit: npt.NDArray[np.bool_] | None = None) -> None:
        answers[name] = (_asked(name), draw.answers(effect, hit))

    for task in spec.tasks:
        add(names.single(task, edit), real[task])
    hits = {each.pair: draw.hits(each.share, of_hits) for each in planted}
    for a, b in spec.pairs:
        both = real[a] + real[b]
        add(names.union(a, b, edit), both, hits.get((a, b)))
        if match:
            factor = matching_factor(real[a], real[b], match)
            add(names.union(a, b, edit, match), both * factor, hits.get((a, b)))
    table = draw.table(answers)
    if not spec.controls.draws:
        return Simulated(table, None)
    condition, baseline = answers[BASELINE]
    few = draw.only_controls()
    shared: _Answers = {BASELINE: (condition, baseline[draw.items.in_controls])}
    return Simulated(table, few.table({**shared, **_control_answers(few, spec)}))


_Answers = dict[str, tuple[AskedCondition, Codes]]
_EDIT = EditSpec(kind="ablate")
"""Stands for the edit that an expression leaves out; those of a study leave none out."""


@lru_cache(maxsize=4096)
def _asked(name: str, kind: ControlKind | None = None, draw: int | None = None) -> AskedCondition:
    """Kept, since a calibration simulates the same conditions in every study."""
    return asked_condition(parse_condition(name, _EDIT), kind, draw)


def _control_answers(draw: _Draw, spec: StudySpec) -> _Answers:
    edit, found = spec.verdict.edit, _Answers()
    tasks = [task for task in spec.tasks if any(task in pair for pair in spec.control_pairs)]
    for kind in spec.controls.kinds:
        for d in range(spec.controls.draws):
            sets = draw.effects(tasks, draw.world.kind_strength[kind])
            effects = {names.control_single(task, kind, d, edit): sets[task] for task in tasks}
            effects |= {names.control_union(a, b, kind, d, edit): sets[a] + sets[b] for a, b in spec.control_pairs}
            for name, effect in effects.items():
                found[name] = (_asked(name, kind, d), draw.answers(effect))
    return found


def matching_factor(a: _Scores, b: _Scores, match: str) -> _Scores:
    """The factor [items, 1] that gives a + b the mean or the larger norm of a and b."""
    norm_a, norm_b, norm = (np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b, a + b))
    wanted = (norm_a + norm_b) / 2 if match == "mean" else np.maximum(norm_a, norm_b)
    return np.asarray(np.divide(wanted, norm, out=np.zeros_like(wanted), where=norm > 0))
