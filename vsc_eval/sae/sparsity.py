"""What makes an SAE sparse while it is trained: Top-K, BatchTopK, JumpReLU. Only these lines differ between the three.

All numbers are those of scaled activations (unit variance per dimension).
"""

import math
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vsc_eval.sae.model import SAE
from vsc_eval.sae.options import TrainConfig


class Fired(NamedTuple):
    """A batch of n tokens behind the activation function."""

    reconstruction: Tensor
    """Float32 [n, d]."""
    features: Tensor
    """Int64 [m]: the feature of every activation > 0 in the batch."""
    penalty: Tensor | float = 0.0
    """Scalar, added to the loss."""


class Sparsity(nn.Module, ABC):
    """A training-time activation; its parameters are trained and its buffers checkpointed with the SAE's."""

    lr_scale = 1.0
    """Learning rate of its own parameters, in units of the SAE's."""
    aux_only_positive = True
    """Whether the aux loss sees positive pre-activations only."""

    @abstractmethod
    def fire(self, sae: SAE, pre: Tensor, step: int) -> Fired:
        """Pre-activations [n, F] of training step `step` (from 0) -> what fires and what it rebuilds."""

    def threshold(self) -> Tensor | None:
        """Float32 [F]: above what each feature fires at inference; None for Top-K."""
        return None


class TopK(Sparsity):
    """The k largest positive pre-activations of each token (Gao et al. 2024, arXiv 2406.04093)."""

    aux_only_positive = False

    def fire(self, sae: SAE, pre: Tensor, step: int) -> Fired:
        codes = sae.activate(pre)
        return Fired(sae.decode_sparse(codes), codes.indices[codes.values > 0])


class BatchTopK(Sparsity):
    """The k * n largest positive pre-activations of the whole batch (Bussmann et al. 2024, arXiv 2412.06410).

    At inference a token must not depend on its batch: a feature fires above the running mean of the batches' smallest
    kept activation. A plain mean would remember the first, untrained steps, so it forgets.
    """

    running: Tensor
    weight: Tensor

    def __init__(self, cfg: TrainConfig) -> None:
        super().__init__()
        self.k, self.decay, self.d_sae = cfg.k, cfg.threshold_decay, cfg.d_sae
        self.register_buffer("running", torch.zeros(()))
        self.register_buffer("weight", torch.zeros(()))

    def fire(self, sae: SAE, pre: Tensor, step: int) -> Fired:
        n, d_sae = pre.shape
        kept = pre.detach().flatten().topk(min(self.k, d_sae) * n, sorted=False)
        positive = kept.values > 0
        where = kept.indices[positive].sort().values
        if positive.any():
            smallest = kept.values[positive].min()
            self.running.mul_(self.decay).add_(smallest, alpha=1 - self.decay)
            self.weight.mul_(self.decay).add_(1 - self.decay)
        return Fired(_decode(sae, where, pre.flatten()[where], n), where % d_sae)

    def threshold(self) -> Tensor:
        return (self.running / self.weight.clamp_min(torch.finfo(torch.float32).tiny)).expand(self.d_sae).clone()


class JumpReLU(Sparsity):
    """Pre-activations above a learnt threshold of each feature (Rajamanoharan et al. 2024, arXiv 2407.14435).

    Thresholds get straight-through gradients from a rectangular kernel, the encoder gets none through them, as in the
    paper. The penalty is (L0 / k - 1)^2, as in dictionary_learning and Gemma-Scope 2, and not the paper's plain L0,
    whose weight has to be searched for to land near an L0.
    """

    def __init__(self, cfg: TrainConfig, d: int) -> None:
        super().__init__()
        self.k, self.weight, self.warmup_steps = cfg.k, cfg.l0_weight, cfg.l0_warmup_steps
        self.bandwidth = cfg.bandwidth * math.sqrt(d)
        self.lr_scale = cfg.threshold_lr
        self.log_threshold = nn.Parameter(torch.zeros(cfg.d_sae))

    @torch.no_grad()
    def start_at(self, pre: Tensor) -> None:
        """Give all features the one threshold at which the first tokens, pre [n, F], fire k features on average."""
        kept = pre.flatten().topk(min(self.k * len(pre), pre.numel()), sorted=False).values
        self.log_threshold.fill_(math.log(max(float(kept.min()), self.bandwidth)))

    def fire(self, sae: SAE, pre: Tensor, step: int) -> Fired:
        n, d_sae = pre.shape
        threshold = self.log_threshold.exp()
        # Also those just below their threshold: the gradient that could let them fire comes through them.
        near = (pre.detach() > (threshold.detach() - self.bandwidth / 2)) & (pre.detach() > 0)
        where = near.flatten().nonzero().squeeze(1)
        values, own = pre.flatten()[where], threshold[where % d_sae]
        jumped, above = _Jump.apply(values, own, self.bandwidth)  # type: ignore[no-untyped-call]
        l0 = above.sum() / n
        warm = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        penalty = self.weight * warm * (l0 / self.k - 1).square()
        return Fired(_decode(sae, where, jumped, n), (where % d_sae)[jumped.detach() > 0], penalty)

    def threshold(self) -> Tensor:
        return self.log_threshold.detach().exp()


def sparsity_of(cfg: TrainConfig, d: int) -> Sparsity:
    """The training-time activation of `cfg` for streams of width d."""
    if cfg.activation == "jumprelu":
        return JumpReLU(cfg, d)
    return BatchTopK(cfg) if cfg.activation == "batchtopk" else TopK()


def _decode(sae: SAE, where: Tensor, values: Tensor, n: int) -> Tensor:
    """[n, d] from the activations `values` [m] at the ascending places `where` [m] of a flattened [n, F]."""
    counts = torch.bincount(where // sae.cfg.d_sae, minlength=n)
    rows = nn.functional.embedding_bag(
        where % sae.cfg.d_sae,
        sae.W_dec,
        offsets=counts.cumsum(0) - counts,
        per_sample_weights=values,
        mode="sum",
    )
    return rows + sae.b_dec


class _Jump(torch.autograd.Function):
    """values [m], threshold [m] -> values where they are above their threshold, else 0; and 1 there, else 0, through
    which the values get no gradient."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, threshold: Tensor, bandwidth: float) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(values, threshold)
        ctx.bandwidth = bandwidth
        above = values > threshold
        return values * above, above.to(values.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        values, threshold = ctx.saved_tensors
        in_band = ((values - threshold).abs() < ctx.bandwidth / 2).to(values.dtype)
        of_jump = grads[0] * (-threshold / ctx.bandwidth * in_band)
        of_step = -grads[1] / ctx.bandwidth * in_band
        return grads[0] * (values > threshold), of_jump + of_step, None
