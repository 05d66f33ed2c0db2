"""The reader of YAML files: broken and hostile text ends in an error with its line; what is written is read back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vsc_eval.errors import SpecError
from vsc_eval.yaml_files import MAX_BYTES, MAX_DEPTH, read_yaml, read_yaml_value, yaml_text

BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: {c: 1, c: 2}", ":2: c: the key is there twice"),
        ("a: 1\nb: [1, 2", "no YAML"),
        ("a: 1\n\tb: 2", ":2: no YAML"),
        ("a: \x07", "no YAML: unacceptable character"),
        ("a: &x [*x]", ":1: an alias stands inside what it names"),
        ("a: !!python/object/apply:os.system [ls]", ":1: could not determine a constructor"),
        ("a: 1\n? [b]\n: 2", ":2: a key is no word"),
        ("a: 2024-02-31", "looks like a date"),
        ("a: " + "[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2), f"more than {MAX_DEPTH} deep"),
        ("a: " + "[" * 10_000, f"more than {MAX_DEPTH} deep"),
        (BOMB, ":7: the aliases stand for too many values"),
        ("a: 1\n---\nb: 2", ":2: no YAML"),
    ],
)
def test_what_is_no_plain_yaml(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        read_yaml(path)
    assert str(path) in caught.value.message
    assert message in caught.value.message
    assert caught.value.hint


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(SpecError, match="larger than"):
        read_yaml(path)


def test_places_are_lines_of_the_deepest_key_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text("# what\na: 1\nb:\n  - c: 2\n  -\n    d: 3\n", encoding="utf-8")
    file = read_yaml(path)
    assert file.value == {"a": 1, "b": [{"c": 2}, {"d": 3}]}
    places = [(), ("a",), ("b",), ("b", 0, "c"), ("b", 1), ("b", 1, "d"), ("b", 1, "absent"), ("absent",), ("b", 7)]
    assert [file.at(place) for place in places] == [f"{path}:{line}" for line in (2, 2, 3, 4, 6, 6, 6, 2, 3)]


def test_words_are_words_and_numbers_numbers() -> None:
    assert read_yaml_value("[no, on, 12:30, 1e-3, 010, ~]", "text") == ["no", "on", "12:30", 0.001, 10, None]
    assert read_yaml_value("", "text") is None


plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


@given(values)
def test_what_is_written_is_read_back(value: object) -> None:
    assert read_yaml_value(yaml_text(value), "text") == value
