"""Statistics on parsed answers: pure functions of numpy arrays; randomness is always an argument."""

from vsc_eval.stats.bootstrap import bootstrap_many, cluster_bootstrap, cluster_standard_error, cluster_standard_errors
from vsc_eval.stats.divergence import amplification, kl_options, margin, margin_change
from vsc_eval.stats.drift import Drift, drift
from vsc_eval.stats.estimate import Estimate
from vsc_eval.stats.floor import drift_above_noise_floor, noise_floor
from vsc_eval.stats.interaction import Interaction, interaction, interactions
from vsc_eval.stats.matched import extreme_p
from vsc_eval.stats.mcnemar import McNemar, mcnemar
from vsc_eval.stats.multiplicity import adjust, benjamini_hochberg, holm
from vsc_eval.stats.paired import Paired, accuracy, paired_difference
from vsc_eval.stats.percentile import control_p, control_percentile, family_p, left_out_scores
from vsc_eval.stats.power import detectable_difference
from vsc_eval.stats.sign_flip import SignFlip, sign_flip
from vsc_eval.stats.streams import stream
from vsc_eval.stats.wilson import wilson_interval
from vsc_eval.stats.zero_count import zero_count_limit

__all__ = [
    "Drift",
    "Estimate",
    "Interaction",
    "McNemar",
    "Paired",
    "SignFlip",
    "accuracy",
    "adjust",
    "amplification",
    "benjamini_hochberg",
    "bootstrap_many",
    "cluster_bootstrap",
    "cluster_standard_error",
    "cluster_standard_errors",
    "control_p",
    "control_percentile",
    "detectable_difference",
    "drift",
    "drift_above_noise_floor",
    "extreme_p",
    "family_p",
    "holm",
    "interaction",
    "interactions",
    "kl_options",
    "left_out_scores",
    "margin",
    "margin_change",
    "mcnemar",
    "noise_floor",
    "paired_difference",
    "sign_flip",
    "stream",
    "wilson_interval",
    "zero_count_limit",
]
