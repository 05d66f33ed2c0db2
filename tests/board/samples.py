"""Entries and boards for tests: real items of the benchmark, made-up answers, figures by the code of real runs."""

from __future__ import annotations

import dataclasses
import hashlib
import random
import shutil
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vsc_eval.analysis.controls import ControlTest, control_tests
from vsc_eval.analysis.interactions import interactions
from vsc_eval.analysis.noise_floor import floor_rows
from vsc_eval.analysis.official import official_rows
from vsc_eval.analysis.rows import SCOPES, rows
from vsc_eval.analysis.verdict import VerdictRule, with_verdicts
from vsc_eval.answers.answer_table import Answers, AnswerTable, AskedCondition, AskedItem
from vsc_eval.board.board import Board
from vsc_eval.board.entry_files import entry_id, read_entry, write_entry
from vsc_eval.board.records import About, BoardIntervention, Entry, Results
from vsc_eval.board.spec import BOARD_FILE, ENTRIES, entry_folders, read_board_spec, spec_of
from vsc_eval.extract import INVALID
from vsc_eval.files import picture_hash, short_hash
from vsc_eval.probing.records import ProbeRow, ProbingResult, ProbingSpec
from vsc_eval.settings import StatisticsSpec
from vsc_eval.specs import BASELINE, ConditionSpec, EditSpec, parse_condition, save_yaml_spec
from vsc_eval.stats import control_p, control_percentile
from vsc_eval.synthetic import GENERATOR_VERSION, LETTERS, LEVELS, TASKS, make_items

CONDITIONS = ("counting", "logic", "counting+logic", "counting+logic:norm=mean")
BOARD_NAME = "sample"


EDIT = "scale=4"
DRAWS = {"draws": 200, "permutations": 200}


@lru_cache(maxsize=4)
def sample_items(n_per_cell: int = 4, tasks: tuple[str, ...] = TASKS) -> tuple[AskedItem, ...]:
    """The first items of every cell of the test split."""
    return tuple(
        AskedItem(
            item_id=item.id,
            task=item.task,
            level=item.level,
            cluster=item.orbit_id,
            gold=item.answer,
            gold_index=item.gold,
            options=tuple(LETTERS),
            prompt_hash=short_hash(item.prompt),
            image_hash=picture_hash(item.image()),
        )
        for task in tasks
        for level in LEVELS
        for item in make_items("test", task, level, n_per_cell)
    )


def _logprobs(rng: random.Random, answer: str, options: Sequence[str]) -> tuple[float, ...]:
    """Of the options, the answer's the largest; an unreadable answer has its mass elsewhere."""
    weights = [rng.uniform(0.02, 0.5) for _ in options]
    if answer in options:
        weights[options.index(answer)] = rng.uniform(1, 6)
    total = sum(weights) * (1.01 if answer in options else 5)
    return tuple(float(np.log(weight / total)) for weight in weights)


def _answer(rng: random.Random, gold: str, skill: float) -> str:
    if rng.random() < skill:
        return gold
    return INVALID if rng.random() < 0.04 else rng.choice([letter for letter in LETTERS if letter != gold])


def _answered(items: Sequence[AskedItem], conditions: Sequence[AskedCondition], rng: random.Random) -> AnswerTable:
    """Answers of a model whose skill depends on the level, and which an edit changes here and there."""
    skill = rng.uniform(0.45, 0.8)
    hardness = {"easy": 0.15, "medium": 0.0, "hard": -0.2}
    answers = {BASELINE: tuple(_answer(rng, i.gold, skill + hardness[str(i.level)]) for i in items)}
    for condition in conditions[1:]:
        moved = 0.25 if "+" in condition.name else 0.1
        answers[condition.name] = tuple(
            _answer(rng, item.gold, 0.35) if rng.random() < moved else before
            for item, before in zip(items, answers[BASELINE], strict=True)
        )
    return table_of(items, conditions, answers, rng)


def table_of(
    items: Sequence[AskedItem],
    conditions: Sequence[AskedCondition],
    answers: Mapping[str, Sequence[str]],
    rng: random.Random,
) -> AnswerTable:
    """A table of these answers, with made-up figures that fit them."""
    words = tuple(sorted({word for column in answers.values() for word in column}))
    codes = np.array([[words.index(word) for word in answers[c.name]] for c in conditions], dtype=np.int32)
    logprobs = np.full((*codes.shape, max((len(item.options) for item in items), default=0)), np.nan, np.float32)
    for row, condition in enumerate(conditions):
        for place, item in enumerate(items):
            values = _logprobs(rng, answers[condition.name][place], item.options)
            logprobs[row, place, : len(values)] = values
    shape = codes[1:].shape
    floats = {
        name: np.vstack([np.full((1, len(items)), np.nan), rng_of(rng).uniform(*ends, shape)])
        for name, ends in {"kl_options": (0, 0.5), "shift_edited": (0.1, 0.2), "shift_last": (0.2, 0.6)}.items()
    }
    main = Answers(
        names=tuple(answers),
        vocabulary=words,
        read=codes,
        answer=codes,
        option_logprobs=logprobs,
        columns=floats,
    )
    return AnswerTable(items=tuple(items), conditions=tuple(conditions), main=main)


def rng_of(rng: random.Random) -> np.random.Generator:
    return np.random.default_rng(rng.getrandbits(32))


def _conditions(expressions: Sequence[str]) -> tuple[AskedCondition, ...]:
    specs = [ConditionSpec(name=BASELINE), *(parse_condition(c, EditSpec(value=4)) for c in expressions)]
    return tuple(
        AskedCondition(
            spec,
            targets=spec.sets or None,
            content_hash=BASELINE if spec.is_baseline else hashlib.sha256(spec.name.encode()).hexdigest()[:16],
        )
        for spec in specs
    )


@lru_cache(maxsize=64)
def sample_parts(
    name: str = "model-a",
    *,
    seed: int = 0,
    n_per_cell: int = 4,
    conditions: tuple[str, ...] = CONDITIONS,
    tasks: tuple[str, ...] = TASKS,
    source: Literal["run", "study"] = "run",
    note: str = "",
    board: str = BOARD_NAME,
) -> Entry:
    """The files of a valid entry of one model. `conditions` are expressions, whose sets are named like tasks; with none
    there is no intervention. A `study` has controls, verdicts, a noise floor and probes as well."""
    rng = random.Random(f"{name}/{seed}")
    asked = _conditions(conditions)
    table = _answered(sample_items(n_per_cell, tasks), asked, rng)
    if source == "study":
        table = dataclasses.replace(table, passes={"other_batches": table.main.take([0])})
    fingerprint = hashlib.sha256(f"{name}/{seed}".encode()).hexdigest()[:16]
    sets = list(dict.fromkeys(each for condition in asked for each in condition.spec.sets))
    intervention = BoardIntervention(
        name=f"{name}-intervention",
        layer=4,
        sae_fingerprint=fingerprint[::-1],
        sets={each: (place, place + 10) for place, each in enumerate(sets)},
    )
    settings: dict[str, Any] = {"model": name, "tasks": list(tasks), "scoring": "loglikelihood", "seed": seed}
    settings["statistics"] = dict(DRAWS)
    if source == "study":
        settings["sweep"] = {"norm_match": "mean"}
        settings["controls"] = {"items_per_cell": n_per_cell, "draws": 20}
        settings["verdict"] = VerdictRule(edit=EDIT).model_dump(mode="json")
    about = About(
        id="unnamed-0000000000",
        board=board,
        source=source,
        name=name,
        note=note,
        date="2026-11-22T12:00:00+00:00",
        dtype="float32",
        device="cpu",
        machine="x86_64, 2 cores, 24 GiB, 2 threads",
        packages={"vsc-eval": "0.1.0", "python": "3.11.7", "torch": "2.13.0+cpu"},
        intervention=intervention if sets else None,
    )
    hashes = {
        "model_fingerprint": fingerprint,
        "model_revision": None,
        "sae_fingerprint": intervention.sae_fingerprint if sets else None,
        "layer": 4 if sets else None,
        "conditions": {condition.name: condition.content_hash for condition in asked},
        "tasks": {
            f"vsc_{task}_{level}": hashlib.sha256(f"{task}/{level}".encode()).hexdigest()[:16]
            for task in tasks
            for level in LEVELS
        },
        "generator_version": GENERATOR_VERSION,
    }
    return parts_of(about, {"schema_version": 1, "settings": settings, "hashes": hashes}, table, rng)


def parts_of(about: About, run: dict[str, Any], table: AnswerTable, rng: random.Random) -> Entry:
    """The files of an entry with the figures that follow from its answers."""
    document = results_of(about.source, run, table, rng)
    parts = Entry(about=about, run=run, table=table, document=document, results=Results.model_validate(document))
    return dataclasses.replace(parts, about=about.model_copy(update={"id": entry_id(parts)}))


def results_of(source: str, run: dict[str, Any], table: AnswerTable, rng: random.Random) -> dict[str, Any]:
    """results.json of these answers, as a run or a study computes it."""
    settings = run["settings"]
    statistics = StatisticsSpec(**settings["statistics"], seed=settings["seed"])
    pairs, found = interactions(table, statistics), rows(table, statistics)
    document: dict[str, Any] = {
        "schema_version": 2,
        "model": settings["model"],
        "model_fingerprint": run["hashes"]["model_fingerprint"],
        "official": [row.model_dump(mode="json") for row in official_rows(table, statistics)],
    }
    if source == "study":
        found = tuple(row for row in found if row.scope in SCOPES[:3] or row.condition == BASELINE or "t" in row.scope)
        rule = VerdictRule.model_validate(settings["verdict"])
        controls = _controls(table, rng, rule.edit)
        pairs = with_verdicts(pairs, rule, controls)
        document["controls"] = [test.model_dump(mode="json") for test in controls]
        document["floor"] = [row.model_dump(mode="json") for row in floor_rows(table, statistics)]
        document["probing"] = _probing(rng, settings["model"]).model_dump(mode="json")
    document["rows"] = [row.model_dump(mode="json") for row in found]
    document["interactions"] = [row.model_dump(mode="json") for row in pairs]
    return document


def _controls(table: AnswerTable, rng: random.Random, edit: str) -> list[ControlTest]:
    """The real effects beside made-up draws."""
    pairs = [c.targets for c in table.conditions if c.role == "combined" and c.targets]
    found = control_tests(table, table.under([BASELINE]), edit=edit, pairs=pairs, n_draws=1)  # type: ignore[arg-type]
    tests = []
    for test in found:
        harm = -1 if test.outcome == "accuracy" else 1
        draws = tuple(rng.randrange(len(table.items) // 6) / len(table.items) for _ in range(20))
        beside = harm * test.value, [harm * draw for draw in draws]
        figures = {"percentile": control_percentile(*beside), "p": control_p(*beside)}
        family = {"p_family": 1 / 21 if test.effect == "interaction" else None, "reason": None}
        tests.append(test.model_copy(update={"draws": draws, **figures, **family}))
    return tests


def _probing(rng: random.Random, model: str) -> ProbingResult:
    points = []
    for control in ("real", "random_labels", "blank_image", "text_only"):
        for target in ("task", "level"):
            for layer in range(-1, 6):
                accuracy = rng.uniform(0.2, 0.9) if control == "real" else rng.uniform(0.1, 0.3)
                points.append(
                    ProbeRow(
                        target=target,
                        pooling="text",
                        layer=layer,
                        control=control,
                        n_train=80,
                        n_test=80,
                        n_train_orbits=20,
                        n_test_orbits=20,
                        train_accuracy=None,
                        cv_accuracy=None,
                        test_accuracy=accuracy,
                        low=accuracy - 0.05,
                        high=accuracy + 0.05,
                    )
                )
    return ProbingResult(
        spec=ProbingSpec(model=model),
        model_fingerprint="0" * 16,
        generator_version=GENERATOR_VERSION,
        n_layers=6,
        d_model=64,
        layer=4,
        chosen_by="layer 4: best held-out accuracy of the task probe on text tokens",
        choices=(),
        chance={"task": 1 / 7, "level": 1 / 3},
        interval="95% percentile bootstrap of the test items, 2000 draws, clustered by orbit",
        rows=tuple(points),
    )


def sample_entry(name: str = "model-a", **options: Any) -> Entry:
    """The entry of `sample_parts`, in memory."""
    return sample_parts(name, **options)


def sample_board(path: Path, n_entries: int = 3, *, n_per_cell: int = 4) -> Board:
    """Write a board's board.yaml and entries, of which every other one is a study, below `path`; nothing is built."""
    parts = [
        sample_parts(
            f"model-{chr(ord('a') + place % 26)}{place // 26 or ''}",
            n_per_cell=n_per_cell,
            source="study" if place % 2 else "run",
        )
        for place in range(n_entries)
    ]
    return write_board(path, parts)


def write_board(path: Path, parts: Sequence[Entry]) -> Board:
    """Write these entries as a board, whose spec is that of the first."""
    first = parts[0]
    spec = spec_of(
        first.table.items,
        name=first.about.board,
        title="Sample board",
        scoring=first.table.items[0].scoring,
        generator_version=GENERATOR_VERSION,
    )
    (path / ENTRIES).mkdir(parents=True, exist_ok=True)
    save_yaml_spec(path / BOARD_FILE, spec)
    for each in parts:
        add_entry(path, each)
    return load_board(path)


def add_entry(path: Path, parts: Entry) -> Path:
    """Write an entry into a board's folder; where it is."""
    folder = path / ENTRIES / parts.about.id
    shutil.rmtree(folder, ignore_errors=True)
    write_entry(parts, folder)
    return folder


def load_board(path: Path) -> Board:
    """All that is in a board's folder, right or not."""
    entries = sorted(map(read_entry, entry_folders(path)), key=lambda entry: entry.id)
    return Board(path=path, spec=read_board_spec(path), entries=tuple(entries))


def renamed(parts: Entry, name: str) -> Entry:
    """The same run under another name of its model."""
    named = dataclasses.replace(parts, about=parts.about.model_copy(update={"name": name}))
    return dataclasses.replace(named, about=named.about.model_copy(update={"id": entry_id(named)}))


def edit_items(entry: Entry, name: str, **fields: Any) -> Entry:
    """The entry with other values in one of its items."""
    items = tuple(dataclasses.replace(item, **fields) if item.item_id == name else item for item in entry.table.items)
    return dataclasses.replace(entry, table=dataclasses.replace(entry.table, items=items))


def with_results(entry: Entry, **sections: Any) -> Entry:
    """The entry with other sections of results.json."""
    return dataclasses.replace(entry, results=entry.results.model_copy(update=sections))


def with_settings(entry: Entry, **settings: Any) -> Entry:
    """The entry with other settings in its run.yaml."""
    assert "spec" not in entry.document
    return dataclasses.replace(entry, run={**entry.run, "settings": {**entry.settings, **settings}})


def with_hashes(entry: Entry, **hashes: Any) -> Entry:
    """The entry with other hashes in its run.yaml."""
    return dataclasses.replace(entry, run={**entry.run, "hashes": {**entry.run["hashes"], **hashes}})


def with_headlines(entry: Entry, *names: str) -> Entry:
    """The entry with these conditions, and the baseline, for headlines; what its settings say does not count."""
    copy = dataclasses.replace(entry)
    vars(copy)["headlines"] = frozenset({BASELINE, *names})
    return copy
