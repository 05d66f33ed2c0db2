"""Train vsc-tiny from scratch: the vision tower on objects first, then everything on packed questions.

A run lives in a work folder: `state-*.safetensors` (weights, their moving average, optimiser state; atomic, two kept),
a `log.jsonl` with one line a log interval, and `exported/`, the model as `from_pretrained` reads it (moving average).
A killed run started again in the same folder goes on at its last checkpoint, with the batches of an unbroken run.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from training.attention import COUNT_LAYER, WHERE_LAYERS
from training.batches import COLOUR_WORDS, SHAPE_WORDS, Batch, from_dict, to_dict, vision_batch
from training.build import build_model, build_processor
from training.config import StageSpec, TinyConfig
from training.losses import AuxiliaryHeads, attention_loss
from training.optim import TwoOptimizers, lr_factor
from training.packed import PackedForward
from training.tokenizer import build_tokenizer, prefix_layout
from vsc_eval.errors import BackendError, DataError
from vsc_eval.specs import save_yaml_spec
from vsc_eval.synthetic import vocabulary

WORD_LAYER, POINTER_LAYER = -3, -2
"""Decoder layers (from the top) that the word and pointer targets read; the layers above are left for the next step."""
EMA_DECAY = 0.998
LOG_EVERY = 25
_LOADER_WORKERS = 1


class _Steps(Dataset[dict[str, Any]]):
    """Item `step` is the batch of that step of one stage."""

    def __init__(self, config: TinyConfig, stage_index: int) -> None:
        self._config, self._stage_index = config, stage_index

    def __len__(self) -> int:
        return self._config.stages[self._stage_index].steps

    def __getitem__(self, step: int) -> dict[str, Any]:
        stage = self._config.stages[self._stage_index]
        if stage.kind == "vision":
            return to_dict(vision_batch(self._config.seed, step, stage.images_per_step, self._config.shape))
        from training.packing import packed_batch

        return to_dict(packed_batch(self._config, stage, step))


def _worker_init(_: int) -> None:
    torch.set_num_threads(1)


class Trainer:
    """One training run in `folder`. `report` receives a dict of figures every LOG_EVERY steps."""

    def __init__(
        self, config: TinyConfig, folder: Path, *, compile_layers: bool = True,
        report: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:  # fmt: skip
        self.config, self.folder, self._report = config, folder, report
        self.tokenizer = build_tokenizer(vocabulary())
        self.model = build_model(config.shape, self.tokenizer, seed=config.seed)
        self.heads = self._build_heads()
        self.forward = PackedForward(
            self.model, config.shape, prefix_layout(self.tokenizer), compile_layers=compile_layers
        )
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.stage_index, self.step = 0, 0
        self.optimizers = self._new_optimizers()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BackendError(f"{folder} cannot be written: {error}.", hint="Choose another --work folder.") from error
        self._resume()

    def _build_heads(self) -> AuxiliaryHeads:
        ids = self.tokenizer.convert_tokens_to_ids
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed + 1)
            return AuxiliaryHeads(
                self.config.shape, ids(list(COLOUR_WORDS)), ids(list(SHAPE_WORDS)), len(self.tokenizer)
            )

    @property
    def stage(self) -> StageSpec:
        return self.config.stages[self.stage_index]

    def _new_optimizers(self) -> TwoOptimizers:
        names = [(f"model.{n}", p) for n, p in self.model.named_parameters()]
        names += [(f"heads.{n}", p) for n, p in self.heads.named_parameters()]
        return TwoOptimizers(names, self.stage)

    def _states(self) -> list[Path]:
        return sorted(self.folder.glob("state-*.safetensors"))

    def save(self) -> None:
        """Write a checkpoint, then drop all but the two newest."""
        tensors = {f"model.{k}": v.contiguous() for k, v in self.model.state_dict().items()}
        tensors |= {f"average.{k}": v.contiguous() for k, v in self.average.items()}
        tensors |= {f"heads.{k}": v.contiguous() for k, v in self.heads.state_dict().items()}
        tensors |= {f"optim.{k}": v for k, v in self.optimizers.tensors().items()}
        name = self.folder / f"state-{self.stage_index}-{self.step:07d}.safetensors"
        partial = name.with_suffix(".partial")
        save_file(tensors, str(partial), metadata={"stage": str(self.stage_index), "step": str(self.step)})
        os.replace(partial, name)
        for old in self._states()[:-2]:
            old.unlink()

    def _resume(self) -> None:
        if not (states := self._states()):
            return
        newest = states[-1]
        _, stage, step = newest.stem.split("-")
        try:
            tensors = load_file(str(newest))
        except (SafetensorError, OSError) as error:
            raise DataError(
                f"The checkpoint {newest} cannot be read: {error}.", hint="Delete it; the one before it is used."
            ) from error

        def part(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        self.stage_index, self.step = int(stage), int(step)
        self.model.load_state_dict(part("model."))
        self.heads.load_state_dict(part("heads."))
        self.average = part("average.")
        self.optimizers = self._new_optimizers()
        self.optimizers.load_tensors(part("optim."))

    def losses(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Total loss and the figures for the log."""
        with torch.autocast("cpu", torch.bfloat16):
            image_tokens, deep = self.forward.vision(batch.pixels)
        embedding = self.model.get_input_embeddings().weight
        loss, seen = self.heads.object_loss(image_tokens, embedding, batch.objects)
        figures: dict[str, Tensor] = {"objects": loss.detach(), "objects_right": seen}
        if batch.branch_ids is None:
            return loss, figures
        return self._question_losses(batch, image_tokens, deep, self.stage.object_weight * loss, figures)

    def _question_losses(
        self, batch: Batch, image_tokens: Tensor, deep: list[Tensor], total: Tensor, figures: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        assert batch.branch_ids is not None
        assert batch.answer_at is not None
        assert batch.answer_ids is not None
        assert batch.option_ends is not None
        assert batch.gold is not None
        assert batch.mark_at is not None
        assert batch.mark_words is not None
        n_layers = self.config.shape.n_layers
        word_layer, pointer_layer = n_layers + WORD_LAYER, n_layers + POINTER_LAYER
        with torch.autocast("cpu", torch.bfloat16):
            taps = (*WHERE_LAYERS, COUNT_LAYER, word_layer, pointer_layer)
            final, tapped, watched = self.forward(image_tokens, deep, batch.branch_ids, taps)
            tapped = {layer: hidden.flatten(0, 1) for layer, hidden in tapped.items()}
            final = final.flatten(0, 1)
            rows = torch.arange(final.shape[0])
            # The letter, and after it the end of the turn, so that `generate` stops.
            letter = self.model.lm_head(final[rows, batch.answer_at]).float()
            end = self.model.lm_head(final[rows, batch.answer_at + 1]).float()
        letter_loss = F.cross_entropy(letter, batch.answer_ids)
        end_loss = F.cross_entropy(end, torch.full_like(batch.answer_ids, self.tokenizer.eos_token_id))
        word_loss = self.heads.word_loss(tapped[word_layer], batch.mark_at, batch.mark_words)
        pointer_loss, pointed = self.heads.pointer_loss(tapped[pointer_layer], batch.option_ends, batch.gold)
        heads_loss = torch.zeros(())
        if self.stage.attention_weight:
            heads_loss = attention_loss(watched, batch)
        where_loss = self.heads.where_loss(tapped, batch)
        count_loss = self.heads.count_loss(tapped[COUNT_LAYER], batch)
        right = letter.argmax(-1) == batch.answer_ids
        figures |= {
            "letter": letter_loss.detach(), "word": word_loss.detach(), "pointer": pointer_loss.detach(),
            "attention": heads_loss.detach(), "where": where_loss.detach(), "count": count_loss.detach(),
            "pointed": pointed, "right": right.float(),
        }  # fmt: skip
        stage = self.stage
        total = total + stage.letter_weight * (letter_loss + 0.1 * end_loss)
        total = total + stage.word_weight * word_loss + stage.pointer_weight * pointer_loss
        total = total + stage.where_weight * (where_loss + 2.0 * count_loss)
        return total + stage.attention_weight * heads_loss, figures

    def _update_average(self) -> None:
        # Early on a long memory would keep the random start.
        decay = min(EMA_DECAY, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                self.average[name].lerp_(value, 1 - decay)

    def _batches(self) -> Iterator[Batch]:
        loader = DataLoader(
            _Steps(self.config, self.stage_index), batch_size=None, sampler=range(self.step, self.stage.steps),
            num_workers=_LOADER_WORKERS, prefetch_factor=4, worker_init_fn=_worker_init,
        )  # fmt: skip
        return (from_dict(values) for values in loader)

    def run(self) -> None:
        """Train to the end of the last stage, then export. Safe to interrupt at any moment."""
        save_yaml_spec(self.folder / "config.yaml", self.config)
        while True:
            self._run_stage()
            self.save()
            self.export(self.folder / "exported")
            if self.stage_index + 1 == len(self.config.stages):
                return
            self.stage_index, self.step = self.stage_index + 1, 0
            self.optimizers = self._new_optimizers()

    def _run_stage(self) -> None:
        window = _Window()
        for batch in self._batches():
            loss, figures = self.losses(batch)
            loss.backward()  # type: ignore[no-untyped-call]
            norm = self.optimizers.step(lr_factor(self.step, self.stage))
            self.step += 1
            self._update_average()
            window.add(figures, batch, norm)
            if self.step % LOG_EVERY == 0:
                self._log(window.flush())
            if self.step % self.config.checkpoint_every_steps == 0:
                self.save()
                self.export(self.folder / "exported")

    def _log(self, figures: dict[str, Any]) -> None:
        line = {"stage": self.stage_index, "step": self.step, **figures}
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        if self._report:
            self._report({"of": self.stage.steps, **line})

    def export(self, folder: Path) -> None:
        """Write the moving average as float16 weights with a float32 config, tokenizer and processor into `folder`."""
        current = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.model.load_state_dict(self.average)
        try:
            export_model(self.model, self.tokenizer, self.config, folder)
        finally:
            self.model.load_state_dict(current)


class _Window:
    """Means since the last log line."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._cells: dict[int, list[float]] = {}
        self._n, self._questions, self._start = 0, 0, time.monotonic()

    def add(self, figures: dict[str, Tensor], batch: Batch, norm: float) -> None:
        right = figures.get("right")
        for name, value in {**figures, "grad_norm": torch.tensor(norm)}.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value.mean())
        self._n += 1
        if right is not None and batch.cell is not None:
            self._questions += right.numel()
            for cell, hit in zip(batch.cell.tolist(), right.tolist(), strict=True):
                self._cells.setdefault(cell, []).append(hit)

    def flush(self) -> dict[str, Any]:
        seconds = time.monotonic() - self._start
        out: dict[str, Any] = {k: round(v / self._n, 4) for k, v in self._sums.items()}
        out["seconds_per_step"] = round(seconds / self._n, 3)
        if self._questions:
            out["questions_per_second"] = round(self._questions / seconds, 1)
            out["cells"] = {k: round(sum(v) / len(v), 3) for k, v in sorted(self._cells.items())}
        self.__init__()  # type: ignore[misc]
        return out


def export_model(model: Any, tokenizer: Any, config: TinyConfig, folder: Path) -> None:
    """Write `model` as a folder that `from_pretrained` reads: float16 weights on disk, computed in float32."""
    folder.mkdir(parents=True, exist_ok=True)
    # Without it `dtype="auto"` would compute in the float16 of the file, which a CPU does several times slower.
    model.config.dtype = torch.float32
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    weights = {k: v.to(torch.float16).contiguous() for k, v in model.state_dict().items()}
    partial = folder / "model.safetensors.partial"
    save_file(weights, str(partial), metadata={"format": "pt"})
    os.replace(partial, folder / "model.safetensors")
    build_processor(config.shape, tokenizer).save_pretrained(folder)
    save_yaml_spec(folder / "training.yaml", config)
