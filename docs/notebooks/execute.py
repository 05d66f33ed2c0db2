"""Run the notebooks of this folder and store their outputs: `python docs/notebooks/execute.py [NAME ...]`."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
TIMEOUT_S = 300


def execute(path: Path) -> nbformat.NotebookNode:
    """The notebook with fresh outputs. Raises nbclient's CellExecutionError for the first cell that fails."""
    notebook = nbformat.read(path, as_version=4)
    # Times, and into how many pieces printed text comes, would change with every run.
    client = NotebookClient(
        notebook, timeout=TIMEOUT_S, kernel_name="python3", record_timing=False, coalesce_streams=True
    )
    client.execute(cwd=str(path.parent))
    # Which Python ran it is nothing that a reader needs, and differs from machine to machine.
    notebook.metadata.pop("language_info", None)
    return notebook


def main(names: list[str]) -> None:
    for path in [HERE / name for name in names] or sorted(HERE.glob("*.ipynb")):
        nbformat.write(execute(path), path)
        print(path.name)


if __name__ == "__main__":
    main(sys.argv[1:])
