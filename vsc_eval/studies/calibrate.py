"""How often the verdict rule is wrong where nothing interferes, and how often it finds what was planted.

Studies are simulated and go through the statistics that a real study goes through, `analyse`. Four scenarios:

zero: the real sets' edits have strength zero; answers change by noise only;
permuted: the real sets are drawn as sets of permuted labels are, so nothing sets them apart from those controls;
stronger: the real sets do what those of permuted labels do, only more of it, so their unions do too;
planted: as permuted, but the union of one pair puts the right option last on a random share of the items.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vsc_eval.analysis.controls import Pair
from vsc_eval.analysis.interactions import InteractionRow
from vsc_eval.analysis.verdict import ruling
from vsc_eval.answers.answer_table import AnswerTable
from vsc_eval.records import Record
from vsc_eval.stats import stream, wilson_interval
from vsc_eval.studies.analysis import analyse
from vsc_eval.studies.simulate import WORLDS, Planted, simulate, study_items
from vsc_eval.studies.spec import StudySpec

MOST_FALSE = 0.05
LEAST_POWER = 0.9
SIZES = (0.1, 0.15, 0.2, 0.25)
BOOTSTRAP_DRAWS = 1_000
PERMUTATIONS = 5_000
FLOOR_NOISE = 0.005
STRONGER = 1.5

ScenarioKind = Literal["zero", "permuted", "stronger", "planted"]


class Rate(Record):
    """A share of independent studies with its Wilson interval."""

    count: int
    n: int
    value: float
    low: float
    high: float


class ScenarioResult(Record):
    """What the rule said in repeated studies of one kind."""

    scenario: ScenarioKind
    world: str
    planted: float | None
    """Share of items that the planted union puts wrong."""
    drift_interaction: float | None
    """Mean over studies, of the planted pair."""
    accuracy_interaction: float | None
    false_per_study: Rate
    """Studies in which a pair without interference was said to interfere."""
    false_per_pair: float
    """The same, of all such pairs; those of a study depend on each other, so there is no interval."""
    by_sign_flip: Rate
    """Studies with a false verdict if effect and sign-flip test alone decided."""
    by_permuted: Rate
    """The same of the comparison with permuted labels alone; exact for sets that are drawn as those are."""
    found: Rate | None
    """Studies in which the planted pair was said to interfere."""
    denied: Rate | None
    """Studies in which the planted pair was said not to."""


class Calibration(Record):
    """All scenarios of one set of sizes and one rule."""

    repetitions: int
    seed: int
    n_items: int
    n_control_items: int
    n_pairs: int
    control_draws: int
    bootstrap_draws: int
    permutations: int
    scenarios: tuple[ScenarioResult, ...]

    @property
    def calibrated(self) -> bool:
        """Whether no scenario without interference has more false verdicts a study than the bar allows."""
        return all(s.false_per_study.value <= MOST_FALSE for s in self.scenarios if s.scenario != "planted")

    @property
    def powerful_from(self) -> float | None:
        """Smallest planted share from which on every one tried is found as often as the bar asks; None: not even the
        largest."""
        enough = None
        planted = [s for s in self.scenarios if s.planted is not None and s.found is not None]
        for s in sorted(planted, key=lambda s: s.planted or 0, reverse=True):
            if s.found is None or s.found.value < LEAST_POWER:
                break
            enough = s.planted
        return enough


@dataclass(frozen=True)
class JudgedStudy:
    """What the rule said in one study."""

    n_false: int
    n_innocent: int
    """Pairs that do not interfere."""
    false_by_sign_flip: bool
    false_by_permuted: bool
    planted: InteractionRow | None


def calibrate(
    spec: StudySpec,
    *,
    repetitions: int = 200,
    sizes: Sequence[float] = SIZES,
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> Calibration:
    """Runs every scenario `repetitions` times in the sizes and under the rule of `spec`. Only the verdict's edit is
    simulated, with fewer bootstrap draws and permutations than a study makes. `progress` is told of
    (scenario, done, total) after each study."""
    quick = _quick(spec)
    scenarios: list[tuple[ScenarioKind, str, float | None]] = [("zero", "saturating", None)]
    scenarios += [("permuted", world, None) for world in WORLDS]
    # Where effects saturate, stronger ones have a smaller interaction: nothing could be taken for interference.
    scenarios += [("stronger", "threshold", None)]
    # Where effects saturate, planted interference is the harder to see.
    scenarios += [("planted", "saturating", size) for size in sizes]
    items, results = study_items(spec), []
    for kind, world, size in scenarios:
        studies = []
        for repetition in range(repetitions):
            studies.append(_simulated(quick, kind, world, size, seed, repetition))
            if progress:
                progress(f"{kind} {world}" if size is None else f"{kind} {size:g}", repetition + 1, repetitions)
        results.append(summarise(kind, world, size, studies))
    return Calibration(
        repetitions=repetitions,
        seed=seed,
        n_items=len(items.gold),
        n_control_items=int(items.in_controls.sum()),
        n_pairs=len(spec.pairs),
        control_draws=spec.controls.draws,
        bootstrap_draws=quick.statistics.draws,
        permutations=quick.statistics.permutations,
        scenarios=tuple(results),
    )


def summarise(kind: ScenarioKind, world: str, size: float | None, studies: Sequence[JudgedStudy]) -> ScenarioResult:
    """The rates of repeated studies."""
    planted = [study.planted for study in studies if study.planted is not None]
    verdicts = [row.verdict for row in planted]
    return ScenarioResult(
        scenario=kind,
        world=world,
        planted=size,
        drift_interaction=_mean([row.drift_interaction.value for row in planted]),
        accuracy_interaction=_mean([row.accuracy_interaction.value for row in planted]),
        false_per_study=rate([study.n_false > 0 for study in studies]),
        false_per_pair=sum(study.n_false for study in studies) / sum(study.n_innocent for study in studies),
        by_sign_flip=rate([study.false_by_sign_flip for study in studies]),
        by_permuted=rate([study.false_by_permuted for study in studies]),
        found=rate([verdict == "interference" for verdict in verdicts]) if planted else None,
        denied=rate([verdict == "none" for verdict in verdicts]) if planted else None,
    )


def rate(happened: Sequence[bool]) -> Rate:
    """With Wilson's interval at 95%: the studies are independent."""
    found = wilson_interval(sum(happened), len(happened))
    value, low, high = (_known(figure) for figure in (found.value, found.low, found.high))
    return Rate(count=sum(happened), n=len(happened), value=value, low=low, high=high)


def judged(
    table: AnswerTable, controls: AnswerTable | None, spec: StudySpec, planted: Pair | None = None
) -> JudgedStudy:
    """A study through its statistics, where only the `planted` pair interferes. Norm-matched pairs count as pairs."""
    rows, tests = analyse(table, controls, spec)
    ruled = [row for row in rows if row.edit == spec.verdict.edit]
    innocent = [row for row in ruled if row.parts != planted]
    lenient, level = spec.verdict.model_copy(update={"control_kinds": ()}), spec.statistics.level
    permuted = [test for test in tests if test.kind == "permuted_labels" and test.sets != planted]
    return JudgedStudy(
        n_false=sum(row.verdict == "interference" for row in innocent),
        n_innocent=len(innocent),
        false_by_sign_flip=any(
            ruling(row, lenient, {}, level=level).verdict == "interference" for row in innocent if row.form == "raw"
        ),
        false_by_permuted=any(
            test.p_family is not None and test.p_family <= spec.verdict.control_alpha for test in permuted
        ),
        planted=next((row for row in ruled if row.parts == planted and row.form == "raw"), None),
    )


def _simulated(
    spec: StudySpec, kind: ScenarioKind, world: str, size: float | None, seed: int, repetition: int
) -> JudgedStudy:
    # Planted studies of all sizes are the permuted ones with a pair changed: sizes are compared on the same studies.
    names = (kind if kind in ("zero", "stronger") else "permuted", world)
    rng = stream(seed, "calibrate", *names, str(repetition))
    if kind == "zero":
        noisy = WORLDS[world].model_copy(update={"noise": FLOOR_NOISE})
        simulated = simulate(spec, rng, world=noisy, real_strength=0)
        return judged(simulated.table, simulated.controls, spec)
    pair = None if size is None else spec.control_pairs[int(rng.integers(len(spec.control_pairs)))]
    planted = () if pair is None or size is None else (Planted(pair, size),)
    strength = STRONGER if kind == "stronger" else 1.0
    simulated = simulate(spec, rng, world=WORLDS[world], planted=planted, real_strength=strength)
    return judged(simulated.table, simulated.controls, spec, pair)


def _quick(spec: StudySpec) -> StudySpec:
    """Only the verdict's edit, and fewer draws: their number hardly moves a rate over many studies."""
    options = spec.statistics
    fewer = {
        "draws": min(options.draws, BOOTSTRAP_DRAWS),
        "permutations": min(options.permutations, PERMUTATIONS),
    }
    return spec.model_copy(
        update={
            "sweep": spec.sweep.model_copy(update={"edits": (spec.verdict.edit,)}),
            "statistics": options.model_copy(update=fewer),
        }
    )


def _known(value: float | None) -> float:
    assert value is not None, "no studies"
    return value


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None
