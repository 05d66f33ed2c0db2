"""Whose answers a condition changed, with the question and the picture."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from vsc_eval.analysis.flips import Flip, flips
from vsc_eval.answers.answer_table import AnswerTable, AskedItem
from vsc_eval.api.frames import record_frame
from vsc_eval.errors import SpecError
from vsc_eval.figures.data_uri import png_data_uri
from vsc_eval.files import picture_hash
from vsc_eval.synthetic import find_item
from vsc_eval.tables.clean import html

_SHOWN = 12


@dataclass(frozen=True)
class ChangedAnswer:
    """One item whose answer is not the baseline's."""

    flip: Flip
    item: AskedItem

    @property
    def prompt(self) -> str | None:
        """The text that was asked; None where it may not be kept."""
        if self.item.messages is None:
            return None
        content = json.loads(self.item.messages)[-1]["content"]
        return "\n".join(part["text"] for part in content if part["type"] == "text")

    @property
    def image(self) -> Image.Image | None:
        """The picture that was shown, drawn again; None for other data than the synthetic benchmark's, whose pictures
        a run does not keep, and where another one (or none) was shown."""
        try:
            drawn = find_item(self.item.item_id).image()
        except SpecError:
            return None
        return drawn if picture_hash(drawn) == self.item.image_hash else None

    def _repr_html_(self) -> str:
        picture = self.image
        source = None if picture is None else png_data_uri(np.asarray(picture))
        shown = f'<img src="{source}" width="160" alt="the picture">' if source else ""
        before, after, gold = map(html, (self.flip.before, self.flip.after, self.flip.gold))
        text = "<br>".join(map(html, (self.prompt or "").splitlines()))
        return (
            '<div style="display:inline-block; vertical-align:top; width:170px; margin:4px; font-size:85%">'
            f"{shown}<br><b>{self.flip.change.replace('_', ' ')}</b>: {before} &rarr; <b>{after}</b>, right is {gold}"
            f"<br>{text}</div>"
        )


class Flips(Sequence[ChangedAnswer]):
    """The items that one condition changed, in the run's order. A notebook shows the first of them with pictures."""

    def __init__(self, table: AnswerTable, condition: str) -> None:
        """Raises SpecError for a condition that the table does not have."""
        self.condition = condition
        self._table = table
        items = {item.item_id: item for item in table.items}
        self._found = [ChangedAnswer(flip, items[flip.item_id]) for flip in flips(table, condition)]

    @property
    def frame(self) -> pd.DataFrame:
        """item_id, task, level, gold, before (the baseline's answer), after, change, prompt."""
        frame = record_frame(Flip, [each.flip for each in self._found], self._table)
        return frame.assign(prompt=pd.Series([each.prompt for each in self._found], dtype=object))

    def __getitem__(self, place: Any) -> Any:
        return self._found[place]

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        return f"Flips('{self.condition}', {len(self)} of {len(self._table.items)} answers changed)"

    def _repr_html_(self) -> str:
        more = f", the first {_SHOWN}" if len(self) > _SHOWN else ""
        shown = "".join(each._repr_html_() for each in self._found[:_SHOWN])
        return f"<p>{html(repr(self))}{more}</p>{shown}"
