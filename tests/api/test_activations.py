"""Activations over tokens and patches, against the SAE's own formula on the layer's output."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import vsc_eval as vsc

ITEM = "test/counting/easy/00000/D"

pytestmark = pytest.mark.xdist_group("api")


@pytest.fixture(scope="module")
def acts(model: vsc.Model, iv: vsc.Intervention) -> vsc.Activations:
    item = vsc.find_item(ITEM)
    return iv.activations(model, item.image(), item.prompt)


def test_values_are_the_saes(model: vsc.Model, iv: vsc.Intervention, acts: vsc.Activations) -> None:
    item, kept = vsc.find_item(ITEM), []
    handle = model.vlm.decoder.layers[iv.layer].register_forward_hook(lambda _m, _a, output: kept.append(output))
    model.option_logprobs(item.image(), item.prompt + "  ")
    handle.remove()
    sae = iv.sae
    with torch.no_grad():
        pre = ((kept[0][0] - sae.b_dec) @ sae.W_enc + sae.b_enc)[: len(acts.tokens) - 8].relu()
    values = acts.values[:, : len(pre)].T
    assert acts.values.shape == (1024, len(acts.tokens))
    fires = values > 0
    np.testing.assert_allclose(values[fires], pre.numpy()[fires], rtol=1e-4, atol=1e-2)
    assert (fires.sum(axis=1) <= 16).all()
    np.testing.assert_array_equal(acts[439], acts.values[439])


def test_patches_are_the_pictures_grid(acts: vsc.Activations) -> None:
    assert acts.grid == (14, 14)
    assert acts.is_image.sum() == 196
    feature = int(acts.top(1, where="image")["feature"][0])
    grid = acts.patches(feature)
    assert grid.shape == (14, 14)
    assert grid.max() == acts[feature][acts.is_image].max() > 0
    # The feature fires on the crosses of the picture, so where it is not of the background's colour.
    picture = np.asarray(vsc.find_item(ITEM).image().convert("L"), dtype=float).reshape(14, 32, 14, 32)
    busy = np.ptp(picture, axis=(1, 3)) > 0
    assert busy[grid > 0].mean() > 0.5 > busy.mean()
    axes = acts.plot(feature)
    assert f"feature {feature}" in axes.get_title()


def test_top_is_sorted_and_counts(acts: vsc.Activations) -> None:
    top = acts.top(5)
    assert list(top.columns) == ["feature", "largest", "mean", "n_tokens"]
    assert top["largest"].is_monotonic_decreasing
    values = acts.values[top["feature"]]
    np.testing.assert_allclose(top["largest"], values.max(axis=1))
    np.testing.assert_allclose(top["mean"], values.mean(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(top["n_tokens"], (values > 0).sum(axis=1))


def test_what_has_no_grid_says_so(model: vsc.Model, iv: vsc.Intervention, acts: vsc.Activations) -> None:
    item = vsc.find_item(ITEM)
    assert iv.activations(model, [item.image(), item.image()], item.prompt).grid is None
    blind = iv.activations(model, None, item.prompt)
    assert (blind.grid, blind.image, blind.is_image.any()) == (None, None, False)
    with pytest.raises(vsc.BackendError, match="exactly one picture"):
        blind.patches(3)
    with pytest.raises(vsc.SpecError, match="0 to 1023"):
        acts[1024]
