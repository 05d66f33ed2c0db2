"""Conditions as objects are the conditions of the command line."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

import vsc_eval as vsc
from vsc_eval.specs import parse_condition

pytestmark = pytest.mark.xdist_group("api")


def test_an_edit_is_named_as_the_grammar_names_it(iv: vsc.Intervention) -> None:
    counting, logic = iv["counting"], iv["logic"]
    both = counting + logic
    made = {
        counting.scale(4): "counting:scale=4",
        counting.scale(0.25): "counting:scale=0.25",
        counting.scale(1e-7): "counting:scale=1e-07",
        counting.ablate(positions="image"): "counting:ablate:image",
        logic.clamp(5, prefill=True): "logic:clamp=5:prefill",
        logic.add(-3.5, positions="last", random=7): "logic:add=-3.5:last:random=7",
        both.scale(4, norm="max"): "counting+logic:scale=4:norm=max",
        both.edit(): "counting+logic",
        vsc.Condition("logic:scale=3", iv): "logic:scale=3",
    }
    for condition, expression in made.items():
        assert condition == expression
        assert condition.spec == parse_condition(expression, iv.default_edit)
        assert repr(condition) == f"Condition('{expression}')"
        again = pickle.loads(pickle.dumps(counting.scale(4)))
        assert (again, again.spec) == ("counting:scale=4", counting.scale(4).spec)


def test_sets_are_combined(iv: vsc.Intervention) -> None:
    counting, logic = iv["counting"], iv["logic"]
    both = counting + logic
    assert both.names == ("counting", "logic")
    assert set(both.indices) == {*counting.indices, *logic.indices}
    assert len(both) == len(set(both.indices))
    assert repr(both) == f"FeatureSet('counting+logic', {len(both)} features)"
    assert list(iv)[:1] == ["counting"]
    assert "counting" in iv
    assert "nothing" not in iv


def test_sets_of_ones_own(iv: vsc.Intervention) -> None:
    mine = vsc.load_intervention("vsc-tiny", sets={"mine": [3, 17]}, edit="clamp=2:image")
    assert mine["mine"].indices == (3, 17)
    assert mine["mine"].edit().spec.edit == parse_condition("x:clamp=2:image", iv.default_edit).edit
    assert len(mine) == len(iv) + 1


def test_an_sae_with_sets(iv: vsc.Intervention, tmp_path: Path) -> None:
    made = vsc.load_intervention(sae=iv.folder / "sae", sets={"mine": [3, 17]})
    assert (made.layer, made.sae.fingerprint()) == (4, iv.sae.fingerprint())
    assert made["mine"].edit().spec == parse_condition("mine:scale=2:all", iv.default_edit).model_copy(
        update={"name": "mine"}
    )
    folder = made.save(tmp_path / "saved")
    again = vsc.load_intervention(folder)
    assert again.spec == made.spec
    assert again.sae.fingerprint() == iv.sae.fingerprint()
    with pytest.raises(vsc.SpecError, match=r"layer 4.*not 2"):
        vsc.load_intervention(sae=iv.folder / "sae", layer=2)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda iv: iv["countin"], "Did you mean 'counting'"),
        (lambda iv: iv["counting"].scale(float("nan")), "finite"),
        (lambda iv: iv["counting"].scale(4, norm="mean"), "norm_match"),
        (lambda iv: iv["counting"].scale(4, position="image"), "no option 'position'.*positions"),
        (lambda iv: iv["counting"].ablate(positions="imag"), "Unknown modifier 'imag'"),
        (lambda iv: vsc.Condition("logic+a:ablate", iv), "Unknown feature set 'a'"),
        (lambda iv: (iv["counting"] + iv["counting"]).ablate(), "twice"),
        (lambda iv: iv["counting"] + vsc.load_intervention("vsc-tiny")["logic"], "two interventions"),
        (lambda iv: vsc.load_intervention("vsc-tiny", sets={"mine": [1024]}), "0 to 1023"),
        (lambda iv: vsc.load_intervention("vsc-tiny", sets={"mine": []}), "no indices"),
        (lambda iv: vsc.load_intervention("vsc-tiny", sets={"counting": [3]}), "the same name"),
        (lambda iv: vsc.load_intervention("vsc-tiny", layer=3), "`layer`"),
        (lambda iv: vsc.load_intervention(), "by its name, or made of an SAE"),
        (lambda iv: vsc.load_intervention("vsc-tin"), "There is no intervention 'vsc-tin'"),
    ],
)
def test_mistakes_are_told(iv: vsc.Intervention, make, says: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(vsc.SpecError, match=says):
        make(iv)
