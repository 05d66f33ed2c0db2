"""Make torchvision importable where its compiled operators cannot be loaded.

Qwen-VL processors need torchvision's pure-Python transforms, also for still images. Beside a CPU build of torch, pip
installs a torchvision whose compiled operators are built for CUDA; importing it then dies with "operator
torchvision::nms does not exist". Declaring the schemas of the two operators that its import asks for is enough for the
transforms. Where the compiled operators load, nothing is touched.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import torch

from vsc_eval.audio_mend import mend_audio

# A Library that is garbage-collected takes its schemas along, so it is kept for the life of the process.
_declared: list[torch.library.Library] = []


def _compiled_operators_load() -> bool:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return True  # not installed: nothing to hint, transformers says so itself
    libraries = sorted(Path(spec.origin).parent.glob("_C*.so")) + sorted(Path(spec.origin).parent.glob("_C*.pyd"))
    if not libraries:
        return False
    try:
        torch.ops.load_library(str(libraries[0]))  # type: ignore[no-untyped-call]
    except OSError:
        return False
    return True


def mend_torchvision() -> bool:
    """Declare the missing operator schemas if they are missing; True if this process runs fixed. Call it before any
    import of torchvision or of a transformers model class, which also needs broken audio packages out of its way."""
    mend_audio()
    if _declared:
        return True
    if "torchvision" in sys.modules or _compiled_operators_load():
        return False
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    _declared.append(library)
    return True
