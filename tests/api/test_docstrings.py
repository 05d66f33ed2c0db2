"""The examples in the public docstrings are right."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

MODULES = ("intervention", "model", "runs")


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    found = doctest.testmod(import_module(f"vsc_eval.api.{name}"), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted > 0
    assert found.failed == 0
