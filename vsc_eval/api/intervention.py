"""An SAE at one layer of a model, with named feature sets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from vsc_eval import specs
from vsc_eval.api.conditions import FeatureSet
from vsc_eval.errors import SpecError
from vsc_eval.interventions import intervention as stored
from vsc_eval.mistakes import explain
from vsc_eval.sae.model import SAE
from vsc_eval.sae.readers import read_any_sae
from vsc_eval.sae.readers.saelens import save_sae
from vsc_eval.specs import EditSpec, InterventionSpec, parse_condition

if TYPE_CHECKING:
    from vsc_eval.api.activations import Activations
    from vsc_eval.api.model import Images, Model

_DEFAULT_EDIT = "scale=2"
"""As `vsc-eval sae select` has it."""


class Intervention:
    """An SAE, the decoder layer whose output it reads, and feature sets by name; `load_intervention` makes one.

    >>> import vsc_eval as vsc
    >>> iv = vsc.load_intervention("vsc-tiny")
    >>> iv
    Intervention('vsc-tiny', layer 4, 1024 features, 7 sets)
    >>> iv["counting"]
    FeatureSet('counting', 16 features)
    """

    def __init__(self, name: str, loaded: stored.LoadedIntervention) -> None:
        self.name = name
        """As it was named; `sets of PATH` for one that was put together here and not saved."""
        self.loaded = loaded

    @property
    def spec(self) -> InterventionSpec:
        """What its intervention.yaml says, or would say."""
        return self.loaded.spec

    @property
    def sae(self) -> SAE:
        """Float32, on the CPU unless a model on another device has used it."""
        return self.loaded.sae

    @property
    def layer(self) -> int:
        """0-based decoder layer whose output is edited."""
        return self.spec.layer

    @property
    def default_edit(self) -> EditSpec:
        """What an edit has where nothing else is said."""
        return self.spec.default_edit

    def __getitem__(self, name: str) -> FeatureSet:
        """The set of that name. Raises SpecError, naming the known ones."""
        return FeatureSet(self, (self.spec.get(name).name,))

    def __iter__(self) -> Iterator[str]:
        return iter(self.loaded.sets)

    def __contains__(self, name: object) -> bool:
        return name in self.loaded.sets

    def __len__(self) -> int:
        return len(self.spec.sets)

    def activations(self, model: Model, image: Images, question: str) -> Activations:
        """What every feature does at every token of one prompt, without any edit; see Activations."""
        from vsc_eval.api.activations import activations

        return activations(self, model, image, question)

    def save(self, folder: str | Path) -> Path:
        """Write intervention.yaml and the SAE to `folder`, so that the command line takes it too; returns the folder.
        Raises BackendError if it cannot be written."""
        folder = Path(folder)
        save_sae(self.sae, folder / "sae", {"layer": self.layer, "positions": self.default_edit.positions})
        self.loaded = stored.LoadedIntervention(self.spec.model_copy(update={"sae": "sae"}), self.sae, folder)
        stored.save_intervention(self.spec, folder)
        self.name = str(folder)
        return folder

    def __repr__(self) -> str:
        features = f"{self.sae.cfg.d_sae} features"
        return f"Intervention('{self.name}', layer {self.layer}, {features}, {len(self)} sets)"


def load_intervention(
    name: str | Path | None = None,
    *,
    sae: str | Path | None = None,
    layer: int | None = None,
    sets: Mapping[str, Iterable[int]] | None = None,
    edit: str | None = None,
    layout: str = "auto",
    hook: str | None = None,
    k: int | None = None,
) -> Intervention:
    """An intervention by name or folder; or an SAE with sets of your own.

    name: a shipped intervention, a folder with an intervention.yaml, or that file. sae: instead of `name`, folder or
    file of an SAE in any layout that SAELens, sparsify, dictionary_learning, Qwen-Scope or Gemma Scope write; `layer`
    is the 0-based decoder layer whose output it reads, where its files do not say it; `layout`, `hook` and `k` as
    `vsc-eval sae select` has them. sets: names and feature indices, added to those of `name`. edit: the default edit,
    as `scale=2:image`.

    Raises SpecError for an unknown name, set or index, for a layer that is not known, and for a default edit that
    cannot be read; DataError for a damaged SAE.

    >>> import vsc_eval as vsc
    >>> vsc.load_intervention("vsc-tiny", sets={"mine": [3, 17]})["mine"].clamp(2.5)
    Condition('mine:clamp=2.5')
    """
    if (name is None) == (sae is None):
        raise SpecError(
            "An intervention is loaded by its name, or made of an SAE.",
            hint="Give load_intervention(NAME), or load_intervention(sae=PATH, layer=..., sets={...}).",
        )
    if sae is None:
        assert name is not None
        if layer is not None or hook is not None or k is not None or layout != "auto":
            raise SpecError(
                "`layer`, `layout`, `hook` and `k` are of an SAE; an intervention says them itself.",
                hint="Leave them out, or give `sae` in place of the name.",
            )
        loaded, title = stored.load_intervention(name), str(name)
    else:
        loaded = _of_sae(Path(sae), layer, layout=layout, hook=hook, k=k)
        title = f"sets of {sae}"
    own = tuple(_feature_set(each, indices, loaded.sae) for each, indices in (sets or {}).items())
    changes: dict[str, object] = {"sets": (*loaded.spec.sets, *own)}
    if edit is not None:
        changes["default_edit"] = parse_condition(f"set:{edit}", loaded.spec.default_edit).edit
    try:
        spec = InterventionSpec.model_validate({**dict(loaded.spec), **changes})
    except ValidationError as error:
        raise explain(error, InterventionSpec, "load_intervention") from error
    changed = own or edit is not None
    title = f"sets of {name}" if changed and sae is None else title
    return Intervention(title, stored.LoadedIntervention(spec, loaded.sae, loaded.folder))


def _of_sae(
    path: Path, layer: int | None, *, layout: str, hook: str | None, k: int | None
) -> stored.LoadedIntervention:
    read = read_any_sae(path, layout=layout, layer=layer, hook=hook, k=k)
    if read.layer is not None and layer not in (None, read.layer):
        raise SpecError(f"The SAE in {path} reads layer {read.layer}, not {layer}.", hint="Leave out `layer`.")
    found = read.layer if layer is None else layer
    if found is None:
        raise SpecError(f"The SAE in {path} does not say its layer.", hint="Give `layer`, counted from 0.")
    positions = str(read.metadata.get("positions") or "all")
    spec = InterventionSpec(
        model=str(read.metadata.get("model") or "unknown"),
        layer=found,
        sae=str(path),
        default_edit=parse_condition(f"set:{_DEFAULT_EDIT}:{positions}", EditSpec(kind="ablate")).edit,
        sets=(),
    )
    return stored.LoadedIntervention(spec, read.sae, read.path.parent)


def _feature_set(name: str, indices: Iterable[int], sae: SAE) -> specs.FeatureSet:
    origin = {"chosen": "by hand", "sae_fingerprint": sae.fingerprint()}
    try:
        made = specs.FeatureSet(name=name, indices=tuple(int(index) for index in indices), provenance=origin)
    except ValidationError as error:
        raise explain(error, specs.FeatureSet, f"The set '{name}'") from error
    stored.check_indices(made, sae.cfg.d_sae)
    return made
