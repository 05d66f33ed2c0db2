"""The training-time forward of vsc-tiny: many questions behind one image, equal to the model's own forward.

It runs the parameters of a `Qwen3VLForConditionalGeneration` directly, because on a CPU the stock forward wastes most
of its time: it loops over images in vision attention, and repeats the image for every question. Here a sequence is a
prefix (turn start and image) that is shared by Q branches (a question each); a branch sees the prefix and itself.
Shapes are fixed, so that each layer compiles once. A test holds it against the stock forward.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from training.config import TinyShape
from training.tokenizer import PrefixLayout

WATCHED_HEADS = 2
"""Heads of each layer whose attention can be supervised."""


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), dim=-1) * sin


def _rms(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return F.rms_norm(x.float(), (x.shape[-1],), weight, eps).to(x.dtype)


def _vision_block(block: Any, x: Tensor, cos: Tensor, sin: Tensor, heads: int) -> Tensor:
    """x [B, T, d] -> [B, T, d]; cos, sin [T, head_dim]."""
    batch, tokens, width = x.shape
    qkv = block.attn.qkv(block.norm1(x)).view(batch, tokens, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    q, k, v = qkv.unbind(0)
    q, k = _rotate(q, cos, sin).to(v.dtype), _rotate(k, cos, sin).to(v.dtype)
    attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, width)
    x = x + block.attn.proj(attended)
    out: Tensor = x + block.mlp(block.norm2(x))
    return out


def _language_layer(
    layer: Any, x: Tensor, cos: Tensor, sin: Tensor, causal: Tensor, heads: int, prefix: int, branches: int
) -> tuple[Tensor, Tensor]:
    """x [B, P + Q*L, d] -> same; cos, sin [P + Q*L, head_dim]; causal [L, L] additive mask.

    Also the attention weights of the first WATCHED_HEADS heads at the branch tokens, [B, heads, Q, L, P + L].
    """
    batch, total, _ = x.shape
    length = (total - prefix) // branches
    attention, eps = layer.self_attn, layer.input_layernorm.variance_epsilon
    h = _rms(x, layer.input_layernorm.weight, eps)

    def split(projected: Tensor) -> Tensor:
        return projected.view(batch, total, heads, -1)

    q = _rms(split(attention.q_proj(h)), attention.q_norm.weight, eps).transpose(1, 2)
    k = _rms(split(attention.k_proj(h)), attention.k_norm.weight, eps).transpose(1, 2)
    v = split(attention.v_proj(h)).transpose(1, 2)
    q, k = _rotate(q, cos, sin).to(v.dtype), _rotate(k, cos, sin).to(v.dtype)
    q_prefix, k_prefix, v_prefix = q[:, :, :prefix], k[:, :, :prefix], v[:, :, :prefix]
    out_prefix = F.scaled_dot_product_attention(q_prefix, k_prefix, v_prefix, is_causal=True)

    def branch(t: Tensor) -> Tensor:
        return t[:, :, prefix:].reshape(batch, heads, branches, length, -1)

    q_text, k_text, v_text = branch(q), branch(k), branch(v)
    scale = q.shape[-1] ** -0.5
    to_prefix = torch.matmul(q[:, :, prefix:], k_prefix.transpose(-1, -2)).view(batch, heads, branches, length, prefix)
    to_self = torch.matmul(q_text, k_text.transpose(-1, -2))
    scores = torch.cat((to_prefix * scale, to_self * scale + causal), dim=-1)
    weights = torch.softmax(scores.float(), dim=-1).to(v.dtype)
    from_prefix = torch.matmul(weights[..., :prefix].reshape(batch, heads, branches * length, prefix), v_prefix)
    from_self = torch.matmul(weights[..., prefix:], v_text).reshape(batch, heads, branches * length, -1)
    attended = torch.cat((out_prefix, from_prefix + from_self), dim=2).transpose(1, 2).reshape(batch, total, -1)
    x = x + attention.o_proj(attended)
    out: Tensor = x + layer.mlp(_rms(x, layer.post_attention_layernorm.weight, eps))
    return out, weights[:, :WATCHED_HEADS]


class PackedForward(nn.Module):
    """Callable view of `model`; holds no parameters of its own."""

    def __init__(self, model: Any, shape: TinyShape, layout: PrefixLayout, *, compile_layers: bool = False) -> None:
        super().__init__()
        self.model, self.shape, self.layout = model, shape, layout
        self._vision_block: Callable[..., Tensor] = _vision_block
        self._language_layer: Callable[..., tuple[Tensor, Tensor]] = _language_layer
        if compile_layers:
            # Dynamic shapes are many times slower on CPU; the packer only ever makes a few fixed ones. Each layer is
            # its own module instance, and must not count as a recompilation.
            torch._dynamo.config.recompile_limit = 64
            self._vision_block = torch.compile(_vision_block, dynamic=False)
            self._language_layer = torch.compile(_language_layer, dynamic=False)

    def _positions(self, length: int) -> Tensor:
        """mrope positions [3, P + L] of the prefix and one branch, as `get_rope_index` computes them."""
        before, side = len(self.layout.before), self.shape.grid
        start = torch.arange(before).expand(3, before)
        cells = torch.arange(side)
        image = torch.stack(
            (torch.zeros(side * side), cells.repeat_interleave(side).float(), cells.repeat(side).float())
        ).long()
        rest = torch.arange(len(self.layout.after) + length).expand(3, -1) + before + side
        return torch.cat((start, image + before, rest), dim=1)

    def vision(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """pixels uint8 [B, H, W, 3] -> image tokens [B, T, d_model], DeepStack features (each the same shape)."""
        visual, shape = self.model.model.visual, self.shape
        batch, side, patch = pixels.shape[0], shape.grid, shape.patch_px
        x = pixels.view(batch, side, patch, side, patch, 3).permute(0, 1, 3, 5, 2, 4)
        x = x.reshape(batch, side * side, 3 * patch * patch)
        proj = visual.patch_embed.proj
        x = F.linear(x.to(torch.float32) / 127.5 - 1.0, proj.weight.flatten(1), proj.bias)
        x = x + visual.pos_embed.weight.to(x.dtype)
        grid = torch.arange(side)
        where = torch.stack((grid.repeat_interleave(side), grid.repeat(side)), dim=1)
        cos, sin = visual.rotary_pos_emb(x, where)
        deep: list[Tensor] = []
        for index, block in enumerate(visual.blocks):
            x = self._vision_block(block, x, cos, sin, shape.vision_heads)
            if index in shape.deepstack_at:
                merger = visual.deepstack_merger_list[shape.deepstack_at.index(index)]
                deep.append(merger(x).view(batch, side * side, -1))
        return visual.merger(x).view(batch, side * side, -1), deep

    def forward(
        self, image_tokens: Tensor, deep: list[Tensor], branch_ids: Tensor, taps: tuple[int, ...] = ()
    ) -> tuple[Tensor, dict[int, Tensor], list[Tensor]]:
        """image_tokens [B, T, d], branch_ids [B, Q, L] -> final-norm hidden [B, Q, L, d]; for each layer index in
        `taps`, that layer's output at the branch tokens [B, Q, L, d]; for each layer, the watched attention weights
        [B, WATCHED_HEADS, Q, L, P + L] over the prefix and the branch's own tokens."""
        language, layout = self.model.model.language_model, self.layout
        batch, branches, length = branch_ids.shape
        embed = language.embed_tokens
        before = embed(torch.tensor(layout.before)).expand(batch, -1, -1)
        after = embed(torch.tensor(layout.after)).expand(batch, -1, -1)
        text = embed(branch_ids.reshape(batch, -1))
        x = torch.cat((before, image_tokens.to(before.dtype), after, text), dim=1)
        prefix = layout.length(self.shape)
        positions = self._positions(length)
        positions = torch.cat((positions[:, :prefix], positions[:, prefix:].repeat(1, branches)), dim=1)
        cos, sin = (t[0] for t in language.rotary_emb(x, positions[:, None]))
        causal = torch.full((length, length), float("-inf")).triu(1)
        image_slots = slice(len(layout.before), len(layout.before) + self.shape.n_image_tokens)
        tapped: dict[int, Tensor] = {}
        watched: list[Tensor] = []
        for index, layer in enumerate(language.layers):
            x, weights = self._language_layer(layer, x, cos, sin, causal, self.shape.n_heads, prefix, branches)
            watched.append(weights)
            if index < len(deep):
                x = torch.cat(
                    (x[:, : image_slots.start], x[:, image_slots] + deep[index].to(x.dtype), x[:, image_slots.stop :]),
                    dim=1,
                )
            if index in taps:
                tapped[index] = x[:, prefix:].reshape(batch, branches, length, -1)
        final = language.norm(x[:, prefix:]).view(batch, branches, length, -1)
        return final, tapped, watched
