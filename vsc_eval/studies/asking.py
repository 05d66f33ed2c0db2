"""Ask a study's items under its conditions: synthetic items, by the log-probabilities of their option letters."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from vsc_eval.analysis.controls import ControlKind
from vsc_eval.answers.answer_table import AnswerCollector, Answers, AnswerTable, AskedItem, Pass
from vsc_eval.answers.store import AnswerStore
from vsc_eval.backends.ask import LazyConditions, Progress, Session, as_asked, ask
from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.backends.hf.prompts import Prompt
from vsc_eval.backends.protocol import AnswerEngine, GenSettings
from vsc_eval.extract import likeliest_option
from vsc_eval.features.harvest import to_prompt
from vsc_eval.interventions.edits import BASELINE_HASH, CompiledCondition, compile_condition
from vsc_eval.interventions.intervention import LoadedIntervention
from vsc_eval.records import Reading
from vsc_eval.specs import ConditionSpec, FeatureSet
from vsc_eval.studies.conditions import asked_condition
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


def open_study_session(
    vlm: LoadedVLM,
    engine: AnswerEngine,
    store: AnswerStore,
    intervention: LoadedIntervention,
    conditions: Sequence[ConditionSpec],
    sets: Mapping[str, FeatureSet] | None = None,
) -> Session:
    """The model under the baseline and `conditions`, which are compiled when they are asked; `sets` are the feature
    sets that they name, by default the intervention's own."""
    known = intervention.sets if sets is None else sets

    def compiled(spec: ConditionSpec) -> CompiledCondition:
        found = compile_condition(spec, known_sets=known, sae=intervention.sae, layer=intervention.spec.layer)
        return found.to(vlm.device)

    return Session(vlm, engine, store, LazyConditions(conditions, compiled))


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
    names = list(session.conditions)

    def letter(_place: int, reading: Reading) -> tuple[str, str]:
        assert reading.option_logprobs is not None
        chosen = likeliest_option(LETTERS, reading.option_logprobs)
        return chosen, chosen

    collector = AnswerCollector(names, len(items), len(LETTERS), letter)
    ask(
        session,
        Prompts(items),
        names,
        settings=BY_LETTERS,
        collect=collector.add,
        progress=progress,
        # (pictures, characters) of every prompt, without drawing it.
        sizes=[(1, len(item.prompt)) for item in items],
        order=order,
        apart=[place for place, item in enumerate(items) if item.id in apart],
    )
    return collector.result()


def answer_table(
    session: Session,
    items: Sequence[Item],
    main: Answers,
    passes: Mapping[Pass, Answers] | None = None,
    draws: Mapping[str, tuple[ControlKind, int]] | None = None,
) -> AnswerTable:
    """The answers with the items and the session's conditions; `draws`: (kind of control, number) of a draw's."""
    assert isinstance(session.conditions, LazyConditions)
    conditions = []
    for name, spec in session.conditions.specs.items():
        compiled = session.conditions[name]
        known = asked_condition(spec, *(draws or {}).get(name, (None, None)))
        conditions.append(replace(known, content_hash=compiled.content_hash if compiled else BASELINE_HASH))
    asked = []
    for item in items:
        same = {name: getattr(item, name) for name in ("task", "level", "split")}
        own = AskedItem(item_id=item.id, cluster=item.orbit_id, gold=item.answer, gold_index=item.gold, **same)
        asked.append(as_asked(own, to_prompt(item), BY_LETTERS))
    return AnswerTable(tuple(asked), tuple(conditions), main, passes or {})
