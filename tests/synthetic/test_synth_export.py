"""Parquet export and example pictures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from vsc_eval.errors import BackendError, SpecError
from vsc_eval.synthetic import Item, find_item
from vsc_eval.synthetic.export import export_benchmark
from vsc_eval.synthetic.show import write_examples


def test_export_loads_back_as_images(tmp_path: Path) -> None:
    import datasets

    paths = export_benchmark(tmp_path / "out", sizes={"test": 4, "select": 4})
    assert len(paths) == 42
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert set(loaded) == {"test", "select"}
    assert len(loaded["test"]) == 84
    for row in (loaded["test"][0], loaded["select"][83]):
        item = find_item(row["id"])
        assert (row["prompt"], row["answer"], row["gold"]) == (item.prompt, item.answer, item.gold)
        assert row["image"].tobytes() == item.image().tobytes()
        assert row["pixel_hash"] == item.pixel_hash
        fields = {k: json.loads(row[k]) for k in ("scene", "program", "intermediate", "difficulty")}
        again = Item.model_validate({k: v for k, v in row.items() if k in Item.model_fields} | fields)
        assert again == item


def test_export_refuses_bad_sizes_and_folders(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="dev"):
        export_benchmark(tmp_path, sizes={"dev": 4})
    with pytest.raises(SpecError, match="multiple of 4"):
        export_benchmark(tmp_path, sizes={"test": 6})
    (tmp_path / "file").write_text("")
    with pytest.raises(BackendError, match="cannot be written"):
        export_benchmark(tmp_path / "file" / "out", sizes={"test": 4})


def test_examples_are_cards_and_a_sheet(tmp_path: Path) -> None:
    *cards, sheet = write_examples("logic", "hard", 3, tmp_path / "pictures")
    assert [path.name for path in cards] == [f"test_logic_hard_00000_{letter}.png" for letter in "ABC"]
    with Image.open(cards[0]) as card, Image.open(sheet) as whole:
        assert card.size == (820, 448)
        assert whole.size == (2 * 828, 2 * 456)


def test_examples_refuse_bad_input(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="at least one"):
        write_examples("logic", "hard", 0, tmp_path)
    with pytest.raises(SpecError, match="Unknown task"):
        write_examples("chess", "hard", 4, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(BackendError, match="cannot be written"):
        write_examples("logic", "hard", 4, tmp_path / "file" / "out")


def test_importing_the_benchmark_stays_light() -> None:
    code = (
        "import sys, vsc_eval.synthetic, vsc_eval.synthetic.show, vsc_eval.synthetic.oracle\n"
        "print([m for m in ('torch', 'transformers', 'datasets', 'lm_eval', 'scipy', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
