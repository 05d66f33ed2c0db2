"""`vsc-eval run`: one model, some tasks, many conditions, in one folder."""
