"""The same study on a model of another maker: nothing in the runner knows the embedded one."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from tiny_processors import loaded

from vsc_eval.studies.run import run_study
from vsc_eval.studies.spec import StudySpec


def test_a_study_of_another_family(spec: StudySpec, tmp_path: Path, console: Console) -> None:
    made = loaded("llava")
    folder = tmp_path / "llava"
    made.model.save_pretrained(folder)  # type: ignore[operator]
    made.processor.save_pretrained(folder)
    changed = spec.model_copy(
        update={"model": str(folder), "sweep": spec.sweep.model_copy(update={"items_per_cell": 4})}
    )
    results = run_study(changed, tmp_path / "out", console=console, until="conclude")
    assert results is not None
    assert results.probing.n_layers > results.layer
    assert len(results.pairs) == 4
    assert all(row.n_changed == 0 for row in results.floor if row.name.endswith("scale=1"))
    moved = [row for row in results.rows if row.drift is not None and row.scope == "all"]
    assert any(row.mean_kl_vocab and row.mean_kl_vocab > 0 for row in moved)
