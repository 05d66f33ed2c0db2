"""Names of a study's conditions and control sets. Conditions are named by their expression wherever there is one."""

from __future__ import annotations

from vsc_eval.analysis.controls import ControlKind

_SHORT: dict[ControlKind, str] = {
    "random_sets": "random",
    "random_directions": "direction",
    "permuted_labels": "permuted",
}


def single(name: str, edit: str) -> str:
    """`counting:scale=4`."""
    return f"{name}:{edit}"


def union(a: str, b: str, edit: str, norm_match: str | None = None) -> str:
    """`counting+logic:scale=4`, or with `:norm=mean` at its end."""
    return f"{a}+{b}:{edit}" + (f":norm={norm_match}" if norm_match else "")


def zero(name: str) -> str:
    """An edit of strength zero, `counting:scale=1`: it must change nothing."""
    return f"{name}:scale=1"


def control_set(task: str, kind: ControlKind, draw: int) -> str:
    """`counting.random.03`: the set of that draw that stands for the real set of `task`."""
    return f"{task}.{_SHORT[kind]}.{draw:02d}"


def control_single(task: str, kind: ControlKind, draw: int, edit: str) -> str:
    """`counting.random.03:scale=4`."""
    return single(control_set(task, kind, draw), edit)


def control_union(a: str, b: str, kind: ControlKind, draw: int, edit: str) -> str:
    """`counting.random.03+logic.random.03:scale=4`: both sets are of one draw."""
    return union(control_set(a, kind, draw), control_set(b, kind, draw), edit)


def task_of(name: str) -> str:
    """The task that a set was selected for: its own name, or that before the first dot of a control's."""
    return name.split(".", 1)[0]
