"""What vsc-tiny is trained on: the letter, and dense targets that shorten the way to it.

The letter alone teaches binding slowly (a few bits a question). Further targets, all read off the scene, are
used in training only and leave no parameters behind in the shipped model:
- objects: the image token at an object's centre predicts its colour and shape (against the word embeddings, so that
  words and what they name share directions), its size, its offset from the cell's centre and its place;
- where, how many: at the end of a phrase, and at a move, a layer knows the place of the object that is meant, and how
  many objects fit the phrase;
- words: at marked question tokens a middle layer predicts a word (the answer before any option is read; the colour
  passed at each hop);
- pointer: at the last token of each option a later layer scores whether that option is the right one.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from training.attention import COUNT, PLACES, WHERE_LAYERS
from training.batches import IGNORE, N_GEOMETRY, Batch, ObjectTargets
from training.config import TinyShape

_LEAST_MASS = 1e-4
"""Keeps the logarithm of an attention mass finite."""


def _tokens_at(hidden: Tensor, positions: Tensor) -> Tensor:
    """hidden [N, L, d], positions [N, M] -> float32 [N, M, d]."""
    return hidden.gather(1, positions[..., None].expand(-1, -1, hidden.shape[-1])).float()


class AuxiliaryHeads(nn.Module):
    """Heads that exist in training only.

    Args:
        colour_ids, shape_ids: token ids of the colour and shape words, in class order.
        vocabulary: size of the vocabulary, for the word targets.
    """

    def __init__(self, shape: TinyShape, colour_ids: list[int], shape_ids: list[int], vocabulary: int) -> None:
        super().__init__()
        d = shape.d_model
        self.register_buffer("colour_ids", torch.tensor(colour_ids))
        self.register_buffer("shape_ids", torch.tensor(shape_ids))
        self.nothing = nn.Parameter(torch.zeros(2, d))
        self.temperature = nn.Parameter(torch.tensor(d**-0.5))
        self.object_norm = nn.LayerNorm(d)
        self.geometry = nn.Linear(d, N_GEOMETRY)
        self.word_norm, self.word = nn.RMSNorm(d), nn.Linear(d, vocabulary, bias=False)
        self.pointer_norm, self.pointer = nn.RMSNorm(d), nn.Linear(d, 1, bias=False)
        nn.init.normal_(self.word.weight, std=0.02)
        self.where = nn.ModuleList(nn.Sequential(nn.RMSNorm(d), nn.Linear(d, 2)) for _ in WHERE_LAYERS)
        self.how_many = nn.Sequential(nn.RMSNorm(d), nn.Linear(d, 1))

    def object_loss(self, image_tokens: Tensor, embedding: Tensor, targets: ObjectTargets) -> tuple[Tensor, Tensor]:
        """image_tokens [B, T, d], embedding [V, d] -> loss, share of objects with colour and shape right."""
        x = self.object_norm(image_tokens.float())

        def logits(ids: Tensor, nothing: Tensor) -> Tensor:
            out: Tensor = x @ torch.cat((embedding[ids], nothing[None])).T * self.temperature
            return out

        assert isinstance(self.colour_ids, Tensor)
        assert isinstance(self.shape_ids, Tensor)
        colour = logits(self.colour_ids, self.nothing[0])
        shape = logits(self.shape_ids, self.nothing[1])
        present = targets.present
        loss: Tensor = F.cross_entropy(colour.flatten(0, 1), targets.colour.flatten())
        loss = loss + F.cross_entropy(shape.flatten(0, 1), targets.shape.flatten())
        # Most tokens hold no object; the mean over the objects alone keeps their share of the gradient.
        loss = loss + F.cross_entropy(colour[present], targets.colour[present])
        loss = loss + F.cross_entropy(shape[present], targets.shape[present])
        loss = loss + 4.0 * F.smooth_l1_loss(self.geometry(x)[present], targets.geometry[present], beta=0.1)
        right = (colour.argmax(-1) == targets.colour) & (shape.argmax(-1) == targets.shape)
        return loss, right[present].float().mean()

    def word_loss(self, hidden: Tensor, positions: Tensor, words: Tensor) -> Tensor:
        """hidden [N, L, d]; positions, words [N, M] (word IGNORE: no mark) -> mean cross-entropy over the marks."""
        logits = self.word(self.word_norm(_tokens_at(hidden, positions)))
        return F.cross_entropy(logits.flatten(0, 1), words.flatten(), ignore_index=IGNORE)

    def where_loss(self, tapped: Mapping[int, Tensor], batch: Batch) -> Tensor:
        """Distance of the centres told by the `Where` targets; `tapped` holds the layers' outputs [N, L, d]."""
        assert batch.where_layer is not None
        assert batch.where_at is not None
        assert batch.where_xy is not None
        losses = []
        for head, layer in zip(self.where, WHERE_LAYERS, strict=True):
            rows, slots = (batch.where_layer == layer).nonzero(as_tuple=True)
            if len(rows):
                told = head(tapped[layer][rows, batch.where_at[rows, slots]].float())
                losses.append(F.smooth_l1_loss(told, batch.where_xy[rows, slots], beta=0.1))
        return torch.stack(losses).sum() if losses else torch.zeros(())

    def count_loss(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Error of the number of objects that fit a phrase, in tens, told after layer COUNT_LAYER [N, L, d]."""
        assert batch.attention_kind is not None
        assert batch.attention_at is not None
        assert batch.attention_to is not None
        rows, slots = (batch.attention_kind == COUNT).nonzero(as_tuple=True)
        told = self.how_many(hidden[rows, batch.attention_at[rows, slots]].float())[:, 0]
        # The first token is among the targets of COUNT, besides the objects.
        n_objects = (batch.attention_to[rows, slots] >= 0).sum(-1) - 1
        return F.smooth_l1_loss(told, n_objects / 10, beta=0.05)

    def pointer_loss(self, hidden: Tensor, ends: Tensor, gold: Tensor) -> tuple[Tensor, Tensor]:
        """hidden [N, L, d], ends [N, 4] last token of each option, gold [N] -> loss, accuracy."""
        scores = self.pointer(self.pointer_norm(_tokens_at(hidden, ends)))[..., 0] * hidden.shape[-1] ** 0.5
        return F.cross_entropy(scores, gold), (scores.argmax(-1) == gold).float().mean()


def _unevenness(weights: Tensor, wanted: Tensor) -> Tensor:
    """KL divergence of attention `weights` [N, M] from the even spread over the `wanted` places, averaged over rows."""
    n = wanted.sum(-1)
    log_weights = ((weights + _LEAST_MASS).log() * wanted).sum(-1)
    return (-log_weights / n - n.float().log()).mean()


def attention_loss(watched: list[Tensor], batch: Batch) -> Tensor:
    """-log of the attention mass on the targets (COUNT: its unevenness), averaged over each kind, then over the kinds.

    watched: per layer, weights [B, heads, Q, L, P + L].
    """
    assert batch.attention_kind is not None
    assert batch.attention_at is not None
    assert batch.attention_to is not None
    losses = []
    for kind, (layer, head) in enumerate(PLACES):
        rows, slots = (batch.attention_kind == kind).nonzero(as_tuple=True)
        if len(rows) == 0:
            continue
        weights = watched[layer][:, head].flatten(0, 1)[rows, batch.attention_at[rows, slots]].float()
        targets = batch.attention_to[rows, slots]
        wanted = targets >= 0
        on_target = weights.gather(1, targets.clamp(min=0)) * wanted
        if kind == COUNT:
            losses.append(_unevenness(on_target, wanted))
        else:
            losses.append(-(on_target.sum(-1) + _LEAST_MASS).log().mean())
    return torch.stack(losses).mean()
