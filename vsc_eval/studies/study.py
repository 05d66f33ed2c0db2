"""What a stage of a study works with: the spec, the folder, and the model, loaded when a stage first asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from vsc_eval.answers.store import AnswerStore
from vsc_eval.backends.hf.load import LoadedVLM, load_vlm
from vsc_eval.backends.protocol import AnswerEngine
from vsc_eval.backends.registry import BACKENDS, EngineSettings
from vsc_eval.backends.session import Session
from vsc_eval.files import file_hash
from vsc_eval.interventions.intervention import LoadedIntervention, load_intervention
from vsc_eval.progress import Advance, adding_up
from vsc_eval.specs import ConditionSpec, FeatureSet
from vsc_eval.studies.asking import open_study_session
from vsc_eval.studies.spec import StudySpec
from vsc_eval.sweeps.folder import RunFolder
from vsc_eval.synthetic import GENERATOR_VERSION

INTERVENTION = "intervention"
"""Folder of the SAE and the sets; an intervention like any other."""


@dataclass
class Study:
    """An open study; its folder is locked for this process."""

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
            settings=EngineSettings(batch_size, self.spec.engine_mode, self.spec.memory_bytes, self.spec.vllm),
        )

    def counts(self, stage: str, what: str) -> Callable[[int, int], None]:
        """A progress callback for parts that tell (done, total)."""
        return partial(self.advance, f"{stage}: {what}")

    def steps(self, stage: str) -> Advance:
        """A progress callback for parts that tell (what, how many were just done, how many there are)."""
        return adding_up(lambda what, done, total: self.advance(f"{stage}: {what}", done, total))
