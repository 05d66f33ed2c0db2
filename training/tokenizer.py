"""vsc-tiny's word-level tokenizer: one token a word, so that a small model spends nothing on spelling.

Text outside the benchmark's vocabulary becomes `<unk>`; it never crashes. Phrases that stand in every prompt (the
option markers, the closing instruction, the turn of the assistant) are one token each: a question is a third shorter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from training.config import TinyShape
from vsc_eval.synthetic import LETTERS, format_prompt

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
ASSISTANT_TURN = "\n<|im_start|>assistant\n"
UNKNOWN = "<unk>"

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}{{ '\n<|im_start|>assistant\n' }}"
    "{% else %}{{ '<|im_start|>' + message['role'] + '\n' }}{% endif %}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' or 'image' in part %}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{% elif 'text' in part %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "{{ '<|im_end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '\n<|im_start|>assistant\n' }}{% endif %}"
)


def closing_instruction() -> str:
    """The last line of every benchmark prompt."""
    return format_prompt("", ("", "", "", "")).rsplit("\n", 1)[1]


def option_marker(letter: str) -> str:
    """The token that opens an option, for example a line break followed by `A.`."""
    return f"\n{letter}."


def build_tokenizer(words: Sequence[str]) -> PreTrainedTokenizerFast:
    """A `PreTrainedTokenizerFast` over `words` (case-sensitive), letters, numbers 0-30 and the tokens above."""
    base = [UNKNOWN, *LETTERS, "\n", ".", ",", "?", ":", "(", ")", "user", "system", "assistant"]
    base += [str(number) for number in range(31)]
    vocabulary = list(dict.fromkeys([*base, *sorted(words)]))
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"[ \t\r]+"), "removed"),
            pre_tokenizers.Split(Regex(r"\n|[^A-Za-z0-9\s]"), "isolated"),
        ]
    )
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    tokenizer.add_special_tokens(
        [AddedToken(token, normalized=False, special=True) for token in (*SPECIAL_TOKENS, ASSISTANT_TURN)]
    )
    tokenizer.add_tokens(
        [
            AddedToken(text, normalized=False)
            for text in (*(option_marker(letter) for letter in LETTERS), "\n" + closing_instruction())
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=UNKNOWN,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        padding_side="left",
        chat_template=CHAT_TEMPLATE,
        model_max_length=2048,
    )


@dataclass(frozen=True)
class PrefixLayout:
    """Token ids before and after the image in every prompt, as the chat template writes them."""

    before: tuple[int, ...]
    after: tuple[int, ...]

    def length(self, shape: TinyShape) -> int:
        return len(self.before) + shape.n_image_tokens + len(self.after)


def prefix_layout(tokenizer: Any) -> PrefixLayout:
    """Token ids around the image in the chat template of vsc-tiny."""
    messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": ""}]}]
    ids = tokenizer(tokenizer.apply_chat_template(messages, tokenize=False), add_special_tokens=False).input_ids
    image = ids.index(tokenizer.convert_tokens_to_ids("<|image_pad|>"))
    return PrefixLayout(tuple(ids[:image]), tuple(ids[image + 1 : -1]))
