"""Write the benchmark as parquet with `datasets.Image`, for people who want the data elsewhere.

`OUT/{split}/{task}-{level}.parquet`, and a README.md whose header lets `datasets.load_dataset(OUT, split="test")` find
all of them. This is the only module of the benchmark that imports `datasets`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets

from vsc_eval.errors import BackendError, SpecError
from vsc_eval.synthetic.items import DEFAULT_SIZES, GENERATOR_VERSION, Item, Paraphrase, make_items
from vsc_eval.synthetic.tasks.base import LEVELS, SPLITS, TASKS

FEATURES = datasets.Features(
    {
        "id": datasets.Value("string"),
        "orbit_id": datasets.Value("string"),
        "task": datasets.Value("string"),
        "level": datasets.Value("string"),
        "split": datasets.Value("string"),
        "image": datasets.Image(),
        "prompt": datasets.Value("string"),
        "question": datasets.Value("string"),
        "options": datasets.List(datasets.Value("string")),
        "gold": datasets.Value("int8"),
        "answer": datasets.Value("string"),
        "foil_kinds": datasets.List(datasets.Value("string")),
        "template_id": datasets.Value("string"),
        "paraphrase": datasets.Value("string"),
        "scene": datasets.Value("string"),
        "program": datasets.Value("string"),
        "intermediate": datasets.Value("string"),
        "difficulty": datasets.Value("string"),
        "generator_version": datasets.Value("string"),
        "pixel_hash": datasets.Value("string"),
    }
)
"""Columns of the export. scene, program, intermediate and difficulty are JSON text."""


def _png(item: Item) -> bytes:
    buffer = io.BytesIO()
    item.image().save(buffer, format="PNG")
    return buffer.getvalue()


def to_row(item: Item) -> dict[str, Any]:
    """One row of the export; the image is PNG bytes."""
    row: dict[str, Any] = item.model_dump(mode="json")
    for key in ("scene", "program", "intermediate", "difficulty"):
        row[key] = json.dumps(row[key], separators=(",", ":"))
    return {
        **row,
        "image": {"bytes": _png(item), "path": f"{item.id.replace('/', '_')}.png"},
        "prompt": item.prompt,
        "answer": item.answer,
        "pixel_hash": item.pixel_hash,
    }


def _card(splits: list[str]) -> str:
    files = "".join(f"  - split: {split}\n    path: {split}/*.parquet\n" for split in splits)
    return (
        f"---\nconfigs:\n- config_name: default\n  data_files:\n{files}---\n"
        f"# Synthetic visual question benchmark of vsc-eval, generator version {GENERATOR_VERSION}\n\n"
        "7 tasks x 3 levels, four options, chance 25%. Items come in orbits of four (`orbit_id`) with one prompt\n"
        "and four scenes, one for each right letter: cluster every uncertainty by orbit.\n"
    )


def export_benchmark(
    out_dir: Path, *, sizes: Mapping[str, int] = DEFAULT_SIZES, paraphrase: Paraphrase = "main"
) -> list[Path]:
    """Write all 21 cells of the splits in `sizes` (split -> items per cell); returns the parquet files.

    Raises SpecError for an unknown split or a size that is no multiple of 4, BackendError if the folder cannot be
    written.
    """
    unknown = sorted(set(sizes) - set(SPLITS))
    if unknown or not sizes:
        raise SpecError(f"Unknown splits: {', '.join(unknown) or 'none given'}.", hint=f"Use {', '.join(SPLITS)}.")
    paths = []
    try:
        for split, n in sizes.items():
            (out_dir / split).mkdir(parents=True, exist_ok=True)
            for task in TASKS:
                for level in LEVELS:
                    rows = [to_row(item) for item in make_items(split, task, level, n, paraphrase=paraphrase)]
                    path = out_dir / split / f"{task}-{level}.parquet"
                    datasets.Dataset.from_list(rows, features=FEATURES).to_parquet(path)
                    paths.append(path)
        (out_dir / "README.md").write_text(_card(list(sizes)), encoding="utf-8")
    except OSError as error:
        raise BackendError(
            f"Cannot write to {out_dir}: {error}.", hint="Choose a writable folder with space."
        ) from error
    return paths
