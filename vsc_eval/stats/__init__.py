"""Statistics on parsed answers: pure functions of numpy arrays; randomness is always an argument.

`bootstrap`: a statistic and its interval, means of clustered items; `drift`: changes and interactions;
`significance`: tests. What other rooms use most is named here.
"""

from vsc_eval.stats.bootstrap import Figure, bootstrap_many, cluster_bootstrap, stream, wilson_interval
from vsc_eval.stats.drift import Drift
from vsc_eval.stats.significance import McNemar, adjust, control_p, control_percentile

__all__ = [
    "Drift",
    "Figure",
    "McNemar",
    "adjust",
    "bootstrap_many",
    "cluster_bootstrap",
    "control_p",
    "control_percentile",
    "stream",
    "wilson_interval",
]
