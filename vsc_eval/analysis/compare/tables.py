"""The tables of a comparison, drawn in the terminal and written to compare.md."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from vsc_eval.analysis.compare.records import CompareRow, Comparison, ConditionPair, EffectRow
from vsc_eval.analysis.run_tables import (
    NONE,
    TextTable,
    draw,
    markdown_table,
    percent,
    percent_with_interval,
    points,
)
from vsc_eval.stats import Figure

_MOST_IN_FULL = 12
"""Pairs of conditions up to which compare.md has a table of cells for every one; compare.json has all."""


def all_tables(found: Comparison, *, in_full: int) -> list[TextTable]:
    """Every table, in the order they are shown; with cells for the first so many pairs."""
    tables = (
        settings_table(found),
        accuracy_table(found),
        change_table(found),
        option_table(found),
        effect_table(found),
        *(group_table(found, pair) for pair in found.pairs[:in_full]),
    )
    return [table for table in tables if table is not None]


def print_comparison(found: Comparison, console: Console) -> None:
    """Draw the tables in the terminal, the cells of the first pair of conditions among them."""
    for text in all_tables(found, in_full=1):
        draw(text, console)
    if len(found.pairs) > 1:
        console.print("Of the other conditions: --condition shows the cells, --out writes everything.", highlight=False)


def markdown(found: Comparison) -> str:
    """compare.md."""
    head = f"# {found.a.path} (A) and {found.b.path} (B)\n"
    return "\n".join([head, *(markdown_table(text) for text in all_tables(found, in_full=_MOST_IN_FULL))])


def settings_table(found: Comparison) -> TextTable:
    """What differs beside the answers, and what was compared."""
    rows = [(row.name, row.a or NONE, row.b or NONE) for row in found.settings]
    notes = [
        f"{found.n_items} items in {found.n_clusters} clusters, with the same prompts, pictures and right answers."
    ]
    if not rows:
        notes.append("Nothing that the folders tell differs.")
    if found.dropped:
        dropped = found.dropped
        notes.append(
            f"Left out: {dropped.n_only_a} items of A only and {dropped.n_only_b} of B only "
            f"({', '.join(dropped.examples)}{', ...' if dropped.n_only_a + dropped.n_only_b > 3 else ''})."
        )
    for run, other, name in ((found.a, found.b, "A"), (found.b, found.a, "B")):
        own = [condition for condition in run.conditions if condition not in other.conditions]
        if own:
            notes.append(f"Conditions of {name} only: {len(own)} ({_first(own)}).")
    return TextTable(
        title="What differs",
        columns=("setting", f"A: {found.a.path}", f"B: {found.b.path}"),
        rows=tuple(rows),
        notes=tuple(notes),
    )


def accuracy_table(found: Comparison) -> TextTable:
    """Per pair of conditions: both accuracies, their difference, agreement."""
    rows = []
    for pair in found.pairs:
        row = found.whole(pair)
        figures = (percent_with_interval(row.accuracy_a), percent_with_interval(row.accuracy))
        agreement = percent_with_interval(row.agreement)
        rows.append((_name(pair), *figures, points(row.difference), _p(row.p_difference), agreement, _two(row.kappa)))
    whole = [found.whole(pair) for pair in found.pairs]
    return TextTable(
        title="Accuracy and agreement",
        columns=("condition", "A % [95% CI]", "B % [95% CI]", "B − A [95% CI]", "p", "agree % [95% CI]", "κ"),
        rows=tuple(rows),
        notes=(
            f"{_sizes(whole)}. B − A: percentage points, paired by item; intervals: {whole[0].difference.method}. p: "
            f"sign-flip test, whole clusters flipped, not adjusted for the number of conditions. agree: share of items "
            "with the same parsed answer; κ: Cohen's kappa.",
            *_null_notes([(_name(pair), found.whole(pair)) for pair in found.pairs]),
        ),
    )


def change_table(found: Comparison) -> TextTable:
    """Per pair: changed answers with their parts, McNemar's cells, invalid answers, and noise floors in words."""
    rows = []
    for pair in found.pairs:
        row = found.whole(pair)
        change, test = row.drift, row.mcnemar
        parts = (change.right_to_wrong, change.wrong_to_right, change.wrong_to_other)
        invalid = (change.to_invalid, change.from_invalid)
        cells = f"{test.both_right}/{test.only_baseline_right}/{test.only_condition_right}/{test.both_wrong}"
        rates = f"{percent(row.invalid_rate_a)} / {percent(row.invalid_rate)}"
        share = percent_with_interval(change.share)
        rows.append((_name(pair), share, *map(str, (*parts, *invalid)), rates, cells, _p(test.p_value)))
    floors: dict[str, list[str]] = {}
    for pair in found.pairs:
        if pair.floor:
            floors.setdefault(pair.floor, []).append(_name(pair))
    return TextTable(
        title="Drift from A to B",
        columns=(
            *("condition", "drift % [95% CI]", "R→W", "W→R", "W→W'", "→inv", "inv→", "inv % A / B"),
            *("McNemar cells", "p"),
        ),
        rows=tuple(rows),
        notes=(
            "drift: share of items with another parsed answer in B than in A; its parts in items. R right, W wrong, "
            "W' another wrong answer, inv invalid. McNemar cells: both right / only A / only B / both wrong; exact, "
            "two-sided, items taken as independent.",
            *(f"{', '.join(names)}: {words}" for words, names in floors.items()),
            *_unchanged_notes(found),
        ),
    )


def option_table(found: Comparison) -> TextTable | None:
    """Per pair: how far the option letters' log-probabilities lie apart; None where no pair has any."""
    rows, one_sided = [], []
    for pair in found.pairs:
        options = found.whole(pair).options
        if options is None:
            continue
        largest = NONE if options.max_abs_difference is None else _small(options.max_abs_difference)
        distances = (_small_with_interval(options.mean_abs_difference), largest, options.max_item or NONE)
        rows.append((_name(pair), str(options.n_items), *distances, _small_with_interval(options.kl)))
        if options.n_one_sided:
            one_sided.append(f"{_name(pair)} {options.n_one_sided}")
    if not rows:
        return None
    notes = [
        "At the first answer token, in nats. |Δ|: absolute difference of an option letter's log-probability; mean over "
        "items of the mean over options. KL(A || B) over the letters, renormalised, mean over items."
    ]
    if one_sided:
        notes.append(f"Left out, an option having probability 0 in one run only (items): {', '.join(one_sided)}.")
    return TextTable(
        title="Log-probabilities of the options",
        columns=("condition", "n", "mean |Δ| [95% CI]", "max |Δ|", "on item", "KL [95% CI]"),
        rows=tuple(rows),
        notes=tuple(notes),
    )


def effect_table(found: Comparison) -> TextTable | None:
    """Per condition: what it does to A, what it does to B; None without conditions of both beside the baselines."""
    rows = [row for row in found.effects if row.scope == "all"]
    if not rows:
        return None
    nulls = [
        f"{_effect_name(row)} {100 * row.detectable_difference:.1f}"
        for row in rows
        if row.detectable_difference is not None and row.effect_difference.holds_zero
    ]
    return TextTable(
        title="Effects of the conditions, each against its own run's baseline",
        columns=("condition", "d A", "d B", "d B − d A [95% CI]", "drift A %", "drift B %", "drift B − A [95% CI]"),
        rows=tuple(
            (
                _effect_name(row),
                _plain_points(row.effect_a),
                _plain_points(row.effect_b),
                points(row.effect_difference),
                percent(row.drift_a.value),
                percent(row.drift_b.value),
                points(row.drift_difference),
            )
            for row in rows
        ),
        notes=(
            "d: accuracy less the baseline's, percentage points; drift: share of answers that the condition changed. "
            f"Differences of B and A are paired by item; intervals: {rows[0].effect_difference.method}; not adjusted "
            "for the number of conditions.",
            *((f"No difference of effects shown; power 0.8 from (points): {', '.join(nulls)}.",) if nulls else ()),
        ),
    )


def group_table(found: Comparison, pair: ConditionPair) -> TextTable:
    """One pair of conditions by task, level and cell."""
    rows = [row for scope in ("task", "level", "cell") for row in found.rows_of(pair) if row.scope == scope]
    n_tests = sum(row.scope == "cell" and row.p_difference is not None for row in rows)
    has_options = any(row.options for row in rows)
    body = []
    for row in rows:
        shares = (percent(row.accuracy_a.value), percent(row.accuracy.value), points(row.difference))
        tests = (_p(row.p_difference), _p(row.p_difference_adjusted))
        largest = row.options.max_abs_difference if row.options else None
        options = (NONE if largest is None else _small(largest),) if has_options else ()
        name = " ".join(filter(None, (row.task, row.level)))
        body.append((name, str(row.n), *shares, *tests, percent(row.agreement.value), _two(row.kappa), *options))
    return TextTable(
        title=f"{_name(pair)} by task, level and cell",
        columns=(
            *("items", "n", "A %", "B %", "B − A [95% CI]", "p", "p Holm", "agree %", "κ"),
            *(("max |Δ|",) if has_options else ()),
        ),
        rows=tuple(body),
        notes=(f"p: sign-flip test, whole clusters flipped; p Holm: adjusted over the {n_tests} cells of this table.",),
    )


def _first(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _name(pair: ConditionPair) -> str:
    return _both(pair.condition_a, pair.condition_b)


def _effect_name(row: EffectRow) -> str:
    return _both(row.condition_a, row.condition_b)


def _both(a: str, b: str) -> str:
    return a if a == b else f"{a} → {b}"


def _sizes(rows: Sequence[CompareRow]) -> str:
    """n of the pairs; they differ where conditions were asked of other items."""
    return "n = " + ", ".join(dict.fromkeys(f"{row.n} in {row.n_clusters} clusters" for row in rows))


def _null_notes(rows: Sequence[tuple[str, CompareRow]]) -> list[str]:
    """What an interval around zero, or none, can and cannot say."""
    found: list[str] = []
    undefined: dict[str | None, list[str]] = {}
    for name, row in rows:
        if row.difference.low is None:
            undefined.setdefault(row.difference.reason, []).append(name)
        elif row.difference.holds_zero and row.detectable_difference is not None:
            found.append(f"{name} {100 * row.detectable_difference:.1f}")
    notes = []
    if found:
        notes.append(f"No difference shown; power 0.8 to find one of at least (points): {', '.join(found)}.")
    notes += [f"No interval of the difference, since {why}: {', '.join(names)}." for why, names in undefined.items()]
    return notes


def _unchanged_notes(found: Comparison) -> list[str]:
    notes: dict[str, list[str]] = {}
    for pair in found.pairs:
        row = found.whole(pair)
        if row.upper_if_none is not None:
            bound = f"{percent(row.upper_if_none)}% of clusters ({row.n} items in {row.n_clusters} clusters)"
            notes.setdefault(bound, []).append(_name(pair))
    return [
        f"No answer changed: {', '.join(names)}. With 95% confidence a change would be seen in fewer than {bound}."
        for bound, names in notes.items()
    ]


def _plain_points(figure: Figure) -> str:
    return NONE if figure.value is None else f"{100 * figure.value:+.1f}"


def _p(value: float | None) -> str:
    return NONE if value is None else f"{value:.2g}"


def _two(figure: Figure) -> str:
    return NONE if figure.value is None else f"{figure.value:.2f}"


def _small(value: float) -> str:
    """Distances span from rounding to nats."""
    return f"{value:.2g}"


def _small_with_interval(figure: Figure) -> str:
    if figure.value is None:
        return NONE
    if figure.low is None or figure.high is None:
        return _small(figure.value)
    return f"{_small(figure.value)} [{_small(figure.low)}, {_small(figure.high)}]"
