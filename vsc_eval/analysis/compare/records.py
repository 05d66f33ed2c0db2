"""compare.json: every figure of a comparison. A and B are the two runs as they were named; differences are B less A."""

from typing import Literal

from vsc_eval.analysis.groups import Scope
from vsc_eval.analysis.rows import Row
from vsc_eval.records import Record
from vsc_eval.stats import Drift, Figure, McNemar


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


class CompareRow(Row):
    """One condition of A beside one of B on one group of items: a row of B's answers against A's.

    `condition`, `accuracy` and `invalid_rate` are B's; `difference` is acc(B) - acc(A), paired; `drift` is of answers
    that are another in B than in A; of `mcnemar` the baseline is A and the condition B; `p_difference_adjusted` is over
    all cells of this pair of conditions, and only for cells. What is measured against a run's own baseline is None.
    """

    difference: Figure
    mcnemar: McNemar
    drift: Drift
    condition_a: str
    accuracy_a: Figure
    invalid_rate_a: float
    agreement: Figure
    """Share of items with the same parsed answer."""
    kappa: Figure
    """Cohen's kappa of the two runs' parsed answers, `invalid` counted as an answer."""
    upper_if_none: float | None
    """Where nothing changed: the share of clusters with a changed answer is below this with 95% confidence (exact
    binomial, clusters independent); None where something did."""
    options: OptionFigures | None


class EffectRow(Record):
    """What a condition does to run A and what it does to run B, each against its own baseline."""

    condition_a: str
    condition_b: str
    scope: Scope
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
    settings: tuple[SettingDifference, ...]
    pairs: tuple[ConditionPair, ...]
    rows: tuple[CompareRow, ...]
    effects: tuple[EffectRow, ...]
    seed: int

    def rows_of(self, pair: ConditionPair, scope: Scope | None = None) -> list[CompareRow]:
        """The rows of one pair of conditions, all or of one scope."""
        names = (pair.condition_a, pair.condition_b)
        return [row for row in self.rows if (row.condition_a, row.condition) == names and scope in (None, row.scope)]

    def whole(self, pair: ConditionPair) -> CompareRow:
        """The row of all items."""
        (row,) = self.rows_of(pair, "all")
        return row
