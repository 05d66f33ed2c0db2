"""`board check` finds what somebody did to the figures of an entry, whether or not they hashed it anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harm import Document, change_answer, edit_entry, file_of, row

from vsc_eval.board.board import ENTRIES
from vsc_eval.board.check import check_board


def set_at(*path: str | int, value: Any) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        target: Any = document
        for part in path[:-1]:
            target = target[part]
        assert target.get(path[-1]) != value if isinstance(target, dict) else target[int(path[-1])] != value
        target[path[-1]] = value

    return change


def add_to_row(condition: str, scope: str, field: str, by: float, **place: str) -> Callable[[Document], None]:
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


def change_all_answers_of_a_cell(document: Document) -> None:
    """Also in every row but the sums, so that the cells do not add up."""
    items, column = document["items"], document["items"]["answers"]["baseline"]
    cell = [i for i, t in enumerate(items["task"]) if t == "counting" and items["level"][i] == "easy"]
    n_right = sum(column[i] == items["gold"][i] for i in cell)
    found = row(document, "baseline", "cell", task="counting", level="easy")
    found["n_right"] = len(cell) - n_right
    found["accuracy"] = {"value": 1 - n_right / len(cell), "reason": "edited"}


def drop_item(document: Document) -> None:
    items = document["items"]
    for name in items:
        for column in [items[name]] if name != "answers" else items["answers"].values():
            column.pop()


def drop_row(document: Document) -> None:
    document["rows"].remove(row(document, "counting", "task", task="logic"))


def double_row(document: Document) -> None:
    document["rows"].append(document["rows"][3])


def other_gold(document: Document) -> None:
    document["items"]["gold"][5] = document["items"]["gold"][6]


def likely(document: Document) -> None:
    by_item = document["logprobs"]["counting"]
    by_item[next(iter(by_item))] = [-0.1, -0.1, -0.1, -0.1]


def other_letter(document: Document) -> None:
    """The likeliest option is not the one that was answered."""
    items = document["items"]
    for name, values in document["logprobs"]["counting"].items():
        if items["answers"]["counting"][items["id"].index(name)] in "ABCD":
            values.reverse()
            return


def unchanged_logprobs(document: Document) -> None:
    items = document["items"]
    same = next(
        name
        for place, name in enumerate(items["id"])
        if items["answers"]["logic"][place] == items["answers"]["baseline"][place]
    )
    document["logprobs"]["logic"][same] = [-1.0, -2.0, -3.0, -4.0]


def swap_draw(document: Document) -> None:
    control = document["controls"][0]
    control["draws"] = [0.9] * len(control["draws"])


def bigger_control(document: Document) -> None:
    for control in document["controls"]:
        control["value"], control["percentile"], control["p"] = 0.9, 100.0, 1 / (1 + len(control["draws"]))


def drop_target_row(document: Document) -> None:
    document["rows"].remove(row(document, "counting", "on_target"))


def verdict(words: str | None, *, rule: Document | None = None, **figures: Any) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        document["provenance"]["settings"]["verdict"] |= {
            "outcomes": ["drift"], "alpha": 0.05, "min_effect": 0.01, "margin": 0.05, "require": "any",
        } | (rule or {})  # fmt: skip
        document["unions"][0] |= {"verdict": words, "decided_by": "words"} | figures

    return change


FINDINGS: list[tuple[str, Callable[[Document], None], str, str]] = [
    ("accuracy", add_to_row("baseline", "all", "accuracy.value", 0.01), "accuracy", "not "),
    ("last digit", add_to_row("logic", "all", "drift.value", 1e-4), "drift", "not "),
    ("n", add_to_row("counting", "all", "n", 1), "rows", "n is 85, and the answers give 84"),
    ("n_clusters", add_to_row("counting", "all", "n_clusters", 1), "rows", "n_clusters is 22"),
    ("n_invalid", add_to_row("counting", "level", "n_invalid", 1, level="hard"), "rows", "n_invalid is"),
    ("drift part", add_to_row("counting", "all", "drift_counts.to_invalid", 1), "to_invalid", "the answers give"),
    ("difference", add_to_row("logic", "task", "difference.value", 0.1, task="logic"), "difference", "not ("),
    ("interval", exclude_estimate, "accuracy", "does not contain"),
    ("turned interval", turn_interval, "difference", "does not contain"),
    ("cells do not add up", change_all_answers_of_a_cell, "n_right", "the answers give"),
    ("answer", change_answer, "rows", "the answers give"),
    ("missing item", drop_item, "items of multi_hop/hard", "there are 3 items, and the board asks 4"),
    ("missing row", drop_row, "rows", "the row of 'counting' on task/logic is missing"),
    ("double row", double_row, "rows", "a second row"),
    ("gold", other_gold, "items of counting", "they are not the board's items"),
    ("picture", set_at("items", "image_hash", 0, value="0" * 16), "items of counting", "not the board's items"),
    ("other board", set_at("board", value="another"), "board", "is of board 'another'"),
    ("scoring", set_at("scoring", value="generate"), "scoring", "the board asks for `loglikelihood`"),
    (
        "generator",
        set_at("provenance", "generator_version", value="2"),
        "provenance.generator_version",
        "of generator version 2, the board's of 1",
    ),
    ("date", set_at("provenance", "date", value="yesterday"), "provenance.date", "no ISO 8601"),
    ("date without zone", set_at("provenance", "date", value="2026-01-01T00:00:00"), "provenance.date", "offset"),
    ("path", set_at("provenance", "settings", "x", value="/home/me/y"), "provenance.settings", "a path"),
    ("other model", set_at("model", "fingerprint", value="0" * 16), "id", "gives model-b-"),
    ("name", set_at("model", "name", value="Model Z"), "id", "gives model-z-"),
    ("condition's hash", set_at("conditions", 1, "content_hash", value="0" * 16), "id", "gives model-b-"),
    ("role", set_at("conditions", 1, "role", value="union"), "conditions[1]", "has 1 sets"),
    (
        "set",
        set_at("conditions", 1, "sets", value=["nothing"]),
        "conditions[1]",
        "the intervention has no set 'nothing'",
    ),
    ("probabilities", likely, "logprobs.counting", "the probabilities add up to 3.6"),
    ("likeliest", other_letter, "logprobs.counting", "another option is likelier"),
    ("not changed", unchanged_logprobs, "logprobs.logic", "did not change"),
    ("draws", swap_draw, "controls[0].percentile", "the draws give"),
    ("control's value", bigger_control, "controls[0].value", "the answers give"),
    ("floor", set_at("floor", 0, "n_changed", value=3), "floor[0].drift", "it is not 3 / 84"),
    (
        "union",
        set_at("unions", 0, "drift_interaction", "value", value=0.5),
        "unions[0].drift_interaction",
        "the answers give",
    ),
    ("union's parts", set_at("unions", 0, "parts", value=["logic", "logic"]), "unions[0].parts", "not the parts"),
    ("p", set_at("unions", 0, "p_drift_adjusted", value=1.5), "unions[0].p_drift_adjusted", "no probability"),
    ("headline", set_at("conditions", 1, "is_headline", value=False), "conditions[1]", "for the run to say"),
    ("week", set_at("provenance", "date", value="2026-W47-1T00:00:00+00:00"), "provenance.date", "no ISO 8601"),
    ("odd date", set_at("provenance", "date", value="2026-11-23<00:00:00+00:00"), "provenance.date", "no ISO 8601"),
    ("no options", set_at("items", "options", 3, value=[]), "items.options[3]", "has no options"),
    ("layer", set_at("intervention", "layer", value=-1), "intervention.layer", "there is no layer -1"),
    ("on target", drop_target_row, "rows", "the row of 'counting' on on_target is missing"),
    ("union left out", lambda d: d["unions"].pop(), "unions", "beyond its parts is missing"),
    ("union twice", lambda d: d["unions"].append(d["unions"][0]), "unions[2]", "there twice"),
    ("control twice", lambda d: d["controls"].append(d["controls"][0]), "controls[9]", "there twice"),
    ("floor twice", lambda d: d["floor"].append(d["floor"][0]), "floor[1]", "there twice"),
    ("probe twice", lambda d: d["probes"]["points"].append(d["probes"]["points"][0]), "probes.points", "there twice"),
    (
        "controls of no items",
        set_at("provenance", "settings", "controls", "items_per_cell", value=0),
        "controls[0].value",
        "which effect",
    ),
    ("controls of all", set_at("provenance", "settings", "controls", value="all"), "controls[0].value", "which effect"),
    ("rule of words", verdict("none", rule={"margin": "much"}), "unions[0].verdict", "the settings have no rule"),
    ("rule of nothing", verdict("none", rule={"outcomes": None}), "unions[0].verdict", "the settings have no rule"),
    ("no verdict", verdict(None), "unions[0].verdict", "it is missing"),
    (
        "too little said",
        verdict("not enough evidence", rule={"margin": 1.0}),
        "unions[0].verdict",
        "no interval reaches",
    ),
    ("too much said", verdict("none", rule={"margin": 0.001}), "unions[0].verdict", "reaches beyond the margin"),
    ("undecided", verdict("none", decided_by=None), "unions[0].decided_by", "without the numbers"),
    ("verdict", verdict("maybe"), "unions[0].verdict", "none of: interference"),
    ("unproven", verdict("interference", p_drift_adjusted=0.9), "unions[0].verdict", "do not meet the rule"),
    ("probe", set_at("probes", "points", 0, "low", value=0.99), "probes.points[0]", "no interval"),
    ("long text", set_at("items", "answers", "baseline", 0, value="x" * 20_001), "items.answers.baseline", "20,001"),
    ("shown", set_at("shown", value={"nothing": {"question": "?"}}), "shown.nothing", "no such item"),
]


@pytest.mark.parametrize(("change", "place", "what"), [f[1:] for f in FINDINGS], ids=[f[0] for f in FINDINGS])
def test_what_is_edited_and_hashed_anew(board: Path, change: Callable[[Document], None], place: str, what: str) -> None:
    file = file_of(board)
    edit_entry(file, change)
    found = check_board(board)
    assert found, "nothing was found"
    assert {problem.file for problem in found} == {f"{ENTRIES}/{file.name}"}
    assert any(place in problem.place and what in problem.what for problem in found), [str(p) for p in found]
    assert all(problem.hint for problem in found)


@pytest.mark.parametrize("change", [f[1] for f in FINDINGS[:3]], ids=[f[0] for f in FINDINGS[:3]])
def test_what_is_edited_and_not_hashed_anew(board: Path, change: Callable[[Document], None]) -> None:
    file = file_of(board)
    edit_entry(file, change, reseal=False)
    (found,) = check_board(board)
    assert found.file == f"{ENTRIES}/{file.name}"
    assert "the entry is not what was published" in found.what
    assert "not edited by hand" in found.hint


def test_layout_and_line_ends_may_change(board: Path) -> None:
    edit_entry(file_of(board), lambda document: None, reseal=False)
    file = file_of(board, "model-a")
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert check_board(board) == ()
