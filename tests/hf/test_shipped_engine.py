"""The shared engine against plain hooks on the shipped vsc-tiny, under the shipped intervention's own features."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
import torch

from vsc_eval.backends.hf.edit_hook import BatchState, RowEdit, row_edit
from vsc_eval.backends.hf.engine import Engine
from vsc_eval.backends.hf.forward import Runner, StackResult, run_hooked
from vsc_eval.backends.hf.load import LoadedVLM, load_vlm
from vsc_eval.backends.hf.prompts import BatchInputs, Prompt, encode_prompts
from vsc_eval.backends.hf.shared import run_stack, shared_prefix
from vsc_eval.backends.protocol import GenSettings
from vsc_eval.interventions.edits import CompiledCondition, compile_condition
from vsc_eval.interventions.intervention import LoadedIntervention, load_intervention
from vsc_eval.records import Reading
from vsc_eval.specs import ConditionSpec, EditSpec, FeatureSet, parse_condition
from vsc_eval.synthetic import LETTERS, TASKS, make_items, render

pytestmark = pytest.mark.xdist_group("shipped_engine")

NEW_TOKENS = 4
A, B, C = "counting", "logic", "multi_hop"
EDITS = (
    A,
    B,
    C,
    f"{A}:scale=3",
    f"{A}:ablate",
    f"{A}+{B}",
    f"{A}+{B}:ablate",
    f"{A}+{B}:norm=mean",
    f"{A}+{B}+{C}:scale=3:norm=max",
    f"{'+'.join(TASKS)}:scale=3:image",
    f"{B}:add=4:image",
    f"{B}+{C}:clamp=3:text",
    f"{C}:add=4:last",
    f"{A}+{C}:add=2:all:prefill",
)
ZERO = f"{A}+{B}:scale=1"


@pytest.fixture(scope="module")
def vlm() -> LoadedVLM:
    return load_vlm("vsc-tiny")


@pytest.fixture(scope="module")
def intervention(vlm: LoadedVLM) -> LoadedIntervention:
    return load_intervention("vsc-tiny", d_model=vlm.decoder.d_model)


def compiled(expression: str, intervention: LoadedIntervention) -> CompiledCondition:
    spec = parse_condition(expression, intervention.spec.default_edit)
    return compile_condition(spec, intervention.sets, intervention.sae, intervention.spec.layer)


@pytest.fixture(scope="module")
def conditions(intervention: LoadedIntervention) -> list[CompiledCondition | None]:
    return [None, *(compiled(expression, intervention) for expression in EDITS)]


@pytest.fixture(scope="module")
def prompts() -> list[Prompt]:
    """Two items of each of the edited tasks, of six lengths: a batch of four and one of two, both padded."""
    cells = [(task, level) for task in (A, B, C) for level in ("easy", "hard")]
    items = [make_items("test", task, level, 4)[index % 4] for index, (task, level) in enumerate(cells)]
    return [Prompt(item.prompt, (render(item.scene),), LETTERS) for item in items]


def engine(vlm: LoadedVLM, intervention: LoadedIntervention, **options: object) -> Engine:
    return Engine(vlm, sae=intervention.sae, layer=intervention.spec.layer, batch_size=4, **options)  # type: ignore[arg-type]


def flat(table: list[list[Reading]]) -> Iterator[Reading]:
    return (reading for row in table for reading in row)


def letter(reading: Reading) -> str:
    """The option that the model prefers."""
    assert reading.option_logprobs is not None
    return LETTERS[max(range(4), key=reading.option_logprobs.__getitem__)]


# Model and intervention belong together.


def test_the_intervention_was_made_on_the_shipped_weights(vlm: LoadedVLM, intervention: LoadedIntervention) -> None:
    assert vlm.dtype == torch.float32  # as its config says: the weights on disk are float16
    assert intervention.spec.model == "vsc-tiny"
    assert sorted(intervention.sets) == sorted(TASKS)
    for feature_set in intervention.sets.values():
        assert feature_set.task == feature_set.name
        assert feature_set.provenance["model_fingerprint"] == vlm.fingerprint
        assert feature_set.provenance["sae_fingerprint"] == intervention.sae.fingerprint()
        assert feature_set.provenance["split"] == "select"


# Readings, through the engine: the model's own end token ends an answer.


@pytest.fixture(scope="module", params=["loglikelihood", "generate"])
def settings(request: pytest.FixtureRequest) -> GenSettings:
    return GenSettings(request.param, NEW_TOKENS)


@pytest.fixture(scope="module")
def hooked(
    vlm: LoadedVLM,
    intervention: LoadedIntervention,
    prompts: list[Prompt],
    conditions: list[CompiledCondition | None],
    settings: GenSettings,
) -> list[list[Reading]]:
    return engine(vlm, intervention, mode="hooks").read(prompts, conditions, settings)


def test_one_at_a_time_equals_hooks_exactly(
    vlm: LoadedVLM,
    intervention: LoadedIntervention,
    prompts: list[Prompt],
    conditions: list[CompiledCondition | None],
    settings: GenSettings,
    hooked: list[list[Reading]],
) -> None:
    assert engine(vlm, intervention, mode="shared", max_stack=1).read(prompts, conditions, settings) == hooked


def test_stacks_give_the_same_answers(
    vlm: LoadedVLM,
    intervention: LoadedIntervention,
    prompts: list[Prompt],
    conditions: list[CompiledCondition | None],
    settings: GenSettings,
    hooked: list[list[Reading]],
) -> None:
    stacked = engine(vlm, intervention, mode="shared", max_stack=6).read(prompts, conditions, settings)
    for left, right in zip(flat(stacked), flat(hooked), strict=True):
        assert letter(left) == letter(right)
        assert (left.token_ids, left.text, left.top_token_id) == (right.token_ids, right.text, right.top_token_id)
        assert (left.n_fires, left.n_edited_tokens) == (right.n_fires, right.n_edited_tokens)
        for name in ("kl_vocab", "kl_options", "shift_edited", "shift_last"):
            assert getattr(left, name) == pytest.approx(getattr(right, name), abs=1e-5), name


def test_zero_strength_is_exactly_the_baseline(
    vlm: LoadedVLM,
    intervention: LoadedIntervention,
    prompts: list[Prompt],
    settings: GenSettings,
    hooked: list[list[Reading]],
) -> None:
    zero = engine(vlm, intervention, mode="shared", max_stack=1).read(
        prompts, [compiled(ZERO, intervention)], settings
    )[0]
    for left, right in zip(zero, hooked[0], strict=True):
        assert left.option_logprobs == right.option_logprobs
        assert (left.token_ids, left.text) == (right.token_ids, right.text)
        assert (left.kl_vocab, left.kl_options, left.shift_edited, left.shift_last) == (0.0, 0.0, 0.0, 0.0)


def test_prompts_without_pictures_go_along(
    vlm: LoadedVLM, intervention: LoadedIntervention, prompts: list[Prompt], settings: GenSettings
) -> None:
    mixed = [prompts[0], *(dataclasses.replace(prompt, images=()) for prompt in prompts[:2])]
    edits = [None, compiled(f"{A}:scale=3:text", intervention), compiled(f"{C}:add=4:last", intervention)]
    one_by_one = engine(vlm, intervention, mode="shared", max_stack=1).read(mixed, edits, settings)
    assert one_by_one == engine(vlm, intervention, mode="hooks").read(mixed, edits, settings)


# Logits, below the engine: no end token, so that every row decodes with its edit for as long as it may.


@pytest.fixture(scope="module")
def runner(vlm: LoadedVLM, intervention: LoadedIntervention) -> Runner:
    return Runner(
        model=vlm.model,
        decoder=vlm.decoder,
        sae=intervention.sae,
        layer=intervention.spec.layer,
        end_ids=(),
        pad_id=int(vlm.tokenizer.pad_token_id),
    )


@pytest.fixture(scope="module")
def inputs(vlm: LoadedVLM, prompts: list[Prompt]) -> BatchInputs:
    """Three prompts: as many as mrope has axes."""
    return encode_prompts(vlm, prompts[1::2])


@pytest.fixture(scope="module")
def edits(conditions: list[CompiledCondition | None], intervention: LoadedIntervention) -> list[RowEdit | None]:
    return [row_edit(condition, intervention.sae) for condition in conditions]


def by_hooks(runner: Runner, inputs: BatchInputs, edits: list[RowEdit | None]) -> list[StackResult]:
    batch = BatchState(inputs.attention_mask, inputs.image_mask)
    return [run_hooked(runner, inputs.tensors, batch, edit, max_new_tokens=NEW_TOKENS) for edit in edits]


def by_replay(runner: Runner, inputs: BatchInputs, stacks: list[list[RowEdit | None]]) -> list[StackResult]:
    batch = BatchState(inputs.attention_mask, inputs.image_mask)
    prefix = shared_prefix(runner, inputs.tensors, max_new_tokens=NEW_TOKENS)
    return [run_stack(runner, prefix, batch, stack, max_new_tokens=NEW_TOKENS) for stack in stacks]


@pytest.fixture(scope="module")
def reference(runner: Runner, inputs: BatchInputs, edits: list[RowEdit | None]) -> list[StackResult]:
    return by_hooks(runner, inputs, edits)


def final_logits(result: StackResult) -> torch.Tensor:
    assert result.generated is not None
    return result.generated.final_logits


def largest_difference(left: torch.Tensor, right: torch.Tensor) -> float:
    return float((left - right).abs().max())


def test_logits_are_bit_identical_one_at_a_time_and_through_decoding(
    runner: Runner, inputs: BatchInputs, edits: list[RowEdit | None], reference: list[StackResult]
) -> None:
    for shared, plain in zip(by_replay(runner, inputs, [[edit] for edit in edits]), reference, strict=True):
        assert torch.equal(shared.logits, plain.logits)
        assert torch.equal(final_logits(shared), final_logits(plain))
        assert shared.hook.fires == plain.hook.fires == NEW_TOKENS


def test_logits_of_a_stack_are_within_rounding(
    runner: Runner, inputs: BatchInputs, edits: list[RowEdit | None], reference: list[StackResult]
) -> None:
    stack = by_replay(runner, inputs, [edits])[0]
    assert stack.generated is not None
    expected = torch.cat([result.logits for result in reference])
    assert stack.logits.shape == expected.shape
    for actual, plain in (
        (stack.logits, expected),
        (final_logits(stack), torch.cat(list(map(final_logits, reference)))),
    ):
        assert largest_difference(actual, plain) <= 1e-5 * max(1.0, float(plain.abs().max()))
    tokens = [row for result in reference if result.generated for row in result.generated.tokens]
    assert stack.generated.tokens == tokens


# Negative controls: what the comparisons above have to be able to see.


def test_every_edit_changes_something(edits: list[RowEdit | None], reference: list[StackResult]) -> None:
    """Without this, agreement could mean that no feature of the sets fires on these prompts."""
    for edit, result in zip(edits[1:], reference[1:], strict=True):
        assert edit is not None
        assert largest_difference(result.logits, reference[0].logits) > 1e-4, edit.name
        assert max(result.hook.shift_edited[0] or [0.0]) > 1e-4, edit.name


def test_another_layer_is_noticed(
    runner: Runner, inputs: BatchInputs, intervention: LoadedIntervention, reference: list[StackResult]
) -> None:
    assert runner.layer is not None
    moved = dataclasses.replace(runner, layer=runner.layer - 1)
    edit = row_edit(compiled(A, intervention), intervention.sae)
    baseline, other = by_replay(moved, inputs, [[None], [edit]])
    assert torch.equal(baseline.logits, reference[0].logits)
    assert largest_difference(other.logits, reference[1 + EDITS.index(A)].logits) > 1e-4


def test_one_feature_less_is_noticed(
    runner: Runner, inputs: BatchInputs, intervention: LoadedIntervention, reference: list[StackResult]
) -> None:
    """A set without the best of its features is another edit, also where the two sets' other features agree."""
    less = FeatureSet(name=C, indices=intervention.sets[C].indices[1:])
    spec = ConditionSpec(name="less", sets=(C,), edit=compiled(f"{C}:add=4:last", intervention).spec.edit)
    condition = compile_condition(spec, {C: less}, intervention.sae, intervention.spec.layer)
    result = by_replay(runner, inputs, [[None], [row_edit(condition, intervention.sae)]])[1]
    assert largest_difference(result.logits, reference[1 + EDITS.index(f"{C}:add=4:last")].logits) > 1e-4


def test_decoding_without_the_edit_is_noticed(
    runner: Runner, inputs: BatchInputs, intervention: LoadedIntervention, reference: list[StackResult]
) -> None:
    expression = f"{C}:add=4:last"
    edit = compiled(expression, intervention).spec.edit
    assert edit == EditSpec(kind="add", value=4.0, positions="last", decode=True)
    prefill = row_edit(compiled(f"{expression}:prefill", intervention), intervention.sae)
    result = by_replay(runner, inputs, [[None], [prefill]])[1]
    plain = reference[1 + EDITS.index(expression)]
    assert torch.equal(result.logits, plain.logits)
    assert largest_difference(final_logits(result), final_logits(plain)) > 1e-4
