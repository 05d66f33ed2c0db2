"""Top-K SAE trainer: mean-initialised b_dec, one scalar scale, unit decoder rows, aux-k on pre-activations.

Mean initialisation matters most: with a few offset ("massive") dimensions in the stream, an SAE that starts from
b_dec = 0 spends its features on the offset. After Gao et al. 2024 (arXiv 2406.04093).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor

from vsc_eval.errors import DataError
from vsc_eval.sae.checkpoint import load_checkpoint, save_checkpoint
from vsc_eval.sae.mixing import MixBuffer, TokenStream
from vsc_eval.sae.model import SAE, SAEConfig, SparseCodes
from vsc_eval.seeding import torch_generator
from vsc_eval.specs import Spec


class TrainConfig(Spec):
    """How an SAE is trained. Everything that changes its numbers is here."""

    d_sae: int = Field(default=1024, gt=0)
    k: int = Field(default=16, gt=0)
    n_tokens: int = Field(default=1_500_000, gt=0)
    """Tokens to train on; the stream may be shorter, but then the learning rate does not reach its end."""
    seed: int = 0
    """Seeds weights and mixing, through a hash of its own: never the same numbers as data made with that seed."""
    lr: float = Field(default=3e-3, gt=0)
    """Peak learning rate of Adam, on activations scaled to unit variance per dimension."""
    batch_size: int = Field(default=2048, gt=0)
    """Tokens per step."""
    warmup_steps: int = Field(default=20, ge=0)
    decay_from: float = Field(default=0.7, ge=0, le=1)
    """Share of the training after which the learning rate falls linearly to 0."""
    mix_tokens: int = Field(default=32_768, gt=0)
    """Tokens in the shuffle buffer, whose first fill also gives mean and scale."""
    dead_after_tokens: int = Field(default=100_000, gt=0)
    """A feature that has not fired for so many tokens counts as dead and gets the aux loss."""
    aux_k: int = Field(default=32, ge=0)
    """Dead features that explain the residual of a token in the aux loss; 0 turns it off."""
    aux_alpha: float = Field(default=1 / 32, ge=0)


@dataclass(frozen=True)
class TrainProgress:
    """One training step, as handed to the callback."""

    step: int
    n_tokens: int
    fvu: float
    """Fraction of variance unexplained on this batch."""
    n_dead: int
    lr: float


@dataclass(frozen=True, eq=False)
class TrainResult:
    sae: SAE
    n_tokens: int
    n_dead: int
    """Features that did not fire in the last `dead_after_tokens` tokens of training."""
    final_fvu: float
    """On the last training batch; see quality.py for held-out figures."""


class _State:
    """Everything a training step changes. Weights are those of the scaled activations until `folded`."""

    def __init__(self, cfg: TrainConfig, sample: Tensor) -> None:
        d = sample.shape[1]
        self.cfg = cfg
        self.sae = SAE(SAEConfig(d_in=d, d_sae=cfg.d_sae, k=cfg.k))
        mean = sample.mean(0)
        spread = (sample - mean).square().mean().sqrt()
        if not torch.isfinite(spread) or spread == 0:
            raise DataError(
                "The activations to train on are constant or not finite.",
                mend="Check the model and the layer: an SAE cannot be trained on this stream.",
            )
        self.scale = 1.0 / spread
        rows = torch.randn(cfg.d_sae, d, generator=torch_generator("sae weights", cfg.seed))
        with torch.no_grad():
            self.sae.W_dec.copy_(torch.nn.functional.normalize(rows, dim=1))
            self.sae.W_enc.copy_(self.sae.W_dec.T)
            self.sae.b_dec.copy_(mean * self.scale)
        self.adam = torch.optim.Adam(self.sae.parameters(), lr=cfg.lr)
        self.tokens_since_fired = torch.zeros(cfg.d_sae, dtype=torch.int64)
        self.step = 0
        self.fvu = math.nan

    @property
    def n_steps(self) -> int:
        return max(1, self.cfg.n_tokens // self.cfg.batch_size)

    def lr(self) -> float:
        warm = min(1.0, (self.step + 1) / max(1, self.cfg.warmup_steps))
        decay_steps = self.n_steps * (1 - self.cfg.decay_from)
        cool = min(1.0, (self.n_steps - self.step) / decay_steps) if decay_steps else 1.0
        return self.cfg.lr * warm * cool

    def dead(self) -> Tensor:
        return self.tokens_since_fired >= self.cfg.dead_after_tokens

    def train_step(self, batch: Tensor) -> None:
        """One Adam step on raw activations [n, d]."""
        x = batch * self.scale
        pre = self.sae.pre_activations(x)
        codes = self.sae.activate(pre)
        residual = x - self.sae.decode_sparse(codes)
        variance = (x - x.mean(0)).square().sum()
        unexplained = residual.square().sum() / variance
        loss = unexplained + self.cfg.aux_alpha * aux_loss(self.sae, pre, residual, self.dead(), self.cfg.aux_k)
        self.adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._project_decoder_gradient()
        for group in self.adam.param_groups:
            group["lr"] = self.lr()
        self.adam.step()
        with torch.no_grad():
            self.sae.W_dec.copy_(torch.nn.functional.normalize(self.sae.W_dec, dim=1))
        self.tokens_since_fired += len(batch)
        self.tokens_since_fired[codes.indices[codes.values > 0]] = 0
        self.fvu = unexplained.item()
        self.step += 1

    def _project_decoder_gradient(self) -> None:
        # Without the radial part Adam's moments describe only motion on the unit sphere.
        grad, rows = self.sae.W_dec.grad, self.sae.W_dec.detach()
        assert grad is not None
        grad.sub_((grad * rows).sum(1, keepdim=True) * rows)

    def folded(self) -> SAE:
        """A copy of the SAE for unscaled activations; the decoder rows stay unit vectors."""
        sae = SAE(self.sae.cfg)
        sae.load_state_dict(self.sae.state_dict())
        with torch.no_grad():
            sae.b_enc.div_(self.scale)
            sae.b_dec.div_(self.scale)
        return sae.requires_grad_(False)


def aux_loss(sae: SAE, pre: Tensor, residual: Tensor, dead: Tensor, aux_k: int) -> Tensor:
    """Share of the residual that the dead features leave unexplained; scalar, 0 if no feature is dead.

    pre [n, F] and residual [n, d] of a batch, dead bool [F]. The dead features' strongest *pre*-activations are used
    as they are, negative ones too: behind a ReLU their gradient would be exactly zero and they would stay dead.
    """
    n_dead = int(dead.sum())
    if n_dead == 0 or aux_k == 0:
        return pre.new_zeros(())
    dead_indices = dead.nonzero().squeeze(1)
    values, picked = pre[:, dead_indices].topk(min(aux_k, n_dead), dim=-1, sorted=False)
    target = residual.detach()
    explained = sae.decode_sparse(SparseCodes(dead_indices[picked], values)) - sae.b_dec
    loss = (target - explained).square().sum() / target.square().sum().clamp_min(1e-12)
    return torch.nan_to_num(loss, nan=0.0, posinf=0.0)


def train_sae(
    stream: TokenStream,
    cfg: TrainConfig,
    *,
    stream_id: str = "",
    checkpoint: Path | None = None,
    checkpoint_every: int = 100,
    callback: Callable[[TrainProgress], None] | None = None,
) -> TrainResult:
    """Train a Top-K SAE on a stream of float tensors [n, d].

    With `checkpoint` the whole state is written to that file every `checkpoint_every` steps; a run that finds the file
    continues from it and ends at the same numbers as an uninterrupted one. Raises DataError if the stream holds fewer
    tokens than one batch or is constant, SpecError if the checkpoint is of another configuration or `stream_id`.
    """
    identity = f"{cfg.model_dump_json()} {stream_id}"
    generator = torch_generator("sae mixing", cfg.seed)
    capacity = max(min(cfg.mix_tokens, cfg.n_tokens), 2 * cfg.batch_size)
    buffer = MixBuffer(stream, capacity=capacity, batch_size=cfg.batch_size, generator=generator)
    saved = load_checkpoint(checkpoint, identity) if checkpoint is not None and checkpoint.exists() else None
    if saved is None:
        sample = buffer.peek()
        if len(sample) < cfg.batch_size:
            raise DataError(
                f"The stream holds {len(sample)} tokens, fewer than one batch of {cfg.batch_size}.",
                mend="Give more items, or a smaller batch.",
            )
        state = _State(cfg, sample)
    else:
        state = _restore(cfg, saved, buffer)
    while state.step < state.n_steps and (batch := buffer.next_batch()) is not None:
        lr = state.lr()
        state.train_step(batch)
        if callback is not None:
            n_dead = int(state.dead().sum())
            callback(TrainProgress(state.step, state.step * cfg.batch_size, state.fvu, n_dead, lr))
        if checkpoint is not None and (state.step % checkpoint_every == 0 or state.step == state.n_steps):
            save_checkpoint(checkpoint, identity, *_snapshot(state, buffer))
    return TrainResult(state.folded(), state.step * cfg.batch_size, int(state.dead().sum()), state.fvu)


def _snapshot(state: _State, buffer: MixBuffer) -> tuple[dict[str, Tensor], dict[str, int | float]]:
    tensors = {f"sae.{name}": tensor for name, tensor in state.sae.state_dict().items()}
    for name, parameter in state.sae.named_parameters():
        tensors[f"adam.exp_avg.{name}"] = state.adam.state[parameter]["exp_avg"]
        tensors[f"adam.exp_avg_sq.{name}"] = state.adam.state[parameter]["exp_avg_sq"]
    tensors |= {
        "scale": state.scale,
        "tokens_since_fired": state.tokens_since_fired,
        "buffer": buffer.tokens[buffer.cursor :],
        "generator": buffer.generator.get_state(),
    }
    return tensors, {"step": state.step, "n_taken": buffer.n_taken, "fvu": state.fvu}


def _restore(cfg: TrainConfig, saved: tuple[dict[str, Tensor], dict[str, int | float]], buffer: MixBuffer) -> _State:
    tensors, numbers = saved
    buffer.generator.set_state(tensors["generator"])
    buffer.restore(tensors["buffer"], 0, int(numbers["n_taken"]))
    state = _State(cfg, _any_sample(tensors["sae.b_dec"]))
    state.scale = tensors["scale"]
    state.tokens_since_fired = tensors["tokens_since_fired"]
    state.step, state.fvu = int(numbers["step"]), float(numbers["fvu"])
    with torch.no_grad():
        for name, parameter in state.sae.named_parameters():
            parameter.copy_(tensors[f"sae.{name}"])
            state.adam.state[parameter] = {
                "step": torch.tensor(float(state.step)),
                "exp_avg": tensors[f"adam.exp_avg.{name}"],
                "exp_avg_sq": tensors[f"adam.exp_avg_sq.{name}"],
            }
    return state


def _any_sample(like: Tensor) -> Tensor:
    """Two tokens of the right width, to build a state whose every number is then overwritten."""
    return torch.stack([torch.zeros_like(like), torch.ones_like(like)])
