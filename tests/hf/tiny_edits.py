"""A random SAE and conditions on it, for models of any width."""

from __future__ import annotations

import torch

from vsc_eval.interventions.edits import CompiledCondition, compile_condition
from vsc_eval.sae.model import SAE, SAEConfig
from vsc_eval.specs import ConditionSpec, EditSpec, FeatureSet, NormMatch

D_SAE = 96
SETS = {
    "low": FeatureSet(name="low", indices=tuple(range(48))),
    "mid": FeatureSet(name="mid", indices=tuple(range(32, 72))),
    "high": FeatureSet(name="high", indices=tuple(range(60, 96))),
}
EDITS = {
    "scale_image": (("low",), EditSpec(value=3.0, positions="image")),
    "ablate_text": (("mid",), EditSpec(kind="ablate", positions="text")),
    "add_all": (("high",), EditSpec(kind="add", value=0.5, positions="all")),
    "clamp_last": (("low",), EditSpec(kind="clamp", value=1.5, positions="last")),
    "prefill_only": (("mid",), EditSpec(value=4.0, positions="all", decode=False)),
    "matched_union": (("low", "high"), EditSpec(value=2.5, positions="all", norm_match=NormMatch(reference="max"))),
    "random_union": (("low", "high"), EditSpec(value=2.5, positions="all", random_directions=3)),
}


def random_sae(d_model: int, *, seed: int = 5) -> SAE:
    """A Top-K SAE with random weights whose features fire on about a sixth of everything."""
    generator = torch.Generator().manual_seed(seed)
    sae = SAE(SAEConfig(d_in=d_model, d_sae=D_SAE, k=16))
    with torch.no_grad():
        sae.W_enc.copy_(torch.randn(d_model, D_SAE, generator=generator) / d_model**0.5)
        rows = torch.randn(D_SAE, d_model, generator=generator)
        sae.W_dec.copy_(rows / rows.norm(dim=-1, keepdim=True))
        sae.b_dec.copy_(0.1 * torch.randn(d_model, generator=generator))
    return sae


def condition(name: str, sae: SAE, layer: int) -> CompiledCondition:
    """One of `EDITS` at `layer`."""
    sets, edit = EDITS[name]
    return compile_condition(ConditionSpec(name=name, sets=sets, edit=edit), SETS, sae, layer)


def zero_strength(sae: SAE, layer: int) -> CompiledCondition:
    spec = ConditionSpec(name="zero", sets=("low", "high"), edit=EditSpec(value=1.0, positions="all"))
    return compile_condition(spec, SETS, sae, layer)
