"""From picture and question to readings on other families of VLMs, through their real processors."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from PIL import Image
from tiny_edits import EDITS, condition, random_sae
from tiny_processors import BUILDERS, loaded

from vsc_eval.backends.hf.engine import Engine
from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.backends.hf.prompts import Prompt, encode_prompts
from vsc_eval.backends.protocol import GenSettings
from vsc_eval.synthetic import LETTERS

EVERY_FAMILY = pytest.mark.parametrize("family", BUILDERS)
LAYER = 1


@cache
def vlm_of(family: str) -> LoadedVLM:
    return loaded(family)


def questions() -> list[Prompt]:
    """Different lengths, pictures of different sizes, one without a picture, one with image tokens in its words."""
    texts = (
        "How many red circles are there?\nA. 1\nB. 2",
        "Where?",
        "What does <image> or <IMG_CONTEXT> or <start_of_image> mean?",
        "Is the red circle left of the blue square or is it not?",
    )
    sizes = ((20, 20), (40, 20), (24, 24), (16, 48))
    pictures = [
        Image.effect_noise(size, 60).convert("RGB").rotate(90 * index, expand=True) for index, size in enumerate(sizes)
    ]
    prompts = [Prompt(text, (picture,), LETTERS) for text, picture in zip(texts, pictures, strict=True)]
    return [*prompts, Prompt("How many red circles are there?", (), LETTERS)]


@EVERY_FAMILY
def test_encoded_prompts_are_sound(family: str) -> None:
    vlm = vlm_of(family)
    *pictured, bare = questions()
    batch = encode_prompts(vlm, pictured)
    bos = batch.tensors["input_ids"] == vlm.tokenizer.bos_token_id
    assert bos.sum(-1).tolist() == [1] * len(pictured)
    assert batch.image_mask.any(-1).all()
    assert batch.attention_mask[:, -1].all()
    with torch.no_grad():
        vlm.model(**batch.tensors)  # as many features as image tokens, or the model raises
    assert not encode_prompts(vlm, [bare]).image_mask.any()


@EVERY_FAMILY
@pytest.mark.parametrize(
    "settings", [GenSettings("loglikelihood"), GenSettings("generate", 4)], ids=["loglikelihood", "generate"]
)
def test_shared_equals_hooks_exactly(family: str, settings: GenSettings) -> None:
    vlm = vlm_of(family)
    sae = random_sae(vlm.decoder.d_model)
    prompts = questions()
    anywhere = [condition(name, sae, LAYER) for name in EDITS if name != "scale_image"]
    shared = Engine(vlm, sae=sae, layer=LAYER, batch_size=3, mode="shared", max_stack=1)
    hooked = Engine(vlm, sae=sae, layer=LAYER, batch_size=3, mode="hooks")
    readings = shared.read(prompts, [None, *anywhere], settings)
    assert readings == hooked.read(prompts, [None, *anywhere], settings)
    image_edit = [None, condition("scale_image", sae, LAYER)]
    readings = shared.read(prompts[:-1], image_edit, settings)
    assert readings == hooked.read(prompts[:-1], image_edit, settings)
    assert all((reading.shift_edited or 0.0) > 1e-3 for reading in readings[1])


@EVERY_FAMILY
def test_one_prompt_alone_reads_as_in_a_batch(family: str) -> None:
    """Padding and neighbours must not matter."""
    vlm = vlm_of(family)
    prompts = questions()
    together = Engine(vlm, batch_size=8).read(prompts, [None], GenSettings("loglikelihood"))[0]
    for prompt, reading in zip(prompts, together, strict=True):
        alone = Engine(vlm).read([prompt], [None], GenSettings("loglikelihood"))[0][0]
        assert alone.option_logprobs == pytest.approx(reading.option_logprobs, abs=2e-4)


@EVERY_FAMILY
def test_a_picture_before_does_not_shift_the_positions_of_bare_text(family: str) -> None:
    """Qwen-VL keeps the last batch's position offset in the model; against transformers' own generate."""
    vlm = vlm_of(family)
    *pictured, bare = questions()
    engine = Engine(vlm, batch_size=8)
    engine.read(pictured, [None], GenSettings("generate", 2))
    token_ids = engine.read([bare, bare], [None], GenSettings("generate", 6))[0][0].token_ids
    inputs = encode_prompts(vlm, [bare]).tensors
    generated = vlm.model.generate(  # type: ignore[operator]
        **inputs,
        max_new_tokens=6,
        do_sample=False,
        eos_token_id=sorted(vlm.end_token_ids),
        pad_token_id=vlm.tokenizer.pad_token_id,
    )
    expected = [i for i in generated[0, inputs["input_ids"].shape[1] :].tolist() if i not in vlm.end_token_ids]
    assert list(token_ids) == expected
