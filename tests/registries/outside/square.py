"""An edit kind: delta = sum_S value * z_i^2 W_dec[i]."""

from __future__ import annotations

from vsc_eval.edit_kinds import EditKind


def _fault(value: float) -> str | None:
    return "it must not be negative" if value < 0 else None


SQUARE = EditKind("square", lambda z, value: value * z * z, value="factor", neutral=0.0, check=_fault)
