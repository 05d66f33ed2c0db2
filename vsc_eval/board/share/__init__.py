"""What an entry is shared as: a model card's section and a figure.

>>> print(model_card(entry, board))
>>> alt = summary_figure(entry, Path("summary.svg"), Path("summary.png"))
"""

from vsc_eval.board.share.figure import summary_figure
from vsc_eval.board.share.model_card import model_card

__all__ = ["model_card", "summary_figure"]
