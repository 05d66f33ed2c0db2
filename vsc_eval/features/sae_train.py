"""Train an SAE on one decoder layer of a VLM, over the benchmark's `sae` split."""

from collections.abc import Callable, Iterator
from pathlib import Path

from torch import Tensor

from vsc_eval.backends.hf.load import LoadedVLM, load_vlm
from vsc_eval.errors import SpecError
from vsc_eval.features.benchmark import benchmark_items, endless_shuffled_prompts
from vsc_eval.features.harvest import LayerReader
from vsc_eval.features.options import SAETrainSpec
from vsc_eval.files import ensure_writable
from vsc_eval.sae.readers.saelens import CONFIG_FILE, read_sae_metadata, save_sae
from vsc_eval.sae.train import TrainProgress, TrainResult, train_sae
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
