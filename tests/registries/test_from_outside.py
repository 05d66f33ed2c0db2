"""One of everything, added by `register` from a package that is not ours, and used without another file touched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from lm_eval.tasks import TaskManager
from outside.echo import ECHO
from outside.lenient import LENIENT
from outside.majority import LEVELS, MAJORITY
from outside.max_gap import MAX_GAP
from outside.plain import PLAIN, write
from outside.square import SQUARE

from benchmarks.prove import text_only_accuracy
from vsc_eval import metrics
from vsc_eval.backends.ask import open_session
from vsc_eval.backends.protocol import GenSettings
from vsc_eval.backends.registry import BACKENDS
from vsc_eval.edit_kinds import EDITS
from vsc_eval.errors import SpecError
from vsc_eval.interventions.edits import compile_condition, edit_delta
from vsc_eval.interventions.harvest import Harvest, PooledActivations
from vsc_eval.interventions.scores import SCORES
from vsc_eval.interventions.select import SelectionRule, choose_features, score_table
from vsc_eval.interventions.similarity import set_stability
from vsc_eval.lmeval.task_files import VARIANTS
from vsc_eval.lmeval.task_index import compiled_includes
from vsc_eval.lmeval.tasks import find_tasks
from vsc_eval.metrics import METRICS
from vsc_eval.metrics.base import ScoredItem
from vsc_eval.probing.records import ProbingSpec
from vsc_eval.sae.model import SAE, SAEConfig
from vsc_eval.sae.quality import Firing
from vsc_eval.sae.readers import LAYOUTS, read_any_sae
from vsc_eval.settings import AskSpec
from vsc_eval.specs import ConditionSpec, EditSpec, FeatureSet, load_yaml_spec, parse_condition, save_yaml_spec
from vsc_eval.studies.spec import StudySpec
from vsc_eval.sweeps.run_spec import RunSpec
from vsc_eval.synthetic import SPLITS, SYNTHETIC_TASKS, find_item, make_items, make_orbit
from vsc_eval.synthetic.oracle import verify

ADDED = (
    (EDITS, SQUARE),
    (SCORES, MAX_GAP),
    (SYNTHETIC_TASKS, MAJORITY),
    (LAYOUTS, PLAIN),
    (METRICS, LENIENT),
    (BACKENDS, ECHO),
)


@pytest.fixture(autouse=True)
def outside() -> Iterator[None]:
    for registry, thing in ADDED:
        registry.register(thing)  # type: ignore[attr-defined]
    yield
    for registry, thing in ADDED:
        registry.unregister(thing.name)  # type: ignore[attr-defined]


def small_sae() -> SAE:
    torch.manual_seed(0)
    return SAE(SAEConfig(d_in=6, d_sae=20, k=3)).requires_grad_(False)


# An edit kind


def test_a_kind_is_a_condition_and_a_spec(tmp_path: Path) -> None:
    condition = parse_condition("counting:square=2:image", EditSpec(kind="ablate"))
    assert condition.edit == EditSpec(kind="square", value=2, positions="image")
    assert condition.edit.strength == 2
    save_yaml_spec(tmp_path / "c.yaml", condition)
    assert load_yaml_spec(tmp_path / "c.yaml", ConditionSpec) == condition
    assert condition.content_hash() != parse_condition("counting:scale=2:image", EditSpec(kind="ablate")).content_hash()


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("counting:square", "'' in condition 'counting:square' is not a number"),
        ("counting:square=-1", "`square` cannot have the value -1: it must not be negative"),
        ("counting:sqare=1", "Use scale=X, ablate, clamp=X, add=X, square=X, image"),
        ("counting:square=1:scale=2", "contradict or repeat"),
    ],
)
def test_a_kind_is_in_the_grammars_errors(expression: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_condition(expression, EditSpec(kind="ablate"))


def test_a_kinds_formula_is_what_is_added() -> None:
    sae, h = small_sae(), torch.randn(2, 5, 6)
    sets = {"mine": FeatureSet(name="mine", indices=(1, 4, 7))}
    codes = sae.encode_sparse(h)

    def delta(expression: str) -> torch.Tensor:
        spec = parse_condition(expression, EditSpec(kind="ablate"))
        return edit_delta(compile_condition(spec, sets, sae, 0), h, codes, sae)

    z = torch.zeros(2, 5, 20).scatter_(-1, codes.indices, codes.values)[..., [1, 4, 7]]
    torch.testing.assert_close(delta("mine:square=3"), (3 * z**2) @ sae.W_dec[[1, 4, 7]])
    assert not delta("mine:square=0").any()


@pytest.mark.parametrize("kind", [*EDITS, SQUARE], ids=lambda kind: kind.name)
def test_every_kind_is_what_it_says(kind: object) -> None:
    assert isinstance(kind, type(SQUARE))
    z = torch.tensor([[0.0, 0.5, 2.0]])
    value = kind.strength(None if kind.value is None else 1.5)
    assert bool(kind.coefficients(z, value)[0, 0]) == kind.edits_silent
    assert kind.coefficients(z, value)[0, 1:].all()
    if kind.neutral is not None:
        assert not kind.coefficients(z, kind.neutral).any()


@pytest.mark.parametrize("name", ["norm", "Square", "two words", ""])
def test_a_kind_that_no_condition_could_name_is_refused(name: str) -> None:
    with pytest.raises(SpecError, match="cannot be a kind's name"):
        EDITS.register(type(SQUARE)(name, SQUARE.coefficients, value="x"))


# A selection score


def test_a_score_selects_and_is_resampled() -> None:
    rng = np.random.default_rng(0)
    values = rng.random((24, 12))
    tasks = ("counting", "logic")
    labels = tuple(task for task in tasks for _ in range(12))
    values[:12, 3] += 2
    values[12:, 7] += 2
    tensor = torch.tensor(values, dtype=torch.float32)
    pooled = PooledActivations(tensor, tensor > 0)
    rule = SelectionRule(score="max_gap", m=1)
    sets = choose_features(score_table(pooled, labels, rule), rule)
    assert [s.indices for s in sets] == [(3,), (7,)]
    assert sets[0].provenance["rule_score"] == "max_gap"
    orbits = tuple(f"{label}/{n // 4}" for n, label in enumerate(labels))
    harvest = Harvest(
        pooled=pooled,
        firing=Firing(tensor.mean(0), tensor.mean(0)),
        item_ids=labels,
        tasks=labels,
        orbits=orbits,
        origin={},
    )
    assert [s.jaccard_mean for s in set_stability(sets, harvest, rule, draws=5, seed=0).sets] == [1, 1]
    with pytest.raises(ValueError, match="Known scores: diff_of_means, auroc, frequency_gap, max_gap"):
        SelectionRule(score="max_gab")


# A synthetic task


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("level", LEVELS)
def test_a_task_is_proved_like_ours(split: str, level: str) -> None:
    items = make_items(split, "majority", level, 40)
    assert all(len(verify(item)) == LEVELS[level].n_objects for item in items)
    assert text_only_accuracy(items) == 0.25
    assert len({item.scene.hash() for item in items}) == 40
    assert find_item(items[6].id) == items[6]
    assert items[0].difficulty["lead"] == LEVELS[level].lead
    assert make_orbit(split, "majority", level, 0, paraphrase="heldout")[0].question != items[0].question


def test_a_task_is_lm_evals_in_every_variant() -> None:
    for variant in VARIANTS[:2]:
        scoring = "loglikelihood" if variant.name == "choice" else "generate"
        names = [variant.named("vsc_majority"), "vsc_counting_easy"]
        found = find_tasks(AskSpec.model_validate({"tasks": names, "scoring": scoring, "n": 4}))
        cells = {variant.named(f"vsc_majority_{level}") for level in LEVELS}
        assert {task for task, _ in found.items if "majority" in task} == cells
        assert {item.level for (name, _), item in found.items.items() if "majority" in name} == set(LEVELS)


def test_a_task_is_there_for_lm_evals_own_command_line() -> None:
    with compiled_includes([]) as (folders, _):
        known = TaskManager(include_path=folders, include_defaults=False).all_tasks
    assert {variant.named("vsc_majority_hard") for variant in VARIANTS} <= set(known)


def test_a_task_is_no_part_of_the_benchmark() -> None:
    found = find_tasks(AskSpec(tasks=("vsc_easy",), n=4))
    assert len({task for task, _ in found.items}) == 7
    with pytest.raises(SpecError, match="Did you mean vsc_majority"):
        find_tasks(AskSpec(tasks=("vsc_majorty",), n=4))


def test_a_task_is_known_to_specs() -> None:
    assert StudySpec(tasks=("counting", "majority")).pairs == (("counting", "majority"),)
    assert ProbingSpec(model="vsc-tiny", tasks=("counting", "majority")).tasks == ("counting", "majority")
    with pytest.raises(ValueError, match=r"unknown task.*majority"):
        StudySpec(tasks=("counting", "majorty"))


@pytest.mark.parametrize("name", ["Majority", "my_easy", "majority_paired", "views"])
def test_a_task_whose_name_would_collide_is_refused(name: str) -> None:
    with pytest.raises(SpecError, match="is no task: "):
        SYNTHETIC_TASKS.register(type(MAJORITY)(name, MAJORITY.levels, MAJORITY.build, MAJORITY.read))


def test_a_task_lacks_no_level() -> None:
    levels = {"easy": LEVELS["easy"]}
    with pytest.raises(SpecError, match="it has the levels easy, not easy, medium, hard"):
        SYNTHETIC_TASKS.register(type(MAJORITY)("one_level_only", levels, MAJORITY.build, MAJORITY.read))


# An SAE layout


def test_a_layout_is_told_by_its_file(tmp_path: Path) -> None:
    sae = small_sae()
    write(sae, tmp_path)
    for layout in ("auto", "plain"):
        read = read_any_sae(tmp_path, layout=layout, layer=2)
        assert (read.layout, read.layer) == ("plain", 2)
        assert read.sae.fingerprint() == sae.fingerprint()
    with pytest.raises(SpecError, match="Did you mean 'plain'"):
        read_any_sae(tmp_path, layout="plane")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SpecError, match=r"gemma_scope, plain\)"):
        read_any_sae(tmp_path / "empty")


# A metric


def test_a_metric_is_got_by_name() -> None:
    items = [
        ScoredItem(id=f"{n}", answer=answer, gold="truck", fields={"topic": topic})
        for n, (answer, topic) in enumerate([("tram", "rail"), ("car", "road")])
    ]
    figures = metrics.get("lenient").aggregate(items)
    assert {name: quantity.value() for name, quantity in figures.items()} == {
        "first_letter": 0.5,
        "first_letter[rail]": 1.0,
        "first_letter[road]": 0.0,
    }
    with pytest.raises(SpecError, match="it has no aggregate, canonicalise, columns, main, score"):
        METRICS.register(SQUARE)  # type: ignore[arg-type]


# A backend


def test_a_backend_answers_a_session() -> None:
    load = import_module("vsc_eval.backends.hf.load")
    vlm = load.load_vlm("vsc-tiny", weights=False)
    session = open_session(vlm, ["counting:square=1"], backend="echo", options={"word": "B"})
    assert session.engine.answer_mark == "echo-B"
    assert session.engine.read([], [None], GenSettings(scoring="generate")) == [[]]
    with pytest.raises(SpecError, match="echo has no option loud"):
        open_session(vlm, backend="echo", options={"loud": True})
    with pytest.raises(SpecError, match="transformers has no option 'word'"):
        open_session(vlm, options={"word": "B"})


def test_a_backend_is_known_to_specs() -> None:
    assert json.loads(RunSpec(backend="echo").model_dump_json())["backend"] == "echo"
    with pytest.raises(ValueError, match=r"backend 'ecko'. Did you mean 'echo'. Known backends: hf, vllm, echo"):
        RunSpec(backend="ecko")
