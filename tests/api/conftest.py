"""vsc-tiny, its intervention and one run of it in memory, made once for all tests of the Python interface."""

from __future__ import annotations

import matplotlib as mpl
import pytest

import vsc_eval as vsc

mpl.use("agg")


@pytest.fixture(scope="session")
def model() -> vsc.Model:
    return vsc.load_model("vsc-tiny", device="cpu")


@pytest.fixture(scope="session")
def iv() -> vsc.Intervention:
    return vsc.load_intervention("vsc-tiny")


@pytest.fixture(scope="session")
def run(model: vsc.Model, iv: vsc.Intervention) -> vsc.Run:
    counting, logic = iv["counting"], iv["logic"]
    return vsc.run(
        model,
        tasks="vsc_easy",
        n=4,
        conditions=[
            counting.scale(8),
            logic.scale(8),
            counting + logic,
            (counting + logic).scale(8, norm="mean"),
            "counting+logic:scale=8",
            "counting:ablate:image",
            counting.scale(1),
        ],
    )
