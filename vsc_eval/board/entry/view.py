"""From an entry's files to what tables and page show of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vsc_eval.analysis.noise_floor import changes_nothing
from vsc_eval.answers.answer_table import AnswerTable, AskedCondition
from vsc_eval.board.entry.folder import Parts, read_parts
from vsc_eval.board.records import (
    BoardCondition,
    BoardModel,
    Entry,
    ItemTable,
    Provenance,
)
from vsc_eval.synthetic import TASKS


def read_entry(folder: Path) -> Entry:
    """The entry of a folder. Raises DataError as `read_parts` does."""
    return entry_of(read_parts(folder))


def entry_of(parts: Parts) -> Entry:
    """The entry that these files hold."""
    about, hashes, settings, table = parts.about, parts.hashes, parts.settings, parts.table
    shown = shown_conditions(table)
    is_synthetic = any(item.task in TASKS for item in table.items)
    edit = verdict_edit(parts)
    return Entry(
        id=about.id,
        board=about.board,
        model=BoardModel(
            name=about.name,
            revision=_text(hashes.get("model_revision")),
            fingerprint=parts.results.model_fingerprint,
            dtype=about.dtype,
        ),
        intervention=about.intervention,
        note=about.note,
        provenance=Provenance(
            source=about.source,
            date=about.date,
            backend="vllm" if settings.get("backend") == "vllm" else "hf",
            device=about.device,
            machine=about.machine,
            packages=about.packages,
            generator_version=_text(hashes.get("generator_version")) if is_synthetic else None,
            task_hashes={str(k): str(v) for k, v in _mapping(hashes.get("tasks")).items()},
            seed=seed if isinstance(seed := settings.get("seed"), int) else 0,
            settings=dict(settings),
        ),
        scoring=table.items[0].scoring if table.items else "loglikelihood",
        conditions=tuple(_condition(c, edit) for c in shown),
        items=_items(table, [c.name for c in shown]),
        rows=parts.results.rows,
        official=parts.results.official,
        unions=parts.results.interactions,
        controls=parts.results.controls,
        floor=parts.results.floor,
        probing=parts.results.probing,
        table=table,
        shown=parts.shown,
        sha256=about.sha256,
    )


def shown_conditions(table: AnswerTable) -> list[AskedCondition]:
    """Edits of strength zero are asked for the noise floor alone, whose figures an entry has."""
    return [condition for condition in table.conditions if not changes_nothing(condition)]


def verdict_edit(parts: Parts) -> str | None:
    """The edit of a study's verdicts."""
    edit = _mapping(parts.settings.get("verdict")).get("edit")
    return edit if isinstance(edit, str) and parts.about.source == "study" else None


def _condition(condition: AskedCondition, verdict_edit: str | None) -> BoardCondition:
    return BoardCondition(
        name=condition.name,
        role=condition.role,
        sets=condition.spec.sets,
        edit=condition.edit,
        targets=condition.targets,
        content_hash=condition.content_hash,
        # Printed tables show those of the verdict's edit, where there is one.
        is_headline=verdict_edit is None or condition.edit in (None, verdict_edit),
    )


def _items(table: AnswerTable, names: list[str]) -> ItemTable:
    items, words = table.items, np.array(table.main.vocabulary, dtype=object)
    return ItemTable(
        id=tuple(item.item_id for item in items),
        answers={name: tuple(words[table.main.answer[table.main.rows[name]]].tolist()) for name in names},
        **{
            name: tuple(getattr(item, name) for item in items)
            for name in ("task", "level", "cluster", "cluster_kind", "gold", "prompt_hash", "image_hash", "options")
        },
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
