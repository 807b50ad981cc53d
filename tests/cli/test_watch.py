"""`labctl watch` as lines: each thing that happens once, and of a run no more than is known."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.cli.watching import experiment_frame, keys, looking, news
from lab.core.proposal import RESUME, RUN, Proposal
from lab.scheduler import cycle, decisions
from lab.scheduler.control import approvals
from lab.scheduler.results import happened
from tests.cli.labs import SHIM, TRACE, a_busy_lab, a_lab, dead, ended, me, one_run
from tests.cli.searches import a_run, a_searched_lab
from tests.scheduler.labs import an_experiment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.scheduler.results.happened import Told
    from tests.cli.labs import Labctl

PATIENCE_S = 20.0
LATER = "2999-01-01T00:00:00.000000Z"  # the clock of these labs stands in January, that of the verb does not


class Watching:
    """A watcher in a process of its own, with a pipe for a terminal."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self.child = child
        self.heard = b""

    def until(self, words: str) -> list[str]:
        """Wait until this is told."""
        end_s = time.monotonic() + PATIENCE_S
        assert self.child.stdout is not None
        while words.encode() not in self.heard:
            assert time.monotonic() < end_s, (words, self.heard)
            if select.select([self.child.stdout], [], [], 0.1)[0]:
                self.heard += os.read(self.child.stdout.fileno(), 1 << 16)
        return self.heard.decode().splitlines()

    def ended(self) -> tuple[int, str]:
        _, said = self.child.communicate(timeout=PATIENCE_S)
        return self.child.returncode, said.decode()


@contextmanager
def watching(*words: str) -> Iterator[Watching]:
    command = [sys.executable, SHIM, "watch", *words]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield Watching(child)
    finally:
        child.kill()
        child.wait()
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()


def settled(seen: news.News) -> list[Told]:
    """All that there is to tell now."""
    found = seen.look()
    while seen.waits:
        found += seen.look()
    return found


def says(found: list[Told]) -> list[str]:
    return [each.says for each in found]


def test_it_tells_what_other_processes_do_as_they_do_it(place: Path, labctl: Labctl) -> None:
    root = a_busy_lab(place)
    with watching() as watcher:
        watcher.until("the lab: watched from now on; 0 under way\n")
        running = cycle.begin(root, "alpha", owner=me())
        run = running.manifest.run_id
        watcher.until(f"alpha: {run} started on ")
        cycle.finish(root, running, ended(0.125))
        watcher.until(f"alpha: {run} ended: success, 0.125, new best (nothing is known of the noise)\n")
        labctl.done("pause", "beta", "--reason", "no data")
        watcher.until("beta: is paused now by ann: no data\n")
        approvals.ask(root, Proposal(kind=RESUME, experiment="beta", reason="data is here", expires_at=LATER))
        watcher.until("beta: proposal beta-1 made (resume): data is here\n")
        labctl.done("approve", "beta-1")
        lines = watcher.until("beta: proposal beta-1 approved by ann\n")
        assert len(lines) == len(set(lines))
        assert all(line[10] == "T" and line[19:21] == "Z " for line in lines)
        watcher.child.send_signal(signal.SIGINT)
        code, said = watcher.ended()
        assert code == 130
        assert "stopped watching by SIGINT; nothing else was stopped" in said


def test_only_what_happens_to_the_one_that_is_watched_is_told(place: Path) -> None:
    root = a_busy_lab(place)
    seen = news.News(root, "alpha")
    one_run(root, "beta", 0.125)
    decisions.pause(root, "beta", reason="", actor="ann")
    assert settled(seen) == []
    one_run(root, "alpha", 0.375)
    assert [each.experiment for each in settled(seen)] == ["alpha"]
    assert settled(seen) == []


def test_a_new_best_is_held_against_the_noise_and_nothing_is_claimed_without_it(place: Path) -> None:
    root = a_searched_lab(place)
    at = {"lr": 0.5, "depth": 3, "kind": "adam"}
    seen = news.News(root)
    a_run(root, at, 1.0)
    a_run(root, {**at, "depth": 4}, 0.98)
    assert [each.best for each in settled(seen)] == [happened.FIRST, happened.UNKNOWN]
    for value in (1.01, 1.0, 0.99, 1.0):
        a_run(root, at, value)
    assert [each.best for each in settled(seen)] == [""] * 4
    a_run(root, {**at, "depth": 5}, 0.975)
    a_run(root, {**at, "depth": 6}, 0.2)
    a_run(root, {**at, "depth": 7}, 0.5)
    a_run(root, {**at, "depth": 8}, None, outcome="failed", reason="it ran out of memory")
    found = settled(seen)
    assert [each.best for each in found] == [happened.WITHIN, happened.BEYOND, "", ""]
    assert [each.says.partition("ended: ")[2] for each in found] == [
        "success, 0.975, new best, within the noise", "success, 0.2, new best, beyond the noise", "success, 0.5",
        "failed, it ran out of memory",
    ]  # fmt: skip


def test_a_run_whose_pages_are_not_written_yet_waits_and_in_the_end_is_told_without_them(place: Path) -> None:
    root = a_busy_lab(place)
    seen = news.News(root)
    page = Path(root.layout.status("alpha"))
    before = page.read_bytes()
    one_run(root, "alpha", 0.125)
    after = page.read_bytes()
    page.write_bytes(before)
    assert seen.look() == []
    assert seen.waits
    page.write_bytes(after)
    assert [each.best for each in seen.look()] == [happened.UNKNOWN]
    one_run(root, "alpha", 0.0625)
    page.write_bytes(b"{")
    found = settled(seen)
    assert [(each.outcome, each.value, each.best) for each in found] == [("success", 0.0625, "")]


def test_a_run_whose_holder_is_gone_is_told_of_once(place: Path) -> None:
    root = a_lab(place, "alpha")
    seen = news.News(root)
    running = cycle.begin(root, "alpha", owner=dead())
    run = running.manifest.run_id
    assert says(seen.look()) == [f"{run} its holder is gone, and nobody sealed it"]
    assert [seen.look() for _ in range(news.SURVEY_EVERY + 1)] == [[]] * (news.SURVEY_EVERY + 1)


def test_a_run_whose_holder_is_gone_wants_somebody_on_both_screens(place: Path) -> None:
    root = a_lab(place, "alpha")
    looker = looking.Looker(root)
    looker.look()
    assert not looker.experiment("alpha").wants
    run = cycle.begin(root, "alpha", owner=dead()).manifest.run_id
    looker.look()
    what = f"the holder of {run} is gone, and nobody sealed it"
    assert [each.what for each in looker.experiment("alpha").wants] == [what]
    assert [(name, each.what) for name, each in looker.lab_wants()] == [("alpha", what)]


def test_what_a_person_wrote_cannot_speak_to_the_terminal_nor_make_a_line_of_its_own(place: Path) -> None:
    root = a_lab(place, "alpha")
    seen = news.News(root)
    hostile = "a\x1b[2Jb\nbeta: RUN-1 ended: success \u202eback\x07"
    wanted = Proposal(kind=RUN, experiment="alpha", params={"lr": 0.5}, reason=hostile, expires_at=LATER)
    approvals.ask(root, wanted)
    decisions.pause(root, "alpha", reason=hostile, actor="an\x1b[31mn")
    found = [news.line(each) for each in settled(seen)]
    assert len(found) == 2
    assert all(line.isprintable() and "\u202e" not in line for line in found)
    assert all("ab beta: RUN-1 ended: success back" in line for line in found)


def test_a_ledger_that_is_cut_is_said_and_looked_at_from_its_end(place: Path) -> None:
    root = a_busy_lab(place)
    seen = news.News(root)
    path = Path(root.layout.events)
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rfind(b"\n", 0, -1) + 1])
    assert [each.what for each in seen.look()] == ["ledger_shrank"]
    path.write_bytes(whole)
    assert [each.what for each in settled(seen)] == ["run_sealed"]
    path.write_bytes(whole + b'{"half a line')
    assert seen.look() == []


def test_a_disk_that_was_away_is_said_on_stderr_and_nothing_is_told_twice(place: Path) -> None:
    root = a_busy_lab(place)
    running = cycle.begin(root, "alpha", owner=me())
    with watching("--plain") as watcher:
        watcher.until("watched from now on; 1 under way\n")
        place.rename(place.with_name("elsewhere"))
        assert watcher.child.stderr is not None
        said = watcher.child.stderr.readline() + watcher.child.stderr.readline()
        assert b"the lab cannot be read now, and is looked at again: the data root is not there any more" in said
        place.with_name("elsewhere").rename(place)
        cycle.finish(root, running, ended(0.125))
        lines = watcher.until("ended: success")
        assert len(lines) == 2, lines


def test_of_a_registry_that_is_away_alone_that_is_said(place: Path) -> None:
    a_busy_lab(place)
    with watching("--plain") as watcher:
        watcher.until("watched from now on; 0 under way\n")
        place.joinpath("registry").rename(place / "elsewhere")
        assert watcher.child.stderr is not None
        said = watcher.child.stderr.readline() + watcher.child.stderr.readline()
        assert b"looked at again: registry/, with the ledger, is not there any more\n" in said


def test_a_lab_in_which_nothing_happens_costs_next_to_nothing(place: Path) -> None:
    root = a_lab(place)
    for number in range(20):
        an_experiment(root, f"exp-{number}")
    seen = news.News(root)
    began_s = time.thread_time()
    for _ in range(500):
        assert seen.look() == []
    assert time.thread_time() - began_s < 1.0  # 2 ms a look; it takes 0.07


def test_a_line_of_jsonl_is_a_document_in_ascii(place: Path) -> None:
    root = a_lab(place, "alpha")
    with watching("alpha", "--jsonl") as watcher:
        watcher.until("watch_began")
        decisions.pause(root, "alpha", reason="für später", actor="ann")
        lines = watcher.until("phase_changed")
        told = [json.loads(line) for line in lines]
        assert [each["what"] for each in told] == ["watch_began", "phase_changed"]
        assert {key: told[1][key] for key in ("experiment", "phase", "actor", "reason")} == {
            "experiment": "alpha", "phase": "paused", "actor": "ann", "reason": "für später",
        }  # fmt: skip
        assert watcher.heard.isascii()


def test_one_document_needs_an_end(labctl: Labctl, place: Path) -> None:
    a_busy_lab(place)
    told = labctl.done("watch", "alpha", "--until-idle", "0", "--json").data
    assert (told["experiment"], told["ended"], told["left_out"]) == ("alpha", "idle", 0)
    assert [each["what"] for each in told["events"]] == ["watch_began"]
    assert labctl.done("watch", "--for", "0", "--json").data["ended"] == "time"
    for words, why in (((), "without an end"), (("--for", "1", "--jsonl"), "--jsonl is not one JSON document")):
        said = labctl("watch", *words, "--json")
        assert said.code == 2
        assert why in str(said.error["message"])
    assert "did you mean alpha?" in labctl("watch", "alhpa").err


def test_an_empty_word_is_not_the_lab(labctl: Labctl, place: Path) -> None:
    a_lab(place, "alpha")
    for words in (("--for", "0.1"), ("--for", "0.1", "--json")):
        assert labctl("watch", "", *words).code == 2


def test_it_is_not_idle_while_a_run_is_under_way(place: Path) -> None:
    root = a_lab(place, "alpha")
    running = cycle.begin(root, "alpha", owner=me())
    with watching("--until-idle", "0") as watcher:
        watcher.until("1 under way\n")
        time.sleep(0.7)  # a look and a half: that it goes on cannot be awaited
        assert watcher.child.poll() is None
        cycle.finish(root, running, ended(0.5))
        assert watcher.ended()[0] == 0
        assert TRACE.encode() not in watcher.heard


def test_it_ends_when_nobody_reads_any_more(place: Path) -> None:
    a_lab(place, "alpha")
    with watching() as watcher:
        watcher.until("watched from now on")
        assert watcher.child.stdout is not None
        watcher.child.stdout.close()
        watcher.child.wait(PATIENCE_S)
        assert watcher.child.returncode == 1


def test_watching_writes_nothing(place: Path) -> None:
    a_busy_lab(place)
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()}
    with watching("--for", "0.6") as watcher:
        assert watcher.ended()[0] == 0
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()} == before


def test_what_takes_long_to_read_is_read_less_often_and_that_is_said(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = a_busy_lab(place)
    looker = looking.Looker(root)
    looker.look()
    first = looker.picture("alpha")
    assert looker.picture("alpha") is first
    monkeypatch.setattr(looking, "_SHARE", 1e9)
    one_run(root, "alpha", 0.125)
    looker.look()
    assert looker.picture("alpha") is first
    shown = experiment_frame.ExperimentShown(
        experiment=looker.experiment("alpha"), under_way=(), lasts={}, picture=first, now=datetime.now(UTC)
    )
    told = "\n".join("".join(words for words, _ in row) for row in experiment_frame.rows(shown, 150, 40))
    assert "4 of 1,000 runs" in told
    assert "drawn before the last 1 run" in told
    monkeypatch.setattr(looking, "_SHARE", 0)
    assert looker.picture("alpha") is not first


@pytest.mark.parametrize(
    ("typed", "keyed"),
    [
        ("q", ["q"]),
        ("\x1b[A\x1bOBj", [keys.UP, keys.DOWN, "j"]),
        ("\x1b[Z\t\r\n\x1b", [keys.BACK_TAB, keys.TAB, keys.ENTER, keys.ENTER, keys.ESCAPE]),
        ("\x1b[1;5C\x1b[200~y", ["y"]),
        ("ü\x7f\x15\x00\x07", ["ü", keys.RUB_OUT, keys.CLEAR]),
        ("\x1bq", [keys.ESCAPE, "q"]),
        ("\x1b[", []),
    ],
)
def test_keys_are_read_as_terminals_send_them(typed: str, keyed: list[str]) -> None:
    assert keys.parsed(typed) == keyed
