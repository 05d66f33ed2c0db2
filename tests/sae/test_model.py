"""The SAE against a second, dense implementation; dtypes; fingerprints."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from vsc_eval.sae.model import SAE, SAEConfig

D, F = 7, 30


def make_sae(seed: int = 0, **changes: Any) -> SAE:
    generator = torch.Generator().manual_seed(seed)
    sae = SAE(SAEConfig(**{"d_in": D, "d_sae": F, "k": 4, **changes})).requires_grad_(False)
    for tensor in sae.state_dict().values():
        tensor.copy_(torch.randn(tensor.shape, generator=generator))
    return sae


def hidden(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, D, generator=torch.Generator().manual_seed(500 + seed))


def dense_reference(sae: SAE, h: Tensor) -> Tensor:
    """Activations [n, F] token by token in float64, from the definition in SAEConfig."""
    out = torch.zeros(len(h), F, dtype=torch.float64)
    for t, token in enumerate(h.double()):
        x = token - sae.b_dec.double() if sae.cfg.apply_b_dec_to_input else token
        pre = [float(x @ sae.W_enc[:, i].double() + sae.b_enc[i].double()) for i in range(F)]
        kept = set(range(F))
        if sae.cfg.activation == "topk":
            assert sae.cfg.k is not None
            kept = set(sorted(range(F), key=lambda i: -pre[i])[: sae.cfg.k])
        for i in kept:
            floor = 0.0 if sae.threshold is None else max(0.0, float(sae.threshold[i]))
            out[t, i] = pre[i] if pre[i] > floor else 0.0
    return out


@given(
    seed=st.integers(0, 200),
    activation=st.sampled_from(["topk", "relu", "jumprelu", "batchtopk"]),
    subtract=st.booleans(),
)
def test_against_a_dense_second_implementation(seed: int, activation: str, subtract: bool) -> None:
    sae = make_sae(seed, activation=activation, apply_b_dec_to_input=subtract)
    h = hidden(seed, 5)
    expected = dense_reference(sae, h)
    torch.testing.assert_close(sae.encode(h).double(), expected, rtol=1e-4, atol=1e-5)
    rebuilt = expected @ sae.W_dec.double() + sae.b_dec.double()
    torch.testing.assert_close(sae(h).double(), rebuilt, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(sae.encode(h) @ sae.W_dec + sae.b_dec, sae(h), rtol=1e-4, atol=1e-5)


def test_topk_does_not_count_what_is_not_positive() -> None:
    sae = make_sae()
    sae.b_enc.fill_(-100.0)
    codes = sae.encode_sparse(hidden(0, 3))
    assert codes.indices.shape == (3, 4)
    assert not codes.values.any()
    assert torch.equal(sae(hidden(0, 3)), sae.b_dec.expand(3, D))


def test_ties_give_one_of_the_equals_and_the_same_reconstruction() -> None:
    # Features 0..5 are copies: any two of them are a right answer, but exactly k fire and the output is fixed.
    sae = make_sae(k=2)
    sae.W_enc[:, :6] = sae.W_enc[:, :1]
    sae.W_dec[:6] = sae.W_dec[:1]
    sae.b_enc.zero_()
    sae.b_enc[:6] = 50.0
    h = hidden(1, 4)
    codes = sae.encode_sparse(h)
    assert (codes.values > 0).all()
    assert (codes.indices < 6).all()
    assert (codes.indices[:, 0] != codes.indices[:, 1]).all()
    torch.testing.assert_close(sae(h), 2 * codes.values[:, :1] * sae.W_dec[0] + sae.b_dec)


def test_ranks_and_rows_agree() -> None:
    sae, h = make_sae(), hidden(2, 2, 3)
    assert sae.encode_sparse(h).indices.shape == (2, 3, 4)
    torch.testing.assert_close(sae(h)[1, 2], sae(h[1, 2]))
    torch.testing.assert_close(sae(h).view(6, D), sae(h.view(6, D)))


def test_arithmetic_is_float32_whatever_comes_in() -> None:
    sae, h = make_sae(), hidden(3, 200).to(torch.bfloat16)
    exact = sae.encode_sparse(h.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = sae.encode_sparse(h)
    assert mixed.values.dtype == torch.float32
    assert mixed.indices.dtype == torch.int64
    assert torch.equal(mixed.to_dense(F), exact.to_dense(F))


def test_fingerprint_follows_weights_and_config() -> None:
    sae = make_sae()
    before = sae.fingerprint()
    assert before == sae.fingerprint() == make_sae().fingerprint()
    sae.W_dec[3, 2] += 1e-6 * sae.W_dec[3, 2].abs() + 1e-6
    assert sae.fingerprint() != before
    assert make_sae(k=5).fingerprint() != before
    assert make_sae(apply_b_dec_to_input=False).fingerprint() != before


@pytest.mark.parametrize("changes", [{"k": None}, {"k": F + 1}, {"d_in": 0}, {"activation": "gelu"}, {"kk": 3}])
def test_configs_that_make_no_sense(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SAEConfig(**{"d_in": D, "d_sae": F, "k": 4, **changes})
