"""What is judged of a block without running it: each notation by its own reader, each `labctl` by its own parser."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import tomllib
from typing import TYPE_CHECKING, Any

import yaml

from lab.cli import commands as verbs
from lab.cli import parser
from lab.cli.main import _split
from lab.core import engines_text as engines
from lab.core import space, spec
from lab.research import project
from lab.scheduler.engines import unfit
from tests.pages.merged import merged
from tests.pages.page import Block, commands

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LEAST: dict[str, Any] = {"id": "page", "metric": "value", "metric_direction": "minimize"}
LEAST_OF: dict[str, dict[str, Any]] = {  # of the executors that have a part of the SPEC for themselves
    "tinker": {"executor_command": "recipe.py", "tinker": {"base_model": "tiny", "steps": 4, "chunk_steps": 2}},
    "lm_eval": {"lm_eval": {"model": "tiny", "tasks": ["sums"], "metric": "sums/acc,none"}},
}
RUNS = ("executor", "executor_command", "validation_command")
STOPS = {";", "&&", "||", "|", "&", "(", ")", "{", "}", "then", "do"}


def judge(block: Block) -> None:
    """Refuse a block whose notation is broken, or that the lab itself would refuse."""
    readers: dict[str, Callable[[Block], object]] = {
        "text": judge_text, "sh": judge_sh, "yaml": judge_yaml, "json": judge_json, "jsonl": judge_lines,
        "toml": lambda each: tomllib.loads(each.text), "python": lambda each: ast.parse(each.text),
    }  # fmt: skip
    readers[block.kind](block)


def judge_text(block: Block) -> None:
    for line in block.lines:
        assert not line.startswith(("$ ", "labctl ")), f"{block.where}: a command in ```text: {line}"


def judge_sh(block: Block) -> None:
    """What is typed judges itself. What is not is parsed: no flag is made up."""
    if block.unrun:
        for number, line in commands(block):
            for words in labctl_lines(line):
                parse_line(words, f"{block.page}:{number}")


def judge_lines(block: Block) -> None:
    for line in block.lines:
        json.loads(line)


def judge_json(block: Block) -> None:
    value = json.loads(block.text)
    if os.path.basename(block.name).startswith("search_space"):
        space.parse(value, where=block.where)


def judge_yaml(block: Block) -> None:
    """A file by its name; anything without one is part of a SPEC, and is put over the least one."""
    value = yaml.safe_load(block.text)
    match os.path.basename(block.name):
        case "engines.yaml":
            engines.parse(block.text.encode(), block.where, unfit)
        case "project.yaml":
            project.parse(yaml.safe_dump({"mode": "A", **value}).encode(), block.where)
        case name if name.startswith("search_space"):
            space.parse(value, where=block.where)
        case name if not name or "SPEC" in name or "executor_command" in value:
            spec.parse(whole(value), where=block.where)


def whole(value: dict[str, Any]) -> dict[str, Any]:
    """A fragment of a SPEC as a SPEC."""
    for executor, least in LEAST_OF.items():
        if executor in value:
            found: dict[str, Any] = merged({**LEAST, "executor": executor, **least}, value)
            return found
    runs = {} if any(name in value for name in RUNS) else {"executor_command": "true"}
    return {**LEAST, **runs, **value}


def labctl_lines(command: str) -> Iterator[list[str]]:
    """The words behind each `labctl` of a shell command, where it stands in the place of a program."""
    lexer = shlex.shlex(command.replace("\\\n", " "), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word not in STOPS:
            words.append(word)
            continue
        begin = next((number for number, each in enumerate(words) if os.path.basename(each) == "labctl"), None)
        if begin is not None and all(re.match(r"[\w~/.-]+$|\w+=", each) for each in words[:begin]):
            behind = words[begin + 1 :]
            cut = next((number for number, each in enumerate(behind) if re.match(r"\d*[<>]", each)), len(behind))
            yield behind[:cut]
        words = []


def parse_line(words: list[str], where: str) -> None:
    """Read a command line with the parser that would, and run nothing."""
    early, word, rest = _split(words)
    command = verbs.find(word)
    assert command is not None, f"{where}: labctl has no verb {word}"
    try:
        parser.build(command).read([*early, *rest])
    except SystemExit as done:
        assert not done.code, where  # noqa: PT017  # the help, which argparse prints itself
