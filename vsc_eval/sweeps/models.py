"""The same run of several models, each in a folder of its own."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from vsc_eval.analysis.results import Results
from vsc_eval.analysis.run_tables import condition_table
from vsc_eval.errors import VscError
from vsc_eval.sweeps.folder import folder_name
from vsc_eval.sweeps.run_spec import RunSpec
from vsc_eval.sweeps.sweep import run_sweep
from vsc_eval.tables.table import Column, Table, TableRow, cell, table


def model_folders(models: Sequence[str], out: Path) -> dict[str, Path]:
    """Model -> its folder below `out`: the last part of its name, or the whole name where two end alike."""
    last = [folder_name(Path(model).name) for model in models]
    return {
        model: out / (name if last.count(name) == 1 else folder_name(model))
        for model, name in zip(models, last, strict=True)
    }


def run_models(
    spec: RunSpec, models: Sequence[str], out: Path, *, done: Callable[[Results, Path], None]
) -> tuple[dict[str, Results], dict[str, VscError]]:
    """Run `spec` with each of `models`; the results, and what made the others fail. `done` is called after each.

    A model that fails does not keep the others from running. Nothing is raised for what the user can fix.
    """
    results: dict[str, Results] = {}
    failed: dict[str, VscError] = {}
    for model, folder in model_folders(models, out).items():
        try:
            results[model] = run_sweep(spec.model_copy(update={"model": model}), folder).results
            done(results[model], folder)
        except VscError as error:
            failed[model] = error
        # The weights of one model must make room for those of the next.
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return results, failed


def summary(results: dict[str, Results]) -> Table:
    """The conditions of all models in one table."""
    tables = {model: condition_table(found) for model, found in results.items()}
    return table(
        "models",
        f"{len(tables)} models",
        (Column("model", "model"), *next(iter(tables.values())).columns),
        [TableRow((cell(model), *row.cells)) for model, of_model in tables.items() for row in of_model.rows],
        dict.fromkeys(note for of_model in tables.values() for note in of_model.notes),
    )
