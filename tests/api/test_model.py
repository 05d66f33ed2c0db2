"""A model that is asked freely gives the answers of a run, under an edit too, and is left as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import vsc_eval as vsc
from vsc_eval.backends.ask import open_session
from vsc_eval.interventions.edits import compile_condition, edit_delta

ITEM = "test/counting/easy/00000/D"

pytestmark = pytest.mark.xdist_group("api")


def n_hooks(model: vsc.Model) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.vlm.model.modules())


def test_its_answers_are_those_of_a_run(model: vsc.Model, run: vsc.Run, iv: vsc.Intervention) -> None:
    item, rows = vsc.find_item(ITEM), run.answers.set_index(["item_id", "condition"])
    letters = [f"logprob_{letter}" for letter in "abcd"]
    found = {"baseline": model.option_logprobs(item.image(), item.prompt)}
    for condition in (iv["counting"].scale(8), (iv["counting"] + iv["logic"]).scale(8, norm="mean")):
        with model.edited(condition) as same:
            assert same is model
            found[condition] = model.option_logprobs(item.image(), item.prompt)
    for name, logprobs in found.items():
        np.testing.assert_allclose(logprobs.to_numpy(), rows.loc[(ITEM, name), letters].astype(float), atol=2e-5)
    assert list(found["baseline"].index) == ["A", "B", "C", "D"]
    assert not np.allclose(found["baseline"], found["counting:scale=8"])


def test_an_edit_is_the_formula_at_its_layer(model: vsc.Model, iv: vsc.Intervention) -> None:
    """Against a hook of our own that adds the delta to every token."""
    item, condition = vsc.find_item(ITEM), iv["counting"].scale(8)
    compiled = compile_condition(condition.spec, iv.sets, iv.sae, iv.layer)

    def add(_module, _args, output):  # type: ignore[no-untyped-def]
        return output + edit_delta(compiled, output, iv.sae.encode_sparse(output), iv.sae)

    handle = model.vlm.decoder.layers[iv.layer].register_forward_hook(add)
    try:
        expected = model.option_logprobs(item.image(), item.prompt + " ")  # another prompt than those answered before
    finally:
        handle.remove()
    with model.edited(condition):
        found = model.option_logprobs(item.image(), item.prompt + " ")
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_any_prompt_is_answered(model: vsc.Model, iv: vsc.Intervention, tmp_path: Path) -> None:
    item = vsc.find_item(ITEM)
    item.image().save(tmp_path / "scene.png")
    text = model.generate(tmp_path / "scene.png", item.prompt)
    assert text == model.generate(item.image(), item.prompt) == item.answer
    assert isinstance(model.generate(None, "How many red circles?", max_new_tokens=2), str)
    with model.edited(iv["counting"]):  # its default edit
        assert model.generate(item.image(), item.prompt) == "C"
    with model.edited("counting:scale=4"):
        assert model.generate([item.image()], item.prompt) == "C"
    assert model.generate(item.image(), item.prompt) == text


def test_a_failure_leaves_the_model_as_it_was(model: vsc.Model, iv: vsc.Intervention) -> None:
    before, item = n_hooks(model), vsc.find_item(ITEM)
    with pytest.raises(vsc.SpecError, match="do not nest"), model.edited("counting"), model.edited("logic"):
        pass
    with pytest.raises(vsc.DataError, match="takes 2048"), model.edited("counting"):
        model.generate(item.image(), "word " * 3000)

    def fail(*_args: object) -> None:
        raise torch.OutOfMemoryError("no memory")

    handle = model.vlm.decoder.layers[5].register_forward_hook(fail)
    with pytest.raises(vsc.BackendError, match="memory"), model.edited("logic:scale=3"):
        model.generate(item.image(), item.prompt)
    handle.remove()
    assert n_hooks(model) == before
    assert model.generate(item.image(), item.prompt) == item.answer


def test_an_edit_without_tokens_is_refused(model: vsc.Model) -> None:
    with pytest.raises(vsc.VscError, match="image"), model.edited("counting:scale=4:image"):
        model.generate(None, "How many red circles?")


def test_one_engine_answers_under_all_edits_of_an_intervention(
    model: vsc.Model, iv: vsc.Intervention, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To start vLLM takes a minute."""
    opened = []

    def counted(*args, **settings):  # type: ignore[no-untyped-def]
        opened.append(settings)
        return open_session(*args, **settings)

    monkeypatch.setattr("vsc_eval.api.model.open_session", counted)
    item = vsc.find_item(ITEM)
    model.release()
    for condition in ("counting:scale=5", iv["logic"].scale(5), iv["logic"].ablate()):
        with model.edited(condition, iv):
            model.generate(item.image(), item.prompt)
    model.generate(item.image(), item.prompt)
    assert len(opened) == 1
    for expression in ("counting", "logic"):  # of the intervention named like the model
        with model.edited(expression):
            model.generate(item.image(), item.prompt)
    assert len(opened) == 2


def test_mistakes_are_told(model: vsc.Model, tmp_path: Path) -> None:
    with pytest.raises(vsc.SpecError, match="Did you mean 'counting'"), model.edited("countin"):
        pass
    with pytest.raises(vsc.SpecError, match=r"load_model: devise: unknown key.*Did you mean 'device'"):
        vsc.load_model("vsc-tiny", devise="cpu")
    with pytest.raises(vsc.SpecError, match="Unknown model 'vsc-tinny'"):
        vsc.load_model("vsc-tinny")
    with pytest.raises(vsc.SpecError, match="dtype"):
        vsc.load_model("vsc-tiny", dtype="float8")
    (tmp_path / "no.png").write_text("nothing")
    with pytest.raises(vsc.DataError, match="cannot be read"):
        model.generate(tmp_path / "no.png", "?")
