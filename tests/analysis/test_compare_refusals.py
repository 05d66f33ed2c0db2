"""What does not compare is refused by name, with a count, examples and the fix."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from vsc_eval.analysis.compare.compare import compare_runs
from vsc_eval.analysis.compare.records import Comparison
from vsc_eval.analysis.compare.run_files import read_run
from vsc_eval.answers.items import ItemLine
from vsc_eval.errors import DataError, SpecError

Lines = Callable[..., list[ItemLine]]
MakeRun = Callable[..., Path]


def compare(a: Path, b: Path, **options: Any) -> Comparison:
    return compare_runs(read_run(a), read_run(b), **options)


def with_asked(line: ItemLine, **changes: object) -> ItemLine:
    return line.model_copy(update={"asked": line.asked.model_copy(update=changes)})


def refusal(make_run: MakeRun, lines_of: Lines, change: Callable[[ItemLine], ItemLine], **options: Any) -> SpecError:
    """The error for a run B of which the first five lines are changed."""
    lines = lines_of(1)
    b = make_run("b", lines=[*map(change, lines[:5]), *lines[5:]])
    with pytest.raises(SpecError) as caught:
        compare(make_run("a"), b, **options)
    return caught.value


FIRST_THREE = "(counting/easy/0/A, counting/easy/0/B, counting/easy/0/C, ...)"
DATA, SETTINGS = "same task files, the same data", "--scoring and --max-new-tokens"


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        (lambda line: with_asked(line, prompt_hash="x"), "another prompt: 5 of 80 " + FIRST_THREE, DATA),
        (lambda line: with_asked(line, image_hash="x"), "another picture: 5 of 80 " + FIRST_THREE, DATA),
        (lambda line: line.model_copy(update={"gold": "E"}), "another right answer: 5 of 80 " + FIRST_THREE, DATA),
        (lambda line: line.model_copy(update={"cluster": "x"}), "another task, level or cluster: 5 of 80", DATA),
        (lambda line: line.model_copy(update={"level": None}), "another task, level or cluster: 5 of 80", DATA),
        (
            lambda line: with_asked(line, scoring="generate", max_new_tokens=8),
            "'counting/easy/0/A': loglikelihood / none / none in A, generate / 8 / none in B",
            SETTINGS,
        ),
        (lambda line: with_asked(line, options=("1", "2", "3", "4")), "other option letters: 5 of 80", DATA),
    ],
)
def test_items_that_were_asked_otherwise(
    make_run: MakeRun, lines_of: Lines, change: Callable[[ItemLine], ItemLine], message: str, hint: str
) -> None:
    error = refusal(make_run, lines_of, change)
    assert message in error.message
    assert hint in error.hint


@pytest.mark.parametrize("field", ["max_new_tokens", "stops"])
def test_other_generation_settings(make_run: MakeRun, lines_of: Lines, field: str) -> None:
    changes = {"max_new_tokens": 9} if field == "max_new_tokens" else {"stops": ("\n",)}
    text = {"scoring": "generate", "max_new_tokens": 8}
    a = make_run("a", lines=[with_asked(line, **text) for line in lines_of(0)])
    b = make_run("b", lines=[with_asked(line, **{**text, **changes}) for line in lines_of(1)])
    with pytest.raises(SpecError, match="another scoring or other generation settings: 80 of 80"):
        compare(a, b)


def test_all_reasons_are_named_at_once(make_run: MakeRun, lines_of: Lines) -> None:
    error = refusal(
        make_run,
        lines_of,
        lambda line: with_asked(line, prompt_hash="x", image_hash="y").model_copy(update={"gold": "E"}),
    )
    assert [line.split(":")[0].strip() for line in error.message.splitlines()[1:]] == [
        "another prompt",
        "another picture",
        "another right answer",
    ]


def test_missing_and_extra_items_and_common(make_run: MakeRun, lines_of: Lines) -> None:
    lines = lines_of(1)
    extra = lines[0].model_copy(update={"id": "extra"})
    a, b = make_run("a"), make_run("b", lines=[*lines[4:], extra])
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


def test_common_does_not_excuse_another_prompt(make_run: MakeRun, lines_of: Lines) -> None:
    error = refusal(make_run, lines_of, lambda line: with_asked(line, prompt_hash="other"), common=True)
    assert "another prompt" in error.message


def test_no_common_item(make_run: MakeRun, lines_of: Lines) -> None:
    b = make_run("b", lines=[line.model_copy(update={"id": f"other-{line.id}"}) for line in lines_of(1)])
    with pytest.raises(SpecError, match=r"no item in common: A has 80 \(counting/easy/0/A.*B has 80 \(other-"):
        compare(make_run("a"), b, common=True)


def test_another_generator(make_run: MakeRun, lines_of: Lines) -> None:
    a, b = make_run("a"), make_run("b", hashes={"generator_version": "2"})
    with pytest.raises(SpecError, match=r"another version of the generator \(1 in A, 2 in B\): 80 of 80"):
        compare(a, b)
    # Other data is not made by the generator.
    own = [line.model_copy(update={"cluster_kind": "item", "cluster": line.id}) for line in lines_of(0)]
    a, b = make_run("c", lines=own), make_run("d", lines=own, hashes={"generator_version": "2"})
    assert compare(a, b).n_items == 80


def test_conditions_of_one_run_only(make_run: MakeRun, lines_of: Lines) -> None:
    a = make_run("a", lines=lines_of(0, ("baseline", "counting")))
    b = make_run("b", lines=lines_of(0, ("logic:ablate",)))
    with pytest.raises(SpecError, match="no condition in common: A has baseline, counting; B has logic:ablate"):
        compare(a, b)
    with pytest.raises(SpecError, match=r"\(B\) has no condition 'counting'") as caught:
        compare(a, b, condition_a="counting", condition_b="counting")
    assert "logic:ablate" in caught.value.hint
    found = compare(a, b, condition_a="counting", condition_b="logic:ablate")
    assert [(pair.condition_a, pair.condition_b) for pair in found.pairs] == [("counting", "logic:ablate")]
    assert found.effects == ()  # B has no baseline


def test_a_condition_asked_of_some_items_is_compared_on_those(make_run: MakeRun, lines_of: Lines) -> None:
    def only(lines: list[ItemLine], kept: int) -> list[ItemLine]:
        """`counting` for the first items only."""
        return [
            line if place < kept else line.model_copy(update={"answers": {"baseline": line.answers["baseline"]}})
            for place, line in enumerate(lines)
        ]

    conditions = ("baseline", "counting")
    a = make_run("a", lines=only(lines_of(0, conditions), 20))
    b = make_run("b", lines=only(lines_of(1, conditions), 20))
    c = make_run("c", lines=only(lines_of(1, conditions), 12))
    found = compare(a, b)
    assert [pair.condition_a for pair in found.pairs] == ["baseline"]
    assert found.partial_conditions == ("counting",)
    named = compare(a, b, condition_a="counting", condition_b="counting")
    assert named.whole(named.pairs[0]).n == 20
    assert {row.n for row in named.effects if row.scope == "all"} == {20}
    with pytest.raises(SpecError, match=r"asked under 'counting' in A only: 8 \(.*\)"):
        compare(a, c, condition_a="counting", condition_b="counting")
    common = compare(a, c, condition_a="counting", condition_b="counting", common=True)
    assert common.whole(common.pairs[0]).n == 12


def test_folders_that_are_no_finished_run(make_run: MakeRun, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"no run's folder: it has no run\.yaml"):
        read_run(tmp_path / "nowhere")
    run = make_run("a")
    document = yaml.safe_load((run / "run.yaml").read_text())
    (run / "run.yaml").write_text(yaml.safe_dump({k: v for k, v in document.items() if k != "items"}))
    with pytest.raises(SpecError, match="is not finished") as caught:
        read_run(run)
    assert "same --out" in caught.value.hint
    (run / "run.yaml").write_text(yaml.safe_dump({**document, "items": {**document["items"], "schema_version": 2}}))
    with pytest.raises(SpecError, match=r"is of version 2; this vsc-eval reads 1"):
        read_run(run)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "gone", "yaml", "no mapping", "section"])
def test_damaged_files(make_run: MakeRun, damage: str) -> None:
    run = make_run("a")
    items, document = run / "items.jsonl", run / "run.yaml"
    content = items.read_bytes()
    if damage == "truncated":
        items.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        items.write_bytes(content.replace(b'"gold":"A"', b'"gold":"B"', 1))
    elif damage == "gone":
        items.unlink()
    elif damage == "yaml":
        document.write_text("settings: [")
    elif damage == "no mapping":
        document.write_text("a list of words")
    else:
        document.write_text(yaml.safe_dump({"items": {"n_items": "many", "schema_version": 1}}))
    with pytest.raises(DataError, match=r"(items\.jsonl|run\.yaml) is damaged") as caught:
        read_run(run)
    assert "again" in caught.value.hint


@pytest.mark.parametrize("damage", ["line", "field", "twice", "count", "options"])
def test_damage_without_a_hash_is_found_too(make_run: MakeRun, lines_of: Lines, damage: str) -> None:
    """A writer may leave the hash out."""
    run = make_run("a")
    rows = (run / "items.jsonl").read_text().splitlines()
    if damage == "line":
        rows[2] = rows[2][:-5]
    elif damage == "field":
        rows[2] = json.dumps({key: value for key, value in json.loads(rows[2]).items() if key != "gold"})
    elif damage == "twice":
        rows[2] = rows[3]
    elif damage == "count":
        rows = rows[:-1]
    else:
        rows[2] = rows[2].replace('"baseline":[', '"baseline":[-1.0,', 1)
    (run / "items.jsonl").write_text("\n".join(rows) + "\n")
    (run / "run.yaml").write_text(yaml.safe_dump({"items": {"schema_version": 1, "n_items": 80}}))
    message = {
        "line": "line 3",
        "field": "line 3: gold: Field required",
        "twice": "an item is there twice",
        "count": r"it has 79 items where run\.yaml says 80",
        "options": "'counting/easy/0/C' has 5 log-probabilities under 'baseline' for 4 options",
    }[damage]
    with pytest.raises(DataError, match=message):
        read_run(run)


def test_the_smallest_folder_that_is_read(make_run: MakeRun, lines_of: Lines, tmp_path: Path) -> None:
    """As docs/compare.md gives it, with keys of its own, and as a study's."""
    folder = tmp_path / "minimal"
    folder.mkdir()
    rows = []
    for line in lines_of(1):
        kept = {key: getattr(line, key) for key in ("id", "task", "level", "cluster", "gold", "answers")}
        rows.append(json.dumps({**kept, "asked": line.asked.model_dump(), "own": 1}))
    (folder / "items.jsonl").write_text("\n".join(rows) + "\n")
    (folder / "study.yaml").write_text("items: {schema_version: 1, n_items: 80}\n")
    found = compare(make_run("a"), folder)
    assert found.n_items == 80
    assert all(row.options is None for row in found.rows)
    assert found.b.model is None
    assert all(pair.floor is None for pair in found.pairs)


def test_the_letters_do_not_matter_where_a_model_has_none(make_run: MakeRun, lines_of: Lines) -> None:
    bare = [
        line.model_copy(update={"asked": line.asked.model_copy(update={"options": ()}), "option_logprobs": {}})
        for line in lines_of(1)
    ]
    found = compare(make_run("a"), make_run("b", lines=bare))
    assert found.whole(found.pairs[0]).options is None
