"""From an entry's files to what tables and page show of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vsc_eval.analysis.interactions import InteractionRow
from vsc_eval.analysis.noise_floor import changes_nothing
from vsc_eval.analysis.rows import Row
from vsc_eval.answers.answer_table import AnswerTable, AskedCondition
from vsc_eval.board.entry.folder import Parts, read_parts
from vsc_eval.board.records import (
    BoardCondition,
    BoardModel,
    BoardRow,
    DriftCounts,
    Entry,
    ItemTable,
    Provenance,
    UnionFigure,
)
from vsc_eval.stats.drift import PARTS
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
        rows=tuple(map(_row, parts.results.rows)),
        official=parts.results.official,
        unions=tuple(map(_union, parts.results.interactions)),
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


def _row(row: Row) -> BoardRow:
    drift = row.drift
    return BoardRow(
        **{
            name: getattr(row, name)
            for name in (
                *("condition", "scope", "task", "level", "by", "category", "n", "n_clusters", "p_difference"),
                *("detectable_difference", "mean_kl_options", "mean_margin_change", "mean_shift_edited"),
                *("mean_shift_last", "amplification"),
            )
        },
        n_right=round((row.accuracy.value or 0) * row.n),
        n_invalid=round(row.invalid_rate * row.n),
        method=method_words(row),
        accuracy=row.accuracy,
        difference=row.difference,
        drift=drift.share if drift else None,
        drift_counts=DriftCounts(**{name: getattr(drift, name) for name in ("n_changed", *PARTS)}) if drift else None,
    )


def method_words(row: Row) -> str:
    """How a row's intervals came to be. Wilson's is of accuracies alone, so that a row may have two methods."""
    others = [figure.method for figure in (row.difference, row.drift and row.drift.share) if figure]
    if set(others) <= {row.accuracy.method}:
        return row.accuracy.method
    return f"accuracy: {row.accuracy.method}; differences and drift: {', '.join(dict.fromkeys(others))}"


def _union(row: InteractionRow) -> UnionFigure:
    return UnionFigure(
        union=row.condition,
        parts=row.part_conditions,
        edit=row.edit,
        form=row.form,
        drift_interaction=row.drift_interaction,
        drift_bliss=row.drift_bliss,
        accuracy_interaction=row.accuracy_interaction,
        p_drift_adjusted=row.p_drift_adjusted,
        p_accuracy_adjusted=row.p_accuracy_adjusted,
        verdict=row.verdict,
        decided_by=row.decided_by,
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
