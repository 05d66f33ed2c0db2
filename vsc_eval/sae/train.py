"""SAE trainer: mean-initialised b_dec, one scalar scale, unit decoder rows, aux-k on pre-activations.

Mean initialisation matters most: with a few offset ("massive") dimensions in the stream, an SAE that starts from
b_dec = 0 spends its features on the offset. After Gao et al. 2024 (arXiv 2406.04093); sparsity.py has the activations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vsc_eval.errors import DataError, SpecError
from vsc_eval.sae.checkpoint import load_checkpoint, save_checkpoint
from vsc_eval.sae.mixing import MixBuffer, TokenStream
from vsc_eval.sae.model import SAE
from vsc_eval.sae.state import TrainState, restore, snapshot
from vsc_eval.sae.train_config import TrainConfig, TrainedActivation
from vsc_eval.seeding import torch_generator

__all__ = ["TrainConfig", "TrainProgress", "TrainResult", "TrainedActivation", "train_sae"]


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
    saved = load_checkpoint(checkpoint, identity) if checkpoint is not None and checkpoint.exists() else None
    if saved is None:
        sample = buffer.peek()
        if len(sample) < cfg.batch_size:
            raise DataError(
                f"The stream holds {len(sample)} tokens, fewer than one batch of {cfg.batch_size}.",
                hint="Give more items, or a smaller batch.",
            )
        state = TrainState(cfg, sample)
    else:
        state = restore(cfg, saved, buffer)
    while state.step < state.n_steps and (batch := buffer.next_batch()) is not None:
        lr = state.lr()
        state.train_step(batch)
        if callback is not None:
            n_tokens, n_dead = state.step * cfg.batch_size, int(state.dead().sum())
            callback(TrainProgress(state.step, n_tokens, state.fvu, n_dead, lr, state.mean_l0))
        if checkpoint is not None and (state.step % checkpoint_every == 0 or state.step == state.n_steps):
            save_checkpoint(checkpoint, identity, *snapshot(state, buffer))
    return TrainResult(state.folded(), state.step * cfg.batch_size, int(state.dead().sum()), state.fvu)
