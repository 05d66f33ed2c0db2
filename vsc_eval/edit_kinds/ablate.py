"""ablate: delta = -sum_S z_i W_dec[i]; scale with alpha 0, under its usual name."""

from vsc_eval.edit_kinds import EditKind

ABLATE = EditKind("ablate", lambda z, _: -z, value=None, fixed=0.0)
