"""The result of a calibration: rates of verdicts in repeated studies, as records, tables and lines."""

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Literal

from vsc_eval.records import Record
from vsc_eval.stats import wilson_interval
from vsc_eval.studies.spec import StudySpec
from vsc_eval.tables.numbers import interval, percent
from vsc_eval.tables.table import Table, by_columns

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


def false_table(found: Calibration, spec: StudySpec) -> Table:
    """Verdicts where nothing interferes."""
    innocent = found.innocent
    return by_columns(
        "false",
        f"False verdicts in {found.repetitions} simulated studies of each kind",
        ("studies", "text", [f"{s.scenario}, {s.world}" for s in innocent]),
        ("a study % [95% CI]", "percent", [s.false_per_study for s in innocent]),
        ("a pair %", "percent", "", "", 40, 2, [s.false_per_pair for s in innocent]),
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
        ("items hit %", "text", "", "", 40, None, True, [f"{100 * (s.planted or 0):g}" for s in planted]),
        ("found % [95% CI]", "percent", [s.found for s in planted]),
        ("denied %", "percent", [s.denied.value if s.denied else None for s in planted]),
        ("drift interaction", "points", [s.drift_interaction for s in planted]),
        ("accuracy interaction", "points", [s.accuracy_interaction for s in planted]),
        notes=[
            "On the items hit the union puts the right option last. found: the rule says interference; denied: it says "
            "none. Interactions: of the planted pair in points, mean over studies."
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
