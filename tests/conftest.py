"""Settings of the whole test run: no hub, one thread a process, repeatable property tests."""

from __future__ import annotations

import os

# Before anything imports torch, transformers or datasets: they read these once.
os.environ.update(
    HF_HUB_OFFLINE="1",
    HF_DATASETS_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    TOKENIZERS_PARALLELISM="false",
    OMP_NUM_THREADS=os.environ.get("OMP_NUM_THREADS", "1"),
)

from hypothesis import settings

# No deadline, since a busy machine is not a bug; derandomised, since a red run must be red again.
settings.register_profile("vsc", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("vsc")
