"""Answer tables of a study that was never run: what its statistics are tried on.

Each item has latent scores of its options, the right one ahead by a margin that items of an orbit share in part. A
feature set moves the scores of every item at random, more on some tasks than on others; a combined edit moves them by
the sum. The answer is the option with the largest score. An answer changes only where a margin is crossed, so drift and
accuracy of combined edits are not the sums of their parts even where nothing interferes, for the real sets and the
controls alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import compress, product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vsc_eval.analysis.controls import ControlKind, Pair
from vsc_eval.answers.answer_table import Answers, AnswerTable, AskedCondition, AskedItem, Codes, Mask
from vsc_eval.specs import BASELINE, ConditionSpec, EditSpec, Spec, parse_condition
from vsc_eval.studies.conditions import asked_condition, condition_name, control_name
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
    kind_strength: Mapping[ControlKind, float] = {"random_sets": 0.7, "random_directions": 0.5, "permuted_labels": 1.0}
    """Strength of a control's sets against the real ones; permuted sets are drawn as the real ones are."""
    noise: float = 0.0
    """Share of answers that differ from run to run though nothing was done."""


WORLDS: Mapping[str, World] = {
    "saturating": World(),
    "threshold": World(margin=6, margin_spread=0.8, strength=1.2, strength_spread=0.3),
}
"""saturating: answers near the edge change under either set, so two sets change fewer than each by itself.
threshold: hardly any answer is near the edge, so two sets cross it where neither alone did, and change more."""


class Simulated(NamedTuple):
    """Tables as a sweep and its controls give them."""

    table: AnswerTable
    controls: AnswerTable | None
    """The control draws on the control items, under the same baseline."""


class _Model:
    """One model on some items: everything random comes from its generator."""

    def __init__(
        self, items: Sequence[AskedItem], world: World, rng: np.random.Generator, scores: _Scores | None = None
    ) -> None:
        self.items, self.world, self.rng = items, world, rng
        self._gold = np.array([item.gold_index for item in items])
        self._task = np.unique([item.task for item in items], return_inverse=True)[1]
        self._orbit = np.unique([item.cluster for item in items], return_inverse=True)[1]
        self._n_orbits = int(self._orbit.max()) + 1
        if scores is None:
            lead = world.margin + world.margin_spread * self._noise(1)[:, 0]
            scores = self._noise()
            scores[np.arange(len(scores)), self._gold] += lead
        self.scores = scores

    def _noise(self, columns: int = _ORBIT) -> _Scores:
        """Standard normal [items, columns], in part common to an orbit."""
        share = self.world.orbit_share
        own = self.rng.standard_normal((len(self.items), columns), dtype=np.float32)
        common = self.rng.standard_normal((self._n_orbits, columns), dtype=np.float32)[self._orbit]
        return np.asarray(np.sqrt(share) * common + np.sqrt(1 - share) * own, dtype=np.float32)

    def only(self, mask: Mask) -> _Model:
        """The same model on some of its items."""
        return _Model(list(compress(self.items, mask)), self.world, self.rng, self.scores[mask])

    def effects(self, sets: Iterable[str], strength: float) -> dict[str, _Scores]:
        """What each set adds to the scores, [items, options]."""
        spread, found = self.world.strength_spread, {}
        for name in sets:
            of_set = self.rng.normal(0, spread)
            of_task = self.rng.normal(0, spread, size=int(self._task.max()) + 1)
            size = strength * self.world.strength * np.exp(of_set + of_task)
            found[name] = (size[self._task, None] * self._noise()).astype(np.float32)
        return found

    def hits(self, share: float, rng: np.random.Generator) -> Mask:
        """A random `share` of the items [items]; those of an orbit are hit together more often than by chance
        (intraclass correlation 1/3). A generator of its own leaves the rest of the study as it is without them."""
        of_orbit = rng.beta(2 * share, 2 * (1 - share), size=self._n_orbits)[self._orbit]
        return np.asarray(rng.random(len(of_orbit)) < of_orbit)

    def answers(self, effect: _Scores, hit: Mask | None = None) -> Codes:
        """[items]."""
        scores = self.scores + effect
        if hit is not None:
            scores[hit, self._gold[hit]] = -np.inf
        found = _best(scores)
        if self.world.noise:
            other = self.rng.random(len(found)) < self.world.noise
            found[other] = (found[other] + 1 + self.rng.integers(0, _ORBIT - 1, size=int(other.sum()))) % _ORBIT
        return found

    def table(self, baseline: Codes, answers: Sequence[tuple[AskedCondition, Codes]]) -> AnswerTable:
        """Of the conditions and what they answer [items]."""
        conditions = (AskedCondition(ConditionSpec(name=BASELINE)), *(condition for condition, _ in answers))
        codes = np.array([baseline, *(column for _, column in answers)], dtype=np.int32)
        main = Answers(
            names=tuple(condition.name for condition in conditions),
            vocabulary=LETTERS,
            read=codes,
            answer=codes,
            option_logprobs=np.zeros((*codes.shape, 0), dtype=np.float32),
        )
        return AnswerTable(tuple(self.items), conditions, main)


def _best(scores: _Scores) -> Codes:
    """The option with the largest score [items]."""
    return np.asarray(scores.argmax(axis=1), dtype=np.int32)


def study_items(spec: StudySpec) -> list[AskedItem]:
    """Task by task and level by level, in the study's sizes, in orbits of four with one right answer each."""
    found = []
    for place, (task, level, _) in enumerate(product(spec.tasks, LEVELS, range(spec.sweep.items_per_cell))):
        orbit, gold = f"{place // _ORBIT:05d}", place % _ORBIT
        item = AskedItem(item_id=f"{orbit}/{LETTERS[gold]}", task=task, cluster=orbit, gold=LETTERS[gold])
        found.append(replace(item, level=level, gold_index=gold, options=LETTERS))
    return found


def control_groups(spec: StudySpec) -> list[tuple[str, ...]]:
    """The sets of the control pairs, each alone, and the pairs."""
    singles = [(task,) for task in spec.tasks if any(task in pair for pair in spec.control_pairs)]
    return [*singles, *spec.control_pairs]


def simulate(
    spec: StudySpec,
    rng: np.random.Generator,
    *,
    world: World | None = None,
    planted: Mapping[Pair, float] | None = None,
    real_strength: float = 1.0,
) -> Simulated:
    """One study under the verdict's edit. `planted` interferes: on that random share of items the pair's combined edit
    alone puts the right option last. `real_strength` multiplies that of the real sets; 0: they do nothing."""
    model, of_hits = _Model(study_items(spec), world or World(), rng), rng.spawn(1)[0]
    edit, match = spec.verdict.edit, spec.sweep.norm_match
    real, baseline = model.effects(spec.tasks, real_strength), _best(model.scores)
    answers = [(_asked(condition_name((task,), edit)), model.answers(real[task])) for task in spec.tasks]
    hits = {pair: model.hits(share, of_hits) for pair, share in (planted or {}).items()}
    for pair in spec.pairs:
        a, b = (real[task] for task in pair)
        for matched in (None, match) if match else (None,):
            effect = (a + b) * matching_factor(a, b, matched) if matched else a + b
            answers.append((_asked(condition_name(pair, edit, matched)), model.answers(effect, hits.get(pair))))
    table = model.table(baseline, answers)
    if not spec.controls.draws:
        return Simulated(table, None)
    mask = np.arange(len(baseline)) % spec.sweep.items_per_cell < spec.controls.items_per_cell
    few, groups, answers = model.only(mask), control_groups(spec), []
    singles = [group[0] for group in groups if len(group) == 1]
    for kind, draw in product(spec.controls.kinds, range(spec.controls.draws)):
        sets = few.effects(singles, few.world.kind_strength[kind])
        for group in groups:
            condition = _asked(control_name(group, kind, draw, edit), kind, draw)
            answers.append((condition, few.answers(np.sum([sets[task] for task in group], axis=0))))
    return Simulated(table, few.table(baseline[mask], answers))


@lru_cache(maxsize=4096)
def _asked(name: str, kind: ControlKind | None = None, draw: int | None = None) -> AskedCondition:
    """Kept, since a calibration simulates the same conditions in every study."""
    # This edit stands for one that an expression leaves out; those of a study leave none out.
    return asked_condition(parse_condition(name, EditSpec(kind="ablate")), kind, draw)


def matching_factor(a: _Scores, b: _Scores, match: str) -> _Scores:
    """The factor [items, 1] that gives a + b the mean or the larger norm of a and b."""
    norm_a, norm_b, norm = (np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b, a + b))
    wanted = (norm_a + norm_b) / 2 if match == "mean" else np.maximum(norm_a, norm_b)
    return np.asarray(np.divide(wanted, norm, out=np.zeros_like(wanted), where=norm > 0))
