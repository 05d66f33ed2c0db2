"""What a figure may depend on beside the spec: versions and machine, in words."""

import os
import platform
from importlib import metadata
from typing import Any

from vsc_eval import __version__

PACKAGES = ("torch", "torchvision", "transformers", "lm_eval", "datasets", "numpy", "scipy", "pillow", "safetensors")


def package_versions() -> dict[str, str | None]:
    """Versions of this package, Python and what the figures rest on; None where a package is not installed."""
    versions: dict[str, str | None] = {"vsc-eval": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int | None:
    """Physical memory, or the container's limit where that is smaller; None where the system does not say."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
    for limit_file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(limit_file, encoding="ascii") as file:
                total = min(total, int(file.read()))
        except (OSError, ValueError):
            continue
    return total


def cuda_words() -> str:
    """Names and memory of the CUDA devices; empty if there is none."""
    return ", ".join(f"{device.name} ({device.total_memory / 2**30:.0f} GiB)" for device in _cuda_devices())


def cuda_bytes() -> int:
    """Memory of the largest CUDA device; 0 without one."""
    return max((device.total_memory for device in _cuda_devices()), default=0)


def _cuda_devices() -> list[Any]:
    import torch

    return [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]


def machine_words() -> str:
    """One line: processor, cores, memory, accelerators."""
    import torch

    memory = memory_bytes()
    size = f"{memory / 2**30:.0f} GiB" if memory else "memory unknown"
    parts = [platform.machine(), f"{usable_cores()} cores", size, f"{torch.get_num_threads()} threads", cuda_words()]
    return ", ".join(filter(None, parts))
