"""The extractor on answers as models write them. Each case stands in corpus.yaml with what must be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from vsc_eval.extract import INVALID, KINDS, extract

GROUPS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "corpus.yaml").read_text(encoding="utf-8"))
CASES = [(group, text, expected) for group in GROUPS for text, expected in group["cases"]]


def read(group: dict[str, Any], text: str) -> str:
    return extract(text, kind=group["kind"], options=group.get("options", ()), letters=group.get("letters", ()))


@pytest.mark.parametrize(("group", "text", "expected"), CASES, ids=[f"{g['name']}: {t!a}" for g, t, _ in CASES])
def test_awkward_answers(group: dict[str, Any], text: str, expected: str) -> None:
    assert read(group, text) == expected


def test_the_corpus_covers_every_kind() -> None:
    assert len(CASES) >= 200
    assert {group["kind"] for group in GROUPS} == set(KINDS)
    for kind in KINDS:
        expected = [e for group, _, e in CASES if group["kind"] == kind]
        assert expected.count(INVALID) >= 9, f"{kind} has too few answers that must not be read"
        assert len(set(expected)) >= 3
    assert all(isinstance(text, str) and isinstance(expected, str) for _, text, expected in CASES)


@pytest.mark.parametrize("group", GROUPS, ids=[group["name"] for group in GROUPS])
def test_no_case_stands_twice(group: dict[str, Any]) -> None:
    texts = [text for text, _ in group["cases"]]
    assert len(texts) == len(set(texts))


@pytest.mark.parametrize("frame", ["{}", "{}\n", "The answer is {}", "Answer: {}", "<answer>{}</answer>"])
@pytest.mark.parametrize("group", GROUPS, ids=[group["name"] for group in GROUPS])
def test_a_canonical_answer_is_read_again(group: dict[str, Any], frame: str) -> None:
    for expected in sorted({expected for _, expected in group["cases"]}):
        assert read(group, frame.format(expected)) == expected
