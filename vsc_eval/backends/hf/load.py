"""Load any VLM that transformers' image-text-to-text classes know, and refuse everything else with a reason."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from vsc_eval.backends.hf.decoder import TextDecoder, find_decoder, text_config
from vsc_eval.backends.hf.folders import EMBEDDED, check_model_folder, folder_fingerprint, local_folder
from vsc_eval.errors import BackendError, DataError, SpecError
from vsc_eval.files import short_hash

MATCHING = "Install torch and torchvision again, both from one index, so that their builds match."
DTypeName = Literal["auto", "float32", "bfloat16", "float16"]
# Placeholders that some processors look for in the text although their tokenizer does not call them special.
_PLACEHOLDERS = ("<image>", "<video>", "<image_soft_token>", "<start_of_image>", "<|image|>", "[IMG]")
_PROCESSOR_TOKENS = ("image_token", "video_token", "boi_token", "eoi_token", "fake_image_token", "global_image_token")


@dataclass(frozen=True, eq=False)
class LoadedVLM:
    """A model ready to answer, in eval mode, with its processor and tokenizer."""

    model: nn.Module
    processor: Any
    tokenizer: Any
    """The processor's tokenizer; pads on the left."""
    name: str
    """As the user wrote it."""
    device: torch.device
    dtype: torch.dtype
    fingerprint: str
    """Equal for equal config, tokenizer, processor, weights, pixel limits and dtype."""
    revision: str | None
    """Commit of a hub model; None for a folder."""
    pixels_limited: bool = False
    """Whether the processor's limits on the area of a picture are not its own."""

    @cached_property
    def decoder(self) -> TextDecoder:
        return find_decoder(self.model)

    @cached_property
    def image_token_ids(self) -> list[int]:
        """Ids that stand for one patch of a picture in input_ids."""
        config: Any = self.model.config
        found = {getattr(config, name, None) for name in ("image_token_id", "image_token_index")}
        ids = sorted(entry for entry in found if isinstance(entry, int))
        if not ids:
            raise BackendError(
                f"The config of '{self.name}' names no image token.",
                hint="Use a VLM with `image_token_id` in its config.",
            )
        return ids

    @cached_property
    def special_strings(self) -> tuple[str, ...]:
        """Strings that tokenizer or processor would take for a control token or a picture's slot, longest first."""
        found = {*self.tokenizer.all_special_tokens, *_PLACEHOLDERS}
        found |= {str(token) for token in self.tokenizer.added_tokens_decoder.values() if token.special}
        found |= {v for name in _PROCESSOR_TOKENS if isinstance(v := getattr(self.processor, name, None), str)}
        return tuple(sorted((text for text in found if len(text) > 1), key=lambda text: (-len(text), text)))

    @cached_property
    def context_length(self) -> int | None:
        """Tokens that a prompt may have; None if the config does not say."""
        value = getattr(text_config(self.model), "max_position_embeddings", None)
        return value if isinstance(value, int) and value > 0 else None

    @cached_property
    def end_token_ids(self) -> frozenset[int]:
        """Tokens that end an answer."""
        configured = getattr(getattr(self.model, "generation_config", None), "eos_token_id", None)
        ids = configured if isinstance(configured, list) else [configured]
        return frozenset(int(i) for i in (*ids, self.tokenizer.eos_token_id) if i is not None)


def load_vlm(
    pretrained: str | Path,
    *,
    revision: str | None = None,
    dtype: DTypeName | torch.dtype = "auto",
    device: str | torch.device = "auto",
    trust_remote_code: bool = False,
    max_pixels: int | None = None,
    min_pixels: int | None = None,
    attn_implementation: str | None = None,
    weights: bool = True,
) -> LoadedVLM:
    """Load `vsc-tiny`, a model folder, or a hub id.

    dtype `auto` is the checkpoint's own, device `auto` CUDA where there is one. max_pixels and min_pixels limit the
    area to which pictures are resized, on processors that have such limits (Qwen-VL). Without `weights` the model is
    an empty one on the meta device, for a backend that runs it elsewhere: prompts, tokens and the fingerprint are the
    same.

    Raises SpecError for an unknown model or option, DataError for a damaged folder, BackendError for a model that is
    no VLM, for pickled weights and for an unreachable hub.
    """
    if why := broken_torchvision():
        raise BackendError(f"torchvision, which transformers' models need, cannot be imported: {why}", hint=MATCHING)
    from transformers import AutoConfig, AutoProcessor
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    name = str(pretrained)
    folder = local_folder(name)
    files = check_model_folder(folder) if folder else []
    source = str(folder or name)
    options: dict[str, Any] = {"revision": revision, "trust_remote_code": trust_remote_code}
    with _reading(name, OSError, ValueError, KeyError):
        config = AutoConfig.from_pretrained(source, **options)
    remote = trust_remote_code and "AutoModelForImageTextToText" in (getattr(config, "auto_map", None) or {})
    if config.model_type not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES and not remote:
        raise BackendError(
            f"'{name}' is no vision-language model: transformers has no image-text-to-text class for its type "
            f"'{config.model_type}'.",
            hint="Choose a VLM such as Qwen/Qwen3-VL-2B-Instruct, or vsc-tiny.",
        )
    if weights:
        placed = _device(device)
        # The bar of a download is kept.
        with contextlib.nullcontext() if folder is None else _without_bars():
            model = _load_model(name, source, options, _dtype(dtype), attn_implementation)
        model = model.to(placed).eval()
        if placed.type == "cpu":
            embed_patches_by_products(model)
    else:
        placed = torch.device("cpu")
        model = _empty_model(name, source, options, config, _dtype(dtype))
    with _reading(name, OSError, ValueError, ImportError):
        processor = AutoProcessor.from_pretrained(source, **options)
    if getattr(processor, "tokenizer", None) is None or getattr(processor, "image_processor", None) is None:
        raise BackendError(
            f"'{name}' has no processor for both text and pictures.",
            hint="Add its processor files (preprocessor_config.json, tokenizer.json) to the folder.",
        )
    _limit_pixels(name, processor, min_pixels, max_pixels)
    tokenizer = processor.tokenizer
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    commit = None if folder else getattr(config, "_commit_hash", None)
    content = folder_fingerprint(folder, files) if folder else f"{name}@{commit or revision}"
    payload = f"{content}|{model.dtype}|{min_pixels}|{max_pixels}"
    return LoadedVLM(
        model=model,
        processor=processor,
        tokenizer=tokenizer,
        name=name,
        device=placed,
        dtype=model.dtype,
        fingerprint=short_hash(payload),
        revision=commit,
        pixels_limited=min_pixels is not None or max_pixels is not None,
    )


def broken_torchvision() -> str:
    """Why torchvision cannot be imported; empty if it can. transformers would say only that its model could not be."""
    try:
        import torchvision  # noqa: F401
    except (ImportError, OSError, RuntimeError) as error:
        return str(error).partition("\n")[0]
    return ""


@contextlib.contextmanager
def _reading(name: str, *failures: type[Exception]) -> Iterator[None]:
    """Says what went wrong while transformers read `name` in the user's terms."""
    try:
        yield
    except failures as error:
        text = str(error)
        if Path(name).is_dir() or name in EMBEDDED:
            raise DataError(
                f"The model folder '{name}' cannot be read: {text}", hint="Fix or copy the folder again."
            ) from error
        if "couldn't connect" in text.lower() or "offline" in text.lower():
            raise BackendError(
                f"The model hub cannot be reached, and '{name}' is not in the local cache.",
                hint="Download the model on a machine with a connection and give its folder: --model /path/to/folder.",
            ) from error
        raise SpecError(
            f"The hub has no usable model '{name}': {text.splitlines()[0]}", hint="Check its name and revision."
        ) from error


@contextlib.contextmanager
def _without_bars() -> Iterator[None]:
    """Without transformers' bar of the weights, which stays behind in logs and notebooks."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _load_model(
    name: str, source: str, options: dict[str, Any], dtype: str | torch.dtype, attn_implementation: str | None
) -> Any:
    from safetensors import SafetensorError
    from transformers import AutoModelForImageTextToText

    if attn_implementation is not None:
        options = {**options, "attn_implementation": attn_implementation}
    try:
        with _reading(name, OSError, ValueError, RuntimeError, ImportError):
            model, report = AutoModelForImageTextToText.from_pretrained(
                source, dtype=dtype, use_safetensors=True, output_loading_info=True, **options
            )
    except SafetensorError as error:
        raise DataError(f"The weights of '{name}' are damaged: {error}", hint="Copy or download them again.") from error
    # transformers fills a missing weight with random numbers and only logs it.
    absent = sorted(str(key) for key in report["missing_keys"])
    if absent:
        raise DataError(
            f"'{name}' lacks {len(absent)} of its weights, for example {', '.join(absent[:3])}.",
            hint="Copy the whole model folder; a part of the weights is missing.",
        )
    return model


def _empty_model(name: str, source: str, options: dict[str, Any], config: Any, dtype: str | torch.dtype) -> Any:
    """The model's structure and generation settings, without memory for its weights."""
    from transformers import AutoModelForImageTextToText, GenerationConfig

    if isinstance(dtype, str):
        found = getattr(config, "dtype", None) or getattr(config.get_text_config(), "dtype", None)
        if not isinstance(found, torch.dtype):
            raise SpecError(f"The config of '{name}' names no dtype.", hint="Give one: --dtype bfloat16.")
        dtype = found
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(
            config, dtype=dtype, trust_remote_code=options["trust_remote_code"]
        )
    # A model may do without this file; its config then names the end token.
    with contextlib.suppress(OSError):
        model.generation_config = GenerationConfig.from_pretrained(source, revision=options["revision"])
    return model.eval()


def _limit_pixels(name: str, processor: Any, min_pixels: int | None, max_pixels: int | None) -> None:
    limits = [limit for limit in (min_pixels, max_pixels) if limit is not None]
    if not limits:
        return
    if min(limits) < 1:
        raise SpecError(
            "`min_pixels` and `max_pixels` are areas in pixels.", hint="Give at least 1, or leave them out."
        )
    images = processor.image_processor
    size = {edge: value for edge, value in dict(getattr(images, "size", None) or {}).items() if value is not None}
    # Elsewhere the two edges are lengths in pixels; only the Qwen-VL family reads them as areas.
    by_area = "max_pixels" in getattr(images.valid_kwargs, "__annotations__", {})
    if not by_area or set(size) != {"shortest_edge", "longest_edge"}:
        raise SpecError(
            f"The image processor of '{name}' has no limits on the number of pixels.",
            hint="Leave out `min_pixels` and `max_pixels`.",
        )
    smallest = min_pixels if min_pixels is not None else min(size["shortest_edge"], *limits)
    largest = max_pixels if max_pixels is not None else max(size["longest_edge"], *limits)
    if smallest > largest:
        raise SpecError(f"min_pixels={smallest} is above max_pixels={largest}.", hint="Swap or drop one.")
    images.size = type(images.size)(shortest_edge=smallest, longest_edge=largest)


def _dtype(dtype: DTypeName | torch.dtype) -> str | torch.dtype:
    if isinstance(dtype, torch.dtype) or dtype == "auto":
        return dtype
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if dtype not in known:
        raise SpecError(f"Unknown dtype '{dtype}'.", hint=f"Use auto, {', '.join(known)}.")
    return known[dtype]


def _device(device: str | torch.device) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        placed = torch.device(device)
        torch.empty(1, device=placed)
    except (RuntimeError, AssertionError) as error:
        raise BackendError(
            f"The device '{device}' cannot be used: {str(error).splitlines()[0]}", hint="Use `auto` or `cpu`."
        ) from error
    return placed


def embed_patches_by_products(model: nn.Module) -> int:
    """Replace the forward of every convolution that reads whole patches; returns how many there were.

    Qwen-VL models cut a picture into patches beforehand and then run a 3-D convolution whose kernel is as large as a
    patch: one product for each patch, in truth. On a CPU the convolution takes three times as long as that product
    (0.24 s against 0.07 s of vsc-tiny's 1.4 s for 32 pictures). Same weights, same sums in another order: results
    differ by rounding (about 1e-6 in float32).
    """
    found = 0
    for module in model.modules():
        if (
            type(module) is nn.Conv3d
            and module.kernel_size == module.stride
            and module.groups == 1
            and set(module.dilation) == {1}
            and module.padding in ("valid", (0, 0, 0))
        ):
            module.forward = partial(_product, module)  # type: ignore[method-assign]
            found += 1
    return found


def _product(convolution: nn.Conv3d, patches: Tensor) -> Tensor:
    """[n, channels, *kernel] -> [n, out, 1, 1, 1]; larger inputs go through the convolution itself."""
    if patches.ndim != 5 or tuple(patches.shape[2:]) != convolution.kernel_size:
        return nn.Conv3d.forward(convolution, patches)
    out = functional.linear(patches.flatten(1), convolution.weight.flatten(1), convolution.bias)
    return out[:, :, None, None, None]
