"""Checks of a local model folder before transformers sees it, and its fingerprint."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from vsc_eval.errors import BackendError, DataError

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
# Everything beside the weights that decides what the model answers.
_SETTINGS = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "preprocessor_config.json",
    "processor_config.json",
    "chat_template.jinja",
    "chat_template.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "added_tokens.json",
)
_CHUNK_BYTES = 1 << 22


def check_model_folder(folder: Path) -> list[Path]:
    """The safetensors files of a model folder, each opened and its length checked against its header.

    Raises DataError for a folder without config and for missing or damaged weights, BackendError for a folder that has
    pickled weights only: unpickling runs whatever code the file holds.
    """
    if not (folder / "config.json").is_file():
        raise DataError(
            f"{folder} is not a model folder: it has no config.json.",
            hint="Give the folder that `save_pretrained` wrote.",
        )
    files = sorted(folder.glob("*.safetensors"))
    if not files and any(next(folder.glob(pattern), None) for pattern in _PICKLES):
        raise BackendError(
            f"{folder} holds pickled weights only, which run code when they are read.",
            hint="Convert them: load the model where you trust it and call `save_pretrained(folder)`.",
        )
    if not files:
        raise DataError(f"{folder} holds no weights (*.safetensors).", hint="Copy the whole model folder.")
    for file in _files_of_index(folder, files):
        _check_safetensors(file)
    return files


def _files_of_index(folder: Path, files: list[Path]) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return files
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError) as error:
        raise DataError(f"{index} is damaged: {error}.", hint="Copy the file again.") from error
    return [folder / name for name in names]


def _check_safetensors(file: Path) -> None:
    try:
        with safe_open(str(file), framework="pt"):
            pass
    except FileNotFoundError as error:
        raise DataError(f"{file} is missing.", hint="Copy the whole model folder.") from error
    except (SafetensorError, OSError) as error:
        raise DataError(
            f"{file} is truncated or damaged ({error}).", hint="Copy or download the file again."
        ) from error


def folder_fingerprint(folder: Path, files: list[Path]) -> str:
    """First 32 hex digits of the sha256 over settings, code and weights of a local model folder."""
    digest = hashlib.sha256()
    # Python files are a model's own code, run with `trust_remote_code`.
    for path in [*(folder / name for name in _SETTINGS), *sorted(folder.glob("*.py")), *files]:
        if path.is_file():
            digest.update(f"\0{path.name}\0".encode())
            _update_from_file(digest, path)
    return digest.hexdigest()[:32]


def _update_from_file(digest: hashlib._Hash, path: Path) -> None:
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK_BYTES):
            digest.update(chunk)
