"""The tables of a comparison, drawn in the terminal and written to compare.md."""

from collections.abc import Iterable, Sequence

from rich.console import Console

from vsc_eval.analysis.compare.records import CompareRow, Comparison, ConditionPair, EffectRow
from vsc_eval.analysis.rows import CELLS
from vsc_eval.analysis.run_tables import PART_HEADS, PARTS_NOTE, null_note, part_counts
from vsc_eval.tables import clean
from vsc_eval.tables.console import draw, say
from vsc_eval.tables.markdown import to_markdown
from vsc_eval.tables.numbers import percent
from vsc_eval.tables.table import Table, cell, columns, methods_note, table

_MOST_IN_FULL = 12
"""Pairs of conditions up to which compare.md has a table of cells for every one; compare.json has all."""

_CONDITION = ("condition", "name")
_KAPPA = ("κ", "decimal", "", "", 40, 2)
_LARGEST = ("max |Δ|", "significant")


def all_tables(found: Comparison, *, in_full: int) -> list[Table]:
    """Every table that says something, in the order they are shown; with cells for the first so many pairs."""
    tables = (
        accuracy_table(found),
        change_table(found),
        option_table(found),
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
    rows = [(row.name, row.a or None, row.b or None) for row in found.settings]
    heads = columns("setting", f"A: {found.a.path}", f"B: {found.b.path}")
    return table("settings", "What differs", heads, rows, _settings_notes(found))


def _settings_notes(found: Comparison) -> Iterable[str]:
    yield f"{found.n_items} items in {found.n_clusters} clusters, with the same prompts, pictures and right answers."
    if not found.settings:
        yield "Nothing that the folders tell differs."
    if found.dropped:
        dropped = found.dropped
        more = ", ..." if dropped.n_only_a + dropped.n_only_b > 3 else ""
        yield (
            f"Left out: {dropped.n_only_a} items of A only and {dropped.n_only_b} of B only "
            f"({', '.join(dropped.examples)}{more})."
        )
    for run, other, name in ((found.a, found.b, "A"), (found.b, found.a, "B")):
        own = [condition for condition in run.conditions if condition not in other.conditions]
        if own:
            yield f"Conditions of {name} only: {len(own)} ({_first(own)})."


def accuracy_table(found: Comparison) -> Table:
    """Per pair of conditions: both accuracies, their difference, agreement."""
    rows = _wholes(found)
    sizes = dict.fromkeys(f"{row.n} in {row.n_clusters} clusters" for row in rows.values())
    return table(
        "accuracy",
        "Accuracy and agreement",
        columns(
            _CONDITION,
            ("A % [95% CI]", "percent"),
            ("B % [95% CI]", "percent"),
            ("B − A [95% CI]", "points"),
            ("p", "p"),
            ("agree % [95% CI]", "percent"),
            _KAPPA,
        ),
        [
            (name, row.accuracy_a, row.accuracy, row.difference, row.p_difference, row.agreement, row.kappa.value)
            for name, row in rows.items()
        ],
        [
            # Of the pairs; they differ where conditions were asked of other items.
            f"n = {', '.join(sizes)}. B − A: percentage points, paired by item. "
            f"{methods_note(row.difference.method for row in rows.values())} p: "
            "sign-flip test, whole clusters flipped, not adjusted for the number of conditions. agree: share of items "
            "with the same parsed answer; κ: Cohen's kappa.",
            null_note(rows),
        ],
    )


def change_table(found: Comparison) -> Table:
    """Per pair: changed answers with their parts, McNemar's cells, invalid answers, and noise floors in words."""
    rows = _wholes(found)
    floors = _named((pair.floor, pair) for pair in found.pairs)
    unchanged = _named(
        (f"{percent(row.upper_if_none)}% of clusters ({row.n} items in {row.n_clusters} clusters)", pair)
        for pair, row in zip(found.pairs, rows.values(), strict=True)
        if row.upper_if_none is not None
    )
    return table(
        "changes",
        "Drift from A to B",
        columns(
            _CONDITION,
            ("drift % [95% CI]", "percent"),
            *PART_HEADS,
            ("inv % A / B", "text", "", "", 40, None, True),
            ("McNemar cells", "text", "", "", 40, None, True),
            ("p", "p"),
        ),
        [
            (
                name,
                row.drift.share,
                *part_counts(row.drift),
                f"{percent(row.invalid_rate_a)} / {percent(row.invalid_rate)}",
                "/".join(str(getattr(row.mcnemar, cell)) for cell in CELLS),
                cell(row.mcnemar.p_value, missing=row.mcnemar.reason or ""),
            )
            for name, row in rows.items()
        ],
        [
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


def option_table(found: Comparison) -> Table:
    """Per pair: how far the option letters' log-probabilities lie apart, where it has any."""
    known = {name: row.options for name, row in _wholes(found).items() if row.options}
    one_sided = [f"{name} {options.n_one_sided}" for name, options in known.items() if options.n_one_sided]
    return table(
        "options",
        "Log-probabilities of the options",
        columns(
            _CONDITION,
            ("n", "count"),
            ("mean |Δ| [95% CI]", "significant"),
            _LARGEST,
            ("on item", "text", "", "", 60),
            ("KL [95% CI]", "significant"),
        ),
        [
            (name, each.n_items, each.mean_abs_difference, each.max_abs_difference, each.max_item, each.kl)
            for name, each in known.items()
        ],
        [
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
    return table(
        "effects",
        "Effects of the conditions, each against its own run's baseline",
        columns(
            _CONDITION,
            ("d A", "points"),
            ("d B", "points"),
            ("d B − d A [95% CI]", "points"),
            ("drift A %", "percent"),
            ("drift B %", "percent"),
            ("drift B − A [95% CI]", "points"),
        ),
        [
            (
                *(_both(row), row.effect_a.value, row.effect_b.value, row.effect_difference),
                *(row.drift_a.value, row.drift_b.value, row.drift_difference),
            )
            for row in rows
        ],
        [
            "d: accuracy less the baseline's, percentage points; drift: share of answers that the condition changed. "
            f"Differences of B and A are paired by item, not adjusted for the number of conditions. {method}",
            f"No difference of effects shown; power 0.8 from (points): {', '.join(nulls)}." if nulls else None,
        ],
    )


def group_table(found: Comparison, pair: ConditionPair) -> Table:
    """One pair of conditions by task, level and cell."""
    rows = [row for scope in ("task", "level", "cell") for row in found.rows_of(pair) if row.scope == scope]
    n_tests = sum(row.scope == "cell" and row.p_difference is not None for row in rows)
    has_options = any(row.options for row in rows)
    return table(
        "groups",
        f"{_both(pair)} by task, level and cell",
        columns(
            ("items", "name"),
            ("n", "count"),
            ("A %", "percent"),
            ("B %", "percent"),
            ("B − A [95% CI]", "points"),
            ("p", "p"),
            ("p Holm", "p"),
            ("agree %", "percent"),
            _KAPPA,
            *((_LARGEST,) if has_options else ()),
        ),
        [
            (
                *(" ".join(filter(None, (row.task, row.level))), row.n, row.accuracy_a.value, row.accuracy.value),
                *(row.difference, row.p_difference, row.p_difference_adjusted, row.agreement.value, row.kappa.value),
                *((row.options and row.options.max_abs_difference,) if has_options else ()),
            )
            for row in rows
        ],
        [f"p: sign-flip test, whole clusters flipped; p Holm: adjusted over the {n_tests} cells of this table."],
    )


def _first(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _both(of: ConditionPair | EffectRow) -> str:
    return of.condition_a if of.condition_a == of.condition_b else f"{of.condition_a} → {of.condition_b}"


def _wholes(found: Comparison) -> dict[str, CompareRow]:
    """Each pair's row of all items."""
    return {_both(pair): found.whole(pair) for pair in found.pairs}


def _named(said: Iterable[tuple[str | None, ConditionPair]]) -> dict[str, list[str]]:
    """Words -> the pairs that they are said of."""
    notes: dict[str, list[str]] = {}
    for words, pair in said:
        if words:
            notes.setdefault(words, []).append(_both(pair))
    return notes
