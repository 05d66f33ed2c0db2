"""Write the benchmark as parquet with `datasets.Image`, for people who want the data elsewhere.

`OUT/{split}/{task}-{level}.parquet`, and a README.md whose header lets `datasets.load_dataset(OUT, split="test")` find
all of them. This is the only module of the benchmark that imports `datasets`.
"""

import io
import json
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import datasets

from vsc_eval.errors import SpecError
from vsc_eval.files import replacing
from vsc_eval.synthetic.items import DEFAULT_SIZES, GENERATOR_VERSION, Item, Paraphrase, make_items
from vsc_eval.synthetic.tasks.base import LEVELS, SPLITS, TASKS

_TEXT = datasets.Value("string")
_COLUMNS = (
    *("id", "orbit_id", "task", "level", "split", "image", "prompt", "question", "options", "gold", "answer"),
    *("foil_kinds", "template_id", "paraphrase", "scene", "program", "intermediate", "difficulty"),
    *("generator_version", "pixel_hash"),
)
_NO_TEXT = {
    "image": datasets.Image(),
    "options": datasets.List(_TEXT),
    "gold": datasets.Value("int8"),
    "foil_kinds": datasets.List(_TEXT),
}
_JSON = ("scene", "program", "intermediate", "difficulty")
FEATURES = datasets.Features({name: _NO_TEXT.get(name, _TEXT) for name in _COLUMNS})


def to_row(item: Item) -> dict[str, Any]:
    """One row of the export; the image is PNG bytes; scene, program, intermediate and difficulty are JSON text."""
    picture = io.BytesIO()
    item.image().save(picture, format="PNG")
    row: dict[str, Any] = item.model_dump(mode="json")
    return {
        **row,
        **{key: json.dumps(row[key], separators=(",", ":")) for key in _JSON},
        "image": {"bytes": picture.getvalue(), "path": f"{item.id.replace('/', '_')}.png"},
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
    for (split, n), task, level in product(sizes.items(), TASKS, LEVELS):
        rows = [to_row(item) for item in make_items(split, task, level, n, paraphrase=paraphrase)]
        paths.append(out_dir / split / f"{task}-{level}.parquet")
        with replacing(paths[-1]) as partial:
            datasets.Dataset.from_list(rows, features=FEATURES).to_parquet(partial)
    with replacing(out_dir / "README.md") as partial:
        partial.write_text(_card(list(sizes)), encoding="utf-8")
    return paths
