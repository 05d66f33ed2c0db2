"""compare.json: every figure of a comparison. A and B are the two runs as they were named; differences are B less A."""

from __future__ import annotations

from typing import Literal

from vsc_eval.analysis.results import Figure
from vsc_eval.records import Record

CompareScope = Literal["cell", "task", "level", "all"]


class RunCard(Record):
    path: str
    model: str | None
    n_items: int
    conditions: tuple[str, ...]


class SettingDifference(Record):
    """One setting, version or hash that is not the same; None where a run does not say."""

    name: str
    a: str | None
    b: str | None


class Dropped(Record):
    """What `--common` left out: items of one run only."""

    n_only_a: int
    n_only_b: int
    examples: tuple[str, ...]


class McNemarAB(Record):
    """Exact McNemar; `p_value` is None where no item is right in one of the two only."""

    both_right: int
    only_a_right: int
    only_b_right: int
    both_wrong: int
    p_value: float | None
    reason: str | None
    method: str


class ChangeFigures(Record):
    """Answers that are another in B than in A; the five counts add up to `n_changed`."""

    share: Figure
    n_changed: int
    right_to_wrong: int
    wrong_to_right: int
    wrong_to_other: int
    to_invalid: int
    from_invalid: int
    upper_if_none: float | None
    """Where nothing changed: the share of clusters with a changed answer is below this with 95% confidence (exact
    binomial, clusters independent); None where something did."""


class OptionFigures(Record):
    """Log-probabilities of the option letters at the first answer token, on the items where both runs have them."""

    n_items: int
    mean_abs_difference: Figure
    """Nats; mean over items of the mean over options."""
    max_abs_difference: float | None
    max_item: str | None
    """The item with the largest difference."""
    n_one_sided: int
    """Items with an option that has probability 0 in one run only; they have no finite difference."""
    kl: Figure
    """KL(A || B) over the option letters, renormalised; nats."""


class CompareRow(Record):
    """One condition of A beside one of B on one group of items."""

    condition_a: str
    condition_b: str
    scope: CompareScope
    task: str | None
    level: str | None
    n: int
    n_clusters: int
    accuracy_a: Figure
    accuracy_b: Figure
    invalid_a: float
    invalid_b: float
    difference: Figure
    """acc(B) - acc(A), paired."""
    p_difference: float | None
    """Sign-flip test of `difference`, two-sided, whole clusters flipped; not adjusted."""
    p_holm: float | None
    """The same adjusted over all cells of this pair of conditions; only for cells."""
    mcnemar: McNemarAB
    detectable_difference: float | None
    """Smallest true difference found with power 0.8 at level 0.05; None where it cannot be told."""
    agreement: Figure
    """Share of items with the same parsed answer."""
    change: ChangeFigures
    kappa: Figure
    """Cohen's kappa of the two runs' parsed answers, `invalid` counted as an answer."""
    options: OptionFigures | None


class EffectRow(Record):
    """What a condition does to run A and what it does to run B, each against its own baseline."""

    condition_a: str
    condition_b: str
    scope: CompareScope
    task: str | None
    level: str | None
    n: int
    n_clusters: int
    effect_a: Figure
    """acc(condition) - acc(baseline) in A."""
    effect_b: Figure
    effect_difference: Figure
    """Difference in differences: effect_b - effect_a."""
    detectable_difference: float | None
    """Of the difference in differences."""
    drift_a: Figure
    """Share of answers that the condition changed in A."""
    drift_b: Figure
    drift_difference: Figure


class ConditionPair(Record):
    condition_a: str
    condition_b: str
    floor: str | None
    """Set where both are the same model under the same condition: in words, what the changed answers then are."""


class Comparison(Record):
    """The whole of compare.json."""

    schema_version: Literal[1] = 1
    a: RunCard
    b: RunCard
    n_items: int
    n_clusters: int
    dropped: Dropped | None
    partial_conditions: tuple[str, ...]
    """Conditions of both that were asked of a part of the items only, and are compared when they are named."""
    settings: tuple[SettingDifference, ...]
    pairs: tuple[ConditionPair, ...]
    rows: tuple[CompareRow, ...]
    effects: tuple[EffectRow, ...]
    seed: int

    def rows_of(self, pair: ConditionPair, scope: CompareScope | None = None) -> list[CompareRow]:
        """The rows of one pair of conditions, all or of one scope."""
        names = (pair.condition_a, pair.condition_b)
        return [row for row in self.rows if (row.condition_a, row.condition_b) == names and scope in (None, row.scope)]

    def whole(self, pair: ConditionPair) -> CompareRow:
        """The row of all items."""
        (row,) = self.rows_of(pair, "all")
        return row
