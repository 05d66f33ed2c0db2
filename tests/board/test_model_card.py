"""Model cards, read with the hub's own parser."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hostile import HOSTILE, HOSTILE_IDS, hostile_board, hostile_parts
from huggingface_hub import EvalResult, ModelCard
from huggingface_hub.repocard_data import model_index_to_eval_results
from markdown_it import MarkdownIt
from markdown_it.token import Token
from samples import parts_of, sample_board, sample_entry, with_results, write_board

from vsc_eval.analysis.official import OfficialRow
from vsc_eval.board.board import Board
from vsc_eval.board.model_card import model_card
from vsc_eval.board.records import Entry
from vsc_eval.stats import Figure
from vsc_eval.synthetic import TASKS
from vsc_eval.tables import clean
from vsc_eval.tables.clean import LONG


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    return sample_board(tmp_path_factory.mktemp("board"), 2)


def results_of(text: str) -> tuple[str, list[EvalResult]]:
    front = yaml.safe_load(text.split("---\n")[1])
    name, results = model_index_to_eval_results(front["model-index"])
    # The hub's own card class reads the same out of the file.
    card = ModelCard(text)
    assert card.data.model_name == name
    assert card.data.eval_results == results
    return name, results


def _is_text(token: Token) -> bool:
    """Text, or the bare span that keeps a dollar sign from opening a formula."""
    is_bare = token.type == "html_inline" and token.content in ("<span>", "</span>")
    return is_bare or token.type in ("text", "text_special")


def tokens_of(text: str) -> list[str]:
    """What Markdown makes of the body: types of blocks, with those of their inner parts that are not plain text."""
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    found = []
    for token in parser.parse(ModelCard(text).text):
        found.append(token.type)
        found += [inner.type for inner in token.children or () if not _is_text(inner)]
    return found


def test_the_hub_reads_accuracies_of_tasks_and_of_all_items(board: Board) -> None:
    entry = board.entries[0]
    name, results = results_of(model_card(entry, board))
    assert name == entry.name
    assert [result.dataset_config for result in results] == [*TASKS, "all"]
    for result, task in zip(results, (*TASKS, None), strict=True):
        row = entry.row("baseline", "all") if task is None else entry.row("baseline", "task", task)
        assert row is not None
        assert row.accuracy.value is not None
        assert (result.task_type, result.metric_type) == ("visual-question-answering", "accuracy")
        assert result.metric_value == pytest.approx(row.accuracy.value, abs=1e-6)
        assert result.dataset_type == board.spec.name
        assert result.dataset_split == "test"
        assert result.dataset_args is not None
        assert result.dataset_args["generator_version"] == "1"
        assert result.metric_args is not None
        assert (result.metric_args["n"], result.metric_args["invalid"]) == (row.n, row.n_invalid)
        assert result.metric_args["low"] == pytest.approx(row.accuracy.low, abs=1e-6)
        assert result.metric_args["interval"] == row.method
    assert len({result.unique_identifier for result in results}) == len(results)


def test_the_source_is_where_the_board_is_published(board: Board) -> None:
    assert all(result.source_url is None for result in results_of(model_card(board.entries[0], board))[1])
    url = "https://example.org/boards/sample"
    published = Board(board.path, board.spec.model_copy(update={"url": url}), board.entries)
    text = model_card(board.entries[0], published)
    assert {(r.source_name, r.source_url) for r in results_of(text)[1]} == {("Sample board", url)}
    assert f"[Sample board]({url})" in text


def test_an_official_figure_stands_beside_accuracy(board: Board) -> None:
    entry = board.entries[0]
    figure = OfficialRow(
        task="counting", condition="baseline", metric="chartqa", figure="relaxed_accuracy", is_main=True,
        unit="items", value=Figure(0.625, 0.5, 0.75, 8, 2, "made up"), difference=None,
    )  # fmt: skip
    others = (
        figure.model_copy(update={"figure": "minor", "is_main": False}),
        figure.model_copy(update={"condition": "counting"}),
        figure.model_copy(update={"task": "logic", "value": Figure(None, None, None, 0, 0, "", "no items")}),
    )
    _, results = results_of(model_card(with_results(entry, official=(figure, *others)), board))
    assert len(results) == len(TASKS) + 2
    (found,) = [result for result in results if result.metric_type != "accuracy"]
    assert (found.metric_type, found.metric_value, found.dataset_config) == ("relaxed_accuracy", 0.625, "counting")
    assert found.metric_args == {"low": 0.5, "high": 0.75}


def test_the_body_says_how_to_reproduce_it(board: Board) -> None:
    entry = board.entries[0]
    text = ModelCard(model_card(entry, board)).text
    assert "vsc-eval run --model model-a --tasks counting," in text
    assert "--scoring loglikelihood --seed 0 --out OUT" in text
    assert entry.id in text
    assert entry.about.sha256 in text
    assert entry.fingerprint in text
    row = entry.row("baseline", "task", "counting")
    assert row is not None
    assert row.accuracy.value is not None
    assert f"| counting | {row.n} | {100 * row.accuracy.value:.1f} [" in text
    study = sample_entry("model-b", source="study")
    assert "vsc-eval study study.yaml --out OUT" in model_card(study, board)


def _with_settings(entry: Entry, settings: dict[str, object]) -> Entry:
    return replace(entry, run={**entry.run, "settings": settings})


@pytest.mark.parametrize("text", HOSTILE, ids=HOSTILE_IDS)
def test_only_plain_words_are_in_the_line_that_people_paste(text: str, board: Board) -> None:
    entry = _with_settings(board.entries[0], {"model": text, "tasks": [text, "vsc"], "conditions": text, "n": 20})
    (line,) = re.findall(r"^vsc-eval run .*$", model_card(entry, board), re.MULTILINE)
    assert re.fullmatch(r"[A-Za-z0-9_./:=+, \-]+", line)
    assert len(line) < 600
    assert line.endswith(" --n 20 --out OUT")
    assert not re.search(r" -[^-]| --(?!model|tasks|conditions|n|out)", line)


@pytest.mark.parametrize("text", HOSTILE, ids=HOSTILE_IDS)
def test_hostile_text_is_only_text_in_the_card(text: str, tmp_path: Path) -> None:
    board = hostile_board(tmp_path, [text], tasks=("counting",))
    card = model_card(board.entries[0], board)
    name, results = results_of(card)
    assert name == clean.name(text, LONG)
    assert len(results) == 2 + 1
    assert results[1].dataset_config == clean.name(text, LONG)
    harmless = hostile_board(tmp_path / "harmless", ["harmless"], tasks=("counting",))
    assert tokens_of(card) == tokens_of(model_card(harmless.entries[0], harmless))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]", card)
    assert len(card) < 20_000


def test_the_card_of_an_entry_without_the_benchmark_claims_none_of_it(tmp_path: Path) -> None:
    given = hostile_parts("birds", tasks=("counting",))
    items = [replace(item, task="fish") if item.task == "counting" else item for item in given.table.items]
    table = replace(given.table, items=tuple(items))
    board = write_board(tmp_path, [parts_of(given.about, dict(given.run), table, random.Random())])
    _, results = results_of(model_card(board.entries[0], board))
    assert {result.dataset_config for result in results} == {"fish", "birds", "all"}
    assert all(result.dataset_split is None for result in results)
    assert all("generator_version" not in (result.dataset_args or {}) for result in results)
