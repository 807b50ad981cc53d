"""How pages are made: jinja2 files in `templates/`, with everything escaped.

What a run, a person or a model wrote comes into a template as it was written. Whatever a template shows is first rid of
what no reader sees (control characters, colours for terminals, marks that turn the direction of writing) and then
escaped; a template has no way to leave either out by forgetting it.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from lab.core.run import SUCCESS
from lab.core.run import came_to as ran_to
from lab.projections import data, text
from lab.projections.picture import stairs, words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jinja2 import Environment
    from markupsafe import Markup

_HERE = os.path.dirname(__file__)
DIFF_CHARS, DIFF_LINES = 60_000, 400
# The sections that show a picture, in the report and on the live page: their template, and what they are called.
OF_A_PICTURE = (
    ("stairs", "Staircase"),
    ("best", "Best run"),
    ("arms", "Strategies"),
    ("cost", "Cost per improvement"),
    ("parameters", "Parameters"),
    ("lineage", "Lineage"),
    ("timeline", "Timeline"),
)
_VALUE_CHARS = 200
_UNITS = ("B", "kB", "MB", "GB", "TB")
_THOUSAND = 1000


def render(name: str, values: dict[str, object]) -> str:
    """The page that a template makes of these values; a value that it lacks is an error."""
    return environment().get_template(name).render(values)


@cache
def environment() -> Environment:
    """Loaded once a process: jinja2 takes 45 ms of CPU."""
    import jinja2  # noqa: PLC0415  # the same 45 ms

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(f"{_HERE}/templates"),
        autoescape=True,
        finalize=seen,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    made.filters.update(
        line=text.line, block=text.block, counted=text.count, duration=text.duration, moment=moment,
        short=short, exact=text.number, plain=plain, hours=hours, amount=amount, usd=usd, bytes=size,
        diffed=diffed, came_to=came_to, ended=ended,
    )  # fmt: skip
    return made


def seen(value: object) -> object:
    """Before it is escaped: without what a reader would not see. Markup is made by us, and stays."""
    if type(value) is not str or (value.isascii() and value.isprintable()):
        return value
    return text.visible(value)


def moment(stamp: str) -> str:
    """A time stamp of ours to the second, anything else as a line, a dash where there is none."""
    if len(stamp) == len("2026-01-02T03:04:05.678901Z") and stamp[10] == "T" and stamp.endswith("Z"):
        return f"{stamp[:10]} {stamp[11:19]} UTC"
    return text.line(stamp) or text.NONE


def short(value: float | None) -> str:
    """A value to six digits, for reading; `exact` has all of them."""
    return text.NONE if value is None else f"{value:.6g}"


def plain(value: object) -> str:
    """A parameter or a metric on one line: a string as it is, everything else as JSON."""
    return text.line(value if isinstance(value, str) else data.encode(value).decode(), _VALUE_CHARS)


def hours(value: float) -> str:
    """Hours as a length of time."""
    return text.duration(value * 3600)


def amount(value: int | None) -> str:
    """A count with its thousands set apart; what is not known is not 0."""
    return "not known" if value is None else f"{value:,}"


def usd(value: float | None) -> str:
    """Money; what is not known is not 0."""
    return "not known" if value is None else f"{value:,.2f} $" if value >= 1 or not value else f"{value:.4g} $"


def size(number_of: int) -> str:
    """Bytes for people."""
    if number_of < _THOUSAND:
        return f"{number_of} B"
    value, unit = float(number_of), 0
    while value >= _THOUSAND and unit < len(_UNITS) - 1:
        value, unit = value / _THOUSAND, unit + 1
    return f"{value:.3g} {_UNITS[unit]}" if value < _THOUSAND else f"{value:,.0f} {_UNITS[unit]}"


def diffed(diff: str) -> Iterator[tuple[str, str]]:
    """The lines of a diff, each with its class: head, hunk, add, del, or none."""
    for row in text.block(diff, DIFF_CHARS, DIFF_LINES).split("\n"):
        if row.startswith(("+++", "---", "diff ", "index ")):
            yield "head", row
        elif row.startswith("@@"):
            yield "hunk", row
        else:
            yield {"+": "add", "-": "del"}.get(row[:1], ""), row


def kind(name: str) -> str:
    """What a run came to, in words."""
    return words.of(name)


def came_to(name: str, told: str = "", unsure: bool = False) -> str:  # noqa: FBT001, FBT002  # as a filter gets it
    """The same, with its verdict or outcome where that says more: `crash (timeout)`."""
    if unsure:
        return words.of(name, unsure=True)
    if told in ("", SUCCESS, name) or (name, told) == (stairs.BASELINE, stairs.KEEP):
        return kind(name)
    return f"{kind(name)} ({kind(told)})"


def ended(outcomes: Mapping[str, int], unmeasured: int, claimed: Mapping[str, int]) -> list[tuple[str, int]]:
    """How many runs ended how, what was never run apart from what failed, and what another harness claims."""
    return list(ran_to(outcomes, unmeasured, claimed).items())


def trusted(markup: str) -> Markup:
    """Markup that we made ourselves, of parts that are escaped already."""
    from markupsafe import Markup as Made  # noqa: PLC0415  # it comes with jinja2

    return Made(markup)  # noqa: S704  # see above
