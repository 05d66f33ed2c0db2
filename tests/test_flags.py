"""Options made from specs: every field has one, values reach the spec, and what is wrong names the option."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vsc_eval.cli.flags import Flags
from vsc_eval.cli.main import Parser
from vsc_eval.errors import SpecError
from vsc_eval.features.sae_select import SelectSpec
from vsc_eval.features.sae_train import SAETrainSpec
from vsc_eval.interventions.select import SelectionRule
from vsc_eval.lmeval.models import LmEvalSpec
from vsc_eval.probing.records import ProbingSpec
from vsc_eval.settings import AskSpec, EngineSpec, ModelSpec, Settings, StatisticsSpec
from vsc_eval.specs import Spec
from vsc_eval.stats.bootstrap import DRAWS, LEVEL
from vsc_eval.studies.spec import StudySpec
from vsc_eval.sweeps.run_spec import RunSpec

RUN = Flags(RunSpec, names={"sweep_file": "spec"})
SELECT = Flags(SelectSpec, skip=("default_edit",), names={"rule.exclusive": "shared", "source.k": "sae-k"})


def read(flags: Flags[Any], *words: str) -> Any:
    parser = Parser(prog="prog")
    flags.add_to(parser)
    return flags.read(parser.parse_args(words), "prog")


def test_nothing_given_is_the_defaults() -> None:
    assert read(RUN) == RunSpec()
    assert read(SELECT) == SelectSpec()
    assert read(Flags(ProbingSpec)) == ProbingSpec()


def test_every_kind_of_field(tmp_path: Path) -> None:
    words = "--tasks a,b --tasks c d --conditions x:scale=0,0.5,y -c z --include-path p,q --include-path r --n 8"
    more = "--override a.x=[1,2] --override a.y=2 --trust-remote-code --dtype float32 --memory-gb 0.5 --spec f.yaml"
    spec = read(RUN, *words.split(), *more.split())
    assert spec == RunSpec(
        tasks=("a", "b", "c", "d"),
        conditions=("x:scale=0", "x:scale=0.5", "y", "z"),
        include_path=(Path("p,q"), Path("r")),
        n=8,
        override=("a.x=[1,2]", "a.y=2"),
        trust_remote_code=True,
        dtype="float32",
        memory_gb=0.5,
        sweep_file=Path("f.yaml"),
    )
    vllm = read(
        RUN,
        "--backend",
        "vllm",
        "--backend-options",
        "max_num_seqs=2",
        "--backend-options",
        "limit_mm_per_prompt={image: 4}",
    )
    assert vllm.backend_options == {"max_num_seqs": 2, "limit_mm_per_prompt": {"image": 4}}


def test_fields_of_inner_specs_stand_beside_the_others() -> None:
    rule = SelectionRule(m=4, exclusive=False)
    assert read(SELECT, "--m", "4", "--shared", "--seed", "3") == SelectSpec(rule=rule, seed=3)
    train = read(Flags(SAETrainSpec), "--layer", "2", "--activation", "jumprelu", "--train-batch-size", "8", "-b", "4")
    assert (train.train.batch_size, train.batch_size, train.train.lr) == (8, 4, 1e-2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--n 6", "--n: 6 is no positive multiple of 4"),
        ("--limit many", "--limit: input should be a valid integer, not 'many'"),
        ("--override a.x=1 --override a.x=2", "--override: 'a.x' is set twice"),
        ("--backend vllm --backend-options a=1 --backend-options a=2", "--backend-options sets 'a' twice"),
        (
            "--backend-options a=1",
            "--backend-options: the backend hf has none; arguments of vLLM go with the backend vllm",
        ),
        ("--backend vllm --device cpu", "--device: it is not of the backend vllm"),
        ("--max-new-tokens 3", "--max-new-tokens: it is of the scoring `generate`"),
        ("--backend-options a=[", "--backend-options a=[:1: no YAML"),
    ],
)
def test_wrong_values_name_the_option(words: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(RUN, *words.split())
    assert caught.value.message.startswith(message)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--n 4 --n 8", "argument -n/--n: it is given twice"),
        ("--trust-remote-code --trust-remote-code", "argument --trust-remote-code: it is given twice"),
        ("--limit 3 --dtype auto --limit 3", "argument --limit: it is given twice"),
        ("--scoring letters", "invalid choice: 'letters'"),
    ],
)
def test_single_options_are_given_once(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read(RUN, *words.split())
    assert message in capsys.readouterr().err


def test_a_base_is_changed_only_where_the_options_say_so() -> None:
    parser = Parser(prog="prog")
    flags = Flags(StudySpec, only=EngineSpec.how())
    flags.add_to(parser)
    base = StudySpec(seed=3, device="cuda")
    changed = flags.read(parser.parse_args(["--batch-size", "4"]), "prog", base=base)
    assert changed == base.model_copy(update={"batch_size": 4})
    with pytest.raises(SystemExit):
        parser.parse_args(["--seed", "4"])


def test_each_option_has_a_help() -> None:
    for model in (RunSpec, ProbingSpec, SAETrainSpec, SelectSpec, LmEvalSpec):
        parser = Parser(prog="prog")
        Flags(model).add_to(parser)
        assert [action.option_strings for action in parser._actions if not action.help] == []


def test_what_and_how_are_told_by_the_fields() -> None:
    how = {"device", "batch_size"}
    assert ModelSpec.how() == how
    assert EngineSpec.how() == how | {"backend", "backend_options", "engine_mode", "memory_gb"}
    assert AskSpec.how() == {"include_path", "data_dir", "conditions", "sweep_file"}
    assert ProbingSpec(device="cpu", batch_size=4).identity() == ProbingSpec().identity()
    assert ProbingSpec(dtype="float16").identity() != ProbingSpec().identity()


def test_no_setting_is_declared_twice() -> None:
    """A spec may give an inherited setting another default, and nothing else."""
    for model in (RunSpec, StudySpec, ProbingSpec, SAETrainSpec, SelectSpec, LmEvalSpec):
        for name in model.__annotations__.keys() & inherited(model):
            above = next(base.model_fields[name] for base in model.__mro__[1:] if name in fields(base))
            assert model.model_fields[name].description == above.description, (model, name)
            assert model.model_fields[name].metadata == above.metadata, (model, name)


def fields(model: type) -> set[str]:
    return set(model.model_fields) if issubclass(model, Spec) else set()


def inherited(model: type[Settings]) -> set[str]:
    return {name for base in model.__mro__[1:] for name in fields(base)}


def test_defaults_of_the_statistics() -> None:
    assert (StatisticsSpec().draws, StatisticsSpec().level) == (DRAWS, LEVEL) == (2_000, 0.95)
    assert (StudySpec().statistics.draws, StudySpec().statistics.permutations) == (10_000, 10_000)
