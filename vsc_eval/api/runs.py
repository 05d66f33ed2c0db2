"""Start a run, or read one from disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from vsc_eval.answers.finished_run import RUN_FILES, read_run
from vsc_eval.api.arguments import spec_of, takes
from vsc_eval.api.conditions import Given, expression, one_intervention
from vsc_eval.api.intervention import Intervention, load_intervention
from vsc_eval.api.model import Model
from vsc_eval.api.run_object import Run, Study
from vsc_eval.errors import SpecError
from vsc_eval.settings import StatisticsSpec
from vsc_eval.specs import BASELINE, split_names
from vsc_eval.studies.analysis import statistics_of
from vsc_eval.studies.records import read_results
from vsc_eval.sweeps.run_spec import RunSpec
from vsc_eval.sweeps.sweep import run_sweep

_OF_EACH_RUN = ("batch_size", "engine_mode", "memory_gb")
"""Settings of a model that a run may have another value of."""


@takes(RunSpec)
def run(
    model: Model | str | Path = "vsc-tiny",
    *,
    tasks: str | Sequence[str] = "vsc",
    conditions: Given | Iterable[Given] = (BASELINE,),
    intervention: Intervention | str | Path | None = None,
    out: str | Path | None = None,
    **settings: Any,
) -> Run:
    """Ask a model the items of some tasks under many conditions, as `vsc-eval run` does.

    model: one that is loaded, or what `load_model` takes. tasks: names, as a list or with commas between them.
    conditions: edits of feature sets, sets (their default edit) and expressions, in any mixture; the baseline is always
    asked. intervention: where the sets of expressions are from; by default that of the objects, or the one named like
    the model. out: a folder keeps the run and resumes it; None keeps it in memory. settings: those of the command line,
    with its defaults; see RunSpec.

    Raises SpecError for an unknown name, setting or condition, DataError for data or a model that are damaged,
    BackendError for what the model or the machine cannot do.

    >>> import vsc_eval as vsc
    >>> run = vsc.run("vsc-tiny", tasks="vsc_counting_easy", n=4, conditions=["counting:ablate"])
    >>> run.summary()[["condition", "alpha", "n", "accuracy"]].to_dict("records")
    [{'condition': 'baseline', 'alpha': nan, 'n': 4, 'accuracy': 0.75}, \
{'condition': 'counting:ablate', 'alpha': 0.0, 'n': 4, 'accuracy': 0.75}]
    """
    given = [conditions] if isinstance(conditions, Given) else list(conditions)
    named = load_intervention(intervention) if isinstance(intervention, str | Path) else intervention
    own = one_intervention(given, named)
    values: dict[str, Any] = {
        **_model_settings(model, settings),
        **settings,
        "tasks": split_names(tasks) if isinstance(tasks, str) else tasks,
        "conditions": [name for each in given for name in split_names(expression(each))],
        "intervention": own.name if own else None,
    }
    spec = spec_of(RunSpec, values, "run")
    if isinstance(model, Model):
        model.release()
    console = Console(stderr=True)
    # What it says besides its progress would stay behind in the notebook.
    console.quiet = console.is_jupyter
    folder = None if out is None else Path(out)
    finished = run_sweep(
        spec,
        folder,
        console=console,
        vlm=model.vlm if isinstance(model, Model) else None,
        intervention=own.loaded if own else None,
    )
    return Run(finished.table, name=spec.model, statistics=spec.statistics, folder=folder)


def read(folder: str | Path) -> Run:
    """The finished run or study (a Study) in a folder.

    Raises SpecError if it holds none or one that is not finished, DataError if a file is damaged.
    """
    found = read_run(Path(folder))
    if not (found.path / RUN_FILES[0]).is_file():
        results = read_results(found.path)
        return Study(found.table, results, statistics_of(results.spec), found.path)
    settings = found.settings
    statistics = StatisticsSpec(**{k: v for k, v in settings.items() if k in StatisticsSpec.model_fields})
    return Run(found.table, name=str(settings.get("model", found.path.name)), statistics=statistics, folder=found.path)


def _model_settings(model: Model | str | Path, settings: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(model, Model):
        return {"model": str(model)}
    own = dict(model.spec)
    changed = [name for name in own if name in settings and name not in _OF_EACH_RUN]
    if changed:
        raise SpecError(
            f"run: '{changed[0]}' is a setting of the model, and '{model.name}' is loaded already.",
            hint=f"Give it to load_model: load_model('{model.name}', {changed[0]}=...).",
        )
    return own
