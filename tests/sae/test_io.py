"""SAE folders: round trips, the layouts of other libraries, and damage."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from vsc_eval.errors import BackendError, DataError, SpecError
from vsc_eval.sae.model import SAE, SAEConfig
from vsc_eval.sae.readers.saelens import CONFIG_FILE, WEIGHTS_FILE, load_sae, read_sae_metadata, save_sae

D, F = 6, 20


def make_sae(activation: str = "topk", *, topk_relu: bool = True) -> SAE:
    generator = torch.Generator().manual_seed(3)
    k = 3 if activation in ("topk", "batchtopk") else None
    sae = SAE(SAEConfig(d_in=D, d_sae=F, k=k, activation=activation, topk_relu=topk_relu))  # type: ignore[arg-type]
    sae.requires_grad_(False)
    for tensor in sae.state_dict().values():
        tensor.copy_(torch.randn(tensor.shape, generator=generator))
    return sae


def tokens() -> Tensor:
    return torch.randn(50, D, generator=torch.Generator().manual_seed(8))


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / CONFIG_FILE
    config = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not ...}))


def edit_weights(folder: Path, **changes: Tensor | None) -> None:
    path = folder / WEIGHTS_FILE
    weights = {**load_file(path), **changes}
    save_file({name: t.contiguous() for name, t in weights.items() if t is not None}, path)


@pytest.mark.parametrize("activation", ["topk", "relu", "jumprelu"])
def test_round_trip_is_exact(tmp_path: Path, activation: str) -> None:
    sae = make_sae(activation)
    save_sae(sae, tmp_path / "deep" / "sae", {"layer": 3})
    again = load_sae(tmp_path / "deep" / "sae", d_model=D)
    assert again.cfg == sae.cfg
    assert again.fingerprint() == sae.fingerprint()
    assert torch.equal(again(tokens()), sae(tokens()))
    assert not any(p.requires_grad for p in again.parameters())
    assert read_sae_metadata(tmp_path / "deep" / "sae")["layer"] == 3
    assert sorted(p.name for p in (tmp_path / "deep" / "sae").iterdir()) == [CONFIG_FILE, WEIGHTS_FILE]


def test_a_batch_top_k_sae_is_a_jumprelu_to_others_and_itself_to_us(tmp_path: Path) -> None:
    sae = make_sae("batchtopk")
    save_sae(sae, tmp_path)
    assert json.loads((tmp_path / CONFIG_FILE).read_text())["architecture"] == "jumprelu"
    again = load_sae(tmp_path)
    assert again.cfg == sae.cfg
    assert again.fingerprint() == sae.fingerprint()
    edit_config(tmp_path, metadata={})
    plain = load_sae(tmp_path)
    assert plain.cfg.activation == "jumprelu"
    assert torch.equal(plain(tokens()), sae(tokens()))


def test_a_top_k_without_relu_keeps_negative_values_and_sae_lens_cannot_misread_it(tmp_path: Path) -> None:
    sae = make_sae(topk_relu=False)
    sae.b_enc.fill_(-10.0)
    codes = sae.encode_sparse(tokens())
    assert (codes.values < 0).all()
    assert not torch.equal(sae(tokens()), sae.b_dec.expand(50, D))
    save_sae(sae, tmp_path)
    assert json.loads((tmp_path / CONFIG_FILE).read_text())["architecture"] == "topk_signed"
    again = load_sae(tmp_path)
    assert again.fingerprint() == sae.fingerprint() != make_sae().fingerprint()
    assert torch.equal(again(tokens()), sae(tokens()))


def test_activations_ranked_by_decoder_norm_are_folded(tmp_path: Path) -> None:
    sae = make_sae()
    save_sae(sae, tmp_path)
    edit_config(tmp_path, rescale_acts_by_decoder_norm=True)
    # The other library's definition: rank and keep pre * norm, decode with rows / norm.
    norm = sae.W_dec.norm(dim=1)
    ranked = sae.pre_activations(tokens()) * norm
    values, indices = ranked.topk(3)
    dense = torch.zeros(50, F).scatter(1, indices, values.relu())
    folded = load_sae(tmp_path)
    torch.testing.assert_close(folded.encode(tokens()), dense, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(folded(tokens()), (dense / norm) @ sae.W_dec + sae.b_dec, rtol=1e-5, atol=1e-5)


def test_a_zero_row_ranked_by_decoder_norm_never_fires(tmp_path: Path) -> None:
    sae = make_sae()
    busiest = int((sae.encode(tokens()) > 0).sum(0).argmax())
    sae.W_dec[busiest] = 0
    save_sae(sae, tmp_path)
    edit_config(tmp_path, rescale_acts_by_decoder_norm=True)
    assert not load_sae(tmp_path).encode(tokens())[:, busiest].any()


def test_a_file_without_the_encoder_is_named_also_where_rows_are_folded(tmp_path: Path) -> None:
    save_sae(make_sae(), tmp_path)
    edit_config(tmp_path, rescale_acts_by_decoder_norm=True)
    edit_weights(tmp_path, W_enc=None)
    with pytest.raises(DataError, match="has no tensor 'W_enc'"):
        load_sae(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"), [("log_threshold", torch.linspace(-2, 1, F)), ("topk_threshold", torch.tensor(0.7))]
)
def test_other_names_of_the_threshold(tmp_path: Path, name: str, value: Tensor) -> None:
    save_sae(make_sae("jumprelu"), tmp_path)
    edit_weights(tmp_path, threshold=None, **{name: value})
    threshold = load_sae(tmp_path).threshold
    assert threshold is not None
    torch.testing.assert_close(threshold, value.exp() if name == "log_threshold" else torch.full((F,), 0.7))


def test_half_precision_weights_become_float32(tmp_path: Path) -> None:
    save_sae(make_sae(), tmp_path)
    edit_weights(tmp_path, W_enc=make_sae().W_enc.to(torch.bfloat16))
    assert load_sae(tmp_path).W_enc.dtype == torch.float32


def test_another_width_names_both_and_the_mend(tmp_path: Path) -> None:
    save_sae(make_sae(), tmp_path)
    with pytest.raises(DataError) as caught:
        load_sae(tmp_path, d_model=256)
    assert "width 6" in caught.value.message
    assert "width 256" in caught.value.message
    assert "vsc-eval sae train" in caught.value.hint


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_truncated_weights(tmp_path: Path, keep: int) -> None:
    save_sae(make_sae(), tmp_path)
    path = tmp_path / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=f"{WEIGHTS_FILE} cannot be read, it may be truncated"):
        load_sae(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "gated"}, "architecture 'gated' is not supported"),
        ({"architecture": ...}, "architecture None is not supported"),
        ({"normalize_activations": "layer_norm"}, "normalised by 'layer_norm'"),
        ({"d_sae": ...}, "lacks the key 'd_sae'"),
        ({"d_sae": "many"}, "d_sae: input should be a valid integer"),
        ({"k": ...}, "a topk SAE needs `k`"),
        ({"k": F + 1}, "is larger than `d_sae`"),
        ({"d_sae": F - 1}, r"'W_enc' has shape \[6, 20\], but the config says \[6, 19\]"),
        ({"d_in": D + 1}, r"'W_enc' has shape \[6, 20\], but the config says \[7, 20\]"),
    ],
)
def test_wrong_configs(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    save_sae(make_sae(), tmp_path)
    edit_config(tmp_path, **changes)
    with pytest.raises(DataError, match=message) as caught:
        load_sae(tmp_path)
    assert str(tmp_path) in caught.value.message
    assert "Value error" not in str(caught.value)


def test_wrong_weights(tmp_path: Path) -> None:
    save_sae(make_sae(), tmp_path)
    edit_weights(tmp_path, b_dec=None)
    with pytest.raises(DataError, match="no tensor 'b_dec'"):
        load_sae(tmp_path)
    edit_weights(tmp_path, b_dec=torch.full((D,), torch.nan))
    with pytest.raises(DataError, match="'b_dec' holds NaN"):
        load_sae(tmp_path)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="There is no SAE folder"):
        load_sae(tmp_path / "nowhere")
    with pytest.raises(DataError, match="cannot be read"):
        load_sae(tmp_path)
    (tmp_path / CONFIG_FILE).write_text("{half")
    with pytest.raises(DataError, match="cannot be read"):
        load_sae(tmp_path)
    (tmp_path / CONFIG_FILE).write_text("[]")
    with pytest.raises(DataError, match="holds no JSON object"):
        load_sae(tmp_path)
    save_sae(make_sae(), tmp_path)
    (tmp_path / WEIGHTS_FILE).unlink()
    with pytest.raises(DataError, match="cannot be read"):
        load_sae(tmp_path)


def test_an_unwritable_place_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BackendError, match="cannot be written"):
        save_sae(make_sae(), tmp_path / "file" / "sae")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vsc_eval.files import replacing

    target = tmp_path / "kept.txt"
    target.write_text("old")

    def fill() -> None:
        with replacing(target) as partial:
            partial.write_text("half")
            with open("/dev/full", "w") as full:
                full.write("x")

    with pytest.raises(BackendError, match=r"kept\.txt cannot be written: No space left on device"):
        fill()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
