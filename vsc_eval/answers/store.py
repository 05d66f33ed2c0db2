"""The answer store: one SQLite file per run directory, keyed by what was asked of which model.

A row is written once and never changed, a batch is one transaction, and every row carries a checksum. So a run that is
killed at any moment loses at most the batch it was computing, and a damaged row is an error instead of a wrong figure.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from vsc_eval.errors import BackendError, DataError
from vsc_eval.files import short_hash
from vsc_eval.records import SCHEMA_VERSION, Reading

_APPLICATION_ID = 0x56534345  # "VSCE": tells our file from any other SQLite file
_KEYS_PER_QUERY = 500  # SQLite's oldest limit on bound variables is 999
_SCHEMA = "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, reading TEXT NOT NULL, checksum TEXT NOT NULL)"


def answer_key(
    *, model_fingerprint: str, condition_hash: str, prompt_hash: str, image_hash: str, settings_hash: str
) -> str:
    """The sha256 (64 hex digits) of all that an answer depends on; the record's schema version is part of it."""
    parts = [str(SCHEMA_VERSION), model_fingerprint, condition_hash, prompt_hash, image_hash, settings_hash]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class AnswerStore(AbstractContextManager["AnswerStore"]):
    """Readings by answer key. `path` is a file or ":memory:"; the file is made if absent, its folder must exist.

    Raises DataError for a file that is damaged or is no answer store, BackendError for one that cannot be opened or
    written.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = str(path)
        with self._errors(), ExitStack() as on_failure:
            self._db = sqlite3.connect(self.path, timeout=30.0, isolation_level="IMMEDIATE")
            on_failure.callback(self._db.close)
            (application_id,) = self._db.execute("PRAGMA application_id").fetchone()
            (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if application_id != _APPLICATION_ID and (application_id or tables):
                raise DataError(
                    f"{self.path} is an SQLite file of another program.", hint="Choose another run folder with --out."
                )
            self._db.execute("PRAGMA journal_mode=WAL")
            # NORMAL keeps every commit through the death of the process; only a power cut can lose the last ones.
            self._db.execute("PRAGMA synchronous=NORMAL")
            # In this order: a file with a table and not our id would be refused the next time.
            self._db.execute(f"PRAGMA application_id={_APPLICATION_ID}")
            self._db.execute(_SCHEMA)
            on_failure.pop_all()

    def get_many(self, keys: Iterable[str]) -> dict[str, Reading]:
        """The stored readings of `keys`; keys that are not stored are left out. Raises DataError for a damaged row."""
        wanted = list(dict.fromkeys(keys))
        found: dict[str, Reading] = {}
        with self._errors():
            for start in range(0, len(wanted), _KEYS_PER_QUERY):
                part = wanted[start : start + _KEYS_PER_QUERY]
                marks = ",".join("?" * len(part))
                query = f"SELECT key, reading, checksum FROM answers WHERE key IN ({marks})"
                for key, payload, checksum in self._db.execute(query, part):
                    found[key] = self._decode(key, payload, checksum)
        return found

    def put_many(self, readings: Mapping[str, Reading]) -> None:
        """Write one batch in one transaction. A key that is stored already keeps its first reading."""
        # json and not pydantic's own JSON: the latter turns -inf (a legal log-probability) into null.
        payloads = {key: json.dumps(r.model_dump(mode="python"), separators=(",", ":")) for key, r in readings.items()}
        rows = [(key, payload, _checksum(key, payload)) for key, payload in payloads.items()]
        with self._errors(), self._db:
            self._db.executemany("INSERT INTO answers VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING", rows)

    def __len__(self) -> int:
        with self._errors():
            (count,) = self._db.execute("SELECT count(*) FROM answers").fetchone()
        return int(count)

    def close(self) -> None:
        """Close the file; the store cannot be used afterwards."""
        self._db.close()

    def __exit__(self, *error: object) -> None:
        self.close()

    def _decode(self, key: str, payload: object, checksum: object) -> Reading:
        if isinstance(payload, str) and _checksum(key, payload) == checksum:
            try:
                return Reading.model_validate(json.loads(payload))
            except ValueError:
                pass
        raise DataError(
            f"Answer {key[:12]} in {self.path} is damaged.",
            hint="Delete that file and run again; its answers are then computed afresh.",
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn SQLite's errors into ours."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise BackendError(
                    f"{self.path} is in use by another process.", hint="Wait for it to end, or choose another --out."
                ) from error
            raise BackendError(
                f"The answer store {self.path} cannot be used: {error}.",
                hint="Check that the folder exists and is writable and that the disk has space, then run again.",
            ) from error
        except sqlite3.DatabaseError as error:
            raise DataError(
                f"The answer store {self.path} is damaged: {error}.",
                hint="Delete that file and run again; its answers are then computed afresh.",
            ) from error


def _checksum(key: str, payload: str) -> str:
    return short_hash(f"{key}\n{payload}")
