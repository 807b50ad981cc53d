"""The pages that are rarely made: jinja2 files beside this one. Pages of every run are plain functions instead."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from lab.projections import text

if TYPE_CHECKING:
    from jinja2 import Environment


def render(name: str, values: dict[str, object]) -> bytes:
    """The bytes of the page that the template makes of these values; a value that it lacks is an error."""
    return _environment().get_template(name).render(values).strip("\n").encode(errors="replace") + b"\n"


@cache
def _environment() -> Environment:
    import jinja2  # noqa: PLC0415  # 45 ms of CPU, which a run may not pay

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(os.path.dirname(__file__)),
        autoescape=False,  # noqa: S701  # the pages are Markdown; `md` makes outside text harmless there
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    environment.filters.update(
        md=text.md, number=text.number, counted=text.count, duration=text.duration, moment=text.moment, fence=_fence
    )
    return environment


def _fence(words: str, language: str = "text") -> str:
    return "\n".join(text.fenced(text.block(words), language))
