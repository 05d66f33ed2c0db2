"""One model, several conditions, one answer store: what every way of running the benchmark asks for answers."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from vsc_eval.answers.store import AnswerStore, answer_key
from vsc_eval.backends.hf.engine import GenSettings, Mode
from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.backends.hf.prompts import Prompt
from vsc_eval.backends.protocol import AnswerEngine
from vsc_eval.backends.registry import BACKENDS, EngineSettings
from vsc_eval.errors import BackendError, SpecError
from vsc_eval.interventions.edits import BASELINE_HASH, CompiledCondition, compile_condition
from vsc_eval.interventions.intervention import LoadedIntervention, load_intervention
from vsc_eval.records import Reading
from vsc_eval.specs import BASELINE, ConditionSpec, parse_condition

Progress = Callable[[int, int], None]
"""Called with (answers computed so far, answers to compute) in one call of `readings`; stored ones count in neither."""

_BATCHES_PER_CHUNK = 2


class Session:
    """`conditions` maps names to compiled conditions, None being the baseline, which is always there.

    Every chunk of prompts is asked under all conditions in one pass of the engine and is committed to the store before
    the next begins, so an interrupted run loses one chunk.
    """

    def __init__(
        self,
        *,
        vlm: LoadedVLM,
        engine: AnswerEngine,
        store: AnswerStore,
        conditions: Mapping[str, CompiledCondition | None],
        settings: GenSettings,
        progress: Progress | None = None,
    ) -> None:
        self.vlm = vlm
        self.engine = engine
        self.store = store
        self.settings = settings
        self.progress = progress
        self.conditions: dict[str, CompiledCondition | None] = {
            BASELINE: None,
            **{name: None if c is None or c.is_baseline else c for name, c in conditions.items()},
        }

    def key(self, prompt: Prompt, condition: str, settings: GenSettings) -> str:
        """The store's key of one answer."""
        compiled = self.conditions[condition]
        mark = self.engine.answer_mark
        return answer_key(
            model_fingerprint=f"{self.vlm.fingerprint}:{mark}" if mark else self.vlm.fingerprint,
            condition_hash=BASELINE_HASH if compiled is None else compiled.content_hash,
            prompt_hash=prompt.prompt_hash,
            image_hash=prompt.image_hash,
            settings_hash=_settings_hash(settings),
        )

    def readings(
        self,
        prompts: Sequence[Prompt],
        condition_names: Sequence[str],
        *,
        settings: GenSettings | None = None,
        progress: Progress | None = None,
    ) -> dict[str, list[Reading]]:
        """The readings of `prompts` under each of `condition_names`, in order.

        If the store lacks one of them, all that it lacks of `prompts` is computed, under all conditions of the session.
        Raises SpecError for a name that is no condition of the session, BackendError where the memory is too small.
        """
        for name in condition_names:
            if name not in self.conditions:
                raise SpecError(f"Unknown condition '{name}'.", hint=f"This session has: {', '.join(self.conditions)}.")
        settings = settings or self.settings
        keys = {name: [self.key(prompt, name, settings) for prompt in prompts] for name in condition_names}
        wanted = {key for column in keys.values() for key in column}
        stored = self.store.get_many(wanted)
        if len(stored) < len(wanted):
            keys = {name: [self.key(prompt, name, settings) for prompt in prompts] for name in self.conditions}
            self._fill(prompts, keys, settings, progress or self.progress)
            stored = self.store.get_many(wanted)
        return {name: [stored[key] for key in keys[name]] for name in condition_names}

    def _fill(
        self,
        prompts: Sequence[Prompt],
        keys: Mapping[str, Sequence[str]],
        settings: GenSettings,
        progress: Progress | None,
    ) -> None:
        groups = self._missing(prompts, keys)
        total = sum(len(names) * len(rows) for names, rows in groups)
        done = 0

        def advance(n_conditions: int, n_prompts: int) -> None:
            nonlocal done
            done += n_conditions * n_prompts
            if progress:
                progress(done, total)

        size = self.engine.batch_size * _BATCHES_PER_CHUNK
        for names, rows in groups:
            conditions = [self.conditions[name] for name in names]
            for start in range(0, len(rows), size):
                chunk = rows[start : start + size]
                with _memory_errors(self.engine.batch_size):
                    answers = self.engine.read(
                        [prompts[row] for row in chunk],
                        conditions,
                        settings,
                        partial(advance, len(names)),
                    )
                self.store.put_many(
                    {
                        keys[name][row]: reading
                        for name, column in zip(names, answers, strict=True)
                        for row, reading in zip(chunk, column, strict=True)
                    }
                )

    def _missing(
        self, prompts: Sequence[Prompt], keys: Mapping[str, Sequence[str]]
    ) -> list[tuple[tuple[str, ...], list[int]]]:
        """(conditions, rows that lack an answer under exactly these).

        Of conditions with the same content and of prompts that are asked twice, only the first is computed.
        """
        known = set(self.store.get_many(key for column in keys.values() for key in column))
        groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for row in range(len(prompts)):
            names = []
            for name in self.conditions:
                if keys[name][row] not in known:
                    known.add(keys[name][row])
                    names.append(name)
            if names:
                groups[tuple(names)].append(row)
        return list(groups.items())


@contextmanager
def _memory_errors(batch_size: int) -> Iterator[None]:
    """Turn "out of memory" into a user's error; torch has no class of its own for it on a CPU."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "allocate memory" not in str(error):
            raise
        raise BackendError(
            f"The memory does not hold {batch_size} prompts at a time.",
            hint="Give a smaller batch size; answers that are stored are kept. `vsc-eval doctor` shows the memory.",
        ) from error


def _settings_hash(settings: GenSettings) -> str:
    return hashlib.sha256(json.dumps(asdict(settings), sort_keys=True).encode()).hexdigest()[:16]


def open_session(
    vlm: LoadedVLM,
    expressions: Sequence[str | ConditionSpec] = (),
    *,
    intervention: str | Path | LoadedIntervention | None = None,
    settings: GenSettings | None = None,
    store: AnswerStore | None = None,
    batch_size: int | None = None,
    memory_budget_bytes: int | None = None,
    mode: Mode = "auto",
    backend: str = "hf",
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Session:
    """A session of `vlm` under the baseline and the given conditions.

    `expressions` are condition expressions ("counting+logic:scale=2") or specs. `intervention` defaults to the one
    named like the model; it is not looked for when there is nothing but the baseline. `store` defaults to memory.
    `backend`: a name of backends.registry, `options` its own. Where it needs no weights, `vlm` needs none; `mode` and
    `memory_budget_bytes` are of transformers. Raises SpecError or DataError for what does not fit.
    """
    wanted = [e for e in expressions if e != BASELINE and not (isinstance(e, ConditionSpec) and e.is_baseline)]
    loaded: LoadedIntervention | None = None
    conditions: dict[str, CompiledCondition | None] = {}
    if wanted:
        d_model = vlm.decoder.d_model
        loaded = (
            intervention
            if isinstance(intervention, LoadedIntervention)
            else load_intervention(intervention or Path(vlm.name).name, d_model=d_model)
        )
        for entry in wanted:
            spec = entry if isinstance(entry, ConditionSpec) else parse_condition(entry, loaded.spec.default_edit)
            conditions[spec.name] = compile_condition(
                spec, loaded.sets, loaded.sae, loaded.spec.layer, d_model=d_model
            ).to(vlm.device)
    sae, layer = (loaded.sae, loaded.spec.layer) if loaded else (None, None)
    how = EngineSettings(batch_size, mode, memory_budget_bytes, options or {})
    return Session(
        vlm=vlm,
        engine=BACKENDS.get(backend).make(vlm, sae=sae, layer=layer, settings=how),
        # An empty store is falsy.
        store=AnswerStore(":memory:") if store is None else store,
        conditions=conditions,
        settings=settings or GenSettings(scoring="generate"),
        progress=progress,
    )
