"""What a stage of a study is, and what it is given."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from vsc_eval.answers.store import AnswerStore
from vsc_eval.backends.ask import Session
from vsc_eval.backends.hf.load import LoadedVLM, load_vlm
from vsc_eval.backends.protocol import AnswerEngine
from vsc_eval.backends.registry import BACKENDS, EngineSettings
from vsc_eval.interventions.intervention import LoadedIntervention, load_intervention
from vsc_eval.progress import Advance
from vsc_eval.settings import ModelSpec
from vsc_eval.specs import ConditionSpec, FeatureSet
from vsc_eval.studies.asking import open_study_session
from vsc_eval.studies.folder import StudyFolder
from vsc_eval.studies.spec import StudySpec
from vsc_eval.synthetic import GENERATOR_VERSION

MODEL_KEYS = (*sorted(set(ModelSpec.model_fields) - ModelSpec.how()), "tasks", "seed")
"""Settings that every stage depends on."""

_FORMAT = 3
"""Of what stages write: to be raised when a stage writes something else from the same settings."""

INTERVENTION = "intervention"
"""Folder of the SAE and the sets; an intervention like any other."""


@dataclass
class Study:
    """What a stage works with. The model is loaded when a stage first asks for it."""

    spec: StudySpec
    folder: StudyFolder
    advance: Advance
    say: Callable[[str], None]
    loaded: LoadedVLM | None = field(default=None, init=False)
    """The model, once a stage has asked for it."""
    _started: AnswerEngine | None = field(default=None, init=False)
    """A backend that does not work on transformers' model."""

    @property
    def path(self) -> Path:
        return self.folder.path

    @property
    def fingerprint(self) -> str:
        """Of the model, known once it has been loaded."""
        fingerprint: str = self.folder.base.document["hashes"]["model_fingerprint"]
        return fingerprint

    @property
    def vlm(self) -> LoadedVLM:
        """The model. Raises SpecError if it is not the one that the study began with."""
        if self.loaded is None:
            spec = self.spec
            self.say(f"Loading {spec.model} ...")
            vlm = load_vlm(spec.model, **spec.loading())
            hashes = {"model_fingerprint": vlm.fingerprint, "model_revision": vlm.revision}
            self.folder.base.agree("hashes", {**hashes, "generator_version": GENERATOR_VERSION})
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

    def steps(self, stage: str) -> Callable[[str, int, int], None]:
        """A progress callback for parts that tell (what, how many were just done, how many there are)."""
        done: dict[str, int] = {}

        def step(what: str, just_done: int, total: int) -> None:
            done[what] = done.get(what, 0) + just_done
            self.advance(f"{stage}: {what}", done[what], total)

        return step

    def counts(self, stage: str, what: str) -> Callable[[int, int], None]:
        """A progress callback for parts that tell (done, total)."""
        return partial(self.advance, f"{stage}: {what}")


@dataclass(frozen=True)
class Stage:
    """One step of a study. It is finished once its files are there that were made from the present inputs."""

    name: str
    help: str
    needs: tuple[str, ...]
    """Stages whose files it reads."""
    settings: tuple[str, ...]
    """Keys of the spec that it depends on; none of them is one that says how to compute."""
    run: Callable[[Study], Iterable[Path]]
    """Runs it, or goes on with it, and returns the files that it wrote. Raises VscErrors."""
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
            "needs": {name: study.folder.outputs(name) for name in self.needs},
        }
        return hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()[:16]
