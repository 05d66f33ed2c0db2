"""An SAE at one layer of a model with named feature sets, and edits of these: the expressions of the command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from vsc_eval import specs
from vsc_eval.api.activations import Activations, Images, activations
from vsc_eval.errors import SpecError
from vsc_eval.interventions import intervention as stored
from vsc_eval.mistakes import validated
from vsc_eval.sae.model import SAE
from vsc_eval.sae.readers import read_any_sae
from vsc_eval.sae.readers.saelens import save_sae
from vsc_eval.specs import ConditionSpec, EditSpec, InterventionSpec, parse_condition

if TYPE_CHECKING:
    from vsc_eval.api.model import Model


class EditOptions(TypedDict, total=False):
    """What else an edit may say. What is left out is the intervention's default edit's."""

    positions: Literal["image", "text", "last", "all"]
    """Which prompt tokens are edited; `last` is the last one."""
    norm: Literal["mean", "max"]
    """Of combined sets: the delta is rescaled, token by token, to the mean or the larger of the single sets' norms."""
    random: int
    """Seed of a control: random directions in the place of the features', of the same norm at every token."""
    prefill: bool
    """True: only the prompt is edited, not the generated tokens."""


class Condition(str):
    """An edit of feature sets. It is a string, the expression that the command line takes, and equal to it.

    Examples:
        >>> import vsc_eval as vsc
        >>> counting = vsc.load_intervention("vsc-tiny")["counting"]
        >>> counting.scale(4, positions="image")
        Condition('counting:scale=4:image')
        >>> counting.ablate() == "counting:ablate"
        True
    """

    spec: ConditionSpec
    """The condition in full."""
    intervention: Intervention
    """Where its sets are from."""

    def __new__(cls, expression: str, intervention: Intervention) -> Condition:
        """Raises SpecError for an expression that cannot be read, or a set that the intervention does not have."""
        spec = parse_condition(expression, intervention.default_edit)
        for name in spec.sets:
            intervention.spec.get(name)
        made = super().__new__(cls, spec.name)
        made.spec = spec
        made.intervention = intervention
        return made

    def __getnewargs__(self) -> tuple[str, Intervention]:  # type: ignore[override]
        return str(self), self.intervention

    def __repr__(self) -> str:
        return f"Condition({str(self)!r})"


@dataclass(frozen=True, eq=False, repr=False)
class FeatureSet:
    """One or several named sets of SAE features of an intervention. `+` combines them; a feature that two sets share
    is edited once.

    With h the residual stream at the intervention's layer, z the features' activations and W their decoder rows, an
    edit adds to h, at each edited token: `scale(x)` (x - 1) z W, `ablate()` -z W, `clamp(x)` (x - z) W, and `add(x)`
    x times the sum of the unit rows. What the SAE does not explain stays in the stream. Options: see EditOptions.

    Given as a condition itself, a set means the intervention's default edit of it.
    """

    intervention: Intervention
    names: tuple[str, ...]

    @property
    def name(self) -> str:
        """`counting`, or `counting+logic`."""
        return "+".join(self.names)

    @property
    def indices(self) -> tuple[int, ...]:
        """The features' numbers, in the order of the sets, each once."""
        own = (self.intervention.spec.get(name).indices for name in self.names)
        return tuple(dict.fromkeys(index for indices in own for index in indices))

    def scale(self, alpha: float, **options: Unpack[EditOptions]) -> Condition:
        """Activations times `alpha`: 0 removes the features, 1 changes nothing."""
        return self.edit(f"scale={_number(alpha)}", **options)

    def ablate(self, **options: Unpack[EditOptions]) -> Condition:
        """Activations set to 0."""
        return self.edit("ablate", **options)

    def clamp(self, value: float, **options: Unpack[EditOptions]) -> Condition:
        """Activations set to `value`, whether the features fired or not."""
        return self.edit(f"clamp={_number(value)}", **options)

    def add(self, value: float, **options: Unpack[EditOptions]) -> Condition:
        """`value` times the sum of the features' unit decoder rows added, whatever the activations are."""
        return self.edit(f"add={_number(value)}", **options)

    def edit(self, edit: str = "", **options: Unpack[EditOptions]) -> Condition:
        """An edit as the command line writes it (`scale=4`), for kinds that other packages bring too; without one, the
        default edit. Raises SpecError for what does not fit together, as a norm of a single set."""
        words = [self.name, edit, options.get("positions", "")]
        words += [f"{key}={value}" for key in ("norm", "random") if (value := options.get(key)) is not None]
        words += ["prefill"] if options.get("prefill") else []
        if unknown := set(options) - set(EditOptions.__annotations__):
            raise SpecError(
                f"An edit has no option '{sorted(unknown)[0]}'.",
                hint=f"Options: {', '.join(EditOptions.__annotations__)}.",
            )
        return Condition(":".join(filter(None, words)), self.intervention)

    def __add__(self, other: FeatureSet) -> FeatureSet:
        if not isinstance(other, FeatureSet):
            return NotImplemented
        if other.intervention is not self.intervention:
            raise SpecError(
                f"'{self.name}' and '{other.name}' are sets of two interventions.",
                hint="Load one with both: load_intervention(..., sets={...}).",
            )
        return FeatureSet(self.intervention, self.names + other.names)

    def __len__(self) -> int:
        """Number of features."""
        return len(self.indices)

    def __str__(self) -> str:
        """The expression of its default edit."""
        return self.name

    def __repr__(self) -> str:
        return f"FeatureSet('{self.name}', {len(self)} features)"


def _number(value: float) -> str:
    return repr(float(value)).removesuffix(".0")


Given = str | FeatureSet
"""What may stand for a condition, whose expression is its `str`; a Condition is one."""


class Intervention(stored.LoadedIntervention):
    """An SAE, the decoder layer whose output it reads, and feature sets by name; `load_intervention` makes one.

    spec: what its intervention.yaml says, or would say. sae: float32, on the CPU unless a model on another device has
    used it.

    Examples:
        >>> import vsc_eval as vsc
        >>> iv = vsc.load_intervention("vsc-tiny")
        >>> iv
        Intervention('vsc-tiny', layer 4, 1024 features, 7 sets)
        >>> iv["counting"]
        FeatureSet('counting', 16 features)
    """

    def __init__(self, name: str, spec: InterventionSpec, sae: SAE, folder: Path) -> None:
        super().__init__(spec, sae, folder)
        self.name = name
        """As it was named; `sets of PATH` for one that was put together here and not saved."""

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
        return iter(self.sets)

    def __contains__(self, name: object) -> bool:
        return name in self.sets

    def __len__(self) -> int:
        return len(self.spec.sets)

    def activations(self, model: Model, image: Images, question: str) -> Activations:
        """What every feature does at every token of one prompt, without any edit; see Activations.

        Raises SpecError for a layer that the model lacks, DataError for an SAE of another width and BackendError for a
        model that vLLM runs."""
        return activations(model.vlm, self.sae, self.layer, image, question)

    def save(self, folder: str | Path) -> Path:
        """Write intervention.yaml and the SAE to `folder`, so that the command line takes it too; returns the folder.
        Raises BackendError if it cannot be written."""
        folder = Path(folder)
        save_sae(self.sae, folder / "sae", {"layer": self.layer, "positions": self.default_edit.positions})
        self.spec = self.spec.model_copy(update={"sae": "sae"})
        stored.save_intervention(self.spec, folder)
        self.folder, self.name = folder, str(folder)
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

    Examples:
        >>> import vsc_eval as vsc
        >>> vsc.load_intervention("vsc-tiny", sets={"mine": [3, 17]})["mine"].clamp(2.5)
        Condition('mine:clamp=2.5')
    """
    source = {"layout": layout, "layer": layer, "hook": hook, "k": k}
    if name is not None and sae is None:
        if source != {"layout": "auto", "layer": None, "hook": None, "k": None}:
            raise SpecError(
                "`layer`, `layout`, `hook` and `k` are of an SAE; an intervention says them itself.",
                hint="Leave them out, or give `sae` in place of the name.",
            )
        loaded = stored.load_intervention(name)
    elif sae is not None and name is None:
        loaded = _of_sae(Path(sae), source)
    else:
        raise SpecError(
            "An intervention is loaded by its name, or made of an SAE.",
            hint="Give load_intervention(NAME), or load_intervention(sae=PATH, layer=..., sets={...}).",
        )
    own = tuple(_feature_set(each, indices, loaded.sae) for each, indices in (sets or {}).items())
    changes: dict[str, object] = {"sets": (*loaded.spec.sets, *own)}
    if edit is not None:
        changes["default_edit"] = parse_condition(f"set:{edit}", loaded.spec.default_edit).edit
    spec = validated(InterventionSpec, {**dict(loaded.spec), **changes}, "load_intervention")
    is_as_named = sae is None and not own and edit is None
    return Intervention(str(name) if is_as_named else f"sets of {name or sae}", spec, loaded.sae, loaded.folder)


def _of_sae(path: Path, source: dict[str, Any]) -> stored.LoadedIntervention:
    read, layer = read_any_sae(path, **source), source["layer"]
    if read.layer is not None and layer not in (None, read.layer):
        raise SpecError(f"The SAE in {path} reads layer {read.layer}, not {layer}.", hint="Leave out `layer`.")
    found = read.layer if layer is None else layer
    if found is None:
        raise SpecError(f"The SAE in {path} does not say its layer.", hint="Give `layer`, counted from 0.")
    # The default edit is that of `vsc-eval sae select`.
    edit = parse_condition(f"set:scale=2:{read.metadata.get('positions') or 'all'}", EditSpec(kind="ablate")).edit
    model = str(read.metadata.get("model") or "unknown")
    spec = InterventionSpec(model=model, layer=found, sae=str(path), default_edit=edit, sets=())
    return stored.LoadedIntervention(spec, read.sae, read.path.parent)


def _feature_set(name: str, indices: Iterable[int], sae: SAE) -> specs.FeatureSet:
    origin = {"chosen": "by hand", "sae_fingerprint": sae.fingerprint()}
    values = {"name": name, "indices": tuple(int(index) for index in indices), "provenance": origin}
    made = validated(specs.FeatureSet, values, f"The set '{name}'")
    stored.check_indices(made, sae.cfg.d_sae)
    return made


def one_intervention(given: Iterable[Given], named: Intervention | None = None) -> Intervention | None:
    """The intervention that the objects among `given` are of, or the one that was `named`. Raises SpecError for two."""
    found = [entry.intervention for entry in given if isinstance(entry, Condition | FeatureSet)]
    first = named or next(iter(found), None)
    for other in found:
        if first is not None and other is not first:
            raise SpecError(
                f"The conditions are of two interventions, '{first.name}' and '{other.name}'.",
                hint="A run edits one layer with one SAE: load one intervention, and take all sets from it.",
            )
    return first
