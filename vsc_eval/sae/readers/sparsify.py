"""EleutherAI's sparsify (`Sae`, `SparseCoder`): `cfg.json` and `sae.safetensors`, one folder a hookpoint.

encoder.weight [F, d], encoder.bias [F], W_dec [F, d], b_dec [d]; top k of ReLU'd pre-activations. b_dec is subtracted
from the input unless the config says `transcode`; `num_latents` 0 means d_in x expansion_factor.
"""

from pathlib import Path

from vsc_eval.errors import DataError
from vsc_eval.sae.readers import ReadOptions, ReadSAE, SAELayout
from vsc_eval.sae.readers.files import layer_of_hook, read_from, read_json, read_tensors, renamed

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
    names = {"W_enc": "encoder.weight.T", "b_enc": "encoder.bias", "W_dec": "W_dec", "b_dec": "b_dec"}
    return read_from(
        "sparsify",
        weights_file,
        renamed(weights, weights_file, **names),
        options,
        layer=layer_of_hook(path.name),
        hook=path.name,
        config_file=config_file,
        d_in=config["d_in"],
        d_sae=config.get("num_latents") or config["d_in"] * config.get("expansion_factor", 32),
        k=options.agreed("k", config["k"], weights_file),
        apply_b_dec_to_input=not config.get("transcode", False),
    )


LAYOUT = SAELayout("sparsify", is_weights=lambda name: name == WEIGHTS_FILE, read=read, reads_folder=True)
