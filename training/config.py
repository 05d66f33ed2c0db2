"""Everything that decides what vsc-tiny is and how it was trained, as one frozen spec (YAML beside the weights)."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from vsc_eval.specs import Spec


class TinyShape(Spec):
    """Sizes of the model. All widths in channels, all lengths in tokens or pixels."""

    canvas_px: int = 448
    patch_px: int = 32
    """One patch is one image token (no spatial merging): 14 x 14 = 196 tokens, about one object centre in each."""
    d_vision: int = 192
    vision_depth: int = 3
    vision_heads: int = 6
    vision_mlp: int = 576
    deepstack_at: tuple[int, ...] = (1,)
    """Vision blocks whose output is also added after the first decoder layers (DeepStack, as in every Qwen3-VL)."""
    d_model: int = 192
    n_layers: int = 6
    n_heads: int = 6
    head_dim: int = 32
    d_mlp: int = 512
    mrope_section: tuple[int, int, int] = (6, 5, 5)
    rope_theta: float = 500000.0
    """Large, as in real models: most channels hardly rotate, which leaves them free to match words with objects."""
    qk_gain: float = 1.8
    """Initial gain of the query and key norms. With gain 1 and 32 channels no logit is above 5.7, and attention cannot
    single out one of 196 image tokens."""

    @property
    def grid(self) -> int:
        """Patches along one side."""
        return self.canvas_px // self.patch_px

    @property
    def n_image_tokens(self) -> int:
        return self.grid**2


class StageSpec(Spec):
    """One stage of the training schedule."""

    kind: Literal["vision", "packed"]
    steps: int = Field(gt=0)
    images_per_step: int = Field(gt=0)
    muon_lr: float = 0.02
    adam_lr: float = 2e-3
    vision_lr_factor: float = 1.0
    """Multiplies both rates for the vision tower. A trained tower needs a small one: Muon's steps do not shrink with
    the gradient, and the blind gradients of the first questions would undo the vision stage in a hundred steps."""
    object_weight: float = 1.0
    """Weight of the object targets in the total loss."""
    attention_weight: float = 0.0
    """Weight of the attention targets."""
    where_weight: float = 2.0
    """Weight of the places told."""
    letter_weight: float = 1.0
    word_weight: float = 0.5
    pointer_weight: float = 0.5
    """Weights of the letter, word and pointer targets. While words are not yet bound to objects, the letter's gradient
    is noise, and Muon gives noise steps of full length: a binding stage keeps it small."""
    warmup_steps: int = 50
    final_lr_fraction: float = 0.05
    """Learning rates fall linearly to this fraction over the last `cooldown_fraction` of the steps."""
    cooldown_fraction: float = 0.4
    level_weights: tuple[int, int, int] = (1, 1, 1)
    """Relative frequency of easy, medium and hard scenes, in buckets that name no level."""


class Bucket(Spec):
    """A fixed shape of packed questions: `questions` of at most `length` tokens behind each image."""

    length: int
    questions: int
    weight: int
    """Relative frequency among steps."""
    tasks: tuple[str, ...]
    """Tasks whose scenes (and own questions) fill the batch; one named twice comes twice as often."""
    levels: tuple[str, ...] = ()
    """Levels of those scenes; empty: all, by the stage's weights."""
    extra_tasks: tuple[str, ...]
    """Tasks of the questions that are drawn besides."""


_SHORT = ("counting", "spatial_relation", "attribute_query", "comparison", "existence")
# Counting, directions and moves take longest to learn, so their scenes come more often.
_SCENES = (*("counting",) * 4, *("spatial_relation",) * 2, "attribute_query", "comparison", "existence")
_BUCKETS = (
    Bucket(length=28, questions=17, weight=10, tasks=_SCENES, extra_tasks=_SHORT),
    Bucket(
        length=36,
        questions=13,
        weight=8,
        tasks=("multi_hop",),
        extra_tasks=("multi_hop", "logic", "existence", "spatial_relation"),
    ),
    Bucket(length=36, questions=13, weight=1, tasks=("logic",), levels=("easy",), extra_tasks=("logic", "existence")),
    Bucket(length=62, questions=8, weight=1, tasks=("logic",), levels=("medium",), extra_tasks=("logic",)),
    Bucket(length=90, questions=5, weight=2, tasks=("logic",), levels=("hard",), extra_tasks=("logic",)),
)


class TinyConfig(Spec):
    """`python -m training train --config FILE`."""

    schema_version: Literal[1] = 1
    name: str = "vsc-tiny"
    seed: int = 0
    shape: TinyShape = TinyShape()
    stages: tuple[StageSpec, ...] = (
        StageSpec(kind="vision", steps=400, images_per_step=32),
        StageSpec(
            kind="packed",
            steps=500,
            images_per_step=8,
            vision_lr_factor=0.1,
            attention_weight=4.0,
            letter_weight=0.1,
            pointer_weight=0.2,
            cooldown_fraction=0.0,
        ),
        StageSpec(
            kind="packed",
            steps=4550,
            images_per_step=8,
            warmup_steps=100,
            vision_lr_factor=0.1,
            cooldown_fraction=0.45,
            object_weight=0.5,
            attention_weight=1.0,
        ),
    )
    buckets: tuple[Bucket, ...] = _BUCKETS
    checkpoint_every_steps: int = 500

    @model_validator(mode="after")
    def _attention_places_exist(self) -> Self:
        if self.shape.n_layers < 6 and any(stage.attention_weight for stage in self.stages):
            raise ValueError("attention targets are placed on six layers; set `attention_weight: 0` for fewer")
        return self
