"""The report of a study: every number is the results', and every kind of study has one."""

from __future__ import annotations

import ast
import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache, reduce
from pathlib import Path
from types import MappingProxyType
from typing import Any

import matplotlib
import numpy as np
import pytest
from made import together
from PIL import Image

from vsc_eval.analysis.controls import Pair
from vsc_eval.analysis.noise_floor import floor_rows
from vsc_eval.analysis.rows import READINGS
from vsc_eval.answers.answer_table import AnswerTable
from vsc_eval.probing.records import (
    CONTROLS,
    EMBEDDINGS,
    POOLINGS,
    TARGETS,
    LayerRule,
    ProbeRow,
    ProbingResult,
    ProbingSpec,
    choose,
    explain_choice,
)
from vsc_eval.sae.quality import ReconstructionQuality, SpliceQuality
from vsc_eval.specs import BASELINE, EditSpec, load_yaml_spec, parse_condition
from vsc_eval.studies import report
from vsc_eval.studies.analysis import analyse, statistics_of, study_rows
from vsc_eval.studies.conditions import asked_condition, control_set
from vsc_eval.studies.records import Exclusion, Selection, SetRow, StudyResults, read_results
from vsc_eval.studies.report.figures import interference_name, report_figures
from vsc_eval.studies.report.write import FIGURES_FOLDER, REPORT_FILE, TABLES, TABLES_FOLDER, report_text, write_report
from vsc_eval.studies.simulate import World, simulate
from vsc_eval.studies.spec import StudySpec

N_LAYERS = 4
STATISTICS = {"draws": 300, "permutations": 300}
SMALL: dict[str, Any] = {
    "tasks": ["counting", "existence", "logic"],
    "sweep": {"items_per_cell": 8, "edits": ["scale=4", "ablate"]},
    "controls": {"items_per_cell": 4, "draws": 20},
    "statistics": STATISTICS,
    "verdict": {"edit": "scale=4"},
}


def localized(spec: StudySpec, rng: np.random.Generator) -> ProbingResult:
    rule = LayerRule(kind=spec.probing.rule, pooling=spec.probing.pooling)
    rows = [
        ProbeRow(
            target=target,
            pooling=pooling,
            layer=layer,
            control=control,
            n_train=84,
            n_test=84,
            n_train_orbits=21,
            n_test_orbits=21,
            train_accuracy=None if lacks else 1.0,
            cv_accuracy=None,
            test_accuracy=None if lacks else accuracy,
            low=None if lacks else accuracy - 0.05,
            high=None if lacks else accuracy + 0.04,
            reason="these prompts have no image tokens" if lacks else None,
        )
        for target in TARGETS
        for pooling in POOLINGS
        for layer in range(EMBEDDINGS, N_LAYERS)
        for control in CONTROLS
        for lacks in [control == "text_only" and pooling == "image"]
        for accuracy in [float(rng.uniform(0.2, 0.9))]
    ]
    choices = [choice for pooling in POOLINGS if (choice := choose(rows, rule, pooling, N_LAYERS))]
    chosen = next(choice for choice in choices if choice.pooling == rule.pooling)
    return ProbingResult(
        spec=ProbingSpec(model=spec.model, tasks=spec.tasks, rule=rule),
        model_fingerprint="0123456789abcdef",
        generator_version="1",
        n_layers=N_LAYERS,
        d_model=8,
        layer=chosen.layer,
        chosen_by=explain_choice(rows, rule, chosen, N_LAYERS),
        choices=tuple(choices),
        chance={"task": 1 / len(spec.tasks), "level": 1 / 3},
        interval="95% percentile bootstrap of the test items, 2000 draws, clustered by orbit",
        rows=tuple(rows),
    )


def selected(spec: StudySpec, rng: np.random.Generator) -> Selection:
    n = len(spec.tasks)
    cosine = np.eye(n) + np.triu(rng.uniform(0.02, 0.4, (n, n)), 1)
    return Selection(
        sets=tuple(
            SetRow(
                name=task,
                task=task,
                indices=tuple(range(4 * i, 4 * i + 4)),
                scores=tuple(sorted(rng.uniform(0.6, 1, 4).tolist(), reverse=True)),
                stability_mean=0.7 + 0.01 * i,
                stability_low=0.5,
                stability_high=0.9,
            )
            for i, task in enumerate(spec.tasks)
        ),
        jaccard=tuple(tuple(row) for row in np.eye(n).tolist()),
        decoder_cosine=tuple(tuple(row) for row in np.maximum(cosine, cosine.T).tolist()),
        stability_draws=50,
    )


def with_readings(table: AnswerTable, rng: np.random.Generator) -> AnswerTable:
    """Figures in proportion to the share of answers that changed; the baseline has none."""
    names, columns = table.names, {}
    size = table.changed(names).mean(axis=1, keepdims=True)
    for name in READINGS:
        columns[name] = rng.gamma(2, np.maximum(size, 1e-9), table.main.answer.shape)
        columns[name][0] = np.nan
    logprobs = rng.normal(-3, 1, (*table.main.answer.shape, 4))
    gold = [item.gold_index for item in table.items]
    logprobs[:, np.arange(len(gold)), gold] += 3 - size
    return replace(table, main=replace(table.main, columns=columns, option_logprobs=logprobs.astype(np.float32)))


def swept(
    spec: StudySpec, planted: Mapping[Pair, float], rng: np.random.Generator
) -> tuple[AnswerTable, AnswerTable | None]:
    """Simulated under every edit; the baseline is the same, as all draw it first and from the same stream. The second
    baseline and the conditions of strength zero answer as it does."""
    tables = {}
    for place, edit in enumerate(spec.sweep.edits):
        at_edit = spec.model_copy(update={"verdict": spec.verdict.model_copy(update={"edit": edit})})
        world = World(margin=2.6, strength=0.5 + 0.25 * place)
        tables[edit] = simulate(at_edit, np.random.default_rng(7), world=world, planted=planted)
    first = next(iter(tables.values())).table
    zeros = [parse_condition(f"{task}:scale=1", EditSpec(kind="ablate")) for task in spec.tasks]
    codes = np.repeat(first.main.answer[:1], len(zeros) + 1, axis=0)
    none = np.zeros((*codes.shape, 0), dtype=np.float32)
    words = (BASELINE, *(zero.name for zero in zeros))
    main = replace(first.main, names=words, read=codes, answer=codes, option_logprobs=none)
    same = replace(first, conditions=(first.conditions[0], *map(asked_condition, zeros)), main=main)
    table = reduce(together, [each.table for each in tables.values()], same)
    table = with_readings(table, rng)
    passes = {"other_batches": table.main.take([0])}
    return replace(table, passes=passes), tables[spec.verdict.edit].controls


def study(
    settings: dict[str, Any],
    planted: Mapping[Pair, float] = MappingProxyType({}),
    excluded: tuple[Exclusion, ...] = (),
    skip: int = 0,
) -> StudyResults:
    """A study that went through the statistics of a real one; of the first kind of control `skip` draws are missing."""
    spec, rng = StudySpec.model_validate(settings), np.random.default_rng(3)
    table, controls = swept(spec, planted, rng)
    if controls is not None and skip:
        gone = [control_set(task, spec.controls.kinds[0], draw) for task in spec.tasks for draw in range(skip)]
        controls = controls.under([name for name in controls.names if not any(part in name for part in gone)])
    pairs, tests = analyse(table, controls, spec)
    probing = localized(spec, rng)
    return StudyResults(
        spec=spec,
        model_fingerprint="0123456789abcdef",
        sae_fingerprint="fedcba9876543210",
        generator_version="1",
        versions={"numpy": np.__version__},
        n_items=len(table.items),
        n_control_items=len((controls or table).items),
        probing=probing,
        layer=probing.layer,
        reconstruction=ReconstructionQuality(n_tokens=1000, fvu=0.0712, n_dead=3, d_sae=64, mean_l0=8.0),
        splice=SpliceQuality(n_items=84, loss_plain=0.2, loss_spliced=0.3, accuracy_plain=0.9, accuracy_spliced=0.85),
        selection=selected(spec, rng),
        floor=floor_rows(table, statistics_of(spec)),
        rows=study_rows(table, spec),
        pairs=pairs,
        controls=tests,
        excluded=excluded,
    )


@lru_cache(maxsize=1)
def interfering() -> StudyResults:
    return study(SMALL, {("counting", "logic"): 0.6})


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report that was written from results which have been a file."""
    folder = tmp_path_factory.mktemp("report")
    results = StudyResults.model_validate_json(interfering().model_dump_json())
    write_report(results, folder)
    return folder


def tables(text: str) -> Iterator[list[list[str]]]:
    """Cells of every table, heads included."""
    for found in re.finditer(r"(?:^\|.*\|$\n?)+", text, re.MULTILINE):
        rows = [re.split(r"(?<!\\) \| ", line[2:-2]) for line in found[0].splitlines()]
        yield [rows[0], *rows[2:]]


def numbers(value: Any) -> Iterator[float]:
    """Every number in a JSON document, those inside of strings too."""
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, int | float):
        yield float(value)
    elif isinstance(value, str):
        yield from map(float, re.findall(r"\d+(?:\.\d+)?", value))
    else:
        children = list(value.values() if isinstance(value, dict) else value)
        yield float(len(children))
        for child in children:
            yield from numbers(child)


def spellings(value: float) -> set[str]:
    """How a number of the results may be written."""
    size = abs(value)
    return {
        f"{100 * size:.1f}",
        *(["0.0001"] if size < 0.0001 else []),
        f"{size:,.0f}",
        *(f"{size:.{digits}f}" for digits in (0, 2, 3, 4)),
        f"{size:.2g}",
        f"{size:g}",
    }


_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?")
_OWN = ("condition", "name", "sets", "parts")
"""Fields that name what a record is about: a condition, a set or a pair."""


def named(value: Any) -> Iterator[tuple[str, Any]]:
    """(name, record) of every record in a JSON document: its condition, set, task or pair."""
    if isinstance(value, dict):
        for key in _OWN:
            name = value.get(key)
            if isinstance(name, list) and name and all(isinstance(part, str) for part in name):
                yield "+".join(name), value
            elif isinstance(name, str):
                yield name, value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from named(child)


def test_every_number_of_every_table_is_in_the_record_that_its_row_is_about(written: Path) -> None:
    document = json.loads(interfering().model_dump_json())
    everywhere = {text for value in numbers(document) for text in spellings(value)}
    about: dict[str, set[str]] = {}
    for name, record in named(document):
        # The tables are of the verdict's edit on all items; controls have a file of their own.
        elsewhere = record.get("scope", "all") != "all" or record.get("edit") not in (None, "scale=4")
        if not elsewhere and "draws" not in record:
            about.setdefault(name, set()).update(text for value in numbers(record) for text in spellings(value))
    strict, loose = [], 0
    for table in tables((written / REPORT_FILE).read_text(encoding="utf-8")):
        for row in table[1:]:
            label = row[0].strip("`").replace(" + ", "+").replace("\\", "")
            known = about.get(label, everywhere)
            for cell in row:
                for number in _NUMBER.findall(re.sub(r"`[^`]*`", "", cell).replace("−", "-")):
                    assert number in known, (number, row)
                    if label in about:
                        strict.append((number, known))
                    else:
                        loose += 1
    assert len(strict) > loose
    # The check can fail: of a tenth more or less, most are not the record's.
    wrong = [
        f"{float(number) + step:.1f}" in known
        for number, known in strict
        if re.fullmatch(r"\d+\.\d", number)
        for step in (0.1, 0.7, 3.1)
    ]
    assert sum(wrong) < 0.3 * len(wrong)


def test_a_row_of_each_of_the_main_tables_by_hand(written: Path) -> None:
    results = interfering()
    text = (written / REPORT_FILE).read_text(encoding="utf-8").replace("\N{MINUS SIGN}", "-")
    pair = next(p for p in results.pairs if p.parts == ("counting", "logic") and p.form == "raw" and p.verdict)
    drift, accuracy = pair.drift_interaction, pair.accuracy_interaction
    assert drift.value is not None
    assert drift.low is not None
    assert drift.high is not None
    assert accuracy.value is not None
    assert (
        f"| `counting+logic` | {100 * drift.value:+.1f} [{100 * drift.low:+.1f}, {100 * drift.high:+.1f}] | "
        f"{pair.p_drift_adjusted:.2g} | {100 * accuracy.value:+.1f} ["
    ) in text
    row = results.row("counting:scale=4")
    assert row is not None
    assert row.drift is not None
    assert row.difference is not None
    values = (row.difference, row.drift.share)
    gain, share = ((100 * (f.value or 0), 100 * (f.low or 0), 100 * (f.high or 0)) for f in values)
    words = "| {:+.1f} [{:+.1f}, {:+.1f}] | {:.2g} | {:.1f} [{:.1f}, {:.1f}] |"
    assert words.format(*gain, row.p_difference_adjusted, *share) in text


def leaves(value: Any) -> Iterator[str | float]:
    """Every number and text in a JSON document, the words of a list as one."""
    if isinstance(value, list) and value and isinstance(value[0], str):
        value = "+".join(value)
    if isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from leaves(child)
    elif value is not None:
        yield value


def test_every_row_of_the_results_is_in_a_file_beside_the_report(written: Path) -> None:
    """All that a record holds is in its row, numbers in full precision."""
    document = json.loads(interfering().model_dump_json())
    places = {
        "conditions": document["rows"],
        "pairs": document["pairs"],
        "controls": document["controls"],
        "noise_floor": document["floor"],
        "probes": document["probing"]["rows"],
        "layers": document["probing"]["choices"],
        "sae": [document["reconstruction"], document["splice"]],
        "sets": document["selection"]["sets"],
    }
    assert places.keys() == TABLES.keys() - {"overlap", "excluded"}
    for name, records in places.items():
        with (written / TABLES_FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as opened:
            heads, *found = csv.reader(opened)
        assert len(found) == len(records) > 0
        assert len(set(heads)) == len(heads)
        for record, row in zip(records, found, strict=True):
            # What a spreadsheet would compute has an apostrophe before it.
            cells = sorted(cell.replace("'", "") for cell in row if cell)
            assert cells == sorted(str(leaf).replace("'", "") for leaf in leaves(record))


def test_heads_are_the_places_in_the_results(written: Path) -> None:
    results = interfering()
    with (written / TABLES_FOLDER / "pairs.csv").open(encoding="utf-8", newline="") as opened:
        first = next(csv.DictReader(opened))
    pair = results.pairs[0]
    assert (first["parts"], first["condition"], first["verdict"]) == (
        "+".join(pair.parts),
        pair.condition,
        pair.verdict,
    )
    assert float(first["drift_interaction_low"]) == pair.drift_interaction.low
    with (written / TABLES_FOLDER / "controls.csv").open(encoding="utf-8", newline="") as opened:
        control = next(csv.DictReader(opened))
    assert [float(control[f"draws_{i}"]) for i in range(1, 21)] == list(results.controls[0].draws)
    with (written / TABLES_FOLDER / "overlap.csv").open(encoding="utf-8", newline="") as opened:
        overlaps = {
            (row["a"], row["b"]): (float(row["jaccard"]), float(row["decoder_cosine"]))
            for row in csv.DictReader(opened)
        }
    selection = results.selection
    assert overlaps["counting", "logic"] == (selection.jaccard[0][2], selection.decoder_cosine[0][2])
    assert len(overlaps) == 3


def test_the_report_is_short_and_its_links_lead_somewhere(written: Path) -> None:
    text = (written / REPORT_FILE).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 250
    links = set(re.findall(r"\]\(([^)#]+)\)", text)) - {"results.json"}
    assert links == {file.relative_to(written).as_posix() for file in written.glob("*/*")}
    assert {Path(link).stem for link in links if link.endswith(".csv")} == TABLES.keys() - {"excluded"}
    assert "union" not in text


def test_the_shipped_report_is_that_of_its_results() -> None:
    folder = Path(__file__).parents[2] / "docs" / "studies" / "vsc-tiny"
    text = report_text(read_results(folder))
    assert (folder / REPORT_FILE).read_text(encoding="utf-8") == text
    assert len(text.splitlines()) <= 250
    assert all((folder / link).is_file() for link in re.findall(r"\]\(([^)#]+)\)", text))


def test_the_answer_counts_the_verdicts_and_claims_no_more(written: Path) -> None:
    results = interfering()
    found, denied, unclear = results.verdict_counts("raw")
    assert found == 1, "the planted pair"
    assert found + denied + unclear == 3
    text = (written / REPORT_FILE).read_text(encoding="utf-8")
    assert f"**1 interferes**, {denied} do" in text
    assert "it holds in part: 1 of 3 pairs interfere" in text
    assert "it holds for every pair" not in text


def test_where_nothing_is_found_the_claim_is_not_shown_or_does_not_hold() -> None:
    settings = {**SMALL, "verdict": {"edit": "scale=4", "margin": 0.001}}
    nothing = study(settings)
    assert nothing.verdict_counts("raw") == (0, 0, 3)
    assert "it is not shown: no pair meets the rule, which does not mean that none interferes" in report_text(nothing)
    denied = study({**settings, "verdict": {"edit": "scale=4", "margin": 1.0}})
    assert denied.verdict_counts("raw") == (0, 3, 0)
    assert "it does not hold: no pair does more harm than its parts by 100 points" in report_text(denied)


def test_every_figure_is_shown_once_drawn_and_described(written: Path) -> None:
    text = (written / REPORT_FILE).read_text(encoding="utf-8")
    shown = re.findall(r"!\[([^\]]+)\]\(([^)]+)\)", text)
    assert len({path for _, path in shown}) == len(shown)
    assert {path for _, path in shown} == {f"{FIGURES_FOLDER}/{name}" for name in report_figures(interfering())}
    for alt, path in shown:
        assert len(alt) > 20
        with Image.open(written / path) as picture:
            assert picture.format == "PNG"
            assert min(picture.size) > 400
            assert len(np.unique(np.asarray(picture.convert("L")))) > 20, f"{path} is empty"


def test_the_same_results_give_the_same_bytes_and_leave_no_trace(written: Path, tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "pink", "savefig.bbox": "tight"}):
        set_by_user = dict(matplotlib.rcParams)
        files = write_report(interfering(), tmp_path)
        assert dict(matplotlib.rcParams) == set_by_user
    assert dict(matplotlib.rcParams) == before
    assert sorted(files) == sorted(path for path in tmp_path.rglob("*") if path.is_file())
    for file in files:
        assert file.read_bytes() == (written / file.relative_to(tmp_path)).read_bytes(), file.name
        assert b"Software" not in file.read_bytes() or file.name == "probes.png"


def test_the_spec_beside_the_report_is_the_study_s_own(written: Path) -> None:
    assert load_yaml_spec(written / TABLES_FOLDER / "study.yaml", StudySpec) == interfering().spec


def test_two_tasks_one_edit_and_neither_norm_matching_nor_controls(tmp_path: Path) -> None:
    results = study(
        {
            "tasks": ["counting", "logic"],
            "sweep": {"items_per_cell": 4, "edits": ["ablate"], "norm_match": None},
            "controls": {"items_per_cell": 4, "draws": 0},
            "statistics": STATISTICS,
            "verdict": {"edit": "ablate", "control_kinds": []},
        }
    )
    write_report(results, tmp_path)
    text = (tmp_path / REPORT_FILE).read_text(encoding="utf-8")
    assert "Of 1 pair under `ablate`" in text
    assert "norm-matched" not in text.lower()
    assert "The study ran no controls" in text
    assert not (tmp_path / TABLES_FOLDER / "controls.csv").exists()
    assert not (tmp_path / FIGURES_FOLDER / "controls.png").exists()


def test_excluded_draws_and_undefined_figures_are_shown_with_their_reasons() -> None:
    why = "Only 3 features fire as often as `counting` <wants> | it."
    results = study(SMALL, excluded=(Exclusion(what="random_sets, draws 0, 1 (2 in all)", why=why),), skip=2)
    quality = results.reconstruction.model_copy(update={"fvu": None})
    row = results.selection.sets[0].model_copy(
        update={"stability_mean": None, "stability_low": None, "stability_high": None}
    )
    selection = results.selection.model_copy(update={"sets": (row, *results.selection.sets[1:])})
    undefined = {"p_difference_adjusted": None}
    rows = tuple(r if r.role == "baseline" else r.model_copy(update=undefined) for r in results.rows)
    text = report_text(results.model_copy(update={"reconstruction": quality, "selection": selection, "rows": rows}))
    assert "no sample chose a set" in text
    assert "Only 3 features fire as often as \\`counting\\` &#60;wants&#62; &#124; it." in text
    assert "2 of 20 draws were excluded" in text
    assert "| fraction of variance unexplained | – |" in text
    assert "– is undefined: the activations are constant." in text


def test_norm_matched_to_the_larger_and_some_pairs_only(tmp_path: Path) -> None:
    pairs = [["counting", "logic"]]
    settings = {
        **SMALL,
        "sweep": {"items_per_cell": 4, "edits": ["scale=4:image"], "pairs": pairs, "norm_match": "max"},
        "verdict": {"edit": "scale=4:image", "outcomes": ["drift"], "correction": "bh"},
    }
    results = study(settings)
    write_report(results, tmp_path)
    assert (tmp_path / FIGURES_FOLDER / interference_name("scale=4:image")).is_file()
    text = (tmp_path / REPORT_FILE).read_text(encoding="utf-8")
    assert "less the larger drift and the smaller accuracy difference" in text
    assert "Benjamini-Hochberg" in text


HOSTILE = "evil|model`` $x_{$ <script>alert(1)</script> ![x](http://x) \n# head"


def test_a_hostile_model_name_stays_a_name(tmp_path: Path) -> None:
    spec = {**SMALL, "model": HOSTILE, "revision": "a`b|c"}
    results = study(spec)
    write_report(results, tmp_path)
    text = (tmp_path / REPORT_FILE).read_text(encoding="utf-8")
    outside = re.sub(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", "", text)
    assert "<script>" not in outside
    assert "http://x" not in outside
    assert not re.search(r"^# head", text, re.MULTILINE)
    widths = {len(table[0]) for table in tables(text)}
    assert all(len(row) == len(table[0]) for table in tables(text) for row in table), widths
    assert load_yaml_spec(tmp_path / TABLES_FOLDER / "study.yaml", StudySpec).model == HOSTILE


def test_matplotlib_is_loaded_only_to_draw() -> None:
    for file in Path(report.__file__).parent.glob("*.py"):
        top = ast.parse(file.read_text(encoding="utf-8")).body
        loaded = [ast.unparse(line) for line in top if isinstance(line, ast.Import | ast.ImportFrom)]
        assert not [line for line in loaded if "matplotlib" in line], file.name
