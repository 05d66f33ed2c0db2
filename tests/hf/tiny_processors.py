"""Real processors of other families over one small tokenizer, each with its tiny model: from picture to reading."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from training.tokenizer import build_tokenizer
from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.synthetic import vocabulary

_TOKENS = {
    "image_token": "<image>",
    "boi_token": "<start_of_image>",
    "eoi_token": "<end_of_image>",
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<video>",
    "fake_image_token": "<fake_token_around_image>",
    "global_image_token": "<global-img>",
    "end_of_utterance_token": "<end_of_utterance>",
}
_SIGLIP = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 4,
}


def _tokenizer() -> Any:
    base = build_tokenizer(vocabulary())
    base.add_special_tokens({"additional_special_tokens": [*_TOKENS.values(), "<s>"]})
    return PreTrainedTokenizerFast(
        tokenizer_object=base.backend_tokenizer,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        padding_side="left",
        extra_special_tokens=_TOKENS,
    )


def _template(slot: str) -> str:
    return (
        "{{ bos_token }}{% for m in messages %}{{ m['role'] }}: {% for p in m['content'] %}"
        "{% if p['type'] == 'image' %}" + slot + "{% else %}{{ p['text'] }}{% endif %}{% endfor %}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant:{% endif %}"
    )


def _text(tokenizer: Any, **changes: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 512,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        **changes,
    }


def _llava(tokenizer: Any) -> tuple[Any, Any]:
    from transformers import CLIPImageProcessor, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor

    image_processor = CLIPImageProcessor(size={"shortest_edge": 12}, crop_size={"height": 12, "width": 12})
    processor = LlavaProcessor(
        image_processor,
        tokenizer,
        patch_size=4,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=_template("<image>"),
    )
    vision = {"model_type": "clip_vision_model", **_SIGLIP, "image_size": 12, "projection_dim": 16}
    config = LlavaConfig(
        text_config={"model_type": "llama", **_text(tokenizer)},
        vision_config=vision,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    return LlavaForConditionalGeneration(config), processor


def _gemma3(tokenizer: Any) -> tuple[Any, Any]:
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration, Gemma3ImageProcessor, Gemma3Processor

    processor = Gemma3Processor(
        Gemma3ImageProcessor(size={"height": 16, "width": 16}),
        tokenizer,
        chat_template=_template("<start_of_image>"),
        image_seq_length=4,
    )
    config = Gemma3Config(
        text_config=_text(
            tokenizer,
            sliding_window=6,
            layer_types=["sliding_attention", "full_attention"] * 2,
            attn_logit_softcapping=None,
        ),
        vision_config={**_SIGLIP, "vision_use_head": False},
        mm_tokens_per_image=4,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    return Gemma3ForConditionalGeneration(config), processor


def _idefics3(tokenizer: Any) -> tuple[Any, Any]:
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration, Idefics3ImageProcessor, Idefics3Processor

    image_processor = Idefics3ImageProcessor(size={"longest_edge": 32}, max_image_size={"longest_edge": 16})
    processor = Idefics3Processor(image_processor, tokenizer, image_seq_len=4, chat_template=_template("<image>"))
    config = Idefics3Config(
        text_config={"model_type": "llama", **_text(tokenizer)},
        vision_config=_SIGLIP,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
    )
    return Idefics3ForConditionalGeneration(config), processor


def _internvl(tokenizer: Any) -> tuple[Any, Any]:
    from transformers import (
        GotOcr2ImageProcessor,
        InternVLConfig,
        InternVLForConditionalGeneration,
        InternVLProcessor,
        InternVLVideoProcessor,
    )

    processor = InternVLProcessor(
        GotOcr2ImageProcessor(size={"height": 16, "width": 16}, crop_to_patches=True, max_patches=2),
        tokenizer,
        InternVLVideoProcessor(size={"height": 16, "width": 16}),
        image_seq_length=4,
        chat_template=_template("<IMG_CONTEXT>"),
    )
    vision = {**_SIGLIP, "image_size": [16, 16], "patch_size": [4, 4]}
    config = InternVLConfig(
        text_config={"model_type": "qwen2", **_text(tokenizer)},
        vision_config=vision,
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        downsample_ratio=0.5,
    )
    return InternVLForConditionalGeneration(config), processor


def _qwen2_5_vl(tokenizer: Any) -> tuple[Any, Any]:
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    sizes = {"patch_size": 4, "temporal_patch_size": 1, "merge_size": 2, "min_pixels": 64, "max_pixels": 512}
    processor = Qwen2_5_VLProcessor(
        Qwen2VLImageProcessor(**sizes),
        tokenizer,
        Qwen2VLVideoProcessor(**sizes),
        chat_template=_template("<|vision_start|><image><|vision_end|>"),
    )
    ids = tokenizer.convert_tokens_to_ids
    text = _text(tokenizer, rope_parameters={"rope_type": "default", "rope_theta": 1e3, "mrope_section": [2, 1, 1]})
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
        image_token_id=ids("<image>"),
        video_token_id=ids("<video>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
    )
    return Qwen2_5_VLForConditionalGeneration(config), processor


BUILDERS: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "llava": _llava,
    "gemma3": _gemma3,
    "idefics3": _idefics3,
    "internvl": _internvl,
    "qwen2_5_vl": _qwen2_5_vl,
}


def loaded(family: str) -> LoadedVLM:
    """The family's tiny model behind its real processor, as `load_vlm` would hand it over."""
    tokenizer = _tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model, processor = BUILDERS[family](tokenizer)
    model.eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim >= 2 and "norm" not in name:
                parameter.mul_(3.0)
    return LoadedVLM(
        model=model,
        processor=processor,
        tokenizer=processor.tokenizer,
        name=family,
        device=torch.device("cpu"),
        dtype=torch.float32,
        fingerprint=family,
        revision=None,
    )
