"""SAEs from disk, whatever library wrote them. Never a pickle: safetensors, npz without objects, .pt with tensors only.

Which layout a path is, the names of its files tell, never the shapes of its tensors. Another package adds a layout by
an entry point of the group `vsc_eval.sae_layouts` (see vsc_eval.registry).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from vsc_eval.errors import SpecError, known_names
from vsc_eval.registry import Registry
from vsc_eval.sae.model import check_width
from vsc_eval.sae.options import ReadOptions
from vsc_eval.sae.readers.files import ReadSAE, layer_of_hook

__all__ = ["LAYOUTS", "ReadOptions", "ReadSAE", "SAELayout", "read_any_sae"]

MOST_ENTRIES = 20_000


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


_SHIPPED = ("saelens", "sparsify", "dictionary_learning", "qwen_scope", "gemma_scope")
LAYOUTS: Registry[SAELayout] = Registry(
    "layout",
    "vsc_eval.sae_layouts",
    {name: f"{__name__}.{name}:{name.upper()}" for name in _SHIPPED},
    SAELayout,
)


def read_any_sae(path: Path, *, d_model: int | None = None, **given: Any) -> ReadSAE:
    """Read an SAE that any of the supported libraries wrote: `path` is its folder or its weights file.

    `given`: fields of ReadOptions. Raises SpecError if there is nothing to read, the layout or the SAE meant cannot be
    told, or an option contradicts the files; DataError if a file is damaged, holds what cannot be represented exactly
    and, where `d_model` is given, if the SAE is of another width.
    """
    options = ReadOptions(**given)
    layout = options.layout
    if layout != "auto" and layout not in LAYOUTS:
        raise SpecError(f"Unknown layout '{layout}'.", hint=known_names("layouts", layout, ["auto", *LAYOUTS.names()]))
    if not path.exists():
        raise SpecError(f"There is no SAE folder {path}.", hint="Check the path, or run `vsc-eval sae train`.")
    path = _below(path, options)
    found = LAYOUTS.get(_layout_of(path) if layout == "auto" else layout)
    if path.is_file() and found.reads_folder:
        path = path.parent
    read = found.read(path, options)
    check_width(read.sae.cfg, d_model)
    return read


def _layout_of(path: Path) -> str:
    """The layout of a folder or weights file; raises SpecError if it is none of them or more than one."""
    names = [path.name] if path.is_file() else sorted(file.name for file in path.iterdir())
    found = _layouts_among(names)
    if not found and "cfg.json" in names:
        found = ["saelens"]  # its reader names the weights that are missing
    if len(found) == 1:
        return found[0]
    if found:
        raise SpecError(
            f"{path} holds SAEs in the layouts {', '.join(sorted(found))}.", hint="Name the layout, or the file."
        )
    inside = ", ".join(_folders(path)[:8])
    raise SpecError(
        f"{path} holds no SAE in a known layout ({', '.join(LAYOUTS.names())}).",
        hint=f"Name one of the folders in it: {inside}." if inside else "Check the path, or run `vsc-eval sae train`.",
    )


def _layouts_among(names: Iterable[str]) -> list[str]:
    """The layouts of weights files among `names`: ours, and only if there are none, those of other packages, so that
    a broken package does not keep anybody from a file of ours."""
    names = list(names)
    for layouts in (LAYOUTS.shipped, LAYOUTS.added()):
        if found := [layout for layout in layouts if any(map(LAYOUTS.get(layout).is_weights, names))]:
            return found
    return []


def _folders(path: Path) -> list[str]:
    """Folders below `path` with weights files, at most four levels deep, as deep as the known repositories are. Gives
    up after MOST_ENTRIES files and folders: a mistaken `path` may be a whole disk."""
    entries = (file for depth in range(2, 6) for file in path.glob("/".join(["*"] * depth))) if path.is_dir() else ()
    files = list(islice(entries, MOST_ENTRIES))
    kinds = [LAYOUTS.get(layout).is_weights for layout in _layouts_among(file.name for file in files)]
    found = (file.parent for file in files if any(is_weights(file.name) for is_weights in kinds))
    return sorted({str(folder.relative_to(path)) for folder in found})


def _below(path: Path, options: ReadOptions) -> Path:
    """The SAE's own folder where `path` is a repository of several: the one of `hook`, else the only one of `layer`."""
    if options.hook is not None:
        if not (path / options.hook).exists():
            hint = known_names("hooks", options.hook, _folders(path))
            raise SpecError(f"{path} has no folder '{options.hook}'.", hint=hint)
        return path / options.hook
    if options.layer is None or not path.is_dir() or _layouts_among(file.name for file in path.iterdir()):
        return path
    of_layer = [found for folder in _folders(path) if layer_of_hook((found := path / folder).name) == options.layer]
    return of_layer[0] if len(of_layer) == 1 else path
