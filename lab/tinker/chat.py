"""How a dialogue is written for a model: the template that came with it, run where it gets at nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from lab.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SHOWN_CHARS = 300


def render(
    template: str, turns: Sequence[Mapping[str, str]], *, speak: bool, marks: Mapping[str, str], where: str
) -> str:
    """The dialogue as text; with `speak` the assistant is about to. `marks` are the tokens that templates ask for.

    A template is told no time, though some ask for the date: the same data would be other tokens tomorrow.
    """
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    env.globals["raise_exception"] = _refuse
    try:
        text: str = env.from_string(template).render(messages=turns, add_generation_prompt=speak, **marks)
    except (
        TemplateError,
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        what = f"the chat template fails on a dialogue: {str(error)[:_SHOWN_CHARS]}"
        raise BadInput(what, where=where, fix="give the roles and turns that the model wants") from error
    return text


def _refuse(message: object) -> NoReturn:
    """What templates call where a dialogue is none for them."""
    raise TemplateError(str(message))
