"""The session: everything is computed once, stored by chunk, and keyed by what it depends on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from vsc_eval.answers.store import AnswerStore
from vsc_eval.backends.ask import Session, ask, open_session
from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.backends.hf.prompts import Prompt
from vsc_eval.backends.protocol import GenSettings
from vsc_eval.errors import BackendError, DataError, SpecError
from vsc_eval.records import Reading
from vsc_eval.specs import BASELINE
from vsc_eval.synthetic import LETTERS, make_items

CHOICE = GenSettings(scoring="loglikelihood")
N = 8


@pytest.fixture(scope="module")
def prompts() -> list[Prompt]:
    items = make_items("test", "counting", "easy", N)
    return [Prompt(text=i.prompt, images=(i.image(),), options=LETTERS) for i in items]


@pytest.fixture
def opened(tiny_vlm: LoadedVLM, intervention_folder: Path) -> Callable[..., Session]:
    def make(*expressions: str, **options: Any) -> Session:
        options = {"intervention": intervention_folder, "batch_size": 2, **options}
        return open_session(tiny_vlm, expressions, **options)

    return make


def asked(
    session: Session, prompts: Sequence[Prompt], names: Sequence[str], settings: GenSettings = CHOICE, **options: Any
) -> dict[str, list[Reading]]:
    """All readings, in the order of the prompts."""
    found: dict[str, dict[int, Reading]] = {name: {} for name in names}

    def collect(places: Sequence[int], answers: Mapping[str, Sequence[Reading]]) -> None:
        for name, column in answers.items():
            found[name].update(zip(places, column, strict=True))

    ask(session, prompts, names, settings=settings, collect=collect, **options)
    return {name: [column[place] for place in range(len(prompts))] for name, column in found.items()}


def _count_reads(session: Session) -> list[tuple[int, int]]:
    """(conditions, prompts) of every later call of the engine."""
    calls: list[tuple[int, int]] = []
    read = session.engine.read

    def counted(prompts: Sequence[Prompt], conditions: Sequence[Any], *args: Any, **kwargs: Any) -> Any:
        calls.append((len(conditions), len(prompts)))
        return read(prompts, conditions, *args, **kwargs)

    session.engine.read = counted  # type: ignore[method-assign]
    return calls


def test_all_conditions_are_filled_in_one_pass(opened: Callable[..., Session], prompts: list[Prompt]) -> None:
    session = opened("counting", "counting+logic:ablate")
    calls = _count_reads(session)
    asked(session, prompts, list(session.conditions))
    assert calls == [(3, 2)] * 4
    assert len(session.store) == 3 * N
    asked(session, prompts, ["counting", "counting+logic:ablate"])
    assert len(calls) == 4


def test_an_edit_changes_the_readings_and_zero_strength_does_not(
    opened: Callable[..., Session], prompts: list[Prompt]
) -> None:
    session = opened("counting", "counting:scale=1")
    found = asked(session, prompts, [BASELINE, "counting", "counting:scale=1"])
    base = [r.option_logprobs for r in found[BASELINE]]
    assert [r.option_logprobs for r in found["counting:scale=1"]] == base
    assert all(a.option_logprobs != b for a, b in zip(found["counting"], base, strict=True))


def test_a_killed_run_loses_one_batch(opened: Callable[..., Session], prompts: list[Prompt], tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    session = opened("counting", store=AnswerStore(path))

    def die(done: int, total: int) -> None:
        # In the third batch of two prompts, here under two conditions.
        if done == 2 * 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asked(session, prompts, [BASELINE, "counting"], progress=die)
    session.store.close()
    again = opened("counting", store=AnswerStore(path))
    assert len(again.store) == 2 * 4
    calls = _count_reads(again)
    resumed = asked(again, prompts, ["counting"])
    assert calls == [(1, 2)] * 2
    assert resumed == asked(opened("counting"), prompts, ["counting"])


def test_a_later_condition_computes_only_itself(opened: Callable[..., Session], prompts: list[Prompt]) -> None:
    store = AnswerStore(":memory:")
    asked(opened("counting", store=store), prompts, [BASELINE, "counting"])
    session = opened("counting", "logic", store=store)
    calls = _count_reads(session)
    asked(session, prompts, [BASELINE, "counting", "logic"])
    assert calls == [(1, 2)] * 4


def test_stored_answers_are_found_by_the_keys_of_what_is_asked(
    opened: Callable[..., Session], prompts: list[Prompt], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep asks once for each condition; each time it must not look through all conditions."""
    session = opened("counting", "logic")
    first = asked(session, prompts, [BASELINE, "counting", "logic"])
    made: list[str] = []
    key = session.key
    monkeypatch.setattr(session, "key", lambda prompt, name, settings: made.append(name) or key(prompt, name, settings))
    assert asked(session, prompts, ["counting"])["counting"] == first["counting"]
    assert made == ["counting"] * N


def test_equal_prompts_and_equal_conditions_are_asked_once(
    opened: Callable[..., Session], prompts: list[Prompt]
) -> None:
    session = opened("counting+logic", "logic+counting")
    calls = _count_reads(session)
    seen: list[tuple[int, int]] = []
    found = asked(
        session, [prompts[0], prompts[0]], ["logic+counting", "counting+logic"], progress=lambda *a: seen.append(a)
    )
    assert calls == [(1, 1)]
    assert seen[-1] == (1, 1)
    assert found["logic+counting"] == found["counting+logic"]


def test_settings_are_part_of_the_key(opened: Callable[..., Session], prompts: list[Prompt]) -> None:
    session = opened()
    one = GenSettings(scoring="generate", max_new_tokens=1)
    assert session.key(prompts[0], BASELINE, CHOICE) != session.key(prompts[0], BASELINE, one)
    assert len({session.key(p, BASELINE, CHOICE) for p in prompts}) == N


def test_user_errors(opened: Callable[..., Session], prompts: list[Prompt], tiny_vlm: LoadedVLM) -> None:
    with pytest.raises(SpecError, match="Unknown condition 'logic'"):
        asked(opened("counting"), prompts, ["logic"])
    with pytest.raises(SpecError, match="Unknown feature set 'countin'"):
        opened("countin")
    with pytest.raises(SpecError, match="no intervention"):
        open_session(tiny_vlm, ["counting"], intervention="nonsuch")
    assert open_session(tiny_vlm).conditions == {BASELINE: None}


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
        MemoryError(),
    ],
)
def test_too_little_memory_is_a_users_error(
    opened: Callable[..., Session], prompts: list[Prompt], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(*_args: object) -> None:
        raise error

    session = opened()
    monkeypatch.setattr(session.engine, "read", full)
    with pytest.raises(BackendError, match="smaller batch size"):
        asked(session, prompts, [BASELINE])
    error.args = ("shapes do not fit",)
    if type(error) is RuntimeError:
        with pytest.raises(RuntimeError, match="do not fit"):
            asked(session, prompts, [BASELINE])


def test_an_sae_of_another_width(tiny_vlm: LoadedVLM, tmp_path: Path) -> None:
    from vsc_eval.interventions.intervention import save_intervention
    from vsc_eval.sae.model import SAE, SAEConfig
    from vsc_eval.sae.readers.saelens import save_sae
    from vsc_eval.specs import EditSpec, FeatureSet, InterventionSpec

    save_sae(SAE(SAEConfig(d_in=12, d_sae=8, k=2)), tmp_path / "sae")
    intervention = InterventionSpec(
        model="x",
        layer=1,
        sae="sae",
        default_edit=EditSpec(kind="ablate"),
        sets=(FeatureSet(name="a", indices=(1,)),),
    )
    save_intervention(intervention, tmp_path)
    with pytest.raises(DataError, match="width"):
        open_session(tiny_vlm, ["a"], intervention=tmp_path)
