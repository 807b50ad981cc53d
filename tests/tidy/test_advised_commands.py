"""Every command that lab/ tells somebody to type is one that labctl takes.

They are looked for by pattern in the texts of the code, f-strings included: `labctl VERB`, then the flags, the values
and the placeholders behind it, up to the first word of prose. One that stops short of what its verb wants is a mention.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.cli import commands, parser
from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

LAB = Path(__file__).parents[2] / "lab"
VERBS = {each.name: each for each in commands.COMMANDS}
GIVEN = {("lab/scheduler/loop/trying.py", "try")}  # what stands in its hole is words of the command
SHORT = ("the following arguments are required", "expected one argument")
HOLE = "\x00"  # what an f-string fills in
END = ",.;:)]}\"'`"
COMMAND = re.compile(r"\blabctl (?:--data-root \S+ )?([a-z][a-z-]*[a-z])((?: [^\s]+)*)")
METAVAR = re.compile(r"[A-Z][A-Z0-9_/.-]*")


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The strings of a module, with a mark in the place of what is filled in. What lies within an f-string is its."""
    inside: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inside |= {id(each) for each in ast.walk(node) if each is not node}
            if id(node) not in inside:
                parts = (each.value if isinstance(each, ast.Constant) else HOLE for each in node.values)
                yield node.lineno, "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.lineno, node.value


def typed(made: parser.Parser, rest: str) -> list[str]:
    """The words of a command as far as it goes: prose may follow it."""
    choices = {str(each) for action in made._get_positional_actions() for each in action.choices or ()}
    words: list[str] = []
    waiting: argparse.Action | None = None
    for raw in re.findall(r"'[^']*'|\S+", rest):
        word = raw.rstrip(END)
        if waiting is not None:
            words.append(filled(word, waiting))
            waiting = None
        elif word.startswith("-"):
            words.append(word)
            action = made._option_string_actions.get(word)
            waiting = action if action is not None and action.nargs is None else None
        elif choices and not words and word not in choices:
            break  # which of its actions is meant is not said here
        elif HOLE in word or METAVAR.fullmatch(word) or word in choices or word.isdecimal():
            words.append(filled(word, None))
        else:
            break
        if word != raw:
            break
    return words


def filled(word: str, action: argparse.Action | None) -> str:
    """A word without its placeholders."""
    if not (HOLE in word or METAVAR.fullmatch(word)):
        return word
    if action is not None and action.choices:
        return str(next(iter(action.choices)))
    return "7" if action is not None and action.type is not None else "alpha"


def advised() -> Iterator[tuple[str, str, list[str]]]:
    """Where it stands, its verb, and the words behind that."""
    made = {name: parser.build(command) for name, command in VERBS.items()}
    for path in sorted(LAB.rglob("*.py")):
        where = str(path.relative_to(LAB.parent))
        for number, text in texts(ast.parse(path.read_text(encoding="utf-8"))):
            for verb, rest in COMMAND.findall(text):
                if verb in VERBS and (where, verb) not in GIVEN and (words := typed(made[verb], rest)):
                    yield f"{where}:{number}", verb, words


def refusal(verb: str, words: list[str]) -> str:
    """Why labctl would not take it; empty where it would."""
    try:
        parser.build(VERBS[verb]).read(words)
    except BadInput as error:
        return "" if any(each in error.what for each in SHORT) else error.what
    except SystemExit:  # it is asked for help
        return ""
    return ""


def test_every_command_that_is_advised_is_one_that_labctl_takes(capsys: pytest.CaptureFixture[str]) -> None:
    found = list(advised())
    assert len(found) > 500
    refused = [
        f"{where}: labctl {verb} {words}: {why}" for where, verb, words in found if (why := refusal(verb, words))
    ]
    capsys.readouterr()  # of what asks for help
    assert not refused, "\n".join(refused)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the next labctl prune \x00 settles it", ["alpha"]),
        ("labctl prune --experiment \x00 --keep N settles it", ["--experiment", "alpha", "--keep", "7"]),
        ("type: labctl lease break \x00 --generation \x00, then wait", ["break", "alpha", "--generation", "7"]),
        ("labctl recover ends the torn line", []),
    ],
)
def test_a_command_ends_where_prose_begins(text: str, words: list[str]) -> None:
    ((verb, rest),) = COMMAND.findall(text)
    assert typed(parser.build(VERBS[verb]), rest) == words
    assert bool(refusal(verb, words)) == (words == ["alpha"])
