"""Control sets: what sets of the same make, that mean nothing, would do.

Every draw is a stream of its own by (kind, seed, draw), so draws can be made in any order and added to later.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vsc_eval.errors import DataError
from vsc_eval.interventions.harvest import Harvest
from vsc_eval.interventions.scores import Floats
from vsc_eval.interventions.select import Scalar, SelectionRule, choose_features, score_table
from vsc_eval.seeding import derived_seed
from vsc_eval.specs import FeatureSet


def matched_random_sets(
    sets: Sequence[FeatureSet],
    harvest: Harvest,
    *,
    seed: int,
    draw: int,
    tolerance: float = 1.5,
    at_least: int = 5,
) -> tuple[FeatureSet, ...]:
    """For each set a random one, matched feature by feature; named `{set}.random.{draw}`, its task kept.

    Every selected feature is replaced by a feature that is in no set, drawn at random among those whose firing
    frequency (share of tokens) and strength (mean activation over the tokens where it fires) are both within a factor
    `tolerance` of its own. Where fewer than `at_least` such features are left, the draw is among the `at_least` nearest
    in the two log ratios. Within a draw no feature is used twice, and a feature that two sets share is replaced by the
    same one in both: the sets overlap as the real ones do. The provenance tells how good the match is: means over the
    set of |log ratio|, of the signed log ratio (negative: the random features are rarer or weaker), and how many
    features were drawn outside the tolerance.

    Raises DataError if there are fewer features outside the sets than in them, if a selected feature never fires, or if
    the sets were selected with another SAE than the harvest's.
    """
    _check_same_sae(sets, harvest)
    selected = np.array(sorted({i for chosen in sets for i in chosen.indices}))
    frequency, strength = (t.double().numpy() for t in (harvest.firing.frequency, harvest.firing.strength))
    others = np.setdiff1d(np.flatnonzero(frequency > 0), selected)
    if len(others) < len(selected):
        raise DataError(
            f"Only {len(others)} features that fire are in no set, and {len(selected)} are to be replaced.",
            hint="Select smaller sets, or train an SAE with more features.",
        )
    if (silent := selected[frequency[selected] == 0]).size:
        raise DataError(
            f"Selected features {silent.tolist()} never fire on the harvested items.",
            hint="Give the harvest that the sets were selected on.",
        )
    logs = np.log(np.where(frequency > 0, [frequency, strength], 1.0))
    rng = np.random.default_rng(derived_seed("matched random sets", seed, draw))
    matches = _matches(logs[:, selected], logs[:, others], rng, np.log(tolerance), at_least)
    replacement = dict(zip(selected.tolist(), others[matches].tolist(), strict=True))
    found = []
    for chosen in sets:
        drawn = tuple(replacement[i] for i in chosen.indices)
        ratio = logs[:, list(drawn)] - logs[:, list(chosen.indices)]
        size, bias = np.abs(ratio).mean(1), ratio.mean(1)
        # What it shares with the set that it stands for; the rule did not choose it.
        provenance = {key: value for key, value in chosen.provenance.items() if not key.startswith("rule_")}
        provenance |= {
            "control": "random_sets",
            "control_seed": seed,
            "control_draw": draw,
            "match_log_ratio_frequency": float(size[0]),
            "match_log_ratio_strength": float(size[1]),
            "match_bias_frequency": float(bias[0]),
            "match_bias_strength": float(bias[1]),
            "match_n_outside_tolerance": int((np.abs(ratio) > np.log(tolerance)).any(0).sum()),
        }
        name = f"{chosen.name}.random.{draw:02d}"
        found.append(FeatureSet(name=name, task=chosen.task, indices=drawn, provenance=provenance))
    return tuple(found)


def _check_same_sae(sets: Sequence[FeatureSet], harvest: Harvest) -> None:
    own = harvest.origin.get("sae_fingerprint")
    for chosen in sets:
        theirs = chosen.provenance.get("sae_fingerprint", own)
        if own is not None and theirs != own:
            raise DataError(
                f"Set '{chosen.name}' was selected with SAE {theirs}, but the harvest is of {own}.",
                hint="Harvest again with the intervention's SAE: `vsc-eval sae select --keep-features`.",
            )
        if max(chosen.indices) >= harvest.d_sae:
            raise DataError(
                f"Set '{chosen.name}' holds feature {max(chosen.indices)}; the harvest has {harvest.d_sae} features.",
                hint="Give the harvest that the sets were selected on.",
            )


def _matches(
    wanted: Floats, pool: Floats, rng: np.random.Generator, log_tolerance: float, at_least: int
) -> NDArray[np.int64]:
    """For each column of `wanted` [2, S] a column of `pool` [2, P], each used once. The features with the fewest
    candidates choose first: common, strong features have few likes, and a feature with many would take one of them."""
    ratio = np.abs(wanted[:, :, None] - pool[:, None, :])  # [2, S, P]
    near: NDArray[np.bool_] = np.all(ratio <= log_tolerance, axis=0)
    distance = np.sqrt((ratio**2).sum(0))
    free = np.ones(pool.shape[1], dtype=bool)
    matches = np.empty(wanted.shape[1], dtype=np.int64)
    shuffled = rng.permutation(wanted.shape[1])
    for row in shuffled[np.argsort(near.sum(1)[shuffled], kind="stable")]:
        candidates = np.flatnonzero(near[row] & free)
        if len(candidates) < at_least:
            left = np.flatnonzero(free)
            candidates = left[np.argsort(distance[row, left], kind="stable")[:at_least]]
        matches[row] = rng.choice(candidates)
        free[matches[row]] = False
    return matches


def permuted_labels(harvest: Harvest, *, seed: int, draw: int) -> tuple[str, ...]:
    """The items' tasks, shuffled over whole orbits: every task keeps its number of orbits."""
    task_of = harvest.task_of_orbit()
    rng = np.random.default_rng(derived_seed("permuted labels", seed, draw))
    shuffled = dict(zip(task_of, rng.permutation(np.array(list(task_of.values()))).tolist(), strict=True))
    return tuple(shuffled[orbit] for orbit in harvest.orbits)


def permuted_label_sets(
    harvest: Harvest, rule: SelectionRule, *, seed: int, draw: int, shuffle: int | None = None
) -> tuple[FeatureSet, ...]:
    """The sets that the rule finds once the task labels are shuffled over orbits, in the order of the real tasks.

    Each is named `{task}.permuted.{draw}`, its task kept. `shuffle` is the number of the shuffle, `draw` unless another
    takes the place of one that failed. Raises TooFewFeaturesError, naming the task, where the rule finds fewer features
    than it asks for: such a shuffle is excluded, and that is to be reported.
    """
    number = draw if shuffle is None else shuffle
    labels = permuted_labels(harvest, seed=seed, draw=number)
    table = score_table(harvest.pooled, labels, rule, tasks=list(dict.fromkeys(harvest.tasks)))
    control: dict[str, Scalar] = {"control": "permuted_labels", "control_seed": seed}
    control |= {"control_draw": draw, "control_shuffle": number}
    sets = choose_features(table, rule, provenance={**harvest.origin, **control})
    return tuple(s.model_copy(update={"name": f"{s.name}.permuted.{draw:02d}"}) for s in sets)
