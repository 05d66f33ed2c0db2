"""Edits: hand-worked deltas, algebra, norm matching, exact zeros, dtypes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from vsc_eval.errors import DataError, SpecError
from vsc_eval.interventions.edits import BASELINE_HASH, CompiledCondition, compile_condition, edit_delta, position_mask
from vsc_eval.sae.model import SAE, SAEConfig, SparseCodes
from vsc_eval.specs import ConditionSpec, EditSpec, FeatureSet, parse_condition

D, F, K = 6, 40, 5
SCALE = EditSpec(kind="scale", value=2.0)
SETS = {
    "a": FeatureSet(name="a", indices=(7, 3, 1, 12, 30)),
    "b": FeatureSet(name="b", indices=(20, 21, 22, 39, 0)),
    "shares": FeatureSet(name="shares", indices=(3, 20, 33)),
    "same": FeatureSet(name="same", indices=(1, 3, 7, 12, 30)),
}


def make_sae(seed: int = 0, k: int = K) -> SAE:
    generator = torch.Generator().manual_seed(seed)
    sae = SAE(SAEConfig(d_in=D, d_sae=F, k=k)).requires_grad_(False)
    for parameter in sae.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return sae


def hidden(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, D, generator=torch.Generator().manual_seed(1000 + seed))


def compiled(expression: str, sae: SAE) -> CompiledCondition:
    return compile_condition(parse_condition(expression, SCALE), SETS, sae, layer=2)


def delta(expression: str, sae: SAE, h: Tensor) -> Tensor:
    return edit_delta(compiled(expression, sae), h, sae.encode_sparse(h), sae)


def by_loops(expression: str, sae: SAE, h: Tensor) -> Tensor:
    """The definition in EditSpec, feature by feature, from dense activations; h [n, d]."""
    spec = parse_condition(expression, SCALE)
    assert spec.edit is not None
    z = sae.encode(h)
    out = torch.zeros(len(h), D, dtype=torch.float64)
    for i in sorted({i for name in spec.sets for i in SETS[name].indices}):
        row = sae.W_dec[i].double()
        for t in range(len(h)):
            activation, value = z[t, i].double(), spec.edit.value
            match spec.edit.kind:
                case "scale":
                    out[t] += (value - 1) * activation * row  # type: ignore[operator]
                case "ablate":
                    out[t] -= activation * row
                case "clamp":
                    out[t] += (value - activation) * row
                case "add":
                    out[t] += value * row / row.norm()  # type: ignore[operator]
    return out


def test_by_hand() -> None:
    # Two features along the axes; z = (3, 0) at the first token and (0, 5) at the second.
    sae = SAE(SAEConfig(d_in=2, d_sae=2, k=1)).requires_grad_(False)
    sae.W_enc.copy_(torch.eye(2))
    sae.W_dec.copy_(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
    h = torch.tensor([[3.0, 1.0], [-1.0, 5.0]])
    codes = sae.encode_sparse(h)
    sets = {"x": FeatureSet(name="x", indices=(0,)), "y": FeatureSet(name="y", indices=(1,))}

    def of(expression: str) -> list[list[float]]:
        condition = compile_condition(parse_condition(expression, SCALE), sets, sae, 0)
        return edit_delta(condition, h, codes, sae).tolist()  # type: ignore[no-any-return]

    assert of("x:scale=1.5") == [[3, 0], [0, 0]]
    assert of("x:ablate") == [[-6, 0], [0, 0]]
    assert of("y:clamp=2") == [[0, 8], [0, -12]]
    assert of("y:add=3") == [[0, 3], [0, 3]]
    assert of("x+y:scale=2") == [[6, 0], [0, 20]]
    assert of("x+y:scale=2:norm=mean") == [[3, 0], [0, 10]]
    assert of("x+y:scale=2:norm=max") == [[6, 0], [0, 20]]


@pytest.mark.parametrize(
    "expression", ["a:scale=3", "a:scale=-1", "a+b:ablate", "a+shares", "b:clamp=0.5", "a+shares:add=2"]
)
def test_against_loops(expression: str) -> None:
    sae, h = make_sae(), hidden(1, 9)
    torch.testing.assert_close(delta(expression, sae, h).double(), by_loops(expression, sae, h), rtol=1e-5, atol=1e-5)


def test_ablating_everything_leaves_what_the_sae_does_not_explain() -> None:
    sae, h = make_sae(), hidden(2, 7)
    sets = {"all": FeatureSet(name="all", indices=tuple(range(F)))}
    condition = compile_condition(parse_condition("all:ablate", SCALE), sets, sae, 0)
    error_term = h - sae(h)
    after = h + edit_delta(condition, h, sae.encode_sparse(h), sae)
    torch.testing.assert_close(after, error_term + sae.b_dec, rtol=1e-5, atol=1e-4)


seeds = st.integers(0, 50)
strengths = st.floats(-8, 8)


@given(seed=seeds, alpha=strengths, beta=strengths)
def test_scale_is_linear_in_its_strength(seed: int, alpha: float, beta: float) -> None:
    sae, h = make_sae(seed), hidden(seed, 4)
    together = delta(f"a+b:scale={1 + alpha + beta}", sae, h)
    apart = delta(f"a+b:scale={1 + alpha}", sae, h) + delta(f"a+b:scale={1 + beta}", sae, h)
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-3)


@given(seed=seeds, alpha=strengths, kind=st.sampled_from(["scale", "clamp", "add"]))
def test_disjoint_unions_add_up(seed: int, alpha: float, kind: str) -> None:
    sae, h = make_sae(seed), hidden(seed, 4)
    single = delta(f"a:{kind}={alpha}", sae, h) + delta(f"b:{kind}={alpha}", sae, h)
    torch.testing.assert_close(delta(f"a+b:{kind}={alpha}", sae, h), single, rtol=1e-4, atol=1e-3)


@given(seed=seeds, kind=st.sampled_from(["scale=3", "ablate", "clamp=2", "add=1"]))
def test_a_feature_in_two_sets_counts_once(seed: int, kind: str) -> None:
    sae, h = make_sae(seed), hidden(seed, 4)
    assert torch.equal(delta(f"a+same:{kind}", sae, h), delta(f"a:{kind}", sae, h))


@given(
    seed=seeds,
    kind=st.sampled_from(["scale=3", "ablate", "clamp=2", "add=1"]),
    norm=st.sampled_from(["", ":norm=mean", ":norm=max"]),
)
def test_the_order_of_sets_does_not_matter(seed: int, kind: str, norm: str) -> None:
    sae, h = make_sae(seed), hidden(seed, 4)
    forth, back = f"a+shares:{kind}{norm}", f"shares+a:{kind}{norm}"
    assert torch.equal(delta(forth, sae, h), delta(back, sae, h))
    assert compiled(forth, sae).content_hash == compiled(back, sae).content_hash


@pytest.mark.parametrize(
    "expression", ["a:scale=1", "a+b:scale=1", "a+b:scale=1:norm=mean", "a+b:add=0:norm=max", "baseline"]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_zero_strength_is_exactly_nothing(expression: str, dtype: torch.dtype) -> None:
    sae, h = make_sae(), hidden(3, 2, 5).to(dtype)
    out = delta(expression, sae, h)
    assert out.dtype == dtype
    assert not out.any()
    assert torch.equal((h + out).view(torch.uint8), h.view(torch.uint8))


def test_only_tokens_that_fire_an_edited_feature_move() -> None:
    sae, h = make_sae(), hidden(4, 50)
    moved = delta("a:scale=3", sae, h).any(-1)
    fires = (sae.encode(h)[:, list(SETS["a"].indices)] > 0).any(-1)
    assert torch.equal(moved, fires)
    assert 0 < fires.sum() < 50


@given(seed=seeds, reference=st.sampled_from(["mean", "max"]), kind=st.sampled_from(["scale=3", "clamp=2", "add=1"]))
def test_norm_matching_sets_the_norm_and_keeps_the_direction(seed: int, reference: str, kind: str) -> None:
    sae, h = make_sae(seed), hidden(seed, 6)
    plain, matched = delta(f"a+b:{kind}", sae, h), delta(f"a+b:{kind}:norm={reference}", sae, h)
    singles = torch.stack([delta(f"{name}:{kind}", sae, h).norm(dim=-1) for name in "ab"])
    target = singles.mean(0) if reference == "mean" else singles.amax(0)
    torch.testing.assert_close(matched.norm(dim=-1), target, rtol=1e-4, atol=1e-5)
    cosine = torch.nn.functional.cosine_similarity(plain, matched, dim=-1)
    assert (cosine[target > 0] > 0.9999).all()


def test_a_cancelled_union_stays_zero() -> None:
    # Opposite decoder rows with the same activation: rescaling rounding noise would make up a direction.
    sae = SAE(SAEConfig(d_in=2, d_sae=2, k=2)).requires_grad_(False)
    sae.W_dec.copy_(torch.tensor([[0.1, 0.3], [-0.1, -0.3]]))
    sets = {"x": FeatureSet(name="x", indices=(0,)), "y": FeatureSet(name="y", indices=(1,))}
    codes = SparseCodes(torch.tensor([[0, 1]]), torch.tensor([[1.0, 1.0]]))
    condition = compile_condition(parse_condition("x+y:scale=3:norm=max", SCALE), sets, sae, 0)
    assert not edit_delta(condition, torch.ones(1, 2), codes, sae).any()


def test_bf16_rounds_once_at_the_end() -> None:
    sae, h = make_sae(), hidden(5, 3, 4).to(torch.bfloat16)
    codes = sae.encode_sparse(h)
    condition = compiled("a+b:scale=3:norm=mean", sae)
    exact = edit_delta(condition, h.float(), codes, sae)
    assert torch.equal(edit_delta(condition, h, codes, sae), exact.to(torch.bfloat16))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(edit_delta(condition, h, sae.encode_sparse(h), sae), exact.to(torch.bfloat16))


def test_shapes_of_any_rank_agree() -> None:
    sae, h = make_sae(), hidden(6, 2, 3)
    whole = delta("a+b:scale=3", sae, h)
    assert torch.equal(delta("a+b:scale=3", sae, h.view(6, D)), whole.view(6, D))
    torch.testing.assert_close(delta("a+b:scale=3", sae, h[1, 2]), whole[1, 2])
    assert delta("a+b:scale=3", sae, h[:0]).shape == (0, 3, D)


@given(permutation=st.permutations(range(8)))
def test_rows_do_not_see_each_other(permutation: list[int]) -> None:
    sae, h = make_sae(), hidden(7, 8)
    order = torch.tensor(permutation)
    torch.testing.assert_close(
        delta("a+b:scale=3:norm=mean", sae, h[order]), delta("a+b:scale=3:norm=mean", sae, h)[order]
    )


def test_inputs_are_left_alone() -> None:
    sae, h = make_sae(), hidden(8, 4)
    codes = sae.encode_sparse(h)
    before = h.clone(), codes.indices.clone(), codes.values.clone(), sae.fingerprint()
    edit_delta(compiled("a+b:clamp=2:norm=max", sae), h, codes, sae)
    assert torch.equal(h, before[0])
    assert torch.equal(codes.indices, before[1])
    assert torch.equal(codes.values, before[2])
    assert sae.fingerprint() == before[3]


def test_content_hash_is_of_content() -> None:
    sae = make_sae()
    reference = compiled("a:scale=2", sae).content_hash
    same = [compiled("a", sae), compiled("same", sae), compiled("a+same", sae)]
    different = [
        compiled("a:scale=2.5", sae),
        compiled("a:image", sae),
        compiled("a:prefill", sae),
        compiled("a:add=2", sae),
        compiled("b", sae),
        compiled("a+b", sae),
        compiled("a+b:norm=max", sae),
        compiled("a", make_sae(seed=1)),
        compile_condition(parse_condition("a", SCALE), SETS, sae, layer=3),
    ]
    assert {condition.content_hash for condition in same} == {reference}
    assert len({reference, *(condition.content_hash for condition in different)}) == 1 + len(different)


def test_baseline() -> None:
    condition = compiled("baseline", make_sae())
    assert condition.spec.is_baseline
    assert condition.content_hash == BASELINE_HASH
    assert not compiled("a", make_sae()).spec.is_baseline


def test_compiled_parts() -> None:
    condition = compiled("a+shares", make_sae())
    assert [m.tolist() for m in condition.members] == [[1, 3, 7, 12, 30], [3, 20, 33]]
    assert condition.union.tolist() == [1, 3, 7, 12, 20, 30, 33]
    assert condition.slots[condition.union].tolist() == list(range(7))
    assert int((condition.slots == 7).sum()) == F - 7
    assert condition.union[condition.member_masks[1]].tolist() == [3, 20, 33]


def test_errors() -> None:
    sae = make_sae()
    sets = {"counting": SETS["a"]}
    with pytest.raises(SpecError, match=r"Unknown feature set 'countin'.*Did you mean 'counting'"):
        compile_condition(ConditionSpec(name="x", sets=("countin",), edit=SCALE), sets, sae, 0)
    too_far = {"far": FeatureSet(name="far", indices=(2, F))}
    with pytest.raises(SpecError, match=r"Feature index 40 of set 'far' is out of range.*has 40 features.*0 to 39"):
        compile_condition(parse_condition("far", SCALE), too_far, sae, 0)
    with pytest.raises(DataError, match="SAE has width 6, but the model's residual stream has width 256"):
        compile_condition(parse_condition("a", SCALE), SETS, sae, 0, d_model=256)


ATTENTION = torch.tensor([[0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])
IMAGE = torch.tensor([[0, 1, 1, 1, 0, 0], [0, 1, 0, 1, 0, 0], [1, 0, 0, 0, 1, 0]]).bool()


@pytest.mark.parametrize(
    ("positions", "expected"),
    [
        ("all", [[0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]]),
        ("image", [[0, 0, 1, 1, 0, 0], [0, 1, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0]]),
        ("text", [[0, 0, 0, 0, 1, 1], [1, 0, 1, 0, 1, 1], [0, 1, 1, 0, 0, 0]]),
        ("last", [[0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 1], [0, 0, 1, 0, 0, 0]]),
    ],
)
def test_position_masks_by_hand(positions: str, expected: list[list[int]]) -> None:
    mask = position_mask(positions, ATTENTION, IMAGE)  # type: ignore[arg-type]
    assert mask.dtype == torch.bool
    assert mask.int().tolist() == expected


def test_a_row_of_padding_has_no_positions() -> None:
    empty = torch.zeros(1, 4, dtype=torch.int64)
    for positions in ("all", "image", "text", "last"):
        assert not position_mask(positions, empty, torch.ones(1, 4, dtype=torch.bool)).any()  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=12))
def test_image_and_text_part_the_real_tokens(tokens: list[tuple[bool, bool]]) -> None:
    attention = torch.tensor([[real for real, _ in tokens]])
    image = torch.tensor([[is_image for _, is_image in tokens]])
    parts = [position_mask(p, attention, image) for p in ("image", "text", "all", "last")]  # type: ignore[arg-type]
    assert torch.equal(parts[0] ^ parts[1], parts[2])
    assert not (parts[0] & parts[1]).any()
    assert not (parts[3] & ~parts[2]).any()
    assert int(parts[3].sum()) == int(attention.any())
