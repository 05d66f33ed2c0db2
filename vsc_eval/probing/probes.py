"""All linear probes of one model: every layer and pooling, both targets, real labels and controls.

A probe is a multinomial logistic regression on standardised features with an L2 penalty, scikit-learn's objective:
C * sum of log-losses + ||W||^2 / 2, intercept unpenalised.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vsc_eval.probing.activations import INPUT_KINDS, Activations, Floats, InputKind, Ints, Part, Sample, Strings
from vsc_eval.probing.result import Control, ProbeRow
from vsc_eval.probing.spec import EMBEDDINGS, TARGETS, Pooling, ProbingSpec, Target
from vsc_eval.stats import cluster_bootstrap, stream

Bools = npt.NDArray[np.bool_]

TOLERANCE = 1e-4
MAX_ITERATIONS = 2000
CAN_ONLY_GUESS = "the activations are the same for all items, so the probe can only guess"


def probe_all(
    source: Activations,
    spec: ProbingSpec,
    n_layers: int,
    rounding: float,
    progress: Callable[[int, int], None] = lambda just_done, total: None,
) -> Iterator[ProbeRow]:
    """Rows by pooling, layer (embeddings first), target and control. `rounding`: see `make_design`.

    `progress` is told how many layers were just done, and of how many.
    """
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
        if (real := self.designs["real"]) is None:
            yield from (self._undefined(control) for control in ("real", "random_labels"))
        else:
            shuffled = self._random(real)
            right, figures = self._fitted(real)
            yield self._row("real", real, right, **self._of_real(right - shuffled[0], figures))
            yield self._row("random_labels", real, shuffled[0], **shuffled[1])
        for kind in ("blank_image", "text_only"):
            design = self.designs[kind]
            if design is None:
                yield self._undefined(kind)
            else:
                right, figures = self._fitted(design)
                yield self._row(kind, design, right, **figures)

    def _fitted(self, design: Design) -> tuple[Floats, dict[str, Any]]:
        """Which test items a probe gets right, its training accuracy and whether it converged."""
        train, test = (self.samples[part].labels(self.target) for part in ("train", "test"))
        said = fit_predict(design, train, self.spec.C)
        figures = {"train_accuracy": float(np.mean(said.train == train)), "converged": said.converged}
        return (said.test == test).astype(np.float64), figures

    def _of_real(self, above_random: Floats, figures: dict[str, Any]) -> dict[str, Any]:
        train = self.samples["train"].labels(self.target)
        hits, converged = 0, figures["converged"]
        for keep, fold in self.folds:
            said = fit_predict(fold, train[keep], self.spec.C)
            hits += int((said.test == train[~keep]).sum())
            converged &= said.converged
        selectivity = self._interval(above_random, "selectivity")
        return {
            **figures,
            "cv_accuracy": hits / len(train),
            "converged": converged,
            "selectivity": selectivity.value,
            "selectivity_low": selectivity.low,
            "selectivity_high": selectivity.high,
        }

    def _random(self, design: Design) -> tuple[Floats, dict[str, Any]]:
        """As `_fitted`, for shuffled labels: the share of the shuffles, the mean, and whether all converged."""
        hits, learnt, converged = [], [], True
        for draw in range(self.spec.random_draws):
            # The same shuffles at every layer: a difference between layers is then none between shuffles.
            rng = stream(self.spec.seed, "localize", "random labels", self.target, str(draw))
            train, test = (
                shuffle_by_orbit(sample.labels(self.target), sample.orbits, rng)
                for sample in (self.samples["train"], self.samples["test"])
            )
            said = fit_predict(design, train, self.spec.C)
            hits.append(said.test == test)
            learnt.append(float(np.mean(said.train == train)))
            converged &= said.converged
        return np.mean(hits, axis=0), {"train_accuracy": float(np.mean(learnt)), "converged": converged}

    def _interval(self, values: Floats, name: str) -> Any:
        rng = stream(self.spec.seed, "localize", self.target, self.pooling, str(self.layer), name)
        return cluster_bootstrap(values, self.samples["test"].orbits, rng)

    def _row(self, control: Control, design: Design, right: Floats, **figures: Any) -> ProbeRow:
        accuracy = self._interval(right, control)
        values = {
            "test_accuracy": accuracy.value,
            "low": accuracy.low,
            "high": accuracy.high,
            "n_constant": design.n_constant,
            "reason": CAN_ONLY_GUESS if design.train.shape[1] == 0 else accuracy.reason,
        }
        return self._empty(control, **values, **figures)

    def _undefined(self, control: Control) -> ProbeRow:
        return self._empty(control, reason=f"these prompts have no {self.pooling} tokens")

    def _empty(self, control: Control, **figures: Any) -> ProbeRow:
        train, test = self.samples["train"], self.samples["test"]
        undefined = dict.fromkeys(("train_accuracy", "cv_accuracy", "test_accuracy", "low", "high"))
        return ProbeRow(
            target=self.target,
            pooling=self.pooling,
            layer=self.layer,
            control=control,
            n_train=len(train.items),
            n_test=len(test.items),
            n_train_orbits=len(np.unique(train.orbits)),
            n_test_orbits=len(np.unique(test.orbits)),
            **{**undefined, **figures},
        )


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
    """Standardise features [n, d] and [m, d] with the mean and sd of the training items.

    A feature whose sd is at most `rounding` times the usual size of features is taken for constant: scaled up to unit
    variance, the rounding of a constant would look like a signal.
    """
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
    converged = True
    for warning in caught:
        if issubclass(warning.category, ConvergenceWarning):
            converged = False
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return Predictions(model.predict(design.train), model.predict(design.test), converged)


def assign_folds(
    orbits: Sequence[str] | Strings, cells: Sequence[str] | Strings, folds: int, rng: np.random.Generator
) -> Ints:
    """Fold of each item: whole orbits, and the orbits of each cell spread evenly.

    Each cell starts where the one before it stopped, so that cells of fewer orbits than folds are spread as well.
    """
    orbits, cells = np.asarray(orbits), np.asarray(cells)
    shuffled = (rng.permutation(np.unique(orbits[cells == cell])) for cell in np.unique(cells))
    fold_of = {str(orbit): place % folds for place, orbit in enumerate(np.concatenate(list(shuffled)))}
    return np.array([fold_of[str(orbit)] for orbit in orbits])


def shuffle_by_orbit(labels: Strings, orbits: Strings, rng: np.random.Generator) -> Strings:
    """The orbits' labels dealt out anew: the four items of an orbit keep one label, and every label its share."""
    _, first, place = np.unique(orbits, return_index=True, return_inverse=True)
    shuffled: Strings = rng.permutation(labels[first])[place]
    return shuffled
