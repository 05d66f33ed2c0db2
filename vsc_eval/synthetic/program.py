"""Questions: as programs over a scene, with the one executor that answers all of them, and in words.

A program is JSON: a dict with an `op` and its arguments, nested. Sets of objects come from `filter`, single objects
from `unique`, `extreme` and `move`, values from `count`, `query`, `relate`, `exists`, `all`, `none`, `and`, `or`,
`not` and `which`. The builders below are the only place that writes the keys.

Each task has five templates of its question: the first `MAIN_TEMPLATES` are used everywhere, the others are held out
for checks that must not be passed by recognising a question's words.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final

from vsc_eval.errors import DataError
from vsc_eval.synthetic.scene import CANVAS, Scene, SceneObject

Program = dict[str, Any]

Value = int | str | bool
Op = Callable[[Program, Scene], Value]
"""What a program with an op of its own gives on a scene. Raises DataError where there is no single answer."""

LETTERS: Final = ("A", "B", "C", "D")
MAIN_TEMPLATES: Final = 3
N_TEMPLATES: Final = 5
INSTRUCTION: Final = "Answer with the letter of the correct option."

STEPS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
_NO_OPS: Mapping[str, Op] = MappingProxyType({})


def filter_(colour: str | None = None, shape: str | None = None, size: str | None = None) -> Program:
    """All objects with these attributes; `size` is `large` or `small`."""
    wanted = {"colour": colour, "shape": shape, "size": size}
    return {"op": "filter", **{k: v for k, v in wanted.items() if v is not None}}


def _builder(op: str, *keys: str) -> Callable[..., Program]:
    def build(*values: str | Program | list[Program]) -> Program:
        return {"op": op, **dict(zip(keys, values, strict=True))}

    return build


unique = _builder("unique", "of")
"""The only object of a set."""
extreme = _builder("extreme", "by", "which", "of")
"""The object of a set with the `max` or `min` of `size`, `x` or `y`; it must be the only one."""
move = _builder("move", "direction", "of")
"""The object in the next cell of the grid."""
count = _builder("count", "of")
exists = _builder("exists", "of")
query_colour = partial(_builder("query", "what", "of"), "colour")
relate = _builder("relate", "a", "b")
"""Where object a is, seen from object b: left, right, above or below."""
all_ = _builder("all", "colour", "of")
none_ = _builder("none", "colour", "of")
not_ = _builder("not", "of")
and_ = _builder("and", "of")
or_ = _builder("or", "of")
which = _builder("which", "of")
"""The 0-based index of the only true one."""


def _ambiguous(program: Program) -> DataError:
    return DataError(f"`{program['op']}` has no single answer in this scene.", hint="Regenerate the item.")


def referents(program: Program, scene: Scene) -> list[SceneObject]:
    """The objects of a `filter`. Raises DataError for another op."""
    if program["op"] != "filter":
        raise DataError(f"`{program['op']}` does not give a set of objects.", hint="Regenerate the item.")
    wanted = {"size_class" if key == "size" else key: value for key, value in program.items() if key != "op"}
    return [o for o in scene.objects if all(getattr(o, key) == value for key, value in wanted.items())]


def referent(program: Program, scene: Scene) -> SceneObject:
    """The one object that `unique`, `extreme` or `move` names. Raises DataError if there is not exactly one."""
    match program["op"]:
        case "unique":
            found = referents(program["of"], scene)
        case "extreme":
            objects, by = referents(program["of"], scene), attrgetter(program["by"])
            best = (max if program["which"] == "max" else min)(map(by, objects), default=None)
            found = [o for o in objects if by(o) == best]
        case "move":
            if scene.grid is None:
                raise DataError("A `move` needs a scene on a grid.", hint="Regenerate the item.")
            start, (dx, dy) = referent(program["of"], scene), STEPS[program["direction"]]
            column, row = _cell(start, scene.grid)
            found = [o for o in scene.objects if _cell(o, scene.grid) == (column + dx, row + dy)]
        case op:
            raise DataError(f"`{op}` does not give one object.", hint="Regenerate the item.")
    if len(found) != 1:
        raise _ambiguous(program)
    return found[0]


def _cell(o: SceneObject, n: int) -> tuple[int, int]:
    return o.x * n // CANVAS, o.y * n // CANVAS


def _relate(program: Program, scene: Scene) -> str:
    a, b = referent(program["a"], scene), referent(program["b"], scene)
    dx, dy = a.x - b.x, a.y - b.y
    if abs(dx) == abs(dy):
        raise _ambiguous(program)
    if abs(dx) > abs(dy):
        return "left" if dx < 0 else "right"
    return "above" if dy < 0 else "below"


def execute(program: Program, scene: Scene, ops: Mapping[str, Op] = _NO_OPS) -> Value:
    """The value of `program` on `scene`; `ops` are a task's own. Raises DataError for an unknown op or a question
    without a single answer."""
    op: str = program["op"]
    of: Any = program.get("of")
    match op:
        case "count":
            return len(referents(of, scene))
        case "exists":
            return bool(referents(of, scene))
        case "all":
            return all(o.colour == program["colour"] for o in referents(of, scene))
        case "none":
            return all(o.colour != program["colour"] for o in referents(of, scene))
        case "query":
            return str(getattr(referent(of, scene), program["what"]))
        case "relate":
            return _relate(program, scene)
        case "not":
            return not execute(of, scene, ops)
        case "and":
            return all(execute(p, scene, ops) for p in of)
        case "or":
            return any(execute(p, scene, ops) for p in of)
        case "which":
            truths = [execute(p, scene, ops) for p in of]
            if truths.count(True) != 1:
                raise _ambiguous(program)
            return truths.index(True)
    if op not in ops:
        raise DataError(f"Unknown program op `{op}`.", hint="Regenerate the item.")
    return ops[op](program, scene)


def answer_index(program: Program, scene: Scene, options: Sequence[str], ops: Mapping[str, Op] = _NO_OPS) -> int:
    """The 0-based option that the program gives. Raises DataError if it is none of them."""
    value = execute(program, scene, ops)
    if program["op"] == "which":
        return int(value)
    if str(value) not in options:
        raise DataError(f"The answer '{value}' is none of the options {list(options)}.", hint="Regenerate the item.")
    return list(options).index(str(value))


def plural(shape: str) -> str:
    """`circle` -> `circles`, `cross` -> `crosses`."""
    return shape + ("es" if shape.endswith("s") else "s")


def format_prompt(question: str, options: Sequence[str]) -> str:
    """The text that a model reads after the picture."""
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=True)]
    return "\n".join([question, *lines, INSTRUCTION])


def words(text: str) -> list[str]:
    """Word-level tokens: runs of letters or digits, and single punctuation marks."""
    return re.findall(r"[A-Za-z0-9]+|[^\sA-Za-z0-9]", text)
