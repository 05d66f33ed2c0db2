"""Loading: what works, and one clear error for each thing that can be wrong with a model."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from vsc_eval.backends.hf.decoder import find_decoder, why_not_split
from vsc_eval.backends.hf.engine import Engine
from vsc_eval.backends.hf.load import LoadedVLM, embed_patches_by_products, load_vlm
from vsc_eval.backends.hf.prompts import Prompt, encode_prompts
from vsc_eval.backends.protocol import GenSettings
from vsc_eval.errors import BackendError, DataError, SpecError

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(vlm_folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(vlm_folder, tmp_path / "model"))


def edit_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_loaded_model_is_ready(vlm: LoadedVLM, vlm_folder: Path) -> None:
    assert not vlm.model.training
    assert vlm.dtype == torch.float32
    assert vlm.tokenizer.padding_side == "left"
    assert vlm.decoder.n_layers == 4
    assert vlm.decoder.d_model == 48
    assert vlm.revision is None
    assert vlm.end_token_ids == {vlm.tokenizer.eos_token_id}
    assert vlm.fingerprint == load_vlm(vlm_folder).fingerprint


def test_the_fingerprint_knows_weights_settings_dtype_and_pixels(vlm: LoadedVLM, folder: Path) -> None:
    prints = {
        vlm.fingerprint,
        load_vlm(folder, dtype="bfloat16").fingerprint,
        load_vlm(folder, max_pixels=4096 * 4).fingerprint,
    }
    weights = load_file(folder / WEIGHTS)
    weights["lm_head.weight"][0, 0] += 1
    save_file(weights, folder / WEIGHTS, {"format": "pt"})
    prints.add(load_vlm(folder).fingerprint)
    (folder / "chat_template.jinja").write_text("{{ messages[0]['content'][-1]['text'] }}")
    prints.add(load_vlm(folder).fingerprint)
    (folder / "modeling.py").write_text("SCALE = 2")
    prints.add(load_vlm(folder).fingerprint)
    assert len(prints) == 6


def test_max_pixels_makes_fewer_image_tokens(folder: Path, prompts: list[Prompt]) -> None:
    small = load_vlm(folder, max_pixels=64 * 64, min_pixels=32 * 32)
    assert int(encode_prompts(small, prompts[:1]).image_mask.sum()) == 4
    with pytest.raises(SpecError, match="above max_pixels"):
        load_vlm(folder, max_pixels=100, min_pixels=200)
    with pytest.raises(SpecError, match="areas in pixels"):
        load_vlm(folder, max_pixels=0)


def test_bfloat16_runs(vlm_folder: Path, prompts: list[Prompt]) -> None:
    half = load_vlm(vlm_folder, dtype="bfloat16")
    assert half.dtype == torch.bfloat16
    reading = Engine(half, batch_size=4).read(prompts[:2], [None], GenSettings("loglikelihood"))[0][0]
    assert reading.option_logprobs is not None


@pytest.mark.parametrize("name", ["vsc-tinny", "/no/such/folder", "no such model", "./nowhere"])
def test_an_unknown_model(name: str) -> None:
    with pytest.raises(SpecError, match=f"Unknown model '{name}'"):
        load_vlm(name)


def test_a_near_miss_is_suggested() -> None:
    with pytest.raises(SpecError, match="Did you mean 'vsc-tiny'"):
        load_vlm("vsc-tinny")


def test_an_unreachable_hub_says_how_to_go_on() -> None:
    with pytest.raises(BackendError, match=r"hub cannot be reached.*--model /path/to/folder"):
        load_vlm("nobody/no-such-model")


def test_a_folder_without_config(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is not a model folder: it has no config\.json"):
        load_vlm(tmp_path)


@pytest.mark.parametrize("keep_bytes", [0, 5, 2000, -1])
def test_truncated_weights_are_named(folder: Path, keep_bytes: int) -> None:
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[:keep_bytes])
    with pytest.raises(DataError, match=r"model\.safetensors is truncated or damaged"):
        load_vlm(folder)


def test_a_missing_shard_is_named(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "model-2-of-2.safetensors"}}))
    with pytest.raises(DataError, match=r"model-2-of-2\.safetensors is missing"):
        load_vlm(folder)
    (folder / "model.safetensors.index.json").write_text("{")
    with pytest.raises(DataError, match=r"index\.json is damaged"):
        load_vlm(folder)


def test_a_missing_weight_is_no_random_weight(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    del weights["model.language_model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / WEIGHTS, {"format": "pt"})
    with pytest.raises(DataError, match=r"lacks 1 of its weights, for example .*layers\.1\.mlp\.up_proj"):
        load_vlm(folder)


@pytest.mark.parametrize("pickle_name", ["pytorch_model.bin", "model.pt"])
def test_pickled_weights_are_refused(folder: Path, pickle_name: str) -> None:
    (folder / WEIGHTS).rename(folder / pickle_name)
    with pytest.raises(BackendError, match="pickled weights only"):
        load_vlm(folder)


def test_no_weights_at_all(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    with pytest.raises(DataError, match="holds no weights"):
        load_vlm(folder)


def test_a_text_model_is_no_vlm(tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(vocab_size=20, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    with pytest.raises(BackendError, match=r"is no vision-language model.*'llama'"):
        load_vlm(tmp_path)


def test_remote_code_is_not_run_unless_asked(folder: Path) -> None:
    edit_json(
        folder / "config.json",
        model_type="somebodys_vlm",
        auto_map={"AutoConfig": "evil.Config", "AutoModelForImageTextToText": "evil.Model"},
    )
    (folder / "evil.py").write_text("raise SystemExit('remote code ran')\n")
    with pytest.raises(DataError, match="cannot be read"):
        load_vlm(folder)


def test_unknown_dtype_and_device(vlm_folder: Path) -> None:
    with pytest.raises(SpecError, match="Unknown dtype 'float12'"):
        load_vlm(vlm_folder, dtype="float12")  # type: ignore[arg-type]
    with pytest.raises(BackendError, match="device 'warp:3' cannot be used"):
        load_vlm(vlm_folder, device="warp:3")


# The patch embedding as a product.


def test_products_are_the_convolution(vlm: LoadedVLM, vlm_folder: Path, prompts: list[Prompt]) -> None:
    from transformers import AutoModelForImageTextToText

    stock = AutoModelForImageTextToText.from_pretrained(vlm_folder).eval()
    assert "forward" in vars(vlm.model.model.visual.patch_embed.proj)  # type: ignore[union-attr]
    inputs = encode_prompts(vlm, prompts).tensors
    with torch.no_grad():
        ours, theirs = vlm.model(**inputs).logits[:, -1], stock(**inputs).logits[:, -1]
    assert float((ours - theirs).abs().max()) < 1e-5


@pytest.mark.parametrize("bias", [True, False])
def test_only_convolutions_of_whole_patches_are_replaced(bias: bool) -> None:
    whole = torch.nn.Conv3d(3, 5, (1, 4, 4), stride=(1, 4, 4), bias=bias)
    sliding = torch.nn.Conv3d(3, 5, (1, 4, 4), stride=(1, 2, 2))
    padded = torch.nn.Conv3d(3, 5, (1, 4, 4), stride=(1, 4, 4), padding=(0, 1, 1))
    generator = torch.Generator().manual_seed(0)
    patches, picture = (torch.randn(2, 3, 1, n, n, generator=generator) for n in (4, 8))
    expected = whole(patches), whole(picture)
    assert embed_patches_by_products(torch.nn.ModuleList([whole, sliding, padded])) == 1
    assert "forward" not in vars(sliding)
    assert whole(patches).shape == expected[0].shape
    torch.testing.assert_close(whole(patches), expected[0])
    assert torch.equal(whole(picture), expected[1])


# Finding and refusing decoders.


def test_an_encoder_decoder_is_refused() -> None:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(vocab_size=20, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=1)
    with pytest.raises(BackendError, match="is an encoder-decoder"):
        find_decoder(T5ForConditionalGeneration(config))


def test_what_cannot_be_split_is_said(vlm_folder: Path) -> None:
    vlm = load_vlm(vlm_folder)
    decoder, layers = vlm.decoder, vlm.decoder.layers
    assert why_not_split(vlm.model, decoder, 1) is None
    handle = layers[2].register_forward_hook(lambda *_: None)
    assert why_not_split(vlm.model, decoder, 1) is None, "a hook above the edited layer harms nothing"
    assert "layer 2" in (why_not_split(vlm.model, decoder, 2) or "")
    handle.remove()
    layers[0].forward = layers[0].forward
    assert "forward of decoder layer 0 has been replaced" in (why_not_split(vlm.model, decoder, 1) or "")
    del layers[0].forward
    vlm.model.generation_config.cache_implementation = "static"  # type: ignore[union-attr]
    assert "'static' key/value cache" in (why_not_split(vlm.model, decoder, 1) or "")
    vlm.model.generation_config.cache_implementation = None  # type: ignore[union-attr]
    layers[3].compile(backend="eager")
    assert "decoder layer 3 is compiled" in (why_not_split(vlm.model, decoder, 1) or "")


def test_recorded_hidden_states_leave_no_foreign_hook(vlm_folder: Path, prompts: list[Prompt]) -> None:
    """transformers keeps its recording hooks after `output_hidden_states=True`; they must not count as foreign."""
    vlm = load_vlm(vlm_folder)
    with torch.no_grad():
        vlm.model(**encode_prompts(vlm, prompts[:1]).tensors, output_hidden_states=True)
    assert any(module._forward_hooks for module in vlm.decoder.layers.modules())
    assert why_not_split(vlm.model, vlm.decoder, 3) is None


def test_the_backend_is_known_without_torch() -> None:
    code = "import sys, vsc_eval.backends.hf as hf; assert 'torch' not in sys.modules; print(hf.HF.name)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "hf"
