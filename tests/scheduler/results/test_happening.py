"""What happened: told once, with the pages where these have it, and in the same words wherever it is told."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from lab.cli.watching.news import News
from lab.core.errors import Unavailable
from lab.core.run import FAILED
from lab.scheduler import cycle, decisions
from lab.scheduler.results import happened, happening, table
from lab.scheduler.results.happening import Happening
from lab.web.feed import Feed
from tests.scheduler.labs import an_experiment, ended, me
from tests.web.labs import NAME, a_numbered_run, a_seen_lab


def test_what_the_pages_have_is_told_though_more_came_since(tmp_path: Path) -> None:
    """Else of a lab in which something ends at each look nothing would be told at all."""
    root = a_seen_lab(tmp_path / "lab", 1)
    seen, page = Happening(root), Path(root.layout.status(NAME))
    first = a_numbered_run(root, 1)
    with_first = page.read_bytes()
    second = a_numbered_run(root, 2)
    with_both = page.read_bytes()
    page.write_bytes(with_first)
    (heard,) = seen.look()
    assert [event.run_id for event in heard.events] == [first]
    assert heard.is_current
    assert seen.waits
    page.write_bytes(with_both)
    (heard,) = seen.look()
    assert [event.run_id for event in heard.events] == [second]
    assert not seen.waits


def test_what_the_pages_do_not_get_is_told_without_them_however_much_comes_after(tmp_path: Path) -> None:
    root = a_seen_lab(tmp_path / "lab", 1)
    seen, page = Happening(root), Path(root.layout.status(NAME))
    before = page.read_bytes()
    first = a_numbered_run(root, 1)
    told: list[str] = []
    for number in range(happening.PATIENCE):
        page.write_bytes(before)
        for heard in seen.look():
            told += [event.run_id for event in heard.events]
            assert not heard.is_current
        a_numbered_run(root, 2 + number)
    assert told == [first]


def test_the_live_page_and_the_terminal_say_the_same_of_a_new_best(tmp_path: Path) -> None:
    root = a_seen_lab(tmp_path / "lab", 2)
    feed, news = Feed(root), News(root)
    mark = feed.mark(NAME)
    a_numbered_run(root, 20)
    decisions.pause(root, NAME, reason="it is late", actor="ann")
    best, paused = map(happened.sentence, news.look())
    with closing(feed.stream(NAME, mark)) as stream:  # type: ignore[type-var]
        heard = b"".join(next(stream) for _ in range(4)).decode()
    assert best.endswith("new best (nothing is known of the noise)")
    assert best in heard
    assert paused == f"{NAME}: is paused now by ann: it is late"


def test_a_change_that_was_never_run_is_told_as_one_and_not_as_a_failure(tmp_path: Path) -> None:
    root = a_seen_lab(tmp_path / "lab", 2)
    news = News(root)
    for verdict, why in (("discard", "nothing was changed"), ("checks_failed", "501 is packed")):
        ran = ended(None, FAILED, verdict=verdict, reason=why, note="BATCH = 66")
        cycle.finish(root, cycle.begin(root, NAME, owner=me()), ran)
    never, failed = map(happened.sentence, news.look())
    assert never.endswith("ended: not measured, discard, nothing was changed")
    assert failed.endswith("ended: failed, checks failed, 501 is packed")


def test_who_was_away_hears_of_a_new_best_though_others_went_on(tmp_path: Path) -> None:
    root = a_seen_lab(tmp_path / "lab", 2)
    an_experiment(root, "other")
    seen = Happening(root)
    start = seen.end
    a_numbered_run(root, 20)
    decisions.pause(root, "other", reason="", actor="ann")
    seen.look()

    told = {heard.experiment: happened.of(root, heard)[-1] for heard in seen.past(start)}

    assert told[NAME].best == happened.UNKNOWN
    assert told["other"].phase == "paused"


def test_a_best_whose_table_cannot_be_read_is_told_as_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = a_seen_lab(tmp_path / "lab", 2)
    seen = News(root)
    run_id = a_numbered_run(root, 20)

    def away(*_: object) -> None:
        raise Unavailable("the table of runs is missing")

    monkeypatch.setattr(table, "read", away)
    (told,) = seen.look()
    assert (told.run, told.best) == (run_id, "")
    assert told.says.endswith("success, 0.047619")


def test_a_disk_that_was_away_makes_no_news_of_what_is_old(tmp_path: Path) -> None:
    root = a_seen_lab(tmp_path / "lab", 3)
    running = cycle.begin(root, NAME, owner=me())
    news = News(root)
    for is_mount_point in (False, True):
        (tmp_path / "lab").rename(tmp_path / "elsewhere")
        if is_mount_point:
            (tmp_path / "lab").mkdir()  # as a mount point is, while nothing is mounted there
        with pytest.raises(Unavailable, match="the data root is not there any more"):
            news.look()
        if is_mount_point:
            (tmp_path / "lab").rmdir()
        (tmp_path / "elsewhere").rename(tmp_path / "lab")
        assert news.look() == []
    run_id = cycle.finish(root, running, ended(0.5)).run.run_id
    assert [told.run for told in news.look()] == [run_id]


def test_of_a_disk_that_was_away_from_the_beginning_nothing_old_is_told_either(tmp_path: Path) -> None:
    root = a_seen_lab(tmp_path / "lab", 3)
    (tmp_path / "lab").rename(tmp_path / "elsewhere")
    seen = Happening(root)
    (tmp_path / "elsewhere").rename(tmp_path / "lab")
    assert seen.look() == []
    run_id = a_numbered_run(root, 9)
    assert [event.run_id for heard in seen.look() for event in heard.events] == [run_id]


def test_a_ledger_that_was_cut_is_said_and_gone_on_with(tmp_path: Path) -> None:
    root = a_seen_lab(tmp_path / "lab", 3)
    news = News(root)
    lines = Path(root.layout.events).read_bytes().splitlines(keepends=True)
    Path(root.layout.events).write_bytes(b"".join(lines[:-2]))
    (told,) = news.look()
    assert told.what == "ledger_shrank"
    assert news.look() == []
    decisions.pause(root, NAME, reason="it is late", actor="ann")
    assert {told.what for told in news.look()} == {"phase_changed", "ledger_cut"}


def test_a_ledger_that_is_missing_is_said_and_is_not_an_empty_one(tmp_path: Path) -> None:
    root = a_seen_lab(tmp_path / "lab", 3)
    news = News(root)
    data = Path(root.layout.events).read_bytes()
    Path(root.layout.events).unlink()
    with pytest.raises(Unavailable, match="the ledger of the lab is missing"):
        news.look()
    Path(root.layout.events).write_bytes(data)
    assert news.look() == []
