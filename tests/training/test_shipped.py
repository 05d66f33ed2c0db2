"""The model that is shipped: what it can do, that it sees, and that it fits the package."""

from __future__ import annotations

import json

import pytest
from safetensors import safe_open

from training.config import TinyConfig
from training.install import MAX_WEIGHT_BYTES
from vsc_eval.backends.hf.engine import Engine
from vsc_eval.backends.hf.load import load_vlm
from vsc_eval.backends.hf.prompts import Prompt
from vsc_eval.backends.protocol import GenSettings
from vsc_eval.resources import embedded_dir
from vsc_eval.specs import load_yaml_spec
from vsc_eval.synthetic import LEVELS, TASKS, make_items

N_PER_CELL = 12
LETTERS = ("A", "B", "C", "D")


@pytest.fixture(scope="module")
def engine():
    return Engine(load_vlm("vsc-tiny"))


def _accuracy(engine, items, *, blind):
    prompts = [Prompt(item.prompt, () if blind else (item.image(),), LETTERS) for item in items]
    (readings,) = engine.read(prompts, [None], GenSettings(scoring="loglikelihood"))
    chosen = [max(range(4), key=reading.option_logprobs.__getitem__) for reading in readings]
    return sum(choice == item.gold for choice, item in zip(chosen, items, strict=True)) / len(items)


def _items(level):
    return [item for task in TASKS for item in make_items("test", task, level, N_PER_CELL)]


def test_it_answers_and_hard_is_harder(engine):
    easy, medium, hard = (_accuracy(engine, _items(level), blind=False) for level in LEVELS)
    assert easy > 0.75
    assert (easy + medium + hard) / 3 > 0.55
    assert easy > medium > hard


def test_without_the_picture_it_scores_exactly_chance(engine):
    assert _accuracy(engine, _items("easy"), blind=True) == 0.25


def test_it_says_a_letter_and_stops(engine):
    items = make_items("test", "existence", "easy", 8)
    (readings,) = engine.read(
        [Prompt(item.prompt, (item.image(),)) for item in items], [None], GenSettings("generate", max_new_tokens=6)
    )
    assert {reading.text for reading in readings} <= set(LETTERS)


def test_it_fits_the_package_and_says_how_it_was_made():
    folder = embedded_dir()
    weights = folder / "model.safetensors"
    assert weights.stat().st_size <= MAX_WEIGHT_BYTES
    with safe_open(str(weights), "pt") as file:
        assert len(list(file.keys())) == 120
    config = load_yaml_spec(folder / "training.yaml", TinyConfig)
    assert [stage.kind for stage in config.stages] == ["vision", "packed", "packed"]
    log = [json.loads(line) for line in (folder / "training_log.jsonl").read_text().splitlines()]
    assert log[-1]["step"] == config.stages[-1].steps
