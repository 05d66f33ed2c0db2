"""What `vsc-eval bench engine` times: enough different edits, on items of every cell."""

from __future__ import annotations

from collections import Counter

import pytest

from vsc_eval.bench_cli import bench_conditions, bench_items
from vsc_eval.cli import main as cli
from vsc_eval.errors import SpecError
from vsc_eval.specs import EditSpec, FeatureSet, InterventionSpec

INTERVENTION = InterventionSpec(
    model="m",
    layer=1,
    sae="sae",
    default_edit=EditSpec(kind="scale", value=2),
    sets=tuple(FeatureSet(name=name, indices=(i,)) for i, name in enumerate(("a", "b", "c"))),
)


@pytest.mark.parametrize("n_edits", [1, 3, 6, 19, 40])
def test_edits_are_all_different(n_edits: int) -> None:
    specs = bench_conditions(INTERVENTION, n_edits)
    assert len(specs) == n_edits
    assert len({(spec.sets, spec.edit) for spec in specs}) == n_edits
    assert not any(spec.is_baseline for spec in specs)


def test_items_come_from_every_cell() -> None:
    cells = Counter((item.task, item.level) for item in bench_items(4))
    assert len(cells) == 21
    assert set(cells.values()) == {4}
    with pytest.raises(SpecError, match="multiple of 4"):
        bench_items(3)


def test_one_condition_is_nothing_to_share(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "engine", "--conditions", "1"]) == 2
    assert "at least 2" in capsys.readouterr().err
