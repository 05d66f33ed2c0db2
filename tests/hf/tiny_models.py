"""Tiny random VLMs of many families, with inputs made by hand: three left-padded prompts, one picture each.

Weights are scaled up, so that an edit, a mask or a position that goes wrong shows in the logits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

VOCABULARY = 120
PAD, END, IMAGE, VIDEO, VISION_START, VISION_END = 0, 1, 110, 111, 112, 113
LENGTHS = (9, 5, 7)
"""Text tokens of the three prompts."""


@dataclass(frozen=True)
class TinyCase:
    model: nn.Module
    inputs: dict[str, Tensor]
    image_mask: Tensor
    """Bool [3, T]."""


def _text(**changes: Any) -> dict[str, Any]:
    return {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 5,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 256,
        "pad_token_id": PAD,
        "bos_token_id": 2,
        "eos_token_id": END,
        **changes,
    }


def _prompts(n_image_tokens: int) -> tuple[Tensor, Tensor]:
    """input_ids and attention_mask [3, T]: a start token, the picture, text of several lengths; left-padded."""
    generator = torch.Generator().manual_seed(11)
    total = max(LENGTHS) + n_image_tokens + 1
    ids = torch.full((3, total), PAD)
    mask = torch.zeros(3, total, dtype=torch.long)
    for row, length in enumerate(LENGTHS):
        words = torch.randint(5, 100, (length + 1,), generator=generator)
        content = torch.cat([words[:1], torch.full((n_image_tokens,), IMAGE), words[1:]])
        ids[row, total - len(content) :] = content
        mask[row, total - len(content) :] = 1
    return ids, mask


def _pixels(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(12))


def _case(build: Callable[[], nn.Module], inputs: dict[str, Tensor], n_image_tokens: int) -> TinyCase:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(13)
        model = build().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim >= 2 and "norm" not in name:
                parameter.mul_(3.0)
    ids, mask = _prompts(n_image_tokens)
    tensors = {"input_ids": ids, "attention_mask": mask, **inputs}
    return TinyCase(model=model, inputs=tensors, image_mask=ids == IMAGE)


def _mrope_inputs(n_image_tokens: int, patch_values: int, grid: tuple[int, int, int]) -> dict[str, Tensor]:
    ids, _ = _prompts(n_image_tokens)
    n_patches = grid[0] * grid[1] * grid[2]
    return {
        "pixel_values": _pixels(3 * n_patches, patch_values),
        "image_grid_thw": torch.tensor([grid] * 3),
        "mm_token_type_ids": (ids == IMAGE).long(),
    }


def qwen3_vl() -> TinyCase:
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    config = Qwen3VLConfig(
        text_config=_text(
            rope_parameters={"rope_type": "default", "rope_theta": 1000.0, "mrope_section": [2, 1, 1]},
        ),
        vision_config={
            "depth": 3,
            "hidden_size": 16,
            "intermediate_size": 24,
            "num_heads": 2,
            "patch_size": 4,
            "temporal_patch_size": 1,
            "spatial_merge_size": 2,
            "out_hidden_size": 32,
            "num_position_embeddings": 16,
            "deepstack_visual_indexes": [0, 1, 2],
        },
        image_token_id=IMAGE,
        video_token_id=VIDEO,
        vision_start_token_id=VISION_START,
        vision_end_token_id=VISION_END,
    )
    inputs = _mrope_inputs(6, 48, (1, 4, 6))
    return _case(lambda: Qwen3VLForConditionalGeneration(config), inputs, 6)


def qwen2_5_vl() -> TinyCase:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    text = _text(rope_parameters={"rope_type": "default", "rope_theta": 1000.0, "mrope_section": [2, 1, 1]})
    del text["head_dim"]
    config = Qwen2_5_VLConfig(
        text_config=text,
        vision_config={
            "depth": 2,
            "hidden_size": 16,
            "intermediate_size": 24,
            "num_heads": 2,
            "patch_size": 4,
            "temporal_patch_size": 1,
            "spatial_merge_size": 2,
            "window_size": 16,
            "fullatt_block_indexes": [1],
            "out_hidden_size": 32,
        },
        image_token_id=IMAGE,
        video_token_id=VIDEO,
        vision_start_token_id=VISION_START,
        vision_end_token_id=VISION_END,
    )
    return _case(lambda: Qwen2_5_VLForConditionalGeneration(config), _mrope_inputs(6, 48, (1, 4, 6)), 6)


_CLIP = {
    "model_type": "clip_vision_model",
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 12,
    "patch_size": 4,
    "projection_dim": 16,
}
_SIGLIP = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 4,
    "vision_use_head": False,
}


def llava() -> TinyCase:
    from transformers import LlavaConfig, LlavaForConditionalGeneration

    config = LlavaConfig(text_config={"model_type": "llama", **_text()}, vision_config=_CLIP, image_token_index=IMAGE)
    return _case(lambda: LlavaForConditionalGeneration(config), {"pixel_values": _pixels(3, 3, 12, 12)}, 9)


def internvl() -> TinyCase:
    from transformers import InternVLConfig, InternVLForConditionalGeneration

    vision = {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": [16, 16],
        "patch_size": [4, 4],
    }
    config = InternVLConfig(
        text_config={"model_type": "qwen2", **_text()}, vision_config=vision, image_token_id=IMAGE, downsample_ratio=0.5
    )
    return _case(lambda: InternVLForConditionalGeneration(config), {"pixel_values": _pixels(3, 3, 16, 16)}, 4)


def gemma3() -> TinyCase:
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    text = _text(
        sliding_window=6,
        layer_types=["sliding_attention", "full_attention"] * 2 + ["sliding_attention"],
        final_logit_softcapping=5.0,
    )
    config = Gemma3Config(
        text_config=text,
        vision_config=_SIGLIP,
        mm_tokens_per_image=4,
        image_token_index=IMAGE,
        boi_token_index=VISION_START,
    )
    ids, _ = _prompts(4)
    inputs = {"pixel_values": _pixels(3, 3, 16, 16), "token_type_ids": (ids == IMAGE).long()}
    return _case(lambda: Gemma3ForConditionalGeneration(config), inputs, 4)


def idefics3() -> TinyCase:
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration

    config = Idefics3Config(
        text_config={"model_type": "llama", **_text()},
        vision_config={k: v for k, v in _SIGLIP.items() if k != "vision_use_head"},
        image_token_id=IMAGE,
        scale_factor=2,
    )
    inputs = {"pixel_values": _pixels(3, 1, 3, 16, 16)}
    return _case(lambda: Idefics3ForConditionalGeneration(config), inputs, 4)


def smolvlm() -> TinyCase:
    from transformers import SmolVLMConfig, SmolVLMForConditionalGeneration

    config = SmolVLMConfig(
        text_config={"model_type": "llama", **_text()},
        vision_config={k: v for k, v in _SIGLIP.items() if k != "vision_use_head"},
        image_token_id=IMAGE,
        scale_factor=2,
    )
    inputs = {"pixel_values": _pixels(3, 1, 3, 16, 16)}
    return _case(lambda: SmolVLMForConditionalGeneration(config), inputs, 4)


def paligemma() -> TinyCase:
    from transformers import PaliGemmaConfig, PaliGemmaForConditionalGeneration

    config = PaliGemmaConfig(
        text_config={"model_type": "gemma", **_text()},
        vision_config={"model_type": "siglip_vision_model", **_SIGLIP, "projection_dim": 32},
        image_token_index=IMAGE,
        projection_dim=32,
        hidden_size=32,
    )
    inputs = {"pixel_values": _pixels(3, 3, 16, 16)}
    return _case(lambda: PaliGemmaForConditionalGeneration(config), inputs, 16)


def qwen3_5() -> TinyCase:
    """Linear attention in most layers: its states are updated in place."""
    from transformers import Qwen3_5Config, Qwen3_5ForConditionalGeneration

    config = Qwen3_5Config(
        text_config=_text(
            rope_parameters={
                "rope_type": "default",
                "rope_theta": 1000.0,
                "mrope_section": [2, 1, 1],
                "partial_rotary_factor": 1.0,
            },
            layer_types=["linear_attention", "full_attention", "linear_attention", "full_attention", "full_attention"],
            linear_num_key_heads=2,
            linear_num_value_heads=2,
            linear_key_head_dim=8,
            linear_value_head_dim=8,
        ),
        vision_config={
            "depth": 2,
            "hidden_size": 16,
            "intermediate_size": 24,
            "num_heads": 2,
            "patch_size": 4,
            "temporal_patch_size": 1,
            "spatial_merge_size": 2,
            "out_hidden_size": 32,
            "num_position_embeddings": 16,
        },
        image_token_id=IMAGE,
        video_token_id=VIDEO,
        vision_start_token_id=VISION_START,
        vision_end_token_id=VISION_END,
    )
    return _case(lambda: Qwen3_5ForConditionalGeneration(config), _mrope_inputs(6, 48, (1, 4, 6)), 6)


def gemma4() -> TinyCase:
    """The last layer reuses the keys and values of a lower one; every layer gets embeddings of its own."""
    from transformers import Gemma4Config, Gemma4ForConditionalGeneration

    sliding, full = "sliding_attention", "full_attention"
    text = _text(
        sliding_window=6,
        layer_types=[sliding, full, sliding, sliding, full],
        num_kv_shared_layers=1,
        hidden_size_per_layer_input=8,
        vocab_size_per_layer_input=VOCABULARY,
        global_head_dim=8,
        num_global_key_value_heads=2,
    )
    vision = {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "patch_size": 4,
        "pooling_kernel_size": 3,
        "position_embedding_size": 64,
    }
    config = Gemma4Config(text_config=text, vision_config=vision, audio_config=None, image_token_id=IMAGE)
    ids, _ = _prompts(4)
    grid = torch.stack(torch.meshgrid(torch.arange(6), torch.arange(6), indexing="xy"), -1).reshape(1, 36, 2)
    inputs = {
        "pixel_values": _pixels(3, 36, 48).abs(),
        "image_position_ids": grid.repeat(3, 1, 1),
        "mm_token_type_ids": (ids == IMAGE).long(),
    }
    return _case(lambda: Gemma4ForConditionalGeneration(config), inputs, 4)


FAMILIES: dict[str, Callable[[], TinyCase]] = {
    "qwen3_vl": qwen3_vl,
    "qwen2_5_vl": qwen2_5_vl,
    "llava": llava,
    "internvl": internvl,
    "gemma3": gemma3,
    "idefics3": idefics3,
    "smolvlm": smolvlm,
    "paligemma": paligemma,
    "qwen3_5": qwen3_5,
    "gemma4": gemma4,
}
