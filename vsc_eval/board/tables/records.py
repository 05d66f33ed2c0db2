"""What the columns of a board's tables and of its CSV are made of."""

from collections.abc import Sequence
from typing import Any

from vsc_eval.board.records import Entry
from vsc_eval.tables.table import Column, Data

NOT_ASKED = "not asked"
MODEL = Column("model", "model")
N_ITEMS = Column("n", "n", "count", note="Items")
COUNTS = ("n", "n_clusters", "n_right", "n_invalid")
INTERVAL = ("value", "low", "high")

Record = dict[str, Any]
"""Column -> what a table or a CSV shows there."""


def copied(source: object, *names: str, start: str = "") -> Record:
    """Fields that are columns of the same name, but for its start; None where there is no source."""
    return {f"{start}{name}": None if source is None else getattr(source, name) for name in names}


def who(entry: Entry, label: str) -> Record:
    """What tells an entry from others, in CSV. `label` is what the board calls it, or its model."""
    own = copied(entry, "revision", "fingerprint", "backend")
    return {"model": label, **own, "dtype": entry.about.dtype, "scoring": entry.scoring, "entry": entry.id}


def flat(records: Sequence[Record], figures: Sequence[str]) -> Data:
    """Records of the same keys, one number a column: the keys of `figures` have one for the value and for each end."""
    rows = [
        [copied(value, *INTERVAL, start=f"{key}_") if key in figures else {key: value} for key, value in record.items()]
        for record in records
    ]
    heads = [column for part in rows[0] for column in part] if rows else []
    return Data(tuple(heads), tuple(tuple(plain for part in row for plain in part.values()) for row in rows))
