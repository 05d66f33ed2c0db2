"""What makes an entry, and a board, right: everything that can be computed anew from the answers is.

What cannot be: p of sign-flip tests, distances between distributions, activation shifts, control draws and probes. Of
these, signs, ranges and order are checked; the entry's hash guards them against edits by hand only. Bounds of intervals
can be drawn anew, which is slow and only done if asked for.
"""

from vsc_eval.leaderboard.check.board_check import check_board, entry_findings
from vsc_eval.leaderboard.check.problem import Problem

__all__ = ["Problem", "check_board", "entry_findings"]
