"""add: delta = value * sum_S W_dec[i] (unit decoder rows), whatever z is: steering along the features' directions."""

from vsc_eval.edit_kinds import EditKind

ADD = EditKind(
    "add",
    lambda z, coefficient: z.new_full(z.shape, coefficient),
    value="coefficient of unit decoder rows",
    neutral=0.0,
    edits_silent=True,
    unit_rows=True,
)
