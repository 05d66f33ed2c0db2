"""`run_probing`: harvest, probe, pick the layer, write `probing.json`."""

from functools import partial
from pathlib import Path

import torch
from pydantic import ValidationError

from vsc_eval.backends.hf.load import LoadedVLM, load_vlm
from vsc_eval.errors import BackendError, DataError, SpecError
from vsc_eval.files import ensure_writable
from vsc_eval.probing.activations import FOLDER, Activations, draw_samples
from vsc_eval.probing.probes import probe_all
from vsc_eval.probing.result import RESULT_FILE, ProbingResult, check_rule, choose, explain_choice
from vsc_eval.probing.spec import ProbingSpec
from vsc_eval.progress import Advance
from vsc_eval.records import write_record
from vsc_eval.stats.bootstrap import DRAWS, LEVEL
from vsc_eval.synthetic import GENERATOR_VERSION, LEVELS


def run_probing(
    spec: ProbingSpec,
    out: Path,
    *,
    vlm: LoadedVLM | None = None,
    progress: Advance = lambda stage, just_done, total: None,
) -> ProbingResult:
    """Probe every layer of the model and pick one by the spec's rule; the result is `out/probing.json`.

    A finished result of the same inputs is read back. A killed run goes on with the activations in `out/activations`,
    which stay there: deleting `probing.json` alone probes them anew. `progress` is told of (stage, how many were just
    done, how many there are). Raises SpecError for a layer that cannot be chosen and if `out` holds something else's
    result, DataError if it is damaged, BackendError if the model cannot be probed or `out` cannot be written.
    """
    vlm = vlm or load_vlm(spec.model, **spec.loading())
    n_layers, path = vlm.decoder.n_layers, out / RESULT_FILE
    check_rule(spec.rule, n_layers)
    if path.exists():
        return _read_back(path, spec, vlm)
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    ensure_writable(out)
    activations = Activations(out / FOLDER, draw_samples(spec), spec.seed, spec.batch_size)
    activations.harvest(vlm, progress)
    layers_done, rounding = partial(progress, "probes"), rounding_of(vlm.dtype)
    # A probe's products are too small to share: with several threads they wait for each other longer than they work.
    with threadpool_limits(1, user_api="blas"):
        rows = tuple(probe_all(activations, spec, n_layers, rounding, layers_done))
    choices = {pooling: choose(rows, spec.rule, pooling, n_layers) for pooling in spec.poolings}
    chosen = choices[spec.rule.pooling]
    if chosen is None:
        raise BackendError(
            f"'{vlm.name}' has no {spec.rule.pooling} tokens to probe, so the rule has nothing to pick by.",
            hint="Choose another pooling for the rule.",
        )
    fixed = spec.rule.kind == "fixed"
    result = ProbingResult(
        spec=spec,
        model_fingerprint=vlm.fingerprint,
        generator_version=GENERATOR_VERSION,
        n_layers=n_layers,
        d_model=vlm.decoder.d_model,
        layer=chosen.layer,
        chosen_by=explain_choice(rows, spec.rule, chosen, n_layers),
        choices=() if fixed else tuple(choice for choice in choices.values() if choice is not None),
        chance={"task": 1 / len(spec.tasks), "level": 1 / len(LEVELS)},
        interval=f"{LEVEL:.0%} percentile bootstrap of the test items, {DRAWS} draws, clustered by orbit",
        rows=rows,
    )
    write_record(result, path)
    return result


def rounding_of(dtype: torch.dtype) -> float:
    """Relative spread below which a pooled feature of a model of this dtype counts as constant.

    One rounding of a token's value is half an epsilon; averaging over tokens lowers it, layers and padding raise it.
    """
    return max(1e-5, torch.finfo(dtype).eps / 4)


def _read_back(path: Path, spec: ProbingSpec, vlm: LoadedVLM) -> ProbingResult:
    try:
        result = ProbingResult.model_validate_json(path.read_bytes())
    except (ValidationError, OSError) as error:
        raise DataError(f"{path} cannot be read: {error}.", hint="Delete it and give the command again.") from error
    before, now = result.spec.identity(), spec.identity()
    different = [name for name in now if now[name] != before[name]]
    if result.model_fingerprint != vlm.fingerprint:
        different.append("the model's weights")
    if result.generator_version != GENERATOR_VERSION:
        different.append("the benchmark's version")
    if different:
        raise SpecError(
            f"{path} was made with other settings ({', '.join(different)}).",
            hint="Choose another folder, or delete that file.",
        )
    return result
