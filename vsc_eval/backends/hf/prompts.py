"""From a question with pictures to model inputs: always through the chat template, left-padded, never truncated."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from PIL.Image import Image
from torch import Tensor

from vsc_eval.answers.hashes import picture_hash
from vsc_eval.backends.hf.specials import disarm
from vsc_eval.errors import BackendError, DataError

if TYPE_CHECKING:
    from vsc_eval.backends.hf.load import LoadedVLM


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
        payload = "\0".join((self.text, *self.options))
        return hashlib.sha256(payload.encode()).hexdigest()[:16]

    @cached_property
    def image_hash(self) -> str:
        """First 16 hex digits of the sha256 of all pixels as the model sees them; `none` without a picture."""
        return picture_hash(*map(_as_rgb, self.images))


def _as_rgb(image: Image) -> Image:
    """What the model sees. Other modes have parts (a palette, transparency) that their bytes do not tell."""
    return image if image.mode == "RGB" else image.convert("RGB")


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


def encode_prompts(vlm: LoadedVLM, prompts: Sequence[Prompt], *, pad_to_multiple: int | None = None) -> BatchInputs:
    """Tokenize and preprocess a batch. All prompts must have the same number of pictures.

    `pad_to_multiple` rounds the padded length up. Raises DataError for a prompt that is longer than the model's context
    or whose pictures did not become image tokens, BackendError for a missing chat template.
    """
    n_images = {len(prompt.images) for prompt in prompts}
    assert len(n_images) == 1, "prompts of a batch differ in their number of pictures"
    texts = [render_chat(vlm, prompt) for prompt in prompts]
    bos = getattr(vlm.tokenizer, "bos_token", None)
    arguments: dict[str, Any] = {
        "text": texts,
        "padding": True,
        "return_tensors": "pt",
        # A template that writes the start token itself would otherwise get it twice.
        "add_special_tokens": not (bos and texts[0].startswith(bos)),
    }
    if pad_to_multiple is not None:
        arguments["pad_to_multiple_of"] = pad_to_multiple
    if n_images != {0}:
        arguments["images"] = [[_as_rgb(image) for image in prompt.images] for prompt in prompts]
    encoded = vlm.processor(**arguments)
    batch = _to_inputs(vlm, encoded)
    _check_batch(vlm, prompts, batch)
    return batch


def _to_inputs(vlm: LoadedVLM, encoded: Any) -> BatchInputs:
    accepted = inspect.signature(vlm.model.forward).parameters
    tensors = {}
    for name, value in encoded.items():
        if name in accepted and isinstance(value, Tensor):
            dtype = vlm.dtype if value.is_floating_point() else value.dtype
            tensors[name] = value.to(device=vlm.device, dtype=dtype)
    image_mask = torch.isin(tensors["input_ids"], torch.tensor(vlm.image_token_ids, device=vlm.device))
    return BatchInputs(tensors=tensors, image_mask=image_mask)


def _check_batch(vlm: LoadedVLM, prompts: Sequence[Prompt], batch: BatchInputs) -> None:
    assert bool(batch.attention_mask[:, -1].all()), "the tokenizer padded on the right"
    context = vlm.context_length
    for prompt, length, n_image_tokens in zip(
        prompts, batch.attention_mask.sum(-1).tolist(), batch.image_mask.sum(-1).tolist(), strict=True
    ):
        if context is not None and length > context:
            raise DataError(
                f"The prompt '{prompt_head(prompt)}' has {length} tokens; '{vlm.name}' takes {context}.",
                hint="Shorten it, or use smaller pictures (`max_pixels`). Nothing is ever truncated.",
            )
        if bool(prompt.images) != bool(n_image_tokens):
            raise DataError(
                f"The prompt '{prompt_head(prompt)}' has {len(prompt.images)} pictures, {n_image_tokens} image tokens.",
                hint=f"The chat template of '{vlm.name}' does not place pictures; check it.",
            )


def prompt_head(prompt: Prompt) -> str:
    """The first words of a prompt, to name it in an error."""
    line = " ".join(prompt.text.split())
    return line if len(line) <= 60 else line[:57] + "..."


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
