"""Specs: YAML and JSON round trips, hashes, and what a wrong file is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from vsc_eval.errors import SpecError
from vsc_eval.specs import (
    ConditionSpec,
    EditSpec,
    FeatureSet,
    InterventionSpec,
    NormMatch,
    SweepSpec,
    expand_condition,
    load_yaml_spec,
    parse_condition,
    parse_conditions,
    save_yaml_spec,
    split_names,
)

SCALE = EditSpec(kind="scale", value=2.0)

GOOD_INTERVENTION = """
model: vsc-tiny
layer: 3
sae: sae
default_edit: {kind: scale, value: 2, positions: image}
sets:
- {name: counting, indices: [3, 1]}
- {name: logic, indices: [2], scores: [0.5]}
"""

finite = st.floats(-1e6, 1e6)
positions = st.sampled_from(["image", "text", "last", "all"])
valued_edits = st.builds(
    EditSpec, kind=st.sampled_from(["scale", "clamp", "add"]), value=finite, positions=positions, decode=st.booleans()
)
edits = valued_edits | st.builds(EditSpec, kind=st.just("ablate"), positions=positions, decode=st.booleans())
norms = st.none() | st.builds(NormMatch, reference=st.sampled_from(["mean", "max"]))


@st.composite
def conditions(draw: st.DrawFn) -> ConditionSpec:
    sets = draw(st.lists(st.sampled_from(["a", "b", "c.1", "d-2"]), max_size=3, unique=True))
    if not sets:
        return ConditionSpec(name=draw(st.text(min_size=1)))
    edit = draw(edits)
    if len(sets) > 1:
        edit = edit.model_copy(update={"norm_match": draw(norms)})
    return ConditionSpec(name="+".join(sets), sets=tuple(sets), edit=edit)


@given(condition=conditions())
def test_json_round_trip_keeps_value_and_hash(condition: ConditionSpec) -> None:
    again = ConditionSpec.model_validate_json(condition.model_dump_json())
    assert again == condition
    assert again.content_hash() == condition.content_hash()


@given(sweep=st.lists(conditions(), min_size=1, max_size=4, unique_by=lambda c: c.name))
def test_yaml_round_trip(tmp_path_factory: pytest.TempPathFactory, sweep: list[ConditionSpec]) -> None:
    path = tmp_path_factory.mktemp("yaml") / "sweep.yaml"
    spec = SweepSpec(conditions=tuple(sweep))
    save_yaml_spec(path, spec)
    assert load_yaml_spec(path, SweepSpec) == spec


def test_intervention_round_trip(tmp_path: Path) -> None:
    spec = _load(tmp_path, GOOD_INTERVENTION)
    assert spec.get("counting").indices == (3, 1)
    save_yaml_spec(tmp_path / "again.yaml", spec)
    assert load_yaml_spec(tmp_path / "again.yaml", InterventionSpec) == spec


def test_every_field_changes_the_hash() -> None:
    base = ConditionSpec(name="a", sets=("a",), edit=SCALE)
    others = [
        base.model_copy(update={"name": "b"}),
        base.model_copy(update={"sets": ("b",)}),
        base.model_copy(update={"edit": EditSpec(kind="scale", value=2.5)}),
        base.model_copy(update={"edit": EditSpec(kind="add", value=2.0)}),
        base.model_copy(update={"edit": EditSpec(kind="scale", value=2.0, positions="last")}),
        base.model_copy(update={"edit": EditSpec(kind="scale", value=2.0, decode=False)}),
    ]
    assert len({spec.content_hash() for spec in (base, *others)}) == 1 + len(others)


def test_specs_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        SCALE.value = 3.0  # type: ignore[misc]


def _load(folder: Path, text: str) -> InterventionSpec:
    path = folder / "intervention.yaml"
    path.write_text(text, encoding="utf-8")
    return load_yaml_spec(path, InterventionSpec)


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        ("layr: 3", "layer: 3", ":3: layr: unknown key. Did you mean 'layer'?"),
        ("postions: image", "positions: image", ":5: default_edit.postions: unknown key. Did you mean 'positions'?"),
        ("indicies: [2]", "indices: [2]", ":8: sets[1].indicies: unknown key. Did you mean 'indices'?"),
        ("layer: -1", "layer: 3", ":3: layer: input should be greater than or equal to 0, not -1."),
        ("kind: skale", "kind: scale", ":5: default_edit.kind: unknown edit kind 'skale'. Did you mean 'scale'?"),
        ("value: .nan", "value: 2", ":5: default_edit.value: input should be a finite number, not nan."),
        ("sae: sae\nlayer: 4", "sae: sae", ":5: layer: the key is there twice"),
        ("", "sae: sae", ":2: sae: the key is missing."),
        ("name: logic, indices: [2, 2]", "name: logic, indices: [2]", "indices must be distinct and >= 0"),
        ("indices: []", "indices: [3, 1]", "feature set 'counting' has no indices"),
        ("name: counting, indices: [2]", "name: logic, indices: [2]", "two feature sets have the same name"),
        ("name: baseline", "name: counting", "no feature set can be named `baseline`"),
        ("name: a+b", "name: counting", "may hold letters, digits"),
        ("scores: [0.5, 0.1]", "scores: [0.5]", "has 1 indices but 2 scores"),
        ("sae: [", "sae: sae", "no YAML: expected ',' or ']'"),
    ],
)
def test_a_wrong_intervention_is_told_where_and_what(tmp_path: Path, wrong: str, right: str, message: str) -> None:
    assert right in GOOD_INTERVENTION
    with pytest.raises(SpecError) as caught:
        _load(tmp_path, GOOD_INTERVENTION.replace(right, wrong, 1))
    assert "intervention.yaml" in str(caught.value)
    assert message in str(caught.value)
    assert "Value error" not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(("text", "message"), [("", "is empty"), ("- a", "holds a list"), ("word", "holds a word")])
def test_a_file_without_keys(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        _load(tmp_path, text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="There is no file"):
        load_yaml_spec(tmp_path / "no.yaml", SweepSpec)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="no text in UTF-8"):
        load_yaml_spec(tmp_path / "binary.yaml", SweepSpec)


def test_unknown_set_names_the_closest() -> None:
    intervention = InterventionSpec(
        model="m", layer=0, sae="sae", default_edit=SCALE, sets=(FeatureSet(name="counting", indices=(1,)),)
    )
    with pytest.raises(SpecError, match="Did you mean 'counting'"):
        intervention.get("countng")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("baseline", ConditionSpec(name="baseline")),
        ("a", ConditionSpec(name="a", sets=("a",), edit=SCALE)),
        ("a+b", ConditionSpec(name="a+b", sets=("a", "b"), edit=SCALE)),
        ("a:ablate", ConditionSpec(name="a:ablate", sets=("a",), edit=EditSpec(kind="ablate"))),
        (
            "a+b:clamp=5:image:norm=max:prefill",
            ConditionSpec(
                name="a+b:clamp=5:image:norm=max:prefill",
                sets=("a", "b"),
                edit=EditSpec(
                    kind="clamp", value=5, positions="image", decode=False, norm_match=NormMatch(reference="max")
                ),
            ),
        ),
        (
            " a:add=-1.5:last ",
            ConditionSpec(name="a:add=-1.5:last", sets=("a",), edit=EditSpec(kind="add", value=-1.5, positions="last")),
        ),
    ],
)
def test_condition_expressions(expression: str, expected: ConditionSpec) -> None:
    assert parse_condition(expression, SCALE) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a", ["a"]),
        (" a+b:ablate:image ", ["a+b:ablate:image"]),
        ("a:scale=0, 0.5,1", ["a:scale=0", "a:scale=0.5", "a:scale=1"]),
        ("a:add=-1,1e2:last", ["a:add=-1:last", "a:add=1e2:last"]),
        (
            "a:clamp=1,2:random=3,4",
            ["a:clamp=1:random=3", "a:clamp=1:random=4", "a:clamp=2:random=3", "a:clamp=2:random=4"],
        ),
    ],
)
def test_a_grid_stands_for_its_conditions_as_if_written_out(expression: str, expected: list[str]) -> None:
    assert list(expand_condition(expression)) == expected
    assert parse_conditions([expression], SCALE) == [parse_condition(name, SCALE) for name in expected]


def test_a_grid_is_refused_where_one_condition_belongs_and_when_a_number_is_missing() -> None:
    with pytest.raises(SpecError, match=r"'a:scale=0,1' is a grid of 2 conditions, where one belongs.*`a:scale=0`"):
        parse_condition("a:scale=0,1", SCALE)
    for wrong in ("a:scale=0,,1", "a:scale=0,"):
        with pytest.raises(SpecError, match="'' in condition 'a:scale=' is not a number"):
            parse_conditions([wrong], SCALE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b", ("a", "b")),
        (" a , b,,", ("a", "b")),
        ("a:scale=0,0.5,1,b:ablate", ("a:scale=0,0.5,1", "b:ablate")),
        ("a:scale=.5,1.,-2e-3:image,b", ("a:scale=.5,1.,-2e-3:image", "b")),
        ("a:clamp=1,2:random=3,4:image,5", ("a:clamp=1,2:random=3,4:image", "5")),
        ("a:scale=2:image,3", ("a:scale=2:image", "3")),
        ("a,3", ("a", "3")),
        ("a:norm=max,3", ("a:norm=max", "3")),
        ("a:scale=1,2.1.3", ("a:scale=1", "2.1.3")),
    ],
)
def test_a_list_is_split_at_commas_that_do_not_go_on_with_numbers(text: str, expected: tuple[str, ...]) -> None:
    assert split_names(text) == expected


def test_a_default_norm_match_is_for_unions_only() -> None:
    default = EditSpec(kind="scale", value=2.0, norm_match=NormMatch())
    assert parse_condition("a", default).edit == SCALE
    assert parse_condition("a+b", default).edit == default


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("baseline:scale=2", "the baseline takes no edit"),
        ("a:scale=two", "'two' in condition 'a:scale=two' is not a number"),
        ("a:scale=nan", "finite number"),
        ("a:scale", "'' in condition"),
        ("a:ablate=3", "Unknown modifier 'ablate=3'"),
        ("a:everywhere", "Unknown modifier 'everywhere'"),
        ("a:norm=mean", "needs a combined edit"),
        ("a:scale=2:ablate", "'scale=2' and 'ablate' contradict"),
        ("a:image:scale=2:text", "'image' and 'text' contradict"),
        ("a:prefill:prefill", "repeat each other"),
        ("a+a", "named twice"),
        ("a+", "empty feature set"),
        ("", "empty feature set"),
    ],
)
def test_wrong_expressions(expression: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_condition(expression, SCALE)
    assert message in str(caught.value)
    assert "Value error" not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "ablate", "value": 1.0},
        {"kind": "scale"},
        {"kind": "scale", "value": float("inf")},
        {"kind": "scale", "value": 2.0, "where": "all"},
    ],
)
def test_edits_that_make_no_sense(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        EditSpec.model_validate(values)


@pytest.mark.parametrize(
    "values",
    [
        {"name": "x", "sets": ("a",)},
        {"name": "x", "edit": SCALE},
        {"name": "", "sets": ("a",), "edit": SCALE},
        {"name": "baseline", "sets": ("a",), "edit": SCALE},
    ],
)
def test_conditions_that_make_no_sense(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ConditionSpec.model_validate(values)
