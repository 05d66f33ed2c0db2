"""A linear probe: multinomial logistic regression with an L2 penalty on standardised features.

scikit-learn's objective, C * sum of log-losses + ||W||^2 / 2, intercept unpenalised.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vsc_eval.probing.sample import Ints, Strings

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

TOLERANCE = 1e-4
MAX_ITERATIONS = 2000


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
    x = (train[:, varies] - mean[varies]) / sd[varies]
    y = (test[:, varies] - mean[varies]) / sd[varies]
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
    fold_of: dict[str, int] = {}
    for cell in np.unique(cells):
        for orbit in rng.permutation(np.unique(orbits[cells == cell])):
            fold_of[str(orbit)] = len(fold_of) % folds
    return np.array([fold_of[str(orbit)] for orbit in orbits])


def shuffle_by_orbit(labels: Strings, orbits: Strings, rng: np.random.Generator) -> Strings:
    """The orbits' labels dealt out anew: the four items of an orbit keep one label, and every label its share."""
    _, first, place = np.unique(orbits, return_index=True, return_inverse=True)
    shuffled: Strings = rng.permutation(labels[first])[place]
    return shuffled
