"""From the parts of an entry to the entry: its id, its rounded figures and its hash."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from vsc_eval.board.board import asked_hash
from vsc_eval.board.entry.canonical import content_sha256, entry_document
from vsc_eval.board.records import BoardCondition, BoardIntervention, BoardModel, Entry, ItemTable

_SLUG_LENGTH = 60
_UNSEALED = "0" * 64


def assemble(
    *,
    board: str,
    model: BoardModel,
    backend: str,
    intervention: BoardIntervention | None,
    scoring: str,
    conditions: Sequence[BoardCondition],
    items: ItemTable,
    **fields: Any,
) -> Entry:
    """The entry of these parts, `fields` being the remaining ones of Entry. Equal parts give an equal entry."""
    draft = Entry(
        id=entry_id(model, backend, intervention, scoring, conditions, items),
        board=board,
        model=model,
        intervention=intervention,
        scoring=scoring,
        conditions=tuple(conditions),
        items=items,
        sha256=_UNSEALED,
        **fields,
    )
    return sealed(draft)


def sealed(entry: Entry) -> Entry:
    """The entry as its file will give it back: floats rounded, and its hash set."""
    document = entry_document(entry)
    return Entry.model_validate(document | {"sha256": content_sha256(document)})


def entry_id(
    model: BoardModel,
    backend: str,
    intervention: BoardIntervention | None,
    scoring: str,
    conditions: Sequence[BoardCondition],
    items: ItemTable,
) -> str:
    """The model's name in plain letters, and 10 hex digits of a hash of what was asked of what: a second run of the
    same has the same id whatever it answered."""
    asked = {
        "model": [model.fingerprint, model.revision],
        "backend": backend,
        "intervention": [intervention.sae_fingerprint, intervention.layer] if intervention else None,
        "conditions": sorted([condition.name, condition.content_hash] for condition in conditions),
        "items": asked_hash(items, range(len(items.id))),
        "scoring": scoring,
    }
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode("ascii")).hexdigest()[:10]
    return f"{slug(model.name)}-{digest}"


def slug(name: str) -> str:
    """`Qwen/Qwen2.5-VL-3B` -> `qwen-qwen2.5-vl-3b`; `model` where no plain letter is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9.]+", "-", plain)[:_SLUG_LENGTH].strip("-.") or "model"
