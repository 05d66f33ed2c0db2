"""Conditions as text, to be sent to vLLM's workers, and bound there again to the SAE."""

from __future__ import annotations

import json
from collections.abc import Iterable

from vsc_eval.interventions.edits import CompiledCondition, compile_condition
from vsc_eval.sae.model import SAE
from vsc_eval.specs import ConditionSpec, FeatureSet


def pack_conditions(conditions: Iterable[CompiledCondition]) -> str:
    """JSON of the conditions' specs and feature indices."""
    return json.dumps(
        [
            {
                "spec": condition.spec.model_dump(mode="json"),
                "layer": condition.layer,
                "sets": {
                    name: members.tolist() for name, members in zip(condition.spec.sets, condition.members, strict=True)
                },
                "content_hash": condition.content_hash,
            }
            for condition in conditions
        ]
    )


def unpack_conditions(text: str, sae: SAE) -> dict[str, CompiledCondition]:
    """The conditions by content hash, on the SAE's device."""
    found = {}
    for entry in json.loads(text):
        sets = {name: FeatureSet(name=name, indices=tuple(indices)) for name, indices in entry["sets"].items()}
        condition = compile_condition(ConditionSpec.model_validate(entry["spec"]), sets, sae, entry["layer"])
        # The hash holds the SAE's too: another SAE on the worker would be another edit.
        assert condition.content_hash == entry["content_hash"], (condition.content_hash, entry["content_hash"])
        found[condition.content_hash] = condition.to(sae.W_dec.device)
    return found
