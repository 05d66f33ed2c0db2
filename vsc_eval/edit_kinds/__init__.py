"""Edit kinds, one file each: what is done to the features of a set. Nothing here imports torch.

Another package adds one by an entry point of the group `vsc_eval.edits` (see vsc_eval.registry); conditions then name
it like ours: `counting:mykind=2`.
"""

from vsc_eval.edit_kinds.base import EDITS, EditKind, usage

__all__ = ["EDITS", "EditKind", "usage"]
