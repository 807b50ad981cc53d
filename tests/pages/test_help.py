"""The examples of `--help`: its verb understands each, and those that want only a lab with runs are typed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from lab.cli import commands, parser
from tests.pages.judged import labctl_lines, parse_line
from tests.pages.page import BadPage, Block
from tests.pages.typed import HERE, type_page

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = [
    (command.name, line)
    for command in commands.COMMANDS
    for line in getattr(parser.load(command), "EXAMPLE", "").strip().splitlines()
]
# What wants more than such a lab has: a terminal, a person, a service, another machine, hours of runs.
NOT_TYPED = frozenset({
    "import-root", "import", "autoresearch", "burst", "guided", "swarm", "try", "mutate", "research", "paper", "tinker",
    "watch", "evals", "metrics", "serve", "complete", "set-fidelity", "approve", "reject", "cancel", "steer",
    "dispatch-claim", "dispatch-work", "dispatch-renew", "dispatch-complete", "dispatch-ingest", "dispatch-agent-next",
    "dispatch-agent-submit", "dispatch-pack", "dispatch-unpack", "exec", "worker", "courier", "doctor",
})  # fmt: skip
# And in the other verbs: a tier that it is not in, a file of somebody, what follows for ever.
LEFT = re.compile(
    r"my-spec\.yaml|engines\.yaml|search_space\.json|--follow|--executor-class gpu|python3 train\.py|--channel"
    r"|--tier validation|--params -|lease break|--restore runs-|mcp serve|my-skill|archive|RUN-20261121-094500"
)
HERE_IS = {"RUN-20261121-093000-000000-scout": "$RUN", "export LAB_DATA_ROOT=~/lab": "true"}


@pytest.mark.parametrize("command", commands.COMMANDS, ids=lambda command: command.name)
def test_an_example_of_a_verb_is_understood_by_it(command: commands.Command) -> None:
    lines = [line for name, line in EXAMPLES if name == command.name]
    found = [words for line in lines for words in labctl_lines(line)]
    assert found, f"{command.name} has no example"
    for words in found:
        parse_line(words, f"labctl {command.name} --help")


@pytest.mark.heavy
@pytest.mark.timeout(240)
def test_examples_that_want_only_a_lab_with_runs_can_be_typed(tmp_path: Path) -> None:
    lines = [line for name, line in EXAMPLES if name not in NOT_TYPED and not LEFT.search(line)]
    assert len(lines) > len(NOT_TYPED)
    block = Block("labctl VERB --help", 2, ("sh",), tuple(lines))
    problem = ""
    try:
        type_page([block], tmp_path, frame=str(HERE / "frames/help.sh"), here=HERE_IS, limit_s=180)
    except BadPage as refused:
        problem = str(refused)
    if problem:
        pytest.fail(problem, pytrace=False)
