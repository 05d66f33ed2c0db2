"""What a study is and what a stage of it is.

A stage is finished, as study.yaml says, from which inputs and with what files.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from vsc_eval.answers.store import AnswerStore
from vsc_eval.backends.ask import Session
from vsc_eval.backends.hf.load import LoadedVLM, load_vlm
from vsc_eval.backends.protocol import AnswerEngine
from vsc_eval.backends.registry import BACKENDS, EngineSettings
from vsc_eval.errors import DataError, SpecError
from vsc_eval.files import file_hash, short_hash
from vsc_eval.interventions.intervention import LoadedIntervention, load_intervention
from vsc_eval.progress import Advance, adding_up
from vsc_eval.settings import ModelSpec
from vsc_eval.specs import ConditionSpec, FeatureSet
from vsc_eval.studies.asking import open_study_session
from vsc_eval.studies.spec import StudySpec
from vsc_eval.sweeps.folder import RunFolder, now
from vsc_eval.synthetic import GENERATOR_VERSION

MODEL_KEYS = (*sorted(set(ModelSpec.model_fields) - ModelSpec.how()), "tasks", "seed")
"""Settings that every stage depends on."""

_FORMAT = 3
"""Of what stages write: to be raised when a stage writes something else from the same settings."""

INTERVENTION = "intervention"
"""Folder of the SAE and the sets; an intervention like any other."""


@dataclass
class Study:
    """What a stage works with: spec, locked folder, and the model, which is loaded when a stage first asks for it."""

    spec: StudySpec
    folder: RunFolder
    advance: Advance
    say: Callable[[str], None]
    loaded: LoadedVLM | None = field(default=None, init=False)
    """The model, once a stage has asked for it."""
    _started: AnswerEngine | None = field(default=None, init=False)
    """A backend that does not work on transformers' model."""
    _hashes: dict[tuple[Path, int, int], str] = field(default_factory=dict, init=False, repr=False)

    @property
    def path(self) -> Path:
        return self.folder.path

    @property
    def stages(self) -> dict[str, Any]:
        """Of each finished stage the hash of its `inputs`, and that of each of its `outputs`."""
        stages: dict[str, Any] = self.folder.document.setdefault("stages", {})
        return stages

    def hash(self, file: Path) -> str:
        """First 16 hex digits of `file_hash`, once for each state of a file: every stage looks at all it builds on."""
        status = file.stat()
        key = (file, status.st_mtime_ns, status.st_size)
        if key not in self._hashes:
            self._hashes[key] = file_hash(file)[:16]
        return self._hashes[key]

    @property
    def vlm(self) -> LoadedVLM:
        """The model. Raises SpecError if it is not the one that the study began with."""
        if self.loaded is None:
            self.say(f"Loading {self.spec.model} ...")
            vlm = load_vlm(self.spec.model, **self.spec.loading())
            hashes = {"model_fingerprint": vlm.fingerprint, "model_revision": vlm.revision}
            self.folder.agree("hashes", {**hashes, "generator_version": GENERATOR_VERSION})
            self.loaded = vlm
        return self.loaded

    def intervention(self) -> LoadedIntervention:
        """The study's own intervention."""
        return load_intervention(self.path / INTERVENTION, d_model=self.vlm.decoder.d_model)

    @contextmanager
    def session(
        self,
        intervention: LoadedIntervention,
        conditions: Sequence[ConditionSpec] = (),
        sets: Mapping[str, FeatureSet] | None = None,
        *,
        batch_size: int | None = None,
        store: str = "answers.sqlite",
    ) -> Iterator[Session]:
        """The model under `conditions`, its answers kept in a file of the folder; see asking.open_study_session."""
        batch_size = batch_size or self.spec.batch_size
        if BACKENDS.get(self.spec.backend).needs_weights:
            engine = self._engine(intervention if conditions else None, batch_size)
        else:
            # Started once for all stages: a process can hardly hold two.
            self._started = self._started or self._engine(self.intervention(), batch_size)
            engine = self._started
            engine.batch_size = batch_size
        with AnswerStore(self.path / store) as kept:
            yield open_study_session(self.vlm, engine, kept, intervention, conditions, sets)

    def _engine(self, intervention: LoadedIntervention | None, batch_size: int) -> AnswerEngine:
        return BACKENDS.get(self.spec.backend).make(
            self.vlm,
            sae=intervention.sae if intervention else None,
            layer=intervention.spec.layer if intervention else None,
            settings=EngineSettings(
                batch_size, self.spec.engine_mode, self.spec.memory_bytes, self.spec.backend_options
            ),
        )

    def counts(self, stage: str, what: str) -> Callable[[int, int], None]:
        """A progress callback for parts that tell (done, total)."""
        return partial(self.advance, f"{stage}: {what}")

    def steps(self, stage: str) -> Advance:
        """A progress callback for parts that tell (what, how many were just done, how many there are)."""
        return adding_up(lambda what, done, total: self.advance(f"{stage}: {what}", done, total))


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
        return short_hash(json.dumps(payload, sort_keys=True))

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
