"""Pictures of the gallery: drawn ones are what the model saw, given ones are safe to show."""

from __future__ import annotations

import base64
import io
import re
import struct
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from samples import edit_items, sample_entry, with_hashes

from vsc_eval.board.gallery import ASKED_BLIND, NOT_PUBLISHED, item_view
from vsc_eval.board.records import Entry, Shown
from vsc_eval.errors import DataError
from vsc_eval.figures.data_uri import MAX_SIDE_PX, MAX_URI_CHARS, picture_problem, png_data_uri
from vsc_eval.files import picture_hash
from vsc_eval.synthetic import LEVELS, TASKS, Scene, SceneObject, blind_image, find_item, make_items
from vsc_eval.synthetic.scene import scene_words

ENTRY = sample_entry()


def picture_of(uri: str) -> Image.Image:
    image = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    image.load()
    return image


def with_items(entry: Entry, row: int, **values: Any) -> Entry:
    """The entry with other values in one row of its items."""
    return edit_items(entry, entry.table.items[row].item_id, **values)


@pytest.mark.parametrize("row", range(0, len(ENTRY.table.items), 4))
def test_a_drawn_picture_is_what_the_model_saw(row: int) -> None:
    view = item_view(ENTRY, row, is_synthetic=True)
    item = find_item(ENTRY.table.items[row].item_id)
    assert view.picture is not None
    image = picture_of(view.picture.src)
    assert image.mode == "P"
    assert picture_hash(image.convert("RGB")) == ENTRY.table.items[row].image_hash
    assert picture_problem(view.picture.src) is None
    assert (view.question, view.options) == (item.question, item.options)
    assert view.absent == ""


def test_two_thousand_pictures_are_few_megabytes() -> None:
    items = [item for task in TASKS for level in LEVELS for item in make_items("test", task, level, 8)]
    sizes = [len(png_data_uri(np.asarray(item.image()))) for item in items]
    assert np.mean(sizes) * 2000 < 7e6
    assert max(sizes) < 10_000


def test_a_picture_of_any_few_colours_is_kept_without_loss() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (255, 3), dtype=np.uint8)[rng.integers(0, 255, (31, 17))]
    assert np.array_equal(np.asarray(picture_of(png_data_uri(pixels)).convert("RGB")), pixels)


def test_words_of_a_scene_by_hand() -> None:
    def shape(kind: str, colour: str, size: int, x: int, y: int) -> SceneObject:
        return SceneObject(shape=kind, colour=colour, size=size, x=x, y=y)

    scene = Scene(
        objects=(
            shape("star", "blue", 56, 400, 400), shape("cross", "red", 40, 60, 90), shape("heart", "cyan", 70, 100, 40),
        )
    )  # fmt: skip
    assert scene_words(scene) == (
        "3 shapes on a plain background; top left: large cyan heart, small red cross; bottom right: blue star."
    )
    one = Scene(objects=(shape("star", "blue", 56, 224, 224),))
    assert scene_words(one) == "1 shape on a plain background; centre: blue star."
    grid = Scene(
        objects=tuple(
            shape("star", colour, 56, x, y)
            for colour, x, y in (("red", 330, 110), ("blue", 110, 330), ("green", 118, 100), ("black", 340, 340))
        ),
        grid=2,
    )
    assert scene_words(grid) == ("A grid of 2 by 2 shapes, row by row: green star, red star; blue star, black star.")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("level", LEVELS)
def test_words_name_every_object_once_and_count_none_by_kind(task: str, level: str) -> None:
    for item in make_items("test", task, level, 4):
        words = scene_words(item.scene)
        for o in item.scene.objects:
            same = sum((other.colour, other.shape) == (o.colour, o.shape) for other in item.scene.objects)
            assert len(re.findall(rf"\b{o.colour} {o.shape}\b", words)) == same
        numbers = set(re.findall(r"\d+", words))
        assert numbers <= {str(len(item.scene.objects)), str(item.scene.grid)}
        assert "\n" not in words


OTHERS = {
    "prompt_hash": ("0" * 16, "question"),
    "image_hash": ("0" * 16, "picture"),
    "gold": ("B", "gold"),
    "level": ("hard", "hard"),
    "task": ("logic", "logic"),
    "item_id": ("test/counting/easy/00000/Z", "no item id"),
}


@pytest.mark.parametrize("column", OTHERS)
def test_an_item_that_is_not_the_benchmarks_is_refused_by_name(column: str) -> None:
    value, what = OTHERS[column]
    assert ENTRY.table.items[0].item_id == "test/counting/easy/00000/A"
    entry = with_items(ENTRY, 0, **{column: value})
    with pytest.raises(DataError, match=what) as caught:
        item_view(entry, 0, is_synthetic=True)
    assert entry.id in caught.value.message
    assert entry.table.items[0].item_id in caught.value.message
    assert "publish" in caught.value.hint


def test_an_item_of_another_generator_says_which_version_is_needed() -> None:
    entry = with_items(ENTRY, 0, image_hash="0" * 16)
    old = with_hashes(entry, generator_version="0")
    with pytest.raises(DataError) as caught:
        item_view(old, 0, is_synthetic=True)
    assert "generator version 0" in caught.value.hint


def test_blind_items_show_what_was_shown() -> None:
    none = item_view(with_items(ENTRY, 0, image_hash="none"), 0, is_synthetic=True)
    assert (none.picture, none.absent) == (None, ASKED_BLIND)
    assert none.question
    grey = blind_image("grey")
    assert grey is not None
    view = item_view(with_items(ENTRY, 0, image_hash=picture_hash(grey)), 0, is_synthetic=True)
    assert view.picture is not None
    assert picture_of(view.picture.src).convert("RGB").getcolors() == [(448 * 448, (128, 128, 128))]


def uri_of(image: Image.Image, kind: str = "png", **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


SMALL = Image.new("RGB", (8, 6), (10, 200, 30))


def test_given_pictures_of_both_kinds_are_shown() -> None:
    item = ENTRY.table.items[0].item_id
    for uri in (uri_of(SMALL), uri_of(SMALL, "jpeg")):
        entry = replace(ENTRY, shown={item: Shown(question="What?", picture=uri)})
        view = item_view(entry, 0, is_synthetic=False)
        assert view.picture is not None
        assert (view.picture.src, view.question, view.options) == (uri, "What?", ())


def test_what_is_not_given_is_said() -> None:
    assert item_view(ENTRY, 0, is_synthetic=False).absent == NOT_PUBLISHED
    blind = with_items(ENTRY, 0, image_hash="none")
    assert item_view(blind, 0, is_synthetic=False).absent == ASKED_BLIND
    item = ENTRY.table.items[0].item_id
    only_text = replace(ENTRY, shown={item: Shown(question="What?")})
    view = item_view(only_text, 0, is_synthetic=False)
    assert (view.question, view.picture, view.absent) == ("What?", None, NOT_PUBLISHED)


def _bomb() -> str:
    """A header that announces 60,000 x 60,000 px."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _text_bomb() -> str:
    """Megabytes of zeros as a compressed comment."""
    info = PngImagePlugin.PngInfo()
    info.add_text("x", "0" * 80_000_000, zip=True)
    return uri_of(SMALL, pnginfo=info)


def _cut(uri: str) -> str:
    payload = base64.b64decode(uri.partition(",")[2])
    return "data:image/png;base64," + base64.b64encode(payload[:-30]).decode()


BAD = {
    "svg": "data:image/svg+xml;base64," + base64.b64encode(b"<svg onload='x'/>").decode(),
    "gif": uri_of(SMALL, "gif"),
    "gif as png": uri_of(SMALL, "gif").replace("image/gif", "image/png"),
    "jpeg as png": uri_of(SMALL, "jpeg").replace("image/jpeg", "image/png"),
    "html": "data:text/html,<script>x</script>",
    "javascript": "javascript:x",
    "https": "https://evil.invalid/x.png",
    "empty": "",
    "no payload": "data:image/png;base64,",
    "attribute": uri_of(SMALL) + '" onerror="x',
    "line end": uri_of(SMALL) + "\n",
    "parameter": uri_of(SMALL).replace(";base64", ";charset=utf-8;base64"),
    "capitals": uri_of(SMALL).replace("data:", "DATA:"),
    "not base64": "data:image/png;base64,AAA",
    "no picture": "data:image/png;base64,AAAA",
    "cut off": _cut(uri_of(Image.effect_noise((40, 40), 50))),
    "too wide": uri_of(Image.new("L", (MAX_SIDE_PX + 1, 1))),
    "too long": uri_of(Image.effect_noise((600, 600), 90)),
    "bomb": _bomb(),
    "animated": uri_of(SMALL, save_all=True, append_images=[Image.new("RGB", (8, 6))]),
}


@pytest.mark.parametrize("name", BAD)
def test_a_picture_that_is_not_fit_is_refused_by_name(name: str) -> None:
    assert (len(BAD[name]) > MAX_URI_CHARS) == (name == "too long")
    item = ENTRY.table.items[0].item_id
    entry = replace(ENTRY, shown={item: Shown(question="", picture=BAD[name])})
    with pytest.raises(DataError, match="picture in `shown`") as caught:
        item_view(entry, 0, is_synthetic=False)
    assert entry.id in caught.value.message
    assert item in caught.value.message


def test_a_picture_that_unpacks_to_much_is_refused() -> None:
    uri = _text_bomb()
    assert len(uri) < MAX_URI_CHARS
    assert picture_problem(uri) is not None
