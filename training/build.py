"""Make vsc-tiny from its config: a real `Qwen3VLForConditionalGeneration`, its tokenizer and its processor."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedTokenizerFast

from training.config import TinyShape
from training.tokenizer import CHAT_TEMPLATE
from vsc_eval.synthetic import SHAPES
from vsc_eval.synthetic.program import plural

EMBEDDING_STD = 0.5


def build_model(shape: TinyShape, tokenizer: PreTrainedTokenizerFast, *, seed: int) -> Any:
    """A freshly initialised float32 `Qwen3VLForConditionalGeneration` in train mode."""
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    ids = tokenizer.convert_tokens_to_ids
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": shape.d_model,
            "intermediate_size": shape.d_mlp,
            "num_hidden_layers": shape.n_layers,
            "num_attention_heads": shape.n_heads,
            "num_key_value_heads": shape.n_heads,
            "head_dim": shape.head_dim,
            "max_position_embeddings": 2048,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": shape.rope_theta,
                "mrope_section": list(shape.mrope_section),
                "mrope_interleaved": True,
            },
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": tokenizer.eos_token_id,
        },
        vision_config={
            "depth": shape.vision_depth,
            "hidden_size": shape.d_vision,
            "intermediate_size": shape.vision_mlp,
            "num_heads": shape.vision_heads,
            "patch_size": shape.patch_px,
            "temporal_patch_size": 1,
            "spatial_merge_size": 1,
            "out_hidden_size": shape.d_model,
            "num_position_embeddings": shape.n_image_tokens,
            "deepstack_visual_indexes": list(shape.deepstack_at),
        },
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=False,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen3VLForConditionalGeneration(config)
        _initialise(model, shape)
        _copy_plurals(model, tokenizer)
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.do_sample = False
    return model


@torch.no_grad()
def _initialise(model: Any, shape: TinyShape) -> None:
    """Width-scaled initialisation; half the heads of the first two decoder layers start with keys equal to queries.

    Words and visual tokens share directions after the vision stage (its targets are word embeddings), so a head whose
    query and key maps agree already finds the objects that a word names: binding, the slow part, has a head start.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    language, visual = model.model.language_model, model.model.visual
    nn.init.normal_(language.embed_tokens.weight, std=EMBEDDING_STD)
    nn.init.normal_(model.lm_head.weight, std=0.02)
    nn.init.normal_(visual.pos_embed.weight, std=0.3)
    patch = visual.patch_embed.proj
    nn.init.normal_(patch.weight, std=patch.weight[0].numel() ** -0.5)
    for merger in visual.deepstack_merger_list:
        nn.init.zeros_(merger.linear_fc2.weight)
    for layer in language.layers:
        scale = (2 * shape.n_layers) ** -0.5
        layer.self_attn.o_proj.weight.mul_(scale)
        layer.mlp.down_proj.weight.mul_(scale)
        nn.init.constant_(layer.self_attn.q_norm.weight, shape.qk_gain)
        nn.init.constant_(layer.self_attn.k_norm.weight, shape.qk_gain)
    for layer in language.layers[:2]:
        rows = (shape.n_heads // 2) * shape.head_dim
        layer.self_attn.k_proj.weight[:rows] = layer.self_attn.q_proj.weight[:rows]


@torch.no_grad()
def _copy_plurals(model: Any, tokenizer: PreTrainedTokenizerFast) -> None:
    """Start each plural (`circles`) at its singular, which is the word that the vision stage teaches."""
    embedding = model.get_input_embeddings().weight
    for shape_word in SHAPES:
        one, many = tokenizer.convert_tokens_to_ids([shape_word, plural(shape_word)])
        embedding[many] = embedding[one] + 0.1 * (embedding[many] - embedding[one])


def build_processor(shape: TinyShape, tokenizer: PreTrainedTokenizerFast) -> Any:
    """The processor: every image is resized to the canvas, because the model has seen no other size."""
    from transformers import Qwen2VLImageProcessor, Qwen3VLProcessor, Qwen3VLVideoProcessor

    pixels = shape.canvas_px**2
    common = {
        "patch_size": shape.patch_px,
        "temporal_patch_size": 1,
        "merge_size": 1,
        "size": {"shortest_edge": pixels, "longest_edge": pixels},
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(**common),
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(**common),
        chat_template=CHAT_TEMPLATE,
    )
