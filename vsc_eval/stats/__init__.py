"""Statistics on parsed answers: pure functions of numpy arrays; randomness is always an argument."""

from vsc_eval.stats.accuracy import accuracy
from vsc_eval.stats.bootstrap import bootstrap_many, cluster_bootstrap, cluster_standard_error, cluster_standard_errors
from vsc_eval.stats.divergence import amplification, kl_options
from vsc_eval.stats.drift import Drift
from vsc_eval.stats.figure import Figure
from vsc_eval.stats.floor import drift_above_noise_floor, noise_floor
from vsc_eval.stats.matched import extreme_p
from vsc_eval.stats.mcnemar import McNemar, mcnemar
from vsc_eval.stats.multiplicity import adjust, benjamini_hochberg, holm
from vsc_eval.stats.percentile import control_p, control_percentile, family_p, left_out_scores
from vsc_eval.stats.power import detectable_difference
from vsc_eval.stats.sign_flip import SignFlip, sign_flip
from vsc_eval.stats.streams import stream
from vsc_eval.stats.wilson import wilson_interval
from vsc_eval.stats.zero_count import zero_count_limit

__all__ = [
    "Drift",
    "Figure",
    "McNemar",
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
    "drift_above_noise_floor",
    "extreme_p",
    "family_p",
    "holm",
    "kl_options",
    "left_out_scores",
    "mcnemar",
    "noise_floor",
    "sign_flip",
    "stream",
    "wilson_interval",
    "zero_count_limit",
]
