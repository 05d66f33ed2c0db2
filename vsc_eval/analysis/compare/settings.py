"""What differs between two runs beside the answers, and whether it is only how they were computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vsc_eval.analysis.compare.records import SettingDifference
from vsc_eval.analysis.compare.run_files import FinishedRun
from vsc_eval.specs import BASELINE

_NOT_SHOWN = frozenset({"conditions", "sweep_file"})
"""Conditions are paired by name and compared by content."""
_DEFAULTS = {"backend": "hf"}
"""Settings that a run of an earlier version does not have, with what it did."""
_ATTEMPT = ("device", "dtype", "engine_mode", "batch_size", "machine")
_HOW = frozenset(
    {
        "backend",
        "device",
        "engine_mode",
        "batch_size",
        "attn_implementation",
        "machine",
        "seed",
        "intervention",
        "model",
    }
)
"""Differences of these leave it the same model on the same items; `model` is how its path was written."""
_MODEL = ("model", "revision", "min_pixels", "max_pixels", "dtype used")
_MOST_NAMED = 4


def facts(run: FinishedRun) -> dict[str, str]:
    """Everything that run.yaml says of how the run was made, flat, as text."""
    found: dict[str, Any] = dict(_DEFAULTS)
    found |= {name: value for name, value in _flat(run.settings).items() if name.split(".")[0] not in _NOT_SHOWN}
    for name in ("model_fingerprint", "model_revision", "sae_fingerprint", "layer", "generator_version"):
        found[name] = run.hashes.get(name)
    for name in _ATTEMPT:
        # The setting may say `auto`; the attempt says what that was.
        key = f"{name} used" if name in ("dtype", "device") else name
        found[key] = _each_once(attempt.get(name) for attempt in run.attempts)
    versions = [attempt["versions"] for attempt in run.attempts if isinstance(attempt.get("versions"), Mapping)]
    for package in dict.fromkeys(name for entry in versions for name in entry):
        found[f"version of {package}"] = _each_once(entry.get(package) for entry in versions)
    return {name: str(value) for name, value in found.items() if value is not None}


def differing(a: FinishedRun, b: FinishedRun) -> tuple[SettingDifference, ...]:
    """The facts that are not the same, and the conditions of one name that are not the same edit."""
    of_a, of_b = facts(a), facts(b)
    rows = [
        SettingDifference(name=name, a=of_a.get(name), b=of_b.get(name))
        for name in {**of_a, **of_b}
        if of_a.get(name) != of_b.get(name)
    ]
    for name in a.table.names:
        if name in b.table.names and same_condition(a, name, b, name) is False:
            rows.append(SettingDifference(name=f"condition {name}", a=_content(a, name), b=_content(b, name)))
    return tuple(rows)


def same_condition(a: FinishedRun, condition_a: str, b: FinishedRun, condition_b: str) -> bool | None:
    """Whether two conditions are the same edit by content; None where run.yaml does not tell."""
    if BASELINE in (condition_a, condition_b):
        return condition_a == condition_b
    contents = _content(a, condition_a), _content(b, condition_b)
    return None if None in contents else contents[0] == contents[1]


def same_model(a: FinishedRun, b: FinishedRun) -> bool:
    """Whether both asked the same weights in the same precision with pictures of the same size."""
    prints = a.hashes.get("model_fingerprint"), b.hashes.get("model_fingerprint")
    if None not in prints and prints[0] == prints[1]:
        return True
    of_a, of_b = facts(a), facts(b)
    # Backends may name the same weights by different fingerprints; then the settings must tell.
    if of_a["backend"] == of_b["backend"]:
        return False
    return of_a.get("model") is not None and all(of_a.get(name) == of_b.get(name) for name in _MODEL)


def floor_words(
    a: FinishedRun, condition_a: str, b: FinishedRun, condition_b: str, differences: tuple[SettingDifference, ...]
) -> str | None:
    """Where both are the same model under the same condition: what changed answers then are. None elsewhere."""
    if a.path.resolve() == b.path.resolve():
        return None
    if not same_model(a, b) or same_condition(a, condition_a, b, condition_b) is not True:
        return None
    how = [row.name for row in differences if row.name in _HOW or row.name.startswith("version of ")]
    if "backend" in how:
        cause = f"another backend ({facts(a)['backend']} in A, {facts(b)['backend']} in B)"
    elif how:
        more = f" and {len(how) - _MOST_NAMED} more" if len(how) > _MOST_NAMED else ""
        cause = f"how it was computed ({', '.join(how[:_MOST_NAMED])}{more} differ)"
    else:
        cause = "computing the same thing again"
    return (
        f"Noise floor: A and B are the same model under the same condition, so answers that changed come from {cause}, "
        "not from an edit. Read the drift of an edit as what it has above this floor."
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= _flat(value, f"{name}.")
        else:
            found[name] = ", ".join(map(str, value)) if isinstance(value, list) else value
    return found


def _each_once(values: Any) -> str | None:
    """Values of several attempts in their order, each once; None if there are none."""
    found = dict.fromkeys(str(value) for value in values if value is not None)
    return ", then ".join(found) or None


def _content(run: FinishedRun, condition: str) -> str | None:
    hashes = run.hashes.get("conditions")
    found = hashes.get(condition) if isinstance(hashes, Mapping) else None
    return None if found is None else str(found)
