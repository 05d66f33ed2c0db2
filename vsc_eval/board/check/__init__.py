"""What makes an entry, and a board, right: everything that can be computed anew from the answers is.

Cheaply: counts, shares, differences, McNemar's p, percentiles among control draws, verdicts as far as their numbers go.
If asked for, because it is slow: intervals of rows and interactions, and p of sign-flip tests. Not at all: distances
between distributions, activation shifts, control draws, the noise floor, official figures and probes. Of these, signs,
ranges and order are checked; the entry's hash guards them against edits by hand only.
"""

from vsc_eval.board.check.board_check import check_board

__all__ = ["check_board"]
