"""Pair two runs item by item, and refuse what is not comparable: by name, with a count, examples and the fix. What else
differs between them, and whether it is only how they were computed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any

import numpy as np

from vsc_eval.analysis.compare.records import Dropped, SettingDifference
from vsc_eval.answers.answer_table import AnswerTable, AskedItem
from vsc_eval.answers.finished_run import FinishedRun
from vsc_eval.errors import SpecError
from vsc_eval.extract import INVALID
from vsc_eval.specs import BASELINE

_SAME_DATA = "Run both with the same task files, the same data and the same version of vsc-eval."
_SAME_SETTINGS = "Run both with the same --scoring and --max-new-tokens."
_COMMON = "Give --common to compare the items of both only, or run both on the same items."
_EXAMPLES = 3


_NOT_SHOWN = frozenset({"conditions", "sweep_file"})
"""Conditions are paired by name and compared by content."""
_DEFAULTS = {"backend": "hf"}
"""Settings that a run of an earlier version does not have, with what it did."""
_ATTEMPT = ("device", "dtype", "engine_mode", "batch_size", "machine")
_HOW = (
    "backend",
    "device",
    "engine_mode",
    "batch_size",
    "attn_implementation",
    "machine",
    "seed",
    "intervention",
    "model",
)
"""Differences of these leave it the same model on the same items, as does how the path of the `model` was written."""
_MODEL = ("model", "revision", "min_pixels", "max_pixels", "dtype used")
_MOST_NAMED = 4

_CHECKS: tuple[tuple[str, Callable[[AskedItem], Any], str], ...] = (
    ("another prompt", attrgetter("prompt_hash"), _SAME_DATA),
    ("another picture", attrgetter("image_hash"), _SAME_DATA),
    ("another right answer", attrgetter("gold"), _SAME_DATA),
    ("another task, level or cluster", attrgetter("task", "level", "cluster", "cluster_kind"), _SAME_DATA),
    ("another scoring or other generation settings", attrgetter("scoring", "max_new_tokens", "stops"), _SAME_SETTINGS),
)


def pair_items(a: FinishedRun, b: FinishedRun, *, common: bool) -> tuple[AnswerTable, AnswerTable, Dropped | None]:
    """Tables of the items of both in A's order, with one vocabulary, and what was dropped for it. Raises SpecError,
    naming all reasons, if they do not compare."""
    only_a, only_b = ([name for name in x.places if name not in y.places] for x, y in ((a, b), (b, a)))
    places = np.array([(a.places[name], b.places[name]) for name in a.places if name in b.places], dtype=np.int32)
    shared = [(a.table.items[x], b.table.items[y]) for x, y in places.tolist()]
    if not shared:
        raise SpecError(
            f"{a.path} and {b.path} have no item in common: A has {_some(only_a)}, B has {_some(only_b)}.",
            hint="Run both on the same tasks, with the same version of vsc-eval.",
        )
    lone = [] if common else [("A", only_a), ("B", only_b)]
    problems = [(f"items of {name} only: {_some(ids)}", _COMMON) for name, ids in lone if ids]
    problems += _problems(a, b, shared)
    if problems:
        lines = "\n".join(f"  {text}" for text, _ in problems)
        raise SpecError(
            f"{a.path} (A) and {b.path} (B) cannot be compared:\n{lines}",
            hint=" ".join(dict.fromkeys(fix for _, fix in problems)),
        )
    examples = (*only_a[:_EXAMPLES], *only_b[:_EXAMPLES])
    dropped = Dropped(n_only_a=len(only_a), n_only_b=len(only_b), examples=examples) if examples else None
    words = sorted({*a.table.main.vocabulary, *b.table.main.vocabulary})
    return _recoded(a.table.only(places[:, 0]), words), _recoded(b.table.only(places[:, 1]), words), dropped


def _recoded(table: AnswerTable, words: Sequence[str]) -> AnswerTable:
    place = {word: code for code, word in enumerate(words)}
    codes = np.array([place[word] for word in table.main.vocabulary], dtype=np.int32)
    read, answer = codes[table.main.read], codes[table.main.answer]
    return replace(table, main=replace(table.main, vocabulary=tuple(words), read=read, answer=answer))


def _problems(a: FinishedRun, b: FinishedRun, shared: Sequence[tuple[AskedItem, AskedItem]]) -> list[tuple[str, str]]:
    """What is not the same of the items of both, and the fix."""
    found, n = [], len(shared)
    versions = a.hashes.get("generator_version"), b.hashes.get("generator_version")
    # Other data than the synthetic benchmark's does not depend on its generator.
    made = [x.item_id for x, _ in shared if x.cluster_kind == "orbit"]
    if None not in versions and versions[0] != versions[1] and made:
        text = f"another version of the generator ({versions[0]} in A, {versions[1]} in B): {_some(made, n)}"
        found.append((text, "Run both with the same version of vsc-eval."))
    for what, value, hint in _CHECKS:
        wrong = [(x, y) for x, y in shared if value(x) != value(y)]
        if wrong:
            x, y = wrong[0]
            example = f"; '{x.item_id}': {_said(value(x))} in A, {_said(value(y))} in B"
            found.append((f"{what}: {_some([x.item_id for x, _ in wrong], n)}{example}", hint))
    # A model whose tokenizer splits the letters has none of them for the `generate` scoring.
    others = [x.item_id for x, y in shared if x.options and y.options and x.options != y.options]
    invalid = [x.item_id for x, _ in shared if x.gold == INVALID]
    for what, ids in (("other option letters", others), (f"a right answer that is `{INVALID}`", invalid)):
        if ids:
            found.append((f"{what}: {_some(ids, n)}", _SAME_DATA))
    return found


def _some(ids: Sequence[str], of: int | None = None) -> str:
    """`12 of 84 (id, id, id, ...)`."""
    more = ", ..." if len(ids) > _EXAMPLES else ""
    return f"{len(ids)}{f' of {of}' if of is not None else ''} ({', '.join(ids[:_EXAMPLES])}{more})"


def _said(value: Any) -> str:
    if isinstance(value, tuple):
        return " / ".join("none" if part in (None, ()) else str(part) for part in value)
    return str(value)


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
    both = [(name, _content(a, name), _content(b, name)) for name in a.table.names if name in b.table.names]
    of_a |= {f"condition {name}": x for name, x, y in both if x and y}
    of_b |= {f"condition {name}": y for name, x, y in both if x and y}
    return tuple(
        SettingDifference(name=name, a=of_a.get(name), b=of_b.get(name))
        for name in {**of_a, **of_b}
        if of_a.get(name) != of_b.get(name)
    )


def _same_model(a: FinishedRun, b: FinishedRun) -> bool:
    """Whether both asked the same weights in the same precision with pictures of the same size."""
    own = a.hashes.get("model_fingerprint")
    if own is not None and own == b.hashes.get("model_fingerprint"):
        return True
    of_a, of_b = facts(a), facts(b)
    # Backends may name the same weights by different fingerprints; then the settings must tell.
    if of_a["backend"] == of_b["backend"]:
        return False
    return of_a.get("model") is not None and all(of_a.get(name) == of_b.get(name) for name in _MODEL)


def floors(
    a: FinishedRun, b: FinishedRun, pairs: Sequence[tuple[str, str]], differences: Sequence[SettingDifference]
) -> list[str | None]:
    """For each pair of conditions what changed answers are where both are the same model under the same condition; None
    elsewhere, and where run.yaml does not tell."""
    if a.path.resolve() == b.path.resolve() or not _same_model(a, b):
        return [None] * len(pairs)
    how = {row.name: row for row in differences if row.name in (*_HOW, "model") or row.name.startswith("version of ")}
    if "backend" in how:
        cause = f"another backend ({how['backend'].a} in A, {how['backend'].b} in B)"
    elif how:
        more = f" and {len(how) - _MOST_NAMED} more" if len(how) > _MOST_NAMED else ""
        cause = f"how it was computed ({', '.join([*how][:_MOST_NAMED])}{more} differ)"
    else:
        cause = "computing the same thing again"
    words = (
        f"Noise floor: A and B are the same model under the same condition, so answers that changed come from {cause}, "
        "not from an edit. Read the drift of an edit as what it has above this floor."
    )
    return [words if (own := _content(a, x)) is not None and own == _content(b, y) else None for x, y in pairs]


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
    """What a condition is, by the hash of its content; None where run.yaml does not tell."""
    if condition == BASELINE:
        return BASELINE
    hashes = run.hashes.get("conditions")
    found = hashes.get(condition) if isinstance(hashes, Mapping) else None
    return None if found is None else str(found)
