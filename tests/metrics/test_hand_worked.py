"""Each official metric on cases that were worked out by hand."""

from __future__ import annotations

import pytest

from vsc_eval import metrics
from vsc_eval.errors import DataError, SpecError
from vsc_eval.extract import INVALID
from vsc_eval.metrics import METRICS, ScoredItem
from vsc_eval.metrics.chartqa import relaxed_match


def item(answer: str, gold: str, n: int = 0, **fields: str) -> ScoredItem:
    return ScoredItem(id=f"item/{n}", answer=answer, gold=gold, fields=fields)


def values(name: str, items: list[ScoredItem]) -> dict[str, float | None]:
    return {figure: quantity.value() for figure, quantity in metrics.get(name).aggregate(items).items()}


# CV-Bench: the combined score is no mean over items.


def cv(source: str, task: str, right: int, wrong: int) -> list[ScoredItem]:
    return [item("A" if i < right else "B", "A", source=source, task=task) for i in range(right + wrong)]


def test_cv_bench_combines_sources_not_items() -> None:
    items = [
        *cv("ADE20K", "Count", right=1, wrong=3),  # 0.25
        *cv("COCO", "Relation", right=3, wrong=1),  # 0.75
        *cv("Omni3D", "Depth", right=1, wrong=0),
        *cv("Omni3D", "Distance", right=1, wrong=0),  # 1.0
    ]
    found = values("cv_bench", items)
    assert found["2D"] == pytest.approx(0.5)
    assert found["3D"] == pytest.approx(1.0)
    assert found["combined"] == pytest.approx(0.75)
    assert found["accuracy"] == pytest.approx(6 / 10)
    assert found["accuracy[COCO]"] == pytest.approx(0.75)
    assert found["accuracy[Depth]"] == pytest.approx(1.0)
    assert found["accuracy[Count]"] == pytest.approx(0.25)
    assert found["invalid_rate"] == 0


def test_cv_bench_without_a_source_has_no_combined_score() -> None:
    items = [*cv("ADE20K", "Count", 1, 1), *cv("COCO", "Count", 1, 0)]
    quantities = metrics.get("cv_bench").aggregate(items)
    assert quantities["combined"].value() is None
    assert quantities["combined"].undefined == "no items from Omni3D"
    assert quantities["3D"].value() is None
    assert quantities["2D"].value() == pytest.approx(0.75)


def test_cv_bench_refuses_other_sources() -> None:
    with pytest.raises(DataError, match=r"'source' holds 'LVIS'"):
        values("cv_bench", [item("A", "A", source="LVIS", task="Count")])
    with pytest.raises(DataError, match="no column 'source'"):
        values("cv_bench", [item("A", "A", task="Count")])


# POPE


def pope(category: str = "random", *, tp: int = 0, fp: int = 0, tn: int = 0, fn: int = 0) -> list[ScoredItem]:
    pairs = [("yes", "yes")] * tp + [("yes", "no")] * fp + [("no", "no")] * tn + [("no", "yes")] * fn
    return [item(answer, gold, category=category) for answer, gold in pairs]


def test_pope() -> None:
    found = values("pope", pope(tp=3, fp=1, tn=4, fn=2))
    assert found["accuracy"] == pytest.approx(7 / 10)
    assert found["precision"] == pytest.approx(3 / 4)
    assert found["recall"] == pytest.approx(3 / 5)
    assert found["f1"] == pytest.approx(2 / 3)
    assert found["yes_rate"] == pytest.approx(4 / 10)  # of the predictions; 5 of 10 golds are yes
    assert found["f1[random]"] == found["f1"]


def test_pope_by_category() -> None:
    items = [*pope("random", tp=1, tn=1), *pope("popular", fp=1, fn=1), *pope("adversarial,popular", tp=2)]
    found = values("pope", items)
    assert found["accuracy[random]"] == 1
    assert found["accuracy[popular]"] == pytest.approx(2 / 4)
    assert found["accuracy[adversarial]"] == 1
    assert found["yes_rate[popular]"] == pytest.approx(3 / 4)
    assert found["accuracy"] == pytest.approx(4 / 6), "an item of two categories counts once in the whole"


def test_pope_an_unreadable_answer_is_wrong_and_no_yes() -> None:
    items = [*pope(tp=1, tn=1), item(INVALID, "yes", category="random"), item(INVALID, "no", category="random")]
    found = values("pope", items)
    assert found["accuracy"] == pytest.approx(2 / 4)
    assert found["recall"] == pytest.approx(1 / 2)
    assert found["precision"] == 1
    assert found["yes_rate"] == pytest.approx(1 / 4)
    assert found["invalid_rate"] == pytest.approx(2 / 4)


def test_pope_precision_without_a_yes_is_undefined_not_zero() -> None:
    quantities = metrics.get("pope").aggregate(pope(tn=2, fn=1))
    assert quantities["precision"].value() is None
    assert quantities["precision"].undefined == "no answer is yes"
    assert quantities["f1"].value() == 0
    assert values("pope", pope(tn=2))["f1"] is None


def test_pope_refuses_other_golds() -> None:
    with pytest.raises(DataError, match="right answer is 'A'"):
        values("pope", [item("yes", "A", category="random")])


# NaturalBench: q0i0, q0i1, q1i0, q1i1 of each group


def natural(rights: str, first: int = 0) -> list[ScoredItem]:
    golds = ("yes", "no", "no", "yes")
    other = {"yes": "no", "no": "yes"}
    return [
        item(golds[i % 4] if right == "1" else other[golds[i % 4]], golds[i % 4], i, Index=str(first + i))
        for i, right in enumerate(rights)
    ]


@pytest.mark.parametrize(
    ("rights", "accuracy", "question", "image", "group"),
    [
        ("1111", 1, 1, 1, 1),
        ("0000", 0, 0, 0, 0),
        ("1100", 1 / 2, 1 / 2, 0, 0),  # question 0 right on both images
        ("1010", 1 / 2, 0, 1 / 2, 0),  # both questions right on image 0
        ("1001", 1 / 2, 0, 0, 0),
        ("1110", 3 / 4, 1 / 2, 1 / 2, 0),
        ("11110111", 7 / 8, 3 / 4, 3 / 4, 1 / 2),
    ],
)
def test_natural_bench(rights: str, accuracy: float, question: float, image: float, group: float) -> None:
    quantities = metrics.get("naturalbench").aggregate(natural(rights))
    assert quantities["accuracy"].value() == pytest.approx(accuracy)
    assert quantities["question_accuracy"].value() == pytest.approx(question)
    assert quantities["image_accuracy"].value() == pytest.approx(image)
    assert quantities["group_accuracy"].value() == pytest.approx(group)
    n = len(rights)
    sizes = [quantities[f"{unit}accuracy"].n for unit in ("", "question_", "image_", "group_")]
    assert sizes == [n, n // 2, n // 2, n // 4]
    assert [quantities[f"{unit}accuracy"].unit for unit in ("", "group_")] == ["items", "groups"]


def test_natural_bench_leaves_incomplete_groups_out() -> None:
    whole, part = natural("1111"), natural("000", first=4)
    assert values("naturalbench", [*part, *whole]) == values("naturalbench", whole)
    assert values("naturalbench", part)["group_accuracy"] is None
    assert metrics.get("naturalbench").aggregate(part)["accuracy"].undefined == "no complete group"


def test_natural_bench_takes_rows_in_any_order() -> None:
    items = natural("11010110")
    assert values("naturalbench", items[::-1]) == values("naturalbench", items)


def test_natural_bench_rows_across_a_boundary_are_no_group() -> None:
    assert values("naturalbench", natural("1111", first=2))["group_accuracy"] is None


def test_natural_bench_refuses_bad_numbers() -> None:
    with pytest.raises(DataError, match="no row number"):
        values("naturalbench", [item("A", "A", Index="g1")])
    with pytest.raises(DataError, match="same Index 3"):
        values("naturalbench", [item("A", "A", Index="3"), item("A", "A", 1, Index="3")])


# ChartQA


@pytest.mark.parametrize(
    ("answer", "gold", "right"),
    [
        ("12", "12", True),
        ("105", "100", True),  # 5% is within
        ("95", "100", True),
        ("105.1", "100", False),
        ("94.9", "100", False),
        ("-95", "-100", True),
        ("100", "-100", False),
        ("0", "0", True),
        ("0.001", "0", False),  # a gold of 0 needs 0
        ("0%", "0", True),
        ("5%", "5%", True),
        ("0.05", "5%", True),  # the published script: a percentage is a hundredth
        ("5", "5%", False),
        ("5%", "5", False),
        ("2010", "2015", True),  # years are numbers there
        ("blue", "blue", True),
        ("blue", "dark blue", False),
        ("about 12 apples", "12", True),
        ("between 12 and 13", "12", False),
        ("in 2014", "2014", True),
        ("12", "twelve and more", False),
        ("18", "age 18", False),  # a gold with words is a text
        ("age 18", "age 19", False),
        ("yes", "no", False),
        (INVALID, "0", False),
        (INVALID, "12", False),
    ],
)
def test_relaxed_match(answer: str, gold: str, right: bool) -> None:
    assert relaxed_match(answer, gold) is right


def test_chartqa_by_who_wrote_the_question() -> None:
    items = [
        item("105", "100", type="human_test"),
        item("blue", "red", type="human_test"),
        item("red", "red", type="augmented_test"),
        item(INVALID, "7", type="augmented_test"),
        item("7", "7", type="augmented_test"),
    ]
    found = values("chartqa", items)
    assert found["relaxed_accuracy"] == pytest.approx(3 / 5)
    assert found["relaxed_accuracy[human]"] == pytest.approx(1 / 2)
    assert found["relaxed_accuracy[augmented]"] == pytest.approx(2 / 3)
    assert found["exact_accuracy"] == pytest.approx(2 / 5)
    assert found["invalid_rate"] == pytest.approx(1 / 5)
    with pytest.raises(DataError, match="'type' holds 'val'"):
        values("chartqa", [item("1", "1", type="val")])


def test_chartqa_answers_that_count_as_right_are_one_answer() -> None:
    metric = metrics.get("chartqa")
    assert metric.canonicalise(item("105", "100")) == "100"
    assert metric.canonicalise(item("120", "100")) == "120"
    assert metric.canonicalise(item(INVALID, "100")) == INVALID


# RealWorldQA and plain accuracy


def test_realworldqa_splits_by_the_kind_of_answer() -> None:
    items = [item("A", "A"), item("B", "C"), item("2", "2"), item("yes", "no"), item("stop", "stop")]
    found = values("realworldqa", items)
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["accuracy[letter]"] == pytest.approx(1 / 2)
    assert found["accuracy[text]"] == pytest.approx(2 / 3)
    assert values("realworldqa", items[:2])["accuracy[text]"] is None


def test_any_of_several_right_answers() -> None:
    metric = metrics.get("exact")
    both = ScoredItem(id="x", answer="lorry", gold="truck", accepted=("truck", "lorry"))
    assert metric.score(both) == 1
    assert metric.canonicalise(both) == "truck"


# All


@pytest.mark.parametrize("name", METRICS.names())
def test_an_unreadable_gold_is_refused_so_two_unreadable_answers_are_never_right(name: str) -> None:
    fields = {"source": "COCO", "task": "Count", "category": "random", "Index": "0", "type": "human_test"}
    bad = ScoredItem(id="x", answer=INVALID, gold=INVALID, fields=fields)
    with pytest.raises(ValueError, match="a gold answer cannot be invalid"):
        METRICS.get(name).score(bad)
    with pytest.raises((ValueError, DataError)):
        METRICS.get(name).aggregate([bad])
    with pytest.raises(ValueError, match="a gold answer cannot be invalid"):
        METRICS.get(name).score(ScoredItem(id="x", answer="A", gold="A", accepted=("A", INVALID), fields=fields))


@pytest.mark.parametrize("name", METRICS.names())
def test_every_gold_scores_one_and_every_figure_of_golds_is_one(name: str) -> None:
    golds = {"pope": ("yes", "no"), "naturalbench": ("yes", "no", "no", "yes")}.get(name, ("A", "B", "2", "red"))
    sources = ("ADE20K", "COCO", "Omni3D")
    items = [
        ScoredItem(
            id=f"{i}",
            answer=golds[i % len(golds)],
            gold=golds[i % len(golds)],
            fields={
                "source": sources[i % 3],
                "task": ("Count", "Depth")[i % 2],
                "category": ("random", "popular", "adversarial")[i % 3],
                "Index": str(i),
                "type": ("human_test", "augmented_test")[i % 2],
            },
        )
        for i in range(12)
    ]
    metric = METRICS.get(name)
    assert metric.main in metric.aggregate(items)
    assert all(metric.score(one) == 1.0 for one in items)
    for figure, quantity in metric.aggregate(items).items():
        expected = 0.0 if "invalid" in figure else 0.5 if "yes_rate" in figure else 1.0
        assert quantity.value() == pytest.approx(expected), figure


@pytest.mark.parametrize("name", METRICS.names())
def test_no_items_have_no_figures(name: str) -> None:
    for figure, quantity in METRICS.get(name).aggregate([]).items():
        assert quantity.value() is None, figure


def test_a_metric_by_name() -> None:
    assert metrics.get("pope") is metrics.get("pope")
    with pytest.raises(SpecError, match="Unknown metric 'f1'") as caught:
        metrics.get("f1")
    assert "chartqa" in str(caught.value.hint)
    assert tuple(metric.name for metric in METRICS) == METRICS.names()
