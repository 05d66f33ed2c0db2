"""What makes an entry, and a board, right: everything that can be computed anew from the answers is.

What cannot be: the bounds of intervals, p of sign-flip tests, distances between distributions, activation shifts and
probes. Of these, signs, ranges and order are checked; the entry's hash guards them against edits by hand only.
"""

from vsc_eval.leaderboard.check.board_check import check_board, entry_findings
from vsc_eval.leaderboard.check.problem import Problem

__all__ = ["Problem", "check_board", "entry_findings"]
