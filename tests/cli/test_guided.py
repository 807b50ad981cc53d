"""guided: at a real terminal, and through approvals files where there is none."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.cli.labs import SHIM, TRACE, process, runs_of
from tests.cli.test_burst import a_sweep, held, lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.store.root import Root

pytestmark = pytest.mark.timeout(60)
ASKS = "[q]uit? "


class Person:
    """Somebody at a terminal who types and reads."""

    def __init__(self, root: Root, *words: str) -> None:
        self._ours, theirs = pty.openpty()
        environ = {**os.environ, "LAB_DATA_ROOT": root.layout.root}
        command = [sys.executable, SHIM, "guided", "sweep", *words]
        self.process = subprocess.Popen(
            command, env=environ, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self.seen = ""

    def reads(self, text: str, for_s: float = 20.0) -> str:
        """Wait until the terminal shows this; what was shown until then is not looked at again."""
        until_s = time.monotonic() + for_s
        while text not in self.seen:
            assert time.monotonic() < until_s, f"never saw {text!r} in {self.seen!r}"
            if select.select([self._ours], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self._ours, 65_536).decode(errors="replace")
                except OSError:
                    assert text in self.seen, f"never saw {text!r} in {self.seen!r}"
        shown, _, self.seen = self.seen.partition(text)
        return shown

    def types(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def ends(self) -> int:
        """Read to the end."""
        until_s = time.monotonic() + 20
        while self.process.poll() is None:
            assert time.monotonic() < until_s, self.seen
            if select.select([self._ours], [], [], 0.05)[0]:
                try:
                    self.seen += os.read(self._ours, 65_536).decode(errors="replace")
                except OSError:
                    time.sleep(0.01)
        with suppress(OSError):  # its last words may have come after our last look; then the terminal has ended too
            while said := os.read(self._ours, 65_536):
                self.seen += said.decode(errors="replace")
        assert TRACE not in self.seen
        return int(self.process.returncode)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return a_sweep(tmp_path / "lab", "strategy: random\n")


@pytest.fixture
def person(root: Root) -> Iterator[Person]:
    found = Person(root, "-n", "3")
    yield found
    found.close()


def test_another_terminal_sees_what_is_asked_at_this_one(root: Root, person: Person) -> None:
    person.reads(ASKS)
    (asked,) = process("approvals", "--json", root=root.layout.root).data["at_terminals"]
    assert (asked["experiment"], asked["place"], asked["of"]) == ("sweep", 1, 3)
    assert asked["pid"] == person.process.pid
    assert asked["params"].keys() == {"n", "x"}
    said = process("approvals", "sweep", root=root.layout.root).out
    assert "run 1 of 3" in said
    assert "it is answered there" in said
    person.types("q\n")
    assert person.ends() == 0
    assert process("approvals", root=root.layout.root).out == "Nothing waits\n"


def test_what_a_killed_guided_asked_waits_no_more(root: Root, person: Person) -> None:
    person.reads(ASKS)
    person.process.kill()
    person.process.wait()
    assert process("approvals", "--json", root=root.layout.root).data["at_terminals"] == []


def test_each_run_waits_for_a_word(root: Root, person: Person) -> None:
    shown = person.reads(ASKS)
    assert "run 1 of 3" in shown
    assert "x = " in shown
    assert runs_of(root, "sweep") == []
    person.types("w\n")
    assert "trial 0 by random" in person.reads(ASKS)
    person.types("a\n")
    person.reads(ASKS)
    assert len(lines(root)) == 1
    person.types("\n")
    person.reads(ASKS)
    person.types("q\n")
    assert person.ends() == 0
    assert len(lines(root)) == 2
    assert held(root) == []


def test_what_is_skipped_is_not_offered_again_and_the_rest_runs_by_itself(root: Root, person: Person) -> None:
    first = person.reads(ASKS)
    person.types("s\n")
    second = person.reads(ASKS)
    assert first.split("x = ")[1].split()[0] != second.split("x = ")[1].split()[0]
    person.types("r\n")
    assert person.ends() == 0
    assert len(lines(root)) == 3


def test_parameters_are_edited_and_a_slip_is_told(root: Root, person: Person) -> None:
    person.reads(ASKS)
    person.types("e x=99\n")
    assert "must be between" in person.reads(ASKS)
    person.types("e\n")
    assert "an edit names" in person.reads(ASKS)
    person.types("e x=1.5 n=2\n")
    person.reads(ASKS)
    person.types("q\n")
    person.ends()
    (line,) = lines(root)
    assert line["params"] == {"x": 1.5, "n": 2}
    assert line["origin"]["kind"] == "person"  # type: ignore[index]


def test_the_end_of_the_input_means_stop(root: Root, person: Person) -> None:
    person.reads(ASKS)
    person.types("\x04")
    assert person.ends() == 0
    assert "the input ended" in person.seen
    assert runs_of(root, "sweep") == []


def test_ctrl_c_at_the_question_ends_it(root: Root, person: Person) -> None:
    person.reads(ASKS)
    person.process.send_signal(signal.SIGINT)
    assert person.ends() == 130
    assert runs_of(root, "sweep") == []


def test_with_no_terminal_it_waits_for_a_word_in_a_file(root: Root) -> None:
    environ = {**os.environ, "LAB_DATA_ROOT": root.layout.root}
    command = [sys.executable, SHIM, "guided", "sweep", "-n", "2", "--json"]
    silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environ, text=True, **silent) as guided:  # type: ignore[call-overload]
        _wait_for_proposal(root, "sweep-1")
        assert runs_of(root, "sweep") == []
        assert process("approve", "sweep-1", root=root.layout.root).code == 0
        _wait_for_proposal(root, "sweep-2")
        assert process("reject", "sweep-2", "--why", "too far out", root=root.layout.root).code == 0
        _wait_for_proposal(root, "sweep-3")
        assert process("approve", "sweep-3", root=root.layout.root).code == 0
        out, err = guided.communicate(timeout=20)
    assert guided.returncode == 0, (out, err)
    assert [line["origin"]["strategy"] for line in lines(root)] == ["random", "random"]  # type: ignore[index]
    assert '"skipped": 1' in out
    waited = err.splitlines()
    assert [line.partition(" waits for a person's word")[0] for line in waited] == ["sweep-1", "sweep-2", "sweep-3"]
    assert "until it expires at 2" in waited[0]
    assert "labctl approve sweep-1" in waited[0]
    assert "--wait 0" in waited[0]


def test_one_that_is_not_to_wait_says_at_once_what_waits(root: Root) -> None:
    said = process("guided", "sweep", "-n", "2", "--wait", "0", "--json", root=root.layout.root)
    assert (said.code, said.err) == (3, "")
    assert "labctl approve sweep-1" in str(said.error["fix"])


def test_when_nobody_says_a_word_nothing_runs(root: Root) -> None:
    said = process("guided", "sweep", "-n", "2", "--wait", "0.1", root=root.layout.root)
    assert said.code == 3
    assert "labctl approve sweep-1" in said.err
    assert runs_of(root, "sweep") == []
    # The word may come later: the crank runs what was approved, with the origin that it was proposed with.
    assert process("approve", "sweep-1", root=root.layout.root).code == 0
    assert process("run-once", "--experiment", "sweep", "--now", root=root.layout.root).code == 0
    assert [line["origin"]["strategy"] for line in lines(root)] == ["random"]  # type: ignore[index]


def _wait_for_proposal(root: Root, name: str) -> None:
    until_s = time.monotonic() + 20
    while not os.path.exists(root.layout.proposal(name)):
        assert time.monotonic() < until_s, f"{name} was never proposed"
        time.sleep(0.02)


def test_what_somebody_else_has_run_meanwhile_is_not_run_again(root: Root, person: Person) -> None:
    shown = person.reads(ASKS)
    assert process("burst", "sweep", "-n", "2", root=root.layout.root).code == 0
    person.types("a\n")
    person.reads("somebody else has tried")
    assert person.reads(ASKS).split("x = ")[1].split()[0] != shown.split("x = ")[1].split()[0]
    person.types("a\n")
    person.reads(ASKS)
    person.types("q\n")
    person.ends()
    params = [str(line["params"]) for line in lines(root)]
    assert len(params) == len(set(params)) == 3


def test_its_last_words_know_the_best_that_another_found_meanwhile(root: Root, person: Person) -> None:
    person.reads(ASKS)
    made = process("burst", "sweep", "--strategy", "random", "-n", "3", "--json", root=root.layout.root)
    best = made.data["best"]["value"]
    person.types("s\n")
    person.reads(ASKS)
    person.types("q\n")
    assert person.ends() == 0
    assert f"best now, by another, {best!r}" in person.seen


def test_an_edit_at_the_terminal_is_not_lost_to_an_approved_run_that_waits(root: Root, person: Person) -> None:
    person.reads(ASKS)
    given = os.path.join(root.layout.root, "..", "params.json")
    with open(given, "w", encoding="utf-8") as file:
        file.write('{"x": 1.0, "n": 1}')
    assert process("propose", "sweep", "--params", given, root=root.layout.root).code == 0
    assert process("approve", "sweep-1", root=root.layout.root).code == 0
    person.types("e x=1.5 n=2\n")
    person.reads("sweep-1 was approved elsewhere")
    person.reads(ASKS)
    person.types("q\n")
    person.ends()
    assert [line["params"] for line in lines(root)] == [{"x": 1.5, "n": 2}, {"x": 1.0, "n": 1}]


def test_when_everything_was_skipped_nothing_runs(tmp_path: Path) -> None:
    root = a_sweep(
        tmp_path / "lab", "strategy: random\n", space="search_space: {x: {choices: [1, 2]}, n: {value: 1}}\n"
    )
    person = Person(root, "-n", "3")
    try:
        for _ in range(2):
            person.reads(ASKS)
            person.types("s\n")
        assert person.ends() == 0
        assert "or was skipped" in person.seen
        assert runs_of(root, "sweep") == []
    finally:
        person.close()


def test_an_approved_candidate_runs_in_the_tier_that_it_was_proposed_for(tmp_path: Path) -> None:
    more = "strategy: random\nfidelity_promotion_rule: asha\nreduction_factor: 2\nunstopped_share: 0\n"
    root = a_sweep(tmp_path / "lab", more)
    assert process("burst", "sweep", "-n", "2", root=root.layout.root).code == 0
    for number in (1, 2):
        said = process("guided", "sweep", "-n", "1", "--wait", "0", root=root.layout.root)
        assert said.code == 3
        assert process("approve", f"sweep-{number}", root=root.layout.root).code == 0
        assert process("run-once", "--experiment", "sweep", "--now", root=root.layout.root).code == 0
    assert [line["tier"] for line in lines(root)] == ["proxy", "proxy", "final", "proxy"]


def test_it_waits_between_two_runs_when_asked_to(root: Root) -> None:
    person = Person(root, "-n", "2", "--pause", "1.5")
    try:
        person.reads(ASKS)
        person.types("r\n")
        begun_s = time.monotonic()
        assert person.ends() == 0
        assert time.monotonic() - begun_s > 1.4
    finally:
        person.close()
