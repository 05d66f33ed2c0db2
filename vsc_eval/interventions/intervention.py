"""Interventions on disk: a folder with `intervention.yaml` (layer, sets, default edit) and the SAE that the sets
index."""

from dataclasses import dataclass
from pathlib import Path

from vsc_eval.errors import DataError, SpecError
from vsc_eval.resources import interventions_dir
from vsc_eval.sae.model import SAE
from vsc_eval.sae.readers import read_any_sae
from vsc_eval.specs import FeatureSet, InterventionSpec, load_yaml_spec, save_yaml_spec

INTERVENTION_FILE = "intervention.yaml"


@dataclass(eq=False)
class LoadedIntervention:
    """An intervention with its SAE; every set's indices are known to fit it."""

    spec: InterventionSpec
    sae: SAE
    folder: Path

    @property
    def sets(self) -> dict[str, FeatureSet]:
        """The feature sets by name, in the order of the file."""
        return {feature_set.name: feature_set for feature_set in self.spec.sets}


def intervention_file(name_or_path: str | Path) -> Path:
    """Where an intervention's YAML is: a shipped intervention's name, a folder or a file. Raises SpecError naming the
    shipped ones."""
    path = Path(name_or_path)
    shipped = interventions_dir()
    for candidate in (path, path / INTERVENTION_FILE, shipped / path / INTERVENTION_FILE):
        if candidate.is_file():
            return candidate
    names = ", ".join(sorted(f.parent.name for f in shipped.glob(f"*/{INTERVENTION_FILE}"))) or "none"
    raise SpecError(
        f"There is no intervention '{name_or_path}'.",
        hint=f"Give a folder with an {INTERVENTION_FILE}, or one of the shipped interventions: {names}.",
    )


def load_intervention(name_or_path: str | Path, *, d_model: int | None = None) -> LoadedIntervention:
    """Read an intervention and its SAE, which may be in any layout that `sae.readers` knows.

    Raises SpecError for an unknown intervention, a mistake in its YAML or an index that the SAE does not have;
    DataError for a damaged SAE, one that a set was not selected with and, where `d_model` is given, one of another
    width.
    """
    path = intervention_file(name_or_path)
    spec = load_yaml_spec(path, InterventionSpec)
    sae = read_any_sae(path.parent / spec.sae, layer=spec.layer, d_model=d_model).sae
    for feature_set in spec.sets:
        check_indices(feature_set, sae.cfg.d_sae)
        selected_with = feature_set.provenance.get("sae_fingerprint")
        if selected_with not in (None, sae.fingerprint()):
            raise DataError(
                f"{path}: set '{feature_set.name}' was selected with SAE {selected_with}, but '{spec.sae}' holds "
                f"{sae.fingerprint()}: its indices mean other features there.",
                hint="Run `vsc-eval sae select` again, or put the old SAE back.",
            )
    return LoadedIntervention(spec, sae, path.parent)


def check_indices(feature_set: FeatureSet, d_sae: int) -> None:
    """Raises SpecError if the set names a feature that an SAE of `d_sae` features does not have."""
    if (largest := max(feature_set.indices)) >= d_sae:
        raise SpecError(
            f"Feature index {largest} of set '{feature_set.name}' is out of range: the SAE has {d_sae} features.",
            hint=f"Use indices 0 to {d_sae - 1}, or the SAE that the set was selected with.",
        )


def save_intervention(spec: InterventionSpec, folder: Path) -> Path:
    """Write `intervention.yaml` into `folder` in one step and return its path. Raises BackendError if that fails."""
    path = folder / INTERVENTION_FILE
    save_yaml_spec(path, spec)
    return path
