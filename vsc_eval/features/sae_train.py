"""Train an SAE on a decoder layer of a VLM, over the benchmark's `sae` split; and find where in a model one belongs."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

from torch import Tensor

from vsc_eval.backends.hf.load import LoadedVLM, load_vlm
from vsc_eval.errors import DataError, SpecError
from vsc_eval.features.harvest import LayerReader, benchmark_items, endless_shuffled_prompts
from vsc_eval.features.options import SAESource, SAETrainSpec
from vsc_eval.files import ensure_writable
from vsc_eval.sae.model import SAE
from vsc_eval.sae.readers import read_any_sae
from vsc_eval.sae.readers.saelens import CONFIG_FILE, load_sae, read_sae_metadata, save_sae
from vsc_eval.sae.train import TrainProgress, TrainResult, train_sae
from vsc_eval.specs import Positions
from vsc_eval.synthetic import GENERATOR_VERSION

CHECKPOINT_FILE = "checkpoint.safetensors"
SPLIT = "sae"


def train_sae_for(
    spec: SAETrainSpec,
    out: Path,
    *,
    vlm: LoadedVLM | None = None,
    checkpoint_every: int = 100,
    callback: Callable[[TrainProgress], None] | None = None,
) -> TrainResult | None:
    """Train the SAE of `spec` and write it to `out`, in SAELens layout with its provenance as metadata.

    The state is saved in `out` every `checkpoint_every` steps; a killed run goes on from there when called again. None
    if `out` holds this very SAE already. Raises SpecError for an unknown layer or task, and if `out` holds another SAE;
    BackendError if it cannot be written.
    """
    vlm = vlm or load_vlm(spec.model, **spec.loading())
    reader = LayerReader(vlm, spec.layer, spec.positions, spec.batch_size)
    provenance = {
        "model_name": spec.model,
        "model_fingerprint": vlm.fingerprint,
        "hook_name": f"language_model.layers.{spec.layer}.output",
        "layer": spec.layer,
        "positions": spec.positions,
        "split": SPLIT,
        "tasks": list(spec.tasks),
        "items_per_cell": spec.items_per_cell,
        "batch_size": spec.batch_size,
        "generator_version": GENERATOR_VERSION,
        "train": spec.train.settings(),
    }
    if (out / CONFIG_FILE).exists():
        metadata = read_sae_metadata(out)
        if different := [key for key, value in provenance.items() if metadata.get(key) != value]:
            raise SpecError(
                f"{out} holds an SAE trained with other settings ({', '.join(different)}).",
                hint="Choose another folder, or delete that one.",
            )
        return None
    ensure_writable(out)
    items = benchmark_items(SPLIT, spec.tasks, spec.items_per_cell)
    checkpoint = out / CHECKPOINT_FILE

    def stream(skip: int) -> Iterator[Tensor]:
        return reader.collect(endless_shuffled_prompts(items, spec.train.seed), skip_tokens=skip)

    result = train_sae(
        stream,
        spec.train,
        stream_id=str(sorted(provenance.items())),
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
        callback=callback,
    )
    counts = {"n_tokens_trained": result.n_tokens, "final_fvu": result.final_fvu, "n_dead": result.n_dead}
    save_sae(result.sae, out, {**provenance, **counts})
    checkpoint.unlink(missing_ok=True)
    return result


def place_sae(path: Path, vlm: LoadedVLM, source: SAESource, out: Path) -> tuple[int, Positions, str, SAE]:
    """Read the SAE for the intervention in `out`: its layer and positions, as its files say or else `source` does, its
    path relative to `out`, and the SAE as it is read back from there.

    One from elsewhere is copied to `out/sae`, with what is known about it now: an intervention can travel. Raises
    SpecError for a layer that the model lacks, where the two contradict each other, or if files in another layout lie
    at that place; DataError if the SAE is damaged, of another width or trained on other weights than the model's, or if
    neither says where it belongs; BackendError if `out` cannot be written.
    """
    read = read_any_sae(path, d_model=vlm.decoder.d_model, **source.model_dump(exclude={"positions"}))
    layer = _agreed("layer", read.layer, source.layer, path)
    positions = _agreed("positions", read.metadata.get("positions"), source.positions, path)
    if positions not in get_args(Positions):
        raise DataError(
            f"The SAE in {path} says that its positions are {positions!r}.",
            hint=f"Its metadata may say {', '.join(get_args(Positions))}.",
        )
    trained_on = read.metadata.get("model_fingerprint")
    if trained_on is None and source.layer is None:
        raise DataError(
            f"The SAE in {path} does not say its model_fingerprint.",
            hint=f"If it belongs to '{vlm.name}', say so by giving its layer: --layer {layer}.",
        )
    if trained_on not in (None, vlm.fingerprint):
        raise DataError(
            f"The SAE in {path} was trained on other weights than those of '{vlm.name}'.",
            hint="Train it again with `vsc-eval sae train`, or give the model it was trained on.",
        )
    vlm.decoder.check_layer(layer)
    ensure_writable(out)
    home, folder = out / "sae", read.path.parent.resolve()
    if read.layout == "saelens" and folder.is_relative_to(out.resolve()):
        return layer, positions, folder.relative_to(out.resolve()).as_posix(), read.sae
    if folder == home.resolve():
        raise SpecError(
            f"{home} is where the intervention keeps its SAE.", hint="Move the files there to another folder."
        )
    save_sae(read.sae, home, {**read.metadata, "layer": layer, "positions": positions})
    return layer, positions, "sae", load_sae(home)


def _agreed(name: str, told: Any, given: int | str | None, path: Path) -> Any:
    if told is None and given is None:
        raise DataError(
            f"The SAE in {path} does not say its {name}.",
            hint=f"Give --{name}, or use an SAE that `vsc-eval sae train` wrote.",
        )
    if told is not None and given not in (None, told):
        raise SpecError(
            f"The SAE in {path} was trained for {name} {told}, not {given}.",
            hint=f"Leave out --{name}, or train another.",
        )
    return given if told is None else told
