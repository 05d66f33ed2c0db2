"""How often the verdict rule is wrong where nothing interferes, and how often it finds what was planted.

Studies are simulated and go through the statistics that a real study goes through, `analyse`. Four scenarios:

zero: the real sets' edits have strength zero; answers change by noise only;
permuted: the real sets are drawn as sets of permuted labels are, so nothing sets them apart from those controls;
stronger: the real sets do what those of permuted labels do, only more of it, so their combined edits do too;
planted: as permuted, but the combined edit of one pair puts the right option last on a random share of the items.

Or, on a finished study's own answers: each draw of permuted labels in turn stands for the real sets, and the other
draws are its controls.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, Literal

import numpy as np

from vsc_eval.analysis.controls import ControlKind, Pair
from vsc_eval.analysis.interactions import InteractionRow
from vsc_eval.analysis.verdict import ruling
from vsc_eval.answers.answer_table import AnswerTable
from vsc_eval.records import Record
from vsc_eval.specs import BASELINE
from vsc_eval.stats import stream, wilson_interval
from vsc_eval.studies.analysis import analyse
from vsc_eval.studies.conditions import asked_condition, condition_name, control_name
from vsc_eval.studies.simulate import WORLDS, control_groups, simulate
from vsc_eval.studies.spec import StudySpec
from vsc_eval.synthetic import LEVELS
from vsc_eval.tables.numbers import interval, percent
from vsc_eval.tables.table import Column, Table, by_columns

SIZES = (0.1, 0.15, 0.2, 0.25)
BOOTSTRAP_DRAWS = 1_000
PERMUTATIONS = 5_000
FLOOR_NOISE = 0.005
STRONGER = 1.5

_PERMUTED: ControlKind = "permuted_labels"

# The bars.
MOST_FALSE = 0.05
LEAST_POWER = 0.9

ScenarioKind = Literal["zero", "permuted", "stronger", "planted"]


class Rate(Record):
    """A share of independent studies with its Wilson interval."""

    count: int
    n: int
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return interval(self.value, self.low, self.high, percent)


def rate(happened: Sequence[bool]) -> Rate:
    """With Wilson's interval at 95%: the studies are independent."""
    found = wilson_interval(sum(happened), len(happened))
    return Rate.model_validate(
        {"count": sum(happened), "n": len(happened), "value": found.value, "low": found.low, "high": found.high}
    )


class ScenarioResult(Record):
    """What the rule said in repeated studies of one kind."""

    scenario: ScenarioKind
    world: str
    planted: float | None
    """Share of items that the planted combined edit puts wrong."""
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
    def innocent(self) -> list[ScenarioResult]:
        """Those without interference."""
        return [s for s in self.scenarios if s.scenario != "planted"]

    @property
    def calibrated(self) -> bool:
        """Whether no scenario without interference has more false verdicts a study than the bar allows."""
        return all(s.false_per_study.value <= MOST_FALSE for s in self.innocent)

    @property
    def powerful_from(self) -> float | None:
        """Smallest planted share from which on every one tried is found as often as the bar asks; None: not even the
        largest."""
        found = {s.planted: s.found.value for s in self.scenarios if s.planted is not None and s.found is not None}
        enough = list(takewhile(lambda size: found[size] >= LEAST_POWER, sorted(found, reverse=True)))
        return enough[-1] if enough else None


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
    # Their number hardly moves a rate over many studies.
    fewer = {
        "draws": min(spec.statistics.draws, BOOTSTRAP_DRAWS),
        "permutations": min(spec.statistics.permutations, PERMUTATIONS),
    }
    quick = _with(spec, sweep={"edits": (spec.verdict.edit,)}, statistics=fewer)
    scenarios: list[tuple[ScenarioKind, str, float | None]] = [
        ("zero", "saturating", None),
        *(("permuted", world, None) for world in WORLDS),
        # Where effects saturate, stronger ones have a smaller interaction: nothing could be taken for interference.
        ("stronger", "threshold", None),
        # Where effects saturate, planted interference is the harder to see.
        *(("planted", "saturating", size) for size in sizes),
    ]
    results, cells = [], len(spec.tasks) * len(LEVELS)
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
        n_items=cells * spec.sweep.items_per_cell,
        n_control_items=cells * spec.controls.items_per_cell,
        n_pairs=len(spec.pairs),
        control_draws=spec.controls.draws,
        bootstrap_draws=quick.statistics.draws,
        permutations=quick.statistics.permutations,
        scenarios=tuple(results),
    )


def _simulated(
    spec: StudySpec, kind: ScenarioKind, world: str, size: float | None, seed: int, repetition: int
) -> JudgedStudy:
    # Planted studies of all sizes are the permuted ones with a pair changed: sizes are compared on the same studies.
    drawn_as = "permuted" if kind == "planted" else kind
    rng = stream(seed, "calibrate", drawn_as, world, str(repetition))
    pair = None if size is None else spec.control_pairs[int(rng.integers(len(spec.control_pairs)))]
    table, controls = simulate(
        spec,
        rng,
        world=WORLDS[world].model_copy(update={"noise": FLOOR_NOISE if kind == "zero" else 0.0}),
        planted={} if pair is None or size is None else {pair: size},
        real_strength={"zero": 0.0, "stronger": STRONGER}.get(kind, 1.0),
    )
    return judged(table, controls, spec, pair)


def judged(
    table: AnswerTable, controls: AnswerTable | None, spec: StudySpec, planted: Pair | None = None
) -> JudgedStudy:
    """A study through its statistics, where only the `planted` pair interferes. Norm-matched pairs count as pairs."""
    rows, tests = analyse(table, controls, spec)
    ruled = [row for row in rows if row.edit == spec.verdict.edit]
    innocent = [row for row in ruled if row.parts != planted]
    lenient, level = spec.verdict.model_copy(update={"control_kinds": ()}), spec.statistics.level
    permuted = [test.p_family for test in tests if test.kind == _PERMUTED and test.sets != planted]
    return JudgedStudy(
        n_false=sum(row.verdict == "interference" for row in innocent),
        n_innocent=len(innocent),
        false_by_sign_flip=any(
            ruling(row, lenient, {}, level=level).verdict == "interference" for row in innocent if row.form == "raw"
        ),
        false_by_permuted=any(p is not None and p <= spec.verdict.control_alpha for p in permuted),
        planted=next((row for row in ruled if row.parts == planted and row.form == "raw"), None),
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


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None


def left_out_draws(controls: AnswerTable, spec: StudySpec) -> Iterator[JudgedStudy]:
    """One study for each draw of permuted labels that has all sets and control pairs, on the control items. Of the
    other kinds of control the draw of the same number is left out too, so that all have equally many."""
    edit, n_draws = spec.verdict.edit, spec.controls.draws
    # One draw less, the verdict's edit alone, and the pairs that the draws have.
    sweep = {"edits": (edit,), "norm_match": None, "pairs": spec.controls.pairs}
    reduced = _with(spec, sweep=sweep, controls={"draws": n_draws - 1})
    for left_out in range(n_draws):
        groups = control_groups(spec)
        real = {control_name(sets, _PERMUTED, left_out, edit): condition_name(sets, edit) for sets in groups}
        if all(name in controls.main.rows for name in real):
            yield judged(_as_real(controls, real), _without(controls, left_out), reduced)


def _without(controls: AnswerTable, left_out: int) -> AnswerTable:
    """The other draws, numbered without a gap."""
    part = controls.under([c.name for c in controls.conditions if c.draw != left_out])
    later = (c if c.draw is None or c.draw < left_out else replace(c, draw=c.draw - 1) for c in part.conditions)
    return replace(part, conditions=tuple(later))


def _as_real(controls: AnswerTable, real: Mapping[str, str]) -> AnswerTable:
    """Answers of control conditions as those of the real ones; `real` has the names of these."""
    part = controls.under([BASELINE, *real])
    specs = [c.spec.model_copy(update={"name": real[c.name], "sets": c.targets}) for c in part.conditions[1:]]
    conditions = (part.conditions[0], *map(asked_condition, specs))
    return replace(part, conditions=conditions, main=replace(part.main, names=(BASELINE, *real.values())))


def _with(spec: StudySpec, **parts: Mapping[str, Any]) -> StudySpec:
    """The spec with other options in some of its parts."""
    return spec.model_copy(
        update={name: getattr(spec, name).model_copy(update=options) for name, options in parts.items()}
    )


def false_table(found: Calibration, spec: StudySpec) -> Table:
    """Verdicts where nothing interferes."""
    innocent = found.innocent
    return by_columns(
        "false",
        f"False verdicts in {found.repetitions} simulated studies of each kind",
        ("studies", "text", [f"{s.scenario}, {s.world}" for s in innocent]),
        ("a study % [95% CI]", "percent", [s.false_per_study for s in innocent]),
        (Column("a_pair", "a pair %", "percent", digits=2), [s.false_per_pair for s in innocent]),
        ("no controls %", "percent", [s.by_sign_flip.value for s in innocent]),
        ("permuted only %", "percent", [s.by_permuted.value for s in innocent]),
        notes=[
            f"n = {found.n_items} items, {found.n_control_items} of them with controls; {found.n_pairs} pairs; "
            f"{found.control_draws} draws of {', '.join(spec.controls.kinds)}; {found.bootstrap_draws} bootstraps, "
            f"{found.permutations} sign flips; seed {found.seed}. Intervals: Wilson, studies independent.",
            "no controls: studies with a false verdict if effect and sign-flip test alone decided; permuted only: if "
            "the comparison with permuted labels did.",
        ],
    )


def power_table(found: Calibration) -> Table:
    """Verdicts of the planted pair."""
    planted = [s for s in found.scenarios if s.planted is not None]
    return by_columns(
        "power",
        "Planted interference of one pair",
        (Column("items_hit", "items hit %", right=True), [f"{100 * (s.planted or 0):g}" for s in planted]),
        ("found % [95% CI]", "percent", [s.found for s in planted]),
        ("denied %", "percent", [s.denied.value if s.denied else None for s in planted]),
        ("drift interaction", "points", [s.drift_interaction for s in planted]),
        ("accuracy interaction", "points", [s.accuracy_interaction for s in planted]),
        notes=[
            "On the items hit the combined edit puts the right option last. found: the rule says interference; "
            "denied: it says none. Interactions: of the planted pair in points, mean over studies."
        ],
    )


def bar_lines(found: Calibration) -> Iterator[str]:
    """Whether the bars are met."""
    most = max(s.false_per_study.value for s in found.innocent)
    yield (
        f"False verdicts: at most {100 * most:.1f}% of studies without interference; bar {100 * MOST_FALSE:g}%: "
        f"{'met' if found.calibrated else 'MISSED'}."
    )
    size, bar = found.powerful_from, f"bar {100 * LEAST_POWER:g}%"
    if size is None:
        yield f"Power: no planted size is found as often as it should be; {bar}: MISSED."
        return
    first = next(s for s in found.scenarios if s.planted == size)
    assert first.accuracy_interaction is not None
    yield (
        f"Power: interference on {100 * size:g}% of items (accuracy interaction "
        f"{100 * first.accuracy_interaction:+.1f} points) is found in {first.found} of studies; {bar}: met from that "
        "size on."
    )
