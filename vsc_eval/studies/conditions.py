"""The conditions of a study, named by their expressions; and the sets of its controls, `controls.yaml`: every draw, or
why there is none."""

from collections.abc import Callable, Sequence
from itertools import chain, product

from vsc_eval.analysis.controls import ControlKind
from vsc_eval.answers.answer_table import AskedCondition
from vsc_eval.errors import DataError
from vsc_eval.interventions.controls import matched_random_sets, permuted_label_sets
from vsc_eval.interventions.harvest import Harvest
from vsc_eval.interventions.select import TooFewFeaturesError
from vsc_eval.seeding import derived_seed
from vsc_eval.specs import BASELINE, ConditionSpec, FeatureSet, InterventionSpec, Spec, parse_condition
from vsc_eval.studies.spec import StudySpec, parse_edit

CONTROLS_FILE = "controls.yaml"
CONTROLS_STEM = "controls"
"""Of the files of the table of their answers."""

SHUFFLES_A_DRAW = 5
"""Shuffles of the labels that are tried at most, for each draw that is wanted."""

_SHORT: dict[ControlKind, str] = {
    "random_sets": "random",
    "random_directions": "direction",
    "permuted_labels": "permuted",
}


def condition_name(sets: Sequence[str], edit: str, norm_match: str | None = None) -> str:
    """`counting:scale=4`, `counting+logic:scale=4`; with `:norm=mean` at its end."""
    return f"{'+'.join(sets)}:{edit}" + (f":norm={norm_match}" if norm_match else "")


def control_set(task: str, kind: ControlKind, draw: int) -> str:
    """`counting.random.03`: the set of that draw that stands for the real set of `task`."""
    return f"{task}.{_SHORT[kind]}.{draw:02d}"


def control_name(tasks: Sequence[str], kind: ControlKind, draw: int, edit: str) -> str:
    """`counting.random.03+logic.random.03:scale=4`: all sets are of one draw."""
    return condition_name([control_set(task, kind, draw) for task in tasks], edit)


def swept_names(spec: StudySpec) -> list[str]:
    """What the statistics read: the baseline; then for each edit the single sets, the combined edits and
    the norm-matched ones."""
    found, match = [BASELINE], spec.sweep.norm_match
    for edit in spec.sweep.edits:
        found += [condition_name((task,), edit) for task in spec.tasks]
        found += [condition_name(pair, edit) for pair in spec.pairs]
        found += [condition_name(pair, edit, match) for pair in spec.pairs if match]
    return found


def sweep_conditions(spec: StudySpec, intervention: InterventionSpec) -> list[ConditionSpec]:
    """Everything but the baseline: an edit of strength zero of each set, then what the statistics read."""
    nulls = [condition_name((task,), "scale=1") for task in spec.tasks]
    wanted = dict.fromkeys([*nulls, *swept_names(spec)[1:]])
    return [parse_condition(name, intervention.default_edit) for name in wanted]


def asked_condition(spec: ConditionSpec, kind: ControlKind | None = None, draw: int | None = None) -> AskedCondition:
    """A condition of a study's table; `kind` and `draw` are a control's. A study selects one set for each task and
    names it after the task, a control's after the task and a dot."""
    targets = tuple(name.split(".", 1)[0] for name in spec.sets) or None
    return AskedCondition(spec, spec.content_hash(), targets, kind, draw)


class ControlDraw(Spec):
    """One draw of one kind: sets for all tasks, or the seed of directions for the real sets."""

    kind: ControlKind
    draw: int
    shuffle: int | None = None
    """Of permuted labels: the number of the shuffle, another than `draw` where that one gave no sets."""
    sets: tuple[FeatureSet, ...] = ()
    """In the order of the study's tasks; none for random directions."""
    direction_seed: int | None = None


class FailedDraws(Spec):
    """Draws of one kind that could not be made, for one reason."""

    kind: ControlKind
    draws: tuple[int, ...]
    """Of permuted labels: the numbers of the shuffles; those from the number of wanted draws on are replacements."""
    why: str


class ControlSets(Spec):
    """`controls.yaml`."""

    draws: tuple[ControlDraw, ...]
    failed: tuple[FailedDraws, ...]

    def n_made(self, kind: ControlKind) -> int:
        """Draws of that kind."""
        return sum(draw.kind == kind for draw in self.draws)


def draw_controls(
    spec: StudySpec, intervention: InterventionSpec, harvest: Harvest, progress: Callable[[int, int], None]
) -> ControlSets:
    """All draws of all kinds, each a stream of its own.

    A shuffle of the labels in which a task has too few eligible features gives no sets, and the next shuffle that no
    draw has used takes its place, up to `SHUFFLES_A_DRAW` times as many as there are draws. The real sets too are there
    only because each task had enough: draws that do are what these are one of. What failed is named.
    """
    wanted = list(product(spec.controls.kinds, range(spec.controls.draws)))
    made: list[ControlDraw] = []
    failures: dict[tuple[ControlKind, str], list[int]] = {}
    spare = iter(range(spec.controls.draws, SHUFFLES_A_DRAW * spec.controls.draws))
    for done, (kind, draw) in enumerate(wanted, start=1):
        for number in chain([draw], spare):
            try:
                made.append(_draw(spec, intervention, harvest, kind, draw, number))
                break
            except DataError as error:
                failures.setdefault((kind, error.message), []).append(number)
                # Where the features themselves are too few, any other draw would fail in the same way.
                if not isinstance(error, TooFewFeaturesError):
                    break
        progress(done, len(wanted))
    failed = tuple(FailedDraws(kind=kind, draws=tuple(which), why=why) for (kind, why), which in failures.items())
    return ControlSets(draws=tuple(made), failed=failed)


def _draw(
    spec: StudySpec, intervention: InterventionSpec, harvest: Harvest, kind: ControlKind, draw: int, shuffle: int
) -> ControlDraw:
    if kind == "random_directions":
        return ControlDraw(kind=kind, draw=draw, direction_seed=derived_seed("study directions", spec.seed, draw))
    if kind == "random_sets":
        sets = matched_random_sets(intervention.sets, harvest, seed=spec.seed, draw=draw)
    else:
        sets = permuted_label_sets(harvest, spec.select.rule, seed=spec.seed, draw=draw, shuffle=shuffle)
    assert [s.name for s in sets] == [control_set(task, kind, draw) for task in spec.tasks]
    return ControlDraw(kind=kind, draw=draw, shuffle=shuffle if kind == "permuted_labels" else None, sets=sets)


def control_conditions(spec: StudySpec, intervention: InterventionSpec, made: ControlDraw) -> list[ConditionSpec]:
    """A draw's stand-ins for every single set and for the combined edits of the control pairs, under the verdict's
    edit. Random directions edit the real sets' activations along them."""
    groups = [*((task,) for task in spec.tasks), *spec.control_pairs]
    named = {control_name(tasks, made.kind, made.draw, spec.verdict.edit): tasks for tasks in groups}
    if made.direction_seed is None:
        return [parse_condition(name, intervention.default_edit) for name in named]
    edit = parse_edit(spec.verdict.edit, intervention.default_edit)
    turned = edit.model_copy(update={"random_directions": made.direction_seed})
    return [ConditionSpec(name=name, sets=tasks, edit=turned) for name, tasks in named.items()]
