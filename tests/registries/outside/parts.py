"""The package's entry points: (group, name, "module:object")."""

from __future__ import annotations

PARTS = (
    ("vsc_eval.edits", "square", "outside.square:SQUARE"),
    ("vsc_eval.scores", "max_gap", "outside.max_gap:MAX_GAP"),
    ("vsc_eval.synthetic_tasks", "majority", "outside.majority:MAJORITY"),
    ("vsc_eval.sae_layouts", "plain", "outside.plain:PLAIN"),
    ("vsc_eval.metrics", "lenient", "outside.lenient:LENIENT"),
    ("vsc_eval.backends", "echo", "outside.echo:ECHO"),
)
