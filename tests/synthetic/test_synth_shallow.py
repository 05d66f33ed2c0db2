"""Predictors that see only how much ink of each colour a picture holds.

Without the question none may beat chance anywhere. With the question and the options they are held to chance where the
design balances ink; the cells left out are those where ink is the honest answer (how many, how large, what colour is
there at all).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import StandardScaler
from synth_cells import CELLS, COLOUR_NAMES, Glance, cell_facts

_BALANCED_BY_COLOUR = [
    ("attribute_query", "easy"),
    ("attribute_query", "medium"),
    ("attribute_query", "hard"),
    ("existence", "hard"),
    ("logic", "easy"),
    ("multi_hop", "easy"),
    ("multi_hop", "medium"),
    ("multi_hop", "hard"),
]


def _ceiling(n: int) -> float:
    """Chance plus four standard errors."""
    return 0.25 + 4 * float(np.sqrt(0.25 * 0.75 / n))


def _parts(task: str, level: str) -> tuple[list[Glance], list[Glance]]:
    glances = cell_facts(task, level).glances
    return [g for g in glances if g.split == "train"], [g for g in glances if g.split != "train"]


@pytest.mark.parametrize(("task", "level"), CELLS)
def test_the_colour_histogram_alone_does_not_tell_the_letter(task: str, level: str) -> None:
    train, held = _parts(task, level)
    features = StandardScaler().fit([[*g.ink, g.ink.sum()] for g in train])
    model = LogisticRegression(max_iter=2000)
    model.fit(features.transform([[*g.ink, g.ink.sum()] for g in train]), [g.gold for g in train])
    accuracy = model.score(features.transform([[*g.ink, g.ink.sum()] for g in held]), [g.gold for g in held])
    assert accuracy < _ceiling(len(held))


def _ink_of_options(glance: Glance) -> list[float]:
    inks = []
    for option in glance.options:
        colour = next(word for word in option.split() if word in COLOUR_NAMES)
        inks.append(float(glance.ink[COLOUR_NAMES.index(colour)]))
    return inks


@pytest.mark.parametrize("choose", [np.argmax, np.argmin])
@pytest.mark.parametrize(("task", "level"), _BALANCED_BY_COLOUR)
def test_the_ink_of_the_options_colours_does_not_tell_the_answer(
    task: str, level: str, choose: Callable[[list[float]], int]
) -> None:
    glances = cell_facts(task, level).glances
    accuracy = np.mean([choose(_ink_of_options(g)) == g.gold for g in glances])
    assert accuracy < _ceiling(len(glances)) + 0.03


@pytest.mark.parametrize("level", ["medium", "hard"])
def test_ink_does_not_count(level: str) -> None:
    train, held = _parts("counting", level)

    def features(glance: Glance) -> list[float]:
        colour = next(word for word in glance.question.split() if word in COLOUR_NAMES)
        return [float(glance.ink[COLOUR_NAMES.index(colour)]), float(glance.ink.sum())]

    model = LinearRegression().fit([features(g) for g in train], [int(g.options[g.gold]) for g in train])
    guesses = model.predict([features(g) for g in held])
    right = [
        min(range(4), key=lambda i: abs(int(g.options[i]) - guess)) == g.gold
        for g, guess in zip(held, guesses, strict=True)
    ]
    assert np.mean(right) < _ceiling(len(held)) + 0.03


def test_a_leak_would_be_noticed() -> None:
    """Where ink is the honest answer, the same predictor does see it."""
    glances = cell_facts("comparison", "easy").glances
    right = [(np.argmax if "largest" in g.question else np.argmin)(_ink_of_options(g)) == g.gold for g in glances]
    assert np.mean(right) > 0.9
