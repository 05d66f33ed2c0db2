"""How good an SAE is: reconstruction figures, and what the model loses when it reads the reconstruction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vsc_eval.errors import DataError
from vsc_eval.records import Record
from vsc_eval.sae.model import SAE


class ReconstructionQuality(Record):
    """Figures over `n_tokens` activations."""

    n_tokens: int
    fvu: float | None
    """Fraction of variance unexplained: sum |h - h'|^2 / sum |h - mean h|^2; None if the activations are constant."""
    n_dead: int
    """Features that fired on none of these tokens."""
    d_sae: int
    mean_l0: float
    """Mean number of features that fire on a token."""


class SpliceQuality(Record):
    """The model as it is, and with h replaced by the SAE's reconstruction at the SAE's layer, on the same items."""

    n_items: int
    loss_plain: float
    """Mean -log p of the gold letter at the first answer token, nats, full-vocabulary softmax."""
    loss_spliced: float
    accuracy_plain: float
    """Share of items whose most probable option letter is the gold one."""
    accuracy_spliced: float


@dataclass(frozen=True, eq=False)
class Firing:
    """How often and how strongly each feature fires over the chosen tokens, whatever the pooling."""

    frequency: Tensor
    """Float32 [F], share of tokens on which it fires."""
    strength: Tensor
    """Float32 [F], mean activation over the tokens on which it fires; 0 if there are none."""

    @property
    def mean(self) -> Tensor:
        """Float32 [F], mean activation over all tokens."""
        return self.frequency * self.strength


class ReconstructionMeter:
    """Accumulates `ReconstructionQuality` and `Firing` over batches; float64 sums, so that large offsets do not cancel
    badly."""

    def __init__(self, sae: SAE) -> None:
        self._sae = sae
        self._n = 0
        self._error = 0.0
        self._sum, self._sum_of_squares = torch.zeros(2, sae.cfg.d_in, dtype=torch.float64)
        self._count, self._total = torch.zeros(2, sae.cfg.d_sae, dtype=torch.float64)

    @torch.no_grad()
    def update(self, h: Tensor) -> None:
        """Add activations [n, d]."""
        codes = self._sae.encode_sparse(h)
        x = h.double()
        self._error += (x - self._sae.decode_sparse(codes).double()).square().sum().item()
        self._n += len(h)
        self._sum += x.sum(0).cpu()
        self._sum_of_squares += x.square().sum(0).cpu()
        # A top-k without ReLU can hold negative values, which are no firing.
        indices, values = codes.indices.flatten().cpu(), codes.values.flatten().double().clamp_min(0).cpu()
        self._count.index_add_(0, indices, (values > 0).double())
        self._total.index_add_(0, indices, values)

    def firing(self) -> Firing:
        """How often and how strongly each feature fired so far."""
        return Firing((self._count / self._n).float(), (self._total / self._count.clamp_min(1)).float())

    def result(self) -> ReconstructionQuality:
        """Raises DataError if no activation was added."""
        if self._n == 0:
            raise DataError("No activations to judge the SAE on.", hint="Give at least one item with edited tokens.")
        variance = (self._sum_of_squares - self._sum.square() / self._n).sum().item()
        return ReconstructionQuality(
            n_tokens=self._n,
            fvu=self._error / variance if variance > 0 else None,
            n_dead=int((self._count == 0).sum()),
            d_sae=self._sae.cfg.d_sae,
            mean_l0=self._count.sum().item() / self._n,
        )


def splice_quality(
    option_logprobs: Callable[[Callable[[Tensor], Tensor] | None], Tensor], sae: SAE, gold: Sequence[int]
) -> SpliceQuality:
    """Compare the plain model with the model that reads the SAE's reconstruction.

    `option_logprobs(replace)` runs the model over the items and gives [n_items, n_options] full-vocabulary
    log-probabilities (nats); `replace` is what to do with h [..., d] at the SAE's layer, None for nothing. `gold` holds
    each item's right option.
    """
    right = torch.tensor(list(gold))
    figures = {}
    for model, replace in (("plain", None), ("spliced", lambda h: sae(h).to(h.dtype))):
        logprobs = option_logprobs(replace).cpu()
        assert logprobs.shape[0] == len(right), (logprobs.shape, len(right))
        figures[f"loss_{model}"] = -logprobs.double().gather(1, right[:, None]).mean().item()
        figures[f"accuracy_{model}"] = (logprobs.argmax(1) == right).double().mean().item()
    return SpliceQuality(n_items=len(right), **figures)
