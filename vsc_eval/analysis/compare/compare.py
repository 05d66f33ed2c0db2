"""Two finished runs -> every figure of their comparison."""

from __future__ import annotations

from collections.abc import Sequence

from vsc_eval.analysis.compare.pairing import check_asked_alike, pair_items
from vsc_eval.analysis.compare.records import Comparison, ConditionPair, RunCard
from vsc_eval.analysis.compare.rows import Names, compare_rows, effect_rows
from vsc_eval.analysis.compare.run_files import FinishedRun
from vsc_eval.analysis.compare.settings import differing, floor_words
from vsc_eval.errors import SpecError, known_names


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
    items, dropped = pair_items(a, b, common=common)
    names, partial = _names(a, b, condition_a, condition_b)
    for pair in names:
        check_asked_alike(a, b, items, *pair, common=common)
    settings = differing(a, b)
    return Comparison(
        a=_card(a),
        b=_card(b),
        n_items=len(items),
        n_clusters=len(set(items.clusters.tolist())),
        dropped=dropped,
        partial_conditions=tuple(partial),
        settings=settings,
        pairs=tuple(
            ConditionPair(condition_a=x, condition_b=y, floor=floor_words(a, x, b, y, settings)) for x, y in names
        ),
        rows=tuple(compare_rows(items, names, seed)),
        effects=tuple(effect_rows(items, names, seed)),
        seed=seed,
    )


def _names(
    a: FinishedRun, b: FinishedRun, condition_a: str | None, condition_b: str | None
) -> tuple[list[Names], list[str]]:
    """The pairs of conditions, and those of both runs that are left out as they were asked of a part of the items."""
    if (condition_a is None) != (condition_b is None):
        raise SpecError("One condition is named and the other is not.", hint="Name both, or neither.")
    if condition_a is not None and condition_b is not None:
        for run, label, condition in ((a, "A", condition_a), (b, "B", condition_b)):
            if condition not in run.conditions:
                raise SpecError(
                    f"{run.path} ({label}) has no condition '{condition}'.",
                    hint=known_names("conditions", condition, _head(list(run.conditions))),
                )
        return [(condition_a, condition_b)], []
    both = [name for name in a.conditions if name in b.conditions]
    if not both:
        raise SpecError(
            f"{a.path} and {b.path} have no condition in common: A has {', '.join(_head(list(a.conditions)))}; "
            f"B has {', '.join(_head(list(b.conditions)))}.",
            hint="Name one of each with --condition-a and --condition-b.",
        )
    complete = [name for name in both if name in a.conditions_of_all and name in b.conditions_of_all]
    if not complete:
        raise SpecError(
            f"No condition of both was asked of all items: {', '.join(_head(both))}.",
            hint="Name one with --condition, and give --common if the items differ.",
        )
    return [(name, name) for name in complete], [name for name in both if name not in complete]


def _head(names: Sequence[str], most: int = 12) -> list[str]:
    """The first names; a study has hundreds."""
    return [*names[:most], *([f"and {len(names) - most} more"] if len(names) > most else [])]


def _card(run: FinishedRun) -> RunCard:
    model = run.settings.get("model")
    return RunCard(
        path=str(run.path),
        model=None if model is None else str(model),
        n_items=len(run.lines),
        conditions=tuple(run.conditions),
    )
