"""The sparse autoencoder: encode to (index, value) codes, decode, fingerprint. Float32 always."""

import hashlib
from dataclasses import dataclass
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from vsc_eval.errors import DataError
from vsc_eval.specs import Spec

Activation = Literal["topk", "batchtopk", "jumprelu", "relu"]


class SAEConfig(Spec):
    """Shape and activation of an SAE.

    topk keeps the k largest pre-activations of a token and drops what is not positive; jumprelu keeps those above the
    feature's threshold; batchtopk is a jumprelu at inference (its k is the mean L0 it was trained for); relu keeps
    every positive one.
    """

    d_in: int = Field(gt=0)
    """Width of the residual stream."""
    d_sae: int = Field(gt=0)
    """Number of features, F."""
    k: int | None = Field(default=None, gt=0)
    """Active features per token; needed for topk."""
    activation: Activation = "topk"
    apply_b_dec_to_input: bool = True
    """Whether b_dec is subtracted from h before encoding."""
    topk_relu: bool = True
    """Whether topk drops negative values among the k largest. If not, they rebuild and are edited, but never count as
    fired."""

    @model_validator(mode="after")
    def _k_fits(self) -> Self:
        if self.activation == "topk" and self.k is None:
            raise ValueError("a topk SAE needs `k`")
        if self.k is not None and self.k > self.d_sae:
            raise ValueError(f"`k` = {self.k} is larger than `d_sae` = {self.d_sae}")
        if not self.topk_relu and self.activation != "topk":
            raise ValueError("only a topk SAE can go without ReLU")
        return self

    @property
    def has_threshold(self) -> bool:
        """Whether features fire above a stored threshold."""
        return self.activation in ("jumprelu", "batchtopk")


def check_width(cfg: SAEConfig, d_model: int | None) -> None:
    """Raises DataError, naming both widths, unless an SAE of `cfg` reads streams of width `d_model` (None: unknown)."""
    if d_model is not None and cfg.d_in != d_model:
        raise DataError(
            f"The SAE has width {cfg.d_in}, but the model's residual stream has width {d_model}.",
            hint="Use the intervention of this model, or train an SAE on it with `vsc-eval sae train`.",
        )


@dataclass(frozen=True, eq=False)
class SparseCodes:
    """Feature activations as (index, value) pairs. Indices are distinct within a row; a value > 0 means fired."""

    indices: Tensor
    """Int64 [..., k], feature numbers."""
    values: Tensor
    """Float32 [..., k], activations; >= 0 unless the SAE is a top-k without ReLU."""

    def __post_init__(self) -> None:
        assert self.indices.shape == self.values.shape, (self.indices.shape, self.values.shape)

    def to_dense(self, d_sae: int) -> Tensor:
        """Float32 [..., d_sae]."""
        dense = self.values.new_zeros(*self.values.shape[:-1], d_sae)
        return dense.scatter_(-1, self.indices, self.values)


class SAE(nn.Module):
    """h ~ sum_i z_i W_dec[i] + b_dec with z = activation((h - b_dec) W_enc + b_enc).

    Weights and arithmetic are float32 whatever the model's dtype: encoding in bfloat16 changes which features are in
    the top k.
    """

    threshold: Tensor | None

    def __init__(self, cfg: SAEConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.W_enc = nn.Parameter(torch.zeros(cfg.d_in, cfg.d_sae))
        self.W_dec = nn.Parameter(torch.zeros(cfg.d_sae, cfg.d_in))
        self.b_enc = nn.Parameter(torch.zeros(cfg.d_sae))
        self.b_dec = nn.Parameter(torch.zeros(cfg.d_in))
        self.register_buffer("threshold", torch.zeros(cfg.d_sae) if cfg.has_threshold else None)
        self._fingerprint: tuple[tuple[tuple[int, int], ...], str] | None = None

    def pre_activations(self, h: Tensor) -> Tensor:
        """[..., d] of any float dtype -> float32 [..., F], before the activation function."""
        x = h.to(torch.float32)
        assert x.shape[-1] == self.cfg.d_in, f"SAE of width {self.cfg.d_in} got {tuple(h.shape)}"
        if self.cfg.apply_b_dec_to_input:
            x = x - self.b_dec
        # Autocast would hand the matmul to bfloat16 and change the chosen features.
        with torch.autocast(device_type=x.device.type, enabled=False):
            return x @ self.W_enc + self.b_enc

    def activate(self, pre: Tensor) -> SparseCodes:
        """Float32 [..., F] pre-activations -> codes [..., k]. Without a fixed k the last axis is the largest number of
        features that any row of this call fires (at least 1)."""
        if self.cfg.activation == "topk":
            assert self.cfg.k is not None
            values, indices = pre.topk(self.cfg.k, dim=-1, sorted=False)
            return SparseCodes(indices, values.relu() if self.cfg.topk_relu else values)
        fired = pre > 0 if self.threshold is None else (pre > self.threshold) & (pre > 0)
        kept = torch.where(fired, pre, 0.0)
        width = max(1, int(fired.sum(-1).max())) if fired.numel() else 1
        values, indices = kept.topk(width, dim=-1)
        return SparseCodes(indices, values)

    def encode_sparse(self, h: Tensor) -> SparseCodes:
        """[..., d] -> codes [..., k]."""
        return self.activate(self.pre_activations(h))

    def encode(self, h: Tensor) -> Tensor:
        """[..., d] -> dense float32 activations [..., F]."""
        return self.encode_sparse(h).to_dense(self.cfg.d_sae)

    def decode_sparse(self, codes: SparseCodes) -> Tensor:
        """Codes [..., k] -> float32 reconstruction [..., d], touching only the k rows of each token."""
        k = codes.indices.shape[-1]
        flat = nn.functional.embedding_bag(
            codes.indices.reshape(-1, k), self.W_dec, per_sample_weights=codes.values.reshape(-1, k), mode="sum"
        )
        return flat.view(*codes.indices.shape[:-1], self.cfg.d_in) + self.b_dec

    def forward(self, h: Tensor) -> Tensor:
        """[..., d] -> float32 reconstruction [..., d]."""
        return self.decode_sparse(self.encode_sparse(h))

    def fingerprint(self) -> str:
        """First 16 hex digits of the sha256 of config and weights; recomputed only after a weight has changed."""
        tensors = self.state_dict(keep_vars=True)
        state = tuple((t.data_ptr(), t._version) for t in tensors.values())
        if self._fingerprint is None or self._fingerprint[0] != state:
            # Named only where it is not the default, so that fingerprints from before there was a choice stay.
            default = {"topk_relu"} if self.cfg.topk_relu else None
            digest = hashlib.sha256(self.cfg.model_dump_json(exclude=default).encode())
            for name, tensor in tensors.items():
                digest.update(name.encode())
                digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
            self._fingerprint = (state, digest.hexdigest()[:16])
        return self._fingerprint[1]
