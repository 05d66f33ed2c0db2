"""The training-time activations against dense second implementations, forwards and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vsc_eval.sae.model import SAE, SAEConfig
from vsc_eval.sae.options import TrainConfig
from vsc_eval.sae.sparsity import BatchTopK, Fired, JumpReLU, TopK

N, D, F, K = 30, 8, 32, 4


def make(seed: int = 0) -> tuple[SAE, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sae = SAE(SAEConfig(d_in=D, d_sae=F, k=K))
    with torch.no_grad():
        for parameter in sae.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    pre = torch.randn(N, F, generator=generator).requires_grad_()
    return sae, pre


def gradients(loss: Tensor, *of: Tensor) -> list[Tensor]:
    found = torch.autograd.grad(loss, of, allow_unused=True, retain_graph=True)
    return [torch.zeros_like(t) if g is None else g for g, t in zip(found, of, strict=True)]


def assert_same(fired: Fired, dense: Tensor, sae: SAE, pre: Tensor) -> None:
    """`fired` rebuilds what the activations `dense` [n, F] do, with the same gradients."""
    rebuilt = dense @ sae.W_dec + sae.b_dec
    torch.testing.assert_close(fired.reconstruction, rebuilt, rtol=1e-4, atol=1e-5)
    assert sorted(fired.features.tolist()) == sorted(dense.nonzero()[:, 1].tolist())
    weight = torch.randn(N, D, generator=torch.Generator().manual_seed(7))
    of = (pre, sae.W_dec, sae.b_dec)
    for ours, theirs in zip(
        gradients((fired.reconstruction * weight).sum(), *of), gradients((rebuilt * weight).sum(), *of), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_topk_is_the_saes_own() -> None:
    sae, pre = make()
    kept = pre.topk(K, dim=-1)
    dense = torch.zeros_like(pre).scatter(1, kept.indices, kept.values.relu())
    assert_same(TopK().fire(sae, pre, 0), dense, sae, pre)
    assert TopK().threshold() is None


def test_batchtopk_takes_the_largest_of_the_batch() -> None:
    sae, pre = make()
    sparsity = BatchTopK(TrainConfig(activation="batchtopk", d_sae=F, k=K))
    cut = pre.detach().flatten().sort(descending=True).values[K * N - 1]
    dense = torch.where(pre >= cut, pre, 0.0)
    assert (dense > 0).sum() == K * N
    assert len(set((dense > 0).sum(1).tolist())) > 1, "rows must differ, or a top-k would pass too"
    assert_same(sparsity.fire(sae, pre, 0), dense, sae, pre)
    torch.testing.assert_close(sparsity.threshold(), cut.expand(F))


def test_batchtopk_fires_nothing_that_is_not_positive() -> None:
    sae, pre = make()
    sparsity = BatchTopK(TrainConfig(activation="batchtopk", d_sae=F, k=K))
    few = (pre.detach() - 2.0).requires_grad_()
    assert_same(sparsity.fire(sae, few, 0), few.relu(), sae, few)
    none = torch.full((N, F), -1.0, requires_grad=True)
    before = sparsity.threshold()
    fired = sparsity.fire(sae, none, 1)
    assert not len(fired.features)
    torch.testing.assert_close(fired.reconstruction, sae.b_dec.expand(N, D))
    assert torch.equal(sparsity.threshold(), before)


def test_the_running_threshold_forgets() -> None:
    sae, pre = make()
    sparsity = BatchTopK(TrainConfig(activation="batchtopk", d_sae=F, k=K, threshold_decay=0.5))
    cut = float(pre.detach().flatten().sort(descending=True).values[K * N - 1])
    for step, scale in enumerate((1.0, 2.0, 4.0)):
        sparsity.fire(sae, pre.detach() * scale, step)
    expected = (0.125 * 1 + 0.25 * 2 + 0.5 * 4) / 0.875 * cut
    assert float(sparsity.threshold()[0]) == pytest.approx(expected, rel=1e-5)


def jumprelu(**changes: float) -> JumpReLU:
    cfg = TrainConfig(activation="jumprelu", d_sae=F, k=K, **{"bandwidth": 0.1, "l0_warmup_steps": 10, **changes})  # type: ignore[arg-type]
    sparsity = JumpReLU(cfg, D)
    with torch.no_grad():
        sparsity.log_threshold.copy_(torch.linspace(-1.0, 0.5, F))
    return sparsity


def test_jumprelu_fires_above_each_features_threshold() -> None:
    sae, pre = make()
    sparsity = jumprelu()
    dense = torch.where(pre > sparsity.threshold(), pre, 0.0)
    fired = sparsity.fire(sae, pre, 0)
    assert_same(fired, dense, sae, pre)
    l0 = float((dense > 0).sum()) / N
    expected = (l0 / K - 1) ** 2
    assert torch.as_tensor(fired.penalty).item() == pytest.approx(0.1 * expected, rel=1e-5), "a tenth of it at step 0"
    assert torch.as_tensor(sparsity.fire(sae, pre, 30).penalty).item() == pytest.approx(expected, rel=1e-5)


def test_jumprelu_thresholds_get_the_papers_gradients() -> None:
    """-theta/e K((z - theta)/e) for the activation and -1/e K for the step, through exp to the log-threshold."""
    sae, pre = make()
    sparsity = jumprelu()
    theta, width = sparsity.threshold(), 0.1 * D**0.5
    fired = sparsity.fire(sae, pre, 30)
    weight = torch.randn(N, D, generator=torch.Generator().manual_seed(7))
    (to_log,) = gradients((fired.reconstruction * weight).sum(), sparsity.log_threshold)
    to_activation = weight @ sae.W_dec.detach().T
    kernel = ((pre.detach() - theta).abs() < width / 2) & (pre.detach() > 0)
    expected = (-theta / width * kernel * to_activation).sum(0) * theta
    assert (expected != 0).sum() > F // 2
    torch.testing.assert_close(to_log, expected, rtol=1e-4, atol=1e-5)
    penalty = torch.as_tensor(fired.penalty)
    to_pre, to_log = gradients(penalty, pre, sparsity.log_threshold)
    l0 = float((pre.detach() > theta).sum()) / N
    expected = (2 / K * (l0 / K - 1) * (-1 / width * kernel / N)).sum(0) * theta
    assert not to_pre.any(), "the penalty moves thresholds, not the encoder"
    torch.testing.assert_close(to_log, expected, rtol=1e-4, atol=1e-6)


def test_jumprelu_starts_where_k_features_fire() -> None:
    sae, pre = make()
    sparsity = jumprelu()
    sparsity.start_at(pre.detach())
    assert len(sparsity.fire(sae, pre, 0).features) == pytest.approx(K * N, abs=1)
    sparsity.start_at(torch.full((N, F), -1.0))
    assert torch.isfinite(sparsity.log_threshold).all()
