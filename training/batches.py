"""Training batches as pure functions of (seed, stage, step), so that a resumed run sees what an unbroken one would."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.config import TinyShape
from vsc_eval.synthetic.draws import CrowdedError, Stream, place
from vsc_eval.synthetic.render import render_array
from vsc_eval.synthetic.scene import COLOURS, SHAPES, Scene, SceneObject

COLOUR_WORDS = tuple(COLOURS)
SHAPE_WORDS = tuple(SHAPES)
SIZE_UNIT_PX = 48.0
"""Sizes are regressed as (size - 48) / 48."""


IGNORE = -100
"""Class index of a target that does not count."""

N_GEOMETRY = 5  # size, x and y offset in the cell, x and y on the canvas


@dataclass(frozen=True)
class ObjectTargets:
    """Per image token [B, T]: colour and shape class (the last class: no object), present; geometry [B, T, 5]."""

    colour: Tensor
    shape: Tensor
    geometry: Tensor
    present: Tensor


@dataclass
class Batch:
    """Tensors of one step. The vision stage has no question fields. B images, Q questions of L tokens each."""

    pixels: Tensor  # uint8 [B, H, W, 3]
    objects: ObjectTargets
    branch_ids: Tensor | None = None  # [B, Q, L]
    answer_at: Tensor | None = None  # [B*Q] position whose next token is the letter
    answer_ids: Tensor | None = None  # [B*Q] the letter's token
    option_ends: Tensor | None = None  # [B*Q, 4]
    gold: Tensor | None = None  # [B*Q]
    mark_at: Tensor | None = None  # [B*Q, M]
    mark_words: Tensor | None = None  # [B*Q, M], IGNORE where unused
    attention_kind: Tensor | None = None  # [B*Q, K] kind, IGNORE where unused
    attention_at: Tensor | None = None  # [B*Q, K] branch token
    attention_to: Tensor | None = None  # [B*Q, K, M] keys (prefix, then branch), IGNORE where unused
    where_layer: Tensor | None = None  # [B*Q, W] layer, IGNORE where unused
    where_at: Tensor | None = None  # [B*Q, W] branch token
    where_xy: Tensor | None = None  # [B*Q, W, 2] centre, -1 to 1 across the canvas
    cell: Tensor | None = None  # [B*Q] index of the question's kind, for the log


def random_scene(stream: Stream, *, max_objects: int = 24) -> Scene:
    """Any number of any objects, for teaching the vision tower; no relation to a question."""
    while True:
        n = stream.between(3, max_objects)
        top = 112 if n <= 6 else 72 if n <= 12 else 48
        sizes = [stream.even(20, top) for _ in range(n)]
        try:
            points = place(stream, sizes, gap=8, phase=stream.below(4))
        except CrowdedError:
            continue
        return Scene(
            objects=tuple(
                SceneObject(shape=stream.pick(SHAPE_WORDS), colour=stream.pick(COLOUR_WORDS), size=size, x=x, y=y)
                for size, (x, y) in zip(sizes, points, strict=True)
            )
        )


def image_token(o: SceneObject, shape: TinyShape) -> int:
    """The image token whose cell holds the object's centre, row by row."""
    column, row = min(o.x // shape.patch_px, shape.grid - 1), min(o.y // shape.patch_px, shape.grid - 1)
    return row * shape.grid + column


def object_targets(scenes: list[Scene], shape: TinyShape) -> ObjectTargets:
    """What each image token should know: the object whose centre lies in its cell."""
    tokens, patch = shape.n_image_tokens, shape.patch_px
    colour = np.full((len(scenes), tokens), len(COLOUR_WORDS), dtype=np.int64)
    kind = np.full((len(scenes), tokens), len(SHAPE_WORDS), dtype=np.int64)
    geometry = np.zeros((len(scenes), tokens, N_GEOMETRY), dtype=np.float32)
    for row, scene in enumerate(scenes):
        for o in scene.objects:
            token = image_token(o, shape)
            cy, cx = divmod(token, shape.grid)
            colour[row, token] = COLOUR_WORDS.index(o.colour)
            kind[row, token] = SHAPE_WORDS.index(o.shape)
            geometry[row, token] = (
                (o.size - SIZE_UNIT_PX) / SIZE_UNIT_PX,
                o.x / patch - cx - 0.5,
                o.y / patch - cy - 0.5,
                2 * o.x / shape.canvas_px - 1,
                2 * o.y / shape.canvas_px - 1,
            )
    present = torch.from_numpy(colour < len(COLOUR_WORDS))
    return ObjectTargets(torch.from_numpy(colour), torch.from_numpy(kind), torch.from_numpy(geometry), present)


def pixels_of(scenes: list[Scene]) -> Tensor:
    """uint8 [B, H, W, 3]."""
    return torch.from_numpy(np.stack([np.asarray(render_array(scene)) for scene in scenes]))


def vision_batch(seed: int, step: int, images: int, shape: TinyShape) -> Batch:
    scenes = [random_scene(Stream("zoo", seed, "vision", step, i)) for i in range(images)]
    return Batch(pixels=pixels_of(scenes), objects=object_targets(scenes, shape))


def to_dict(batch: Batch) -> dict[str, Any]:
    """For the loader, which moves dicts of tensors between processes."""
    out = {k: v for k, v in vars(batch).items() if v is not None and k != "objects"}
    return {**out, **{f"objects.{k}": v for k, v in vars(batch.objects).items()}}


def from_dict(values: dict[str, Any]) -> Batch:
    objects = ObjectTargets(**{k.removeprefix("objects."): v for k, v in values.items() if k.startswith("objects.")})
    return Batch(objects=objects, **{k: v for k, v in values.items() if not k.startswith("objects.")})
