"""Pooled activations against the model's own hidden states, token by token, on several families."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_processors import BUILDERS, loaded
from torch import Tensor

from vsc_eval.backends.hf.forward import layer_outputs
from vsc_eval.backends.hf.load import LoadedVLM, load_vlm
from vsc_eval.backends.hf.prompts import Prompt, encode_prompts
from vsc_eval.errors import BackendError
from vsc_eval.probing.activations import pooled_layers
from vsc_eval.probing.records import EMBEDDINGS, POOLINGS, Pooling
from vsc_eval.synthetic import LETTERS

TEXTS = ("How many red circles are there?\nA. 1\nB. 2", "Where?", "Is the red circle left of the blue square?")


@cache
def vlm_of(family: str) -> LoadedVLM:
    return loaded(family)


def prompts(*, pictures: bool) -> list[Prompt]:
    noise = np.random.default_rng(0).integers(0, 256, (len(TEXTS), 24, 24, 3), dtype=np.uint8)
    return [
        Prompt(text, (Image.fromarray(pixels),) if pictures else (), LETTERS)
        for text, pixels in zip(TEXTS, noise, strict=True)
    ]


def by_hand(hidden: Tensor, real: Tensor, image: Tensor, pooling: Pooling) -> Tensor:
    """One prompt's pooled state from hidden [T, d], token by token; prompts are padded on the left."""
    tokens = [t for t in range(len(real)) if real[t]]
    chosen = {
        "last": tokens[-1:],
        "image": [t for t in tokens if image[t]],
        "text": [t for t in tokens if not image[t]],
    }[pooling]
    return torch.stack([hidden[t] for t in chosen]).mean(0)


@pytest.mark.parametrize("family", BUILDERS)
def test_every_layer_and_the_embeddings_in_one_pass(family: str) -> None:
    vlm = vlm_of(family)
    asked = prompts(pictures=True)
    pooled = pooled_layers(vlm, asked)
    inputs = encode_prompts(vlm, asked)
    layers = range(vlm.decoder.n_layers)
    expected = layer_outputs(vlm.model, vlm.decoder, inputs.tensors, tuple(layers))
    with torch.no_grad():
        states = vlm.model(**inputs.tensors, use_cache=False, output_hidden_states=True).hidden_states
    expected[EMBEDDINGS] = states[0]
    assert set(pooled) == {(layer, pooling) for layer in (EMBEDDINGS, *layers) for pooling in POOLINGS}
    for (layer, pooling), found in pooled.items():
        for row in range(len(asked)):
            alone = by_hand(expected[layer][row], inputs.attention_mask[row], inputs.image_mask[row], pooling)
            torch.testing.assert_close(found[row], alone, rtol=1e-4, atol=1e-4)


def test_the_embeddings_hold_the_picture(vlm: LoadedVLM) -> None:
    """Layer -1 is behind the merging of the picture's features: another picture, other image tokens, same text."""
    first, second = (Image.new("RGB", (24, 24), colour) for colour in ("red", "blue"))
    one, other = (pooled_layers(vlm, [Prompt(TEXTS[0], (picture,), LETTERS)]) for picture in (first, second))
    assert not torch.allclose(one[EMBEDDINGS, "image"], other[EMBEDDINGS, "image"], atol=1e-3)
    assert torch.equal(one[EMBEDDINGS, "text"], other[EMBEDDINGS, "text"])


def test_text_alone_has_no_image_tokens(vlm: LoadedVLM) -> None:
    assert {pooling for _, pooling in pooled_layers(vlm, prompts(pictures=False))} == {"last", "text"}


def test_padding_and_neighbours_do_not_matter(vlm: LoadedVLM) -> None:
    asked = prompts(pictures=True)
    together = pooled_layers(vlm, asked)
    for row, prompt in enumerate(asked):
        for key, value in pooled_layers(vlm, [prompt]).items():
            torch.testing.assert_close(together[key][row], value[0], rtol=1e-3, atol=1e-4)


def test_no_hook_stays_behind(vlm: LoadedVLM) -> None:
    pooled_layers(vlm, prompts(pictures=True))
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in vlm.decoder.layers)


def test_a_layer_that_is_never_run_is_an_error(vlm_folder: Path) -> None:
    short = load_vlm(vlm_folder)
    short.decoder.module.layers = short.decoder.layers[:3]
    with pytest.raises(BackendError, match="without calling decoder layer 3"):
        pooled_layers(short, prompts(pictures=True))
