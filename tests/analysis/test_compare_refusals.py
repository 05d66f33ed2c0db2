"""What does not compare is refused by name, with a count, examples and the fix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from vsc_eval.analysis.compare.compare import compare_runs
from vsc_eval.analysis.compare.records import Comparison
from vsc_eval.answers.answer_table import AnswerTable, AskedItem
from vsc_eval.answers.finished_run import read_run
from vsc_eval.answers.parquet import write_table
from vsc_eval.errors import DataError, SpecError

Tables = Callable[..., AnswerTable]
Change = Callable[[AskedItem], AskedItem]
MakeRun = Callable[..., Path]


def compare(a: Path, b: Path, **options: Any) -> Comparison:
    return compare_runs(read_run(a), read_run(b), **options)


def changed(table: AnswerTable, change: Change, n: int = 80) -> AnswerTable:
    """The table with its first `n` items changed."""
    return replace(table, items=(*map(change, table.items[:n]), *table.items[n:]))


def refusal(make_run: MakeRun, table_with: Tables, change: Change, **options: Any) -> SpecError:
    """The error for a run B of which the first five items are changed."""
    b = make_run("b", table=changed(table_with(1), change, 5))
    with pytest.raises(SpecError) as caught:
        compare(make_run("a"), b, **options)
    return caught.value


FIRST_THREE = "(counting/easy/0/A, counting/easy/0/B, counting/easy/0/C, ...)"
DATA, SETTINGS = "same task files, the same data", "--scoring and --max-new-tokens"


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        (lambda item: replace(item, prompt_hash="x"), "another prompt: 5 of 80 " + FIRST_THREE, DATA),
        (lambda item: replace(item, image_hash="x"), "another picture: 5 of 80 " + FIRST_THREE, DATA),
        (lambda item: replace(item, gold="E"), "another right answer: 5 of 80 " + FIRST_THREE, DATA),
        (lambda item: replace(item, cluster="x"), "another task, level or cluster: 5 of 80", DATA),
        (lambda item: replace(item, level=None), "another task, level or cluster: 5 of 80", DATA),
        (
            lambda item: replace(item, scoring="generate", max_new_tokens=8),
            "'counting/easy/0/A': loglikelihood / none / none in A, generate / 8 / none in B",
            SETTINGS,
        ),
        (lambda item: replace(item, options=("1", "2", "3", "4")), "other option letters: 5 of 80", DATA),
    ],
)
def test_items_that_were_asked_otherwise(
    make_run: MakeRun, table_with: Tables, change: Change, message: str, hint: str
) -> None:
    error = refusal(make_run, table_with, change)
    assert message in error.message
    assert hint in error.hint


@pytest.mark.parametrize("field", ["max_new_tokens", "stops"])
def test_other_generation_settings(make_run: MakeRun, table_with: Tables, field: str) -> None:
    changes = {"max_new_tokens": 9} if field == "max_new_tokens" else {"stops": ("\n",)}
    text = {"scoring": "generate", "max_new_tokens": 8}
    a = make_run("a", table=changed(table_with(0), lambda item: replace(item, **text)))
    b = make_run("b", table=changed(table_with(1), lambda item: replace(item, **{**text, **changes})))
    with pytest.raises(SpecError, match="another scoring or other generation settings: 80 of 80"):
        compare(a, b)


def test_all_reasons_are_named_at_once(make_run: MakeRun, table_with: Tables) -> None:
    error = refusal(
        make_run,
        table_with,
        lambda item: replace(item, prompt_hash="x", image_hash="y", gold="E"),
    )
    assert [line.split(":")[0].strip() for line in error.message.splitlines()[1:]] == [
        "another prompt",
        "another picture",
        "another right answer",
    ]


def test_missing_and_extra_items_and_common(make_run: MakeRun, table_with: Tables) -> None:
    table = table_with(1).only(np.array([*range(4, 80), 0], dtype=np.int32))
    extra = replace(table, items=(*table.items[:-1], replace(table.items[-1], item_id="extra")))
    a, b = make_run("a"), make_run("b", table=extra)
    with pytest.raises(SpecError) as caught:
        compare(a, b)
    assert f"items of A only: 4 {FIRST_THREE}" in caught.value.message
    assert "items of B only: 1 (extra)" in caught.value.message
    assert "--common" in caught.value.hint
    found = compare(a, b, common=True)
    assert found.n_items == 76
    assert found.dropped is not None
    assert (found.dropped.n_only_a, found.dropped.n_only_b) == (4, 1)
    assert "extra" in found.dropped.examples


def test_common_does_not_excuse_another_prompt(make_run: MakeRun, table_with: Tables) -> None:
    error = refusal(make_run, table_with, lambda item: replace(item, prompt_hash="other"), common=True)
    assert "another prompt" in error.message


def test_no_common_item(make_run: MakeRun, table_with: Tables) -> None:
    b = make_run("b", table=changed(table_with(1), lambda item: replace(item, item_id=f"other-{item.item_id}")))
    with pytest.raises(SpecError, match=r"no item in common: A has 80 \(counting/easy/0/A.*B has 80 \(other-"):
        compare(make_run("a"), b, common=True)


def test_another_generator(make_run: MakeRun, table_with: Tables) -> None:
    a, b = make_run("a"), make_run("b", hashes={"generator_version": "2"})
    with pytest.raises(SpecError, match=r"another version of the generator \(1 in A, 2 in B\): 80 of 80"):
        compare(a, b)
    # Other data is not made by the generator.
    own = changed(table_with(0), lambda item: replace(item, cluster_kind="item", cluster=item.item_id))
    a, b = make_run("c", table=own), make_run("d", table=own, hashes={"generator_version": "2"})
    assert compare(a, b).n_items == 80


def test_conditions_of_one_run_only(make_run: MakeRun, table_with: Tables) -> None:
    a = make_run("a", table=table_with(0, ("baseline", "counting")))
    b = make_run("b", table=table_with(0, ("baseline", "logic:ablate")))
    assert [pair.condition_a for pair in compare(a, b).pairs] == ["baseline"]
    with pytest.raises(SpecError, match=r"\(B\) has no condition 'counting'") as caught:
        compare(a, b, conditions=("counting", "counting"))
    assert "logic:ablate" in caught.value.hint
    found = compare(a, b, conditions=("counting", "logic:ablate"))
    assert [(pair.condition_a, pair.condition_b) for pair in found.pairs] == [("counting", "logic:ablate")]
    assert {row.scope for row in found.effects} == {"all", "task", "level"}


def test_folders_that_are_no_finished_run(make_run: MakeRun, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"no run's folder: it has no run\.yaml"):
        read_run(tmp_path / "nowhere")
    run = make_run("a")
    document = yaml.safe_load((run / "run.yaml").read_text())
    (run / "run.yaml").write_text(yaml.safe_dump({k: v for k, v in document.items() if k != "files"}))
    with pytest.raises(SpecError, match="is not finished") as caught:
        read_run(run)
    assert "same --out" in caught.value.hint


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("truncated", r"answers\.parquet is damaged: it is not what run\.yaml says was written"),
        ("gone", r"items\.parquet is damaged: it is not there"),
        ("yaml", r"run\.yaml is damaged: it cannot be read as YAML"),
        ("no mapping", r"run\.yaml is damaged: it holds no keys and values"),
        ("section", r"run\.yaml is damaged: its section `files` is not as it was written"),
    ],
)
def test_damaged_files(make_run: MakeRun, damage: str, message: str) -> None:
    run = make_run("a")
    answers, document = run / "answers.parquet", run / "run.yaml"
    if damage == "truncated":
        answers.write_bytes(answers.read_bytes()[:-100])
    elif damage == "gone":
        (run / "items.parquet").unlink()
    elif damage == "section":
        document.write_text(yaml.safe_dump({"files": "many"}))
    else:
        document.write_text("settings: [" if damage == "yaml" else "a list of words")
    with pytest.raises(DataError, match=message) as caught:
        read_run(run)
    assert "again" in caught.value.hint


def test_damage_without_a_hash_is_found_too(make_run: MakeRun, table_with: Tables) -> None:
    """A writer may leave the hashes out."""
    table = table_with(0)
    twice = replace(table, items=(*table.items[:2], table.items[3], *table.items[3:]))
    fewer = changed(table, lambda item: replace(item, options=("A", "B", "C", "D", "E")), 3)
    for name, broken, message in (
        ("twice", twice, "an item is there twice"),
        ("options", fewer, "'counting/easy/0/A' has 4 log-probabilities under 'baseline' for 5 options"),
    ):
        run = make_run(name, table=broken)
        (run / "run.yaml").write_text("files: {}\n")
        with pytest.raises(DataError, match=message):
            read_run(run)


def test_the_smallest_folder_that_is_read(make_run: MakeRun, table_with: Tables, tmp_path: Path) -> None:
    """As docs/compare.md gives it, with keys of its own, and as a study's."""
    folder = tmp_path / "minimal"
    folder.mkdir()
    table = table_with(1)
    none = np.zeros((*table.main.answer.shape, 0), dtype=np.float32)
    write_table(folder, replace(table, main=replace(table.main, option_logprobs=none)))
    (folder / "study.yaml").write_text("files: {}\nown: 1\n")
    found = compare(make_run("a"), folder)
    assert found.n_items == 80
    assert all(row.options is None for row in found.rows)
    assert found.b.model is None
    assert all(pair.floor is None for pair in found.pairs)


def test_the_letters_do_not_matter_where_a_model_has_none(make_run: MakeRun, table_with: Tables) -> None:
    table = changed(table_with(1), lambda item: replace(item, options=()))
    none = np.zeros((*table.main.answer.shape, 0), dtype=np.float32)
    bare = replace(table, main=replace(table.main, option_logprobs=none))
    found = compare(make_run("a"), make_run("b", table=bare))
    assert found.whole(found.pairs[0]).options is None
