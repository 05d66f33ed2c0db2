"""Which layout a path is, by the names of its files; never by the shapes of its tensors."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from vsc_eval.errors import DataError, SpecError, known_names
from vsc_eval.sae.model import SAE, SAEConfig
from vsc_eval.sae.readers import saelens
from vsc_eval.sae.readers.base import LAYOUTS
from vsc_eval.sae.readers.files import ReadOptions, ReadSAE, layer_of_hook

MOST_ENTRIES = 20_000


def read_any_sae(
    path: Path,
    *,
    layout: str = "auto",
    layer: int | None = None,
    hook: str | None = None,
    k: int | None = None,
    activation: str | None = None,
    relu_after_topk: bool | None = None,
    d_model: int | None = None,
) -> ReadSAE:
    """Read an SAE that any of the supported libraries wrote: `path` is its folder or its weights file.

    `layer`, `hook`, `k`, `activation`, `relu_after_topk`: see ReadOptions. Raises SpecError if there is nothing to
    read, the layout or the SAE meant cannot be told, or an option contradicts the files; DataError if a file is
    damaged, holds what cannot be represented exactly and, where `d_model` is given, if the SAE is of another width.
    """
    if layout != "auto" and layout not in LAYOUTS:
        raise SpecError(f"Unknown layout '{layout}'.", hint=known_names("layouts", layout, ["auto", *LAYOUTS.names()]))
    if not path.exists():
        raise SpecError(f"There is no SAE folder {path}.", hint="Check the path, or run `vsc-eval sae train`.")
    options = ReadOptions(layer=layer, hook=hook, k=k, activation=activation, relu_after_topk=relu_after_topk)
    path = _below(path, options)
    found = LAYOUTS.get(layout_of(path) if layout == "auto" else layout)
    if path.is_file() and found.reads_folder:
        path = path.parent
    read = found.read(path, options)
    check_width(read.sae.cfg, d_model)
    return read


def load_any_sae(
    path: Path,
    *,
    layout: str = "auto",
    layer: int | None = None,
    hook: str | None = None,
    k: int | None = None,
    activation: str | None = None,
    relu_after_topk: bool | None = None,
    d_model: int | None = None,
) -> SAE:
    """The SAE alone of `read_any_sae`: float32 on the CPU, without gradients."""
    return read_any_sae(
        path,
        layout=layout,
        layer=layer,
        hook=hook,
        k=k,
        activation=activation,
        relu_after_topk=relu_after_topk,
        d_model=d_model,
    ).sae


def check_width(cfg: SAEConfig, d_model: int | None) -> None:
    """Raises DataError, naming both widths, unless an SAE of `cfg` reads streams of width `d_model` (None: unknown)."""
    if d_model is not None and cfg.d_in != d_model:
        raise DataError(
            f"The SAE has width {cfg.d_in}, but the model's residual stream has width {d_model}.",
            hint="Use the intervention of this model, or train an SAE on it with `vsc-eval sae train`.",
        )


def layout_of(path: Path) -> str:
    """The layout of a folder or weights file; raises SpecError if it is none of them or more than one."""
    names = [path.name] if path.is_file() else sorted(file.name for file in path.iterdir())
    found = _layouts_among(names)
    if not found and saelens.CONFIG_FILE in names:
        found = ["saelens"]  # its reader names the weights that are missing
    if len(found) == 1:
        return found[0]
    if found:
        raise SpecError(
            f"{path} holds SAEs in the layouts {', '.join(sorted(found))}.", hint="Name the layout, or the file."
        )
    inside = ", ".join(sorted({str(f.parent.relative_to(path)) for f in _weights_below(path)})[:8])
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


def _weights_below(path: Path) -> list[Path]:
    """Weights files in folders below `path`, at most four levels deep, as deep as the known repositories are.

    Gives up after MOST_ENTRIES files and folders: a mistaken `path` may be a whole disk.
    """
    if not path.is_dir():
        return []
    entries = (file for depth in range(2, 6) for file in path.glob("/".join(["*"] * depth)))
    files = list(islice(entries, MOST_ENTRIES))
    kinds = [LAYOUTS.get(layout).is_weights for layout in _layouts_among(file.name for file in files)]
    return [file for file in files if any(is_weights(file.name) for is_weights in kinds)]


def _below(path: Path, options: ReadOptions) -> Path:
    """The SAE's own folder where `path` is a repository of several: the one of `hook`, else the only one of `layer`."""
    if options.hook is not None:
        if not (path / options.hook).exists():
            held = sorted({str(f.parent.relative_to(path)) for f in _weights_below(path)})
            raise SpecError(f"{path} has no folder '{options.hook}'.", hint=known_names("hooks", options.hook, held))
        return path / options.hook
    if options.layer is None or not path.is_dir() or _layouts_among(file.name for file in path.iterdir()):
        return path
    of_layer = [f.parent for f in _weights_below(path) if layer_of_hook(f.parent.name) == options.layer]
    return of_layer[0] if len(of_layer) == 1 else path
