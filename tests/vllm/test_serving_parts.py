"""The parts of the vLLM backend that need no vLLM: positions, the hook, the accounts, what goes over the wire."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vsc_eval.backends.vllm.engine import check_account
from vsc_eval.backends.vllm.worker import (
    BatchEdit,
    Entry,
    Slice,
    edited_offsets,
    edited_prompt,
    pack_conditions,
    residual_stream,
    unpack_conditions,
)
from vsc_eval.errors import BackendError, SpecError
from vsc_eval.interventions.edits import CompiledCondition, compile_condition, edit_delta
from vsc_eval.sae.model import SAE, SAEConfig
from vsc_eval.specs import ConditionSpec, EditSpec, FeatureSet, NormMatch

D, LAYER = 8, 3
SETS = {"a": FeatureSet(name="a", indices=(0, 1, 2)), "b": FeatureSet(name="b", indices=(2, 3))}


@pytest.fixture(scope="module")
def sae() -> SAE:
    made = SAE(SAEConfig(d_in=D, d_sae=16, k=4))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return made.requires_grad_(False)


def condition(sae: SAE, sets: tuple[str, ...], **edit: Any) -> CompiledCondition:
    spec = ConditionSpec(name="+".join(sets), sets=sets, edit=EditSpec(**{"kind": "scale", "value": 3.0, **edit}))
    return compile_condition(spec, SETS, sae, LAYER)


@pytest.mark.parametrize(
    ("positions", "expected"), [("image", [1, 2]), ("text", [0, 3, 4]), ("last", [4]), ("all", [0, 1, 2, 3, 4])]
)
def test_edited_prompt_tokens(positions: Any, expected: list[int]) -> None:
    is_image = np.array([False, True, True, False, False])
    assert np.flatnonzero(edited_prompt(positions, is_image)).tolist() == expected


@given(
    mask=st.lists(st.booleans(), min_size=1, max_size=12),
    n_generated=st.integers(0, 5),
    cuts=st.lists(st.integers(1, 16), max_size=4),
    decode=st.booleans(),
)
def test_pieces_of_any_size_edit_what_the_whole_would(
    mask: list[bool], n_generated: int, cuts: list[int], decode: bool
) -> None:
    prompt = np.array(mask)
    total = len(mask) + n_generated
    edges = [0, *sorted({cut for cut in cuts if cut < total}), total]
    found: list[int] = []
    for start, end in pairwise(edges):
        piece = Slice(request_id=0, row=100, start=start, length=end - start)
        found += (edited_offsets(piece, prompt, decode=decode) + start).tolist()
    assert found == np.flatnonzero(mask).tolist() + (list(range(len(mask), total)) if decode else [])


def flat_batch(sae: SAE, conditions: Sequence[CompiledCondition | None]) -> tuple[BatchEdit, list[Slice], torch.Tensor]:
    """One request of 5 prompt tokens for each condition; the first is decoding, the others are in their prompt."""
    audit_log: dict[int, Entry] = {}
    pieces, row = [], 0
    for request_id, one in enumerate(conditions):
        edited = None if one is None else np.array([True, False, True, True, False])
        audit_log[request_id] = Entry("" if one is None else one.content_hash, edited, 5)
        start, length = (6, 1) if request_id == 0 else (request_id % 3, 3)
        pieces.append(Slice(request_id, row, start, length))
        row += length
    known = {one.content_hash: one for one in conditions if one is not None}
    hidden = torch.randn(2, row + 2, D, generator=torch.Generator().manual_seed(row))
    return BatchEdit(sae, lambda: pieces, known, audit_log), pieces, hidden


def test_every_request_gets_its_own_edit_and_no_other(sae: SAE) -> None:
    conditions = [
        condition(sae, ("a",)),
        None,
        condition(sae, ("a", "b"), norm_match=NormMatch(reference="mean")),
        condition(sae, ("b",), kind="ablate", value=None),
        condition(sae, ("a",)),
    ]
    edit, pieces, (hidden, residual) = flat_batch(sae, conditions)
    changed, kept = edit(None, None, (hidden, residual))
    assert kept is residual
    stream = hidden + residual
    expected = stream.clone()
    for one, piece in zip(conditions, pieces, strict=True):
        if one is None:
            continue
        for offset in range(piece.length):
            position, row = piece.start + offset, piece.row + offset
            if position >= 5 or position in (0, 2, 3):
                expected[row] += edit_delta(one, stream[row : row + 1], sae.encode_sparse(stream[row : row + 1]), sae)[
                    0
                ]
    torch.testing.assert_close(changed + residual, expected, rtol=1e-5, atol=1e-5)
    assert not torch.equal(changed, hidden)
    torch.testing.assert_close(changed[pieces[1].row : pieces[2].row], hidden[pieces[1].row : pieces[2].row])


def test_zero_strength_changes_no_bit(sae: SAE) -> None:
    edit, _, (hidden, residual) = flat_batch(sae, [condition(sae, ("a",), value=1.0)])
    assert torch.equal(edit(None, None, (hidden, residual))[0], hidden)


def test_a_batch_without_edits_is_handed_on(sae: SAE) -> None:
    edit, _, (hidden, residual) = flat_batch(sae, [None, None])
    assert edit(None, None, (hidden, residual)) is None
    assert [entry.passes for entry in edit.audit_log.values()] == [1, 1]


def test_generated_tokens_are_left_alone_where_the_edit_says_so(sae: SAE) -> None:
    for quiet in (condition(sae, ("a",), decode=False), condition(sae, ("a",), positions="image")):
        edit, _, (hidden, residual) = flat_batch(sae, [quiet])
        assert edit(None, None, (hidden, residual)) is None


def test_a_layer_that_hands_on_a_tensor() -> None:
    hidden = torch.randn(4, D)
    found, stream = residual_stream(hidden)
    assert found is hidden
    assert torch.equal(stream(torch.tensor([2])), hidden[2:3])


@pytest.mark.parametrize("output", [(torch.zeros(4, D), None), (torch.zeros(4, D), torch.zeros(2, D)), "text"])
def test_an_output_of_another_form_is_no_residual_stream(output: Any) -> None:
    with pytest.raises(TypeError, match="a decoder layer gave"):
        residual_stream(output)


def test_a_token_that_runs_again_is_counted_once(sae: SAE) -> None:
    edit = BatchEdit(sae, list)
    edit.audit_log[7] = Entry("c", np.ones(4, dtype=bool), 4)
    for positions in ([0, 1], [2, 3, 4], [0, 1, 2, 3], [4]):
        shifts = np.full(len(positions), 0.5, dtype=np.float32)
        edit.audit_log[7].note(np.array(positions), shifts)
    expected = {"condition": "c", "prompt_tokens": 4, "decode_tokens": 1, "passes": 0, "shift": 0.5}
    assert edit.accounts() == {7: expected}
    assert edit.accounts() == {}


def test_conditions_survive_the_wire(sae: SAE) -> None:
    sent = [
        condition(sae, ("a", "b"), norm_match=NormMatch(reference="max")),
        condition(sae, ("b",), random_directions=4),
    ]
    received = unpack_conditions(pack_conditions(sent), sae)
    assert list(received) == [one.content_hash for one in sent]
    h = torch.randn(5, D, generator=torch.Generator().manual_seed(1))
    for one in sent:
        codes = sae.encode_sparse(h)
        assert torch.equal(edit_delta(received[one.content_hash], h, codes, sae), edit_delta(one, h, codes, sae))


def account(sae: SAE, **changes: Any) -> Any:
    content = condition(sae, ("a",)).content_hash
    return {"condition": content, "prompt_tokens": 5, "decode_tokens": 2, "passes": 3, "shift": 0.1, **changes}


def test_a_complete_account_passes(sae: SAE) -> None:
    check_account(condition(sae, ("a",)), account(sae), 5, 3, "Q")
    check_account(condition(sae, ("a",), decode=False), account(sae, decode_tokens=0) | _hash(sae), 5, 3, "Q")


def _hash(sae: SAE) -> Any:
    return {"condition": condition(sae, ("a",), decode=False).content_hash}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"passes": 0}, "never saw"),
        ({"condition": "other"}, "another condition"),
        ({"prompt_tokens": 4}, "4 of 5 prompt tokens"),
        ({"decode_tokens": 1}, "1 of 2 generated tokens"),
        ({"decode_tokens": 4}, "4 of 2 generated tokens"),
    ],
)
def test_an_incomplete_account_is_an_error(sae: SAE, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BackendError, match=words):
        check_account(condition(sae, ("a",)), account(sae, **changes), 5, 3, "Q")


def test_no_account_at_all_is_an_error() -> None:
    with pytest.raises(BackendError, match=r"the baseline.*never saw"):
        check_account(None, None, 0, 1, "Q")


def test_edits_of_tokens_that_a_prompt_lacks_are_refused(sae: SAE) -> None:
    from types import SimpleNamespace

    from vsc_eval.backends.vllm.engine import expected_tokens

    vlm: Any = SimpleNamespace(image_token_ids=[9])
    image = condition(sae, ("a",), positions="image")
    assert expected_tokens(image, [1, 9, 9, 2], vlm, "Q") == 2
    with pytest.raises(SpecError, match="edits image tokens"):
        expected_tokens(image, [1, 2], vlm, "Q")
