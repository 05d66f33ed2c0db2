"""p of a norm-matched union against the larger (or smaller) of its parts, by intersection-union."""

from __future__ import annotations


def extreme_p(p_a: float | None, p_b: float | None, gap_a: float, gap_b: float, *, beyond: int) -> float | None:
    """Two-sided p of union - max(A, B), with `beyond` = 1, or of union - min(A, B), with `beyond` = -1.

    `p_a` and `gap_a` are the two-sided p and the value of union - A, `p_b` and `gap_b` of union - B. That the union is
    beyond both parts means that it is beyond A and beyond B: the larger p (intersection-union, Berger 1982). That it
    falls short of the extreme part means that it falls short of one of them: the smallest such p, twice for two tries.
    """
    if beyond not in (1, -1):
        raise ValueError(f"expected `beyond` 1 or -1 but got {beyond}")
    if p_a is None or p_b is None:
        return None
    gaps = (beyond * gap_a, beyond * gap_b)
    if min(gaps) > 0:
        return max(p_a, p_b)
    short = [p for p, gap in zip((p_a, p_b), gaps, strict=True) if gap < 0]
    return min(1.0, 2 * min(short)) if short else 1.0
