"""Make torchvision importable in the environment whose Python runs this, where its compiled operators do not load.

PyPI has one torchvision for x86 Linux, compiled for CUDA. Beside a CPU build of torch its operators cannot be loaded,
which it would go on without, but for two whose schemas its import asks for: "operator torchvision::nms does not exist",
and then nothing that imports transformers' models works. Transforms, all that processors need, are pure Python. So the
two schemas are declared in the installed copy. Where the operators load, nothing is touched.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

DECLARATION = """

# Added by vsc-eval's requirements/torchvision_compat.py: this build's operators do not load beside this torch.
if not _has_ops():
    _schemas = torch.library.Library("torchvision", "DEF")
    _schemas.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _schemas.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""


def imports() -> str:
    """Why torchvision cannot be imported; empty if it can."""
    done = subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True, text=True)
    return done.stderr if done.returncode else ""


def main() -> None:
    if "operator torchvision::nms does not exist" not in imports():
        return
    spec = importlib.util.find_spec("torchvision")
    assert spec is not None
    assert spec.origin is not None
    extension = Path(spec.origin).with_name("extension.py")
    extension.write_text(extension.read_text() + DECLARATION)
    if still := imports():
        sys.exit(f"torchvision cannot be imported, and declaring its operators did not help:\n{still}")
    print("torchvision: its compiled operators do not load beside this torch; declared, so that it can be imported")


if __name__ == "__main__":
    main()
