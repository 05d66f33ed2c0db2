"""Numbers and names as the report writes them. Shares are written in percent, differences in percentage points."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from vsc_eval.analysis.controls import ControlKind
from vsc_eval.analysis.interactions import Form, InteractionRow
from vsc_eval.analysis.run_tables import NONE
from vsc_eval.stats import Figure
from vsc_eval.studies.records import StudyResults
from vsc_eval.studies.report.markdown import code, escape

KIND_WORDS: dict[ControlKind, str] = {
    "random_sets": "matched random sets",
    "random_directions": "random directions",
    "permuted_labels": "permuted labels",
}
FORM_WORDS: dict[Form, str] = {"raw": "raw", "norm_matched": "norm-matched"}
CORRECTION_WORDS = {"holm": "Holm", "bh": "Benjamini-Hochberg"}


def share(value: float | None) -> str:
    """`12.3`, in percent."""
    return NONE if value is None else f"{round(100 * value, 1) + 0.0:.1f}"


def signed(value: float | None) -> str:
    """`+1.2`, in points; `0.0` has no sign."""
    if value is None:
        return NONE
    rounded = round(100 * value, 1)
    return f"{rounded:+.1f}" if rounded else "0.0"


def share_ci(figure: Figure | None) -> str:
    """`12.3 [10.0, 14.1]`; `[–]` where there is no interval."""
    return _with_interval(figure, share)


def signed_ci(figure: Figure | None) -> str:
    """`+1.2 [-0.3, +2.5]`; `[–]` where there is no interval."""
    return _with_interval(figure, signed)


def p_words(p: float | None) -> str:
    return NONE if p is None else f"{p:.2g}"


def decimal(value: float | None, digits: int = 4) -> str:
    return NONE if value is None else f"{value:.{digits}f}"


def size(n: int, n_clusters: int) -> str:
    """`n = 420 items in 105 orbits`."""
    return f"n = {n} items in {n_clusters} orbits"


def names(sets: Sequence[str]) -> str:
    """`counting+logic` as code."""
    return code("+".join(sets))


def spaced(name: str) -> str:
    """A task's name in a figure: `spatial relation`."""
    return name.replace("_", " ")


def interval_note(figures: Iterable[Figure | None]) -> str:
    """How the intervals of a table were made, and why some are missing."""
    known = [figure for figure in figures if figure is not None]
    methods = dict.fromkeys(figure.method for figure in known if figure.low is not None)
    reasons = dict.fromkeys(figure.reason for figure in known if figure.low is None and figure.reason)
    parts = [f"[ ]: {escape(method)}." for method in methods]
    parts += [f"[{NONE}]: no interval, since {escape(reason)}." for reason in reasons]
    return " ".join(parts)


def sign_flip_words(results: StudyResults) -> str:
    return (
        f"sign-flip test, two-sided, whole orbits flipped, exact or {results.spec.statistics.permutations} random draws"
    )


def correction_words(results: StudyResults) -> str:
    return CORRECTION_WORDS[results.spec.verdict.correction]


def ruled(results: StudyResults, form: str) -> list[InteractionRow]:
    """The pairs of that form which have a verdict."""
    return [pair for pair in results.pairs if pair.form == form and pair.verdict is not None]


def counted(n: int, one: str, many: str | None = None) -> str:
    """`1 pair`, `2 pairs`."""
    return f"{n} {one if n == 1 else many or one + 's'}"


def span(values: Iterable[float | None]) -> str:
    """`0.9 to 1.4` percentage points, over those that are defined."""
    known = [value for value in values if value is not None]
    if not known:
        return NONE
    low, high = share(min(known)), share(max(known))
    return low if low == high else f"{low} to {high}"


def in_points(value: float) -> str:
    """`1 point`, `2.5 points`: a size that the spec names as a share."""
    return f"{100 * value:g} {'point' if abs(value - 0.01) < 1e-12 else 'points'}"


def _with_interval(figure: Figure | None, write: Callable[[float | None], str]) -> str:
    if figure is None or figure.value is None:
        return NONE
    known = figure.low is not None and figure.high is not None
    return (
        f"{write(figure.value)} [{write(figure.low)}, {write(figure.high)}]"
        if known
        else f"{write(figure.value)} [{NONE}]"
    )
