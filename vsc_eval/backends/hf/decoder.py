"""A VLM's text decoder and head: find them, say whether the decoder can be split at a layer, call a part of the model.

"Split" means: layers 0..L run once, layers above L run once per condition. What cannot be split is refused with a
reason, never run wrongly.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

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
    callable_parts = {"the model": model, "the text decoder": decoder.module}
    callable_parts |= {f"decoder layer {index}": decoder_layer for index, decoder_layer in enumerate(decoder.layers)}
    for name, module in callable_parts.items():
        if hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None:
            return f"{name} is compiled (torch.compile)"
    for index, decoder_layer in enumerate(decoder.layers[: layer + 1]):
        if "forward" in vars(decoder_layer):
            return f"the forward of decoder layer {index} has been replaced (by accelerate, or by a patch)"
        for name, module in decoder_layer.named_modules():
            # transformers leaves its own output-recording hooks in place after the first `output_hidden_states=True`;
            # they do nothing unless that is asked for again.
            hooks = (*module._forward_hooks.values(), *module._forward_pre_hooks.values())
            if any(getattr(hook, "__name__", "") != "output_capturing_hook" for hook in hooks):
                return f"a hook is registered at decoder layer {index}{'.' + name if name else ''}"
    if "forward" in vars(decoder.module):
        return "the forward of the text decoder has been replaced"
    return None


@contextlib.contextmanager
def replaced_forward(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Run the body with `module.forward` replaced; the module is as before afterwards, whatever the body raises.

    Hooks on the module still fire: it is called as ever.
    """
    before = vars(module).get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if before is None:
            del module.forward
        else:
            module.forward = before


def hidden_of(output: Any) -> Tensor:
    """The hidden state of a decoder layer's output: a tensor in transformers 5, the head of a tuple before."""
    hidden = output[0] if isinstance(output, tuple) else output
    if not isinstance(hidden, torch.Tensor):
        raise TypeError(f"a decoder layer returned {type(output).__name__}, not a hidden state")
    return hidden


def with_hidden(output: Any, hidden: Tensor) -> Any:
    """`output` of a decoder layer with its hidden state replaced."""
    return (hidden, *output[1:]) if isinstance(output, tuple) else hidden


def keep_last_logits(model: nn.Module) -> dict[str, int]:
    """The argument that makes the model compute logits of the last position only, if it has one."""
    return {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}


@torch.no_grad()
def apply_head(
    model: nn.Module, decoder: TextDecoder, last_hidden: Tensor, output_type: type[Any], token_id: int
) -> Tensor:
    """[rows, 1, d] -> logits [rows, vocabulary], by the model's own head (final scaling and soft-capping included).

    The VLM is called on one dummy text token a row (`token_id`, any id that is no image token) with its decoder
    replaced by one that returns `last_hidden`.
    """
    dummy = torch.full((last_hidden.shape[0], 1), token_id, dtype=torch.long, device=last_hidden.device)

    def recorded(*_args: Any, **_kwargs: Any) -> Any:
        return output_type(last_hidden_state=last_hidden)

    with replaced_forward(decoder.module, recorded):
        logits: Tensor = model(input_ids=dummy, use_cache=False, **keep_last_logits(model)).logits
    return logits[:, -1]
