"""What an SAE layout is, and which there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vsc_eval.registry import Registry, instance_of
from vsc_eval.sae.readers.files import ReadOptions, ReadSAE


@dataclass(frozen=True)
class SAELayout:
    """How one library writes SAEs."""

    name: str
    is_weights: Callable[[str], bool]
    """Whether a file of that name holds an SAE's weights in this layout: how a layout is told, so no two may agree."""
    read: Callable[[Path, ReadOptions], ReadSAE]
    """Reads a folder with such a file, or the file itself. Raises DataError for what is damaged or cannot be
    represented exactly, SpecError where the SAE meant cannot be told or options contradict the files."""
    reads_folder: bool = False
    """Whether `read` is given the folder in any case: weights and config belong together."""


LAYOUTS: Registry[SAELayout] = Registry(
    "layout",
    "vsc_eval.sae_layouts",
    {
        name: f"vsc_eval.sae.readers.{name}:LAYOUT"
        for name in ("saelens", "sparsify", "dictionary_learning", "qwen_scope", "gemma_scope")
    },
    instance_of(SAELayout),
)
