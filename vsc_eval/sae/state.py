"""Everything that a training step changes, one step, and its way to a checkpoint and back."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from vsc_eval.errors import DataError
from vsc_eval.sae.dead import aux_loss
from vsc_eval.sae.mixing import MixBuffer
from vsc_eval.sae.model import SAE, SAEConfig
from vsc_eval.sae.sparsity import JumpReLU, sparsity_of
from vsc_eval.sae.train_config import TrainConfig
from vsc_eval.seeding import torch_generator


class TrainState:
    """Weights, moments and counters. Weights are those of the scaled activations until `folded`."""

    def __init__(self, cfg: TrainConfig, sample: Tensor) -> None:
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
        self.scale = 1.0 / spread
        rows = torch.randn(cfg.d_sae, d, generator=torch_generator("sae weights", cfg.seed))
        with torch.no_grad():
            self.sae.W_dec.copy_(torch.nn.functional.normalize(rows, dim=1))
            self.sae.W_enc.copy_(self.sae.W_dec.T)
            self.sae.b_dec.copy_(mean * self.scale)
            if isinstance(self.sparsity, JumpReLU):
                self.sparsity.start_at(self.sae.pre_activations(sample[: cfg.batch_size] * self.scale))
        groups: list[dict[str, Any]] = [{"params": list(self.sae.parameters()), "scale": 1.0}]
        if own := list(self.sparsity.parameters()):
            groups.append({"params": own, "scale": self.sparsity.lr_scale})
        self.adam = torch.optim.Adam(groups, lr=cfg.lr)
        self.tokens_since_fired = torch.zeros(cfg.d_sae, dtype=torch.int64)
        self.step = 0
        self.fvu = math.nan
        self.mean_l0 = math.nan

    def parameters(self) -> list[tuple[str, nn.Parameter]]:
        """What is trained, by the names that checkpoints use."""
        return [*self.sae.named_parameters(), *self.sparsity.named_parameters(prefix="sparsity")]

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
        fired = self.sparsity.fire(self.sae, pre, self.step)
        residual = x - fired.reconstruction
        variance = (x - x.mean(0)).square().sum()
        unexplained = residual.square().sum() / variance
        positive = self.sparsity.aux_only_positive
        aux = aux_loss(self.sae, pre, residual, self.dead(), self.cfg.aux_k, only_positive=positive)
        loss = unexplained + fired.penalty + self.cfg.aux_alpha * aux
        self.adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._project_decoder_gradient()
        for group in self.adam.param_groups:
            group["lr"] = self.lr() * group["scale"]
        self.adam.step()
        with torch.no_grad():
            self.sae.W_dec.copy_(torch.nn.functional.normalize(self.sae.W_dec, dim=1))
        self.tokens_since_fired += len(batch)
        self.tokens_since_fired[fired.features] = 0
        self.fvu = unexplained.item()
        self.mean_l0 = len(fired.features) / len(batch)
        self.step += 1

    def _project_decoder_gradient(self) -> None:
        # Without the radial part Adam's moments describe only motion on the unit sphere.
        grad, rows = self.sae.W_dec.grad, self.sae.W_dec.detach()
        assert grad is not None
        grad.sub_((grad * rows).sum(1, keepdim=True) * rows)

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


Snapshot = tuple[dict[str, Tensor], dict[str, int | float]]
"""Tensors and numbers, as `checkpoint.py` writes them."""


def snapshot(state: TrainState, buffer: MixBuffer) -> Snapshot:
    """All that `restore` needs to go on with the same numbers."""
    tensors = {f"sae.{name}": tensor for name, tensor in state.sae.state_dict().items()}
    tensors |= {f"sparsity.{name}": tensor for name, tensor in state.sparsity.state_dict().items()}
    for name, parameter in state.parameters():
        tensors[f"adam.exp_avg.{name}"] = state.adam.state[parameter]["exp_avg"]
        tensors[f"adam.exp_avg_sq.{name}"] = state.adam.state[parameter]["exp_avg_sq"]
    tensors |= {
        "scale": state.scale,
        "tokens_since_fired": state.tokens_since_fired,
        "buffer": buffer.tokens[buffer.cursor :],
        "generator": buffer.generator.get_state(),
    }
    return tensors, {"step": state.step, "n_taken": buffer.n_taken, "fvu": state.fvu}


def restore(cfg: TrainConfig, saved: Snapshot, buffer: MixBuffer) -> TrainState:
    """The state that `snapshot` saw; `buffer`, a fresh one over the same stream, continues there too."""
    tensors, numbers = saved
    buffer.generator.set_state(tensors["generator"])
    buffer.restore(tensors["buffer"], 0, int(numbers["n_taken"]))
    state = TrainState(cfg, _any_sample(tensors["sae.b_dec"]))
    state.scale = tensors["scale"]
    state.tokens_since_fired = tensors["tokens_since_fired"]
    state.step, state.fvu = int(numbers["step"]), float(numbers["fvu"])
    for prefix, module in (("sae", state.sae), ("sparsity", state.sparsity)):
        module.load_state_dict({name: tensors[f"{prefix}.{name}"] for name in module.state_dict()})
    for name, parameter in state.parameters():
        state.adam.state[parameter] = {
            "step": torch.tensor(float(state.step)),
            "exp_avg": tensors[f"adam.exp_avg.{name}"],
            "exp_avg_sq": tensors[f"adam.exp_avg_sq.{name}"],
        }
    return state


def _any_sample(like: Tensor) -> Tensor:
    """Two tokens of the right width, to build a state whose every number is then overwritten."""
    return torch.stack([torch.zeros_like(like), torch.ones_like(like)])
