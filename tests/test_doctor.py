"""`vsc-eval doctor` finds what is there, names what is not, and runs one item only where it can."""

from __future__ import annotations

from pathlib import Path

import pytest

from vsc_eval import resources
from vsc_eval.cli import doctor
from vsc_eval.cli import main as cli
from vsc_eval.errors import BackendError


def test_packages_and_machine_are_reported() -> None:
    checks = {check.name: check for check in doctor.examine(smoke=False)}
    for name in ("Python", "torch", "transformers", "lm_eval", "cores", "torchvision import", "model size", "tasks"):
        assert checks[name].state == "OK", checks[name]
    assert all(check.hint for check in checks.values() if check.state != "OK")


def test_a_missing_model_is_named_with_its_hint(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(resources, "embedded_dir", lambda model_name="vsc-tiny": tmp_path / model_name)
    assert cli.main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "no weights" in shown
    assert "one-item run" not in shown


def test_a_failing_probe_becomes_its_line() -> None:
    def probe() -> str:
        raise BackendError("No weights.", hint="Train it.")

    check = doctor._guarded("model", probe)
    assert (check.state, check.found, check.hint) == ("missing", "No weights.", "Train it.")


def test_a_broken_installation_becomes_its_line() -> None:
    def probe() -> str:
        raise ModuleNotFoundError("No module named 'torch'")

    check = doctor._guarded("intervention", probe)
    assert (check.state, check.found) == ("missing", "No module named 'torch'")
    assert "fresh environment" in check.hint


def test_the_largest_model_by_hand() -> None:
    assert doctor._largest(80 * 10**9) == "up to about 24.0 billion parameters in 16 bits, 12.0 in float32"
