"""How words are read: what every help shows works, and a flag may stand wherever one likes."""

from __future__ import annotations

import shlex

import pytest

from lab.cli import commands, parser
from lab.cli.commands import COMMANDS, Command
from lab.core.errors import BadInput


def examples(command: Command) -> list[list[str]]:
    """The command lines of labctl in the example of a verb, without what a shell does around them."""
    found = []
    for line in getattr(parser.load(command), "EXAMPLE", "").splitlines():
        reader = shlex.shlex(line, posix=True, punctuation_chars=True)
        reader.whitespace_split = True
        words: list[str] = []
        for word in [*reader, ";"]:
            if not set(word) <= set("();<>|&"):
                words.append(word)
                continue
            if "labctl" in words:
                found.append(words[words.index("labctl") + 1 :])
            words = ["to"] if set(word) <= set("<>") else []
    return found


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: each.name)
def test_what_a_help_shows_is_understood(command: Command) -> None:
    lines = examples(command)
    assert lines
    for verb, *rest in lines:
        meant = commands.find(verb)
        assert meant is not None
        parser.build(meant).read(rest)


@pytest.mark.parametrize(
    "words",
    [
        "autoresearch report --json ID",
        "autoresearch export --format jsonl ID",
        "autoresearch --quiet finalize --dry-run ID",
        "autoresearch import --measure 'python3 train.py' ID",
        "metrics parse --metric val_bpb ID --json",
        "steer ID --for 2 'words of somebody'",
        "steer --for 2 -- ID '-not a flag'",
        "list --json ID",
        "doctor --agents codex claude --live",
        "verify ID --json other",
    ],
)
def test_flags_may_stand_before_the_words(words: str) -> None:
    verb, *rest = shlex.split(words)
    command = commands.find(verb)
    assert command is not None
    read = vars(parser.build(command).read(rest))
    assert "ID" in read.values() or ["ID", "other"] in read.values() or verb == "doctor"


def test_letters_written_together_and_numbers_below_0_are_read_as_ever() -> None:
    command = commands.find("autoresearch")
    assert command is not None
    built = parser.build(command)
    assert built.read(["export", "ID", "-qo", "FILE"]).output == "FILE"
    assert built.read(["export", "-3", "-oFILE"]).target == "-3"
    with pytest.raises(BadInput, match="unrecognized arguments: --nothing"):
        built.read(["export", "--nothing", "ID"])
