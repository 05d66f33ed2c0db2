"""Model folders: which one a name means, checks before transformers sees it, and its fingerprint."""

import difflib
import hashlib
import json
import re
from pathlib import Path

from safetensors import SafetensorError, safe_open

from vsc_eval import resources
from vsc_eval.errors import BackendError, DataError, SpecError

EMBEDDED = ("vsc-tiny",)
_HUB_ID = re.compile(r"^\w[\w.\-]*/\w[\w.\-]*$")
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


def local_folder(name: str) -> Path | None:
    """The folder that `name` means; None for a hub id."""
    if name in EMBEDDED:
        folder = resources.embedded_dir(name)
        if not folder.is_dir():
            raise BackendError(f"The embedded model '{name}' is not installed.", hint="Reinstall vsc-eval.")
        return folder
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.exists() or not _HUB_ID.match(name):
        close = difflib.get_close_matches(name, EMBEDDED, n=1)
        raise SpecError(
            f"Unknown model '{name}': it is no embedded model, no folder and no hub id (owner/name).",
            hint=f"Did you mean '{close[0]}'?" if close else f"Embedded models: {', '.join(EMBEDDED)}.",
        )
    return None


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
    index = folder / "model.safetensors.index.json"
    named = files
    if index.is_file():
        try:
            shards = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        except (ValueError, KeyError, AttributeError) as error:
            raise DataError(f"{index} is damaged: {error}.", hint="Copy the file again.") from error
        named = [folder / name for name in sorted(set(shards))]
    for file in named:
        try:
            with safe_open(str(file), framework="pt"):
                pass
        except FileNotFoundError as error:
            raise DataError(f"{file} is missing.", hint="Copy the whole model folder.") from error
        except (SafetensorError, OSError) as error:
            raise DataError(
                f"{file} is truncated or damaged ({error}).", hint="Copy or download the file again."
            ) from error
    return files


def folder_fingerprint(folder: Path, files: list[Path]) -> str:
    """First 32 hex digits of the sha256 over settings, code and weights of a local model folder."""
    digest = hashlib.sha256()
    # Python files are a model's own code, run with `trust_remote_code`.
    for path in [*(folder / name for name in _SETTINGS), *sorted(folder.glob("*.py")), *files]:
        if path.is_file():
            digest.update(f"\0{path.name}\0".encode())
            with path.open("rb") as handle:
                # It takes the bytes into the digest that it is handed.
                hashlib.file_digest(handle, lambda: digest)
    return digest.hexdigest()[:32]
