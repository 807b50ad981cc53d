"""How a verb's arguments are read, and how `--help` looks."""

from __future__ import annotations

import argparse
import importlib
import os

from lab.core.errors import BadInput, nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import NoReturn

    from lab.cli.commands import Command

_PIPED_COLUMNS, _NARROWEST = 100, 40
_MOST_S = 1e9
_SEEDS = 2**63
_HELP = ("-h", "--help")
EXIT_CODES = (
    (0, "done"),
    (1, "the run or the check failed"),
    (2, "usage or bad input; nothing was written"),
    (3, "busy: somebody alive holds it; try again later"),
    (4, "corrupt data; the file is named and was not touched"),
    (5, "the surroundings lack something: no lab here, a full disk, a missing program"),
    (9, "drift: a paper does not say any more what its runs say"),
    (130, "interrupted"),
)


class Help(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the terminal, asked for without loading shutil: argparse makes one of these for every flag."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_width())


def _width() -> int:
    try:
        columns = int(os.environ.get("COLUMNS", "") or os.get_terminal_size().columns)
    except (ValueError, OSError):
        columns = _PIPED_COLUMNS
    return max(columns - 2, _NARROWEST)


class _Asked(argparse._HelpAction):  # noqa: SLF001  # what lists flags knows help by this class
    """`--help`; behind the action of a verb that does several things, the help of that one."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, *_: object) -> None:
        chosen = getattr(namespace, "action", None)
        if chosen and isinstance(parser, Parser) and parser.narrow is not None:
            parser.narrow(parser, chosen)
        parser.print_help()
        parser.exit()


class Parser(argparse.ArgumentParser):
    """argparse, but a usage error is an error like any other: worded, coded, and JSON under `--json`."""

    narrow: Callable[[argparse.ArgumentParser, str], None] | None = None  # leaves what one action takes

    def read(self, argv: list[str]) -> argparse.Namespace:
        """Parse, wherever the flags stand."""
        return self.parse_args(self._ordered(argv))

    def _ordered(self, argv: list[str]) -> list[str]:
        """The same words with the flags first.

        argparse takes a word that may be left out for left out once a flag comes: `report --json ID` would be
        "unrecognized arguments: ID". Verbs without such a word, or with a flag of several, are read as they are.
        """
        kinds = {action.nargs for action in self._get_optional_actions()}
        if not kinds <= {None, 0} or all(action.nargs is None for action in self._get_positional_actions()):
            return argv
        flags: list[str] = []
        words: list[str] = []
        helps: list[str] = []  # read last: by then it is known what the help is wanted of
        rest = iter(argv)
        for word in rest:
            if word == "--":
                words += [*helps, word, *rest]
                helps = []
            elif not word.startswith("-") or len(word) == 1 or self._negative_number_matcher.match(word):
                words.append(word)
            elif word in _HELP:
                helps.append(word)
            else:
                flags.append(word)
                action = self._option_string_actions.get(word)
                if action is None and word[1] != "-":
                    return argv  # letters written together: argparse knows which of them takes the next word
                if action is not None and action.nargs is None:
                    flags += [each for each in (next(rest, None),) if each is not None]
        return [*flags, *words, *helps]

    def error(self, message: str) -> NoReturn:
        fix = f"{self.format_usage().strip()}\n  more: {self.prog} --help"
        _, unknown, words = message.partition("unrecognized arguments: ")
        flag = words.split(" ", maxsplit=1)[0].split("=")[0]
        close = nearest(flag, tuple(self._option_string_actions)) if unknown and flag.startswith("-") else ""
        if close:
            fix = f"did you mean {close}?\n  {fix}"
        raise BadInput(message, fix=fix)


def build(command: Command) -> Parser:
    """The parser of one verb. Its docstring is its help."""
    module = load(command)
    summary, _, details = (module.__doc__ or "").strip().partition("\n\n")
    example = getattr(module, "EXAMPLE", "")
    parser = Parser(
        prog=f"labctl {command.name}",
        description=f"{summary}\n\n{details}" if details else summary,
        epilog=f"example:\n{_indented(example)}" if example else None,
        formatter_class=Help,
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument(*_HELP, action=_Asked, help="show this help message and exit")
    parser.narrow = getattr(module, "narrow", None)
    module.arguments(parser)
    shared = parser.add_argument_group("everywhere")
    shared.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    shared.add_argument("-q", "--quiet", action="store_true", help="print results and errors, no narration")
    shared.add_argument("--data-root", default="", metavar="DIR", help="the lab (else $LAB_DATA_ROOT, ./lab-data)")
    shared.add_argument("--debug", action="store_true", help="show the stack trace of an unexpected failure")
    return parser


def load(command: Command) -> ModuleType:
    """The module of a verb."""
    return importlib.import_module(command.module)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.strip().splitlines())


# -- numbers, as flags take them ---------------------------------------------------------------------------------------


def count(text: str) -> int:
    """A whole number, 1 or more."""
    return _whole(text, least=1)


def number(text: str) -> int:
    """A whole number, 0 or more."""
    return _whole(text, least=0)


def seed(text: str) -> int:
    """A whole number that every library takes for a seed."""
    if not (text.isascii() and text.isdecimal() and int(text) < _SEEDS):
        message = f"must be a whole number from 0 to 2**63-1, not {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def seconds(text: str) -> float:
    """A number of seconds, 0 or more."""
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < _MOST_S:
        message = f"must be a number of seconds, 0 or more, not {text!r}"
        raise argparse.ArgumentTypeError(message)
    return found


def _whole(text: str, *, least: int) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) >= least):
        message = f"must be a whole number, {least} or more, not {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(text)
