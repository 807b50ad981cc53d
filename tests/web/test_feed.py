"""The news: what one watcher tells every page, from the ledger's end, and to nobody when nobody listens."""

from __future__ import annotations

import json
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from lab.core.proposal import RUN, Proposal
from lab.scheduler import decisions, refresh
from lab.scheduler.control import approvals
from lab.scheduler.results import table
from lab.scheduler.results.happening import Happening
from lab.store import reading
from lab.web import feed as feeds
from lab.web.feed import Feed
from tests.scheduler.labs import an_experiment
from tests.web.labs import NAME, PARAMS, a_numbered_run, a_seen_lab, begun, finished

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.scheduler.results.happening import Heard
    from lab.store.root import Root

PATIENCE_S = 15.0


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return a_seen_lab(tmp_path / "lab", 3)


@pytest.fixture
def feed(root: Root) -> Iterator[Feed]:
    yield Feed(root, look_s=0.02)
    assert _ends_soon()


def _ends(thread: threading.Thread) -> bool:
    thread.join(PATIENCE_S)
    return not thread.is_alive()


def watchers() -> int:
    return sum(each.name == "lab-feed" for each in threading.enumerate())


def _ends_soon() -> bool:
    return all(_ends(each) for each in threading.enumerate() if each.name == "lab-feed")


class Page:
    """An open page, as its stream is read by a server."""

    def __init__(self, feed: Feed, experiment: str = NAME, mark: str | None = None) -> None:
        self.stream = feed.stream(experiment, feed.mark(experiment) if mark is None else mark)
        assert next(self.stream).startswith(b"retry: ")
        assert next(self.stream).startswith(b"event: hello")
        self.last = ""

    def next(self) -> tuple[str, dict[str, Any]]:
        """The next event: its kind and what it carries."""
        until_s = time.monotonic() + PATIENCE_S
        for piece in self.stream:
            assert time.monotonic() < until_s, "nothing came"
            if piece.startswith((b"id: ", b"event: ")):
                told = dict(line.split(": ", 1) for line in piece.decode().strip().split("\n"))
                self.last = told.get("id", self.last)
                return told["event"], json.loads(told["data"])
        raise AssertionError("the stream ended")

    def of(self, kind: str) -> dict[str, Any]:
        """The next event of this kind."""
        while True:
            found, told = self.next()
            if found == kind:
                return told

    def close(self) -> None:
        self.stream.close()  # type: ignore[attr-defined]


def test_a_sealed_run_is_told_with_how_the_experiment_stands_then(root: Root, feed: Feed) -> None:
    with closing(Page(feed)) as page:
        run_id = a_numbered_run(root, 9)  # a crash
        told = page.of("run")
        assert told["run"] == run_id
        assert (told["experiment"], told["outcome"], told["runs"], told["new"]) == (NAME, "crash", 4, 1)
        assert "value" not in told
        assert told["outcomes"]["crash"] == 1
        best = a_numbered_run(root, 20)
        told = page.of("run")
        assert (told["value"], told["best"], told["best_run"], told["is_best"]) == (1 / 21, 1 / 21, best, True)
        assert told["says"].endswith("success, 0.047619, new best (nothing is known of the noise)")


def test_a_new_best_of_a_long_experiment_is_told_and_its_table_is_not_read_for_it(
    root: Root, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was judged by all runs before it, in the thread that tells all pages: 37 ms of 10,000."""
    monkeypatch.setattr(feeds, "JUDGED_BYTES", 100)

    def read(*_: object) -> None:
        raise AssertionError("the table of runs was read")

    monkeypatch.setattr(table, "read", read)
    with closing(Page(feed)) as page:
        best = a_numbered_run(root, 20)
        told = page.of("run")
        assert (told["best_run"], told["is_best"]) == (best, True)
        assert told["says"].endswith("success, 0.047619, new best")
        a_numbered_run(root, 11)
        assert page.of("run")["says"].endswith("success, 0.0833333")


def test_a_decision_a_run_that_begins_and_the_index_are_told(root: Root, feed: Feed) -> None:
    with closing(Page(feed)) as page, closing(Page(feed, "")) as lab:
        running = begun(root)
        assert page.of("under-way")["experiment"] == NAME
        approvals.propose(root, Proposal(kind=RUN, experiment=NAME, params=PARAMS, reason="why \x1b[31mnot\u202e"))
        assert f"{NAME}: proposal {NAME}-1 made (run): why not" in page.of("decision")["says"]
        assert lab.of("lab") == {}
        decisions.pause(root, NAME, reason="it is late", actor="ann")
        told = page.of("decision")
        assert told["phase"] == "paused"
        assert "it is late" in told["says"]
        assert "\x1b" not in json.dumps(told, ensure_ascii=False)
        finished(root, running)


def test_only_what_is_asked_for_is_told(root: Root, feed: Feed) -> None:
    an_experiment(root, "other")
    with closing(Page(feed, "other")) as other, closing(Page(feed, "")) as lab:
        a_numbered_run(root, 3)
        decisions.pause(root, "other", reason="why", actor="ann")
        assert lab.of("run")["experiment"] == NAME
        while True:
            kind, told = other.next()
            assert told.get("experiment", "other") == "other"
            if kind == "decision":
                break


def test_a_page_that_was_cut_off_hears_what_it_missed(root: Root, feed: Feed) -> None:
    with closing(Page(feed)) as page:
        a_numbered_run(root, 3)
        page.of("run")
        last = page.last
    a_numbered_run(root, 5)
    run_id = a_numbered_run(root, 6)
    with closing(Page(feed, mark=last)) as again:
        told = again.of("run")
        assert (told["run"], told["new"], told["runs"]) == (run_id, 2, 6)


def test_what_happens_between_the_making_of_a_page_and_its_stream_is_told(root: Root, feed: Feed) -> None:
    mark = feed.mark(NAME)
    running = begun(root)
    with closing(Page(feed, mark=mark)) as page:
        page.of("under-way")
    mark = feed.mark("")
    finished(root, running)
    time.sleep(0.02)  # the clock of the file system has to tick: at 100 Hz, in places
    refresh.lab_pages(root)
    with closing(Page(feed, "", mark=mark)) as page:
        assert {page.next()[0], page.next()[0]} == {"run", "lab"}


@pytest.mark.parametrize("mark", ["99999999999", "x.y.z", "-1", "\u0661", ""])
def test_a_mark_that_is_none_of_ours_is_no_harm(root: Root, feed: Feed, mark: str) -> None:
    with closing(Page(feed, mark=mark)) as page:
        run_id = a_numbered_run(root, 3)
        assert page.of("run")["run"] == run_id


def test_a_page_too_far_behind_is_told_to_ask_anew(root: Root, feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "MOST_BEHIND_BYTES", 500)
    with closing(Page(feed, mark="0")) as page:
        assert page.next()[0] == "stale"


def test_a_ledger_that_was_cut_is_told_as_stale(root: Root, feed: Feed) -> None:
    with closing(Page(feed)) as page:
        data = reading.read(root.layout.events) or b""
        with open(root.layout.events, "wb") as file:
            file.write(data[: len(data) // 2])
        page.of("stale")


def test_a_reader_who_does_not_read_is_dropped_and_holds_nobody_up(
    root: Root, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "MOST_WAITING", 6)
    with closing(Page(feed)) as idle, closing(Page(feed, "")) as awake:
        for number in range(10):
            a_numbered_run(root, number)
            awake.of("run")
        assert len([piece for piece in idle.stream if piece]) <= 6  # and it ends


def test_nobody_looks_while_nobody_listens(root: Root, feed: Feed) -> None:
    assert _ends_soon()  # that of a page of another test
    with closing(Page(feed)) as page:
        with closing(Page(feed)):
            assert watchers() == 1
        a_numbered_run(root, 3)
        page.of("run")
        assert watchers() == 1
    assert _ends_soon()


def test_an_event_is_as_large_after_many_runs_as_after_few(root: Root, feed: Feed) -> None:
    with closing(Page(feed)) as page:
        a_numbered_run(root, 5)
        few = page.of("run")
        for number in range(6, 29):
            a_numbered_run(root, number)
        while (many := page.of("run"))["runs"] < 27:
            pass
        assert few.keys() | {"outcomes", "is_best"} == many.keys() | {"is_best"}
        assert len(json.dumps(many)) - len(json.dumps(few)) < 40


def test_a_disk_that_is_away_is_told_once_and_found_again(
    root: Root, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: Happening) -> list[Heard]:
        raise OSError(5, "Input/output error", str(self.end))

    with closing(Page(feed, "")) as page:
        with monkeypatch.context() as patch:
            patch.setattr(Happening, "look", away)
            a_numbered_run(root, 3)
            assert "cannot be read" in page.of("away")["says"]
        assert page.of("run")["runs"] == 4


def test_a_disk_that_is_away_is_told_to_every_page_and_so_is_its_return(root: Root, feed: Feed, tmp_path: Path) -> None:
    with closing(Page(feed)) as page, closing(Page(feed, "")) as lab:
        (tmp_path / "lab").rename(tmp_path / "elsewhere")
        for each in (page, lab):
            kind, told = each.next()
            assert (kind, told) == ("away", {"says": "the lab cannot be read: the data root is not there any more"})
        with closing(feed.stream(NAME, "1.2.3")) as late:  # type: ignore[type-var]
            heard = b"".join(next(late) for _ in range(3))
            assert b"event: away" in heard
        (tmp_path / "elsewhere").rename(tmp_path / "lab")
        for each in (page, lab):
            assert each.next() == ("stale", {"says": "the lab can be read again"})
        run_id = a_numbered_run(root, 9)
        told = page.of("run")  # between two looks it may also be seen under way
        assert (told["run"], told["new"]) == (run_id, 1)
