"""How much each parameter counts, as bars; with how sure that is, from how many runs, and what it is worth, inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.projections import text
from lab.projections.drawing import lanes, measure, told
from lab.projections.drawing.scene import END, MIDDLE, Box, Scene, Stroke, Words

if TYPE_CHECKING:
    from lab.projections.drawing.scene import Item
    from lab.projections.picture.importance import Importance, Weight

NAME = "importance"
_SIDE, _TOP, _ROW, _BAR = 12.0, 30.0, 24.0, 12.0
_NAMES = 0.32  # of the width, at most
_SIZE = 12.0
_SMALL = 11.0
_CHANCE = "not told from chance"
_UNSURE = "perhaps chance"
_MARKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def draw(importance: Importance, *, width: float = 640, name: str = NAME) -> Scene:
    """The scene, as high as it needs to be."""
    frame = _Frame(importance, width)
    items: list[Item] = [
        *frame.scale(),
        *(item for row, each in enumerate(importance.weights) for item in frame.bar(row, each)),
    ]
    words, end = told.below(_sentences(importance), (_SIDE, frame.bottom + 40), width - 2 * _SIDE)
    return Scene(
        name=name,
        title="Importance of parameters",
        told=_told(importance),
        width=width,
        height=end + 8,
        items=(*items, *words),
    )


class _Frame:
    """Where names end, and bars begin and end."""

    def __init__(self, importance: Importance, width: float) -> None:
        self.importance = importance
        names = max((measure.width(each.name, _SIZE) for each in importance.weights), default=0.0)
        notes = max((measure.width(_said(each), _SMALL) for each in importance.weights), default=0.0)
        self.names = min(names, _NAMES * width)
        told = [each.name for each in importance.weights]
        self.shown = lanes.apart(told, _SIZE, [self.names] * len(told))
        self.left = _SIDE + self.names + 10
        self.notes = min(notes, width - _SIDE - 12 - self.left - 40)
        self.right = width - _SIDE - self.notes - 12
        self.bottom = _TOP + _ROW * len(importance.weights)

    def x(self, share: float) -> float:
        return self.left + share * (self.right - self.left)

    def scale(self) -> list[Item]:
        """The grid, its percentages, and the floor. Where there is no room for all percentages, the ends have one."""
        items: list[Item] = []
        room = (self.right - self.left) / (len(_MARKS) - 1)
        for share in _MARKS:
            x = self.x(share)
            items.append(Stroke(look="grid", points=((x, _TOP - 4), (x, self.bottom))))
            if share in (0.0, 1.0) or room > measure.width("100 %", _SMALL):
                items.append(
                    Words(look="tick", at=(x, self.bottom + 14), text=f"{share:.0%}", anchor=MIDDLE, size=_SMALL)
                )
        if self.importance.floor > 0:
            x = self.x(min(self.importance.floor, 1.0))
            items.append(Stroke(look="hint", points=((x, _TOP - 4), (x, self.bottom)), dashed=True))
            items.append(Words(look="muted", at=(x, _TOP - 10), text="chance", anchor=MIDDLE, size=_SMALL))
        return items

    def bar(self, row: int, weight: Weight) -> list[Item]:
        y = _TOP + _ROW * row + (_ROW - _BAR) / 2
        middle = y + _BAR / 2
        look = "discard" if weight.unsure else "bar"  # coloured is what no end of its range makes chance
        low, high = self.x(weight.low), self.x(weight.high)
        items: list[Item] = [
            Words(
                look="label",
                at=(self.left - 10, middle + 4),
                text=self.shown[row],
                anchor=END,
                size=_SIZE,
            ),
            Box(look=look, at=(self.left, y), width=max(self.x(weight.share) - self.left, 1.0), height=_BAR),
        ]
        if high > low:
            items.append(Stroke(look="axis", points=((low, middle), (high, middle)), width=1.5))
            items += [
                Stroke(look="axis", points=((end, middle - 4), (end, middle + 4)), width=1.5) for end in (low, high)
            ]
        said = measure.fitted(_said(weight), _SMALL, self.notes)
        items.append(
            Words(look="muted" if weight.unsure else "label", at=(self.right + 12, middle + 4), text=said, size=_SMALL)
        )
        return items


def _said(weight: Weight) -> str:
    if weight.chance:
        return _CHANCE
    said = f"{weight.share:.0%} ({weight.low:.0%} to {weight.high:.0%})"
    return f"{said}, {_UNSURE}" if weight.unsure else said


def _sentences(importance: Importance) -> list[str]:
    said = [importance.caveat]
    if importance.left_out:
        said.append(f"{text.count(importance.left_out, 'more parameter')} of less weight, or not looked at: not shown.")
    said.append(
        f"All parameters together foretell {importance.explained:.0%} of the spread; what lies below "
        f"{importance.floor:.0%} is not told apart from chance, and what reaches below it perhaps not."
    )
    said.append(f"How: {importance.method}.")
    return said


def _told(importance: Importance) -> str:
    """For those who do not see it."""
    rows = "; ".join(f"{each.name}: {_said(each)}" for each in importance.weights)
    return f"{rows}. {importance.caveat}"
