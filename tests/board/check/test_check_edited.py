"""`board check` finds what somebody did to an entry, whether or not they hashed it anew."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harm import (
    Change,
    Document,
    edit_about,
    edit_answer,
    edit_item,
    edit_json,
    edit_run,
    edit_table,
    folder_of,
    row,
)

from vsc_eval.answers.answer_table import AnswerTable
from vsc_eval.board.check import check_board
from vsc_eval.board.spec import ENTRIES

Harm = Callable[[Path], None]


def in_results(change: Change) -> Harm:
    return partial(edit_json, change=change)


def in_about(change: Change) -> Harm:
    return partial(edit_about, change=change)


def in_run(change: Change) -> Harm:
    return partial(edit_run, change=change)


def in_table(change: Callable[[AnswerTable], AnswerTable]) -> Harm:
    return partial(edit_table, change=change)


def at(*path: str | int, value: Any) -> Change:
    def change(document: Document) -> None:
        target: Any = document
        for part in path[:-1]:
            target = target[part]
        assert target.get(path[-1]) != value if isinstance(target, dict) else target[int(path[-1])] != value
        target[path[-1]] = value

    return change


def add(condition: str, scope: str, field: str, by: float, **place: str) -> Change:
    def change(document: Document) -> None:
        found = row(document, condition, scope, **place)
        *parents, last = field.split(".")
        for part in parents:
            found = found[part]
        found[last] += by

    return change


def exclude_estimate(document: Document) -> None:
    found = row(document, "baseline", "all")["accuracy"]
    found["low"], found["high"] = found["value"] + 0.01, found["value"] + 0.02


def turn_interval(document: Document) -> None:
    found = row(document, "counting", "all")["difference"]
    found["low"], found["high"] = found["high"], found["low"]


def lose_reason(document: Document) -> None:
    row(document, "counting", "all")["drift"]["share"] |= {"low": None, "high": None, "reason": None}


def drop_row(document: Document) -> None:
    document["rows"].remove(row(document, "counting", "task", task="logic"))


def drop_target_row(document: Document) -> None:
    document["rows"].remove(row(document, "counting", "on_target"))


def bigger_control(document: Document) -> None:
    control = document["controls"][0]
    control |= {"value": 0.9, "percentile": 100.0, "p": 1 / (1 + len(control["draws"]))}


def swap_draw(document: Document) -> None:
    control = document["controls"][0]
    control["draws"] = [0.9] * len(control["draws"])


def without_last_item(table: AnswerTable) -> AnswerTable:
    return table.only(np.arange(len(table.items)) < len(table.items) - 1)


def with_logprobs(condition: str, change: Callable[[Any], Any]) -> Callable[[AnswerTable], AnswerTable]:
    def changed(table: AnswerTable) -> AnswerTable:
        logprobs = table.main.option_logprobs.copy()
        logprobs[table.main.rows[condition]] = change(logprobs[table.main.rows[condition]])
        return dataclasses.replace(table, main=dataclasses.replace(table.main, option_logprobs=logprobs))

    return changed


def with_condition(**changes: Any) -> Callable[[AnswerTable], AnswerTable]:
    """`counting` as another condition."""

    def changed(table: AnswerTable) -> AnswerTable:
        conditions = list(table.conditions)
        conditions[1] = dataclasses.replace(conditions[1], **changes)
        return dataclasses.replace(table, conditions=tuple(conditions))

    return changed


def spec_with(**changes: Any) -> Callable[[AnswerTable], AnswerTable]:
    def changed(table: AnswerTable) -> AnswerTable:
        return with_condition(spec=table.conditions[1].spec.model_copy(update=changes))(table)

    return changed


def rule(**changes: Any) -> Harm:
    return in_run(lambda document: document["settings"]["verdict"].update(changes))


def other_read(table: AnswerTable) -> AnswerTable:
    return dataclasses.replace(table, passes={"other_batches": edit_answer("baseline", 3)(table).main.take([0])})


def sure(logprobs: Any) -> Any:
    return np.where(np.isnan(logprobs), logprobs, -0.1)


FINDINGS: list[tuple[str, Harm, str, str]] = [
    # Figures of rows
    ("accuracy", in_results(add("baseline", "all", "accuracy.value", 0.001)), "rows[", "and the answers give"),
    ("last digit", in_results(add("logic", "all", "drift.share.value", 1e-6)), "drift.share.value", "answers give"),
    ("n", in_results(add("counting", "all", "n", 1)), "rows", "n is 85, and the answers give 84"),
    ("n_clusters", in_results(add("counting", "all", "n_clusters", 1)), "rows", "n_clusters is 22"),
    ("invalid", in_results(add("counting", "level", "invalid_rate", 0.1, level="hard")), "invalid_rate", "answers"),
    ("drift part", in_results(add("counting", "all", "drift.to_invalid", 1)), "to_invalid", "the answers give"),
    ("McNemar", in_results(add("counting", "all", "mcnemar.p_value", -0.01)), "mcnemar.p_value", "the answers give"),
    ("mean", in_results(add("counting", "all", "mean_kl_options", 0.01)), "mean_kl_options", "the answers give"),
    ("ratio", in_results(add("counting", "all", "amplification", 0.01)), "amplification", "the answers give"),
    ("power", in_results(add("counting", "all", "detectable_difference", 0.01)), "detectable", "the answers give"),
    ("difference", in_results(add("logic", "task", "difference.value", 0.1, task="logic")), "difference", "answers"),
    ("role", in_results(lambda d: row(d, "counting", "all").update(role="combined")), "role", "the answers give"),
    ("interval", in_results(exclude_estimate), "accuracy", "does not contain"),
    ("turned interval", in_results(turn_interval), "difference", "turned around"),
    ("no reason", in_results(lose_reason), "drift.share", "no interval and no reason"),
    ("missing row", in_results(drop_row), "rows", "counting/task/logic is missing"),
    ("on target", in_results(drop_target_row), "rows", "counting/on_target is missing"),
    ("double row", in_results(lambda d: d["rows"].append(d["rows"][3])), "rows", "there twice"),
    ("no such row", in_results(lambda d: d["rows"][3].update(task="nothing")), "rows[3]", "no such items"),
    # Answers and items
    ("answer", in_table(edit_answer("counting", 0)), "rows", "the answers give"),
    ("second answer", in_table(other_read), "floor", "the answers give"),
    ("no option", in_table(edit_answer("counting", 0, "E")), "answers.counting", "'E' is none of the options"),
    ("long text", in_table(edit_answer("counting", 0, "x" * 20_001)), "answers", "20,001"),
    ("missing item", in_table(without_last_item), "items of multi_hop/hard", "there are 3 items, and the board asks 4"),
    ("gold", in_table(edit_item(5, gold="A")), "items of counting", "they are not the board's items"),
    ("invalid gold", in_table(edit_item(5, gold="invalid")), "items.gold[5]", "cannot be `invalid`"),
    ("picture", in_table(edit_item(0, image_hash="0" * 16)), "items of counting", "not the board's items"),
    ("item twice", in_table(edit_item(1, item_id="test/counting/easy/00000/A")), "items", "twice"),
    ("scoring", in_table(edit_item(1, scoring="generate")), "scoring", "the board asks for `loglikelihood`"),
    ("no options", in_table(edit_item(3, options=(), gold_index=None)), "items.options[3]", "has no options"),
    ("index", in_table(edit_item(3, gold_index=9)), "items.gold_index[3]", "has no option 9"),
    ("probabilities", in_table(with_logprobs("counting", sure)), "answers.counting", "the probabilities add up to 3.6"),
    ("likeliest", in_table(with_logprobs("counting", lambda p: p[:, ::-1])), "answers.counting", "option is likelier"),
    ("above 0", in_table(with_logprobs("logic", lambda p: p + 5)), "answers", "a log-probability is above 0"),
    # What it says of itself
    ("other board", in_about(at("board", value="another")), "board", "is of board 'another'"),
    ("name", in_about(at("name", value="Model Z")), "id", "gives model-z-"),
    ("date", in_about(at("date", value="yesterday")), "date", "no ISO 8601"),
    ("date without zone", in_about(at("date", value="2026-01-01T00:00:00")), "date", "offset"),
    ("week", in_about(at("date", value="2026-W47-1T00:00:00+00:00")), "date", "no ISO 8601"),
    ("odd date", in_about(at("date", value="2026-11-23<00:00:00+00:00")), "date", "no ISO 8601"),
    ("layer", in_about(at("intervention", "layer", value=-1)), "intervention.layer", "there is no layer -1"),
    ("layer of another", in_about(at("intervention", "layer", value=5)), "intervention.layer", "run.yaml says 4"),
    ("SAE", in_about(at("intervention", "sae_fingerprint", value="0")), "intervention.sae_fingerprint", "run.yaml"),
    ("bare", in_about(at("intervention", value=None)), "intervention", "exactly if"),
    ("feature set", in_about(lambda d: d["intervention"]["sets"].pop("logic")), "conditions[2]", "no set 'logic'"),
    ("generator", in_run(at("hashes", "generator_version", value="2")), "hashes.generator_version", "version 2, the"),
    ("path", in_run(at("settings", "x", value="/home/me/y")), "run.yaml", "a path"),
    ("model's path", in_results(at("model", value="/home/me/y")), "results.json", "a path"),
    ("other model", in_run(at("hashes", "model_fingerprint", value="0" * 16)), "id", "gives model-b-"),
    ("model of results", in_results(at("model_fingerprint", value="0" * 16)), "hashes", "different models"),
    ("hash of run.yaml", in_run(at("hashes", "conditions", "logic", value="0")), "hashes.conditions", "'logic'"),
    ("condition's hash", in_table(with_condition(content_hash="0" * 16)), "id", "gives model-b-"),
    ("set", in_table(spec_with(sets=("nothing",))), "conditions[1]", "the intervention has no set 'nothing'"),
    ("no edit", in_table(spec_with(edit=None, sets=())), "conditions[1]", "no condition that a board shows"),
    # Effects
    ("interaction", in_results(at("interactions", 0, "drift_interaction", "value", value=0.5)), "value", "give"),
    ("parts", in_results(at("interactions", 0, "parts", value=["logic", "logic"])), "interactions[0].parts", "give"),
    ("interaction left out", in_results(lambda d: d["interactions"].pop()), "interactions", "norm=mean is missing"),
    ("twice", in_results(lambda d: d["interactions"].append(d["interactions"][0])), "interactions[2]", "there twice"),
    ("p", in_results(at("interactions", 0, "p_drift_adjusted", value=1.5)), "p_drift_adjusted", "no probability"),
    ("draws", in_results(swap_draw), "controls[0].percentile", "the draws give"),
    ("control's value", in_results(bigger_control), "controls[0].value", "the answers give"),
    ("control twice", in_results(lambda d: d["controls"].append(d["controls"][0])), "controls[", "there twice"),
    ("control's kind", in_results(lambda d: d["controls"].pop(0)), "controls", "is missing"),
    ("no control items", in_run(at("settings", "controls", "items_per_cell", value=0)), "controls[0]", "no such"),
    ("all control items", in_run(at("settings", "controls", value="all")), "controls[0]", "no such"),
    ("floor", in_results(at("floor", 0, "n_changed", value=3)), "floor[0].n_changed", "the answers give 0"),
    ("floor twice", in_results(lambda d: d["floor"].append(d["floor"][0])), "floor[1]", "there twice"),
    ("probe", in_results(at("probing", "rows", 0, "low", value=0.99)), "probing.rows[0]", "no interval"),
    ("probe twice", in_results(lambda d: d["probing"]["rows"].append(d["probing"]["rows"][0])), "probing", "twice"),
    # Verdicts
    ("no verdict", in_results(at("interactions", 0, "verdict", value=None)), "verdict", "it is undefined"),
    ("verdict", in_results(at("interactions", 0, "verdict", value="interference")), "verdict", "the rule of the"),
    ("words", in_results(at("interactions", 0, "decided_by", value="me")), "decided_by", "the rule of the settings"),
    ("p of the verdict", in_results(at("interactions", 0, "p_drift_adjusted", value=0.5)), "decided_by", "the rule"),
    ("p of controls", in_results(lambda d: [c.update(p_family=0.9) for c in d["controls"]]), "decided_by", "the rule"),
    ("margin", rule(margin=0.9), "interactions", "the rule of the settings"),
    ("rule of words", rule(margin="much"), "interactions", "the settings have no rule"),
    ("rule of nothing", rule(outcomes=None), "interactions", "the settings have no rule"),
]  # fmt: skip


@pytest.mark.parametrize(("harm", "place", "what"), [f[1:] for f in FINDINGS], ids=[f[0] for f in FINDINGS])
def test_what_is_edited_and_hashed_anew(board: Path, harm: Harm, place: str, what: str) -> None:
    folder = folder_of(board)
    harm(folder)
    found = check_board(board)
    assert found, "nothing was found"
    assert {problem.file for problem in found} == {f"{ENTRIES}/{folder.name}"}
    assert any(place in problem.place and what in problem.what for problem in found), [str(p) for p in found]
    assert all(problem.hint for problem in found)


@pytest.mark.parametrize("name", ["answers.parquet", "items.parquet", "conditions.parquet", "run.yaml", "results.json"])
def test_a_file_that_is_edited_and_not_hashed_anew(board: Path, name: str) -> None:
    folder = folder_of(board)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
    (found,) = check_board(board)
    assert found.file == f"{ENTRIES}/{folder.name}"
    assert f"{name}: the entry is not what was published" in found.what
    assert "not edited by hand" in found.hint


@pytest.mark.parametrize("change", [at("note", value="best"), lambda d: d["files"].update({"run.yaml": "0" * 64})])
def test_an_edited_hash_or_note(board: Path, change: Change) -> None:
    edit_about(folder_of(board), change, sealed=False)
    (found,) = check_board(board)
    assert "entry.json: at 'sha256': the entry is not what was published" in found.what
