"""What every agent's adapter promises, as tests. Needs pytest, which whoever writes a plug-in has.

A plug-in's own tests are three lines:

    class TestMine(AgentContract):
        agent = Mine()

and one more with what the program really printed: `answers = ((stdout, "the answer"),)`.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

import msgspec
import pytest

from lab.core.errors import BadInput
from lab.llm.agents.adapter import ASK, EDIT, Start, Task

if TYPE_CHECKING:
    from lab.llm.agents.adapter import Adapter

HOSTILE: dict[str, bytes] = {
    "not UTF-8": b"\xff\xfe{",
    "deep": b'{"type":"result","usage":' + b"[" * 100_000,
    "a torn line": b'{"type":"text","part":{"text":"half an',
    "other types": b'{"type":7,"part":[],"usage":{"input_tokens":"many"},"result":{},"response":3,"item":null}',
    "an array": b"[1, 2]\n",
    "a million lines": b"{}\n" * 10_000,
}
_QUESTION = "is there a better learning rate?"
_LONG = "x" * (1 << 20)
_ARGUMENT_BYTES = 131_072  # what the system takes as one argument, its last byte included


class AgentContract:
    """An adapter, held to what the lab relies on."""

    agent: ClassVar[Adapter]
    answers: ClassVar[tuple[tuple[bytes, str], ...]] = ()
    modes: ClassVar[tuple[str, ...]] = (ASK, EDIT)
    shows_prompt = False  # whether its program takes the prompt in no other way than as an argument

    def task(self, mode: str, prompt: str = _QUESTION) -> Task:
        """A task such as the lab gives."""
        return Task(prompt=prompt, mode=mode, folder="/workspace", own="/own", model="tiny", effort="low")

    def started(self, mode: str, prompt: str = _QUESTION) -> Start:
        """How the program is started for such a task. An agent that starts none has no `modes`."""
        start = self.agent.start(self.task(mode, prompt))
        assert start is not None
        return start

    def test_it_says_which_program_and_which_variables_it_needs(self) -> None:
        assert isinstance(self.agent.program, str)
        assert all(re.fullmatch(r"[A-Z][A-Z0-9_]*", name) for name in self.agent.passed)

    def test_a_program_is_started_by_a_list_of_words(self) -> None:
        for mode in self.modes:
            start = self.started(mode)
            assert start.argv[0] == self.agent.program
            assert not any("\0" in word for word in start.argv)
            assert all("/" not in name for name in (*start.files, *start.reads))

    def test_the_same_task_is_started_in_the_same_way(self) -> None:
        for mode in self.modes:
            assert self.started(mode) == self.started(mode)

    def test_the_prompt_reaches_the_program_and_nobody_else(self) -> None:
        for mode in self.modes:
            start = self.started(mode)
            assert _QUESTION in start.stdin + "".join(start.files.values()) + "".join(start.argv)
            assert self.shows_prompt or _QUESTION not in "".join((*start.argv, *start.environ.values()))

    def test_a_prompt_of_a_megabyte_is_handed_over_or_refused_in_words(self) -> None:
        for mode in self.modes:
            with suppress(BadInput):
                self._handed_over(self.started(mode, _LONG))

    def _handed_over(self, start: Start) -> None:
        assert all(len(word.encode()) < _ARGUMENT_BYTES for word in (*start.argv, *start.environ.values()))
        assert _LONG in start.stdin + "".join(start.files.values())

    def test_an_end_with_0_and_nothing_said_is_no_answer(self) -> None:
        found = self.agent.read(b"", b"", 0, {})
        assert not found.text
        assert found.problem
        assert found.what

    @pytest.mark.parametrize("code", [1, 2, 137, None])
    def test_a_program_that_failed_has_not_answered(self, code: int | None) -> None:
        for stdout in (b"", *(each for each, _ in self.answers)):
            found = self.agent.read(stdout, b"it broke", code, {})
            assert (found.text, bool(found.problem), bool(found.what)) == ("", True, True)

    @pytest.mark.parametrize("name", HOSTILE)
    def test_whatever_it_printed_an_answer_or_a_problem_comes(self, name: str) -> None:
        for code in (0, 1, None):
            found = self.agent.read(HOSTILE[name], HOSTILE[name], code, {})
            assert bool(found.text) != bool(found.problem)
            msgspec.json.encode(found)

    def test_what_it_really_printed_is_understood(self) -> None:
        for stdout, text in self.answers:
            found = self.agent.read(stdout, b"", 0, {})
            assert (found.text, found.problem) == (text, "")
