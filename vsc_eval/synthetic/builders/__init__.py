"""One module a task: each builds the four scenes of an orbit, the question, its options and its program."""

from __future__ import annotations

from vsc_eval.synthetic.builders import attribute, comparison, counting, existence, hops, logic, spatial
from vsc_eval.synthetic.builders.draft import Builder

BUILDERS: dict[str, Builder] = {
    "counting": counting.build,
    "spatial_relation": spatial.build,
    "attribute_query": attribute.build,
    "comparison": comparison.build,
    "existence": existence.build,
    "logic": logic.build,
    "multi_hop": hops.build,
}
