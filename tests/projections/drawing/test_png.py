"""A scene as PNG: the same bytes each time, a file that readers open, whatever letters are in it."""

from __future__ import annotations

import struct
import sys
import zlib
from typing import TYPE_CHECKING

import pytest

from lab.core.errors import Unavailable
from lab.projections.drawing import look, png, scene, stairs
from tests.projections.drawing.staircases import BAND, descent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.projections.drawing.scene import Item, Scene

Pixel = tuple[int, int, int]


def a_scene(items: Iterable[Item], width: float = 60, height: float = 40) -> Scene:
    return scene.Scene(name="x", title="x", told="x", width=width, height=height, items=tuple(items))


def read(data: bytes) -> tuple[int, int, bytes]:
    """Width, height and pixels, read by nothing that wrote them; sums are checked."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    parts: dict[bytes, bytes] = {}
    at = 8
    while at < len(data):
        (length,), name = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(name + body)
        parts[name] = body
        at += 12 + length
    width, height = struct.unpack(">II", parts[b"IHDR"][:8])
    rows = zlib.decompress(parts[b"IDAT"])
    assert len(rows) == height * (3 * width + 1)
    return (
        width,
        height,
        b"".join(rows[row * (3 * width + 1) + 1 : (row + 1) * (3 * width + 1)] for row in range(height)),
    )


def pixel(data: bytes, x: int, y: int) -> Pixel:
    width, _, pixels = read(data)
    at = 3 * (y * width + x)
    return pixels[at], pixels[at + 1], pixels[at + 2]


def rgb(name: str, *, dark: bool = False) -> Pixel:
    told = look.COLOURS[name][int(dark)]
    return int(told[1:3], 16), int(told[3:5], 16), int(told[5:7], 16)


def test_the_same_scene_is_the_same_bytes_and_twice_as_many_pixels() -> None:
    drawn = stairs.draw(descent(40, 6, band=BAND, target=0.9))
    data = png.render(drawn)
    assert data == png.render(stairs.draw(descent(40, 6, band=BAND, target=0.9)))
    assert read(data)[:2] == (1920, 840)
    assert read(png.render(drawn, scale=1))[:2] == (960, 420)
    assert len(data) < 200_000


@pytest.mark.parametrize("dark", [False, True])
def test_paper_marks_and_boxes_have_the_colours_of_their_looks(dark: bool) -> None:
    items: list[scene.Item] = [
        scene.Box(look="bar", at=(0, 0), width=10, height=10),
        *(
            scene.Mark(look="crash", at=(20 + 10 * place, 20), shape=shape, size=4)
            for place, shape in enumerate((scene.CIRCLE, scene.SQUARE, scene.DIAMOND, scene.CROSS))
        ),
        scene.Stroke(look="stair", points=((0, 30), (60, 30)), width=2),
    ]
    data = png.render(a_scene(items), dark=dark)
    assert pixel(data, 118, 2) == rgb("paper", dark=dark)
    assert pixel(data, 10, 10) == rgb("bar", dark=dark)
    for place in range(4):
        assert pixel(data, 2 * (20 + 10 * place), 40) == rgb("crash", dark=dark)
    assert pixel(data, 60, 60) == rgb("stair", dark=dark)


def test_the_band_lets_what_is_under_it_through() -> None:
    band = scene.Stroke(look="band", points=((0, 0), (60, 0), (60, 40), (0, 40)), close=True)
    (red, _, _), paper, full = pixel(png.render(a_scene([band])), 30, 30), rgb("paper"), rgb("band")
    assert full[0] < red < paper[0]


def test_words_in_any_script_are_written_or_boxed_and_never_raise() -> None:
    blank = png.render(a_scene([], 400, 40))
    for words in (
        "lr 0.01 → 0.003 é µ \u2212",
        "学习率减半",
        "שלום עולם",
        "مرحبا",
        "🙂👩‍👩‍👧",
        "\u0301",
        "<script>",
        "" * 3,
        "a" * 500,
    ):
        for size in (0.5, 11, 40):
            data = png.render(a_scene([scene.Words(look="label", at=(5, 20), text=words, size=size, bold=True)], 400))
            assert read(data)[:2] == (800, 80)
            assert (data == blank) == (words in ("", "\u0301"))


def test_an_accent_the_font_lacks_is_left_out_and_the_letter_stays() -> None:
    def written(words: str) -> bytes:
        return png.render(a_scene([scene.Words(look="ink", at=(5, 20), text=words)], 100))

    assert written("médian → \u22123") == written("median -> -3")
    assert written("日") != written("本本")


def test_nothing_outside_the_paper_is_a_problem() -> None:
    items: list[scene.Item] = [
        scene.Mark(look="keep", at=(-50, 1e5), size=4),
        scene.Stroke(look="stair", points=((-1e4, -1e4), (1e4, 1e4)), dashed=True),
        scene.Stroke(look="stair", points=((3, 3), (3, 3)), dashed=True),
        scene.Stroke(look="stair", points=((3, 3),)),
        scene.Stroke(look="band", points=((3, 3), (4, 4)), close=True),
        scene.Box(look="bar", at=(5, 5), width=0, height=0),
        scene.Box(look="bar", at=(5.01, 5.01), width=0.02, height=9),
        scene.Box(look="bar", at=(-500, 5), width=2000, height=0.001),
        scene.Marks(look="keep", at=()),
    ]
    assert read(png.render(a_scene(items)))[:2] == (120, 80)


def test_a_very_high_scene_is_drawn_in_bounded_memory() -> None:
    assert read(png.render(a_scene([scene.Mark(look="keep", at=(5, 5))], 960, 4_000)))[:2] == (1920, 8000)


def test_without_pillow_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(Unavailable) as refused:
        png.render(a_scene([]))
    assert "pip install 'labctl[plot]'" in refused.value.fix
    assert refused.value.exit_code == 5
