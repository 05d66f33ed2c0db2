"""EleutherAI's sparsify (`Sae`, `SparseCoder`): `cfg.json` and `sae.safetensors`, one folder a hookpoint.

encoder.weight [F, d], encoder.bias [F], W_dec [F, d], b_dec [d]; top k of ReLU'd pre-activations. b_dec is subtracted
from the input unless the config says `transcode`; `num_latents` 0 means d_in x expansion_factor.
"""

from __future__ import annotations

from pathlib import Path

from vsc_eval.errors import DataError
from vsc_eval.sae.readers.base import SAELayout
from vsc_eval.sae.readers.files import (
    ReadOptions,
    ReadSAE,
    agreed,
    config_of,
    filled,
    layer_of_hook,
    matrix,
    read_json,
    read_tensors,
    take,
)

CONFIG_FILE = "cfg.json"
WEIGHTS_FILE = "sae.safetensors"


def read(path: Path, options: ReadOptions) -> ReadSAE:
    """Read the SAE in folder `path`. Raises DataError for what is damaged or unknown, SpecError if options differ."""
    config_file, weights_file = path / CONFIG_FILE, path / WEIGHTS_FILE
    config = read_json(config_file)
    for key in ("d_in", "k"):
        if key not in config:
            raise DataError(f"{config_file} lacks the key '{key}'.", hint="Restore the file.")
    if (activation := config.get("activation", "topk")) != "topk" or config.get("signed"):
        named = "signed topk" if config.get("signed") else activation
        raise DataError(f"{config_file}: activation {named!r} is not supported.", hint="Use a topk one.")
    weights = read_tensors(weights_file)
    if "W_skip" in weights or config.get("skip_connection"):
        raise DataError(
            f"{weights_file} has a skip connection: its output is not a sum of features.",
            hint="Use one trained without `skip_connection`.",
        )
    d_sae = config.get("num_latents") or config["d_in"] * config.get("expansion_factor", 32)
    cfg = config_of(
        config_file,
        d_in=config["d_in"],
        d_sae=d_sae,
        k=agreed("k", config["k"], options.k, weights_file),
        apply_b_dec_to_input=not config.get("transcode", False),
    )
    own = {
        "W_enc": matrix(weights, "encoder.weight", weights_file).T.contiguous(),
        "b_enc": take(weights, "encoder.bias", weights_file),
        "W_dec": take(weights, "W_dec", weights_file),
        "b_dec": take(weights, "b_dec", weights_file),
    }
    layer = agreed("layer", layer_of_hook(path.name), options.layer, weights_file)
    return ReadSAE(filled(cfg, own, weights_file), "sparsify", weights_file, layer, path.name)


LAYOUT = SAELayout("sparsify", is_weights=lambda name: name == WEIGHTS_FILE, read=read, reads_folder=True)
