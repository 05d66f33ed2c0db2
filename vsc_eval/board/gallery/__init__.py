"""The flip gallery: items whose answer a condition changed, with what was asked and shown.

>>> shared, views = gallery_views(board)
"""

from vsc_eval.board.gallery.data import KIND_WORDS, gallery_views
from vsc_eval.board.gallery.pictures import ItemView, Picture, item_view

__all__ = ["KIND_WORDS", "ItemView", "Picture", "gallery_views", "item_view"]
