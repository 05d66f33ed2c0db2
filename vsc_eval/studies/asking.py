"""Ask a study's items under its conditions: synthetic items, by the log-probabilities of their option letters."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from vsc_eval.answers.answer_table import Answers, AskedCondition, AskedItem
from vsc_eval.answers.collect import AnswerCollector
from vsc_eval.answers.store import AnswerStore
from vsc_eval.backends.ask import SLICE, Progress, as_asked, ask
from vsc_eval.backends.hf.engine import GenSettings
from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.backends.hf.prompts import Prompt
from vsc_eval.backends.protocol import AnswerEngine
from vsc_eval.backends.session import LazyConditions, Session
from vsc_eval.extract import likeliest_option
from vsc_eval.features.benchmark import to_prompt
from vsc_eval.interventions.edits import BASELINE_HASH, CompiledCondition, compile_condition
from vsc_eval.interventions.intervention import LoadedIntervention
from vsc_eval.records import Reading
from vsc_eval.specs import ConditionSpec, FeatureSet
from vsc_eval.synthetic import LETTERS, Item

BY_LETTERS = GenSettings(scoring="loglikelihood")


class Prompts(Sequence[Prompt]):
    """The prompts of items, each picture drawn when it is its turn: all of them together do not fit into memory."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, place: int) -> Prompt:  # type: ignore[override]  # slices are not asked for
        return to_prompt(self.items[place])

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """(pictures, characters) of every prompt, without drawing it."""
        return [(1, len(item.prompt)) for item in self.items]


def open_study_session(
    vlm: LoadedVLM,
    engine: AnswerEngine,
    store: AnswerStore,
    intervention: LoadedIntervention | None,
    conditions: Sequence[ConditionSpec],
    sets: Mapping[str, FeatureSet] | None = None,
) -> Session:
    """The model under the baseline and `conditions`, which are compiled when they are asked; `sets` are the feature
    sets that they name, by default the intervention's own."""

    def compiled(spec: ConditionSpec) -> CompiledCondition:
        assert intervention is not None
        known = intervention.sets if sets is None else sets
        found = compile_condition(spec, known_sets=known, sae=intervention.sae, layer=intervention.spec.layer)
        return found.to(vlm.device)

    lazy = LazyConditions(conditions, compiled, kept=2 * SLICE)
    return Session(vlm=vlm, engine=engine, store=store, conditions=lazy, settings=BY_LETTERS)


def ask_items(
    session: Session,
    items: Sequence[Item],
    progress: Progress,
    *,
    order: Sequence[int] | None = None,
    apart: Collection[str] = (),
) -> Answers:
    """What every item is answered under each of the session's conditions; the first of equal options counts.

    Items whose ids are in `apart` are asked in batches of their own, just as they are where they are all that is asked;
    `order` is that of the items where not their length decides. Raises as Session.answers does.
    """
    names, prompts = list(session.conditions), Prompts(items)

    def letter(_place: int, reading: Reading) -> tuple[str, str]:
        assert reading.option_logprobs is not None
        chosen = likeliest_option(LETTERS, reading.option_logprobs)
        return chosen, chosen

    collector = AnswerCollector(names, len(items), len(LETTERS), letter)
    places = [place for place, item in enumerate(items) if item.id in apart]
    ask(
        session,
        prompts,
        names,
        settings=BY_LETTERS,
        collect=collector.add,
        progress=progress,
        sizes=prompts.sizes,
        order=order,
        apart=places,
    )
    return collector.result()


def asked_items(items: Sequence[Item], split: str) -> tuple[AskedItem, ...]:
    """The items as they stand in a table of answers."""
    return tuple(_asked_item(item, split, prompt) for item, prompt in zip(items, Prompts(items), strict=True))


def _asked_item(item: Item, split: str, prompt: Prompt) -> AskedItem:
    known = AskedItem(
        item_id=item.id,
        task=item.task,
        level=item.level,
        split=split,
        cluster=item.orbit_id,
        gold=item.answer,
        gold_index=LETTERS.index(item.answer),
    )
    return as_asked(known, prompt, BY_LETTERS)


def asked_conditions(
    session: Session, targets: Mapping[str, tuple[str, ...]], draws: Mapping[str, tuple[str, int]] | None = None
) -> tuple[AskedCondition, ...]:
    """The session's conditions as they stand in a table of answers. `targets`: the tasks of each one's sets; `draws`:
    (kind of control, number) of a draw's."""
    found = []
    assert isinstance(session.conditions, LazyConditions)
    for name, spec in session.conditions.specs.items():
        compiled = session.conditions[name]
        kind, draw = (draws or {}).get(name, (None, None))
        found.append(
            AskedCondition(
                spec=spec,
                content_hash=BASELINE_HASH if compiled is None else compiled.content_hash,
                targets=targets.get(name),
                control_kind=kind,
                draw=draw,
            )
        )
    return tuple(found)
