"""`labctl watch` on a real terminal: what is to be seen, what keys do, and how the terminal is left."""

from __future__ import annotations

import hashlib
import re
import shutil
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.cli.watching import experiment_frame, looking
from lab.core.candidate import BASELINE, IMPROVE, Candidate
from lab.core.proposal import RUN, Proposal
from lab.core.view import AWAITING
from lab.projections.picture import whole
from lab.scheduler import cycle, decisions, refresh
from lab.scheduler.control import approvals
from lab.store import ledger
from tests.cli.labs import SHIM, TRACE, a_busy_lab, a_lab, me, one_run
from tests.cli.terminals import Terminal
from tests.projections import givens
from tests.projections import subjects as make
from tests.scheduler.labs import ended

if TYPE_CHECKING:
    from lab.store.root import Root

LATER = "2999-01-01T00:00:00.000000Z"  # the clock of these labs stands in January, that of the verb does not
COLOUR = re.compile(rb"\x1b\[(?:\d+;)*(?:3[0-7]|9[0-7])m")


@pytest.fixture
def root(place: Path) -> Root:
    return a_busy_lab(place)


def asked(root: Root, reason: str = "try it") -> str:
    wanted = Proposal(kind=RUN, experiment="alpha", params={"lr": 0.5}, reason=reason, expires_at=LATER)
    return approvals.ask(root, wanted).proposal_id


def events(root: Root) -> list[tuple[str, str, str]]:
    found = [entry.line.event for entry in ledger.entries(root) if entry.line is not None]
    return [(event.type, event.actor, event.reason) for event in found]


def test_it_shows_an_experiment_and_what_happens_to_it_while_one_looks(root: Root) -> None:
    with Terminal("alpha", columns=120) as terminal:
        seen = terminal.until("ended, the last of 3")
        assert "alpha  active  tier proxy  3 of 1,000 runs  1 failed  best loss 0.25" in seen
        assert "left: 997 runs" in seen
        assert "nothing is under way" in seen
        running = cycle.begin(root, "alpha", owner=me())
        run = running.manifest.run_id
        log = Path(root.layout.run("alpha", run), "stdout.log")
        log.write_text("step 1\nstep 2\n")
        terminal.until("1 under way")
        terminal.until(f"log of {run}\nstep 1\nstep 2\n")
        assert any(run in line and line.endswith("step 2") for line in terminal.lines)
        with log.open("a") as file:
            file.write("step 3\n")
            file.flush()
            terminal.until("step 2\nstep 3\n")
            file.write("\r 1%|#|\r 2%|##|")  # a progress bar, which ends no line
        terminal.until("step 3\n 2%|##|\n")
        assert any(run in line and line.endswith("2%|##|") for line in terminal.lines)
        cycle.finish(root, running, ended(0.0625))
        terminal.until("best loss 0.0625")
        terminal.until("ended, the last of 4")
        terminal.type("q")
        assert terminal.ended() == 0
        assert terminal.is_restored()
        assert TRACE.encode() not in terminal.raw


def test_the_whole_lab_is_shown_and_each_experiment_is_a_key_away(root: Root) -> None:
    with Terminal() as terminal:
        seen = terminal.until("experiments")
        assert re.search(r"^ +alpha +active +3 +loss 0\.25", seen, re.MULTILINE)
        one_run(root, "beta", 0.125)
        terminal.until("since you watch")
        assert "beta: RUN-" in terminal.until("ended: success, 0.125, new best")
        terminal.type("j\r")
        terminal.until(lambda it: it.lines[0].startswith("beta  active"))
        terminal.type("\t")
        terminal.until(lambda it: it.lines[0].startswith("alpha  active"))
        terminal.type("\x1b[Z")
        terminal.until(lambda it: it.lines[0].startswith("beta  active"))
        terminal.type("\x1b")
        terminal.until(lambda it: it.lines[0].startswith("the lab"))
        terminal.type("?")
        terminal.until("pause the experiment, or resume it when it is paused")
        terminal.type("?q")
        assert terminal.ended() == 0


@pytest.mark.parametrize(("number", "typed"), [(signal.SIGTERM, ""), (signal.SIGHUP, ""), (signal.SIGINT, "\x03")])
def test_however_it_is_ended_the_terminal_is_as_it_was(root: Root, number: int, typed: str) -> None:
    with Terminal("alpha") as terminal:
        terminal.until("nothing is under way")
        assert terminal.settings() != terminal.before
        if typed:
            terminal.type(typed)
        else:
            terminal.child.send_signal(number)
        assert terminal.ended() == 130
        assert terminal.is_restored()
        assert f"stopped watching by {signal.Signals(number).name}" in terminal.text


def test_two_signals_at_once_leave_it_as_it_was_too(root: Root) -> None:
    with Terminal("alpha") as terminal:
        terminal.until("nothing is under way")
        terminal.child.send_signal(signal.SIGSTOP)  # so that both wait for it, as while it reads a long table
        terminal.child.send_signal(signal.SIGINT)
        terminal.child.send_signal(signal.SIGTERM)
        terminal.child.send_signal(signal.SIGCONT)
        assert terminal.ended() in (130, -signal.SIGTERM, -signal.SIGINT)
        assert terminal.is_restored()


@pytest.mark.needs("bash")
def test_it_can_be_stopped_and_goes_on_as_any_program_of_a_shell(root: Root) -> None:
    with Terminal("--norc", "--noprofile", "--noediting", program="bash", env={"PS1": "ready> "}) as terminal:
        terminal.until("ready>")
        terminal.type(f"{sys.executable} {SHIM} watch alpha\n")
        terminal.until("nothing is under way")
        terminal.type("\x1a")
        terminal.until("Stopped")
        one_run(root, "alpha", 0.125)
        terminal.type("stty -a | tr ' ' '\\n' | grep -x -e icanon -e echo\n")
        terminal.until("icanon\necho\n")
        terminal.type("fg\n")
        terminal.until("best loss 0.125")
        terminal.type("q")
        terminal.until(lambda it: it.raw.endswith(b"ready> "))
        terminal.type("stty -a | tr ' ' '\\n' | grep -c -x -e icanon -e echo\n")
        terminal.until("\n2\n")
        terminal.type("exit\n")
        assert terminal.ended() == 0


def test_what_waits_is_approved_by_a_question_that_names_it(root: Root) -> None:
    name = asked(root)
    sha256 = hashlib.sha256(Path(root.layout.proposal(name)).read_bytes()).hexdigest()
    with Terminal("alpha", columns=120) as terminal:
        terminal.until(f"[{name}: a approve, r reject]")
        terminal.type("a")
        seen = terminal.until("why (may be empty)")
        assert f"approve {name}, sha256 {sha256[:12]}: asks for a run with given parameters: try it; lr=0.5" in seen
        terminal.type("good\ry")  # what was typed before the question was to be seen is no answer to it
        terminal.until('because "good"? y: yes, any other key: no')
        assert ("proposal_approved", "ann", "good") not in events(root)
        terminal.type("y")
        terminal.until(f"approved: {name}")
        assert ("proposal_approved", "ann", "good") in events(root)
        terminal.type("a")
        terminal.until("nothing waits for a word here")


def test_what_was_changed_after_it_was_shown_is_neither_approved_nor_rejected(root: Root) -> None:
    name = asked(root)
    path = Path(root.layout.proposal(name))
    with Terminal("alpha") as terminal:
        terminal.until(f"[{name}: a approve")
        for verb in ("a", "r"):
            terminal.type(f"{verb}because\r")
            terminal.until("any other key: no")
            before = path.read_text()
            path.write_text(before.replace("0.5", "0.9"))
            terminal.type("y")
            terminal.until("not done: ")
            path.write_text(before)
            terminal.until(f"[{name}: a approve")
        told = [kind for kind, _, _ in events(root)]
        assert not {"proposal_approved", "proposal_rejected"} & set(told)


def test_a_question_says_all_of_what_a_yes_would_cover_or_is_not_taken(root: Root) -> None:
    params: dict[str, object] = {f"p{number:02}": number for number in range(40)}
    wanted = Proposal(kind=RUN, experiment="alpha", params=params | {"z": "y" * 300 + "end"}, expires_at=LATER)
    name = approvals.ask(root, wanted).proposal_id
    with Terminal("alpha", columns=100, rows=24) as terminal:
        terminal.until(f"[{name}: a approve")
        terminal.type("a\r")
        seen = terminal.until("any other key: no").replace("\n", "")
        assert all(f"p{number:02}={number}," in seen for number in range(40))
        assert 'yyyend"' in seen
        terminal.type("n")
        terminal.resize(60, 9)
        terminal.type("a\r")
        terminal.until("any other key: no")
        terminal.type("y")
        assert "labctl approvals shows it" in " ".join(terminal.until("too small to show all of").split())
        assert "proposal_approved" not in {kind for kind, _, _ in events(root)}


def test_what_waits_for_a_word_is_resumed_by_the_key_that_a_page_has_for_it(root: Root) -> None:
    with root.section("alpha"):
        decisions._move(root, refresh.current(root, "alpha")[0], AWAITING, reason="new_best", actor="policy")
    with Terminal("alpha") as terminal:
        terminal.until(lambda it: it.lines[0].startswith("alpha  awaiting-human"))
        terminal.type("p")
        terminal.until("resume alpha: runs of it may start again")


def test_a_rejection_needs_a_reason_and_any_key_but_y_does_nothing(root: Root) -> None:
    name = asked(root)
    with Terminal("alpha") as terminal:
        terminal.until(f"[{name}: a approve")
        terminal.type("r\r")
        terminal.until("a rejection needs a reason")
        terminal.type("dear\x7fr")
        terminal.until("why: dear")
        terminal.type("\r")
        terminal.until('because "dear"?')
        terminal.type("\r")
        terminal.until(f"not done: reject {name}")
        terminal.type("rtoo dear\r")
        terminal.until('because "too dear"?')
        terminal.type("y")
        terminal.until(f"rejected: {name}")
        assert ("proposal_rejected", "ann", "too dear") in events(root)


def test_an_experiment_is_paused_and_resumed_by_the_same_key(root: Root) -> None:
    with Terminal("alpha") as terminal:
        terminal.until("nothing is under way")
        terminal.type("p")
        terminal.until("no more runs of it start")
        terminal.type("lunch\r")
        terminal.until("any other key: no")
        terminal.type("y")
        terminal.until("paused: alpha")
        terminal.until(lambda it: it.lines[0].startswith("alpha  paused"))
        terminal.type("p\r")
        terminal.until("resume alpha?")
        terminal.type("y")
        terminal.until("resumed: alpha")
        assert ("phase_changed", "ann", "lunch") in events(root)


@pytest.mark.parametrize(("columns", "rows"), [(40, 12), (20, 5), (7, 2), (200, 60)])
def test_it_fits_a_terminal_of_any_size(root: Root, columns: int, rows: int) -> None:
    asked(root, "word " * 80)
    with Terminal("alpha", columns=80, rows=24) as terminal:
        terminal.until("nothing is under way")
        terminal.resize(columns, rows)
        terminal.until(lambda it: it.lines[-1].startswith("q end"[:columns]) and it.lines[0].startswith("alpha"))
        assert len(terminal.lines) == rows
        terminal.type("q")
        assert terminal.ended() == 0
        assert TRACE.encode() not in terminal.raw


def test_nothing_that_a_run_or_a_person_wrote_speaks_to_the_terminal(place: Path) -> None:
    root = a_lab(place, "alpha")
    asked(root, "[bold]loud[/bold] \x1b]0;title\x07 \x1b[2J\u202eback")
    running = cycle.begin(root, "alpha", owner=me())
    log = Path(root.layout.run("alpha", running.manifest.run_id), "stdout.log")
    log.write_bytes(
        b"[red]red[/red] \x1b[31mred\x1b[0m\x1b]8;;http://x\x07link\x1b]8;;\x07\r\n\x9b2Jx\x00\x08\n\xff\xfe"
    )
    with Terminal("alpha", columns=120) as terminal:
        seen = terminal.until("[red]red[/red] redlink")
        assert "[bold]loud[/bold] back" in seen
        terminal.type("q")
        assert terminal.ended() == 0
        for hostile in (b"\x07", b"\x1b]", b"\x1b[2J\xe2", "\u202e".encode(), b"http://x", b"\x00", b"\x08"):
            assert hostile not in terminal.raw, hostile


def test_a_bundle_that_goes_away_is_said_and_ends_nothing(root: Root) -> None:
    with Terminal("alpha") as terminal:
        terminal.until("log of RUN-")
        for folder in Path(root.layout.runs("alpha")).iterdir():
            shutil.rmtree(folder)
        terminal.type("j")
        terminal.until("it is not there any more")
        shutil.rmtree(root.layout.experiment("alpha"))
        terminal.until("! there is no experiment alpha")
        terminal.type("q")
        assert terminal.ended() == 0


def test_without_colours_or_beyond_ascii_only_what_the_terminal_can_do_is_sent(root: Root) -> None:
    with Terminal("alpha", env={"NO_COLOR": "1"}) as terminal:
        terminal.until("nothing is under way")
        terminal.type("q")
        assert terminal.ended() == 0
        assert not COLOUR.search(terminal.raw)
    with Terminal("alpha", columns=50, env={"PYTHONIOENCODING": "ascii"}) as terminal:
        seen = terminal.until("nothing is under way")
        terminal.type("q")
        assert terminal.ended() == 0
        assert terminal.raw.isascii()
        assert "loss 0.25 -> 0.25 (minimize)" in seen
        assert "\n============\n############\n" in seen
        assert b"\\u2" not in terminal.raw


def test_a_terminal_that_can_do_no_more_gets_lines(root: Root) -> None:
    with Terminal("alpha", "--for", "0", env={"TERM": "dumb"}) as terminal:
        assert terminal.ended() == 0
        assert "alpha: watched from now on; 0 under way" in terminal.text
        assert b"\x1b" not in terminal.raw


def test_it_ends_by_itself_where_that_is_asked_for(root: Root) -> None:
    with Terminal("alpha", "--until-idle", "0.2") as terminal:
        assert terminal.ended() == 0
        assert terminal.is_restored()


def test_what_does_not_fit_the_window_is_not_agreed_to(root: Root) -> None:
    name = asked(root, "word " * 60)
    with Terminal("alpha", columns=30, rows=10) as terminal:
        terminal.until(f"[{name}")
        terminal.type("a\r")
        terminal.until("key: no")
        terminal.type("y")
        terminal.until("not done: the window is too")
        terminal.resize(90, 20)
        terminal.until(lambda it: it.lines[-1].startswith("q end"))
        terminal.type("a\r")
        terminal.until("any other key: no")
        terminal.type("y")
        terminal.until(f"approved: {name}")


def test_a_terminal_that_is_only_looked_at_is_left_alone(root: Root) -> None:
    program = f"exec {sys.executable} {SHIM} watch alpha < /dev/null"
    with Terminal("-c", program, program="sh", env={"COLUMNS": "37", "LINES": "9"}) as terminal:
        seen = terminal.until("nothing is under way")
        assert terminal.lines[-1] == "Ctrl-C ends it"
        assert any(len(line) > 37 for line in seen.splitlines())
        assert terminal.settings() == terminal.before
        terminal.child.send_signal(signal.SIGTERM)
        assert terminal.ended() == 130
        assert terminal.is_restored()


@pytest.mark.parametrize("before", ["", "trap '' HUP; "], ids=["told", "nohup"])
def test_it_ends_with_its_window(root: Root, before: str) -> None:
    with Terminal("-c", f"{before}exec {sys.executable} {SHIM} watch alpha", program="sh") as terminal:
        terminal.until("nothing is under way")
        terminal.hang_up()
        assert terminal.child.wait(5) in (1, 5, 130)


def test_a_keep_that_no_test_confirmed_is_called_so_among_the_runs() -> None:
    tried = Candidate(kind=IMPROVE, parent="RUN-0")
    runs = [
        make.run(1, value=1.0, verdict="keep", candidate=Candidate(kind=BASELINE, values=(1.0, 1.01, 0.99))),
        make.run(2, value=0.99, verdict="keep", candidate=tried),
        make.run(3, value=0.5, verdict="keep", candidate=tried),
    ]
    shown = experiment_frame.ExperimentShown(
        experiment=looking.Experiment(name="lr-sweep"), under_way=(), lasts={},
        picture=whole.of(givens.given(runs)), now=datetime(2026, 1, 2, tzinfo=UTC),
    )  # fmt: skip
    seen = ["".join(span[0] for span in row) for row in experiment_frame.rows(shown, 140, 40)]
    told = [line for line in seen if line.lstrip().startswith(("RUN-", "> RUN-"))]
    assert ["kept unconfirmed" in line for line in told] == [False, True, False]
