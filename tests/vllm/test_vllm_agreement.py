"""vLLM against transformers on the same prompts, under the same conditions, in float32."""

from __future__ import annotations

from typing import Any

import pytest

# One process of the test run: each would start a vLLM of its own for the fixture.
pytestmark = [pytest.mark.vllm, pytest.mark.xdist_group("vllm_agreement")]

TOLERANCE_NATS = 1e-3
FAULT_NATS = 0.1


def same_answers(a: Any, b: Any) -> float:
    """Share of equal token sequences and equal best options, over all conditions and prompts."""
    pairs = [(x, y) for row_a, row_b in zip(a, b, strict=True) for x, y in zip(row_a, row_b, strict=True)]
    return sum(x["token_ids"] == y["token_ids"] and x["top_token_id"] == y["top_token_id"] for x, y in pairs) / len(
        pairs
    )


def worst(a: Any, b: Any) -> list[float]:
    """For each condition the largest difference of an option's log-probability, in nats."""
    return [
        max(
            abs(p - q)
            for x, y in zip(row_a, row_b, strict=True)
            for p, q in zip(x["option_logprobs"], y["option_logprobs"], strict=True)
        )
        for row_a, row_b in zip(a, b, strict=True)
    ]


def agree(a: Any, b: Any) -> bool:
    return same_answers(a, b) >= 0.995 and max(worst(a, b)) <= TOLERANCE_NATS


@pytest.mark.parametrize("part", ["mixed", "loglikelihood", "text_only", "chunked"])
def test_the_same_answers_and_log_probabilities(found: Any, part: str) -> None:
    assert agree(found[part]["hf"], found[part]["vllm"]), worst(found[part]["hf"], found[part]["vllm"])


@pytest.mark.parametrize("part", ["mixed", "loglikelihood", "text_only", "chunked"])
@pytest.mark.parametrize("count", ["n_edited_tokens", "n_fires"])
def test_the_same_tokens_are_edited_as_often(found: Any, part: str, count: str) -> None:
    ours, theirs = ([[reading[count] for reading in row] for row in found[part][name]] for name in ("vllm", "hf"))
    assert ours == theirs


@pytest.mark.parametrize("figure", ["shift_edited", "kl_options"])
def test_the_same_shifts_and_divergences(found: Any, figure: str) -> None:
    for ours, theirs in zip(found["mixed"]["vllm"], found["mixed"]["hf"], strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert a[figure] == (None if b[figure] is None else pytest.approx(b[figure], abs=1e-4))


def test_every_condition_has_an_effect_that_could_have_been_missed(found: Any) -> None:
    baseline, *edited = found["mixed"]["vllm"]
    effects = worst([baseline] * len(edited), edited)
    assert min(effects) > 10 * TOLERANCE_NATS, effects


def test_editing_generated_tokens_shows(found: Any) -> None:
    both, prefill = found["mixed"]["vllm"][-2:]
    assert both[0]["n_fires"] == 5
    assert prefill[0]["n_fires"] == 1
    assert [r["option_logprobs"] for r in both] == [r["option_logprobs"] for r in prefill]
    assert [r["token_ids"] for r in both] != [r["token_ids"] for r in prefill]


@pytest.mark.parametrize("fault", ["wrong layer", "dropped half", "shifted by one"])
def test_a_faulty_hook_would_not_pass(found: Any, fault: str) -> None:
    broken = found["faults"][fault]
    right = [row[: len(broken[0])] for row in found["mixed"]["hf"]]
    assert not agree(right, broken)
    assert max(worst(right, broken)) > FAULT_NATS
    assert max(worst(right[:1], broken[:1])) <= TOLERANCE_NATS, "the baseline is not edited"


def test_mixed_and_one_at_a_time_are_the_same(found: Any) -> None:
    mixed, alone = found["mixed"]["vllm"], found["one_at_a_time"]
    assert same_answers(mixed, alone) == 1
    assert max(worst(mixed, alone)) <= 1e-4


def test_prompts_ran_in_chunks(found: Any) -> None:
    assert min(found["chunked"]["passes"]) >= 7, "five tokens take five passes; the prompt took more than one"


def test_a_limit_on_pixels_is_the_same_on_both(found: Any) -> None:
    pixels = found["chunked"]["tokens"]
    assert pixels["vllm"] == pixels["hf"] < pixels["without a limit"]


def test_aborted_requests_leave_the_others_alone(found: Any) -> None:
    part = found["aborted"]
    assert 0 < len(part["done"]) < part["asked"]
    assert part["done"] == {request_id: part["expected"][request_id] for request_id in part["done"]}


def test_a_stopped_reading_leaves_nothing_behind(found: Any) -> None:
    assert found["stopped"]["unfinished"] is False
    before = [row[:4] for row in found["mixed"]["vllm"]]
    assert same_answers(before, found["stopped"]["after"]) == 1


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("lost edit", "prompt tokens were edited"),
        ("hook removed", "the hook never saw the request"),
        ("image of a text", "edits image tokens, but the prompt"),
        ("too long", "2048 tokens"),
        ("compiled", "compiled"),
        ("prefix caching", "prefix cache"),
        ("pipeline", "pipeline"),
        ("speculation", "speculative"),
        ("newer runner", "V2"),
        ("unknown argument", "vLLM does not start"),
    ],
)
def test_what_would_be_wrong_is_refused(found: Any, case: str, words: str) -> None:
    assert words in found["refusals"][case]


def test_what_runs_is_not_refused(found: Any) -> None:
    assert found["refusals"]["as it is"] == ""


def test_a_run_has_the_same_answers_on_both_backends(found: Any) -> None:
    run = found["run"]
    assert run["vllm"]["answers"] == run["hf"]["answers"]
    assert run["vllm"]["fingerprint"] == run["hf"]["fingerprint"]
    assert run["vllm"]["settings"]["backend"] == "vllm"
    assert "backend" not in run["hf"]["settings"], "runs from before there was a choice can be resumed"
    assert run["resumed without starting vLLM"]


def test_lm_eval_runs_vsc_vllm(found: Any) -> None:
    assert found["lm_eval"]["vsc-vllm"] == found["lm_eval"]["vsc-hf"]
