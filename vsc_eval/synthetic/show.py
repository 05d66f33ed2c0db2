"""Pictures for a person to look at: each item with its prompt and gold answer drawn beside it."""

import math
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from vsc_eval.errors import SpecError
from vsc_eval.files import replacing
from vsc_eval.synthetic.items import Item, make_items
from vsc_eval.synthetic.program import LETTERS
from vsc_eval.synthetic.scene import CANVAS

_TEXT_WIDTH = 372
_PAD = 16
_INK = (20, 20, 20)
_GOLD = (0, 110, 40)
_PAPER = (255, 255, 255)


def _wrap(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> list[str]:
    """Lines of at most the text column's width."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and draw.textlength(longer, font=font) > _TEXT_WIDTH - 2 * _PAD:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def card(item: Item) -> Image.Image:
    """The picture, and beside it id, question and options; the right option is green and marked."""
    out = Image.new("RGB", (CANVAS + _TEXT_WIDTH, CANVAS), _PAPER)
    out.paste(item.image(), (0, 0))
    draw = ImageDraw.Draw(out)
    y = _PAD
    rows = [(item.id, 14, _INK), (item.question, 20, _INK)]
    for i, (letter, option) in enumerate(zip(LETTERS, item.options, strict=True)):
        gold = i == item.gold
        rows.append((f"{letter}. {option}{'   <- gold' if gold else ''}", 18, _GOLD if gold else _INK))
    for text, size, colour in rows:
        font = ImageFont.load_default(size)
        for line in _wrap(draw, text, font):
            draw.text((CANVAS + _PAD, y), line, fill=colour, font=font)
            y += size + 6
        y += 8
    return out


def write_examples(task: str, level: str, n: int, out_dir: Path, *, split: str = "test") -> list[Path]:
    """Write the first `n` items of a cell as PNG cards and one contact sheet; returns the paths, the sheet last.

    Raises SpecError for an unknown cell or n < 1, BackendError if the folder cannot be written.
    """
    if n < 1:
        raise SpecError(f"Cannot show {n} items.", hint="Ask for at least one.")
    items = make_items(split, task, level, math.ceil(n / 4) * 4)[:n]
    pictures = {out_dir / f"{item.id.replace('/', '_')}.png": card(item) for item in items}
    width, height = CANVAS + _TEXT_WIDTH + 8, CANVAS + 8
    sheet = Image.new("RGB", (2 * width, math.ceil(n / 2) * height), (120, 120, 120))
    for i, picture in enumerate(pictures.values()):
        sheet.paste(picture, ((i % 2) * width, (i // 2) * height))
    pictures[out_dir / f"{split}_{task}_{level}_sheet.png"] = sheet
    for path, picture in pictures.items():
        with replacing(path) as partial:
            picture.save(partial, "PNG")
    return list(pictures)
