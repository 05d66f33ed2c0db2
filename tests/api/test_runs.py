"""`run` and `read` give what the command line writes, as flat frames."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import vsc_eval as vsc
from vsc_eval.cli.main import main

pytestmark = pytest.mark.xdist_group("api")


def test_four_lines_to_a_frame() -> None:
    model = vsc.load_model("vsc-tiny")
    counting = vsc.load_intervention("vsc-tiny")["counting"]
    table = vsc.run(model, tasks="vsc_counting_easy", n=4, conditions=[counting.scale(4)]).summary()
    assert list(table["condition"]) == ["baseline", "counting:scale=4"]


def test_the_program_of_the_documentation(tmp_path: Path) -> None:
    model = vsc.load_model("vsc-tiny")
    iv = vsc.load_intervention("vsc-tiny")
    counting, logic = iv["counting"], iv["logic"]
    conditions = [
        counting,
        counting.scale(4),
        logic.ablate(),
        (counting + logic).scale(4, norm="mean"),
        "counting:scale=0.5",
    ]
    run = vsc.run(model, tasks="vsc_easy", n=4, conditions=conditions, out=tmp_path / "demo")
    assert len(run.summary()) == 6
    assert len(run.rows(by=["task", "level"])) == 6 * 7
    assert len(run.answers) == 6 * 28
    # Conditions of the same content are computed once, and have the same answers.
    assert run.flips("counting").frame.equals(run.flips("counting:scale=4").frame)
    assert run.interactions().empty  # the logic set was not asked with the same edit
    assert run.plot.dose_response().get_xlabel() == "scale (strength)"
    assert run.plot.accuracy_drift().get_ylabel() == "accuracy, %"
    pd.testing.assert_frame_equal(vsc.read(tmp_path / "demo").summary(), run.summary())
    item = vsc.find_item("test/counting/easy/00000/D")
    with model.edited(counting.scale(4)):
        assert model.generate(item.image(), "How many red circles?")
    assert model.option_logprobs(item.image(), item.prompt, ["A", "B", "C", "D"]).idxmax() == "D"
    acts = iv.activations(model, item.image(), item.prompt)
    assert acts.plot(feature=262).get_title() == "feature 262, layer 4"


def test_it_is_the_command_lines_run(tmp_path: Path, model: vsc.Model, iv: vsc.Intervention) -> None:
    arguments = "run --tasks vsc_counting_easy,vsc_logic_easy --n 4 --conditions counting,logic:ablate --device cpu"
    assert main([*arguments.split(), "--out", str(tmp_path / "cli")]) == 0
    conditions = [iv["counting"], iv["logic"].ablate()]
    tasks = ["vsc_counting_easy", "vsc_logic_easy"]
    kept = vsc.run(model, tasks=tasks, n=4, conditions=conditions, out=tmp_path / "python")
    for name in ("results.json", "answers.parquet", "items.parquet", "conditions.parquet"):
        assert (tmp_path / "cli" / name).read_bytes() == (tmp_path / "python" / name).read_bytes(), name
    again = vsc.run(model, tasks=tasks, n=4, conditions=conditions, out=tmp_path / "python")
    from_disk, in_memory = vsc.read(tmp_path / "python"), vsc.run(model, tasks=tasks, n=4, conditions=conditions)
    for other in (again, from_disk, in_memory):
        pd.testing.assert_frame_equal(other.answers, kept.answers)
        pd.testing.assert_frame_equal(other.summary(), kept.summary())
    assert repr(from_disk) == f"Run('vsc-tiny', 3 conditions x 8 items, {tmp_path / 'python'})"
    row = next(
        r for r in json.loads((tmp_path / "cli" / "results.json").read_text())["rows"] if r["condition"] == "counting"
    )
    shown = kept.summary().set_index("condition").loc["counting"]
    assert (row["accuracy"]["value"], row["accuracy"]["low"]) == (shown["accuracy"], shown["accuracy_low"])
    assert row["drift"]["share"]["high"] == shown["drift_high"]


def test_frames_are_flat(run: vsc.Run) -> None:
    frames = {
        "summary": run.summary(),
        "cells": run.rows("cell"),
        "columns": run.rows(by=["task", "gold"]),
        "answers": run.answers,
        "interactions": run.interactions(),
        "floor": run.noise_floor(),
        "official": run.official(),
        "flips": run.flips("counting:scale=8").frame,
    }
    for name, frame in frames.items():
        assert isinstance(frame.columns, pd.Index), name
        assert all(isinstance(column, str) and column == column.lower() for column in frame.columns), name
        cells = frame.to_numpy(dtype=object).ravel()
        assert not any(isinstance(cell, list | tuple | dict | np.ndarray) for cell in cells), name
        if "condition" in frame:
            assert list(frame["condition"].cat.categories) == [
                n for n in run.conditions if (frame["condition"] == n).any()
            ]
            assert {"alpha", "positions", "sets", "edit_kind"} <= set(frame), name


def test_rows_are_counted_right(run: vsc.Run) -> None:
    answers = run.answers
    accuracy = answers.groupby("condition", observed=True)["right"].mean()
    drift = answers.groupby("condition", observed=True)["changed"].mean()
    summary = run.summary().set_index("condition")
    np.testing.assert_allclose(summary["accuracy"], accuracy)
    np.testing.assert_allclose(summary["drift"].iloc[1:], drift.iloc[1:])
    assert pd.isna(summary.loc["baseline", "drift"])
    assert dict(summary["alpha"].dropna()) == {
        "counting:scale=8": 8.0,
        "logic:scale=8": 8.0,
        "counting+logic": 4.0,
        "counting+logic:scale=8:norm=mean": 8.0,
        "counting+logic:scale=8": 8.0,
        "counting:ablate:image": 0.0,
        "counting:scale=1": 1.0,
    }
    assert summary.loc["counting:ablate:image", "positions"] == "image"
    by = run.rows(by=["task", "gold"])
    own = answers.groupby(["condition", "task", "gold"], observed=True)["right"].mean()
    for row in by.itertuples():
        assert row.accuracy == own[row.condition, row.task, row.gold]
    assert len(by) == len(own)
    assert run.rows("task")["task"].cat.categories[0] == "counting"
    assert list(run.rows("level").columns[:2]) == ["condition", "level"]
    assert len(run.rows(by="gold")) == 4 * len(run.conditions)
    with pytest.raises(vsc.SpecError, match=r"no column 'golden'.*Did you mean 'gold'"):
        run.rows(by="golden")


def test_interactions_and_noise_floor(run: vsc.Run) -> None:
    pairs = run.interactions().set_index("condition")
    assert list(pairs["form"]) == ["raw", "norm_matched"]
    drift = run.summary().set_index("condition")["drift"]
    raw = drift["counting+logic:scale=8"] - drift["counting:scale=8"] - drift["logic:scale=8"]
    assert pairs.loc["counting+logic:scale=8", "drift_interaction"] == pytest.approx(raw)
    assert list(run.noise_floor()["name"]) == ["counting:scale=1"]
    assert run.official().empty
    assert "value_low" in run.official()


def test_flips_show_question_and_picture(run: vsc.Run) -> None:
    flips = run.flips("counting:scale=8")
    assert len(flips) == int(run.answers.query("condition == 'counting:scale=8'")["changed"].sum()) > 0
    item = vsc.find_item(flips[0].flip.item_id)
    assert flips[0].prompt == item.prompt
    assert flips[0].image is not None
    assert flips[0].image.tobytes() == item.image().tobytes()
    assert flips.frame["prompt"].iloc[0] == item.prompt
    html = flips._repr_html_()
    assert html.count('<img src="data:image/png;base64,') == min(len(flips), 12)
    with pytest.raises(vsc.SpecError, match="Did you mean 'counting:scale=8'"):
        run.flips("counting:scale=9")


def test_what_a_data_set_says_is_no_markup(run: vsc.Run) -> None:
    found = run.flips("counting:scale=8")[0]
    hostile = replace(found, flip=found.flip.model_copy(update={"gold": "<script>"}))
    assert "<script>" not in hostile._repr_html_()
    assert "&lt;script&gt;" in hostile._repr_html_()


def test_it_shows_itself(run: vsc.Run) -> None:
    assert repr(run) == "Run('vsc-tiny', 8 conditions x 28 items, in memory)"
    html = run._repr_html_()
    assert all(f"<code>{name}</code>" in html for name in run.conditions)


def test_plots(run: vsc.Run) -> None:
    axes = run.plot.dose_response("accuracy")
    lines = {line.get_label(): list(line.get_xdata()) for line in axes.get_lines()}
    assert lines["counting"] == [1.0, 8.0]
    assert lines["counting:image"] == [0.0, 1.0]
    assert lines["counting+logic:norm=mean"] == [1.0, 8.0]
    assert lines["counting+logic"] == [1.0, 4.0, 8.0]
    assert run.plot.accuracy_drift().get_ylabel() == "accuracy, %"
    given = run.plot.dose_response("difference", sets=["logic"], ax=axes.figure.add_subplot())
    assert [line.get_label() for line in given.get_lines()] == ["logic"]
    with pytest.raises(vsc.SpecError, match="no edit of the kind 'clamp'"):
        run.plot.dose_response(kind="clamp")
    with pytest.raises(vsc.SpecError, match="Did you mean 'scale'"):
        run.plot.dose_response(kind="scal")


def test_sets_of_ones_own_are_run(model: vsc.Model, tmp_path: Path) -> None:
    iv = vsc.load_intervention("vsc-tiny", sets={"mine": [3, 17], "all": range(1024)})
    run = vsc.run(
        model, tasks="vsc_counting_easy", n=4, conditions=[iv["mine"].ablate(), "all:ablate"], out=tmp_path / "a"
    )
    assert run.conditions == ("baseline", "mine:ablate", "all:ablate")
    assert vsc.read(tmp_path / "a").summary()["drift"].max() > 0
    other = vsc.load_intervention("vsc-tiny", sets={"mine": [3, 18], "all": range(1024)})
    with pytest.raises(vsc.SpecError, match=r"conditions\.mine:ablate"):
        vsc.run(
            model, tasks="vsc_counting_easy", n=4, conditions=[other["mine"].ablate(), "all:ablate"], out=tmp_path / "a"
        )


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"conditions": [vsc.load_intervention("vsc-tiny")["logic"]], "intervention": "vsc-tiny"}, "of two"),
        ({"conditions": ["logic"], "intervention": "vsc-tin"}, "no intervention 'vsc-tin'"),
        ({"tasks": "vsc_countin"}, "vsc_countin"),
        ({"limt": 3}, "run: limt: unknown key.*Did you mean 'limit'"),
        ({"n": 3}, "no positive multiple of 4"),
        ({"dtype": "bfloat16"}, "'dtype' is a setting of the model.*load_model"),
        ({"conditions": ["countin:ablate"]}, "Unknown feature set 'countin'"),
        (
            {"conditions": [vsc.load_intervention("vsc-tiny")["logic"], vsc.load_intervention("vsc-tiny")["logic"]]},
            "of two",
        ),
    ],
)
def test_mistakes_are_told(model: vsc.Model, settings: dict[str, object], says: str) -> None:
    with pytest.raises(vsc.SpecError, match=says):
        vsc.run(model, **{"tasks": "vsc_counting_easy", "n": 4, **settings})


def test_grids_and_lists_with_commas_are_those_of_the_command_line(model: vsc.Model) -> None:
    run = vsc.run(model, tasks="vsc_counting_easy, vsc_logic_easy", n=4, conditions="counting:scale=0,2,logic:ablate")
    assert run.conditions == ("baseline", "counting:scale=0", "counting:scale=2", "logic:ablate")
    assert set(run.answers["task"]) == {"counting", "logic"}


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(vsc.SpecError, match="no run's folder"):
        vsc.read(tmp_path)
