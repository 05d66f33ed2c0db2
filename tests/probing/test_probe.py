"""The pieces of a probe: the fit against an optimiser of our own, folds and shuffles by their properties."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression

from vsc_eval.probing import probes
from vsc_eval.probing.probes import Floats, Strings, assign_folds, fit_predict, make_design, shuffle_by_orbit


def data(n: int = 90, d: int = 8, seed: int = 0) -> tuple[Floats, Floats, Strings]:
    rng = np.random.default_rng(seed)
    labels = np.array(["a", "b", "c"])[np.arange(n) % 3]
    centres = rng.standard_normal((3, d))
    scale, shift = np.exp(rng.standard_normal(d)), 10 * rng.standard_normal(d)
    draw = lambda: (centres[np.arange(n) % 3] + 1.5 * rng.standard_normal((n, d))) * scale + shift  # noqa: E731
    return draw(), draw(), labels


def optimum(x: Floats, labels: Strings, C: float) -> tuple[Floats, Floats]:
    """Weights [d, classes] and intercepts of the documented objective, by an optimiser of our own."""
    onehot = (labels[:, None] == np.unique(labels)).astype(float)
    d, k = x.shape[1], onehot.shape[1]

    def loss(flat: Floats) -> tuple[float, Floats]:
        w, b = flat[: d * k].reshape(d, k), flat[d * k :]
        logits = x @ w + b
        logp = logits - logsumexp(logits, axis=1, keepdims=True)
        error = C * (np.exp(logp) - onehot)
        gradient = np.concatenate([(x.T @ error + w).ravel(), error.sum(0)])
        return float(-C * (onehot * logp).sum() + 0.5 * (w**2).sum()), gradient

    found = minimize(loss, np.zeros(d * k + k), jac=True, method="BFGS", options={"gtol": 1e-9, "maxiter": 5000})
    return found.x[: d * k].reshape(d, k), found.x[d * k :]


def test_the_fit_is_the_documented_optimum() -> None:
    train, test, labels = data()
    mean, sd = train.mean(0), train.std(0)
    w, b = optimum((train - mean) / sd, labels, C=0.3)
    names = np.unique(labels)
    said = fit_predict(make_design(train, test, 1e-5), labels, 0.3)
    assert said.converged
    for found, x in ((said.train, train), (said.test, test)):
        logits = (x - mean) / sd @ w + b
        top = np.sort(logits, axis=1)
        clear = top[:, -1] - top[:, -2] > 0.02
        assert clear.mean() > 0.9
        assert (found == names[logits.argmax(1)])[clear].all()


def test_fewer_dimensions_are_the_same_probe() -> None:
    """With more features than items the probe is fitted in the span of the items: same probabilities."""
    train, test, labels = data(n=30, d=200, seed=3)
    design = make_design(train, test, 1e-5)
    assert design.train.shape == design.test.shape == (30, 30)
    mean, sd = train.mean(0), train.std(0)
    options: dict[str, Any] = {"C": 0.05, "tol": 1e-8, "max_iter": 5000}
    direct = LogisticRegression(**options).fit((train - mean) / sd, labels).predict_proba((test - mean) / sd)
    reduced = LogisticRegression(**options).fit(design.train, labels).predict_proba(design.test)
    np.testing.assert_allclose(reduced, direct, atol=1e-5)


def test_units_and_offsets_of_features_do_not_matter() -> None:
    train, test, labels = data()
    units, offsets = np.exp(np.linspace(-3, 3, 8)), np.linspace(-2, 2, 8)
    plain = fit_predict(make_design(train, test, 1e-5), labels, 0.1)
    moved = fit_predict(make_design(train * units + offsets, test * units + offsets, 1e-5), labels, 0.1)
    assert (plain.test == moved.test).all()


def test_a_constant_feature_is_left_out() -> None:
    train, test, labels = data()
    constant = np.full((len(train), 1), 7.0)
    with_it = make_design(np.hstack([train, constant]), np.hstack([test, constant + 1]), 1e-5)
    assert with_it.n_constant == 1
    np.testing.assert_array_equal(with_it.test, make_design(train, test, 1e-5).test)
    nothing = make_design(np.ones((4, 3)), np.ones((2, 3)), 1e-5)
    said = fit_predict(nothing, np.array(["b", "a", "b", "c"]), 0.1)
    assert said.test.tolist() == ["b", "b"]
    assert said.train.tolist() == ["b"] * 4
    assert labels[0] == "a"


def test_a_fit_that_stops_early_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    train, test, labels = data()
    monkeypatch.setattr(probes, "MAX_ITERATIONS", 1)
    assert not fit_predict(make_design(train, test, 1e-5), labels, 100.0).converged


def test_other_warnings_of_the_fit_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loud(LogisticRegression):  # type: ignore[misc]
        def fit(self, *args: Any) -> Any:
            warnings.warn("something else", UserWarning, stacklevel=1)
            return super().fit(*args)

    monkeypatch.setattr("sklearn.linear_model.LogisticRegression", Loud)
    train, test, labels = data()
    with pytest.warns(UserWarning, match="something else"):
        assert fit_predict(make_design(train, test, 1e-5), labels, 0.1).converged


@given(
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=9),
    folds=st.integers(2, 6),
    seed=st.integers(0, 5),
)
def test_folds_keep_orbits_whole_and_cells_spread(sizes: list[int], folds: int, seed: int) -> None:
    cells = [f"cell{c}" for c, size in enumerate(sizes) for _ in range(size) for _ in range(4)]
    orbits = [f"cell{c}/{o}" for c, size in enumerate(sizes) for o in range(size) for _ in range(4)]
    fold_of = assign_folds(orbits, cells, folds, np.random.default_rng(seed))
    by_orbit: dict[str, set[int]] = {}
    for orbit, fold in zip(orbits, fold_of.tolist(), strict=True):
        by_orbit.setdefault(orbit, set()).add(fold)
    assert all(len(found) == 1 for found in by_orbit.values())
    for names in (["all"] * len(cells), cells):
        for name in set(names):
            inside = [fold_of[i] for i in range(len(names)) if names[i] == name]
            counts = np.bincount(inside, minlength=folds) // 4
            assert counts.max() - counts.min() <= 1


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=30), st.integers(0, 9))
def test_a_shuffle_deals_whole_orbits(names: list[str], seed: int) -> None:
    labels = np.repeat(names, 4)
    orbits = np.repeat([f"o{i}" for i in range(len(names))], 4)
    shuffled = shuffle_by_orbit(labels, orbits, np.random.default_rng(seed))
    assert sorted(shuffled) == sorted(labels)
    assert (shuffled.reshape(-1, 4) == shuffled.reshape(-1, 4)[:, :1]).all()
