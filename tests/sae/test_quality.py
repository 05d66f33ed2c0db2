"""Quality figures against hand-worked values."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from vsc_eval.errors import DataError
from vsc_eval.sae.model import SAE, SAEConfig
from vsc_eval.sae.quality import ReconstructionMeter, splice_quality


def axis_sae() -> SAE:
    """Rebuilds the larger of the two coordinates and drops the other; the third feature never fires."""
    sae = SAE(SAEConfig(d_in=2, d_sae=3, k=1)).requires_grad_(False)
    sae.W_enc.copy_(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    sae.W_dec.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    sae.b_enc[2] = -100.0
    return sae


def test_by_hand() -> None:
    meter = ReconstructionMeter(axis_sae())
    meter.update(torch.tensor([[3.0, 1.0], [1.0, 5.0]]))
    meter.update(torch.tensor([[-1.0, -3.0]]))
    quality = meter.result()
    # Errors: 1 + 1 + (1 + 9) = 12. Mean (1, 1); variance (4 + 0 + 4) + (0 + 16 + 16) = 40.
    assert quality.fvu == pytest.approx(12 / 40)
    assert quality.n_tokens == 3
    assert quality.n_dead == 1
    assert quality.mean_l0 == pytest.approx(2 / 3)


def test_batches_do_not_matter_even_with_a_large_offset() -> None:
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(300, 2, generator=generator) + torch.tensor([1000.0, 0.0])
    whole, parts = ReconstructionMeter(axis_sae()), ReconstructionMeter(axis_sae())
    whole.update(h)
    for chunk in h.split(7):
        parts.update(chunk)
    assert parts.result().fvu == pytest.approx(whole.result().fvu, rel=1e-9)
    error = (h.double() - axis_sae()(h).double()).square().sum()
    variance = (h.double() - h.double().mean(0)).square().sum()
    assert whole.result().fvu == pytest.approx(float(error / variance), rel=1e-9)


def test_undefined_is_none_and_nothing_is_an_error() -> None:
    meter = ReconstructionMeter(axis_sae())
    with pytest.raises(DataError, match="No activations"):
        meter.result()
    meter.update(torch.tensor([[2.0, 1.0]]))
    assert meter.result().fvu is None


def test_frequency_and_strength_by_hand() -> None:
    sae = SAE(SAEConfig(d_in=4, d_sae=4, k=2, topk_relu=False)).requires_grad_(False)
    sae.W_enc.copy_(torch.eye(4))
    meter = ReconstructionMeter(sae)
    # The two largest: 2 and 1; 4 and a negative one, which is no firing; 9 and 1.
    meter.update(torch.tensor([[1.0, 2.0, 0.0, 0.0], [-9.0, 4.0, -5.0, -9.0]]))
    meter.update(torch.tensor([[1.0, 0.0, 0.0, 9.0]]))
    firing = meter.firing()
    assert firing.frequency.tolist() == pytest.approx([2 / 3, 2 / 3, 0, 1 / 3])
    assert firing.strength.tolist() == pytest.approx([1, 3, 0, 9])
    assert firing.mean.tolist() == pytest.approx([2 / 3, 2, 0, 3])


def test_splice_by_hand() -> None:
    h = torch.tensor([[3.0, 1.0], [1.0, 5.0], [4.0, 3.0]])

    def run(replace: Callable[[Tensor], Tensor] | None) -> Tensor:
        return (h if replace is None else replace(h)).log_softmax(1)

    quality = splice_quality(run, axis_sae(), gold=[0, 1, 1])
    assert quality.n_items == 3
    assert quality.accuracy_plain == pytest.approx(2 / 3)
    assert quality.accuracy_spliced == pytest.approx(2 / 3)
    plain = h.double().log_softmax(1)
    spliced = torch.tensor([[3.0, 0.0], [0.0, 5.0], [4.0, 0.0]]).double().log_softmax(1)
    assert quality.loss_plain == pytest.approx(-float(plain[0, 0] + plain[1, 1] + plain[2, 1]) / 3, rel=1e-6)
    assert quality.loss_spliced == pytest.approx(-float(spliced[0, 0] + spliced[1, 1] + spliced[2, 1]) / 3, rel=1e-6)
