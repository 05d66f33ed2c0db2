"""Which task files there are; a broken one stops with its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from vsc_eval.errors import DataError, SpecError
from vsc_eval.lmeval.task_index import chosen_files, find_task_files
from vsc_eval.settings import AskSpec
from vsc_eval.taskfiles.read import shipped_dir


def test_the_index_stops_at_a_broken_file_with_its_name(tmp_path: Path) -> None:
    good = (shipped_dir() / "chartqa.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(good.replace("name: chartqa", "name: mine"))
    spec = AskSpec(tasks=("mine",), include_path=(tmp_path,))
    assert chosen_files(spec)[0] == ("vsc_mine",)
    for text, said in (
        (good.replace("kind:", "knid:").replace("name: chartqa", "name: other"), "broken.yaml:5: knid"),
        ("task: x\noutput_type: [", "broken.yaml is neither"),
        ("just: something\n", "broken.yaml is neither"),
        (good.replace("name: chartqa", "name: mine"), "both declare the task 'mine'"),
        (good.replace("name: chartqa", "task: other"), "broken.yaml:3: task: unknown key"),
        (good.replace("name: chartqa", "name: counting"), "broken.yaml:3: name: 'vsc_counting' is taken"),
        (good.replace("name: chartqa", "name: external"), "broken.yaml:3: name: 'vsc_external' is taken"),
        (good.replace("name: chartqa", "name: easy_blind_grey"), "broken.yaml:3: name: "),
        (
            good.replace("name: chartqa", "name: other").replace("score: chartqa", "score: chart"),
            "broken.yaml:8: score",
        ),
    ):
        (tmp_path / "broken.yaml").write_text(text)
        with pytest.raises(SpecError) as caught:
            chosen_files(spec)
        assert said in caught.value.message
        (tmp_path / "broken.yaml").rename(tmp_path / "broken.yml")
        if "neither" not in said:
            with pytest.raises(SpecError):
                chosen_files(spec)
        (tmp_path / "broken.yml").unlink()
    (tmp_path / "broken.yaml").write_text("task: fine\ndataset_path: json\noutput_type: generate_until\n")
    chosen_files(spec)


def test_overrides_and_copies_are_checked_before_anything_is_loaded(tmp_path: Path) -> None:
    override = ("cvbench.dataset.revision=abc", "cvbench.limit=9")
    _, files = chosen_files(AskSpec(tasks=("cvbench",), override=override, limit=5))
    assert (files["cvbench"].dataset.revision, files["cvbench"].limit) == ("abc", 5)
    with pytest.raises(SpecError, match="names no task") as caught:
        chosen_files(AskSpec(tasks=("cvbench",), override=("cvbnch.limit=3",)))
    assert "cvbench" in caught.value.hint
    with pytest.raises(DataError, match="no copy"):
        chosen_files(AskSpec(tasks=("cvbench",), data_dir=tmp_path))
    with pytest.raises(SpecError, match="no folder"):
        find_task_files(include=(tmp_path / "absent",))
