"""A scene as PNG, by Pillow and the letters that it has inside. The same scene gives the same bytes.

Shapes are drawn several times as large and made smaller, which makes their edges smooth; words are drawn at their size.
That font has the plain Latin letters: accents are left out, and of other scripts a box is seen for each letter. SVG has
them all. Nothing of the machine's own fonts is used, or the same picture would be another one elsewhere.
"""

from __future__ import annotations

import itertools
import math
import struct
import unicodedata
import zlib
from typing import TYPE_CHECKING

from lab.core.errors import Unavailable
from lab.projections.drawing import scene as scenes
from lab.projections.drawing.look import BAND_OPACITY, COLOURS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

    from lab.projections.drawing.scene import Item, Point, Scene, Words

_MOST_PIXELS = 30_000_000  # of the large drawing, which is 90 MB
_SMOOTH = 4
_DASH, _SPACE = 4.0, 3.0
_HALO = 1.5
_LEVEL = 6
_NO_LETTER = "\U000f0000"  # for private use: no font has it, so it shows what is shown of one that is not there
_INSTEAD = {"\u2212": "-", "\u2013": "-", "\u2014": "-", "\u2192": "->", "\u00d7": "x", "\u00b5": "u", "\u2022": "*"}
_MUTED = frozenset({"muted", "tick"})


def render(scene: Scene, *, dark: bool = False, scale: int = 2) -> bytes:
    """The bytes of the file, `scale` pixels for a unit of the scene. `Unavailable` without Pillow."""
    try:
        from PIL import Image, ImageDraw  # noqa: PLC0415  # an extra, and 60 ms
    except ImportError as error:
        fix = "pip install 'labctl[plot]', or write .svg, which needs nothing"
        raise Unavailable("writing PNG needs Pillow", fix=fix) from error
    wide, high = max(round(scene.width * scale), 1), max(round(scene.height * scale), 1)
    smooth = next((each for each in range(_SMOOTH, 1, -1) if wide * high * each * each <= _MOST_PIXELS), 1)
    paper = _colour("paper", dark=dark)
    large = Image.new("RGB", (wide * smooth, high * smooth), paper)
    brush = _Brush(ImageDraw.Draw(large, "RGBA"), float(scale * smooth), dark=dark)
    for item in scene.items:
        brush.draw(item)
    small = large.reduce(smooth) if smooth > 1 else large
    pen = _Pen(ImageDraw.Draw(small), float(scale), dark=dark)
    for item in scene.items:
        if isinstance(item, scenes.Words):
            pen.write(item)
    return _file(small)


class _Brush:
    """Draws everything but words."""

    def __init__(self, draw: ImageDraw, scale: float, *, dark: bool) -> None:
        self._to = draw
        self._scale = scale
        self._dark = dark

    def draw(self, item: Item) -> None:
        match item:
            case scenes.Stroke():
                colour = self._colour(item.look)
                points = [self._place(point) for point in item.points]
                if item.close:
                    if len(points) > 2:  # noqa: PLR2004  # two points have no area
                        self._to.polygon(points, fill=colour)
                else:
                    self._line(points, colour, item.width, dashed=item.dashed)
            case scenes.Box():
                (x, y), colour = item.at, self._colour(item.look)
                corner, other = self._place((x, y)), self._place((x + item.width, y + item.height))
                if other[0] > corner[0] and other[1] > corner[1]:
                    last = (max(other[0] - 1, corner[0]), max(other[1] - 1, corner[1]))  # its last pixel is included
                    self._to.rectangle((corner, last), fill=colour)
            case scenes.Mark():
                self._shape(item.shape, item.at, item.size, self._colour(item.look))
            case scenes.Marks():
                colour = self._colour(item.look)
                for at in item.at:
                    self._shape(item.shape, at, item.size, colour)
            case scenes.Words():
                pass

    def _colour(self, look: str) -> tuple[int, ...]:
        colour = _colour(look, dark=self._dark)
        return (*colour, round(255 * BAND_OPACITY)) if look == "band" else colour

    def _place(self, point: Point) -> Point:
        return point[0] * self._scale, point[1] * self._scale

    def _line(self, points: Sequence[Point], colour: tuple[int, ...], width: float, *, dashed: bool) -> None:
        thick = max(round(width * self._scale), 1)
        if dashed:
            for piece in _dashes(points, _DASH * self._scale, _SPACE * self._scale):
                self._to.line(piece, fill=colour, width=thick)
        elif len(points) > 1:
            self._to.line(points, fill=colour, width=thick, joint="curve" if thick > 1 else None)

    def _shape(self, shape: str, at: Point, size: float, colour: tuple[int, ...]) -> None:
        (x, y), half = self._place(at), size * self._scale
        match shape:
            case scenes.CIRCLE:
                self._to.ellipse((x - half, y - half, x + half, y + half), fill=colour)
            case scenes.CROSS:
                thick = max(round(scenes.cross_width(size) * self._scale), 1)
                self._to.line(((x - half, y - half), (x + half, y + half)), fill=colour, width=thick)
                self._to.line(((x - half, y + half), (x + half, y - half)), fill=colour, width=thick)
            case scenes.TRIANGLE_UP:
                self._to.polygon(((x, y - half), (x + half, y + half), (x - half, y + half)), fill=colour)
            case scenes.TRIANGLE_DOWN:
                self._to.polygon(((x - half, y - half), (x + half, y - half), (x, y + half)), fill=colour)
            case scenes.DIAMOND:
                self._to.polygon(((x, y - half), (x + half, y), (x, y + half), (x - half, y)), fill=colour)
            case _:
                self._to.rectangle((x - half, y - half, x + half, y + half), fill=colour)


class _Pen:
    """Writes words."""

    def __init__(self, draw: ImageDraw, scale: float, *, dark: bool) -> None:
        self._to = draw
        self._scale = scale
        self._dark = dark
        self._fonts: dict[float, FreeTypeFont] = {}
        self._known: dict[str, str] = {}

    def write(self, item: Words) -> None:
        font = self._font(item.size * self._scale)
        words = "".join(letter if letter.isascii() else self._spelled(letter, font) for letter in item.text)
        if not words:
            return
        anchor = {scenes.MIDDLE: "ms", scenes.END: "rs"}.get(item.anchor, "ls")
        x, y = item.at[0] * self._scale, item.at[1] * self._scale
        look = "muted" if item.look in _MUTED else "crash" if item.look == "crash" else "ink"
        colour = _colour(look, dark=self._dark)
        if item.look == "label":  # words over marks stay readable
            halo = _colour("paper", dark=self._dark)
            thick = round(_HALO * self._scale)
            self._to.text((x, y), words, fill=halo, font=font, anchor=anchor, stroke_width=thick)
        for shift in (0.0, self._scale / 4) if item.bold else (0.0,):  # there is one weight: bold is written twice
            self._to.text((x + shift, y), words, fill=colour, font=font, anchor=anchor)
        if item.more:
            at = (item.at[0] + font.getlength(words) / self._scale + scenes.MORE_GAP, item.at[1])
            self.write(scenes.Words(look="muted", at=at, text=item.more, size=scenes.MORE_SIZE))

    def _spelled(self, letter: str, font: FreeTypeFont) -> str:
        """A letter as this font can write it: itself, or what stands for it; else itself, which is seen as a box."""
        if letter not in self._known:
            told = letter
            if bytes(font.getmask(letter)) == bytes(font.getmask(_NO_LETTER)):
                plain = "".join(each for each in unicodedata.normalize("NFKD", letter) if each.isascii())
                told = _INSTEAD.get(letter) or plain or ("" if unicodedata.combining(letter) else letter)
            self._known[letter] = told
        return self._known[letter]

    def _font(self, size: float) -> FreeTypeFont:
        if size not in self._fonts:
            self._fonts[size] = _letters(max(size, 1.0))
        return self._fonts[size]


def _letters(size: float) -> FreeTypeFont:
    """The font inside Pillow, its letters set in the plain way: the other one depends on what else is installed."""
    from PIL import ImageFont  # noqa: PLC0415  # an extra

    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise Unavailable("this Pillow cannot write letters (it was built without FreeType)", fix="write .svg instead")
    return font.font_variant(layout_engine=ImageFont.Layout.BASIC)


def _colour(look: str, *, dark: bool) -> tuple[int, int, int]:
    told = COLOURS.get(look, COLOURS["ink"])[1 if dark else 0]
    return int(told[1:3], 16), int(told[3:5], 16), int(told[5:7], 16)


def _dashes(points: Sequence[Point], dash: float, space: float) -> Iterable[tuple[Point, Point]]:
    """The pieces of a broken line. A piece ends with the part of the line it is on."""
    for (x, y), (to_x, to_y) in itertools.pairwise(points):
        length = math.hypot(to_x - x, to_y - y)
        count = math.ceil(length / (dash + space))
        for number in range(count):
            start = number * (dash + space) / length
            end = min(start + dash / length, 1.0)
            yield (
                (x + (to_x - x) * start, y + (to_y - y) * start),
                (x + (to_x - x) * end, y + (to_y - y) * end),
            )


def _file(image: Image) -> bytes:
    """The file around the pixels. Written here, so that another release of Pillow gives the same bytes for the same."""
    wide, high = image.size
    rows, length = image.tobytes(), wide * 3
    raw = b"".join(b"\0" + rows[start : start + length] for start in range(0, len(rows), length))
    head = struct.pack(">IIBBBBB", wide, high, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(raw, _LEVEL)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(_part, parts))


def _part(named: tuple[bytes, bytes]) -> bytes:
    name, data = named
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
