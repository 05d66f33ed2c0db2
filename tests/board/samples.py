"""Entries and boards for tests: real items of the benchmark, made-up answers, figures by the code of real runs."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vsc_eval.analysis.results import interaction_rows, result_rows
from vsc_eval.answers.hashes import picture_hash, prompt_hash
from vsc_eval.answers.table import AnswerTable, ItemInfo
from vsc_eval.board.board import BOARD_FILE, ENTRIES, Board, spec_of
from vsc_eval.board.entry.assemble import assemble
from vsc_eval.board.entry.canonical import entry_text
from vsc_eval.board.entry.rows import edit_words, run_rows, run_unions
from vsc_eval.board.records import (
    BoardCondition,
    BoardIntervention,
    BoardModel,
    BoardRow,
    ControlFigure,
    Entry,
    FloorFigure,
    Interval,
    ItemTable,
    ProbePoint,
    Probes,
    Provenance,
    Role,
    UnionFigure,
)
from vsc_eval.extract import INVALID
from vsc_eval.records import Reading
from vsc_eval.specs import BASELINE, ConditionSpec, EditSpec, parse_condition, save_yaml_spec
from vsc_eval.stats.percentile import control_p, control_percentile
from vsc_eval.synthetic import GENERATOR_VERSION, LETTERS, LEVELS, TASKS, make_items

CONDITIONS = ("counting", "logic", "counting+logic", "counting+logic:norm=mean")
BOARD_NAME = "sample"


@lru_cache(maxsize=4)
def sample_items(n_per_cell: int = 4, tasks: tuple[str, ...] = TASKS) -> tuple[tuple[ItemInfo, str, str], ...]:
    """(item, prompt hash, picture hash) of the first items of every cell of the test split."""
    return tuple(
        (
            ItemInfo(item.id, item.task, item.level, item.orbit_id, item.answer, item.gold),
            prompt_hash(item.prompt),
            picture_hash(item.image()),
        )
        for task in tasks
        for level in LEVELS
        for item in make_items("test", task, level, n_per_cell)
    )


def _logprobs(rng: random.Random, answer: str) -> tuple[float, ...]:
    """Of the four letters, the answer's the largest; an unreadable answer has its mass elsewhere."""
    weights = [rng.uniform(0.02, 0.5) for _ in LETTERS]
    if answer in LETTERS:
        weights[LETTERS.index(answer)] = rng.uniform(1, 6)
    total = sum(weights) * (1.01 if answer in LETTERS else 5)
    return tuple(float(np.log(weight / total)) for weight in weights)


def _answer(rng: random.Random, gold: str, skill: float) -> str:
    if rng.random() < skill:
        return gold
    return INVALID if rng.random() < 0.04 else rng.choice([letter for letter in LETTERS if letter != gold])


def _answered(items: Sequence[ItemInfo], names: Sequence[str], rng: random.Random) -> AnswerTable:
    """Answers of a model whose skill depends on the level, and which an edit changes here and there."""
    skill = rng.uniform(0.45, 0.8)
    hardness = {"easy": 0.15, "medium": 0.0, "hard": -0.2}
    answers = {BASELINE: tuple(_answer(rng, i.gold, skill + hardness[str(i.level)]) for i in items)}
    for name in names:
        moved = 0.25 if "+" in name else 0.1
        answers[name] = tuple(
            _answer(rng, item.gold, 0.35) if rng.random() < moved else before
            for item, before in zip(items, answers[BASELINE], strict=True)
        )
    readings = {
        name: tuple(
            Reading(
                option_logprobs=_logprobs(rng, answer),
                kl_options=None if name == BASELINE else rng.uniform(0, 0.5),
                shift_edited=None if name == BASELINE else rng.uniform(0.1, 0.2),
                shift_last=None if name == BASELINE else rng.uniform(0.2, 0.6),
            )
            for answer in column
        )
        for name, column in answers.items()
    }
    return AnswerTable(items=tuple(items), answers=answers, readings=readings)


def _condition(spec: ConditionSpec) -> BoardCondition:
    role: Role = "single" if len(spec.sets) == 1 else "union"
    if spec.edit is not None and spec.edit.norm_match:
        role = "norm_matched_union"
    return BoardCondition(
        name=spec.name,
        role="baseline" if spec.is_baseline else role,
        sets=spec.sets,
        edit=edit_words(spec),
        targets=spec.sets or None,
        content_hash=BASELINE if spec.is_baseline else hashlib.sha256(spec.name.encode()).hexdigest()[:16],
    )


@lru_cache(maxsize=64)
def sample_entry(
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
    """A valid entry of one model. `conditions` are expressions, whose sets are named like tasks; with none there is no
    intervention. A `study` has controls, a noise floor and probes as well."""
    rng = random.Random(f"{name}/{seed}")
    infos = sample_items(n_per_cell, tasks)
    specs = [ConditionSpec(name=BASELINE), *(parse_condition(c, EditSpec(value=4)) for c in conditions)]
    table = _answered([info for info, _, _ in infos], conditions, rng)
    targets = {spec.name: spec.sets or None for spec in specs}
    sets = list(dict.fromkeys(name for spec in specs for name in spec.sets))
    rows = run_rows(result_rows(table, name, targets, seed))
    fingerprint = hashlib.sha256(f"{name}/{seed}".encode()).hexdigest()[:16]
    return assemble(
        board=board,
        model=BoardModel(name=name, fingerprint=fingerprint, dtype="float32"),
        backend="hf",
        intervention=BoardIntervention(
            name=f"{name}-intervention",
            layer=4,
            sae_fingerprint=fingerprint[::-1],
            sets={each: (place, place + 10) for place, each in enumerate(sets)},
        )
        if sets
        else None,
        scoring="loglikelihood",
        conditions=[_condition(spec) for spec in specs],
        items=_item_table(infos, table),
        note=note,
        provenance=_provenance(source, seed, tasks, n_per_cell),
        rows=rows,
        unions=_unions(table, specs, seed, source),
        controls=_controls(rows, specs, rng) if source == "study" else (),
        floor=_floor() if source == "study" else (),
        probes=_probes(rng) if source == "study" else None,
        logprobs=_changed_logprobs(table),
    )


def _item_table(infos: Sequence[tuple[ItemInfo, str, str]], table: AnswerTable) -> ItemTable:
    return ItemTable(
        id=tuple(i.item_id for i, _, _ in infos),
        task=tuple(i.task for i, _, _ in infos),
        level=tuple(i.level for i, _, _ in infos),
        cluster=tuple(i.cluster for i, _, _ in infos),
        cluster_kind=tuple(i.cluster_kind for i, _, _ in infos),
        gold=tuple(i.gold for i, _, _ in infos),
        prompt_hash=tuple(prompt for _, prompt, _ in infos),
        image_hash=tuple(picture for _, _, picture in infos),
        options=tuple(tuple(LETTERS) for _ in infos),
        answers=dict(table.answers),
    )


def _changed_logprobs(table: AnswerTable) -> dict[str, dict[str, tuple[float | None, ...]]]:
    base = table.answers[BASELINE]
    changed = {
        name: [row for row, answer in enumerate(column) if answer != base[row]]
        for name, column in table.answers.items()
    }
    changed[BASELINE] = sorted({row for rows in changed.values() for row in rows})
    return {
        name: {table.items[row].item_id: table.readings[name][row].option_logprobs or () for row in rows}
        for name, rows in changed.items()
        if rows
    }


def _unions(
    table: AnswerTable, specs: Sequence[ConditionSpec], seed: int, source: Literal["run", "study"]
) -> tuple[UnionFigure, ...]:
    """A study compares norm-matched unions with the mean of their parts; the interval here is only moved there."""
    found = run_unions(interaction_rows(table, "model", specs, seed), specs)
    if source == "run":
        return found
    return tuple(
        union
        if union.form == "raw"
        else union.model_copy(
            update={
                "drift_bliss": None,
                "drift_interaction": _moved(union.drift_interaction, _beyond_mean(table, union, _changed)),
                "accuracy_interaction": _moved(union.accuracy_interaction, _beyond_mean(table, union, _gained)),
            }
        )
        for union in found
    )


def _changed(table: AnswerTable, name: str) -> float:
    return float(np.mean(table.answers_of(name) != table.answers_of(BASELINE)))


def _gained(table: AnswerTable, name: str) -> float:
    return float(np.mean(table.right(name)) - np.mean(table.right(BASELINE)))


def _beyond_mean(table: AnswerTable, union: UnionFigure, measure: Callable[[AnswerTable, str], float]) -> float:
    return measure(table, union.union) - sum(measure(table, part) for part in union.parts) / 2


def _moved(interval: Interval, value: float) -> Interval:
    assert interval.value is not None
    gap = value - interval.value
    bounds = [None if bound is None else bound + gap for bound in (interval.low, interval.high)]
    return Interval(value=value, low=bounds[0], high=bounds[1], reason=interval.reason)


def _provenance(source: Literal["run", "study"], seed: int, tasks: Sequence[str], n_per_cell: int) -> Provenance:
    settings: dict[str, Any] = {"tasks": list(tasks), "scoring": "loglikelihood", "seed": seed}
    if source == "study":
        settings["sweep"] = {"norm_match": "mean"}
        settings["controls"] = {"items_per_cell": n_per_cell}
        settings["verdict"] = {"edit": "scale=4"}
    return Provenance(
        source=source,
        date="2026-11-22T12:00:00+00:00",
        backend="hf",
        device="cpu",
        machine="x86_64, 2 cores, 24 GiB, 2 threads",
        packages={"vsc-eval": "0.1.0", "python": "3.11.7", "torch": "2.13.0+cpu"},
        generator_version=GENERATOR_VERSION,
        task_hashes={
            f"vsc_{task}_{level}": hashlib.sha256(f"{task}/{level}".encode()).hexdigest()[:16]
            for task in tasks
            for level in LEVELS
        },
        seed=seed,
        settings=settings,
    )


def _controls(
    rows: Sequence[BoardRow], specs: Sequence[ConditionSpec], rng: random.Random
) -> tuple[ControlFigure, ...]:
    found = []
    for spec in specs[1:]:
        row = next(row for row in rows if row.condition == spec.name and row.scope == "all")
        if row.drift is None or row.drift.value is None or spec.edit is None or spec.edit.norm_match:
            continue
        for kind in ("random_sets", "random_directions", "permuted_labels"):
            draws = tuple(rng.randrange(row.n // 6) / row.n for _ in range(20))
            found.append(
                ControlFigure(
                    kind=kind,
                    outcome="drift",
                    effect="single" if len(spec.sets) == 1 else "union",
                    sets=spec.sets,
                    value=row.drift.value,
                    draws=draws,
                    percentile=control_percentile(row.drift.value, draws),
                    p=control_p(row.drift.value, draws),
                )
            )
    return tuple(found)


def _floor() -> tuple[FloorFigure, ...]:
    reason = "every orbit gives the same value"
    return (
        FloorFigure(
            name="other batches", drift=Interval(value=0.0, reason=reason), n_changed=0, max_logprob_difference=1e-05
        ),
    )


def _probes(rng: random.Random) -> Probes:
    points = []
    for control in ("real", "random_labels", "blank_image", "text_only"):
        for target in ("task", "level"):
            for layer in range(-1, 6):
                accuracy = rng.uniform(0.2, 0.9) if control == "real" else rng.uniform(0.1, 0.3)
                points.append(
                    ProbePoint(
                        target=target,
                        pooling="text",
                        layer=layer,
                        control=control,
                        accuracy=accuracy,
                        low=accuracy - 0.05,
                        high=accuracy + 0.05,
                    )
                )
    return Probes(
        chosen_layer=4,
        chosen_by="layer 4: best held-out accuracy of the task probe on text tokens",
        chance={"task": 1 / 7, "level": 1 / 3},
        interval="95% percentile bootstrap of the test items, 2000 draws, clustered by orbit",
        points=tuple(points),
    )


def sample_board(path: Path, n_entries: int = 3, *, n_per_cell: int = 4) -> Board:
    """Write a board's board.yaml and entries, of which every other one is a study, below `path`; nothing is built."""
    entries = [
        sample_entry(
            f"model-{chr(ord('a') + place % 26)}{place // 26 or ''}",
            n_per_cell=n_per_cell,
            source="study" if place % 2 else "run",
        )
        for place in range(n_entries)
    ]
    return write_board(path, entries)


def write_board(path: Path, entries: Sequence[Entry]) -> Board:
    """Write these entries as a board, whose spec is that of the first."""
    spec = spec_of(
        entries[0].items,
        name=entries[0].board,
        title="Sample board",
        scoring=entries[0].scoring,
        generator_version=GENERATOR_VERSION,
    )
    (path / ENTRIES).mkdir(parents=True, exist_ok=True)
    save_yaml_spec(path / BOARD_FILE, spec)
    for entry in entries:
        (path / ENTRIES / f"{entry.id}.json").write_text(entry_text(entry), encoding="utf-8")
    return Board(path=path, spec=spec, entries=tuple(sorted(entries, key=lambda entry: entry.id)))
