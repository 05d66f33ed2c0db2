"""Two finished runs -> every figure of their comparison."""

from __future__ import annotations

from collections.abc import Sequence

from vsc_eval.analysis.compare.pairing import pair_items
from vsc_eval.analysis.compare.records import Comparison, ConditionPair, RunCard
from vsc_eval.analysis.compare.rows import Names, compare_rows, effect_rows
from vsc_eval.analysis.compare.run_files import FinishedRun
from vsc_eval.analysis.compare.settings import differing, floor_words
from vsc_eval.errors import SpecError, known_names
from vsc_eval.settings import StatisticsSpec


def compare_runs(
    a: FinishedRun,
    b: FinishedRun,
    *,
    condition_a: str | None = None,
    condition_b: str | None = None,
    common: bool = False,
    seed: int = 0,
) -> Comparison:
    """Compare `condition_a` of A with `condition_b` of B, or each condition of both with its namesake.

    `common` restricts to items of both runs. Raises SpecError, naming all reasons, where the runs do not compare.
    """
    tables, dropped = pair_items(a, b, common=common)
    names = _names(a, b, condition_a, condition_b)
    settings, statistics = differing(a, b), StatisticsSpec(seed=seed)
    return Comparison(
        a=_card(a),
        b=_card(b),
        n_items=len(tables.a.items),
        n_clusters=len(set(tables.a.clusters.tolist())),
        dropped=dropped,
        settings=settings,
        pairs=tuple(
            ConditionPair(condition_a=x, condition_b=y, floor=floor_words(a, x, b, y, settings)) for x, y in names
        ),
        rows=compare_rows(tables, names, statistics),
        effects=effect_rows(tables, names, statistics),
        seed=seed,
    )


def _names(a: FinishedRun, b: FinishedRun, condition_a: str | None, condition_b: str | None) -> list[Names]:
    """The pairs of conditions. Both runs have a baseline, so there always is one."""
    if (condition_a is None) != (condition_b is None):
        raise SpecError("One condition is named and the other is not.", hint="Name both, or neither.")
    if condition_a is not None and condition_b is not None:
        for run, label, condition in ((a, "A", condition_a), (b, "B", condition_b)):
            if condition not in run.table.names:
                raise SpecError(
                    f"{run.path} ({label}) has no condition '{condition}'.",
                    hint=known_names("conditions", condition, _head(run.table.names)),
                )
        return [(condition_a, condition_b)]
    return [(name, name) for name in a.table.names if name in b.table.names]


def _head(names: Sequence[str], most: int = 12) -> list[str]:
    """The first names; a study has hundreds."""
    return [*names[:most], *([f"and {len(names) - most} more"] if len(names) > most else [])]


def _card(run: FinishedRun) -> RunCard:
    model = run.settings.get("model")
    return RunCard(
        path=str(run.path),
        model=None if model is None else str(model),
        n_items=len(run.table.items),
        conditions=run.table.names,
    )
