"""Random directions of matched norm: equal norms, other directions, exact zeros, hashes of old edits, both engines."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from vsc_eval.errors import SpecError
from vsc_eval.interventions.edits import CompiledCondition, compile_condition, edit_delta, random_directions
from vsc_eval.sae.model import SAE, SAEConfig
from vsc_eval.specs import (
    ConditionSpec,
    EditSpec,
    FeatureSet,
    SweepSpec,
    load_yaml_spec,
    parse_condition,
    save_yaml_spec,
)

D, F, K = 24, 40, 5
SCALE = EditSpec(kind="scale", value=2.0)
SETS = {
    "a": FeatureSet(name="a", indices=(7, 3, 1, 12, 30)),
    "b": FeatureSet(name="b", indices=(20, 21, 22, 39, 0)),
    "shares": FeatureSet(name="shares", indices=(3, 20, 33)),
}
EDITS = (
    "a:scale=3",
    "a+b:ablate",
    "a+shares",
    "b:clamp=0.5",
    "a+shares:add=2",
    "a+b:scale=3:norm=mean",
    "a+b:norm=max",
)


def make_sae(seed: int = 0, d: int = D) -> SAE:
    generator = torch.Generator().manual_seed(seed)
    sae = SAE(SAEConfig(d_in=d, d_sae=F, k=K)).requires_grad_(False)
    for parameter in sae.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return sae


def hidden(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, D, generator=torch.Generator().manual_seed(1000 + seed))


def compiled(expression: str, sae: SAE) -> CompiledCondition:
    return compile_condition(parse_condition(expression, SCALE), SETS, sae, layer=2)


def delta(expression: str, sae: SAE, h: Tensor) -> Tensor:
    return edit_delta(compiled(expression, sae), h, sae.encode_sparse(h), sae)


@given(seed=st.integers(0, 50), expression=st.sampled_from(EDITS))
def test_every_token_moves_as_far_as_in_the_real_edit(seed: int, expression: str) -> None:
    sae, h = make_sae(seed), hidden(seed, 12)
    real, random = delta(expression, sae, h), delta(f"{expression}:random={seed}", sae, h)
    torch.testing.assert_close(random.norm(dim=-1), real.norm(dim=-1), rtol=1e-5, atol=0.0)
    assert torch.equal(random.any(-1), real.any(-1))


def test_against_loops() -> None:
    """One token by the definition, in float64, with rows whose lengths differ."""
    sae, h = make_sae(), hidden(1, 3)
    z, rows = sae.encode(h)[0].double(), sae.W_dec.double()
    union = sorted({*SETS["a"].indices, *SETS["b"].indices})
    drawn = random_directions(5, torch.tensor(union), D).double()
    real = sum((2.0 * z[i] * rows[i] for i in union), torch.zeros(D, dtype=torch.float64))
    turned = sum((2.0 * z[i] * rows[i].norm() * drawn[s] for s, i in enumerate(union)), torch.zeros_like(real))
    expected = turned / turned.norm() * real.norm()
    torch.testing.assert_close(delta("a+b:scale=3:random=5", sae, h)[0].double(), expected, rtol=1e-5, atol=1e-5)


def test_directions_are_isotropic_unit_vectors() -> None:
    drawn = random_directions(0, torch.arange(4000), D)
    torch.testing.assert_close(drawn.norm(dim=1), torch.ones(4000))
    # Mean 0 and covariance 1 / d, each within five standard errors.
    assert drawn.mean(0).abs().max() < 5 / (4000 * D) ** 0.5
    assert (drawn.T @ drawn / 4000 - torch.eye(D) / D).abs().max() < 5 * (2 / 4000) ** 0.5 / D


def test_random_directions_know_nothing_of_the_decoder() -> None:
    sae, h = make_sae(), hidden(2, 40)
    real = delta("a+b:scale=3", sae, h)
    moved = real.any(-1)
    assert moved.sum() > 10
    cosines = torch.stack(
        [
            torch.cosine_similarity(real, delta(f"a+b:scale=3:random={seed}", sae, h))[moved].mean()
            for seed in range(200)
        ]
    )
    assert abs(float(cosines.mean())) < 4 * float(cosines.std()) / 200**0.5
    assert float(cosines.std()) < 2 / D**0.5


def test_a_feature_keeps_its_direction_in_sets_and_unions_of_one_seed() -> None:
    sae = make_sae()
    single, union, other = (compiled(e, sae) for e in ("a:random=4", "a+b:ablate:random=4", "a:random=5"))
    assert single.directions is not None
    assert union.directions is not None
    assert other.directions is not None
    assert torch.equal(union.directions[union.member_masks[0]], single.directions)
    assert not torch.isclose(other.directions, single.directions).all(1).any()
    assert compiled("a", sae).directions is None


def test_directions_are_the_same_everywhere() -> None:
    """Pinned: a stored answer of seed 0 must mean the same directions on any machine and after any change."""
    drawn = random_directions(0, torch.tensor([3, 17]), 4)
    expected = [[0.7052014, 0.2880977, 0.6465093, 0.0414286], [-0.5651406, -0.2426411, -0.5273988, -0.5861672]]
    torch.testing.assert_close(drawn, torch.tensor(expected), rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("expression", ["a:scale=1", "a+b:scale=1:norm=mean", "a+b:add=0:norm=max", "a:add=0"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_zero_strength_is_exactly_nothing(expression: str, dtype: torch.dtype) -> None:
    h = hidden(3, 2, 5).to(dtype)
    out = delta(f"{expression}:random=1", make_sae(), h)
    assert out.dtype == dtype
    assert not out.any()


def test_a_token_does_not_depend_on_the_others() -> None:
    sae, h = make_sae(), hidden(4, 9)
    whole = delta("a+b:scale=3:norm=mean:random=2", sae, h)
    assert torch.equal(delta("a+b:scale=3:norm=mean:random=2", sae, h), whole)
    for row in range(9):
        torch.testing.assert_close(delta("a+b:scale=3:norm=mean:random=2", sae, h[row : row + 1])[0], whole[row])


PINNED = {
    "a:scale=2": ("6b6c1f5e1fc0a87f", "e614e332080eae9b", "f7464612082a999a"),
    "a:ablate:image": ("2381ce6cf87b4269", "600bb2ddeec09505", "c3331e073dec0829"),
    "b:clamp=0.5:last:prefill": ("9c7bfcee0d2f902c", "4dd7619199b423a8", "943a853458d6e8b2"),
    "a+shares:add=2": ("6661a07aeef3bc78", "f5365bcfe0745d27", "60e74635cac3ebcc"),
    "a+b:scale=3:norm=mean": ("d0fb74832ae0f5c2", "998790bac8860160", "3973a641eedf116b"),
}
"""Hashes of edit, condition and compiled condition, taken before there were random directions."""


@pytest.mark.parametrize("expression", PINNED)
def test_edits_without_it_keep_their_hashes(expression: str) -> None:
    spec = parse_condition(expression, SCALE)
    assert spec.edit is not None
    compiled_hash = compiled_in_six_dimensions(expression).content_hash
    assert (spec.edit.content_hash(), spec.content_hash(), compiled_hash) == PINNED[expression]
    with_it = compiled_in_six_dimensions(f"{expression}:random=0").content_hash
    assert len({with_it, compiled_hash, compiled_in_six_dimensions(f"{expression}:random=1").content_hash}) == 3


def compiled_in_six_dimensions(expression: str) -> CompiledCondition:
    return compile_condition(parse_condition(expression, SCALE), SETS, make_sae(d=6), layer=2)


def test_dumps_name_it_only_where_it_is(tmp_path: Path) -> None:
    assert list(SCALE.model_dump()) == ["kind", "value", "positions", "decode", "norm_match"]
    spec = SweepSpec(conditions=(parse_condition("a", SCALE), parse_condition("a:random=0", SCALE)))
    save_yaml_spec(tmp_path / "sweep.yaml", spec)
    assert (tmp_path / "sweep.yaml").read_text().count("random_directions") == 1
    assert load_yaml_spec(tmp_path / "sweep.yaml", SweepSpec) == spec
    assert ConditionSpec.model_validate_json(spec.conditions[1].model_dump_json()) == spec.conditions[1]


def test_the_modifier() -> None:
    edit = parse_condition("a+b:ablate:norm=mean:random=12", SCALE).edit
    assert edit is not None
    assert edit.random_directions == 12
    assert parse_condition("a", edit).edit == EditSpec(kind="ablate", random_directions=12)
    for wrong in ("random", "random=", "random=-1", "random=1.5", "random=x"):
        with pytest.raises(SpecError, match=rf"Unknown modifier '{wrong}'.*random=SEED"):
            parse_condition(f"a:{wrong}", SCALE)
    with pytest.raises(SpecError, match="contradict or repeat"):
        parse_condition("a:random=1:random=2", SCALE)
