"""SAEs of EleutherAI's sparsify.

In the names of tensors `.T` is the transpose: Linear layers keep [out, in], where W_enc is [d, F] and W_dec [F, d].
"""

from pathlib import Path

from vsc_eval.sae.readers import ReadOptions, ReadSAE, SAELayout
from vsc_eval.sae.readers.files import NO_SUM, layer_of_hook, read_from, read_json, read_tensors, refuse, renamed


def _read_sparsify(path: Path, options: ReadOptions) -> ReadSAE:
    """EleutherAI's `Sae` and `SparseCoder`, one folder a hookpoint: top k of ReLU'd pre-activations. b_dec is
    subtracted from the input unless the config says `transcode`; `num_latents` 0 means d_in x expansion_factor."""
    config_file, weights_file = path / "cfg.json", path / "sae.safetensors"
    config = read_json(config_file)
    activation = "signed topk" if config.get("signed") else config.get("activation", "topk")
    refuse(
        config_file,
        *((key not in config, f" lacks the key '{key}'", "Restore the file.") for key in ("d_in", "k")),
        (activation != "topk", f": activation {activation!r} is not supported", "Use a topk one."),
    )
    weights = read_tensors(weights_file)
    skips = "W_skip" in weights or config.get("skip_connection")
    refuse(weights_file, (skips, NO_SUM, "Use one trained without `skip_connection`."))
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


SPARSIFY = SAELayout("sparsify", is_weights="sae.safetensors".__eq__, read=_read_sparsify, reads_folder=True)
