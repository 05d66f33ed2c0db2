"""The only module that knows where the data folders live, in a checkout and in an installed wheel.

In a checkout `tasks/` and `interventions/` stand beside the package; the wheel carries them as
`vsc_eval/_data/...`, because an importable top-level folder named `tasks` would pollute site-packages.
"""

from pathlib import Path

from vsc_eval.errors import BackendError

_PACKAGE = Path(__file__).resolve().parent


def _data_dir(name: str) -> Path:
    for candidate in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise BackendError(
        f"The data folder '{name}' of vsc-eval is missing.",
        hint="Reinstall the package: `pip install --force-reinstall vsc-eval`.",
    )


def tasks_dir() -> Path:
    """Folder of lm-eval task files."""
    return _data_dir("tasks")


def interventions_dir() -> Path:
    """Folder of interventions, one folder a model."""
    return _data_dir("interventions")


def embedded_dir(model_name: str = "vsc-tiny") -> Path:
    """Folder of an embedded model (config, tokenizer, processor, weights), as `save_pretrained` writes it."""
    return _PACKAGE / "embedded" / model_name
