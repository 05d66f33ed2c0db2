"""All probes of one model: every layer and pooling, both targets, real labels and controls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from vsc_eval.probing.probe import (
    Bools,
    Design,
    Floats,
    assign_folds,
    fit_predict,
    make_design,
    shuffle_by_orbit,
)
from vsc_eval.probing.result import Control, ProbeRow
from vsc_eval.probing.sample import INPUT_KINDS, InputKind, Part, Sample
from vsc_eval.probing.spec import EMBEDDINGS, TARGETS, Pooling, ProbingSpec, Target
from vsc_eval.stats import cluster_bootstrap, stream

CAN_ONLY_GUESS = "the activations are the same for all items, so the probe can only guess"


class Source(Protocol):
    """Where activations come from: `harvest.Activations`."""

    @property
    def samples(self) -> Mapping[Part, Sample]: ...

    def features(self, kind: InputKind, part: Part, layer: int, pooling: Pooling) -> Floats | None:
        """[items of the part, d]; None if prompts of this kind have no tokens to pool."""


def probe_all(
    source: Source,
    spec: ProbingSpec,
    n_layers: int,
    rounding: float,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[ProbeRow]:
    """Rows by pooling, layer (embeddings first), target and control. `rounding`: see `make_design`.

    `progress` is told how many layers were just done, and of how many.
    """
    train = source.samples["train"]
    fold_of = assign_folds(train.orbits, train.cells, spec.folds, stream(spec.seed, "localize", "folds"))
    kept = [fold_of != fold for fold in range(spec.folds)]
    for pooling in spec.poolings:
        for layer in (EMBEDDINGS, *range(n_layers)):
            designs = _designs(source, layer, pooling, kept, rounding)
            for target in TARGETS:
                yield from _Probes(spec, source.samples, designs, target, pooling, layer).rows()
            progress(1, len(spec.poolings) * (n_layers + 1))


@dataclass(frozen=True, eq=False)
class _Designs:
    """Features of one layer at one pooling, made ready once for both targets."""

    inputs: dict[InputKind, Design | None]
    folds: list[tuple[Bools, Design]]
    """Of the real pictures' training items: which are kept, and the design whose `test` are the others."""


def _designs(source: Source, layer: int, pooling: Pooling, kept: list[Bools], rounding: float) -> _Designs:
    inputs: dict[InputKind, Design | None] = {}
    folds: list[tuple[Bools, Design]] = []
    for kind in INPUT_KINDS:
        train = source.features(kind, "train", layer, pooling)
        test = source.features(kind, "test", layer, pooling)
        inputs[kind] = None if train is None or test is None else make_design(train, test, rounding)
        if kind == "real" and train is not None:
            folds = [(keep, make_design(train[keep], train[~keep], rounding)) for keep in kept]
    return _Designs(inputs, folds)


@dataclass(frozen=True, eq=False)
class _Probes:
    """The probes of one target at one layer and pooling."""

    spec: ProbingSpec
    samples: Mapping[Part, Sample]
    designs: _Designs
    target: Target
    pooling: Pooling
    layer: int

    def rows(self) -> Iterator[ProbeRow]:
        real = self.designs.inputs["real"]
        if real is None:
            yield from (self._undefined(control) for control in ("real", "random_labels"))
        else:
            yield from self._real_and_random(real)
        for kind in ("blank_image", "text_only"):
            design = self.designs.inputs[kind]
            yield self._undefined(kind) if design is None else self._control(kind, design)

    def _real_and_random(self, design: Design) -> Iterator[ProbeRow]:
        train, test = (self.samples[part].labels(self.target) for part in ("train", "test"))
        real = fit_predict(design, train, self.spec.C)
        right = (real.test == test).astype(np.float64)
        cv_hits, converged = 0, real.converged
        for keep, fold in self.designs.folds:
            said = fit_predict(fold, train[keep], self.spec.C)
            cv_hits += int((said.test == train[~keep]).sum())
            converged &= said.converged
        random_right, random_train, random_converged = self._random(design)
        selectivity = self._interval(right - random_right, "selectivity")
        yield self._row(
            "real",
            right,
            design,
            train_accuracy=float(np.mean(real.train == train)),
            cv_accuracy=cv_hits / len(train),
            selectivity=selectivity.value,
            selectivity_low=selectivity.low,
            selectivity_high=selectivity.high,
            converged=converged,
        )
        yield self._row("random_labels", random_right, design, train_accuracy=random_train, converged=random_converged)

    def _random(self, design: Design) -> tuple[Floats, float, bool]:
        """Share of the shuffles in which each test item is right, mean training accuracy, whether all converged."""
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
        return np.mean(hits, axis=0), float(np.mean(learnt)), converged

    def _control(self, kind: Control, design: Design) -> ProbeRow:
        train, test = (self.samples[part].labels(self.target) for part in ("train", "test"))
        said = fit_predict(design, train, self.spec.C)
        return self._row(
            kind,
            (said.test == test).astype(np.float64),
            design,
            train_accuracy=float(np.mean(said.train == train)),
            converged=said.converged,
        )

    def _interval(self, values: Floats, name: str) -> Any:
        rng = stream(self.spec.seed, "localize", self.target, self.pooling, str(self.layer), name)
        return cluster_bootstrap(values, self.samples["test"].orbits, rng)

    def _head(self, control: Control) -> dict[str, Any]:
        train, test = self.samples["train"], self.samples["test"]
        return {
            "target": self.target,
            "pooling": self.pooling,
            "layer": self.layer,
            "control": control,
            "n_train": len(train.items),
            "n_test": len(test.items),
            "n_train_orbits": len(np.unique(train.orbits)),
            "n_test_orbits": len(np.unique(test.orbits)),
        }

    def _row(self, control: Control, right: Floats, design: Design, **figures: Any) -> ProbeRow:
        accuracy = self._interval(right, control)
        guesses = design.train.shape[1] == 0
        values = {"cv_accuracy": None, **self._head(control), **figures}
        return ProbeRow(
            test_accuracy=accuracy.value,
            low=accuracy.low,
            high=accuracy.high,
            n_constant=design.n_constant,
            reason=CAN_ONLY_GUESS if guesses else accuracy.reason,
            **values,
        )

    def _undefined(self, control: Control) -> ProbeRow:
        reason = f"these prompts have no {self.pooling} tokens"
        nothing = dict.fromkeys(("train_accuracy", "cv_accuracy", "test_accuracy", "low", "high"))
        return ProbeRow(**self._head(control), **nothing, reason=reason)
