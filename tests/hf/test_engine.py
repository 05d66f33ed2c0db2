"""The engine on a real processor: readings, order, fall-backs and errors."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import pytest
import torch
from PIL import Image
from tiny_edits import EDITS, SETS, condition, random_sae, zero_strength

from vsc_eval.backends.hf import shared as shared_path
from vsc_eval.backends.hf.engine import Engine, EngineWarning
from vsc_eval.backends.hf.load import LoadedVLM, load_vlm
from vsc_eval.backends.hf.memory import condition_bytes, fitting_stack, plan_stacks, useful_stack
from vsc_eval.backends.hf.prompts import Prompt, encode_prompts
from vsc_eval.backends.hf.scoring import kl_divergence
from vsc_eval.backends.protocol import GenSettings
from vsc_eval.errors import BackendError, DataError, SpecError
from vsc_eval.interventions.edits import CompiledCondition, compile_condition
from vsc_eval.records import Reading
from vsc_eval.sae.model import SAE
from vsc_eval.specs import ConditionSpec, EditSpec
from vsc_eval.synthetic import LETTERS

LAYER = 1
CHOICE, GENERATE = GenSettings("loglikelihood"), GenSettings("generate", 4)


@pytest.fixture(scope="module")
def sae(vlm: LoadedVLM) -> SAE:
    return random_sae(vlm.decoder.d_model)


@pytest.fixture(scope="module")
def conditions(sae: SAE) -> list[CompiledCondition | None]:
    return [None, *(condition(name, sae, LAYER) for name in EDITS)]


def engine(vlm: LoadedVLM, sae: SAE, **options: object) -> Engine:
    return Engine(vlm, sae=sae, layer=LAYER, batch_size=4, **options)  # type: ignore[arg-type]


def flat(table: list[list[Reading]]) -> Iterator[Reading]:
    return (reading for row in table for reading in row)


@pytest.mark.parametrize("settings", [CHOICE, GENERATE], ids=["loglikelihood", "generate"])
def test_one_at_a_time_equals_hooks_exactly(
    vlm: LoadedVLM,
    sae: SAE,
    prompts: list[Prompt],
    conditions: list[CompiledCondition | None],
    settings: GenSettings,
) -> None:
    shared = engine(vlm, sae, mode="shared", max_stack=1).read(prompts, conditions, settings)
    assert shared == engine(vlm, sae, mode="hooks").read(prompts, conditions, settings)


@pytest.mark.parametrize("settings", [CHOICE, GENERATE], ids=["loglikelihood", "generate"])
@pytest.mark.parametrize("max_stack", [2, 4, 16])
def test_stacks_give_the_same_answers(
    vlm: LoadedVLM,
    sae: SAE,
    prompts: list[Prompt],
    conditions: list[CompiledCondition | None],
    settings: GenSettings,
    max_stack: int,
) -> None:
    stacked = engine(vlm, sae, mode="shared", max_stack=max_stack).read(prompts, conditions, settings)
    hooked = engine(vlm, sae, mode="hooks").read(prompts, conditions, settings)
    for left, right in zip(flat(stacked), flat(hooked), strict=True):
        assert left.option_logprobs == pytest.approx(right.option_logprobs, abs=1e-5)
        assert (left.token_ids, left.text) == (right.token_ids, right.text)
        assert (left.n_fires, left.n_edited_tokens) == (right.n_fires, right.n_edited_tokens)
        assert left.kl_vocab == pytest.approx(right.kl_vocab, abs=1e-5)
        assert left.kl_options == pytest.approx(right.kl_options, abs=1e-5)
        assert left.shift_edited == pytest.approx(right.shift_edited, abs=1e-5)
        assert left.shift_last == pytest.approx(right.shift_last, abs=1e-5)


def test_a_reading_says_what_the_logits_say(
    vlm: LoadedVLM, sae: SAE, prompts: list[Prompt], conditions: list[CompiledCondition | None]
) -> None:
    """Log-probabilities and divergences worked out again from a plain forward, in float64."""
    baseline, edited = engine(vlm, sae).read(prompts[:1], conditions[:2], CHOICE)
    with torch.no_grad():
        inputs = encode_prompts(vlm, prompts[:1])
        logits = vlm.model(**inputs.tensors).logits[0, -1].double()
    ids = [vlm.tokenizer.convert_tokens_to_ids(letter) for letter in LETTERS]
    expected = torch.log_softmax(logits, -1)[ids].tolist()
    assert baseline[0].option_logprobs == pytest.approx(expected, abs=1e-5)
    assert baseline[0].kl_options == 0.0
    assert baseline[0].shift_edited is None
    assert baseline[0].n_fires == 0
    p, q = ([math.exp(v) for v in r[0].option_logprobs or ()] for r in (baseline, edited))
    p, q = [v / sum(p) for v in p], [v / sum(q) for v in q]
    by_hand = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    assert edited[0].kl_options == pytest.approx(by_hand, abs=1e-6)
    assert edited[0].n_edited_tokens == int(inputs.image_mask.sum())
    assert edited[0].n_fires == 1


def test_kl_divergence_of_worked_distributions() -> None:
    p, q = torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.25, 0.5, 0.25])
    assert float(kl_divergence(p.log(), q.log())) == pytest.approx(0.5 * math.log(2))
    assert float(kl_divergence(q.log(), q.log())) == 0.0


def test_zero_strength_is_exactly_the_baseline(vlm: LoadedVLM, sae: SAE, prompts: list[Prompt]) -> None:
    baseline, zero = engine(vlm, sae, max_stack=1).read(prompts, [None, zero_strength(sae, LAYER)], GENERATE)
    for left, right in zip(baseline, zero, strict=True):
        assert left.option_logprobs == right.option_logprobs
        assert left.token_ids == right.token_ids
        assert right.kl_vocab == 0.0
        assert right.shift_edited == 0.0
        assert right.shift_last == 0.0


def test_order_duplicates_and_progress(vlm: LoadedVLM, sae: SAE, prompts: list[Prompt]) -> None:
    low, mid = condition("scale_image", sae, LAYER), condition("ablate_text", sae, LAYER)
    renamed = dataclasses.replace(low, name="another name")
    done: list[int] = []
    mixed = [prompts[7], Prompt(prompts[0].text, (), LETTERS), *prompts[:3]]
    table = engine(vlm, sae).read(mixed, [mid, None, mid], CHOICE, done.append)
    assert sum(done) == len(mixed)
    assert table[0] == table[2]
    alone = engine(vlm, sae).read([mixed[1]], [mid], CHOICE)
    assert table[0][1].option_logprobs == pytest.approx(alone[0][0].option_logprobs, abs=1e-5)
    first, second = engine(vlm, sae).read(prompts[:2], [low, renamed], CHOICE)
    assert first == second
    assert engine(vlm, sae).read([], [None, low], CHOICE) == [[], []]


def test_the_baseline_needs_no_sae(vlm: LoadedVLM, sae: SAE, prompts: list[Prompt]) -> None:
    alone = Engine(vlm, batch_size=4).read(prompts, [None], GENERATE)
    assert alone == engine(vlm, sae).read(prompts, [None], GENERATE)
    baseline = compile_condition(ConditionSpec(name="baseline"), {}, sae, LAYER)
    assert Engine(vlm, batch_size=4).read(prompts, [baseline], GENERATE) == alone


def test_answers_do_not_depend_on_the_split(
    vlm: LoadedVLM, sae: SAE, prompts: list[Prompt], conditions: list[CompiledCondition | None]
) -> None:
    whole = engine(vlm, sae).read(prompts, conditions, GENERATE)
    for options in ({"constant_shapes": True}, {"constant_shapes": True, "max_stack": 4}, {}):
        parts = [engine(vlm, sae, **options).read(prompts[i : i + 3], conditions, GENERATE) for i in (0, 3, 6)]
        joined = [[r for part in parts for r in part[c]] for c in range(len(conditions))]
        for left, right in zip(flat(whole), flat(joined), strict=True):
            assert left.token_ids == right.token_ids
            assert left.option_logprobs == pytest.approx(right.option_logprobs, abs=1e-5)


def test_constant_shapes_make_a_resume_bit_identical(
    vlm: LoadedVLM, sae: SAE, prompts: list[Prompt], conditions: list[CompiledCondition | None]
) -> None:
    """Equal-length prompts: a batch filled up with spare rows computes its own rows exactly as the full batch does."""
    same = prompts[:4]
    read = partial(engine(vlm, sae, constant_shapes=True, max_stack=4).read, settings=GENERATE)
    whole, part = read(same, conditions), read(same[:3], conditions[:3])
    for left, right in zip(part, whole, strict=False):
        assert left == right[:3]


def test_half_precision_keeps_shapes_constant_by_default(vlm: LoadedVLM) -> None:
    assert not Engine(vlm).constant_shapes
    assert Engine(dataclasses.replace(vlm, dtype=torch.bfloat16)).constant_shapes


def test_a_tiny_memory_budget_still_answers(
    vlm: LoadedVLM, sae: SAE, prompts: list[Prompt], conditions: list[CompiledCondition | None]
) -> None:
    small = engine(vlm, sae, memory_budget_bytes=1, max_stack=16).read(prompts, conditions, CHOICE)
    assert small == engine(vlm, sae, max_stack=1).read(prompts, conditions, CHOICE)


def test_stacks_are_planned_evenly() -> None:
    assert plan_stacks(20, 8, constant=False) == (3, 8)
    assert plan_stacks(8, 8, constant=False) == (2, 5)
    assert plan_stacks(8, 8, constant=True) == (2, 8)
    assert plan_stacks(3, 1, constant=True) == (3, 1)
    assert fitting_stack(1000, 100) == 9
    assert fitting_stack(10, 100) == 1
    assert useful_stack(torch.device("cpu"), 16 * 222) == 1
    assert useful_stack(torch.device("cpu"), 64) == 8
    assert useful_stack(torch.device("cuda"), 16 * 222) > 4


def test_a_condition_takes_more_memory_with_more_tokens(vlm: LoadedVLM) -> None:
    one = condition_bytes(vlm.model, 4, 30, None)
    assert one < condition_bytes(vlm.model, 4, 30, 8) < condition_bytes(vlm.model, 8, 60, 8)


def test_a_foreign_hook_takes_the_plain_path_with_a_warning(
    vlm: LoadedVLM, sae: SAE, prompts: list[Prompt], conditions: list[CompiledCondition | None]
) -> None:
    expected = engine(vlm, sae, max_stack=1).read(prompts, conditions, CHOICE)
    handle = vlm.decoder.layers[0].self_attn.register_forward_hook(lambda *_: None)  # type: ignore[union-attr]
    try:
        with pytest.raises(BackendError, match=r"hook is registered at decoder layer 0\.self_attn"):
            engine(vlm, sae, mode="shared").read(prompts, conditions, CHOICE)
        with pytest.warns(EngineWarning, match="hook is registered"):
            assert engine(vlm, sae).read(prompts, conditions, CHOICE) == expected
    finally:
        handle.remove()


def test_a_failing_self_check_takes_the_plain_path(
    vlm: LoadedVLM,
    sae: SAE,
    prompts: list[Prompt],
    conditions: list[CompiledCondition | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A replay that loses the padding mask is wrong without any error; the self-check has to see it."""
    expected = engine(vlm, sae, max_stack=1).read(prompts, conditions, CHOICE)
    expand = shared_path.expand_arguments

    def without_mask(arguments: dict[str, object], n_items: int, n_copies: int) -> dict[str, object]:
        return {**expand(arguments, n_items, n_copies), "attention_mask": None}

    monkeypatch.setattr(shared_path, "expand_arguments", without_mask)
    with pytest.raises(BackendError, match="logits of the baseline differ"):
        engine(vlm, sae, mode="shared").read(prompts, conditions, CHOICE)
    with pytest.warns(EngineWarning, match="logits of the baseline differ"):
        assert engine(vlm, sae).read(prompts, conditions, CHOICE) == expected


def test_a_replay_that_is_wrong_on_pictures_only_is_found_behind_prompts_without(
    vlm: LoadedVLM, sae: SAE, prompts: list[Prompt], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Positions counted as if a picture were words."""
    expand = shared_path.expand_arguments

    def with_text_positions(arguments: dict[str, object], n_items: int, n_copies: int) -> dict[str, object]:
        positions = arguments["position_ids"]
        if isinstance(positions, torch.Tensor):
            arguments = {**arguments, "position_ids": torch.arange(positions.shape[-1]).expand_as(positions)}
        return expand(arguments, n_items, n_copies)

    monkeypatch.setattr(shared_path, "expand_arguments", with_text_positions)
    text_only = Prompt(prompts[0].text, (), LETTERS)
    careful = engine(vlm, sae, mode="shared")
    edits = [None, condition("add_all", sae, LAYER)]
    assert len(careful.read([text_only], edits, CHOICE)) == 2
    with pytest.raises(BackendError, match="differ by"):
        careful.read([text_only, *prompts], edits, CHOICE)


def test_a_model_in_which_no_edit_can_do_anything_is_refused(
    vlm: LoadedVLM, sae: SAE, prompts: list[Prompt], conditions: list[CompiledCondition | None]
) -> None:
    """A foreign hook above the edited layer that puts a constant in place of the hidden state."""
    handle = vlm.decoder.layers[LAYER + 1].register_forward_hook(lambda _m, _a, output: torch.ones_like(output))
    try:
        with pytest.raises(BackendError, match=r"at layer 1 of .* changes nothing"):
            engine(vlm, sae).read(prompts, conditions, CHOICE)
    finally:
        handle.remove()


@pytest.mark.parametrize("settings", [CHOICE, GENERATE], ids=["loglikelihood", "generate"])
@pytest.mark.parametrize("mode", ["shared", "hooks"])
def test_an_edit_that_overflows_is_an_error(
    vlm: LoadedVLM, sae: SAE, prompts: list[Prompt], settings: GenSettings, mode: Literal["shared", "hooks"]
) -> None:
    huge = ConditionSpec(name="huge", sets=("low",), edit=EditSpec(kind="add", value=3e38))
    edits = [None, compile_condition(huge, SETS, sae, LAYER)]
    with pytest.raises(BackendError, match=r"Under condition 'huge' the logits for .* are not numbers"):
        engine(vlm, sae, mode=mode).read(prompts[:1], edits, settings)


def test_two_pictures_before_one_question(vlm: LoadedVLM, sae: SAE, prompts: list[Prompt]) -> None:
    double = [
        Prompt(p.text, (p.images[0], q.images[0]), LETTERS) for p, q in zip(prompts[:3], prompts[4:7], strict=True)
    ]
    edits = [None, condition("scale_image", sae, LAYER)]
    shared = engine(vlm, sae, max_stack=1, mode="shared").read(double, edits, GENERATE)
    assert shared == engine(vlm, sae, mode="hooks").read(double, edits, GENERATE)
    assert shared[1][0].n_edited_tokens == 32


# What the user did wrong.


def test_bad_requests(vlm: LoadedVLM, sae: SAE, prompts: list[Prompt]) -> None:
    image_edit = condition("scale_image", sae, LAYER)
    with pytest.raises(SpecError, match="edits layer 2; the engine edits layer 1"):
        engine(vlm, sae).read(prompts, [condition("scale_image", sae, 2)], CHOICE)
    with pytest.raises(SpecError, match="has no options"):
        engine(vlm, sae).read([Prompt("Hello?")], [None], CHOICE)
    with pytest.raises(SpecError, match=r"edits image tokens, but the prompt 'Hello\?' has none"):
        engine(vlm, sae).read([Prompt("Hello?", (), LETTERS)], [image_edit], CHOICE)
    with pytest.raises(SpecError, match="max_new_tokens is 0"):
        GenSettings("generate", 0)
    with pytest.raises(SpecError, match="edits layer 1; the engine edits layer None"):
        Engine(vlm).read(prompts, [image_edit], CHOICE)


def test_bad_engines(vlm: LoadedVLM, sae: SAE) -> None:
    with pytest.raises(SpecError, match="Layer 4 does not exist: the model has 4"):
        Engine(vlm, sae=sae, layer=4)
    with pytest.raises(DataError, match="SAE has width 8, but the model's residual stream has width 48"):
        Engine(vlm, sae=random_sae(8), layer=1)
    with pytest.raises(SpecError, match="go together"):
        Engine(vlm, sae=sae)
    with pytest.raises(SpecError, match="at least 1"):
        Engine(vlm, batch_size=0)
    with pytest.raises(SpecError, match="memory budget of 0 bytes"):
        Engine(vlm, memory_budget_bytes=0)


def test_image_edits_are_refused_where_the_image_is_not_in_the_stream(
    vlm: LoadedVLM, sae: SAE, prompts: list[Prompt], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vlm.model.config.text_config, "cross_attention_layers", [1], raising=False)  # type: ignore[union-attr]
    with pytest.raises(BackendError, match="enters by cross-attention"):
        engine(vlm, sae).read(prompts, [condition("scale_image", sae, LAYER)], CHOICE)


def test_edits_that_nothing_reads_are_announced(vlm: LoadedVLM, sae: SAE, monkeypatch: pytest.MonkeyPatch) -> None:
    edit = condition("scale_image", sae, LAYER)
    for n_shared, warned in ((1, False), (2, True), (3, True)):
        monkeypatch.setattr(vlm.model.config.text_config, "num_kv_shared_layers", n_shared, raising=False)  # type: ignore[union-attr]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            engine(vlm, sae, mode="hooks")._check_edit(edit)
        assert [w.category for w in caught] == [EngineWarning] * warned
    monkeypatch.setattr(vlm.model.config.text_config, "num_kv_shared_layers", 0, raising=False)  # type: ignore[union-attr]
    with pytest.warns(EngineWarning, match="no layer above 3 of .* reads them again"):
        Engine(vlm, sae=sae, layer=3)._check_edit(condition("scale_image", sae, 3))


def test_a_replay_that_raises_is_a_reason_not_a_crash(
    vlm: LoadedVLM, sae: SAE, prompts: list[Prompt], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object) -> dict[str, object]:
        raise KeyError("full_attention")

    monkeypatch.setattr(shared_path, "expand_arguments", broken)
    with pytest.warns(EngineWarning, match="replaying it raises KeyError"):
        engine(vlm, sae).read(prompts[:2], [None, condition("scale_image", sae, LAYER)], CHOICE)


def test_pictures_of_other_modes(vlm: LoadedVLM) -> None:
    grey = Prompt("What is it?", (Image.new("L", (64, 40), 128),), LETTERS)
    reading = Engine(vlm).read([grey], [None], CHOICE)[0][0]
    assert reading.option_logprobs is not None
    assert all(math.isfinite(v) for v in reading.option_logprobs)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("max_stack", [1, 8])
def test_a_gpu_gives_the_same(
    vlm_folder: Path, sae: SAE, prompts: list[Prompt], conditions: list[CompiledCondition | None], max_stack: int
) -> None:
    """Not bit for bit, as on a CPU: its kernels are chosen by shape and layout, and sum in another order."""
    on_gpu = load_vlm(vlm_folder, device="cuda")
    shared = flat(engine(on_gpu, sae, mode="shared", max_stack=max_stack).read(prompts, conditions, GENERATE))
    plain = flat(engine(on_gpu, sae, mode="hooks").read(prompts, conditions, GENERATE))
    sae.to("cpu")
    assert [r.token_ids for r in shared] == [r.token_ids for r in plain]
    for one, other in zip(shared, plain, strict=True):
        assert one.option_logprobs == pytest.approx(other.option_logprobs, abs=1e-5)
        assert one.shift_last == pytest.approx(other.shift_last, rel=1e-4)
