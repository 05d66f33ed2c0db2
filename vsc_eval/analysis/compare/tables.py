"""The tables of a comparison, drawn in the terminal and written to compare.md."""

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console

from vsc_eval.analysis.compare.records import CompareRow, Comparison, ConditionPair, EffectRow
from vsc_eval.analysis.results import PARTS_NOTE, null_note, part_columns
from vsc_eval.analysis.rows import CELLS
from vsc_eval.tables import clean
from vsc_eval.tables.console import draw, say
from vsc_eval.tables.formats import to_markdown
from vsc_eval.tables.numbers import percent
from vsc_eval.tables.table import Column, Table, by_columns, cell, methods_note

_MOST_IN_FULL = 12
"""Pairs of conditions up to which compare.md has a table of cells for every one; compare.json has all."""

_KAPPA = Column("κ", "κ", "decimal", digits=2)
_LARGEST = ("max |Δ|", "significant")


def all_tables(found: Comparison, *, in_full: int) -> list[Table]:
    """Every table that says something, in the order they are shown; with cells for the first so many pairs."""
    wholes = {_both(pair): found.whole(pair) for pair in found.pairs}
    tables = (
        accuracy_table(wholes),
        change_table(found, wholes),
        option_table(wholes),
        effect_table(found),
        *(group_table(found, pair) for pair in found.pairs[:in_full]),
    )
    return [settings_table(found), *(shown for shown in tables if shown.rows)]


def print_comparison(found: Comparison, console: Console) -> None:
    """Draw the tables in the terminal, the cells of the first pair of conditions among them."""
    for shown in all_tables(found, in_full=1):
        draw(shown, console)
    if len(found.pairs) > 1:
        say("Of the other conditions: --condition shows the cells, --out writes everything.", console)


def markdown(found: Comparison) -> str:
    """compare.md."""
    head = f"# {clean.markdown(found.a.path)} (A) and {clean.markdown(found.b.path)} (B)\n"
    return "\n".join([head, *map(to_markdown, all_tables(found, in_full=_MOST_IN_FULL))])


def settings_table(found: Comparison) -> Table:
    """What differs beside the answers, and what was compared."""
    return by_columns(
        "settings",
        "What differs",
        ("setting", [row.name for row in found.settings]),
        (f"A: {found.a.path}", [row.a or None for row in found.settings]),
        (f"B: {found.b.path}", [row.b or None for row in found.settings]),
        notes=_settings_notes(found),
    )


def _settings_notes(found: Comparison) -> Iterator[str]:
    yield f"{found.n_items} items in {found.n_clusters} clusters, with the same prompts, pictures and right answers."
    if not found.settings:
        yield "Nothing that the folders tell differs."
    if dropped := found.dropped:
        more = ", ..." if dropped.n_only_a + dropped.n_only_b > 3 else ""
        yield (
            f"Left out: {dropped.n_only_a} items of A only and {dropped.n_only_b} of B only "
            f"({', '.join(dropped.examples)}{more})."
        )
    for run, other, name in ((found.a, found.b, "A"), (found.b, found.a, "B")):
        own = [condition for condition in run.conditions if condition not in other.conditions]
        if own:
            yield f"Conditions of {name} only: {len(own)} ({', '.join(own[:3])}{', ...' if len(own) > 3 else ''})."


def accuracy_table(wholes: dict[str, CompareRow]) -> Table:
    """Per pair of conditions: both accuracies, their difference, agreement."""
    rows = wholes.values()
    sizes = dict.fromkeys(f"{row.n} in {row.n_clusters} clusters" for row in rows)
    return by_columns(
        "accuracy",
        "Accuracy and agreement",
        ("condition", "name", wholes),
        ("A % [95% CI]", "percent", [row.accuracy_a for row in rows]),
        ("B % [95% CI]", "percent", [row.accuracy for row in rows]),
        ("B − A [95% CI]", "points", [row.difference for row in rows]),
        ("p", "p", [row.p_difference for row in rows]),
        ("agree % [95% CI]", "percent", [row.agreement for row in rows]),
        (_KAPPA, [row.kappa.value for row in rows]),
        notes=[
            # Of the pairs; they differ where conditions were asked of other items.
            f"n = {', '.join(sizes)}. B − A: percentage points, paired by item. "
            f"{methods_note(row.difference.method for row in rows)} p: "
            "sign-flip test, whole clusters flipped, not adjusted for the number of conditions. agree: share of items "
            "with the same parsed answer; κ: Cohen's kappa.",
            null_note(wholes),
        ],
    )


def change_table(found: Comparison, wholes: dict[str, CompareRow]) -> Table:
    """Per pair: changed answers with their parts, McNemar's cells, invalid answers, and noise floors in words."""
    rows = wholes.values()
    floors = _named((pair.floor, name) for pair, name in zip(found.pairs, wholes, strict=True))
    unchanged = _named(
        (f"{percent(row.upper_if_none)}% of clusters ({row.n} items in {row.n_clusters} clusters)", name)
        for name, row in wholes.items()
        if row.upper_if_none is not None
    )
    return by_columns(
        "changes",
        "Drift from A to B",
        ("condition", "name", wholes),
        ("drift % [95% CI]", "percent", [row.drift.share for row in rows]),
        *part_columns([row.drift for row in rows]),
        (
            Column("inv_a_b", "inv % A / B", right=True),
            [f"{percent(row.invalid_rate_a)} / {percent(row.invalid_rate)}" for row in rows],
        ),
        (
            Column("mcnemar_cells", "McNemar cells", right=True),
            ["/".join(str(getattr(row.mcnemar, name)) for name in CELLS) for row in rows],
        ),
        ("p", "p", [cell(row.mcnemar.p_value, missing=row.mcnemar.reason or "") for row in rows]),
        notes=[
            "drift: share of items with another parsed answer in B than in A; its parts in items. "
            f"{PARTS_NOTE} McNemar cells: both right / only A / only B / both wrong; exact, two-sided, items taken as "
            "independent.",
            *(f"{', '.join(names)}: {words}" for words, names in floors.items()),
            *(
                f"No answer changed: {', '.join(names)}. "
                f"With 95% confidence a change would be seen in fewer than {words}."
                for words, names in unchanged.items()
            ),
        ],
    )


def option_table(wholes: dict[str, CompareRow]) -> Table:
    """Per pair: how far the option letters' log-probabilities lie apart, where it has any."""
    known = {name: row.options for name, row in wholes.items() if row.options}
    one_sided = [f"{name} {options.n_one_sided}" for name, options in known.items() if options.n_one_sided]
    return by_columns(
        "options",
        "Log-probabilities of the options",
        ("condition", "name", known),
        ("n", "count", [each.n_items for each in known.values()]),
        ("mean |Δ| [95% CI]", "significant", [each.mean_abs_difference for each in known.values()]),
        (*_LARGEST, [each.max_abs_difference for each in known.values()]),
        (Column("on_item", "on item", limit=60), [each.max_item for each in known.values()]),
        ("KL [95% CI]", "significant", [each.kl for each in known.values()]),
        notes=[
            "At the first answer token, in nats. |Δ|: absolute difference of an option letter's log-probability; mean "
            "over items of the mean over options. KL(A || B) over the letters, renormalised, mean over items.",
            f"Left out, an option having probability 0 in one run only (items): {', '.join(one_sided)}."
            if one_sided
            else None,
        ],
    )


def effect_table(found: Comparison) -> Table:
    """Per condition of both beside the baselines: what it does to A, what it does to B."""
    rows = [row for row in found.effects if row.scope == "all"]
    nulls = [
        f"{_both(row)} {100 * row.detectable_difference:.1f}"
        for row in rows
        if row.detectable_difference is not None and row.effect_difference.holds_zero
    ]
    method = methods_note(row.effect_difference.method for row in rows)
    return by_columns(
        "effects",
        "Effects of the conditions, each against its own run's baseline",
        ("condition", "name", map(_both, rows)),
        ("d A", "points", [row.effect_a.value for row in rows]),
        ("d B", "points", [row.effect_b.value for row in rows]),
        ("d B − d A [95% CI]", "points", [row.effect_difference for row in rows]),
        ("drift A %", "percent", [row.drift_a.value for row in rows]),
        ("drift B %", "percent", [row.drift_b.value for row in rows]),
        ("drift B − A [95% CI]", "points", [row.drift_difference for row in rows]),
        notes=[
            "d: accuracy less the baseline's, percentage points; drift: share of answers that the condition changed. "
            f"Differences of B and A are paired by item, not adjusted for the number of conditions. {method}",
            f"No difference of effects shown; power 0.8 from (points): {', '.join(nulls)}." if nulls else None,
        ],
    )


def group_table(found: Comparison, pair: ConditionPair) -> Table:
    """One pair of conditions by task, level and cell."""
    rows = [row for scope in ("task", "level", "cell") for row in found.rows_of(pair) if row.scope == scope]
    n_tests = sum(row.scope == "cell" and row.p_difference is not None for row in rows)
    largest: list[Any] = [(*_LARGEST, [row.options and row.options.max_abs_difference for row in rows])]
    return by_columns(
        "groups",
        f"{_both(pair)} by task, level and cell",
        ("items", "name", [" ".join(filter(None, (row.task, row.level))) for row in rows]),
        ("n", "count", [row.n for row in rows]),
        ("A %", "percent", [row.accuracy_a.value for row in rows]),
        ("B %", "percent", [row.accuracy.value for row in rows]),
        ("B − A [95% CI]", "points", [row.difference for row in rows]),
        ("p", "p", [row.p_difference for row in rows]),
        ("p Holm", "p", [row.p_difference_adjusted for row in rows]),
        ("agree %", "percent", [row.agreement.value for row in rows]),
        (_KAPPA, [row.kappa.value for row in rows]),
        *(largest if any(row.options for row in rows) else ()),
        notes=[f"p: sign-flip test, whole clusters flipped; p Holm: adjusted over the {n_tests} cells of this table."],
    )


def _both(of: ConditionPair | EffectRow) -> str:
    return of.condition_a if of.condition_a == of.condition_b else f"{of.condition_a} → {of.condition_b}"


def _named(said: Iterable[tuple[str | None, str]]) -> dict[str, list[str]]:
    """Words -> the pairs that they are said of."""
    notes: dict[str, list[str]] = {}
    for words, name in said:
        if words:
            notes.setdefault(words, []).append(name)
    return notes
