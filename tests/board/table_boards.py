"""A small board that has every table, with every kind of cell."""

from __future__ import annotations

from pathlib import Path

from hostile_entries import hostile_entry
from samples import sample_entry, with_headlines, with_results, with_settings

from vsc_eval.analysis.controls import ControlTest
from vsc_eval.board.board import Board
from vsc_eval.board.records import Entry
from vsc_eval.board.spec import BoardSpec, spec_of

_VERDICTS = ("interference", "none", "not enough evidence")


def judged(entry: Entry) -> Entry:
    """A study with verdicts on its unions, controls of their interaction, and a condition that is no headline."""
    unions = tuple(
        union.model_copy(
            update={
                "p_drift_adjusted": 0.00002 * 10**place,
                "p_accuracy_adjusted": 0.25,
                "verdict": _VERDICTS[place % 3],
                "decided_by": "drift interaction +3.6 points",
            }
        )
        for place, union in enumerate(entry.results.interactions)
    )
    controls = (*(c for c in entry.results.controls if c.effect != "interaction"), *_interaction_controls())
    found = with_results(with_settings(entry, verdict={"correction": "holm"}), interactions=unions, controls=controls)
    return with_headlines(found, *(condition.name for condition in entry.edits if condition.name != "logic"))


def _interaction_controls() -> tuple[ControlTest, ...]:
    def one(kind: str, outcome: str, percentile: float, p: float) -> ControlTest:
        return ControlTest(
            kind=kind,
            outcome=outcome,
            effect="interaction",
            sets=("counting", "logic"),
            value=-0.05,
            draws=(0.0,) * 20,
            percentile=percentile,
            p=p,
            p_family=None,
            reason=None,
        )

    return (
        one("random_sets", "drift", 97.5, 0.05),
        one("random_directions", "drift", 60.0, 0.43),
        one("permuted_labels", "drift", 55.0, 0.43),
        one("random_sets", "accuracy", 100.0, 1 / 21),
    )


def board_of(*entries: Entry, title: str = "Sample board") -> Board:
    """A board of these entries, which were asked the same synthetic items; their external tasks are all of its."""
    specs = [
        spec_of(e.table.items, name=e.about.board, title=title, scoring=e.scoring, generator_version="1")
        for e in entries
    ]
    spec = BoardSpec(
        name=specs[0].name,
        title=title,
        scoring=specs[0].scoring,
        generator_version="1",
        tasks={task: asked for each in specs for task, asked in each.tasks.items()},
    )
    return Board(path=Path("board"), spec=spec, entries=tuple(sorted(entries, key=lambda entry: entry.id)))


def golden_board() -> Board:
    """A run, a study, a baseline alone under an awkward name, and a run with an external data set."""
    return board_of(
        sample_entry("model-a"),
        judged(sample_entry("model-b", source="study")),
        sample_entry("org/model_c | 70% & more", conditions=()),
        hostile_entry("made-up"),
    )
