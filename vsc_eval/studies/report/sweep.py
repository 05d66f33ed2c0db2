"""Section 4: every single set and union under every edit, against the baseline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vsc_eval.analysis.groups import Scope
from vsc_eval.analysis.rows import Row
from vsc_eval.analysis.run_tables import NONE, TextTable
from vsc_eval.answers.answer_table import Role
from vsc_eval.stats import Figure
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.report.markdown import code, escape, folded, paragraphs, table
from vsc_eval.studies.report.words import (
    correction_words,
    decimal,
    interval_note,
    names,
    p_words,
    share,
    share_ci,
    sign_flip_words,
    signed,
    signed_ci,
    size,
)

ROLE_WORDS: dict[Role, str] = {
    "single": "single sets",
    "combined": "unions of two",
    "norm_matched": "norm-matched unions",
}


def section(results: StudyResults) -> str:
    verdict = results.spec.verdict.edit
    others = [edit for edit in results.spec.sweep.edits if edit != verdict]
    return paragraphs(
        [
            "## 4. The sweep",
            f"All conditions against the baseline, on all items. First under the verdict's edit, {code(verdict)}.",
            *(table(_effects(results, verdict, role)) for role in ROLE_WORDS if _rows(results, verdict, role)),
            folded(f"Parts of the drift under {escape(verdict)}", table(_parts(results, verdict))),
            folded(f"Distributions and activations under {escape(verdict)}", table(_readings(results, verdict))),
            *(_other(results, edit) for edit in others),
        ]
    )


def _other(results: StudyResults, edit: str) -> str:
    tables = [table(_effects(results, edit, role)) for role in ROLE_WORDS if _rows(results, edit, role)]
    tables += [table(_parts(results, edit)), table(_readings(results, edit))]
    return folded(f"The same under {escape(edit)}", paragraphs(tables))


def _rows(results: StudyResults, edit: str, role: Role | None = None, scope: Scope = "all") -> list[Row]:
    wanted = ROLE_WORDS if role is None else (role,)
    return [row for row in results.rows if row.scope == scope and row.edit == edit and row.role in wanted]


def _effects(results: StudyResults, edit: str, role: Role) -> TextTable:
    rows = _rows(results, edit, role)
    on = {row.condition: row for row in _rows(results, edit, role, "on_target")}
    off = {row.condition: row for row in _rows(results, edit, role, "off_target")}
    n_conditions = sum(row.scope == "all" and row.role != "baseline" for row in results.rows)
    missing = [f"{NONE}: every task is on target."] if len(off) < len(rows) else []
    figures: list[Figure | None] = [row.difference for row in rows]
    figures += [row.drift.share for row in rows if row.drift]
    return TextTable(
        title=f"{ROLE_WORDS[role].capitalize()} under {code(edit)} ({size(rows[0].n, rows[0].n_clusters)})",
        columns=(
            "sets",
            "accuracy %",
            "difference",
            "p (adj.)",
            "drift %",
            f"on target{_sizes(on.values())}: diff., drift %",
            f"off target{_sizes(off.values())}: diff., drift %",
        ),
        rows=tuple(
            (
                names(row.sets),
                share(row.accuracy.value),
                signed_ci(row.difference),
                p_words(row.p_difference_adjusted),
                share_ci(row.drift.share if row.drift else None),
                _target(on.get(row.condition)),
                _target(off.get(row.condition)),
            )
            for row in rows
        ),
        notes=(
            f"{interval_note(figures)} p: {sign_flip_words(results)}, {correction_words(results)} over the "
            f"{n_conditions} conditions of the sweep. on target: items of the sets' own tasks; off target: all others.",
            *missing,
        ),
    )


def _target(row: Row | None) -> str:
    if row is None or row.difference is None or row.drift is None:
        return NONE
    return f"{signed(row.difference.value)}, {share(row.drift.share.value)}"


def _sizes(rows: Iterable[Row]) -> str:
    sizes = sorted({row.n for row in rows})
    return f" (n = {' or '.join(map(str, sizes))})" if sizes else ""


def _parts(results: StudyResults, edit: str) -> TextTable:
    rows = [row for row in _rows(results, edit) if row.drift is not None and row.mcnemar is not None]
    n = rows[0].n
    return TextTable(
        title=f"Drift and its parts under {code(edit)}, in items of {n}",
        columns=("condition", "changed", "above floor %", "R→W", "W→R", "W→W'", "→inv", "inv→", "McNemar p"),
        rows=tuple(
            (
                _name(row),
                *(
                    (
                        str(row.drift.n_changed),
                        share(row.drift_above_noise_floor),
                        str(row.drift.right_to_wrong),
                        str(row.drift.wrong_to_right),
                        str(row.drift.wrong_to_other),
                        str(row.drift.to_invalid),
                        str(row.drift.from_invalid),
                    )
                    if row.drift
                    else ()
                ),
                p_words(row.mcnemar.p_value if row.mcnemar else None),
            )
            for row in rows
        ),
        notes=(
            "R right, W wrong, W' another wrong answer, inv no readable answer. above floor: drift less the drift "
            "floor (section 9). McNemar: exact, two-sided, items taken as independent and not as orbits, not adjusted; "
            f"where it and the sign-flip test differ, the latter counts. {_mcnemar_gaps(rows)}".rstrip(),
        ),
    )


def _mcnemar_gaps(rows: Sequence[Row]) -> str:
    reasons = dict.fromkeys(row.mcnemar.reason for row in rows if row.mcnemar and row.mcnemar.reason)
    return " ".join(f"{NONE}: {escape(reason)}." for reason in reasons)


def _readings(results: StudyResults, edit: str) -> TextTable:
    rows = _rows(results, edit)
    columns = ("KL options", "KL vocabulary", "gold margin", "shift edited", "shift last", "amplification")
    cells = [
        (
            row.mean_kl_options,
            row.mean_kl_vocab,
            row.mean_margin_change,
            row.mean_shift_edited,
            row.mean_shift_last,
            row.amplification,
        )
        for row in rows
    ]
    missing = any(value is None for row in cells for value in row)
    return TextTable(
        title=f"Distributions and activations under {code(edit)}, means over {rows[0].n} items",
        columns=("condition", *columns),
        rows=tuple((_name(row), *map(decimal, values)) for row, values in zip(rows, cells, strict=True)),
        notes=(
            "KL(baseline || condition) in nats at the first answer token; gold margin: change of the right option's "
            "log-probability less the largest other, nats; shift: ||h' - h|| / ||h|| at the edited and at the last "
            "layer; amplification: last over edited. No intervals: these describe, they do not test.",
            *((f"{NONE}: no item has this figure, or the edited shift is zero.",) if missing else ()),
        ),
    )


def _name(row: Row) -> str:
    return names(row.sets) + (" (norm-matched)" if row.role == "norm_matched" else "")
