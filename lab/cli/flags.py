"""What a verb's parser knows, as records: its arguments, its flags, and which of them exclude each other."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Literal

from lab.cli import parser as parsers
from lab.cli.contract import Argument, Exclusive, Flag

if TYPE_CHECKING:
    from lab.cli.commands import Command

Type = Literal["string", "integer", "number", "boolean"]
_TYPES: dict[object, Type] = {int: "integer", float: "number", "int": "integer", "float": "number"}
EVERYWHERE = ("--json", "--quiet", "--data-root", "--debug")


def everywhere(command: Command) -> list[Flag]:
    """The flags that every verb has."""
    return [_flag(each) for each in _actions(command) if _is_everywhere(each)]


def arguments(command: Command) -> list[Argument]:
    """The words after the verb."""
    return [_argument(each) for each in _actions(command) if not each.option_strings]


def flags(command: Command) -> list[Flag]:
    """The flags of the verb's own."""
    return [_flag(each) for each in _actions(command) if each.option_strings and not _is_everywhere(each)]


def sub_verbs(command: Command) -> list[str]:
    """What may follow a verb that does several things."""
    return [word for each in arguments(command) if each.name == "action" for word in each.choices]


def exclusive(command: Command) -> list[Exclusive]:
    """The groups of flags of which one may be given."""
    groups = parsers.build(command)._mutually_exclusive_groups  # noqa: SLF001  # argparse tells it in no other way
    return [
        Exclusive(flags=[_spelt(each) for each in group._group_actions], required=group.required)  # noqa: SLF001  # the same
        for group in groups
    ]


def _spelt(action: argparse.Action) -> str:
    return action.option_strings[-1] if action.option_strings else str(action.metavar)


def _actions(command: Command) -> list[argparse.Action]:
    every = parsers.build(command)._actions  # noqa: SLF001  # argparse offers no other way to list what it knows
    return [each for each in every if not isinstance(each, argparse._HelpAction)]  # noqa: SLF001  # the same


def _is_everywhere(action: argparse.Action) -> bool:
    return not set(EVERYWHERE).isdisjoint(action.option_strings)


def _argument(action: argparse.Action) -> Argument:
    return Argument(
        name=str(action.metavar or action.dest),
        type=_type(action),
        required=action.nargs not in ("?", "*"),
        help=action.help or "",
        choices=_choices(action),
        many=action.nargs in ("*", "+"),
    )


def _flag(action: argparse.Action) -> Flag:
    boolean = action.nargs == 0
    default = action.default
    return Flag(
        flags=list(action.option_strings),
        type="boolean" if boolean else _type(action),
        help=action.help or "",
        takes="" if boolean else str(action.metavar or action.dest).upper(),
        default=default if isinstance(default, str | int | float) and default != "" and not boolean else None,
        choices=_choices(action),
        required=action.required,
        repeatable=isinstance(action, argparse._AppendAction) or action.nargs in ("*", "+"),  # noqa: SLF001  # the same
    )


def _type(action: argparse.Action) -> Type:
    """By what its reader gives: `int`, or a function of ours that says what it returns."""
    reader = action.type
    annotations: dict[str, object] = getattr(reader, "__annotations__", {})
    return _TYPES.get(reader, _TYPES.get(annotations.get("return"), "string"))


def _choices(action: argparse.Action) -> list[str]:
    return [str(each) for each in action.choices or ()]
