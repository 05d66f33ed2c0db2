"""What localizing found: one row for each probe, and the chosen layer."""

from __future__ import annotations

from typing import Literal, get_args

from vsc_eval.probing.spec import Pooling, ProbingSpec, Target
from vsc_eval.records import SCHEMA_VERSION, Record

RESULT_FILE = "probing.json"

Control = Literal["real", "blank_image", "text_only", "random_labels"]
"""The probe itself, and what it is compared with: a plain grey picture, no picture, shuffled labels."""
CONTROLS: tuple[Control, ...] = get_args(Control)


class ProbeRow(Record):
    """One probe: learnt on the `select` split, tested on other scenes of it in held-out paraphrases.

    Accuracies are shares; None where they are undefined or were not asked for, with `reason` if it is the row's fault.
    """

    target: Target
    pooling: Pooling
    layer: int
    """Decoder layer whose output is probed; -1: the embeddings, which are what decoder layer 0 gets."""
    control: Control
    n_train: int
    n_test: int
    """Items."""
    n_train_orbits: int
    n_test_orbits: int
    train_accuracy: float | None
    """On what the probe learnt from. For random labels: how much it can learn by heart."""
    cv_accuracy: float | None
    """Cross-validated by orbit on the training items; for real labels only."""
    test_accuracy: float | None
    """For random labels the mean over the shuffles."""
    low: float | None
    high: float | None
    """Percentile cluster bootstrap of the test accuracy, by orbit."""
    selectivity: float | None = None
    """Test accuracy less that with random labels; on `real` rows."""
    selectivity_low: float | None = None
    selectivity_high: float | None = None
    n_constant: int = 0
    """Features left out because they are the same for all training items."""
    converged: bool = True
    """False if any of the row's fits stopped before its optimum; the figures are then not to be trusted."""
    reason: str | None = None
    """Why a figure is undefined, or why the probe can only guess."""


class Choice(Record):
    """The layer that the rule picks at one pooling."""

    pooling: Pooling
    layer: int
    accuracy: float
    """Held-out accuracy of the task probe there."""


class ProbingResult(Record):
    """`probing.json`."""

    schema_version: int = SCHEMA_VERSION
    spec: ProbingSpec
    model_fingerprint: str
    generator_version: str
    n_layers: int
    d_model: int
    layer: int
    """The chosen decoder layer, from 0."""
    chosen_by: str
    """The rule and what it saw, in words."""
    choices: tuple[Choice, ...]
    """What the same rule picks at each pooling; empty for a fixed layer."""
    chance: dict[Target, float]
    """Accuracy of guessing."""
    interval: str
    """How the intervals were made."""
    rows: tuple[ProbeRow, ...]

    def row(self, target: Target, pooling: Pooling, layer: int, control: Control = "real") -> ProbeRow:
        """The one row of that probe. Raises KeyError if that pooling was not probed."""
        for row in self.rows:
            if (row.target, row.pooling, row.layer, row.control) == (target, pooling, layer, control):
                return row
        raise KeyError((target, pooling, layer, control))
