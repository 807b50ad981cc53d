"""A scene as SVG. The same scene gives the same bytes.

Colours come from the style sheet of the page; `alone` puts one inside, so that the file can stand by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.projections.drawing import scene as scenes
from lab.projections.drawing.look import style

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.projections.drawing.scene import Box, Item, Mark, Marks, Point, Scene, Stroke, Words

_DASHES = "4 3"
_BOLD = ' font-weight="600"'


def render(scene: Scene, *, alone: bool = False, dark: bool | None = None) -> str:
    """The element; with `alone`, a document, as dark as its reader wants it unless `dark` says so."""
    name = _attribute(scene.name)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="lab-scene" id="{name}" role="img" '
        f'viewBox="0 0 {_number(scene.width)} {_number(scene.height)}" '
        f'width="{_number(scene.width)}" height="{_number(scene.height)}" '
        f'aria-labelledby="{name}-title {name}-told">\n'
        f'<title id="{name}-title">{_text(scene.title)}</title><desc id="{name}-told">{_text(scene.told)}</desc>\n'
    )
    paper = f'<style>{style(dark=dark)}</style>\n<rect class="paper" width="100%" height="100%"/>\n' if alone else ""
    body = "".join(f"{line}\n" for item in scene.items for line in _item(item))
    return f"{head}{paper}{body}</svg>\n"


def _item(item: Item) -> Iterator[str]:
    match item:
        case scenes.Stroke():
            yield _stroke(item)
        case scenes.Marks():
            if item.at:
                yield _marks(item)
        case scenes.Mark():
            yield _linked(_told(_shape(item), item.says), item.href)
        case scenes.Box():
            yield _linked(_told(_box(item), item.says), item.href)
        case scenes.Words():
            yield _linked(_words(item), item.href)


def _stroke(item: Stroke) -> str:
    points = " ".join(f"{_number(x)},{_number(y)}" for x, y in item.points)
    if item.close:
        return f'<polygon class="area {item.look}" points="{points}"/>'
    dashes = f' stroke-dasharray="{_DASHES}"' if item.dashed else ""
    return f'<polyline class="line {item.look}" points="{points}" stroke-width="{_number(item.width)}"{dashes}/>'


def _marks(item: Marks) -> str:
    """One path for all of them: a line of no length with round ends is a circle."""
    if item.shape == scenes.CIRCLE:
        steps = "".join(f"M{_number(x)} {_number(y)}h0" for x, y in item.at)
        return f'<path class="dots {item.look}" d="{steps}" stroke-width="{_number(2 * item.size)}"/>'
    steps = "".join(_outline(item.shape, at, item.size) for at in item.at)
    if item.shape == scenes.CROSS:
        return f'<path class="line {item.look}" d="{steps}"{_crossed(item.size)}/>'
    return f'<path class="area {item.look}" d="{steps}"/>'


def _shape(item: Mark) -> tuple[str, str]:
    """How its element begins, and its name."""
    if item.shape == scenes.CIRCLE:
        x, y = item.at
        return (
            f'<circle class="mark {item.look}" cx="{_number(x)}" cy="{_number(y)}" r="{_number(item.size)}"',
            "circle",
        )
    kind, width = ("line", _crossed(item.size)) if item.shape == scenes.CROSS else ("area", "")
    return f'<path class="mark {kind} {item.look}" d="{_outline(item.shape, item.at, item.size)}"{width}', "path"


def _crossed(size: float) -> str:
    return f' stroke-width="{_number(scenes.cross_width(size))}"'


def _outline(shape: str, at: Point, size: float) -> str:
    x, y, whole = _number(at[0] - size), _number(at[1] - size), _number(2 * size)
    half = _number(size)
    match shape:
        case scenes.CROSS:
            return f"M{x} {y}l{whole} {whole}m0 -{whole}l-{whole} {whole}"
        case scenes.DIAMOND:
            return f"M{_number(at[0])} {y}l{half} {half}l-{half} {half}l-{half} -{half}z"
        case scenes.TRIANGLE_UP:
            return f"M{_number(at[0])} {y}l{half} {whole}h-{whole}z"
        case scenes.TRIANGLE_DOWN:
            return f"M{x} {y}h{whole}l-{half} {whole}z"
        case _:
            return f"M{x} {y}h{whole}v{whole}h-{whole}z"


def _box(item: Box) -> tuple[str, str]:
    x, y = item.at
    return (
        f'<rect class="area {item.look}" x="{_number(x)}" y="{_number(y)}" '
        f'width="{_number(item.width)}" height="{_number(item.height)}"'
    ), "rect"


def _words(item: Words) -> str:
    x, y = item.at
    anchor = "" if item.anchor == scenes.START else f' text-anchor="{item.anchor}"'
    return (
        f'<text class="{item.look}" x="{_number(x)}" y="{_number(y)}" font-size="{_number(item.size)}"'
        f"{anchor}{_BOLD if item.bold else ''}>{_text(item.text)}{_more(item)}</text>"
    )


def _more(item: Words) -> str:
    if not item.more:
        return ""
    size = f'font-size="{_number(scenes.MORE_SIZE)}" font-weight="400"'
    return f'<tspan class="muted" dx="{_number(scenes.MORE_GAP)}" {size}>{_text(item.more)}</tspan>'


def _told(begun: tuple[str, str], says: str) -> str:
    head, name = begun
    return f"{head}><title>{_text(says)}</title></{name}>" if says else f"{head}/>"


def _linked(element: str, href: str) -> str:
    return f'<a href="{_attribute(href)}">{element}</a>' if href else element


def _number(value: float) -> str:
    """To a hundredth of a pixel, without what says nothing."""
    told = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if told == "-0" else told


def _text(words: str) -> str:
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _attribute(words: str) -> str:
    return _text(words).replace('"', "&quot;")
