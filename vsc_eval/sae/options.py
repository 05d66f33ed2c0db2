"""What is known about an SAE besides its files, and what decides the numbers of its training. Loads no torch."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from vsc_eval.errors import SpecError
from vsc_eval.specs import Spec

TrainedActivation = Literal["topk", "batchtopk", "jumprelu"]

_ADAPTIVE: dict[str, float | int] = {"lr": 1e-2, "dead_after_tokens": 20_000, "aux_alpha": 0.25}
"""Defaults of batchtopk and jumprelu that differ from those of the fields. Neither forces every token to fire k
features, so more of them must be led back; see docs/sae.md for the figures."""

_ONLY_FOR: dict[TrainedActivation, tuple[str, ...]] = {
    "batchtopk": ("threshold_decay",),
    "jumprelu": ("bandwidth", "threshold_lr", "l0_weight", "l0_warmup_steps"),
}


class ReadOptions(Spec):
    """What a layout's files may not tell. None: as the files say, or the layout's default."""

    layout: str = "auto"
    """Library that wrote it: saelens, sparsify, dictionary_learning, qwen_scope, gemma_scope; told by the files' names
    unless given."""
    layer: int | None = None
    """0-based decoder layer whose output it reads, for files that do not say it; also picks the SAE where one folder
    holds several."""
    hook: str | None = None
    """Subfolder of the SAE where one repository holds several, such as layers.12 or layer_20/width_16k/..."""
    k: int | None = None
    """Active features a token of a Top-K SAE, where no name or config says it."""
    activation: Literal["topk", "batchtopk"] | None = None
    """Of dictionary_learning's ae.pt without its config.json."""
    keep_negative: bool = False
    """Qwen-Scope: keep negative values among the top k, which SAELens drops."""

    def agreed(self, name: Literal["layer", "k"], said: int | None, path: Path) -> int | None:
        """The value that the files say or the caller gave; raises SpecError where they differ."""
        asked: int | None = getattr(self, name)
        if said is not None and asked is not None and said != asked:
            raise SpecError(
                f"{path} is an SAE with {name} {said}, not {asked}.", hint=f"Leave `{name}` out, or fix it."
            )
        return asked if said is None else said


class TrainConfig(Spec):
    """How an SAE is trained. Everything that changes its numbers is here."""

    d_sae: int = Field(default=1024, gt=0)
    """Number of features."""
    k: int = Field(default=16, gt=0)
    """Active features a token: exactly (topk), on average over a batch (batchtopk), the mean aimed at (jumprelu)."""
    n_tokens: int = Field(default=1_500_000, gt=0)
    """Tokens to train on; the stream may be shorter, but then the learning rate does not reach its end."""
    seed: int = 0
    """Seeds weights and mixing, through a hash of its own: never the same numbers as data made with that seed."""
    lr: float = Field(default=3e-3, gt=0)
    """Peak learning rate of Adam, on activations scaled to unit variance per dimension; batchtopk, jumprelu: 0.01."""
    batch_size: int = Field(default=2048, gt=0)
    """Tokens per step."""
    warmup_steps: int = Field(default=20, ge=0)
    """Steps over which the learning rate rises from 0."""
    decay_from: float = Field(default=0.7, ge=0, le=1)
    """Share of the training after which the learning rate falls linearly to 0."""
    mix_tokens: int = Field(default=32_768, gt=0)
    """Tokens in the shuffle buffer, whose first fill also gives mean and scale."""
    dead_after_tokens: int = Field(default=100_000, gt=0)
    """A feature that has not fired for so many tokens counts as dead and gets the aux loss; batchtopk, jumprelu:
    20,000."""
    aux_k: int = Field(default=32, ge=0)
    """Dead features that explain the residual of a token in the aux loss; 0 turns it off."""
    aux_alpha: float = Field(default=1 / 32, ge=0)
    """Weight of the aux loss beside the fraction of variance unexplained; batchtopk, jumprelu: 0.25."""
    activation: TrainedActivation = "topk"
    """What makes it sparse: k features a token, k on average in a batch, or learnt thresholds aiming at k."""
    threshold_decay: float = Field(default=0.9, ge=0, lt=1)
    """batchtopk: share of the running threshold that a step keeps; 0.9 averages over about the last 10 steps."""
    bandwidth: float = Field(default=0.1, gt=0)
    """jumprelu: width of the band around a threshold whose pre-activations tell where to move it, in units of the
    activations' root-mean-square norm."""
    threshold_lr: float = Field(default=3.0, gt=0)
    """jumprelu: learning rate of the log-thresholds in units of `lr`. Adam moves them by about that much a step, and in
    a training of some hundred steps they must be able to follow the encoder over a factor of ten."""
    l0_weight: float = Field(default=1.0, ge=0)
    """jumprelu: weight of (L0 / k - 1)^2 beside the fraction of variance unexplained."""
    l0_warmup_steps: int = Field(default=50, ge=0)
    """jumprelu: steps over which that weight grows linearly from 0."""

    @model_validator(mode="before")
    @classmethod
    def _fitting(cls, given: Any) -> Any:
        activation = given.get("activation") if isinstance(given, dict) else None
        return {**_ADAPTIVE, **given} if activation in _ONLY_FOR else given

    def settings(self) -> dict[str, Any]:
        """The fields that matter for this activation, JSON-able. With topk `activation` is left out too: a Top-K
        training has the same settings, checkpoints and provenance as before there was a choice."""
        idle = {name for owner, names in _ONLY_FOR.items() if owner != self.activation for name in names}
        return self.model_dump(mode="json", exclude=idle | ({"activation"} if self.activation == "topk" else set()))

    def identity(self) -> str:
        """`settings` as compact JSON, in the order of the fields."""
        return self.model_dump_json(include=set(self.settings()))
