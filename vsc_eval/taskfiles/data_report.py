"""What became of the rows of an external data set on their way to questions."""

from __future__ import annotations

from vsc_eval.records import Record

_SHOWN = 5


class LeftOut(Record):
    """A row that cannot be asked."""

    id: str
    reason: str


class DataReport(Record):
    """One task's rows. `n_rows` = `n_filtered_out` + `n_beyond_limit` + undecodable + incomplete + `n_items`."""

    task: str
    source: str
    """Path or hub id, with configuration, split and revision."""
    n_rows: int
    n_items: int
    n_filtered_out: int
    n_beyond_limit: int
    undecodable: tuple[LeftOut, ...] = ()
    """Rows whose picture cannot be decoded; they are not asked."""
    incomplete: tuple[LeftOut, ...] = ()
    """Rows of groups of which a row is missing."""

    def notes(self) -> list[str]:
        """Sentences about what was left out, for people."""
        found = []
        if self.undecodable:
            shown = "; ".join(f"{row.id}: {row.reason}" for row in self.undecodable[:_SHOWN])
            more = f"; and {len(self.undecodable) - _SHOWN} more" if len(self.undecodable) > _SHOWN else ""
            found.append(
                f"{self.task}: {len(self.undecodable)} of {self.n_rows} rows have a picture that cannot be decoded and"
                f" were not asked ({shown}{more})."
            )
        if self.incomplete:
            groups = len({row.reason for row in self.incomplete})
            found.append(
                f"{self.task}: {len(self.incomplete)} rows of {groups} incomplete groups were not asked"
                f" ({', '.join(row.id for row in self.incomplete[:_SHOWN])}"
                f"{', ...' if len(self.incomplete) > _SHOWN else ''})."
            )
        return found
