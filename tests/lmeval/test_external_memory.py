"""A set of 10,000 pictures takes no more memory than its texts, from loading to the last request."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

N_ROWS = 10_000
WIDTH, HEIGHT = 160, 120
DECODED_BYTES = N_ROWS * WIDTH * HEIGHT * 3
BOUND_BYTES = 200 * 2**20
"""Beyond what is in memory after a set of 16 rows was used the same way: documents, requests and Arrow's buffers."""

PROGRAM = f"""
import io, json, sys
from pathlib import Path
import datasets
from PIL import Image
from vsc_eval.lmeval.documents import images, load_data, load_task
from vsc_eval.lmeval.task_files import compiled_files, write_task_files
from vsc_eval.taskfiles.schema import TaskFile
from lm_eval.tasks import TaskManager

def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) * 1024

def jpeg(i):
    file = io.BytesIO()
    Image.effect_noise(({WIDTH}, {HEIGHT}), 60 + i).convert("RGB").save(file, "JPEG", quality=60)
    return file.getvalue()

def write(n, folder):
    base = [jpeg(i) for i in range(16)]
    text = datasets.Value("string")
    columns = datasets.Features({{"image": datasets.Image(), "question": text, "answer": text}})
    def rows():
        for i in range(n):
            # What follows a JPEG's end is not read: n different files for 16 that are drawn.
            picture = base[i % 16] + i.to_bytes(4, "big")
            yield {{"image": {{"bytes": picture, "path": None}}, "question": f"What is {{i}}?", "answer": str(i)}}
    made = datasets.Dataset.from_generator(rows, features=columns, cache_dir=str(folder / "made"))
    made.to_parquet(str(folder / "test.parquet"))

def use(name, folder):
    # The highest memory in use, the rows loaded and the pictures decoded, from the file to the last request.
    file = TaskFile.model_validate({{"name": name, "dataset": {{"path": str(folder / "test.parquet")}},
        "kind": "number", "fields": {{"image": "image", "question": "question", "answer": "answer"}}}})
    data = load_data(file)
    peak = anonymous()
    write_task_files(folder / "compiled", compiled_files(file))
    manager = TaskManager(include_path=str(folder / "compiled"), include_defaults=False)
    task = manager.load([f"vsc_{{name}}"])["tasks"][f"vsc_{{name}}"]
    task.build_all_requests(limit=None, rank=0, world_size=1)
    peak = max(peak, anonymous())
    n = 0
    for request in task.instances:
        n += len(request.args[2]["visual"][0].tobytes()) // ({WIDTH} * {HEIGHT} * 3)
        if n % 250 == 0:
            peak = max(peak, anonymous())
    return peak, len(data.documents), n

folder = Path(sys.argv[1])
write(16, folder / "small")
write({N_ROWS}, folder / "large")
# The small set first: which modules its use imports, and their size, depends on what else is installed.
use("small", folder / "small")
before = anonymous()
peak, n_rows, n = use("large", folder / "large")
print(json.dumps({{"n": n, "rows": n_rows, "before": before, "peak": peak}}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_ten_thousand_rows_in_bounded_memory(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "HF_HOME": str(tmp_path / "hf"),
        "TQDM_DISABLE": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        # Arrow's own pools keep freed pages, 100 to 200 MiB of them, differently from one run to the next.
        "ARROW_DEFAULT_MEMORY_POOL": "system",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], env=environment, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["n"] == found["rows"] == N_ROWS
    grown = found["peak"] - found["before"]
    print(f"{N_ROWS} rows of {WIDTH} x {HEIGHT} px: {grown / 2**20:.0f} MiB; decoded {DECODED_BYTES / 2**20:.0f} MiB")
    assert grown < BOUND_BYTES < DECODED_BYTES
