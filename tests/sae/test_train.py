"""The trainer on activations with known directions; aux loss; resume; mixing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from planted import best_cosines, planted, restartable
from torch import Tensor

from vsc_eval.errors import DataError, SpecError
from vsc_eval.sae.model import SAE, SAEConfig
from vsc_eval.sae.quality import ReconstructionMeter
from vsc_eval.sae.train import MixBuffer, TrainConfig, TrainProgress, TrainResult, aux_loss, train_sae

SMALL = TrainConfig(
    d_sae=64, k=4, n_tokens=20_000, batch_size=500, mix_tokens=2_000, warmup_steps=5, dead_after_tokens=2_000
)


def held_out_fvu(sae: SAE, data: Tensor) -> float:
    meter = ReconstructionMeter(sae)
    meter.update(data)
    fvu = meter.result().fvu
    assert fvu is not None
    return fvu


def held_out(n_true: int, d: int, mean_active: float, massive: float) -> Tensor:
    from dataclasses import replace

    return next(
        replace(planted(n_true, d, 8192, mean_active=mean_active, massive=massive), seed=777, chunk=8192).chunks()
    )


@pytest.mark.parametrize("massive", [0.0, 50.0], ids=["centred", "two massive dimensions"])
def test_planted_directions_are_found(massive: float) -> None:
    data = planted(128, 64, 250_000, mean_active=4.0, massive=massive)
    cfg = TrainConfig(d_sae=256, k=8, n_tokens=250_000, batch_size=1024, dead_after_tokens=30_000, lr=5e-3)
    result = train_sae(data.stream(), cfg)
    cosines = best_cosines(data.directions, result.sae.W_dec)
    assert float(cosines.mean()) >= 0.99
    assert float(cosines.min()) > 0.9
    assert held_out_fvu(result.sae, held_out(128, 64, 4.0, massive)) <= 0.11
    torch.testing.assert_close(result.sae.W_dec.norm(dim=1), torch.ones(256))


@pytest.mark.slow
@pytest.mark.parametrize("massive", [0.0, 50.0], ids=["centred", "two massive dimensions"])
def test_full_size_bars(massive: float) -> None:
    data = planted(512, 128, 1_500_000, mean_active=8.0, massive=massive)
    result = train_sae(data.stream(), TrainConfig(d_sae=1024, k=16, n_tokens=1_500_000, lr=3e-3))
    cosines = best_cosines(data.directions, result.sae.W_dec)
    meter = ReconstructionMeter(result.sae)
    for chunk in data.stream()(1_200_000):
        meter.update(chunk)
    quality = meter.result()
    assert quality.fvu is not None
    assert quality.fvu <= 0.155
    assert float(cosines.mean()) >= 0.99
    assert float(cosines.min()) > 0.9
    assert quality.n_dead <= 0.01 * 1024


ADAPTIVE = {"d_sae": 256, "k": 5, "n_tokens": 500_000, "batch_size": 1024, "dead_after_tokens": 5_000}


@pytest.mark.parametrize("massive", [0.0, pytest.param(50.0, marks=pytest.mark.slow)])
@pytest.mark.parametrize("activation", ["batchtopk", "jumprelu"])
def test_planted_directions_are_found_with_a_changing_number_of_features(activation: str, massive: float) -> None:
    """Tokens hold 4 directions on average and 0 to 12 of them: a fixed k = 5 leaves 12.5% unexplained on this data."""
    data = planted(128, 64, 500_000, mean_active=4.0, massive=massive)
    result = train_sae(data.stream(), TrainConfig(activation=activation, **ADAPTIVE))  # type: ignore[arg-type]
    assert result.sae.cfg.activation == activation
    cosines = best_cosines(data.directions, result.sae.W_dec)
    assert float(cosines.mean()) >= 0.99
    assert int((cosines <= 0.9).sum()) <= 1
    meter = ReconstructionMeter(result.sae)
    meter.update(held_out(128, 64, 4.0, massive))
    quality = meter.result()
    assert quality.fvu is not None
    assert quality.fvu <= 0.105
    assert quality.mean_l0 == pytest.approx(5, abs=0.3)
    # 128 of the 256 features have a direction to find; the others are not forced to fire.
    assert quality.n_dead <= 140
    torch.testing.assert_close(result.sae.W_dec.norm(dim=1), torch.ones(256))


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["batchtopk", "jumprelu"])
def test_full_size_bars_of_the_other_activations(activation: str) -> None:
    data = planted(512, 128, 1_500_000, mean_active=8.0)
    result = train_sae(data.stream(), TrainConfig(activation=activation))  # type: ignore[arg-type]
    cosines = best_cosines(data.directions, result.sae.W_dec)
    meter = ReconstructionMeter(result.sae)
    for chunk in data.stream()(1_200_000):
        meter.update(chunk)
    quality = meter.result()
    assert quality.fvu is not None
    assert quality.fvu <= 0.155
    assert float(cosines.mean()) >= 0.99
    assert int((cosines <= 0.9).sum()) <= 2
    assert quality.mean_l0 == pytest.approx(16, abs=0.8)


def test_without_mean_initialisation_the_score_would_be_worse() -> None:
    """The bar above can fail: the same data with an SAE whose b_dec forgets the offset."""
    data = planted(128, 64, 20_000, mean_active=4.0, massive=50.0)
    result = train_sae(data.stream(), SMALL)
    spoilt = SAE(result.sae.cfg)
    spoilt.load_state_dict(result.sae.state_dict())
    with torch.no_grad():
        spoilt.b_dec.zero_()
    test_data = held_out(128, 64, 4.0, 50.0)
    assert held_out_fvu(spoilt, test_data) > 10 * held_out_fvu(result.sae, test_data)


def test_seeds_are_not_those_of_the_data() -> None:
    """Weights seeded like the data would equal the true directions before any training."""
    directions = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    result = train_sae(planted(128, 64, 500).stream(), SMALL.model_copy(update={"n_tokens": 500}))
    assert float(best_cosines(directions, result.sae.W_dec).mean()) < 0.7


def test_the_seed_is_all_the_randomness() -> None:
    data = planted(32, 16, 5_000)
    cfg = SMALL.model_copy(update={"n_tokens": 5_000})
    torch.manual_seed(1)
    first = train_sae(data.stream(), cfg).sae.fingerprint()
    torch.manual_seed(2)
    assert train_sae(data.stream(), cfg).sae.fingerprint() == first
    assert train_sae(data.stream(), cfg.model_copy(update={"seed": 1})).sae.fingerprint() != first


def test_scale_of_the_stream_does_not_matter() -> None:
    data = planted(32, 16, 5_000)
    cfg = SMALL.model_copy(update={"n_tokens": 5_000})
    plain = train_sae(data.stream(), cfg)
    scaled = train_sae(restartable(lambda: (64.0 * chunk for chunk in data.chunks())), cfg)
    x = next(data.chunks())[:200]
    torch.testing.assert_close(scaled.sae(64.0 * x), 64.0 * plain.sae(x), rtol=1e-3, atol=1e-2)


def aux_gradient(k: int, *, only_positive: bool = False) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    sae = SAE(SAEConfig(d_in=8, d_sae=32, k=4))
    with torch.no_grad():
        for parameter in sae.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        sae.b_enc[16:] = -1000.0  # dead: no input can fire them
    x = torch.randn(20, 8, generator=generator)
    dead = torch.arange(32) >= 16
    pre = sae.pre_activations(x)
    aux_loss(sae, pre, x - sae(x), dead, k, only_positive=only_positive).backward()  # type: ignore[no-untyped-call]
    assert sae.W_enc.grad is not None
    assert sae.W_dec.grad is not None
    return sae.W_enc.grad, sae.W_dec.grad


def test_aux_loss_reaches_the_encoder_of_dead_features_only() -> None:
    encoder, decoder = aux_gradient(k=6)
    assert encoder[:, 16:].any()
    assert decoder[16:].any()
    assert not encoder[:, :16].any()
    assert not decoder[:16].any()


def test_aux_loss_of_positive_activations_leaves_out_features_that_are_negative_everywhere() -> None:
    encoder, decoder = aux_gradient(k=6, only_positive=True)
    assert not encoder.any()
    assert not decoder.any()


def test_aux_loss_without_dead_features_is_nothing() -> None:
    sae = SAE(SAEConfig(d_in=8, d_sae=32, k=4))
    pre, residual = torch.randn(3, 32), torch.randn(3, 8)
    assert aux_loss(sae, pre, residual, torch.zeros(32, dtype=torch.bool), 6) == 0
    assert aux_loss(sae, pre, residual, torch.ones(32, dtype=torch.bool), 0) == 0


class KilledError(Exception):
    """Stands for kill -9: nothing behind it runs."""


def run_until(
    step: int | None, path: Path | None, *, stream_id: str = "", activation: str = "topk"
) -> tuple[TrainResult, list[TrainProgress]]:
    seen: list[TrainProgress] = []

    def callback(progress: TrainProgress) -> None:
        seen.append(progress)
        if progress.step == step:
            raise KilledError

    data = planted(32, 16, 20_000)
    cfg = TrainConfig(**{**SMALL.settings(), "activation": activation})
    return train_sae(
        data.stream(), cfg, checkpoint=path, checkpoint_every=4, callback=callback, stream_id=stream_id
    ), seen


@pytest.mark.parametrize("activation", ["topk", "batchtopk", "jumprelu"])
@pytest.mark.parametrize("steps", [(2,), (9,), (9, 9, 27), (39,)])
def test_a_killed_run_ends_at_the_same_numbers(tmp_path: Path, steps: tuple[int, ...], activation: str) -> None:
    whole, log = run_until(None, None, activation=activation)
    path = tmp_path / "checkpoint.safetensors"
    for step in steps:
        with pytest.raises(KilledError):
            run_until(step, path, activation=activation)
    resumed, rest = run_until(None, path, activation=activation)
    assert resumed.sae.fingerprint() == whole.sae.fingerprint()
    assert (resumed.n_tokens, resumed.n_dead, resumed.final_fvu) == (whole.n_tokens, whole.n_dead, whole.final_fvu)
    assert rest == log[-len(rest) :]
    assert len(rest) <= len(log) - 4 * (max(steps) // 4)


def test_a_finished_run_is_not_run_again(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    whole, _ = run_until(None, path)
    again, log = run_until(None, path)
    assert not log
    assert again.sae.fingerprint() == whole.sae.fingerprint()


def test_checkpoints_of_others_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    run_until(None, path)
    with pytest.raises(SpecError, match="other settings"):
        train_sae(planted(32, 16, 20_000).stream(), SMALL.model_copy(update={"lr": 1e-3}), checkpoint=path)
    with pytest.raises(SpecError, match="other settings"):
        run_until(None, path, stream_id="another model")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match="Delete it to start from the beginning"):
        run_until(None, path)


def test_streams_that_cannot_be_learnt() -> None:
    with pytest.raises(DataError, match="holds 100 tokens, fewer than one batch of 500"):
        train_sae(planted(8, 4, 100).stream(), SMALL)
    with pytest.raises(DataError, match="constant or not finite"):
        train_sae(restartable(lambda: iter([torch.ones(1000, 4)])), SMALL)
    with pytest.raises(DataError, match="constant or not finite"):
        train_sae(restartable(lambda: iter([torch.full((1000, 4), torch.nan)])), SMALL)


def test_a_short_stream_ends_the_training() -> None:
    assert train_sae(planted(32, 16, 3_100).stream(), SMALL).n_tokens == 3_000


def test_more_active_features_than_there_are() -> None:
    with pytest.raises(SpecError, match="64 features cannot have 65 active ones"):
        train_sae(planted(32, 16, 3_000).stream(), SMALL.model_copy(update={"k": 65}))


@pytest.mark.parametrize("activation", ["batchtopk", "jumprelu"])
def test_scale_reaches_the_thresholds(activation: str) -> None:
    data = planted(32, 16, 5_000)
    cfg = TrainConfig(**{**SMALL.settings(), "activation": activation, "n_tokens": 5_000})
    plain = train_sae(data.stream(), cfg)
    scaled = train_sae(restartable(lambda: (64.0 * chunk for chunk in data.chunks())), cfg)
    assert plain.sae.threshold is not None
    assert scaled.sae.threshold is not None
    torch.testing.assert_close(scaled.sae.threshold, 64.0 * plain.sae.threshold, rtol=1e-3, atol=1e-3)
    x = next(data.chunks())[:200]
    torch.testing.assert_close(scaled.sae.encode(64.0 * x), 64.0 * plain.sae.encode(x), rtol=1e-3, atol=1e-1)


def test_defaults_follow_the_activation_and_what_is_given_stays() -> None:
    assert TrainConfig(activation="jumprelu").lr == 1e-2
    assert TrainConfig(activation="jumprelu", lr=3e-3).lr == 3e-3
    assert TrainConfig(activation="topk") == TrainConfig()
    for activation in ("topk", "batchtopk", "jumprelu"):
        cfg = TrainConfig(activation=activation, k=3)  # type: ignore[arg-type]
        assert TrainConfig.model_validate_json(cfg.model_dump_json()) == cfg
        assert TrainConfig(**cfg.settings()) == cfg


def test_a_top_k_training_is_known_by_what_it_was_before_there_was_a_choice() -> None:
    """Checkpoints and provenance of earlier versions stay good."""
    names = {"d_sae", "k", "n_tokens", "seed", "lr", "batch_size", "warmup_steps", "decay_from", "mix_tokens"}
    assert set(TrainConfig().settings()) == names | {"dead_after_tokens", "aux_k", "aux_alpha"}
    assert TrainConfig().identity().startswith('{"d_sae":1024,"k":16,"n_tokens":1500000,"seed":0,"lr":0.003,')
    assert set(TrainConfig(activation="batchtopk").settings()) - names >= {"activation", "threshold_decay"}
    data = planted(64, 32, 40_000, mean_active=4.0, massive=50.0)
    sizes = {"d_sae": 128, "k": 6, "n_tokens": 40_000, "batch_size": 512, "dead_after_tokens": 4_000}
    result = train_sae(data.stream(), TrainConfig(**sizes, mix_tokens=4_096))
    assert result.final_fvu == pytest.approx(0.3695245385169983, rel=1e-4)  # of the version before, bit for bit there


def numbered(n: int, chunk: int) -> Iterator[Tensor]:
    for start in range(0, n, chunk):
        yield torch.arange(start, min(start + chunk, n), dtype=torch.float32)[:, None]


@pytest.mark.parametrize("skip", [0, 1, 7, 13, 40, 99, 100, 150])
def test_restartable_streams_skip_tokens(skip: int) -> None:
    chunks = list(restartable(lambda: numbered(100, 7))(skip))
    assert [int(x) for chunk in chunks for x in chunk] == list(range(100))[skip:]


@pytest.mark.parametrize("chunk", [3, 7, 50, 1000])
def test_mixing_gives_every_token_once(chunk: int) -> None:
    buffer = MixBuffer(
        restartable(lambda: numbered(205, chunk)),
        capacity=40,
        batch_size=10,
        generator=torch.Generator().manual_seed(0),
    )
    seen = []
    while (batch := buffer.next_batch()) is not None:
        assert batch.shape == (10, 1)
        seen += [int(x) for x in batch]
    assert len(seen) == len(set(seen)) == 200
    assert set(seen) <= set(range(205))
    assert seen != sorted(seen)
    assert buffer.next_batch() is None
