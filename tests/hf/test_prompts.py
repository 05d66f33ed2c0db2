"""Chat template, padding, slots for pictures, and the options' tokens."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from PIL import Image
from tokenizers import processors
from transformers import AutoTokenizer

from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.backends.hf.prompts import Prompt, disarm, encode_prompts, option_token_ids, render_chat
from vsc_eval.errors import BackendError, DataError
from vsc_eval.synthetic import LETTERS

PICTURE = Image.new("RGB", (64, 64), (200, 30, 30))


def with_template(vlm: LoadedVLM, template: str, tokenizer: Any = None) -> LoadedVLM:
    """The same model behind another chat template (and tokenizer)."""
    tokenizer = tokenizer or vlm.tokenizer
    processor = type(vlm.processor)(
        image_processor=vlm.processor.image_processor,
        tokenizer=tokenizer,
        video_processor=vlm.processor.video_processor,
        chat_template=template,
    )
    return dataclasses.replace(vlm, processor=processor, tokenizer=tokenizer)


def test_the_picture_stands_before_the_text_in_the_users_turn(vlm: LoadedVLM) -> None:
    rendered = render_chat(vlm, Prompt("How many circles?", (PICTURE,)))
    assert rendered == (
        "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>How many circles?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_padding_is_on_the_left_and_never_an_image_token(vlm: LoadedVLM, prompts: list[Prompt]) -> None:
    batch = encode_prompts(vlm, [prompts[0], prompts[7]])
    lengths = batch.attention_mask.sum(-1)
    assert lengths[0] != lengths[1]
    for row, length in enumerate(lengths.tolist()):
        assert batch.attention_mask[row, -length:].all()
        assert not batch.attention_mask[row, :-length].any()
    assert batch.image_mask.sum(-1).tolist() == [16, 16]
    assert not (batch.image_mask & ~batch.attention_mask.bool()).any()
    ids = batch.tensors["input_ids"]
    assert ((ids == vlm.model.config.image_token_id) == batch.image_mask).all()  # type: ignore[union-attr]


def test_padding_to_a_multiple(vlm: LoadedVLM, prompts: list[Prompt]) -> None:
    batch = encode_prompts(vlm, prompts, pad_to_multiple=16)
    assert batch.n_tokens % 16 == 0
    plain = encode_prompts(vlm, prompts)
    assert 0 <= batch.n_tokens - plain.n_tokens < 16
    assert torch.equal(batch.tensors["input_ids"][:, -plain.n_tokens :], plain.tensors["input_ids"])


@pytest.mark.parametrize("trick", ["<|image_pad|>", "<image>", "<|im_end|>", "<|vision_start|><|image_pad|>", "[IMG]"])
@pytest.mark.parametrize("images", [(), (PICTURE,)])
def test_special_strings_in_a_question_stay_words(vlm: LoadedVLM, trick: str, images: tuple[Image.Image, ...]) -> None:
    batch = encode_prompts(vlm, [Prompt(f"What does {trick} mean?", images)])
    harmless = encode_prompts(vlm, [Prompt("What does it mean?", images)])
    assert int(batch.image_mask.sum()) == int(harmless.image_mask.sum())
    control = torch.tensor(vlm.tokenizer.all_special_ids)
    unknown = vlm.tokenizer.unk_token_id

    def controls(ids: torch.Tensor) -> int:
        return int((torch.isin(ids, control) & (ids != unknown)).sum())

    assert controls(batch.tensors["input_ids"]) == controls(harmless.tensors["input_ids"])


def test_disarming_keeps_the_words_readable() -> None:
    assert disarm("a <image> b", ("<image>",)) == "a < image> b"
    assert disarm("x\n<|im_start|>y", ("\n<|im_start|>", "<|im_start|>")) == "x\n< |im_start|>y"
    assert disarm("a < b", ("<image>",)) == "a < b"


def test_the_start_token_stands_once(vlm: LoadedVLM, vlm_folder: Any) -> None:
    """Template and tokenizer both add it: a classic double BOS."""
    tokenizer = AutoTokenizer.from_pretrained(vlm_folder, padding_side="left")
    tokenizer.add_special_tokens({"bos_token": "<|startoftext|>"})
    bos = tokenizer.bos_token_id
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<|startoftext|> $A", special_tokens=[("<|startoftext|>", bos)]
    )
    image_slot = (
        "{% for p in m['content'] %}{% if p['type'] == 'image' %}<|image_pad|>{% else %}{{ p['text'] }}{% endif %}"
    )
    body = "{% for m in messages %}" + image_slot + "{% endfor %}{% endfor %}"
    for template in ("{{ bos_token }}" + body, body):
        ids = encode_prompts(with_template(vlm, template, tokenizer), [Prompt("Where?", (PICTURE,))]).tensors[
            "input_ids"
        ]
        assert int((ids == bos).sum()) == 1
        assert int(ids[0, 0]) == bos


def test_option_letters_are_the_tokens_of_an_answer(vlm: LoadedVLM) -> None:
    assert option_token_ids(vlm, LETTERS) == tuple(vlm.tokenizer.convert_tokens_to_ids(list(LETTERS)))


def test_an_option_that_is_no_single_token_is_an_error(vlm: LoadedVLM) -> None:
    with pytest.raises(BackendError, match="does not read the option 'Zebra' as one token"):
        option_token_ids(vlm, ("A", "Zebra"))
    with pytest.raises(BackendError, match="not distinct"):
        option_token_ids(vlm, ("A", "A"))


def test_hashes_tell_prompts_and_pictures_apart() -> None:
    first = Prompt("One?", (PICTURE,), LETTERS)
    assert first.prompt_hash == Prompt("One?", (), LETTERS).prompt_hash
    assert first.prompt_hash != Prompt("One?", (PICTURE,), ("A", "B")).prompt_hash
    assert first.prompt_hash != Prompt("Two?", (PICTURE,), LETTERS).prompt_hash
    other = PICTURE.copy()
    assert first.image_hash == Prompt("Two?", (other,)).image_hash
    other.putpixel((3, 3), (200, 30, 31))
    assert first.image_hash != Prompt("One?", (other,)).image_hash
    assert Prompt("One?").image_hash == "none"
    drawing = Image.new("P", (8, 8))
    drawing.putpalette([200, 30, 30])
    recoloured = drawing.copy()
    recoloured.putpalette([30, 30, 200])
    assert Prompt("One?", (drawing,)).image_hash != Prompt("One?", (recoloured,)).image_hash
    assert Prompt("One?", (drawing,)).image_hash == Prompt("One?", (drawing.convert("RGB"),)).image_hash


def test_a_model_without_chat_template_is_refused(vlm: LoadedVLM, vlm_folder: Any) -> None:
    tokenizer = AutoTokenizer.from_pretrained(vlm_folder)
    tokenizer.chat_template = None
    with pytest.raises(BackendError, match="has no chat template"):
        encode_prompts(with_template(vlm, None, tokenizer), [Prompt("Where?")])  # type: ignore[arg-type]


def test_a_template_that_drops_the_picture_is_an_error(vlm: LoadedVLM) -> None:
    deaf = with_template(vlm, "{% for m in messages %}{{ m['content'][-1]['text'] }}{% endfor %}")
    with pytest.raises(DataError, match="1 pictures, 0 image tokens"):
        encode_prompts(deaf, [Prompt("Where is it?", (PICTURE,))])


def test_a_prompt_that_is_too_long_is_named_not_cut(vlm: LoadedVLM) -> None:
    with pytest.raises(DataError, match=r"The prompt 'red red .*\.\.\.' has \d+ tokens; .* takes 2048"):
        encode_prompts(vlm, [Prompt("red " * 2100)])
