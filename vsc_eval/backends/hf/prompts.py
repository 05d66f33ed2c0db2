"""From a question with pictures to model inputs: always through the chat template, left-padded, never truncated.

Also which prompts run together, and special strings in questions, which stay plain words.
"""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.errors import BackendError, DataError
from vsc_eval.files import picture_hash, short_hash


@dataclass(frozen=True, eq=False)
class Prompt:
    """One request: text, the pictures that go before it, and the option letters that may answer it."""

    text: str
    images: tuple[Image, ...] = ()
    options: tuple[str, ...] = ()
    """Option letters, for example ("A", "B", "C", "D"); empty for a free answer."""

    @cached_property
    def prompt_hash(self) -> str:
        """First 16 hex digits of the sha256 of text and letters."""
        return short_hash("\0".join((self.text, *self.options)))

    @cached_property
    def image_hash(self) -> str:
        """First 16 hex digits of the sha256 of all pixels as the model sees them; `none` without a picture."""
        return picture_hash(*map(_as_rgb, self.images))


def _as_rgb(image: Image) -> Image:
    """What the model sees. Other modes have parts (a palette, transparency) that their bytes do not tell."""
    return image if image.mode == "RGB" else image.convert("RGB")


def prompt_head(prompt: Prompt) -> str:
    """The first words of a prompt, to name it in an error."""
    line = " ".join(prompt.text.split())
    return line if len(line) <= 60 else line[:57] + "..."


def similar_batches(prompts: Sequence[Prompt], batch_size: int) -> Iterator[list[int]]:
    """Indices of prompts that run together: the same number of pictures, similar lengths."""
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i].images), len(prompts[i].text), i))
    for _, group in groupby(order, key=lambda i: len(prompts[i].images)):
        alike = list(group)
        yield from (alike[at : at + batch_size] for at in range(0, len(alike), batch_size))


def unlike_prompts(prompts: Sequence[Prompt]) -> list[Prompt]:
    """The shortest, the middle and the longest prompt with as many pictures as the first one.

    Unlike lengths, so that there is padding to go wrong; three, because that is the number of mrope's axes, at which a
    mixed-up axis is not noticed by its shape.
    """
    alike = sorted((p for p in prompts if len(p.images) == len(prompts[0].images)), key=lambda p: len(p.text))
    return [alike[0], alike[len(alike) // 2], alike[-1]]


@dataclass(frozen=True, eq=False)
class BatchInputs:
    """One batch as the model takes it."""

    tensors: dict[str, Tensor]
    """Keyword arguments of the model; input_ids and attention_mask are [B, T], left-padded."""
    image_mask: Tensor
    """Bool [B, T]: tokens that stand for a patch of a picture."""

    @property
    def attention_mask(self) -> Tensor:
        return self.tensors["attention_mask"]

    @property
    def n_items(self) -> int:
        return int(self.attention_mask.shape[0])

    @property
    def n_tokens(self) -> int:
        """Padded length T."""
        return int(self.attention_mask.shape[1])


def disarm(text: str, specials: Sequence[str]) -> str:
    """`text` with a space in every special string, so that a literal `<image>` in a question stays a few words.

    Without it a question can open a picture slot that has no picture, or end the user's turn.
    """
    for special in specials:
        if special in text:
            lead = len(special) - len(special.lstrip()) + 1
            text = text.replace(special, f"{special[:lead]} {special[lead:]}")
    return text


def render_chat(vlm: LoadedVLM, prompt: Prompt, *, answer: str | None = None) -> str:
    """The prompt in the model's chat template: pictures, then text; with the assistant's turn opened, or answered.

    Raises BackendError if the model has no chat template.
    """
    content = [{"type": "image"} for _ in prompt.images]
    content.append({"type": "text", "text": disarm(prompt.text, vlm.special_strings)})
    conversation = [{"role": "user", "content": content}]
    if answer is not None:
        conversation.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    if getattr(vlm.processor, "chat_template", None) is None and getattr(vlm.tokenizer, "chat_template", None) is None:
        raise BackendError(
            f"'{vlm.name}' has no chat template.",
            hint="Use an instruction-tuned model, or put its `chat_template.jinja` into the model's folder.",
        )
    rendered: str = vlm.processor.apply_chat_template(
        conversation, tokenize=False, add_generation_prompt=answer is None
    )
    return rendered


def adds_start_token(vlm: LoadedVLM, text: str) -> bool:
    """Whether the tokenizer is to add its start token: a template that writes it would otherwise get it twice."""
    bos = getattr(vlm.tokenizer, "bos_token", None)
    return not (bos and text.startswith(bos))


def encode_prompts(vlm: LoadedVLM, prompts: Sequence[Prompt], *, pad_to_multiple: int | None = None) -> BatchInputs:
    """Tokenize and preprocess a batch. All prompts must have the same number of pictures.

    `pad_to_multiple` rounds the padded length up. Raises DataError for a prompt that is longer than the model's context
    or whose pictures did not become image tokens, BackendError for a missing chat template.
    """
    n_images = {len(prompt.images) for prompt in prompts}
    assert len(n_images) == 1, "prompts of a batch differ in their number of pictures"
    texts = [render_chat(vlm, prompt) for prompt in prompts]
    arguments: dict[str, Any] = {
        "text": texts,
        "padding": True,
        "return_tensors": "pt",
        "add_special_tokens": adds_start_token(vlm, texts[0]),
    }
    if pad_to_multiple is not None:
        arguments["pad_to_multiple_of"] = pad_to_multiple
    if n_images != {0}:
        arguments["images"] = [[_as_rgb(image) for image in prompt.images] for prompt in prompts]
    accepted = inspect.signature(vlm.model.forward).parameters
    tensors = {
        name: value.to(device=vlm.device, dtype=vlm.dtype if value.is_floating_point() else value.dtype)
        for name, value in vlm.processor(**arguments).items()
        if name in accepted and isinstance(value, Tensor)
    }
    image_mask = torch.isin(tensors["input_ids"], torch.tensor(vlm.image_token_ids, device=vlm.device))
    batch = BatchInputs(tensors=tensors, image_mask=image_mask)
    assert bool(batch.attention_mask[:, -1].all()), "the tokenizer padded on the right"
    lengths, n_image_tokens = batch.attention_mask.sum(-1).tolist(), image_mask.sum(-1).tolist()
    for prompt, length, n_image in zip(prompts, lengths, n_image_tokens, strict=True):
        if vlm.context_length is not None and length > vlm.context_length:
            raise DataError(
                f"The prompt '{prompt_head(prompt)}' has {length} tokens; '{vlm.name}' takes {vlm.context_length}.",
                hint="Shorten it, or use smaller pictures (`max_pixels`). Nothing is ever truncated.",
            )
        check_image_tokens(vlm, prompt, n_image)
    return batch


def check_image_tokens(vlm: LoadedVLM, prompt: Prompt, n_image_tokens: int) -> None:
    """Raises DataError for a prompt whose pictures did not become image tokens."""
    if bool(prompt.images) != bool(n_image_tokens):
        raise DataError(
            f"The prompt '{prompt_head(prompt)}' has {len(prompt.images)} pictures, {n_image_tokens} image tokens.",
            hint=f"The chat template of '{vlm.name}' does not place pictures; check it.",
        )


def option_token_ids(vlm: LoadedVLM, letters: Sequence[str]) -> tuple[int, ...]:
    """The token that each letter is when it stands first in the answer, with the blank in front of it that the model's
    own template writes there, if any.

    Raises BackendError if a letter is not one token, or two letters are the same.
    """
    ids = tuple(_option_token_id(vlm, letter) for letter in letters)
    if len(set(ids)) != len(ids):
        raise BackendError(
            f"'{vlm.name}' reads the options {list(letters)} as tokens {list(ids)}, which are not distinct.",
            hint="Use the `generate` scoring.",
        )
    return ids


def _option_token_id(vlm: LoadedVLM, letter: str) -> int:
    probe = Prompt(text="Question?")
    opened, answered = render_chat(vlm, probe), render_chat(vlm, probe, answer=letter)
    before, _, _ = answered.removeprefix(opened).partition(letter)
    blanks = [before] if answered.startswith(opened) and before and not before.strip() else []
    prompt_ids = vlm.tokenizer(opened, add_special_tokens=False).input_ids
    for blank in (*blanks, ""):
        ids = vlm.tokenizer(opened + blank + letter, add_special_tokens=False).input_ids
        if len(ids) == len(prompt_ids) + 1 and ids[:-1] == prompt_ids and ids[-1] != vlm.tokenizer.unk_token_id:
            return int(ids[-1])
    raise BackendError(
        f"'{vlm.name}' does not read the option '{letter}' as one token at the start of its answer.",
        hint="Use the `generate` scoring.",
    )
