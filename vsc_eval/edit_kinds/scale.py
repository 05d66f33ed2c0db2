"""scale: delta = sum_S (alpha - 1) z_i W_dec[i]; what a feature adds to the stream is multiplied by alpha."""

from vsc_eval.edit_kinds import EditKind

SCALE = EditKind("scale", lambda z, alpha: z * (alpha - 1.0), value="alpha", neutral=1.0)
