"""SAE trainer: mean-initialised b_dec, one scalar scale, unit decoder rows, aux-k on pre-activations.

Mean initialisation matters most: with a few offset ("massive") dimensions in the stream, an SAE that starts from
b_dec = 0 spends its features on the offset. After Gao et al. 2024 (arXiv 2406.04093); sparsity.py has the activations.
"""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vsc_eval.errors import DataError, SpecError
from vsc_eval.sae.model import SAE, SAEConfig, SparseCodes
from vsc_eval.sae.options import TrainConfig
from vsc_eval.sae.readers.files import load_tensors, write_tensors
from vsc_eval.sae.sparsity import JumpReLU, sparsity_of
from vsc_eval.seeding import torch_generator

TokenStream = Callable[[int], Iterator[Tensor]]
"""Opens a stream of float tensors [n, d], any n, with the given number of tokens already left out at its start."""

_MOMENTS = ("exp_avg", "exp_avg_sq")
"""What Adam remembers of a parameter."""


class MixBuffer:
    """Draws shuffled batches from a stream, so that the tokens of one image do not share a batch. Holds `capacity`
    tokens; each refill shuffles them and gives the first half away in batches."""

    def __init__(self, stream: TokenStream, *, capacity: int, batch_size: int, generator: torch.Generator) -> None:
        assert capacity >= 2 * batch_size, (capacity, batch_size)
        self.batch_size, self.capacity, self.generator, self._stream = batch_size, capacity, generator, stream
        self.n_taken = 0
        """Tokens drawn from the stream so far, buffer included."""
        self.tokens = torch.empty(0, 0)
        """Float32 [n, d], shuffled; the next batch starts at `cursor`."""
        self.cursor = 0
        self._chunks: Iterator[Tensor] | None = None

    def next_batch(self) -> Tensor | None:
        """Float32 [batch_size, d], or None once stream and buffer are spent (a last partial batch is dropped)."""
        if len(self.tokens) - self.cursor - self.batch_size < self.capacity // 2:
            self.refill()
        if len(self.tokens) - self.cursor < self.batch_size:
            return None
        batch = self.tokens[self.cursor : self.cursor + self.batch_size]
        self.cursor += self.batch_size
        return batch

    def refill(self) -> None:
        """Fill the buffer from the stream, and shuffle it."""
        if self._chunks is None:
            self._chunks = self._stream(self.n_taken)
        held = [self.tokens[self.cursor :]] if len(self.tokens) else []
        n_held, n_before = sum(map(len, held)), self.n_taken
        while n_held < self.capacity and (chunk := next(self._chunks, None)) is not None:
            held.append(chunk.detach().to("cpu", torch.float32))
            n_held += len(chunk)
            self.n_taken += len(chunk)
        if self.n_taken > n_before:
            merged = torch.cat(held)
            self.tokens = merged[torch.randperm(len(merged), generator=self.generator)]
            self.cursor = 0


@dataclass(frozen=True)
class TrainProgress:
    """One training step, as handed to the callback."""

    step: int
    n_tokens: int
    fvu: float
    """Fraction of variance unexplained on this batch."""
    n_dead: int
    lr: float
    mean_l0: float
    """Features that fired on a token of this batch, on average."""


@dataclass(frozen=True, eq=False)
class TrainResult:
    sae: SAE
    n_tokens: int
    n_dead: int
    """Features that did not fire in the last `dead_after_tokens` tokens of training."""
    final_fvu: float
    """On the last training batch; see quality.py for held-out figures."""


def train_sae(
    stream: TokenStream,
    cfg: TrainConfig,
    *,
    stream_id: str = "",
    checkpoint: Path | None = None,
    checkpoint_every: int = 100,
    callback: Callable[[TrainProgress], None] | None = None,
) -> TrainResult:
    """Train an SAE on a stream of float tensors [n, d].

    With `checkpoint` the whole state is written to that file every `checkpoint_every` steps; a run that finds the file
    continues from it and ends at the same numbers as an uninterrupted one. Raises DataError if the stream holds fewer
    tokens than one batch or is constant, SpecError if k is larger than d_sae or the checkpoint is of another
    configuration or `stream_id`.
    """
    if cfg.k > cfg.d_sae:
        raise SpecError(f"An SAE of {cfg.d_sae} features cannot have {cfg.k} active ones.", hint="Ask for a smaller k.")
    identity = f"{cfg.identity()} {stream_id}"
    generator = torch_generator("sae mixing", cfg.seed)
    capacity = max(min(cfg.mix_tokens, cfg.n_tokens), 2 * cfg.batch_size)
    buffer = MixBuffer(stream, capacity=capacity, batch_size=cfg.batch_size, generator=generator)
    if checkpoint is not None and checkpoint.exists():
        state = _load(checkpoint, identity, cfg, buffer)
    else:
        buffer.refill()
        if len(buffer.tokens) < cfg.batch_size:
            raise DataError(
                f"The stream holds {len(buffer.tokens)} tokens, fewer than one batch of {cfg.batch_size}.",
                hint="Give more items, or a smaller batch.",
            )
        state = _State(cfg, buffer.tokens)
    while state.step < state.n_steps and (batch := buffer.next_batch()) is not None:
        lr = state.lr()
        mean_l0 = state.train_step(batch)
        if callback is not None:
            callback(TrainProgress(state.step, state.n_tokens, state.fvu, int(state.dead().sum()), lr, mean_l0))
        if checkpoint is not None and (state.step % checkpoint_every == 0 or state.step == state.n_steps):
            _save(checkpoint, identity, state, buffer)
    return TrainResult(state.folded(), state.n_tokens, int(state.dead().sum()), state.fvu)


class _State(nn.Module):
    """All that a step changes: weights, moments, counters. Weights are those of scaled activations until `folded`."""

    scale: Tensor
    tokens_since_fired: Tensor

    def __init__(self, cfg: TrainConfig, sample: Tensor) -> None:
        super().__init__()
        d = sample.shape[1]
        self.cfg = cfg
        # While it is trained, the thresholds are those of `sparsity`; the SAE gets them in `folded`.
        self.sae = SAE(SAEConfig(d_in=d, d_sae=cfg.d_sae, k=cfg.k))
        self.sparsity = sparsity_of(cfg, d)
        mean = sample.mean(0)
        spread = (sample - mean).square().mean().sqrt()
        if not torch.isfinite(spread) or spread == 0:
            raise DataError(
                "The activations to train on are constant or not finite.",
                hint="Check the model and the layer: an SAE cannot be trained on this stream.",
            )
        self.register_buffer("scale", 1.0 / spread)
        rows = torch.randn(cfg.d_sae, d, generator=torch_generator("sae weights", cfg.seed))
        with torch.no_grad():
            self.sae.W_dec.copy_(nn.functional.normalize(rows, dim=1))
            self.sae.W_enc.copy_(self.sae.W_dec.T)
            self.sae.b_dec.copy_(mean * self.scale)
            if isinstance(self.sparsity, JumpReLU):
                self.sparsity.start_at(self.sae.pre_activations(sample[: cfg.batch_size] * self.scale))
        groups: list[dict[str, Any]] = [{"params": list(self.sae.parameters()), "scale": 1.0}]
        if own := list(self.sparsity.parameters()):
            groups.append({"params": own, "scale": self.sparsity.lr_scale})
        self.adam = torch.optim.Adam(groups, lr=cfg.lr)
        self.register_buffer("tokens_since_fired", torch.zeros(cfg.d_sae, dtype=torch.int64))
        self.step, self.fvu = 0, math.nan

    @property
    def n_steps(self) -> int:
        return max(1, self.cfg.n_tokens // self.cfg.batch_size)

    @property
    def n_tokens(self) -> int:
        return self.step * self.cfg.batch_size

    def lr(self) -> float:
        warm = min(1.0, (self.step + 1) / max(1, self.cfg.warmup_steps))
        decay_steps = self.n_steps * (1 - self.cfg.decay_from)
        cool = min(1.0, (self.n_steps - self.step) / decay_steps) if decay_steps else 1.0
        return self.cfg.lr * warm * cool

    def dead(self) -> Tensor:
        return self.tokens_since_fired >= self.cfg.dead_after_tokens

    def train_step(self, batch: Tensor) -> float:
        """One Adam step on raw activations [n, d]; gives the features that fired on a token, on average."""
        x = batch * self.scale
        pre = self.sae.pre_activations(x)
        fired = self.sparsity.fire(self.sae, pre, self.step)
        residual = x - fired.reconstruction
        variance = (x - x.mean(0)).square().sum()
        unexplained = residual.square().sum() / variance
        positive = self.sparsity.aux_only_positive
        aux = aux_loss(self.sae, pre, residual, self.dead(), self.cfg.aux_k, only_positive=positive)
        loss = unexplained + fired.penalty + self.cfg.aux_alpha * aux
        self.adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        # Without the radial part Adam's moments describe only motion on the unit sphere.
        grad, rows = self.sae.W_dec.grad, self.sae.W_dec.detach()
        assert grad is not None
        grad.sub_((grad * rows).sum(1, keepdim=True) * rows)
        for group in self.adam.param_groups:
            group["lr"] = self.lr() * group["scale"]
        self.adam.step()
        with torch.no_grad():
            self.sae.W_dec.copy_(nn.functional.normalize(self.sae.W_dec, dim=1))
        self.tokens_since_fired += len(batch)
        self.tokens_since_fired[fired.features] = 0
        self.fvu = unexplained.item()
        self.step += 1
        return len(fired.features) / len(batch)

    def folded(self) -> SAE:
        """A copy of the SAE for unscaled activations; the decoder rows stay unit vectors."""
        k = None if self.cfg.activation == "jumprelu" else self.cfg.k
        sae = SAE(SAEConfig(d_in=self.sae.cfg.d_in, d_sae=self.cfg.d_sae, k=k, activation=self.cfg.activation))
        sae.load_state_dict(self.sae.state_dict(), strict=False)
        with torch.no_grad():
            sae.b_enc.div_(self.scale)
            sae.b_dec.div_(self.scale)
            if (threshold := self.sparsity.threshold()) is not None:
                assert sae.threshold is not None
                sae.threshold.copy_(threshold / self.scale)
        return sae.requires_grad_(False)


def aux_loss(
    sae: SAE, pre: Tensor, residual: Tensor, dead: Tensor, aux_k: int, *, only_positive: bool = False
) -> Tensor:
    """The loss that brings dead features back, after Gao et al. 2024 (arXiv 2406.04093), section A.2: share of the
    residual that they leave unexplained; scalar, 0 if no feature is dead.

    pre [n, F] and residual [n, d] of a batch, dead bool [F]. The dead features' strongest *pre*-activations are used
    as they are, negative ones too: behind a ReLU the gradient of a feature that is negative everywhere would be exactly
    zero and it would stay dead. `only_positive` drops negative ones all the same: with a large weight on the aux loss,
    features would learn to explain by negative activations, which can never fire, and would drag b_dec along.
    """
    n_dead = int(dead.sum())
    if n_dead == 0 or aux_k == 0:
        return pre.new_zeros(())
    dead_indices = dead.nonzero().squeeze(1)
    values, picked = pre[:, dead_indices].topk(min(aux_k, n_dead), dim=-1, sorted=False)
    values = values.relu() if only_positive else values
    target = residual.detach()
    explained = sae.decode_sparse(SparseCodes(dead_indices[picked], values)) - sae.b_dec
    loss = (target - explained).square().sum() / target.square().sum().clamp_min(1e-12)
    return torch.nan_to_num(loss, nan=0.0, posinf=0.0)


def _save(path: Path, identity: str, state: _State, buffer: MixBuffer) -> None:
    """All that `_load` needs to go on with the same numbers, in one step."""
    tensors = {"buffer": buffer.tokens[buffer.cursor :], "generator": buffer.generator.get_state()}
    tensors |= state.state_dict()
    for name, parameter in state.named_parameters():
        tensors |= {f"adam.{moment}.{name}": state.adam.state[parameter][moment] for moment in _MOMENTS}
    numbers = {"step": state.step, "n_taken": buffer.n_taken, "fvu": state.fvu}
    write_tensors(path, tensors, {"identity": identity, "numbers": json.dumps(numbers)})


def _load(path: Path, identity: str, cfg: TrainConfig, buffer: MixBuffer) -> _State:
    """The state that `_save` saw; `buffer`, a fresh one over the same stream, continues there too. Raises DataError if
    the checkpoint is damaged, SpecError if `identity` is another run's."""
    tensors, metadata = load_tensors(path, "Delete it to start from the beginning.")
    if metadata.get("identity") != identity:
        raise SpecError(
            f"The checkpoint {path} is of a run with other settings.",
            hint="Repeat the settings of that run, delete the file, or choose another output folder.",
        )
    numbers = json.loads(metadata["numbers"])
    buffer.generator.set_state(tensors["generator"])
    # Its stream is opened behind the tokens already taken.
    buffer.tokens, buffer.n_taken = tensors["buffer"], int(numbers["n_taken"])
    # Two tokens of the right width build a state whose every number is then overwritten.
    zeros = torch.zeros_like(tensors["sae.b_dec"])
    state = _State(cfg, torch.stack([zeros, zeros + 1]))
    state.step, state.fvu = int(numbers["step"]), float(numbers["fvu"])
    state.load_state_dict({name: tensors[name] for name in state.state_dict()})
    for name, parameter in state.named_parameters():
        moments = {moment: tensors[f"adam.{moment}.{name}"] for moment in _MOMENTS}
        state.adam.state[parameter] = {"step": torch.tensor(float(state.step)), **moments}
    return state
