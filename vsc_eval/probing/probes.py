"""Probe every layer of a model: each layer and pooling, both targets, real labels and controls; then pick a layer.

A probe is a multinomial logistic regression on standardised features with an L2 penalty, scikit-learn's objective:
C * sum of log-losses + ||W||^2 / 2, intercept unpenalised.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import ValidationError

from vsc_eval.backends.hf.load import LoadedVLM, load_vlm
from vsc_eval.errors import BackendError, DataError, SpecError
from vsc_eval.files import ensure_writable
from vsc_eval.probing.activations import (
    FOLDER,
    INPUT_KINDS,
    Activations,
    Floats,
    InputKind,
    Ints,
    Part,
    Sample,
    Strings,
    draw_samples,
)
from vsc_eval.probing.records import (
    EMBEDDINGS,
    RESULT_FILE,
    TARGETS,
    Control,
    Pooling,
    ProbeRow,
    ProbingResult,
    ProbingSpec,
    Target,
    check_rule,
    choose,
    explain_choice,
)
from vsc_eval.progress import Advance
from vsc_eval.records import write_record
from vsc_eval.stats import Figure, cluster_bootstrap, stream
from vsc_eval.stats.bootstrap import DRAWS, LEVEL
from vsc_eval.synthetic import GENERATOR_VERSION, LEVELS

Bools = npt.NDArray[np.bool_]

TOLERANCE = 1e-4
MAX_ITERATIONS = 2000
CAN_ONLY_GUESS = "the activations are the same for all items, so the probe can only guess"
_ROWS: tuple[Control, ...] = ("real", "random_labels", "blank_image", "text_only")
"""In the order of the result's rows."""


def run_probing(
    spec: ProbingSpec,
    out: Path,
    *,
    vlm: LoadedVLM | None = None,
    progress: Advance = lambda stage, just_done, total: None,
) -> ProbingResult:
    """Probe every layer of the model and pick one by the spec's rule; the result is `out/probing.json`.

    A finished result of the same inputs is read back. A killed run goes on with the activations in `out/activations`,
    which stay there: deleting `probing.json` alone probes them anew. `progress` is told of (stage, how many were just
    done, how many there are). Raises SpecError for a layer that cannot be chosen and if `out` holds something else's
    result, DataError if it is damaged, BackendError if the model cannot be probed or `out` cannot be written.
    """
    vlm = vlm or load_vlm(spec.model, **spec.loading())
    n_layers, path = vlm.decoder.n_layers, out / RESULT_FILE
    check_rule(spec.rule, n_layers)
    if path.exists():
        return _read_back(path, spec, vlm)
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    ensure_writable(out)
    activations = Activations(out / FOLDER, draw_samples(spec), spec.seed, spec.batch_size)
    activations.harvest(vlm, progress)
    layers_done, rounding = partial(progress, "probes"), rounding_of(vlm.dtype)
    # A probe's products are too small to share: with several threads they wait for each other longer than they work.
    with threadpool_limits(1, user_api="blas"):
        rows = tuple(probe_all(activations, spec, n_layers, rounding, layers_done))
    choices = {pooling: choose(rows, spec.rule, pooling, n_layers) for pooling in spec.poolings}
    chosen = choices[spec.rule.pooling]
    if chosen is None:
        raise BackendError(
            f"'{vlm.name}' has no {spec.rule.pooling} tokens to probe, so the rule has nothing to pick by.",
            hint="Choose another pooling for the rule.",
        )
    fixed = spec.rule.kind == "fixed"
    result = ProbingResult(
        spec=spec,
        model_fingerprint=vlm.fingerprint,
        generator_version=GENERATOR_VERSION,
        n_layers=n_layers,
        d_model=vlm.decoder.d_model,
        layer=chosen.layer,
        chosen_by=explain_choice(rows, spec.rule, chosen, n_layers),
        choices=() if fixed else tuple(choice for choice in choices.values() if choice is not None),
        chance={"task": 1 / len(spec.tasks), "level": 1 / len(LEVELS)},
        interval=f"{LEVEL:.0%} percentile bootstrap of the test items, {DRAWS} draws, clustered by orbit",
        rows=rows,
    )
    write_record(result, path)
    return result


def rounding_of(dtype: torch.dtype) -> float:
    """Relative spread below which a pooled feature of a model of this dtype counts as constant: one rounding of a
    token's value is half an epsilon; averaging over tokens lowers it, layers and padding raise it."""
    return max(1e-5, torch.finfo(dtype).eps / 4)


def _read_back(path: Path, spec: ProbingSpec, vlm: LoadedVLM) -> ProbingResult:
    try:
        result = ProbingResult.model_validate_json(path.read_bytes())
    except (ValidationError, OSError) as error:
        raise DataError(f"{path} cannot be read: {error}.", hint="Delete it and give the command again.") from error
    before = result.spec.identity()
    different = [name for name, value in spec.identity().items() if value != before[name]]
    if result.model_fingerprint != vlm.fingerprint:
        different.append("the model's weights")
    if result.generator_version != GENERATOR_VERSION:
        different.append("the benchmark's version")
    if different:
        raise SpecError(
            f"{path} was made with other settings ({', '.join(different)}).",
            hint="Choose another folder, or delete that file.",
        )
    return result


def probe_all(
    source: Activations,
    spec: ProbingSpec,
    n_layers: int,
    rounding: float,
    progress: Callable[[int, int], None] = lambda just_done, total: None,
) -> Iterator[ProbeRow]:
    """Rows by pooling, layer (embeddings first), target and control. `rounding`: see `make_design`. `progress` is told
    how many layers were just done, and of how many."""
    train = source.samples["train"]
    fold_of = assign_folds(train.orbits, train.cells, spec.folds, stream(spec.seed, "localize", "folds"))
    kept = [fold_of != fold for fold in range(spec.folds)]
    for pooling in spec.poolings:
        for layer in (EMBEDDINGS, *range(n_layers)):
            # Made ready once for both targets.
            designs: dict[InputKind, Design | None] = {}
            folds: list[tuple[Bools, Design]] = []
            for kind in INPUT_KINDS:
                learnt, asked = (source.features(kind, part, layer, pooling) for part in ("train", "test"))
                designs[kind] = None if learnt is None or asked is None else make_design(learnt, asked, rounding)
                if kind == "real" and learnt is not None:
                    folds = [(keep, make_design(learnt[keep], learnt[~keep], rounding)) for keep in kept]
            for target in TARGETS:
                yield from _Probes(spec, source.samples, designs, folds, target, pooling, layer).rows()
            progress(1, len(spec.poolings) * (n_layers + 1))


@dataclass(frozen=True, eq=False)
class _Probes:
    """The probes of one target at one layer and pooling."""

    spec: ProbingSpec
    samples: Mapping[Part, Sample]
    designs: dict[InputKind, Design | None]
    folds: list[tuple[Bools, Design]]
    """Of the real pictures' training items: which are kept, and the design whose `test` are the others."""
    target: Target
    pooling: Pooling
    layer: int

    def rows(self) -> Iterator[ProbeRow]:
        sizes = {f"n_{part}": len(sample.items) for part, sample in self.samples.items()}
        sizes |= {f"n_{part}_orbits": len(np.unique(sample.orbits)) for part, sample in self.samples.items()}
        real = self.designs["real"]
        random = None if real is None else self._fitted(real, map(self._shuffled, range(self.spec.random_draws)))
        for control in _ROWS:
            figures: dict[str, Any] = dict.fromkeys(("train_accuracy", "cv_accuracy", "test_accuracy", "low", "high"))
            design = real if control == "random_labels" else self.designs[control]
            if design is None:
                figures["reason"] = f"these prompts have no {self.pooling} tokens"
            else:
                assert random is not None, "real pictures have every kind of token that others have"
                right, found = random if control == "random_labels" else self._fitted(design, [self._labels()])
                accuracy = self._interval(right, control)
                figures |= {"test_accuracy": accuracy.value, "low": accuracy.low, "high": accuracy.high, **found}
                figures["n_constant"] = design.n_constant
                figures["reason"] = CAN_ONLY_GUESS if design.train.shape[1] == 0 else accuracy.reason
                if control == "real":
                    figures |= self._of_real(right - random[0], bool(found["converged"]))
            yield ProbeRow(
                target=self.target, pooling=self.pooling, layer=self.layer, control=control, **sizes, **figures
            )

    def _labels(self) -> tuple[Strings, Strings]:
        """Of the training and of the test items."""
        return self.samples["train"].labels(self.target), self.samples["test"].labels(self.target)

    def _shuffled(self, draw: int) -> tuple[Strings, Strings]:
        """The same, shuffled over orbits."""
        # The same shuffles at every layer: a difference between layers is then none between shuffles.
        rng = stream(self.spec.seed, "localize", "random labels", self.target, str(draw))
        train, test = self._labels()
        train = shuffle_by_orbit(train, self.samples["train"].orbits, rng)
        return train, shuffle_by_orbit(test, self.samples["test"].orbits, rng)

    def _fitted(
        self, design: Design, labels: Iterable[tuple[Strings, Strings]]
    ) -> tuple[Floats, dict[str, float | bool]]:
        """The share of `labels` for which a probe gets each test item right; the mean of its training accuracy, and
        whether every fit converged."""
        right, learnt, converged = [], [], True
        for train, test in labels:
            said = fit_predict(design, train, self.spec.C)
            right.append(said.test == test)
            learnt.append(float(np.mean(said.train == train)))
            converged &= said.converged
        return np.mean(right, axis=0), {"train_accuracy": float(np.mean(learnt)), "converged": converged}

    def _of_real(self, above_random: Floats, converged: bool) -> dict[str, Any]:
        """What only the real labels have: accuracy by cross-validation, and selectivity."""
        train, _ = self._labels()
        hits = 0
        for keep, fold in self.folds:
            said = fit_predict(fold, train[keep], self.spec.C)
            hits += int((said.test == train[~keep]).sum())
            converged &= said.converged
        found = self._interval(above_random, "selectivity")
        selectivity = {"selectivity": found.value, "selectivity_low": found.low, "selectivity_high": found.high}
        return {"cv_accuracy": hits / len(train), "converged": converged, **selectivity}

    def _interval(self, values: Floats, name: str) -> Figure:
        rng = stream(self.spec.seed, "localize", self.target, self.pooling, str(self.layer), name)
        return cluster_bootstrap(values, self.samples["test"].orbits, rng)


@dataclass(frozen=True, eq=False)
class Design:
    """Features ready for a probe: standardised on the training items, in an orthonormal basis of what these span."""

    train: Floats
    """[n, r], r at most the smaller of n and the features that vary."""
    test: Floats
    """[m, r]"""
    n_constant: int
    """Features that are the same for all training items."""


def make_design(train: Floats, test: Floats, rounding: float) -> Design:
    """Standardise features [n, d] and [m, d] with the mean and sd of the training items. A feature whose sd is at most
    `rounding` times the usual size of features is taken for constant: scaled up to unit variance, the rounding of a
    constant would look like a signal."""
    mean, sd = train.mean(0), train.std(0)
    size = np.sqrt(np.mean(train**2, axis=0))
    varies = sd > rounding * np.maximum(size, np.median(size))
    x, y = ((part[:, varies] - mean[varies]) / sd[varies] for part in (train, test))
    if x.shape[1] > len(x):
        # The optimal weights lie in the span of the training rows, and the penalty does not see a rotation: the same
        # probe in n dimensions instead of d.
        basis, _ = np.linalg.qr(x.T)
        x, y = x @ basis, y @ basis
    return Design(x, y, int((~varies).sum()))


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a fitted probe says of the training and test items of its design."""

    train: Strings
    test: Strings
    converged: bool


def fit_predict(design: Design, labels: Strings, C: float) -> Predictions:
    """Fit on `labels` [n]. Without a feature that varies the probe says the commonest label, the first of equals."""
    if design.train.shape[1] == 0:
        names, counts = np.unique(labels, return_counts=True)
        guess = names[np.argmax(counts)]
        return Predictions(np.full(len(design.train), guess), np.full(len(design.test), guess), True)
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=C, tol=TOLERANCE, max_iter=MAX_ITERATIONS)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(design.train, labels)
    others = [warning for warning in caught if not issubclass(warning.category, ConvergenceWarning)]
    for warning in others:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return Predictions(model.predict(design.train), model.predict(design.test), len(others) == len(caught))


def assign_folds(
    orbits: Sequence[str] | Strings, cells: Sequence[str] | Strings, folds: int, rng: np.random.Generator
) -> Ints:
    """Fold of each item: whole orbits, and the orbits of each cell spread evenly. Each cell starts where the one before
    it stopped, so that cells of fewer orbits than folds are spread as well."""
    orbits, cells = np.asarray(orbits), np.asarray(cells)
    shuffled = (rng.permutation(np.unique(orbits[cells == cell])) for cell in np.unique(cells))
    fold_of = {str(orbit): place % folds for place, orbit in enumerate(np.concatenate(list(shuffled)))}
    return np.array([fold_of[str(orbit)] for orbit in orbits])


def shuffle_by_orbit(labels: Strings, orbits: Strings, rng: np.random.Generator) -> Strings:
    """The orbits' labels dealt out anew: the four items of an orbit keep one label, and every label its share."""
    _, first, place = np.unique(orbits, return_index=True, return_inverse=True)
    shuffled: Strings = rng.permutation(labels[first])[place]
    return shuffled
