"""Find a VLM's text decoder and say whether it can be split at a layer.

"Split" means: layers 0..L run once, layers above L run once per condition. What cannot be split is refused with a
reason, never run wrongly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from vsc_eval.errors import BackendError, SpecError

_SPLITTABLE_CACHES = (None, "dynamic", "dynamic_full")


@dataclass(frozen=True)
class TextDecoder:
    """The module that owns the stack of decoder layers of a VLM's language half."""

    module: nn.Module
    """Called by the VLM with `inputs_embeds`; its output's first entry is the hidden state after the final norm."""
    layers: nn.ModuleList
    d_model: int

    @property
    def n_layers(self) -> int:
        return len(self.layers)

    def check_layer(self, layer: int) -> None:
        """Raise SpecError if `layer` (0-based) is not one of this decoder's."""
        if not 0 <= layer < self.n_layers:
            raise SpecError(
                f"Layer {layer} does not exist: the model has {self.n_layers} decoder layers.",
                hint=f"Choose a layer from 0 to {self.n_layers - 1}.",
            )


def text_config(model: nn.Module) -> Any:
    """The decoder's own config (`config.text_config` on most VLMs)."""
    return model.config.get_text_config(decoder=True)  # type: ignore[union-attr,operator]


def find_decoder(model: nn.Module) -> TextDecoder:
    """The text decoder of a transformers VLM, by its `get_decoder()`.

    Raises BackendError for an encoder-decoder and for a model whose decoder has no list of layers.
    """
    name = type(model).__name__
    if getattr(model.config, "is_encoder_decoder", False):
        raise BackendError(
            f"{name} is an encoder-decoder: its answer is not read at the end of one residual stream.",
            hint="Use a decoder-only VLM (Qwen-VL, LLaVA, InternVL, Gemma, Idefics, ...).",
        )
    get_decoder = getattr(model, "get_decoder", None)
    module = get_decoder() if get_decoder is not None else None
    layers = getattr(module, "layers", None)
    if not isinstance(module, nn.Module) or not isinstance(layers, nn.ModuleList) or len(layers) == 0:
        raise BackendError(
            f"{name} has no text decoder with a list of layers behind `get_decoder()`.",
            hint="Use a VLM of transformers whose `get_decoder()` returns the text model.",
        )
    return TextDecoder(module=module, layers=layers, d_model=int(text_config(model).hidden_size))


def has_cross_attention(model: nn.Module) -> bool:
    """Whether the image enters through cross-attention layers (Mllama) instead of the residual stream."""
    if getattr(text_config(model), "cross_attention_layers", None):
        return True
    return any("CrossAttention" in type(module).__name__ for module in find_decoder(model).module.modules())


def last_key_writing_layer(model: nn.Module) -> int:
    """The last decoder layer with keys and values of its own. Above it (Gemma 3n and 4) layers reuse those of lower
    ones, so what an edit does to a token there is never seen by later tokens."""
    config = text_config(model)
    return int(config.num_hidden_layers) - int(getattr(config, "num_kv_shared_layers", 0) or 0) - 1


def why_not_split(model: nn.Module, decoder: TextDecoder, layer: int) -> str | None:
    """The reason why layers 0..`layer` of this model cannot be shared between conditions; None if they can.

    Looks at what replaying a prefix would get wrong without any error: fixed-size or quantized caches, compiled code
    that ignores a replaced `forward`, and hooks or replaced forwards that somebody else put at or below the layer.
    """
    cache = getattr(getattr(model, "generation_config", None), "cache_implementation", None)
    if cache not in _SPLITTABLE_CACHES:
        return f"its generation config asks for a '{cache}' key/value cache, and only dynamic ones can be copied"
    for name, module in _compiled_candidates(model, decoder):
        if hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None:
            return f"{name} is compiled (torch.compile)"
    for index, decoder_layer in enumerate(decoder.layers[: layer + 1]):
        if "forward" in vars(decoder_layer):
            return f"the forward of decoder layer {index} has been replaced (by accelerate, or by a patch)"
        for name, module in decoder_layer.named_modules():
            if _foreign_hooks(module):
                return f"a hook is registered at decoder layer {index}{'.' + name if name else ''}"
    if "forward" in vars(decoder.module):
        return "the forward of the text decoder has been replaced"
    return None


def _compiled_candidates(model: nn.Module, decoder: TextDecoder) -> Iterator[tuple[str, nn.Module]]:
    yield "the model", model
    yield "the text decoder", decoder.module
    for index, layer in enumerate(decoder.layers):
        yield f"decoder layer {index}", layer


def _foreign_hooks(module: nn.Module) -> bool:
    # transformers leaves its own output-recording hooks in place after the first `output_hidden_states=True`; they do
    # nothing unless that is asked for again.
    hooks = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
    return any(getattr(hook, "__name__", "") != "output_capturing_hook" for hook in hooks)
