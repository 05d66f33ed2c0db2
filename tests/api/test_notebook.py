"""The notebook runs from top to bottom, and its outputs are stored."""

from __future__ import annotations

import runpy
from pathlib import Path

import nbformat
import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs" / "notebooks"


@pytest.mark.filterwarnings("default")  # those of Jupyter's own packages
def test_the_quickstart_runs_and_is_stored() -> None:
    path = DOCS / "quickstart.ipynb"
    stored = nbformat.read(path, as_version=4)
    fresh = runpy.run_path(str(DOCS / "execute.py"))["execute"](path)
    for before, after in zip(stored.cells, fresh.cells, strict=True):
        if after.cell_type == "code":
            kinds = [sorted(output.get("data", {})) for output in after.outputs]
            assert [sorted(output.get("data", {})) for output in before.outputs] == kinds, after.source
            assert not [o.text for o in after.outputs if o.output_type == "stream" and o.name == "stderr"]
    images = [
        output for cell in stored.cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})
    ]
    assert len(images) >= 4
    text = path.read_text(encoding="utf-8")
    assert "/site-packages/" not in text
    assert "<progress" not in text  # the bar is gone in the end
