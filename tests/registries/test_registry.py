"""What every registry does: known names, duplicates, other packages that are broken, and no import before its time."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from installed import install, run_python

from vsc_eval.backends.registry import BACKENDS
from vsc_eval.edit_kinds import EDITS, EditKind
from vsc_eval.errors import SpecError
from vsc_eval.interventions.scores import SCORES
from vsc_eval.metrics import METRICS
from vsc_eval.registry import Registry
from vsc_eval.sae.readers import LAYOUTS
from vsc_eval.synthetic import SYNTHETIC_TASKS, TASKS

ALL = (EDITS, SCORES, METRICS, LAYOUTS, BACKENDS, SYNTHETIC_TASKS)
GROUP = "vsc_eval.colours"


class Colour(SimpleNamespace):
    name: str


RED, BLUE, OTHER = Colour(name="red"), Colour(name="blue"), Colour(name="other")


@pytest.fixture
def colours(monkeypatch: pytest.MonkeyPatch) -> Registry[Colour]:
    monkeypatch.setitem(sys.modules, "paints", SimpleNamespace(RED=RED, BLUE=BLUE, OTHER=OTHER, THREE=3))
    return Registry("colour", GROUP, {"red": "paints:RED"}, Colour)


def on_path(monkeypatch: pytest.MonkeyPatch, folder: Path, *parts: tuple[str, str], name: str = "pots") -> None:
    monkeypatch.syspath_prepend(install(folder, [(GROUP, entry, target) for entry, target in parts], name=name))


@pytest.mark.parametrize("registry", ALL, ids=lambda registry: registry.group)
def test_everything_of_ours_is_there_under_its_name(registry: Registry[EditKind]) -> None:
    assert registry.shipped == registry.names()
    assert tuple(thing.name for thing in registry) == registry.names()
    assert not registry.added()


def test_unknown_names_are_answered_with_the_known_ones(colours: Registry[Colour]) -> None:
    assert colours.get("red") is RED
    with pytest.raises(SpecError, match=r"Unknown colour 'rad'. Did you mean 'red'. Known colours: red."):
        colours.get("rad")
    with pytest.raises(ValueError, match=r"unknown colour 'rad'. Did you mean 'red'. Known colours: red$"):
        colours.valid("rad")
    assert colours.valid("red") == "red"


def test_a_thing_is_registered_once_and_taken_back(colours: Registry[Colour]) -> None:
    colours.register(BLUE)
    assert (colours.names(), colours.get("blue"), colours.added()) == (("red", "blue"), BLUE, ("blue",))
    for taken in (BLUE, Colour(name="red")):
        with pytest.raises(SpecError, match=f"There is a colour '{taken.name}' already"):
            colours.register(taken)
    colours.unregister("blue")
    assert "blue" not in colours
    with pytest.raises(SpecError, match="No colour 'red' was registered here"):
        colours.unregister("red")
    with pytest.raises(SpecError, match="3 is no colour: it is of type int, not Colour"):
        colours.register(3)  # type: ignore[arg-type]


def test_entry_points_come_after_ours_sorted(
    colours: Registry[Colour], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    on_path(monkeypatch, tmp_path, ("other", "paints:OTHER"), ("blue", "paints:BLUE"))
    assert colours.names() == ("red", "blue", "other")
    assert colours.get("other") is OTHER
    with pytest.raises(SpecError, match="There is a colour 'blue' already"):
        colours.register(BLUE)


@pytest.mark.parametrize(
    ("entry", "target", "message"),
    [
        ("blue", "nowhere.paints:BLUE", "cannot be imported: ModuleNotFoundError: No module named 'nowhere'"),
        ("blue", "paints:GREEN", "cannot be imported: AttributeError"),
        ("blue", "paints:THREE", "cannot be used: it is of type int, not Colour"),
        ("blue", "paints:OTHER", "cannot be used: its name is 'other'"),
    ],
)
def test_a_broken_package_is_named_and_does_not_touch_ours(
    colours: Registry[Colour],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    entry: str,
    target: str,
    message: str,
) -> None:
    on_path(monkeypatch, tmp_path, (entry, target))
    assert colours.get("red") is RED
    assert colours.names() == ("red", "blue")
    with pytest.raises(SpecError, match=f"The colour 'blue' of pots 1.0 .{target}. {message}"):
        colours.get("blue")


def test_two_packages_of_one_name_are_refused(
    colours: Registry[Colour], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    on_path(monkeypatch, tmp_path / "a", ("blue", "paints:BLUE"), name="pots")
    on_path(monkeypatch, tmp_path / "b", ("blue", "paints:OTHER"), name="pans")
    with pytest.raises(SpecError, match=r"Two packages give the colour 'blue': paints:.* and p.*s 1.0"):
        colours.names()
    assert colours.get("red") is RED


def test_a_package_cannot_take_a_name_of_ours(
    colours: Registry[Colour], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    on_path(monkeypatch, tmp_path, ("red", "paints:OTHER"))
    assert colours.get("red") is RED
    with pytest.raises(SpecError, match=r"Two packages give the colour 'red': paints:RED and pots 1.0"):
        colours.names()


def test_the_benchmark_is_ours_alone() -> None:
    assert TASKS == (
        "counting",
        "spatial_relation",
        "attribute_query",
        "comparison",
        "existence",
        "logic",
        "multi_hop",
    )


def test_other_packages_are_not_imported_for_what_is_ours(tmp_path: Path) -> None:
    parts = [(registry.group, f"extra_{n}", "outside_is_broken:THING") for n, registry in enumerate(ALL)]
    code = (
        "import sys\n"
        "import vsc_eval.cli.main\n"
        "from vsc_eval.specs import EditSpec, parse_condition\n"
        "from vsc_eval.synthetic import make_orbit\n"
        "edit = parse_condition('counting:scale=2:image', EditSpec(kind='ablate')).edit\n"
        "make_orbit('test', 'counting', 'easy', 0)\n"
        "print([name for name in ('torch', 'outside_is_broken') if name in sys.modules], edit.strength)\n"
    )
    done = run_python(code, install(tmp_path, parts))
    assert (done.stdout, done.returncode) == ("[] 2.0\n", 0), done.stderr
