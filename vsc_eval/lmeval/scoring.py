"""`process_results` functions of the task files: one document and the model's answers -> a float for each metric.

lm-eval averages the floats and gives their standard error; that of `acc_delta` is therefore the paired one. An answer
is compared as it was parsed: drift is the share of documents whose parsed answer changed, `invalid` being a value of
its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vsc_eval.extract import INVALID, extract_choice

LogLikelihood = tuple[float, bool]


def option_letters(doc: object) -> tuple[str, ...]:
    """The letters that a document of the synthetic benchmark offers in its prompt, or of one with the same fields; none
    for any other document."""
    if not isinstance(doc, Mapping) or not {"id", "prompt", "options", "letters", "answer"} <= doc.keys():
        return ()
    letters, options = doc["letters"], doc["options"]
    if not (isinstance(letters, list) and isinstance(options, list) and all(isinstance(x, str) for x in letters)):
        return ()
    fits = len(letters) == len(options) == len(set(letters)) and doc["answer"] in letters
    return tuple(letters) if fits else ()


def parse_answer(doc: Mapping[str, Any], text: str) -> str:
    """The option letter that `text` gives for this document, or `invalid`."""
    return extract_choice(text, doc["options"], doc["letters"])


def score_text(doc: dict[str, Any], results: Sequence[str]) -> dict[str, float]:
    """One generated answer."""
    answer = parse_answer(doc, results[0])
    return {"acc": float(answer == doc["answer"]), "invalid": float(answer == INVALID)}


def score_text_pair(doc: dict[str, Any], results: Sequence[Sequence[str]]) -> dict[str, float]:
    """Two generated answers to one request: without and with the edit."""
    base, edited = (parse_answer(doc, text) for text in results[0])
    return {**_pair(doc, base, edited), "invalid": float(edited == INVALID)}


def score_choice_pair(doc: dict[str, Any], results: Sequence[Sequence[LogLikelihood]]) -> dict[str, float]:
    """For each option, its log-likelihood without and with the edit."""
    base, edited = (
        max(zip(doc["letters"], (option[arm][0] for option in results), strict=True), key=lambda pair: pair[1])[0]
        for arm in (0, 1)
    )
    return _pair(doc, base, edited)


def _pair(doc: dict[str, Any], base: str, edited: str) -> dict[str, float]:
    acc_base, acc = float(base == doc["answer"]), float(edited == doc["answer"])
    return {"acc": acc, "acc_base": acc_base, "acc_delta": acc - acc_base, "drift": float(edited != base)}
