"""Parquet files that come from somebody else: bounded before they are unpacked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from vsc_eval.errors import DataError

_ROWS_A_BATCH = 1 << 17
_NEVER_NULL = ("item_id", "condition", "pass", "task", "cluster", "cluster_kind", "gold", "read", "answer", "right",
               "scoring", "prompt_hash", "image_hash", "role", "content_hash", "group_size")  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """What a file may have that comes from somebody else: a small one can unpack to all memory."""

    file_bytes: int = 64 << 20
    answers: int = 2_000_000
    items: int = 100_000
    """And conditions."""
    unpacked_bytes: int = 512 << 20


def read_bounded(path: Path, types: dict[str, pa.DataType], limits: Limits, most_rows: int) -> pa.Table:
    """The file, if it is within the limits and has exactly these columns, without gaps where none may be.

    Raises DataError otherwise, and what pyarrow raises of a file that is damaged.
    """
    if (size := path.stat().st_size) > limits.file_bytes:
        raise damaged(path, f"it has {size / 2**20:.0f} MiB; it may have {limits.file_bytes >> 20}")
    with pq.ParquetFile(path) as file:
        schema, about = file.schema_arrow, file.metadata
        if not schema.equals(pa.schema(list(types.items()))):
            odd = [f.name for f in schema if types.get(f.name) != f.type] + [n for n in types if n not in schema.names]
            raise damaged(path, f"its columns are not those of such a file: {', '.join(odd)[:200] or 'their order'}")
        groups = [about.row_group(place) for place in range(about.num_row_groups)]
        unpacked = sum(g.column(place).total_uncompressed_size for g in groups for place in range(g.num_columns))
        if about.num_rows > most_rows or unpacked > limits.unpacked_bytes:
            raise damaged(path, f"it would unpack to {about.num_rows:,} rows and {unpacked / 2**20:,.0f} MiB")
        batches, size, rows = [], 0, 0
        # What the file says of itself need not be true.
        for batch in file.iter_batches(_ROWS_A_BATCH):
            batch.validate(full=True)
            batches.append(batch)
            size, rows = size + batch.nbytes, rows + len(batch)
            if rows > most_rows or size > limits.unpacked_bytes:
                raise damaged(path, "it unpacks to more than it says")
    found = pa.Table.from_batches(batches, schema)
    if missing := [name for name in _NEVER_NULL if name in types and found[name].null_count]:
        raise damaged(path, f"its column '{missing[0]}' has gaps")
    return found


def damaged(path: Path, why: str) -> DataError:
    """An error that names the file of a run."""
    return DataError(f"{path} is damaged: {why}.", hint="Give the command of that run again; it is then written anew.")
