"""How often the verdict rule is wrong where nothing interferes, and how often it finds what was planted.

Studies are simulated and go through the statistics that a real study goes through, `analyse`. Four scenarios:

zero: the real sets' edits have strength zero; answers change by noise only;
permuted: the real sets are drawn as sets of permuted labels are, so nothing sets them apart from those controls;
stronger: the real sets do what those of permuted labels do, only more of it, so their unions do too;
planted: as permuted, but the union of one pair puts the right option last on a random share of the items.

Or, on a finished study's own answers: each draw of permuted labels in turn stands for the real sets, and the other
draws are its controls.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vsc_eval.analysis.controls import ControlKind, Pair
from vsc_eval.analysis.interactions import InteractionRow
from vsc_eval.analysis.verdict import ruling
from vsc_eval.answers.answer_table import AnswerTable
from vsc_eval.specs import BASELINE
from vsc_eval.stats import stream
from vsc_eval.studies.analysis import analyse
from vsc_eval.studies.calibration import Calibration, ScenarioKind, ScenarioResult, rate
from vsc_eval.studies.conditions import asked_condition, condition_name, control_name
from vsc_eval.studies.simulate import WORLDS, control_groups, simulate
from vsc_eval.studies.spec import StudySpec
from vsc_eval.synthetic import LEVELS

SIZES = (0.1, 0.15, 0.2, 0.25)
BOOTSTRAP_DRAWS = 1_000
PERMUTATIONS = 5_000
FLOOR_NOISE = 0.005
STRONGER = 1.5

_PERMUTED: ControlKind = "permuted_labels"


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
    simulated = simulate(
        spec,
        rng,
        world=WORLDS[world].model_copy(update={"noise": FLOOR_NOISE if kind == "zero" else 0.0}),
        planted={} if pair is None or size is None else {pair: size},
        real_strength={"zero": 0.0, "stronger": STRONGER}.get(kind, 1.0),
    )
    return judged(simulated.table, simulated.controls, spec, pair)


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
    """One study for each draw of permuted labels that has all sets and control pairs, on the control items.

    Of the other kinds of control the draw of the same number is left out too, so that all have equally many.
    """
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
    draws = [c.draw if c.draw is None or c.draw < left_out else c.draw - 1 for c in part.conditions]
    conditions = (replace(c, draw=draw) for c, draw in zip(part.conditions, draws, strict=True))
    return replace(part, conditions=tuple(conditions))


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
