"""A stage of a study, and knowing in study.yaml that it is finished: from which inputs, with what files."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vsc_eval.errors import DataError, SpecError
from vsc_eval.settings import ModelSpec
from vsc_eval.studies.study import Study
from vsc_eval.sweeps.folder import now
from vsc_eval.synthetic import GENERATOR_VERSION

MODEL_KEYS = (*sorted(set(ModelSpec.model_fields) - ModelSpec.how()), "tasks", "seed")
"""Settings that every stage depends on."""

_FORMAT = 3
"""Of what stages write: to be raised when a stage writes something else from the same settings."""


@dataclass(frozen=True)
class Stage:
    """One step of a study. It is finished once its files are there that were made from the present inputs."""

    name: str
    work: Callable[[Study], Iterable[Path]]
    """Does it, or goes on with it, and returns the files that it wrote. Raises VscErrors."""
    needs: tuple[Stage, ...] = ()
    """Stages whose files it reads."""
    settings: tuple[str, ...] = ()
    """Keys of the spec that it depends on; none of them is one that says how to compute."""
    bound: str | None = None
    """Folder of work that cannot go on with another batch size than it began with."""

    def inputs(self, study: Study) -> str:
        """Hash of what the stage's files depend on: settings, and the files of the stages that it needs."""
        identity = study.spec.identity()
        payload = {
            "stage": self.name,
            "format": _FORMAT,
            "generator_version": GENERATOR_VERSION,
            "settings": {key: identity[key] for key in (*MODEL_KEYS, *self.settings) if key in identity},
            "needs": {need.name: study.stages[need.name]["outputs"] for need in self.needs},
        }
        return hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()[:16]

    def is_finished(self, study: Study) -> bool:
        """Whether its files, and those of all that it builds on, are there as they were written, from the present
        inputs. Raises DataError for a file that has changed since."""
        if not all(need.is_finished(study) for need in self.needs):
            return False
        record = study.stages.get(self.name)
        if record is None or record["inputs"] != self.inputs(study):
            return False
        for name, digest in record["outputs"].items():
            file = study.path / name
            if not file.is_file():
                return False
            if study.hash(file) != digest:
                raise DataError(
                    f"{file} is damaged: it is not what the stage `{self.name}` wrote.",
                    hint="Delete that file and give the same command again; the stage is then run again.",
                )
        return True

    def run(self, study: Study, entry: dict[str, Any]) -> bool:
        """Whether there was anything to do; it is recorded in study.yaml and in the attempt's `entry`."""
        for need in self.needs:
            if not need.is_finished(study):
                raise SpecError(
                    f"The stage `{self.name}` needs `{need.name}`, which is not finished.",
                    hint=f"Run it first: --until {need.name}.",
                )
        if self.is_finished(study):
            return False
        self._start_over(study)
        started = time.monotonic()
        record: dict[str, Any] = {"stage": self.name, "started": now(), "seconds": None}
        entry["stages"].append(record)
        if "hashes" in study.folder.document:
            # Not before the model has been found, so that a wrong name leaves no folder that refuses the right one.
            study.folder.save()
        files = sorted(self.work(study))
        if study.loaded is not None:
            entry.update(device=str(study.loaded.device), dtype=str(study.loaded.dtype))
        outputs = {file.relative_to(study.path).as_posix(): study.hash(file) for file in files}
        study.stages[self.name] = {"inputs": self.inputs(study), "outputs": outputs}
        record["seconds"] = round(time.monotonic() - started, 1)
        study.folder.save()
        return True

    def _start_over(self, study: Study) -> None:
        """Forget files that are not what they were, or of other inputs: a later stage must never go on with files of
        two runs. And batches of another size have other last digits, so what is bound to its batches starts over."""
        if before := study.stages.pop(self.name, None):
            for name in before["outputs"]:
                (study.path / name).unlink(missing_ok=True)
            study.folder.save()
            study.say(f"Stage {self.name}: its files are gone or of other inputs; it is run again.")
        began: dict[str, int] = study.folder.document.setdefault("began_with_batch_size", {})
        size = study.spec.batch_size
        if self.bound is not None and began.get(self.name, size) != size:
            shutil.rmtree(study.path / self.bound, ignore_errors=True)
            study.say(f"Stage {self.name} began with a batch size of {began[self.name]}; it starts over with {size}.")
        began[self.name] = size
