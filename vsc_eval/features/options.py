"""What `vsc-eval sae train` and `sae select` are asked for. Nothing here imports torch."""

from pydantic import Field

from vsc_eval.interventions.select import SelectionRule
from vsc_eval.sae.options import ReadOptions, TrainConfig
from vsc_eval.settings import ItemsPerCell, ModelSpec, Seed, TaskTypesSpec, with_default
from vsc_eval.specs import EditSpec, Positions


class SAETrainSpec(TaskTypesSpec, ModelSpec):
    """`vsc-eval sae train`."""

    layer: int = Field(ge=0)
    """0-based decoder layer whose output is learnt."""
    positions: Positions = "all"
    """Prompt tokens whose activations are learnt."""
    items_per_cell: ItemsPerCell | None = None
    """Items of each task and level; unless given, the split's size. They repeat, reshuffled, up to `n_tokens`."""
    batch_size: int = with_default(ModelSpec, "batch_size", 16)
    train: TrainConfig = TrainConfig()


class SAESource(ReadOptions):
    """What is known about an SAE besides its files."""

    positions: Positions | None = None
    """Prompt tokens that it was trained on, for files that do not say it."""


class SelectSpec(TaskTypesSpec, ModelSpec):
    """`vsc-eval sae select`; the model is the one that the SAE was trained on."""

    rule: SelectionRule = SelectionRule()
    default_edit: EditSpec | None = None
    """Edit of a condition that names none; None: scale by 2 at the positions that the SAE was trained on."""
    items_per_cell: ItemsPerCell | None = None
    """Items of each task and level; unless given, the split's size."""
    batch_size: int = with_default(ModelSpec, "batch_size", 16)
    source: SAESource = SAESource()
    """For an SAE that was made elsewhere."""
    stability_draws: int = Field(default=50, ge=1)
    """Bootstrap samples of orbits on which the selection is repeated."""
    seed: Seed = 0
    """Of those samples."""
