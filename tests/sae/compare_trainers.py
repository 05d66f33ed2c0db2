"""Train on the same planted activations with our trainer and with dictionary_learning's, and print both as a table.

    python tests/sae/compare_trainers.py                  # 512 true directions, 1.5 million tokens, some minutes a row
    python tests/sae/compare_trainers.py --size small     # 128 true directions, 500,000 tokens, seconds a row

Both see the same batches in the same order, the same peak learning rate, warm-up, decay and weight of the aux loss.
Without dictionary_learning (`pip install --no-deps dictionary-learning==0.1.0 nnsight==0.3.7`, and what these import)
only our rows are printed, and why.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from planted import Planted, best_cosines, planted
from torch import Tensor

from vsc_eval.sae.model import SAE
from vsc_eval.sae.quality import ReconstructionMeter
from vsc_eval.sae.readers import read_any_sae
from vsc_eval.sae.train import MixBuffer, TrainConfig, train_sae
from vsc_eval.seeding import torch_generator

ACTIVATIONS = ("topk", "batchtopk", "jumprelu")


@dataclass(frozen=True)
class Size:
    """One set of planted activations and what is trained on it."""

    n_true: int
    d: int
    mean_active: float
    cfg: dict[str, int]

    def data(self, massive: float) -> Planted:
        return planted(self.n_true, self.d, self.cfg["n_tokens"], mean_active=self.mean_active, massive=massive)


SIZES = {
    "full": Size(512, 128, 8.0, {"d_sae": 1024, "k": 16, "n_tokens": 1_500_000, "batch_size": 2048}),
    "small": Size(128, 64, 4.0, {"d_sae": 256, "k": 5, "n_tokens": 500_000, "batch_size": 1024}),
}


def dictionary_learning_sae(cfg: TrainConfig, data: Planted, spread: float) -> tuple[SAE, float]:
    """Train with dictionary_learning; the SAE as our reader reads it, and the largest difference to its own forward.

    Its trainers expect activations of unit mean square norm: `spread` is theirs over it.
    """
    from dictionary_learning.trainers.batch_top_k import BatchTopKTrainer
    from dictionary_learning.trainers.jumprelu import JumpReluTrainer
    from dictionary_learning.trainers.top_k import TopKTrainer

    steps = cfg.n_tokens // cfg.batch_size
    shared: dict[str, Any] = {
        "steps": steps,
        "activation_dim": data.directions.shape[1],
        "dict_size": cfg.d_sae,
        "layer": 0,
        "lm_name": "planted",
        "lr": cfg.lr,
        "warmup_steps": cfg.warmup_steps,
        "decay_start": int(cfg.decay_from * steps),
        "seed": 7,
        "device": "cpu",
    }
    # Its defaults for these (1000 steps, 0.999) are longer than the whole training.
    running = {"threshold_start_step": steps // 2, "threshold_beta": cfg.threshold_decay}
    trainer: Any
    if cfg.activation == "jumprelu":
        trainer = JumpReluTrainer(**shared, target_l0=float(cfg.k), sparsity_warmup_steps=cfg.l0_warmup_steps)
    else:
        kind = TopKTrainer if cfg.activation == "topk" else BatchTopKTrainer
        trainer = kind(**shared, k=cfg.k, auxk_alpha=cfg.aux_alpha, **running)
        trainer.dead_feature_threshold = cfg.dead_after_tokens
    for step, batch in enumerate(batches(cfg, data)):
        trainer.update(step, batch / spread)
    with TemporaryDirectory() as folder:
        torch.save(trainer.ae.state_dict(), Path(folder) / "ae.pt")
        (Path(folder) / "config.json").write_text(json.dumps({"trainer": trainer.config}))
        sae = read_any_sae(Path(folder)).sae
    x = held_out(data) / spread
    with torch.no_grad():
        return sae, float((sae(x) - trainer.ae(x)).abs().max())


def batches(cfg: TrainConfig, data: Planted) -> Iterator[Tensor]:
    """The batches of `train_sae`."""
    buffer = MixBuffer(
        data.stream(),
        capacity=cfg.mix_tokens,
        batch_size=cfg.batch_size,
        generator=torch_generator("sae mixing", cfg.seed),
    )
    for _ in range(cfg.n_tokens // cfg.batch_size):
        batch = buffer.next_batch()
        assert batch is not None
        yield batch


def held_out(data: Planted) -> Tensor:
    return next(replace(data, n_tokens=16_384, chunk=16_384, seed=777).chunks())


def row(name: str, cfg: TrainConfig, data: Planted, spread: float, train: Callable[[], SAE]) -> str:
    start = time.perf_counter()
    sae = train()
    seconds = time.perf_counter() - start
    meter = ReconstructionMeter(sae)
    meter.update(held_out(data) / spread)
    quality = meter.result()
    cosines = best_cosines(data.directions, sae.W_dec)
    lost, speed = int((cosines <= 0.9).sum()), cfg.n_tokens / seconds / 1000
    figures = [f"{quality.fvu:.4f}", f"{cosines.mean():.4f}", lost, quality.n_dead, f"{quality.mean_l0:.2f}"]
    return f"| {' | '.join(map(str, [name, cfg.activation, f'{cfg.lr:g}', *figures, f'{speed:.0f}k']))} |"


def other_library() -> str | None:
    """None if dictionary_learning can be used, else why not."""
    try:
        import dictionary_learning.trainers.jumprelu  # noqa: F401
    except ImportError as error:
        return str(error)
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=tuple(SIZES), default="full")
    parser.add_argument("--massive", type=float, default=0.0, help="offset of two dimensions")
    parser.add_argument("--lr", type=float, nargs="+", default=[3e-3, 1e-2])
    parser.add_argument("--activation", nargs="+", choices=ACTIVATIONS, default=list(ACTIVATIONS))
    args = parser.parse_args()
    size = SIZES[args.size]
    data = size.data(args.massive)
    norm = float(held_out(data).square().sum(1).mean().sqrt())
    missing = other_library()
    if missing:
        print(f"dictionary_learning is left out: {missing}")
    print("| trainer | activation | lr | FVU | MMCS | lost | dead | L0 | tokens/s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for activation in args.activation:
        for lr in args.lr:
            cfg = TrainConfig(activation=activation, lr=lr, **size.cfg)
            print(row("vsc-eval", cfg, data, 1.0, lambda cfg=cfg: train_sae(data.stream(), cfg).sae), flush=True)
            if missing:
                continue
            differences: list[float] = []

            def theirs(cfg: TrainConfig = cfg, differences: list[float] = differences) -> SAE:
                sae, difference = dictionary_learning_sae(cfg, data, norm)
                differences.append(difference)
                return sae

            print(row("dictionary_learning", cfg, data, norm, theirs), flush=True)
            print(f"<!-- our reader against its own forward: {differences[0]:.1e} at most -->", flush=True)


if __name__ == "__main__":
    main()
