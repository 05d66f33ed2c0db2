"""The training-time forward against the model's own, and the targets against the scenes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from training.__main__ import main
from training.batches import object_targets, pixels_of, random_scene
from training.build import build_model, build_processor
from training.config import StageSpec, TinyConfig, TinyShape
from training.install import install
from training.packed import PackedForward
from training.packing import encode, packed_batch
from training.questions import draw, marks, of_item
from training.tokenizer import build_tokenizer, prefix_layout
from training.train import Trainer
from vsc_eval.errors import DataError
from vsc_eval.synthetic import LEVELS, TASKS, answer_index, find_item, format_prompt, make_orbit, vocabulary
from vsc_eval.synthetic.draws import Stream
from vsc_eval.synthetic.program import words

SHAPE = TinyShape(n_layers=3)


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(vocabulary())


@pytest.fixture(scope="module")
def model(tokenizer):
    model = build_model(SHAPE, tokenizer, seed=3).eval()
    for merger in model.model.visual.deepstack_merger_list:  # they start at zero, which would hide a dropped feature
        torch.nn.init.normal_(merger.linear_fc2.weight, std=0.1)
    return model


def _stock_logits(model, tokenizer, item):
    """Logits [T, V] of the stock forward through the real processor; T covers the text after the image."""
    processor = build_processor(SHAPE, tokenizer)
    messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": item.prompt}]}]
    text = processor.apply_chat_template(messages, add_generation_prompt=True)
    inputs = processor(text=[text], images=[item.image()], return_tensors="pt")
    with torch.no_grad():
        logits = model(**inputs).logits[0]
    return logits[prefix_layout(tokenizer).length(SHAPE) :]


def _packed_logits(model, tokenizer, scene, rows, *, layout=None):
    forward = PackedForward(model, SHAPE, layout or prefix_layout(tokenizer))
    length = max(len(row.ids) for row in rows)
    ids = torch.full((1, len(rows), length), tokenizer.pad_token_id)
    for i, row in enumerate(rows):
        ids[0, i, : len(row.ids)] = torch.tensor(row.ids)
    with torch.no_grad():
        tokens, deep = forward.vision(pixels_of([scene]))
        final, _, _ = forward(tokens, deep, ids)
        return model.lm_head(final)[0]


def test_packed_questions_give_the_stock_logits(model, tokenizer):
    first = find_item("train/counting/medium/00000/B")
    other = draw(Stream("test"), first.scene, "counting")
    rows = [encode(of_item(first), first.scene), encode(other, first.scene)]
    packed = _packed_logits(model, tokenizer, first.scene, rows)
    stock = _stock_logits(model, tokenizer, first)
    assert (packed[0, : len(stock)] - stock).abs().max() < 1e-4
    asked = first.model_copy(update={"question": other.text, "options": other.options})
    stock = _stock_logits(model, tokenizer, asked)
    assert (packed[1, : len(stock)] - stock).abs().max() < 1e-4


def test_a_shifted_position_is_noticed(model, tokenizer):
    item = find_item("train/counting/medium/00000/B")
    layout = prefix_layout(tokenizer)
    shifted = type(layout)((*layout.before[:1], *layout.before), layout.after)
    rows = [encode(of_item(item), item.scene)]
    packed = _packed_logits(model, tokenizer, item.scene, rows, layout=shifted)
    stock = _stock_logits(model, tokenizer, item)
    assert (packed[0, : len(stock)] - stock).abs().max() > 1e-3


def test_tokenizer_covers_the_benchmark_and_survives_the_rest(tokenizer):
    for task in TASKS:
        for level in LEVELS:
            for paraphrase in ("main", "heldout"):
                for orbit in range(3):
                    prompt = make_orbit("test", task, level, orbit, paraphrase=paraphrase)[0].prompt
                    assert tokenizer.unk_token_id not in tokenizer(prompt).input_ids, prompt
    foreign = tokenizer("Où est le château? \U0001f600 <weird>").input_ids
    assert tokenizer.unk_token_id in foreign
    assert tokenizer.decode(tokenizer("B").input_ids) == "B"


def test_marks_and_ends_point_at_the_right_tokens(tokenizer):
    for task in TASKS:
        for level in LEVELS:
            for item in make_orbit("train", task, level, 1):
                row = encode(of_item(item), item.scene)
                tokens = tokenizer.convert_ids_to_tokens(row.ids)
                ends = [tokens[end] for end in row.option_ends]
                assert ends == [words(option)[-1] for option in item.options]
                assert tokens[row.answer_at + 1] == item.answer
                assert len(row.mark_at) == len(marks(of_item(item), item.scene)) > 0
                if task == "multi_hop":
                    moved = [tokens[at] for at in row.mark_at[1:]]
                    assert moved == [w for w in words(item.question) if w in ("left", "right", "up", "down")]


def test_drawn_questions_have_the_answer_that_their_program_gives():
    drawn = 0
    for task in TASKS:
        item = make_orbit("train", task, "medium", 2)[2]
        stream = Stream("drawn", task)
        for kind in TASKS:
            question = draw(stream, item.scene, kind)
            if question is not None:
                drawn += 1
                assert answer_index(question.program, item.scene, question.options) == question.gold
                assert format_prompt(question.text, question.options)
    assert drawn > 25


def test_object_targets_name_the_object_in_its_cell():
    scene = random_scene(Stream("objects"))
    targets = object_targets([scene], SHAPE)
    assert int(targets.present.sum()) >= len(scene.objects) - 1  # two small ones may share a cell
    o = scene.objects[0]
    token = (o.y // SHAPE.patch_px) * SHAPE.grid + o.x // SHAPE.patch_px
    assert bool(targets.present[0, token])


def test_a_batch_depends_on_its_step_alone():
    config = TinyConfig()
    once, again = (packed_batch(config, config.stages[1], 7) for _ in range(2))
    other = packed_batch(config, config.stages[1], 8)
    assert torch.equal(once.branch_ids, again.branch_ids)
    assert torch.equal(once.pixels, again.pixels)
    assert not torch.equal(once.gold, other.gold)


def _small_config(steps):
    shape = TinyShape(
        d_vision=32, vision_depth=2, vision_heads=2, vision_mlp=64, d_model=32, n_layers=4, n_heads=2, head_dim=16,
        d_mlp=64, mrope_section=(4, 2, 2),
    )  # fmt: skip
    stages = (
        StageSpec(kind="vision", steps=2, images_per_step=2),
        StageSpec(kind="packed", steps=steps, images_per_step=2, level_weights=(1, 0, 0)),
    )
    return TinyConfig(shape=shape, stages=stages, checkpoint_every_steps=1)


class _KilledError(Exception):
    pass


def test_a_killed_training_resumes_to_the_same_weights(tmp_path: Path):
    config = _small_config(3)
    whole = Trainer(config, tmp_path / "whole", compile_layers=False)
    whole.run()

    broken = Trainer(config, tmp_path / "broken", compile_layers=False)
    export = broken.export

    def dies(folder: Path) -> None:
        export(folder)
        if (broken.stage_index, broken.step) == (1, 2):
            raise _KilledError

    broken.export = dies
    with pytest.raises(_KilledError):
        broken.run()
    resumed = Trainer(config, tmp_path / "broken", compile_layers=False)
    assert (resumed.stage_index, resumed.step) == (1, 2)
    resumed.run()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    for name, value in whole.average.items():
        assert torch.equal(value, resumed.average[name]), name


def test_a_torn_checkpoint_is_named(tmp_path: Path):
    config = _small_config(1)
    Trainer(config, tmp_path, compile_layers=False).save()
    newest = max(tmp_path.glob("state-*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:1000])
    with pytest.raises(DataError, match=newest.name):
        Trainer(config, tmp_path, compile_layers=False)


def test_install_refuses_an_unfinished_run(tmp_path: Path):
    with pytest.raises(DataError, match="no exported model"):
        install(tmp_path, tmp_path / "target")


def test_the_commands_say_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["install", "--work", str(tmp_path)]) == 2
    assert "python -m training: error: " in capsys.readouterr().err
    assert main(["eval", "--model", str(tmp_path)]) == 2
