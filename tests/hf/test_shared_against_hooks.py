"""The shared path against one hooked forward for each condition, on tiny random models of many families."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
import torch
from tiny_edits import EDITS, condition, random_sae, zero_strength
from tiny_models import END, FAMILIES, PAD, TinyCase
from torch import Tensor

from vsc_eval.backends.hf import shared as shared_path
from vsc_eval.backends.hf.decoder import apply_head, find_decoder, why_not_split
from vsc_eval.backends.hf.edit_hook import BatchState, RowEdit, row_edit
from vsc_eval.backends.hf.forward import Prefilled, Runner, StackResult, full_forward, greedy, run_hooked
from vsc_eval.backends.hf.prompts import BatchInputs
from vsc_eval.backends.hf.selfcheck import disagreement
from vsc_eval.backends.hf.shared import run_stack, shared_prefix
from vsc_eval.errors import BackendError

NEW_TOKENS = 5
LAYER = 2
EVERY_FAMILY = pytest.mark.parametrize("family", FAMILIES)


@cache
def case_of(family: str) -> TinyCase:
    return FAMILIES[family]()


def runner_of(case: TinyCase, layer: int = LAYER, *, end_ids: Sequence[int] = (END,)) -> Runner:
    decoder = find_decoder(case.model)
    sae = random_sae(decoder.d_model)
    return Runner(model=case.model, decoder=decoder, sae=sae, layer=layer, end_ids=end_ids, pad_id=PAD)


def batch_of(case: TinyCase) -> BatchState:
    return BatchState(case.inputs["attention_mask"], case.image_mask)


def edits_of(runner: Runner) -> list[RowEdit | None]:
    assert runner.sae is not None
    assert runner.layer is not None
    return [None, *(row_edit(condition(name, runner.sae, runner.layer), runner.sae) for name in EDITS)]


def hooked(case: TinyCase, runner: Runner, edits: list[RowEdit | None]) -> list[StackResult]:
    batch = batch_of(case)
    return [run_hooked(runner, case.inputs, batch, edit, max_new_tokens=NEW_TOKENS) for edit in edits]


def one_at_a_time(case: TinyCase, runner: Runner, edits: list[RowEdit | None]) -> list[StackResult]:
    batch = batch_of(case)
    prefix = shared_prefix(runner, case.inputs, max_new_tokens=NEW_TOKENS)
    return [run_stack(runner, prefix, batch, [edit], max_new_tokens=NEW_TOKENS) for edit in edits]


def stacked(case: TinyCase, runner: Runner, edits: list[RowEdit | None]) -> StackResult:
    prefix = shared_prefix(runner, case.inputs, max_new_tokens=NEW_TOKENS)
    return run_stack(runner, prefix, batch_of(case), edits, max_new_tokens=NEW_TOKENS)


def tokens(result: StackResult) -> list[list[int]]:
    assert result.generated is not None
    return result.generated.tokens


def largest_difference(left: Tensor, right: Tensor) -> float:
    return float((left - right).abs().max())


@EVERY_FAMILY
@pytest.mark.parametrize("layer", [0, LAYER, 4])
def test_one_at_a_time_is_bit_identical_to_a_hooked_forward(family: str, layer: int) -> None:
    case = case_of(family)
    runner = runner_of(case, layer)
    edits = edits_of(runner)
    for reference, shared in zip(hooked(case, runner, edits), one_at_a_time(case, runner, edits), strict=True):
        assert torch.equal(shared.logits, reference.logits)
        assert tokens(shared) == tokens(reference)
        assert shared.generated is not None
        assert reference.generated is not None
        assert torch.equal(shared.generated.final_logits, reference.generated.final_logits)
        assert shared.hook.shift_edited == reference.hook.shift_edited
        assert shared.hook.shift_last == reference.hook.shift_last


@EVERY_FAMILY
@pytest.mark.parametrize("layer", [1, LAYER, 4])
def test_stacked_conditions_give_the_same_answers(family: str, layer: int) -> None:
    case = case_of(family)
    runner = runner_of(case, layer)
    edits = edits_of(runner)
    reference = hooked(case, runner, edits)
    stack = stacked(case, runner, edits)
    expected = torch.cat([result.logits for result in reference])
    assert stack.logits.shape[0] == len(edits) * 3
    assert largest_difference(stack.logits, expected) <= 1e-5 * max(1.0, float(expected.abs().max()))
    assert torch.equal(stack.logits.argmax(-1), expected.argmax(-1))
    assert tokens(stack) == [row for result in reference for row in tokens(result)]
    for index, result in enumerate(reference):
        assert stack.hook.shift_edited[index] == pytest.approx(result.hook.shift_edited[0], abs=1e-5)
        assert stack.hook.shift_last[index] == pytest.approx(result.hook.shift_last[0], abs=1e-4)


@EVERY_FAMILY
def test_the_edits_matter_and_reach_later_tokens(family: str) -> None:
    """Without this, agreement could mean that nothing was edited at all."""
    case = case_of(family)
    runner = runner_of(case)
    baseline, *edited = hooked(case, runner, edits_of(runner))
    for result in edited:
        assert largest_difference(result.logits, baseline.logits) > 1e-3
        assert min(result.hook.shift_edited[0] or [0.0]) > 1e-3
        assert min(result.hook.shift_last[0] or [0.0]) > 1e-4


@EVERY_FAMILY
def test_zero_strength_is_the_model_without_any_hook(family: str) -> None:
    case = case_of(family)
    runner = runner_of(case)
    assert runner.sae is not None
    with torch.no_grad():
        plain = case.model(**case.inputs, use_cache=False, logits_to_keep=1).logits[:, -1]
    results = one_at_a_time(case, runner, [None, row_edit(zero_strength(runner.sae, LAYER), runner.sae)])
    for result in results:
        assert torch.equal(result.logits, plain)
    assert tokens(results[0]) == tokens(results[1])
    assert results[1].hook.shift_edited == [[0.0] * 3]
    assert results[1].hook.shift_last == [[0.0] * 3]


@EVERY_FAMILY
def test_greedy_tokens_are_those_of_generate(family: str) -> None:
    """Independent of our decode loop: positions, masks and cache are prepared by transformers here."""
    case = case_of(family)
    runner = runner_of(case)
    result = one_at_a_time(case, runner, [None])[0]
    generated = case.model.generate(  # type: ignore[operator]
        **case.inputs, max_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=PAD, eos_token_id=END
    )
    for row, expected in zip(tokens(result), generated[:, case.inputs["input_ids"].shape[1] :].tolist(), strict=True):
        cut = expected.index(END) if END in expected else len(expected)
        assert row == expected[:cut]


@EVERY_FAMILY
def test_an_edit_is_what_the_formula_says(family: str) -> None:
    """Against a hook written out here from the dense codes: h + (alpha - 1) sum_S z_i W_dec[i] on image tokens."""
    case = case_of(family)
    runner = runner_of(case)
    sae = runner.sae
    assert sae is not None

    def formula(_module: Any, _args: Any, h: Tensor) -> Tensor:
        z = sae.encode(h)
        chosen = torch.zeros(z.shape[-1])
        chosen[:48] = 1.0
        delta = (3.0 - 1.0) * (z * chosen) @ sae.W_dec
        return h + delta * case.image_mask[..., None]

    handle = runner.decoder.layers[LAYER].register_forward_hook(formula)
    try:
        with torch.no_grad():
            expected = case.model(**case.inputs, use_cache=False).logits[:, -1]
    finally:
        handle.remove()
    edit = row_edit(condition("scale_image", sae, LAYER), sae)
    assert largest_difference(stacked(case, runner, [None, edit]).logits[3:], expected) < 2e-5


@EVERY_FAMILY
def test_a_prefix_used_twice_gives_the_same(family: str) -> None:
    case = case_of(family)
    runner = runner_of(case)
    edits = edits_of(runner)
    batch = batch_of(case)
    prefix = shared_prefix(runner, case.inputs, max_new_tokens=NEW_TOKENS)
    first, second = (run_stack(runner, prefix, batch, edits, max_new_tokens=NEW_TOKENS) for _ in range(2))
    assert torch.equal(first.logits, second.logits)
    assert tokens(first) == tokens(second)
    assert first.generated is not None
    assert second.generated is not None
    assert torch.equal(first.generated.final_logits, second.generated.final_logits)


@EVERY_FAMILY
def test_scoring_needs_no_cache_and_gives_the_same_logits(family: str) -> None:
    case = case_of(family)
    runner = runner_of(case)
    edits = edits_of(runner)
    prefix = shared_prefix(runner, case.inputs, max_new_tokens=None)
    assert prefix.cache is None
    scored = run_stack(runner, prefix, batch_of(case), edits, max_new_tokens=None)
    assert scored.generated is None
    assert scored.hook.fires == 1
    assert largest_difference(scored.logits, stacked(case, runner, edits).logits) < 1e-5


@EVERY_FAMILY
def test_the_self_check_passes(family: str) -> None:
    case = case_of(family)
    inputs = BatchInputs(tensors=case.inputs, image_mask=case.image_mask)
    assert why_not_split(case.model, find_decoder(case.model), LAYER) is None
    assert disagreement(runner_of(case), inputs, generate=True) is None


def test_decode_edits_change_later_tokens_only_where_asked() -> None:
    case = case_of("qwen3_vl")
    runner = runner_of(case, end_ids=())
    assert runner.sae is not None
    every = dataclasses.replace(condition("prefill_only", runner.sae, LAYER), name="decode too")
    edit = every.spec.edit
    assert edit is not None
    spec = every.spec.model_copy(update={"edit": edit.model_copy(update={"decode": True})})
    prefill = row_edit(condition("prefill_only", runner.sae, LAYER), runner.sae)
    both = row_edit(dataclasses.replace(every, spec=spec), runner.sae)
    image = row_edit(condition("scale_image", runner.sae, LAYER), runner.sae)
    assert prefill is not None
    assert both is not None
    assert image is not None
    assert (prefill.edits_decode, both.edits_decode, image.edits_decode) == (False, True, False)
    result = stacked(case, runner, [None, prefill, both])
    assert torch.equal(result.logits[3:6], result.logits[6:9])
    assert result.generated is not None
    assert largest_difference(result.generated.final_logits[3:6], result.generated.final_logits[6:9]) > 1e-3
    assert result.hook.fires == NEW_TOKENS


# Negative controls: each breaks one thing, and the comparison has to notice.


def test_another_layer_is_noticed() -> None:
    case = case_of("qwen3_vl")
    reference = hooked(case, runner_of(case, LAYER), edits_of(runner_of(case, LAYER)))
    moved = runner_of(case, LAYER + 1)
    for expected, other in zip(reference[1:], one_at_a_time(case, moved, edits_of(moved))[1:], strict=True):
        assert largest_difference(other.logits, expected.logits) > 1e-3


@pytest.mark.parametrize("family", ["qwen3_vl", "qwen2_5_vl"])
def test_positions_off_by_one_are_noticed_in_the_logits(family: str) -> None:
    """Tokens alone would miss it most of the time."""
    case = case_of(family)
    runner = runner_of(case)
    finals = []
    for shift in (0, 1):
        start = full_forward(runner.model, runner.decoder, case.inputs, keep_cache=True)
        assert start.position_ids is not None
        moved = dataclasses.replace(start, position_ids=start.position_ids + shift)
        finals.append(greedy(runner.model, moved, end_ids=(), pad_id=PAD, max_new_tokens=2).final_logits)
    assert largest_difference(*finals) > 1e-3


@pytest.mark.parametrize("family", ["qwen3_vl", "gemma3", "llava"])
def test_item_major_rows_are_noticed(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interleaved(arguments: dict[str, Any], n_items: int, n_copies: int) -> dict[str, Any]:
        def mixed(value: Any) -> Any:
            if isinstance(value, Tensor) and value.ndim and value.shape[0] == n_items:
                return value.repeat_interleave(n_copies, 0)
            return {k: mixed(v) for k, v in value.items()} if isinstance(value, dict) else value

        return {name: mixed(value) for name, value in arguments.items()}

    monkeypatch.setattr(shared_path, "expand_arguments", interleaved)
    case = case_of(family)
    inputs = BatchInputs(tensors=case.inputs, image_mask=case.image_mask)
    try:
        reason = disagreement(runner_of(case), inputs, generate=False)
    except (RuntimeError, IndexError):
        return  # the model itself refuses shapes that do not fit
    assert reason is not None


@pytest.mark.parametrize("family", ["qwen3_vl", "gemma3"])
def test_cutting_the_list_of_layers_is_noticed(family: str) -> None:
    """The tempting shortcut: hand h_L to a decoder that has the upper layers only."""
    case = case_of(family)
    runner = runner_of(case, 0)
    prefix = shared_prefix(runner, case.inputs, max_new_tokens=None)
    decoder = runner.decoder.module
    layers = decoder.layers
    try:
        decoder.layers = layers[1:]
        with torch.no_grad():
            output = decoder(**{**prefix.arguments, "inputs_embeds": prefix.hidden})
    finally:
        decoder.layers = layers
    with torch.no_grad():
        logits = apply_head(case.model, runner.decoder, output[0][:, -1:], type(output), PAD)
    assert largest_difference(logits, hooked(case, runner, [None])[0].logits) > 1e-3


# Nothing is left behind.


def _state(case: TinyCase) -> list[tuple[int, bool, int, int]]:
    return [
        (id(m), "forward" in vars(m), len(m._forward_hooks), len(m._forward_pre_hooks)) for m in case.model.modules()
    ]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("path", ["shared", "hooks"])
def test_the_model_is_as_before_whatever_an_edit_raises(path: str, error: type[BaseException]) -> None:
    case = case_of("qwen3_vl")
    runner = runner_of(case)
    before = _state(case)
    calls: list[int] = []

    def delta(h: Tensor, _codes: Any) -> Tensor:
        calls.append(1)
        if len(calls) == 2:  # in the middle of decoding
            raise error
        return torch.zeros_like(h)

    bad = RowEdit(name="bad", positions="all", edits_decode=True, delta=delta, needs_codes=False)
    run = stacked if path == "shared" else hooked
    with pytest.raises(error):
        run(case, runner, [None, bad])
    assert len(calls) == 2
    assert _state(case) == before
    again = stacked(case, runner, [None])
    assert torch.equal(again.logits, hooked(case, runner, [None])[0].logits)


def test_a_hook_that_does_not_fire_is_an_error() -> None:
    case = case_of("llava")
    runner = runner_of(case)
    batch = batch_of(case)
    tap_free = full_forward(runner.model, runner.decoder, case.inputs, keep_cache=False)
    from vsc_eval.backends.hf.edit_hook import EditHook

    with pytest.raises(BackendError, match="fired 0 times in 1 forwards"):
        runner.finish(EditHook([None], batch, None), tap_free, None)


def test_ended_rows_keep_their_tokens_while_others_go_on() -> None:
    """Row ends are per row: cutting the free continuation at its first end token must give the same."""
    case = case_of("qwen3_vl")
    free = tokens(one_at_a_time(case, runner_of(case, end_ids=()), [None])[0])
    end = free[0][1]
    result = one_at_a_time(case, runner_of(case, end_ids=(end,)), [None])[0]
    expected = [row[: row.index(end)] if end in row else row for row in free]
    assert tokens(result) == expected
    assert result.generated is not None
    needed = [
        min(len(row) + 1, NEW_TOKENS) if end in full else NEW_TOKENS for row, full in zip(expected, free, strict=True)
    ]
    assert result.generated.n_forwards == needed


def test_decoding_starts_from_the_prompt_alone() -> None:
    start = Prefilled(logits=torch.eye(2, 5), cache=None, attention_mask=torch.ones(2, 3), position_ids=None)
    out = greedy(torch.nn.Identity(), start, end_ids=(), pad_id=0, max_new_tokens=1)
    assert out.tokens == [[0], [1]]
    assert out.n_steps == 0
    assert out.n_forwards == [1, 1]


def test_a_token_chosen_by_no_number_is_marked() -> None:
    logits = torch.eye(3, 5)
    logits[0, 3], logits[1, 2] = torch.nan, torch.inf
    start = Prefilled(logits=logits, cache=None, attention_mask=torch.ones(3, 3), position_ids=None)
    assert greedy(torch.nn.Identity(), start, end_ids=(), pad_id=0, max_new_tokens=1).broken == [True, True, False]
