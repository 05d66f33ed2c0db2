"""vsc-hf inside lm-eval: pairs, options, refusals, and the same answers as plain transformers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lm_eval
import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.tasks import TaskManager
from PIL import Image

from vsc_eval.backends.ask import Session, open_session
from vsc_eval.backends.hf.engine import EngineWarning
from vsc_eval.backends.hf.load import LoadedVLM
from vsc_eval.backends.hf.prompts import encode_prompts, option_token_ids
from vsc_eval.backends.protocol import GenSettings
from vsc_eval.errors import BackendError, SpecError
from vsc_eval.lmeval.documents import document, scene_images
from vsc_eval.lmeval.lm import VscHF
from vsc_eval.lmeval.scoring import option_letters
from vsc_eval.lmeval.session_lm import SessionLM, conditions_of, cut, gen_settings, to_prompt
from vsc_eval.records import Reading
from vsc_eval.resources import tasks_dir
from vsc_eval.specs import BASELINE
from vsc_eval.synthetic import make_items

IMAGE = Image.new("RGB", (448, 448), (10, 20, 30))
GEN = {"until": [], "do_sample": False, "max_gen_toks": 2}


def request(
    context: str = "<image>How many?", *arguments: Any, doc: Mapping[str, Any] | None = None, repeats: int = 1
) -> Instance:
    kind = "generate_until" if not arguments or isinstance(arguments[0], dict) else "loglikelihood"
    return Instance(kind, dict(doc or {}), (context, *(arguments or (GEN,))), 0, ("some_task", 0, repeats))


@pytest.fixture(scope="module")
def session(tiny_vlm: LoadedVLM, intervention_folder: Path) -> Session:
    expressions = ["counting+logic:scale=40", "counting:scale=1"]
    return open_session(tiny_vlm, expressions, intervention=intervention_folder, batch_size=4)


def evaluate(lm: SessionLM, *names: str, n: int = 8, **options: Any) -> dict[str, Any]:
    manager = TaskManager(include_path=str(tasks_dir()), include_defaults=False, metadata={"vsc_n": n})
    found: dict[str, Any] | None = lm_eval.evaluate(lm, manager.load(list(names)), **options)
    assert found is not None
    return found


def test_pairs_hold_baseline_and_edit(session: Session) -> None:
    edited = "counting+logic:scale=40"
    names = ("vsc_counting_easy_paired", "vsc_counting_easy_choice_paired", "vsc_counting_easy")
    pairs = evaluate(SessionLM(session, edited), *names)["samples"]
    plain = {c: evaluate(SessionLM(session, c), "vsc_counting_easy")["samples"] for c in (BASELINE, edited)}
    for row, pair in enumerate(pairs["vsc_counting_easy_paired"]):
        texts = [plain[c]["vsc_counting_easy"][row]["resps"][0][0] for c in (BASELINE, edited)]
        assert pair["resps"] == [texts]
        assert pairs["vsc_counting_easy"][row]["resps"] == [[texts[1]]]
    for pair in pairs["vsc_counting_easy_choice_paired"]:
        assert all(base != changed for base, changed in pair["resps"])


def test_the_null_control_drifts_nowhere(session: Session) -> None:
    names = ("vsc_logic_easy_paired", "vsc_logic_easy_choice_paired")
    found = evaluate(SessionLM(session, "counting:scale=1"), *names)
    for name in names:
        result = found["results"][name]
        assert result["drift,none"] == result["acc_delta,none"] == 0.0
        assert all(base == edited for sample in found["samples"][name] for base, edited in sample["resps"])


def test_option_scores_are_those_of_a_plain_forward(session: Session, tiny_vlm: LoadedVLM) -> None:
    samples = evaluate(SessionLM(session), "vsc_comparison_easy_choice", n=4)["samples"]["vsc_comparison_easy_choice"]
    letters = ("A", "B", "C", "D")
    ids = list(option_token_ids(tiny_vlm, letters))
    for sample in samples:
        images = {"visual": scene_images(sample["doc"])}
        prompt = to_prompt(request(sample["doc"]["prompt"], GEN, images), options=letters)
        with torch.no_grad():
            logits = tiny_vlm.model(**encode_prompts(tiny_vlm, [prompt]).tensors).logits[0, -1].float()
        expected = torch.log_softmax(logits, -1)[ids]
        scores = [resps[0] for resps in sample["resps"]]
        assert torch.allclose(torch.tensor([s[0] for s in scores]), expected, atol=1e-4)
        assert [s[1] for s in scores] == [int(logits.argmax()) == i for i in ids]


def test_text_and_picture_tasks_in_one_run(session: Session) -> None:
    lm = SessionLM(session)
    found = evaluate(lm, "vsc_counting_easy", "vsc_counting_easy_blind_none", "vsc_counting_easy_blind_grey", n=4)
    assert len(found["results"]) == 3
    # Blind, the four items of an orbit are one prompt and get one answer.
    blind = {s["resps"][0][0] for s in found["samples"]["vsc_counting_easy_blind_none"]}
    assert len(blind) == 1


def test_stored_answers_are_not_asked_again(tiny_vlm: LoadedVLM, monkeypatch: pytest.MonkeyPatch) -> None:
    session = open_session(tiny_vlm, batch_size=4)
    first = evaluate(SessionLM(session), "vsc_existence_easy", n=4)
    monkeypatch.setattr(session.engine, "read", lambda *_a, **_k: pytest.fail("asked again"))
    again = evaluate(SessionLM(session), "vsc_existence_easy", n=4)
    assert again["results"] == first["results"]


def readings_of(lm: SessionLM) -> dict[str, list[Reading]]:
    """What every document was answered under each condition of the session."""
    prompts = [question.prompt for question in lm.questions.values()]
    (settings,) = {question.settings for question in lm.questions.values()}
    return lm.session.answers(prompts, list(lm.session.conditions), settings)


def test_both_scorings_see_the_same_options(tiny_vlm: LoadedVLM, intervention_folder: Path) -> None:
    """The distribution over the letters, its KL and the shifts do not depend on whether a text is read as well."""
    session = open_session(tiny_vlm, ["counting"], intervention=intervention_folder, batch_size=4)
    found: dict[str, dict[str, list[Reading]]] = {}
    for name in ("vsc_logic_hard", "vsc_logic_hard_choice"):
        lm = SessionLM(session, in_sweep=True)
        evaluate(lm, name, n=4)
        assert {question.prompt.options for question in lm.questions.values()} == {("A", "B", "C", "D")}
        found["generate" if name == "vsc_logic_hard" else "loglikelihood"] = readings_of(lm)
    assert len(session.store) == 2 * 2 * 4
    for condition in (BASELINE, "counting"):
        for text, choice in zip(found["generate"][condition], found["loglikelihood"][condition], strict=True):
            assert text.text is not None
            assert choice.text is None
            assert text.option_logprobs == pytest.approx(choice.option_logprobs, abs=1e-5)
            assert text.kl_options == pytest.approx(choice.kl_options, abs=1e-5)
            assert text.top_token_id == choice.top_token_id == (text.token_ids or (text.top_token_id,))[0]
    assert any((reading.kl_options or 0) > 1e-4 for reading in found["generate"]["counting"])


def test_scorings_have_keys_of_their_own(session: Session) -> None:
    prompt = to_prompt(request(), options=("A", "B"))
    bare = to_prompt(request())
    settings = (GenSettings("loglikelihood"), GenSettings("generate", 8), GenSettings("generate", 2))
    assert len({session.key(p, BASELINE, s) for p in (prompt, bare) for s in settings}) == 6


def test_only_documents_in_our_shape_have_letters() -> None:
    doc = document(make_items("test", "counting", "easy", 4)[0])
    assert option_letters(doc) == ("A", "B", "C", "D")
    assert option_letters({**doc, "letters": ["1", "2", "3", "4"], "answer": "2"}) == ("1", "2", "3", "4")
    for change in ({"letters": ["A", "B"]}, {"letters": "ABCD"}, {"letters": [0, 1, 2, 3]}, {"answer": "red"}):
        assert option_letters({**doc, **change}) == ()
    assert option_letters({"question": "How many?", "answer": "3"}) == ()
    assert option_letters("How many?") == ()


def test_texts_of_other_tasks_have_no_options(session: Session) -> None:
    lm = SessionLM(session, in_sweep=True)
    lm.generate_until([request(doc={"question": "How many?", "answer": "3"})])
    (reading,) = readings_of(lm)[BASELINE]
    assert (reading.option_logprobs, reading.kl_options) == (None, None)
    assert reading.kl_vocab == 0


def test_letters_that_are_no_single_tokens_cost_their_figures_only(session: Session) -> None:
    letters = ["first one", "second one"]
    doc = {"id": "x", "prompt": "Q?", "options": ["red", "blue"], "letters": letters, "answer": "first one"}
    lm = SessionLM(session, in_sweep=True)
    with pytest.warns(EngineWarning, match="as one token.*stay undefined"):
        lm.generate_until([request(doc=doc)])
    (reading,) = readings_of(lm)[BASELINE]
    assert reading.text is not None
    assert reading.option_logprobs is None


def test_arms_follow_the_order_of_the_two_clones() -> None:
    one, two = (request(doc={"vsc_paired": True}, repeats=2) for _ in range(2))
    plain = request(repeats=3)
    assert conditions_of([one, one, plain, two, two], "c") == [BASELINE, "c", "c", BASELINE, "c"]
    with pytest.raises(SpecError, match="repeats: 1"):
        conditions_of([request(doc={"vsc_paired": True})], "c")
    with pytest.raises(SpecError, match="none was given"):
        conditions_of([one, one], BASELINE)


def test_pictures_and_slots() -> None:
    visual = {"visual": [IMAGE]}
    prompt = to_prompt(request("<image>\nHow many?", GEN, visual))
    assert (prompt.text, prompt.images) == ("How many?", (IMAGE,))
    assert to_prompt(request("How many?", GEN, visual)).images == (IMAGE,)
    assert to_prompt(request("What does <image> mean?")).text == "What does <image> mean?"
    two = {"visual": [IMAGE, IMAGE]}
    assert to_prompt(request("<image> <image>Same?", GEN, two)).text == "Same?"
    with pytest.raises(BackendError, match="inside its text"):
        to_prompt(request("Is <image> red?", GEN, visual))
    assert "red" in to_prompt(request("Is <image> red?", GEN, visual), images_first=True).text
    with pytest.raises(BackendError, match="few-shot"):
        to_prompt(request("<image>Q? A\n\n<image>Q?", GEN, visual))
    with pytest.raises(BackendError, match="audio"):
        to_prompt(request("Q", GEN, {"audio": [0]}))
    with pytest.raises(BackendError, match="without a question"):
        to_prompt(request("", GEN))


def test_generation_arguments() -> None:
    settings, stops = gen_settings("t", {"until": ["\n", ""], "temperature": 0.0, "max_gen_toks": 5})
    assert (settings, stops) == (GenSettings("generate", 5), ("\n",))
    assert gen_settings("t", {"until": "x"}) == (GenSettings("generate", 256), ("x",))
    for wrong in ({"do_sample": True}, {"num_beams": 4}, {"beams": 1}):
        with pytest.raises(SpecError):
            gen_settings("t", wrong)
    assert cut("B\n\nx", ["\n\n", "x"]) == "B"
    assert cut("B", []) == "B"


def test_greedy_flag_when_options_hold_little_mass(session: Session, tiny_vlm: LoadedVLM) -> None:
    lm = SessionLM(session)
    requests = [request("<image>How many?", letter, {"visual": [IMAGE]}) for letter in (" A", " B")]
    scores = lm.loglikelihood(requests)
    assert all(score < 0 for score, _ in scores)
    prompt = to_prompt(requests[0], options=("A", "B"))
    reading = session.answers([prompt], [BASELINE], GenSettings("generate", 1))[BASELINE][0]
    ids = option_token_ids(tiny_vlm, ("A", "B"))
    assert [flag for _, flag in scores] == [reading.token_ids == (i,) for i in ids]


def test_refusals(session: Session) -> None:
    lm = SessionLM(session)
    with pytest.raises(BackendError, match="response cache"):
        lm.set_cache_hook(None)
    with pytest.raises(BackendError, match="running text"):
        lm.loglikelihood_rolling([request()])
    with pytest.raises(BackendError, match="one token"):
        lm.loglikelihood([request("Q?", "a red circle")])
    with pytest.raises(SpecError, match="Unknown condition"):
        SessionLM(session, "nonsuch")


def test_chat_template_is_left_to_the_engine(session: Session) -> None:
    lm = SessionLM(session)
    assert lm.apply_chat_template([{"role": "user", "content": "<image>Q"}]) == "<image>Q"
    assert "<|vision_start|>" in lm.chat_template(True)
    for turns in (["system", "user"], ["user", "assistant", "user"]):
        with pytest.raises(BackendError, match="one user turn"):
            lm.apply_chat_template([{"role": role, "content": ""} for role in turns])
    same = evaluate(lm, "vsc_counting_easy", n=4, apply_chat_template=True)
    assert same["results"] == evaluate(lm, "vsc_counting_easy", n=4)["results"]


def test_made_as_lm_evals_command_line_makes_it(tiny_folder: Path, intervention_folder: Path, tmp_path: Path) -> None:
    answers = tmp_path / "answers.sqlite"
    lm = VscHF.create_from_arg_string(
        f"pretrained={tiny_folder},intervention={intervention_folder},condition=counting+logic:scale=2,vsc_n=8,answers={answers}",
        {"batch_size": 1, "device": "cuda:0", "max_batch_size": None},
    )
    assert lm.condition == "counting+logic:scale=2"
    assert lm.session.engine.batch_size == 16
    assert lm.get_model_info()["layer"] == 1
    assert answers.is_file()
    sized = VscHF.create_from_arg_obj({"pretrained": str(tiny_folder)}, {"batch_size": "3", "device": "cpu"})
    assert (sized.session.engine.batch_size, sized.condition) == (3, BASELINE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs a model"),
        ({"pretrained": "vsc-tinny"}, "vsc-tiny"),
        ({"pretrained": "FOLDER", "conditions": "counting"}, "no argument conditions"),
        (
            {"pretrained": "FOLDER", "batch_size": "many"},
            "vsc-hf: batch_size: input should be a valid integer, not 'many'",
        ),
        ({"pretrained": "FOLDER", "condition": "counting"}, "no intervention"),
        ({"pretrained": "FOLDER", "condition": "counting:scale=0,1"}, "'counting:scale=0,1' is a grid of 2"),
        # As lm-eval splits the text of --model_args.
        ({"pretrained": "FOLDER", "condition": "counting:scale=0", "0.5": ""}, "'counting:scale=0,0.5' is a grid"),
        ({"pretrained": "FOLDER", "memory_gb": "-1"}, "memory_gb: input should be greater than 0"),
        ({"pretrained": "FOLDER", "condition": "counting:scale=x", "intervention": "INTERVENTION"}, "not a number"),
    ],
)
def test_wrong_model_arguments(
    arguments: dict[str, str], message: str, tiny_folder: Path, intervention_folder: Path
) -> None:
    places = {"FOLDER": str(tiny_folder), "INTERVENTION": str(intervention_folder)}
    with pytest.raises(SpecError, match=message):
        VscHF.create_from_arg_obj({key: places.get(value, value) for key, value in arguments.items()})
