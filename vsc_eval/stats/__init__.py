"""Statistics on parsed answers: pure functions of numpy arrays; randomness is always an argument."""

from vsc_eval.stats.bootstrap import cluster_bootstrap, cluster_standard_error
from vsc_eval.stats.drift import Drift, drift
from vsc_eval.stats.estimate import Estimate
from vsc_eval.stats.interaction import Interaction, interaction
from vsc_eval.stats.mcnemar import McNemar, mcnemar
from vsc_eval.stats.paired import Paired, accuracy, paired_difference
from vsc_eval.stats.power import detectable_difference
from vsc_eval.stats.streams import stream
from vsc_eval.stats.wilson import wilson_interval

__all__ = [
    "Drift",
    "Estimate",
    "Interaction",
    "McNemar",
    "Paired",
    "accuracy",
    "cluster_bootstrap",
    "cluster_standard_error",
    "detectable_difference",
    "drift",
    "interaction",
    "mcnemar",
    "paired_difference",
    "stream",
    "wilson_interval",
]
