"""Pack questions behind images in a few fixed shapes."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from training.attention import COUNT, AttentionTarget, Where, attention_targets, places_known
from training.batches import IGNORE, Batch, image_token, object_targets, pixels_of
from training.config import Bucket, StageSpec, TinyConfig
from training.questions import Question, draw, marks, of_item
from training.tokenizer import ASSISTANT_TURN, build_tokenizer, prefix_layout
from vsc_eval.synthetic import CANVAS, LETTERS, LEVELS, TASKS, Scene, format_prompt, make_orbit, vocabulary
from vsc_eval.synthetic.draws import Stream

MAX_MARKS = 13
_ORBITS = 4_000_000
"""Training orbits are drawn from this many a cell; more than any run sees, so hardly any is seen twice."""


@dataclass(frozen=True)
class _Row:
    """One question as tokens. Positions count from the first token after the image's end."""

    ids: list[int]
    answer_at: int
    option_ends: list[int]
    mark_at: list[int]
    mark_words: list[int]
    attention: list[AttentionTarget]
    wheres: list[Where]
    gold: int
    task: str


@lru_cache(maxsize=1)
def _tokenizer() -> Any:
    return build_tokenizer(vocabulary())


def _option_starts(question: Question) -> list[int]:
    """Where each option's text begins in the prompt, in characters."""
    starts, at = [], len(question.text)
    for option in question.options:
        at += len("\nA. ")
        starts.append(at)
        at += len(option)
    return starts


def encode(question: Question, scene: Scene) -> _Row:
    """Tokens of the prompt, the assistant's letter and the end of its turn, with all targets."""
    tokenizer = _tokenizer()
    prompt = format_prompt(question.text, question.options)
    encoded = tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True)
    ends = [end for _, end in encoded.offset_mapping]

    def token_before(character: int) -> int:
        return bisect_right(ends, character) - 1

    starts = _option_starts(question)
    option_ends = [token_before(s + len(o)) for s, o in zip(starts, question.options, strict=True)]
    found = marks(question, scene)
    places = [m.end if m.option is None else starts[m.option] + m.end for m in found]
    to_id = tokenizer.convert_tokens_to_ids
    ids = [*encoded.input_ids, to_id("<|im_end|>"), to_id(ASSISTANT_TURN), to_id(LETTERS[question.gold])]
    moves = [token_before(m.end) for m in found[1:] if m.option is None]
    words, answer_at = tokenizer.convert_ids_to_tokens(ids[:-1]), len(ids) - 2
    looks = attention_targets(question, scene, words, option_ends, moves, token_before(len(question.text)), answer_at)
    return _Row(
        ids=ids,
        answer_at=answer_at,
        option_ends=option_ends,
        mark_at=[token_before(place) for place in places],
        mark_words=to_id([m.word for m in found]),
        attention=looks,
        wheres=places_known(looks, moves),
        gold=question.gold,
        task=question.task,
    )


def _rows(stream: Stream, bucket: Bucket, own: Question, scene: Scene) -> list[_Row]:
    """The item's own question and drawn ones, as many as the bucket holds. Half of those drawn are of its own task."""
    rows = [encode(own, scene)]
    misses = 0
    while len(rows) < bucket.questions:
        task = own.task if stream.below(2) else stream.pick(bucket.extra_tasks)
        question = draw(stream, scene, task)
        row = encode(question, scene) if question else None
        if row is not None and len(row.ids) <= bucket.length:
            rows.append(row)
            continue
        misses += 1
        if misses > 60:  # a poor scene: repeat what it has rather than change the shape
            rows.append(rows[misses % len(rows)])
    return rows


def _where_targets(rows: list[_Row]) -> dict[str, torch.Tensor]:
    """where_layer, where_at [N, W], where_xy [N, W, 2] of Batch."""
    width = max(1, *(len(row.wheres) for row in rows))
    layer = np.full((len(rows), width), IGNORE, dtype=np.int64)
    at = np.zeros((len(rows), width), dtype=np.int64)
    xy = np.zeros((len(rows), width, 2), dtype=np.float32)
    for i, row in enumerate(rows):
        for j, where in enumerate(row.wheres):
            layer[i, j], at[i, j] = where.layer, where.at
            xy[i, j] = (2 * where.target.x / CANVAS - 1, 2 * where.target.y / CANVAS - 1)
    return {"where_layer": torch.from_numpy(layer), "where_at": torch.from_numpy(at), "where_xy": torch.from_numpy(xy)}


def _pick_bucket(stream: Stream, buckets: tuple[Bucket, ...]) -> Bucket:
    draw_at = stream.below(sum(b.weight for b in buckets))
    for bucket in buckets:
        draw_at -= bucket.weight
        if draw_at < 0:
            return bucket
    raise AssertionError("weights do not add up")


def packed_batch(config: TinyConfig, stage: StageSpec, step: int) -> Batch:
    """The batch of one step: two near-identical scenes of each of several orbits, each image with its questions."""
    stream = Stream("zoo", config.seed, "packed", step)
    bucket = _pick_bucket(stream, config.buckets)
    scenes: list[Scene] = []
    rows: list[_Row] = []
    cells: list[int] = []
    levels = [level for level, weight in zip(LEVELS, stage.level_weights, strict=True) for _ in range(weight)]
    while len(scenes) < stage.images_per_step:
        task, level = stream.pick(bucket.tasks), stream.pick(bucket.levels or levels)
        for item in stream.sample(make_orbit("train", task, level, stream.below(_ORBITS)), 2):
            packed = _rows(stream, bucket, of_item(item), item.scene)
            rows += packed
            scenes.append(item.scene)
            cells.append(TASKS.index(task) * len(LEVELS) + LEVELS.index(level))
    return _collate(config, bucket, scenes, rows, cells)


def _attention_tensors(config: TinyConfig, scenes: list[Scene], rows: list[_Row]) -> dict[str, torch.Tensor]:
    """attention_kind, attention_at [N, K], attention_to [N, K, M] of Batch."""
    layout, shape = prefix_layout(_tokenizer()), config.shape
    first_image, prefix = len(layout.before), layout.length(shape)
    width = max(len(row.attention) for row in rows)
    most = 1 + max(len(s.objects) for s in scenes)
    kind = np.full((len(rows), width), IGNORE, dtype=np.int64)
    at = np.zeros((len(rows), width), dtype=np.int64)
    to = np.full((len(rows), width, most), IGNORE, dtype=np.int64)
    for i, row in enumerate(rows):
        for j, target in enumerate(row.attention):
            keys = [first_image + image_token(o, shape) for o in target.objects]
            keys += [prefix + token for token in target.tokens]
            if target.kind == COUNT or not keys:
                keys.append(0)
            kind[i, j], at[i, j] = target.kind, target.at
            to[i, j, : len(keys)] = keys
    return {
        "attention_kind": torch.from_numpy(kind),
        "attention_at": torch.from_numpy(at),
        "attention_to": torch.from_numpy(to),
    }


def _collate(config: TinyConfig, bucket: Bucket, scenes: list[Scene], rows: list[_Row], cells: list[int]) -> Batch:
    n = len(rows)
    ids = np.full((n, bucket.length), _tokenizer().pad_token_id, dtype=np.int64)
    ends = np.zeros((n, len(LETTERS)), dtype=np.int64)
    at = np.zeros((n, MAX_MARKS), dtype=np.int64)
    words = np.full((n, MAX_MARKS), IGNORE, dtype=np.int64)
    # Only an image's own question counts for its cell in the log; the drawn ones are logged as extras of their task.
    kinds = np.empty(n, dtype=np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row.ids)] = row.ids
        ends[i] = row.option_ends
        at[i, : len(row.mark_at)] = row.mark_at
        words[i, : len(row.mark_words)] = row.mark_words
        own = i % bucket.questions == 0
        kinds[i] = cells[i // bucket.questions] if own else 100 + TASKS.index(row.task)
    letters = _tokenizer().convert_tokens_to_ids(list(LETTERS))
    gold = torch.tensor([row.gold for row in rows])
    return Batch(
        pixels=pixels_of(scenes),
        objects=object_targets(scenes, config.shape),
        branch_ids=torch.from_numpy(ids).view(len(scenes), bucket.questions, bucket.length),
        answer_at=torch.tensor([row.answer_at for row in rows]),
        answer_ids=torch.tensor(letters)[gold],
        option_ends=torch.from_numpy(ends),
        gold=gold,
        mark_at=torch.from_numpy(at),
        mark_words=torch.from_numpy(words),
        cell=torch.from_numpy(kinds),
        **_attention_tensors(config, scenes, rows),
        **_where_targets(rows),
    )
