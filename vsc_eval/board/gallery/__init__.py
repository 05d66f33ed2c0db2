"""The flip gallery: items whose answer a condition changed, with what was asked and shown.

>>> gallery_data(board)["entries"][0]["conditions"]
"""

from vsc_eval.board.gallery.data import KINDS, Limits, gallery_data
from vsc_eval.board.gallery.data_uri import picture_problem
from vsc_eval.board.gallery.pictures import ItemView, Picture, item_view

__all__ = [
    "KINDS",
    "ItemView",
    "Limits",
    "Picture",
    "gallery_data",
    "item_view",
    "picture_problem",
]
