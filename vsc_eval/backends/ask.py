"""The one way of asking a model: a plan of batches, each answered under all conditions and stored before the next.

A session is one model, several conditions and one answer store. The plan is made from the whole list of prompts,
whatever is stored already. So a run that was cut off, or one that is shared between machines, computes the same batches
as one that was not, and gets the same bits.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from vsc_eval.answers.answer_table import AskedItem
from vsc_eval.answers.store import AnswerStore, answer_key
from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.backends.hf.prompts import Prompt
from vsc_eval.backends.protocol import AnswerEngine, GenSettings
from vsc_eval.backends.registry import BACKENDS, EngineSettings
from vsc_eval.errors import BackendError, SpecError
from vsc_eval.files import short_hash
from vsc_eval.interventions.edits import BASELINE_HASH, CompiledCondition, compile_condition
from vsc_eval.interventions.intervention import LoadedIntervention, load_intervention
from vsc_eval.records import Reading
from vsc_eval.specs import BASELINE, ConditionSpec, parse_condition

SLICE = 256
"""Conditions that are asked in one pass. Each slice runs the layers up to the edited one and the baseline anew, which
costs about as much as ten conditions."""

Progress = Callable[[int, int], None]
"""Called with (answers computed, answers to compute); stored ones count in neither."""

Collect = Callable[[Sequence[int], Mapping[str, Sequence[Reading]]], None]
"""Takes the answers of a batch as they come: the places of its prompts, and each condition's answers."""

Conditions = Mapping[str, CompiledCondition | None]
"""Name -> compiled condition; None is the baseline."""


@dataclass(eq=False)
class Session:
    """A model under some conditions, the baseline among them, and where its answers are kept. ask.py asks it."""

    vlm: LoadedVLM
    engine: AnswerEngine
    store: AnswerStore
    conditions: Conditions
    progress: Progress | None = None

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

    def answers(
        self,
        prompts: Sequence[Prompt],
        names: Sequence[str],
        settings: GenSettings,
        progress: Callable[[int], None] = lambda n: None,
    ) -> dict[str, list[Reading]]:
        """The readings of one batch of `prompts` under each of the conditions `names`, in order.

        What the store lacks is computed in one pass and stored in one step. `progress` is called with the number of
        answers that have been computed since the last time. Raises SpecError for a name that is no condition of the
        session, BackendError where the memory is too small.
        """
        for name in names:
            if name not in self.conditions:
                raise SpecError(f"Unknown condition '{name}'.", hint=f"This session has: {', '.join(self.conditions)}.")
        keys = {name: [self.key(prompt, name, settings) for prompt in prompts] for name in names}
        stored = self.store.get_many(key for column in keys.values() for key in column)
        for group, rows in _missing(keys, stored):

            def advance(n_prompts: int, n_conditions: int = len(group)) -> None:
                progress(n_conditions * n_prompts)

            asked = [prompts[row] for row in rows]
            with _memory_errors(self.engine.batch_size):
                answers = self.engine.read(asked, [self.conditions[name] for name in group], settings, advance)
            fresh = {
                keys[name][row]: reading
                for name, column in zip(group, answers, strict=True)
                for row, reading in zip(rows, column, strict=True)
            }
            self.store.put_many(fresh)
            stored |= fresh
        return {name: [stored[key] for key in keys[name]] for name in names}


def _missing(keys: Mapping[str, Sequence[str]], stored: Collection[str]) -> Iterable[tuple[tuple[str, ...], list[int]]]:
    """(conditions, rows that lack an answer under exactly these).

    Of conditions with the same content and of prompts that are asked twice, only the first is computed.
    """
    known = set(stored)
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row, row_keys in enumerate(zip(*keys.values(), strict=True)):
        names = []
        for name, key in zip(keys, row_keys, strict=True):
            if key not in known:
                known.add(key)
                names.append(name)
        if names:
            groups[tuple(names)].append(row)
    return groups.items()


class LazyConditions(Conditions):
    """Conditions that are compiled when they are looked up; a study has thousands, so only the last few are kept."""

    def __init__(self, specs: Sequence[ConditionSpec], compile_: Callable[[ConditionSpec], CompiledCondition]) -> None:
        self.specs: dict[str, ConditionSpec] = {BASELINE: ConditionSpec(name=BASELINE), **{s.name: s for s in specs}}
        self._compiled = lru_cache(maxsize=2 * SLICE)(lambda name: compile_(self.specs[name]))

    def __getitem__(self, name: str) -> CompiledCondition | None:
        return None if self.specs[name].is_baseline else self._compiled(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.specs)

    def __len__(self) -> int:
        return len(self.specs)


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


@cache
def _settings_hash(settings: GenSettings) -> str:
    return short_hash(json.dumps(asdict(settings), sort_keys=True))


def open_session(
    vlm: LoadedVLM,
    expressions: Sequence[str | ConditionSpec] = (),
    *,
    intervention: str | Path | LoadedIntervention | None = None,
    store: AnswerStore | None = None,
    backend: str = "hf",
    **how: Any,
) -> Session:
    """A session of `vlm` under the baseline and the given conditions.

    `expressions` are condition expressions ("counting+logic:scale=2") or specs. `intervention` defaults to the one
    named like the model; it is not looked for when there is nothing but the baseline. `store` defaults to memory.
    `backend`: a name of backends.registry; where it needs no weights, `vlm` needs none. `how`: see EngineSettings.
    Raises SpecError or DataError for what does not fit.
    """
    wanted = [e for e in expressions if e != BASELINE and not (isinstance(e, ConditionSpec) and e.is_baseline)]
    sae, layer = None, None
    conditions: dict[str, CompiledCondition | None] = {BASELINE: None}
    if wanted:
        d_model = vlm.decoder.d_model
        if not isinstance(intervention, LoadedIntervention):
            intervention = load_intervention(intervention or Path(vlm.name).name, d_model=d_model)
        sae, layer = intervention.sae, intervention.spec.layer
        for entry in wanted:
            spec = entry if isinstance(entry, ConditionSpec) else parse_condition(entry, intervention.spec.default_edit)
            compiled = compile_condition(spec, intervention.sets, sae, layer, d_model=d_model)
            conditions[spec.name] = compiled.to(vlm.device)
    engine = BACKENDS.get(backend).make(vlm, sae=sae, layer=layer, settings=EngineSettings(**how))
    # An empty store is falsy.
    return Session(vlm, engine, AnswerStore(":memory:") if store is None else store, conditions)


def plan_batches(
    sizes: Sequence[tuple[int, int]],
    batch_size: int,
    *,
    order: Sequence[int] | None = None,
    apart: Collection[int] = (),
) -> list[list[int]]:
    """Places of the prompts of each batch: of similar size, or as they follow each other in `order`. Those in `apart`
    are in batches of their own, just as they are where they are all that is asked. A size is (pictures, characters)."""
    if order is None:
        order = sorted(range(len(sizes)), key=lambda place: (sizes[place], place))
    apart = frozenset(apart)
    groups = ([place for place in order if (place in apart) is side] for side in (True, False))
    return [group[at : at + batch_size] for group in groups for at in range(0, len(group), batch_size)]


def ask(
    session: Session,
    prompts: Sequence[Prompt],
    names: Sequence[str],
    *,
    settings: GenSettings,
    collect: Collect | None = None,
    progress: Progress | None = None,
    sizes: Sequence[tuple[int, int]] | None = None,
    order: Sequence[int] | None = None,
    apart: Collection[int] = (),
) -> None:
    """Ask every prompt under each of the session's conditions `names`, as far as the store lacks the answers.

    `collect` is given all answers, stored and computed alike, batch by batch and for some of the conditions at a time.
    `prompts` may make a prompt, with its pictures, when it is looked up; `sizes`, `order` and `apart` are those of
    `plan_batches`. Raises as Session.answers does.
    """
    if sizes is None:
        sizes = [(len(prompt.images), len(prompt.text)) for prompt in prompts]
    batches = plan_batches(sizes, session.engine.batch_size, order=order, apart=apart)
    done, total = 0, len(prompts) * len(names)

    def computed(n: int) -> None:
        nonlocal done
        done += n
        if progress:
            progress(done, total)

    # As few slices as there must be, of about the same length.
    n_slices = max(1, -(-len(names) // SLICE))
    edges = [len(names) * number // n_slices for number in range(n_slices + 1)]
    for start, end in pairwise(edges):
        for batch in batches:
            done_before = done
            answers = session.answers([prompts[place] for place in batch], names[start:end], settings, computed)
            # Without those that were stored the time left is right in a run that goes on.
            if n_stored := len(batch) * (end - start) - (done - done_before):
                total -= n_stored
                computed(0)
            if collect is not None:
                collect(batch, answers)


def as_asked(item: AskedItem, prompt: Prompt, settings: GenSettings, stops: tuple[str, ...] = ()) -> AskedItem:
    """`item` with how it was asked."""
    content = [{"type": "image", "hash": prompt.image_hash}] if prompt.images else []
    messages = [{"role": "user", "content": [*content, {"type": "text", "text": prompt.text}]}]
    return replace(
        item,
        options=prompt.options,
        scoring=settings.scoring,
        max_new_tokens=settings.new_tokens,
        stops=stops,
        prompt_hash=short_hash(prompt.text),
        image_hash=prompt.image_hash,
        messages=json.dumps(messages, ensure_ascii=False),
    )
