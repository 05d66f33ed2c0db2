"""Our scores beside those of lmms-eval, VLMEvalKit and the data sets' own scripts, on fixed sets of predictions.

Each rule of a peer is restated here from what it publishes. On answers in the form that the prompt asks for, the scores
are equal. Where they differ on purpose, the difference stands in DIFFERENCES, is asserted on both sides, and is listed
in docs/metrics.md.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vsc_eval import metrics
from vsc_eval.extract import Kind, extract
from vsc_eval.metrics import ScoredItem

DOCS = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
LETTERS = "ABCD"
COLOURS = ("red", "blue", "green", "yellow")


# lmms-eval


def lmms_letter(text: str) -> str:
    """CV-Bench: the first letter of the text, whatever word it begins."""
    found = re.match(r"[(\s]*([A-Za-z])", text.strip())
    return found.group(1).upper() if found else ""


def lmms_pope(rows: Sequence[tuple[str, str]]) -> dict[str, float]:
    """(text, gold) pairs. An unreadable answer is in neither denominator; yes_ratio is that of the golds."""
    said = [(text.lower().strip(), gold.lower().strip()) for text, gold in rows]
    tp, fp = said.count(("yes", "yes")), said.count(("yes", "no"))
    missed = said.count(("no", "yes"))
    precision = tp / (tp + fp) if tp + fp else 0
    recall = tp / (tp + missed) if tp + missed else 0
    golds = [gold for _, gold in said]
    return {
        "accuracy": sum(text == gold for text, gold in said) / len(said),
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / (precision + recall) if precision + recall else 0,
        "yes_rate": golds.count("yes") / len(golds),
    }


def lmms_natural_answer(text: str, kind: str) -> int:
    """1 for yes or A, 0 for no or B, by which word comes first; -1 for neither."""
    first, second = ("yes", "no") if kind == "yes_no" else ("a", "b")
    places = [re.search(rf"\b{word}\b", text, re.I) for word in (first, second)]
    starts = [place.start() if place else None for place in places]
    if starts[0] is None and starts[1] is None:
        return -1
    if starts[0] is None or starts[1] is None:
        return int(starts[1] is None)
    return int(starts[0] < starts[1])


def natural_scores(answers: Sequence[Sequence[int]]) -> dict[str, float]:
    """Answers [groups, 4] as 1, 0, -1; the right ones of q0i0, q0i1, q1i0, q1i1 are always 1, 0, 0, 1 there."""
    right = np.asarray(answers) == np.array([1, 0, 0, 1])
    question = np.stack([right[:, 0] & right[:, 1], right[:, 2] & right[:, 3]])
    image = np.stack([right[:, 0] & right[:, 2], right[:, 1] & right[:, 3]])
    return {
        "accuracy": float(right.mean()),
        "question_accuracy": float(question.mean()),
        "image_accuracy": float(image.mean()),
        "group_accuracy": float((question.all(axis=0) & image.all(axis=0)).mean()),
    }


def published_relaxed(text: str, gold: str) -> bool:
    """ChartQA in both peers and in pix2struct, which they name as their source."""

    def number(value: str) -> float | None:
        try:
            return float(value.rstrip("%")) / 100 if value.endswith("%") else float(value)
        except ValueError:
            return None

    given, wanted = number(text), number(gold)
    if given is None or not wanted:
        return text.lower() == gold.lower()
    return abs(given - wanted) / abs(wanted) <= 0.05


def lmms_realworldqa(text: str, gold: str) -> bool:
    """A letter is looked for by the reader of options that its tasks share (alone, a capital); text is compared."""
    if gold in LETTERS:
        return re.findall(rf"\b[{LETTERS}]\b", text)[-1:] == [gold]
    return text.lower().strip().rstrip(".") == gold.lower().strip()


# VLMEvalKit


def kit_pope(rows: Sequence[tuple[str, str]]) -> dict[str, float]:
    """(text, gold) pairs. A text with exactly one of the words yes and no; anything else counts as no."""

    def read(text: str) -> str:
        words = set(re.sub(r"[^\w\s]", " ", text.lower()).split())
        return "Unknown" if ("yes" in words) == ("no" in words) else "Yes" if "yes" in words else "No"

    said = [read(text) for text, _ in rows]
    golds = [gold.capitalize() for _, gold in rows]
    given, wanted = np.array([s == "Yes" for s in said]), np.array([g == "Yes" for g in golds])
    tp = int((given & wanted).sum())
    precision = tp / given.sum() if given.sum() else 0
    recall = tp / wanted.sum() if wanted.sum() else 0
    return {
        "accuracy": float(np.mean([s == g for s, g in zip(said, golds, strict=True)])),
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / (precision + recall) if precision + recall else 0,
    }


def kit_letter(text: str, options: Sequence[str]) -> str:
    """The only capital of the text among its last five words, else the only option whose text is in it."""
    words = re.sub(r"[.()\[\],:;!*#{}]", " ", text).split()
    named = [letter for letter in LETTERS[: len(options)] if letter in words]
    if len(named) == 1 and words.index(named[0]) > len(words) - 5:
        return named[0]
    within = [letter for letter, option in zip(LETTERS, options, strict=False) if option.lower() in text.lower()]
    return within[0] if len(within) == 1 and len(text) <= 2 * sum(map(len, options)) else "Z"


# The data sets' own scripts


def pope_script(text: str) -> str:
    """The first sentence; a "no" or "not" in it is no, anything else yes."""
    words = text.split(".")[0].replace(",", "").split(" ")
    return "no" if {"No", "not", "no"} & set(words) else "yes"


def ours(name: str, kind: Kind, rows: Sequence[tuple[str, str]], fields: Sequence[dict[str, str]]) -> dict[str, float]:
    """Our figures of (text, gold) pairs; the undefined ones are left out."""
    items = [
        ScoredItem(id=str(i), answer=read(kind, text), gold=read(kind, gold), fields=own)
        for i, ((text, gold), own) in enumerate(zip(rows, fields, strict=True))
    ]
    found = {figure: quantity.value() for figure, quantity in metrics.get(name).aggregate(items).items()}
    return {figure: value for figure, value in found.items() if value is not None}


def read(kind: Kind, text: str) -> str:
    return extract(text, kind=kind, options=COLOURS if kind == "multiple_choice" else ())


RNG = np.random.default_rng(20240611)


def test_cv_bench_equals_lmms_eval() -> None:
    sources = [("ADE20K", "COCO", "Omni3D")[i] for i in RNG.integers(0, 3, 300)]
    golds = [LETTERS[i] for i in RNG.integers(0, 4, 300)]
    frames = ("{}", "({})", "{}.", "({}) red", "{}: it is")
    texts = [
        frames[j].format(gold if right else LETTERS[(LETTERS.index(gold) + 1) % 4])
        for gold, right, j in zip(golds, RNG.random(300) < 0.6, RNG.integers(0, 3, 300), strict=True)
    ]
    right = np.array([lmms_letter(text) == gold for text, gold in zip(texts, golds, strict=True)])
    by = {name: right[np.array(sources) == name].mean() for name in set(sources)}
    found = ours(
        "cv_bench",
        "multiple_choice",
        list(zip(texts, golds, strict=True)),
        [{"source": name, "task": "Count"} for name in sources],
    )
    assert found["combined"] == pytest.approx(0.5 * ((by["ADE20K"] + by["COCO"]) / 2 + by["Omni3D"]))
    assert found["accuracy"] == pytest.approx(right.mean())
    # VLMEvalKit: for the 2D half the mean over its sources, for the 3D half the plain accuracy.
    kit = np.array([kit_letter(text, COLOURS) == gold for text, gold in zip(texts, golds, strict=True)])
    assert (kit == right).all()
    assert found["2D"] == pytest.approx((by["ADE20K"] + by["COCO"]) / 2)
    assert found["3D"] == pytest.approx(by["Omni3D"])


def test_pope_equals_both_peers_and_the_script() -> None:
    golds = ["yes" if x else "no" for x in RNG.random(400) < 0.5]
    texts = [("Yes", "No", "yes", "no")[i] for i in RNG.integers(0, 4, 400)]
    rows = list(zip(texts, golds, strict=True))
    found = ours("pope", "yes_no", rows, [{"category": "random"}] * 400)
    lmms, kit = lmms_pope(rows), kit_pope(rows)
    for figure in ("accuracy", "precision", "recall", "f1"):
        assert found[figure] == pytest.approx(lmms[figure]), figure
        assert found[figure] == pytest.approx(kit[figure]), figure
    assert found["yes_rate"] == pytest.approx(np.mean([pope_script(text) == "yes" for text in texts]))


def test_natural_bench_equals_its_script() -> None:
    both: tuple[Kind, Kind] = ("yes_no", "multiple_choice")
    kinds = [both[i] for i in RNG.integers(0, 2, 60)]
    words = {"yes_no": ("No", "Yes"), "multiple_choice": ("B", "A")}
    answers = RNG.integers(0, 2, (60, 4))
    answers[:25] = (1, 0, 0, 1)
    items, codes = [], []
    for g, (kind, row) in enumerate(zip(kinds, answers, strict=True)):
        texts = [words[kind][code] for code in row]
        codes.append([lmms_natural_answer(text, kind) for text in texts])
        golds = [words[kind][code] for code in (1, 0, 0, 1)]
        for k, (text, gold) in enumerate(zip(texts, golds, strict=True)):
            letters = () if kind == "yes_no" else ("A", "B")
            parsed = [extract(t, kind=kind, letters=letters) for t in (text, gold)]
            items.append(ScoredItem(id=f"{g}/{k}", answer=parsed[0], gold=parsed[1], fields={"Index": str(4 * g + k)}))
    found = metrics.get("naturalbench").aggregate(items)
    for figure, expected in natural_scores(codes).items():
        assert found[figure].value() == pytest.approx(expected), figure


CHART_PAIRS = [
    *[("12", "12"), ("12.5", "12"), ("12.7", "12"), ("0.5", "0.5"), ("-3", "-3"), ("-3.1", "-3"), ("3", "-3")],
    *[("5%", "5%"), ("5.2%", "5%"), ("5.3%", "5%"), ("0.05", "5%"), ("5", "5%"), ("5%", "5"), ("0", "0"), ("1", "0")],
    *[("2010", "2015"), ("Blue", "blue"), ("blue", "Red"), ("Yes", "yes"), ("No", "Yes"), ("Male", "Male")],
    *[("United States", "united states"), ("105", "100"), ("95", "100"), ("105.01", "100"), ("94.99", "100")],
]


def test_chartqa_equals_the_published_rule() -> None:
    fields = [{"type": ("human_test", "augmented_test")[i % 2]} for i in range(len(CHART_PAIRS))]
    found = ours("chartqa", "short_text", CHART_PAIRS, fields)
    published = np.array([published_relaxed(text, gold) for text, gold in CHART_PAIRS])
    assert found["relaxed_accuracy"] == pytest.approx(published.mean())
    assert found["relaxed_accuracy[human]"] == pytest.approx(published[::2].mean())
    assert found["relaxed_accuracy[augmented]"] == pytest.approx(published[1::2].mean())
    for text, gold in CHART_PAIRS:
        assert relaxed(text, gold) == published_relaxed(text, gold), (text, gold)


def relaxed(text: str, gold: str) -> bool:
    parsed = ScoredItem(id="x", answer=read("short_text", text), gold=read("short_text", gold))
    return metrics.get("chartqa").score(parsed) == 1.0


def test_chartqa_equals_the_published_rule_on_random_numbers() -> None:
    for gold in np.round(RNG.normal(0, 100, 200), 1):
        for factor in (1, 1.04, 1.06, 0.96, 0.94, -1):
            pair = (str(round(gold * factor, 2)), str(gold))
            assert relaxed(*pair) == published_relaxed(*pair), pair


REALWORLD_PAIRS = [
    *[("A", "A"), ("B.", "B"), ("A", "B")],
    *[("2", "2"), ("Yes", "yes"), ("No.", "Yes"), ("Stop", "stop")],
]


def test_realworldqa_equals_lmms_eval() -> None:
    for text, gold in REALWORLD_PAIRS:
        kind: Kind = "multiple_choice" if re.fullmatch("[A-D]", gold) else "short_text"
        assert (read(kind, text) == read(kind, gold)) == lmms_realworldqa(text, gold), (text, gold)


# Where we differ on purpose: (text, gold, what the peer scores, what we score, words of docs/metrics.md)


def right_letter(text: str, gold: str) -> bool:
    return read("multiple_choice", text) == gold


def right_yes_no(text: str, gold: str) -> bool:
    return read("yes_no", text) == gold


def right_text(text: str, gold: str) -> bool:
    return read("short_text", text) == read("short_text", gold)


def by_lmms_letter(text: str, gold: str) -> bool:
    return lmms_letter(text) == gold


def by_kit_letter(text: str, gold: str) -> bool:
    return kit_letter(text, COLOURS) == gold


def by_lmms_pope(text: str, gold: str) -> bool:
    return lmms_pope([(text, gold)])["accuracy"] == 1


def by_pope_script(text: str, gold: str) -> bool:
    return pope_script(text) == gold


def by_natural_script(text: str, gold: str) -> bool:
    return lmms_natural_answer(text, "yes_no") == (gold == "yes")


Rule = Callable[[str, str], bool]
DIFFERENCES: list[tuple[str, str, Rule, bool, Rule, bool]] = [
    ("The correct answer is (B)", "B", by_lmms_letter, False, right_letter, True),
    ("Because it is red", "B", by_lmms_letter, True, right_letter, False),
    ("C or B", "C", by_lmms_letter, True, right_letter, False),
    ("Blue", "B", by_lmms_letter, True, right_letter, True),
    ("Green", "C", by_lmms_letter, False, right_letter, True),
    ("b", "B", by_kit_letter, False, right_letter, True),
    ("A. blue", "A", by_kit_letter, True, right_letter, False),
    ("B, because of all that can be seen there", "B", by_kit_letter, False, right_letter, True),
    ("Yes.", "yes", by_lmms_pope, False, right_yes_no, True),
    ("There is no dog.", "no", by_pope_script, True, right_yes_no, False),
    ("There is a dog.", "yes", by_pope_script, True, right_yes_no, False),
    ("I cannot tell.", "yes", by_pope_script, True, right_yes_no, False),
    ("No, yes", "no", by_natural_script, True, right_yes_no, False),
    ("At first I thought yes, but the answer is no", "no", by_natural_script, False, right_yes_no, True),
    ("1,200", "1200", published_relaxed, False, relaxed, True),
    ("12.", "twelve", published_relaxed, False, relaxed, True),
    ("blue.", "blue", published_relaxed, False, relaxed, True),
    ("The answer is 12", "12", published_relaxed, False, relaxed, True),
    ("12 million", "12", published_relaxed, False, relaxed, False),
    ("$12", "12", published_relaxed, False, relaxed, True),
    ("0.0", "0", published_relaxed, False, relaxed, True),
    ("nan", "12", published_relaxed, False, relaxed, False),
    ("inf", "inf", published_relaxed, False, relaxed, True),
    ("c", "C", lmms_realworldqa, False, right_letter, True),
    ("two", "2", lmms_realworldqa, False, right_text, True),
    ("The stop sign", "stop sign", lmms_realworldqa, False, right_text, True),
]  # fmt: skip


@pytest.mark.parametrize(("text", "gold", "peer", "peers", "mine", "our"), DIFFERENCES, ids=[d[0] for d in DIFFERENCES])
def test_differences_are_as_said(text: str, gold: str, peer: Rule, peers: bool, mine: Rule, our: bool) -> None:
    assert peer(text, gold) is peers
    assert mine(text, gold) is our
    if peers is not our:
        assert f"`{text}`" in DOCS.read_text(encoding="utf-8"), "a difference that docs/metrics.md does not list"


def test_unreadable_answers_in_pope() -> None:
    """lmms-eval leaves them out of recall; VLMEvalKit and we count a miss. Its yes_ratio is that of the golds."""
    rows = [("yes", "yes"), ("dunno", "yes"), ("no", "no"), ("no", "no")]
    found = ours("pope", "yes_no", rows, [{"category": "random"}] * 4)
    assert (lmms_pope(rows)["recall"], kit_pope(rows)["recall"], found["recall"]) == (1.0, 0.5, 0.5)
    assert (lmms_pope(rows)["yes_rate"], found["yes_rate"]) == (0.5, 0.25)
    none = [("no", "no"), ("no", "yes")]
    assert lmms_pope(none)["precision"] == kit_pope(none)["precision"] == 0
    assert "precision" not in ours("pope", "yes_no", none, [{"category": "random"}] * 2), "undefined, not 0"


# lmms-eval itself: the rules above are what it does. VLMEvalKit is on no package index, so its rules are read, not run.

SAID = [text for text, *_ in [*DIFFERENCES, *REALWORLD_PAIRS]] + [*"abcdABCD", "(C) red", " (d", "", "?"]


def lmms_eval_task(name: str) -> Any:
    """How the installed lmms-eval scores a task."""
    if importlib.util.find_spec("lmms_eval") is None:
        pytest.skip("lmms-eval is not installed: make test-libraries")
    return importlib.import_module(f"lmms_eval.tasks.{name}.utils")


@pytest.mark.filterwarnings("ignore")
class TestLmmsEvalItself:
    def test_cv_bench(self) -> None:
        theirs = lmms_eval_task("cv_bench")
        for text in SAID:
            assert lmms_letter(text) == theirs._extract_answer_letter(text), text

    def test_pope(self) -> None:
        theirs = lmms_eval_task("pope")
        rows = [(text, gold) for text in [*SAID, "yes", "no", "No ", "Yes"] for gold in ("yes", "no")]
        scored = [
            theirs.pope_process_results({"answer": gold, "question_id": i}, [text])["pope_accuracy"]
            for i, (text, gold) in enumerate(rows)
        ]
        names = {"f1": "f1_score", "yes_rate": "yes_ratio"}
        for figure, value in lmms_pope(rows).items():
            assert value == pytest.approx(getattr(theirs, f"pope_aggregate_{names.get(figure, figure)}")(scored)), (
                figure
            )

    def test_natural_bench(self) -> None:
        theirs = lmms_eval_task("naturalbench")
        for kind in ("yes_no", "multiple_choice"):
            for text in SAID:
                assert lmms_natural_answer(text, kind) == theirs.extract_answer(text, kind), text
        answers = np.random.default_rng(1).integers(-1, 2, (200, 4)).tolist()
        names = {"accuracy": "Acc", "question_accuracy": "Q_Acc", "image_accuracy": "I_Acc", "group_accuracy": "G_Acc"}
        for figure, value in natural_scores(answers).items():
            assert value == pytest.approx(theirs.get_scores(answers)[names[figure]]), figure

    def test_chartqa(self) -> None:
        theirs = lmms_eval_task("chartqa")
        for text, gold in [*CHART_PAIRS, *((text, gold) for text, gold, *_ in DIFFERENCES)]:
            assert published_relaxed(text, gold) == theirs.relaxed_correctness(text, gold), (text, gold)

    def test_realworldqa(self) -> None:
        theirs = lmms_eval_task("realworldqa")
        differing = [(text, gold) for text, gold, rule, *_ in DIFFERENCES if rule is lmms_realworldqa]
        for text, gold in [*REALWORLD_PAIRS, *differing]:
            found = theirs.realworldqa_process_results({"answer": gold}, [text])["exact_match"]
            assert found == lmms_realworldqa(text, gold), (text, gold)
