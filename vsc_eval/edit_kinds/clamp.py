"""clamp: delta = sum_S (value - z_i) W_dec[i]; a feature is as active as the value says, fired or not."""

from vsc_eval.edit_kinds import EditKind

CLAMP = EditKind("clamp", lambda z, target: target - z, value="target activation", edits_silent=True)
