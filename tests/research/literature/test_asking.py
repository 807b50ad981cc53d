"""Hosts over a real socket: what each is asked, and everything that one may answer instead of papers."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import canonical
from lab.core.errors import Interrupted, Unavailable
from lab.research import source
from lab.research.literature import asking, caching, pacing
from lab.research.literature.asking import Asker
from lab.research.literature.caching import Cache
from lab.research.literature.entry import Unanswered
from lab.research.literature.hosts import HOSTS
from lab.research.phases.literature import Survey
from lab.research.project import HOSTS as NAMED
from tests.research.literature.desks import (
    ERROR,
    ROUTES,
    Answer,
    Double,
    Paper,
    a_root,
    a_task,
    feed,
    left,
    nobody,
    paper,
    problems,
    review,
    work,
)

if TYPE_CHECKING:
    from lab.research.worker import Task

ATOM = ROUTES["arxiv"]
BOMB = b"""<?xml version="1.0"?><!DOCTYPE feed [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<feed xmlns="http://www.w3.org/2005/Atom"><title>&b;</title></feed>"""
CHECKOUT = Path(__file__).resolve().parents[3]


def works(task: Task) -> dict[str, float]:
    return dict(Survey().work(task))


@pytest.mark.parametrize("host", NAMED)
def test_what_a_host_knows_becomes_sources_that_are_verified_by_its_own_answer(
    host: str, double: Double, tmp_path: Path
) -> None:
    double.papers += [paper(1), paper(2)]
    task = a_task(tmp_path, double=double, hosts=[host])
    assert works(task)["verified"] == 2
    first = left(task)[0]
    number = "" if host == "openalex" else "2401.00001"  # which tells it only as a DOI of arXiv's
    assert (first.title, first.authors, first.year) == ("The step size of descent, part 1", ("Ada Lovelace",), 2024)
    assert (first.doi, first.arxiv, first.origin, first.status) == ("10.1000/x1", number, host, "verified")
    assert first.key == "lovelace2024step"
    assert [each.text for each in first.quotes] == ["We study the step size of descent."]
    assert problems(task) == []
    assert Survey().work(a_task(tmp_path, double=double, hosts=[host]))["requests"] == 0


@pytest.mark.parametrize("host", NAMED)
def test_pages_are_asked_for_until_there_are_enough_or_no_more(host: str, double: Double, tmp_path: Path) -> None:
    double.papers += [paper(n) for n in range(250)]
    task = a_task(tmp_path, double=double, hosts=[host], most=240)
    works(task)
    assert len(left(task)) == 240
    assert len(double.hits) == {"arxiv": 2}.get(host, 3)
    assert problems(task) == []
    less = a_task(tmp_path, double=double, hosts=[host], most=1000, run="less")
    assert works(less)["sources"] == 250


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(ERROR.encode()), "incorrect id format for abc"),
        (Answer(ERROR.encode(), 400), "it answered 400: incorrect id format for abc"),
        (Answer(feed([paper(1)])[:-30]), "no whole XML"),
        (Answer(BOMB), "declares entities"),
        (Answer(BOMB.decode().encode("utf-16")), "no text"),
        (Answer(b"<!DOCTYPE html><html><body>Down for maintenance</body></html>"), "a page of HTML"),
        (Answer(b""), "no whole XML"),
        (Answer(b"<rss/>"), "no feed of Atom: it begins with 'rss'"),
        (Answer(feed([]).replace(b"<opensearch:totalResults>0<", b"<opensearch:totalResults>many<")), "totalResults"),
        (Answer(feed([], total=9)), "ends at entry 0 of the 9"),
        (
            Answer(b"", 302, (("Location", "http://elsewhere.invalid/x"),)),
            "sent us to http://elsewhere.invalid/x; is its address in literature.urls right?",
        ),
        (Answer(b"<feed", 200, (), 4000), "in the middle of its answer"),
        (Answer(b" " * (17 << 20)), "more than 16 MiB"),
        (Answer(gzip.compress(b" " * (20 << 20)), 200, (("Content-Encoding", "gzip"),)), "more than 16 MiB"),
        (Answer(b"no", 403), "it answered 403"),
    ],
)
def test_an_answer_that_is_none_is_told_in_words_and_is_never_an_empty_list(
    answer: Answer, words: str, double: Double, tmp_path: Path
) -> None:
    double.for_ever[ATOM] = answer
    with pytest.raises(Unavailable, match="no host answered") as failed:
        works(a_task(tmp_path, double=double, for_s=60.0 if answer.length is None else 2.0))
    assert words in failed.value.what
    assert failed.value.what.startswith("no host answered, and `literature: {offline: true}`")  # what is long is cut
    assert len({hit.target for hit in double.hits}) == 1  # and nothing else was tried in its place
    assert not (tmp_path / "lab" / "scratch" / "research" / "cache").exists()


@pytest.mark.parametrize("host", ["openalex", "semantic_scholar"])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error": "Invalid query", "message": "no such field"}', "no such field"),
        (b'{"meta": {"count": 1}, "total": 1, "results": [', "no whole JSON"),
        (b'{"meta": {"count": 1}, "total": 1, "results": [{"doi": 3}], "data": [{"title": 3}]}', "cannot be read"),
        (b"<html>sign in</html>", "a page of HTML"),
        (b'{"x": ' + b"[" * 100_000, "no whole JSON"),
    ],
)  # fmt: skip
def test_json_that_is_not_what_was_promised_is_told_too(
    host: str, body: bytes, words: str, double: Double, tmp_path: Path
) -> None:
    double.for_ever[ROUTES[host]] = Answer(body)
    with pytest.raises(Unavailable) as failed:
        works(a_task(tmp_path, double=double, hosts=[host]))
    assert words in failed.value.what


def test_a_compressed_answer_is_read(double: Double, tmp_path: Path) -> None:
    double.scripts[ATOM] = [Answer(gzip.compress(feed([paper(1)])), 200, (("Content-Encoding", "gzip"),))]
    assert works(a_task(tmp_path, double=double))["verified"] == 1


def test_fields_that_are_empty_or_unheard_of_cost_no_paper(double: Double, tmp_path: Path) -> None:
    bare = {**work(paper(1)), "doi": None, "publication_year": None, "abstract_inverted_index": None, "new": [1]}
    nameless = {**work(paper(2)), "display_name": None, "authorships": [{"author": None}]}
    double.scripts[ROUTES["openalex"]] = [
        Answer(json.dumps({"meta": {"count": 2}, "results": [bare, nameless]}).encode())
    ]
    task = a_task(tmp_path, double=double, hosts=["openalex"])
    works(task)
    assert [(each.title, each.year, each.text) for each in left(task)] == [(paper(1).title, None, "")]
    assert problems(task) == []


def test_a_host_that_wants_us_to_wait_is_waited_for_and_then_asked_again(double: Double, tmp_path: Path) -> None:
    double.papers.append(paper(1))
    double.scripts[ATOM] = [Answer(b"", 429, (("Retry-After", "1"),)), Answer(b"", 503, (("Retry-After", "0"),))]
    assert works(a_task(tmp_path, double=double))["requests"] == 3
    first, second, third = (hit.at for hit in double.hits)
    assert second - first >= 1.0
    assert third - second < 3.0


def test_a_host_that_says_at_once_with_every_refusal_is_given_longer_each_time(
    double: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "_FIRST_WAIT_S", 0.1)
    double.for_ever[ATOM] = Answer(b"", 429, (("Retry-After", "0"),))
    with pytest.raises(Unavailable, match="it answered 429"):
        works(a_task(tmp_path, double=double))
    waits = [later.at - earlier.at for earlier, later in pairwise(double.hits)]
    assert [wait >= least for wait, least in zip(waits, (0.1, 0.2, 0.4, 0.8), strict=True)] == [True] * 4


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(b"", 429, (("Retry-After", "3600"),)), "asks us to wait 3,600 s; so long is not left for it"),
        (Answer(b"", 429, (("Retry-After", "0"),)), "it answered 429"),
        (Answer(b"", 429), "so long is not left for it"),
        (Answer(feed([paper(1)]), wait_s=4.0), "no whole answer within"),
    ],
)
def test_a_host_that_never_comes_to_it_ends_within_the_budget(
    answer: Answer, words: str, double: Double, tmp_path: Path
) -> None:
    double.for_ever[ATOM] = answer
    began = time.monotonic()
    with pytest.raises(Unavailable) as failed:
        works(a_task(tmp_path, double=double, for_s=2.0))
    assert words in failed.value.what
    assert time.monotonic() - began < 20.0
    assert len(double.hits) <= 10


def test_what_a_host_asked_for_holds_for_every_other_process_of_the_lab(double: Double, tmp_path: Path) -> None:
    double.scripts[ATOM] = [Answer(b"", 429, (("Retry-After", "3600"),))]
    with pytest.raises(Unavailable):
        works(a_task(tmp_path, double=double))
    with pytest.raises(Unavailable, match=r"may be asked again in 3,[56]\d\d s only"):
        works(a_task(tmp_path, double=double, topic="another topic"))
    assert len(double.hits) == 1


def test_a_person_who_stops_it_does_not_wait(double: Double, tmp_path: Path) -> None:
    double.for_ever[ATOM] = Answer(feed([paper(1)]), wait_s=30.0)
    task = a_task(tmp_path, double=double, interrupted=lambda: "TERM" if double.hits else "")
    with pytest.raises(Interrupted):
        works(task)


def test_two_processes_share_the_gap_of_a_host(double: Double, tmp_path: Path) -> None:
    double.papers.append(paper(1))
    program = f"""
import sys, time
from pathlib import Path
from lab.research.literature.asking import Asker
from lab.research.literature.hosts import HOSTS
from lab.research.project import Literature
from tests.research.literature.desks import a_root
asker = Asker(a_root(Path(sys.argv[1])), HOSTS["arxiv"], Literature(urls={{"arxiv": {double.url!r}}}), str, 0.25)
for number in range(3):
    asker.ask(HOSTS["arxiv"].search((sys.argv[2] + str(number),), "", 5), "", time.monotonic() + 30)
"""
    argv = [sys.executable, "-c", program, str(tmp_path)]
    both = [subprocess.Popen([*argv, name], cwd=CHECKOUT) for name in ("ann", "bob")]
    assert [each.wait(timeout=50) for each in both] == [0, 0]
    times = [hit.at for hit in double.hits]
    assert len(times) == 6
    assert min(later - sooner for sooner, later in pairwise(times)) >= 0.25


def test_a_torn_note_of_the_last_request_and_a_clock_that_was_set_back_stop_nobody(
    double: Double, tmp_path: Path
) -> None:
    double.papers.append(paper(1))
    works(a_task(tmp_path, double=double))
    (note,) = (tmp_path / "lab" / "scratch" / "research" / "hosts").glob("*.json")
    for torn in (b"{", b'{"at": "never"}', b'{"at": 1e12, "wait_s": 1e-3}'):
        note.write_bytes(torn)
        task = a_task(tmp_path, double=double, queries=[f"descent {len(torn)}"])
        assert works(task)["requests"] == 1


@pytest.mark.parametrize("ahead_s", [7_200.0, -7_200.0])
def test_a_wait_is_as_long_as_it_was_asked_for_whatever_the_clock_of_who_heard_it(
    ahead_s: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pace = pacing.Pace(a_root(tmp_path), "export.arxiv.org", 0.0, lambda: None)
    true = time.time
    monkeypatch.setattr(time, "time", lambda: true() + ahead_s)
    with pace.turn(time.monotonic() + 60):
        pace.hold_off(60.0)
    monkeypatch.undo()
    assert 55.0 < pace._wait_s() < 61.0


def test_a_moment_that_is_to_come_costs_one_wait_and_not_one_each_time(tmp_path: Path) -> None:
    pace = pacing.Pace(a_root(tmp_path), "a", 0.0, lambda: None)
    pace._note(pacing.Asked(at=time.time() + 7_200.0, wait_s=60.0))
    first = pace._wait_s()
    assert 59.0 < first < 61.0
    moved = pace._asked()
    pace._note(msgspec.structs.replace(moved, at=moved.at - 30.0))  # half a minute later
    assert 29.0 < pace._wait_s() < 31.0
    pace._note(pacing.Asked(at=time.time() + 1e9, wait_s=1e9))
    assert pace._wait_s() < 86_401.0


def test_what_is_kept_of_answers_is_removed_when_it_is_too_old_to_be_told(tmp_path: Path) -> None:
    root = a_root(tmp_path)

    def kept(name: str) -> None:
        body = name.encode()
        Cache(root).keep(
            caching.Answer(host="arxiv", url=name, fetched_at=root.now(), sha256=canonical.digest(body)), body
        )

    kept("old")
    kept("young")
    folder = Path(root.layout.place(caching.FOLDER))
    for name, days in ("old", caching.KEPT_DAYS + 1), ("young", caching.KEPT_DAYS - 1):
        then = time.time() - days * 86_400
        os.utime(folder / canonical.digest(name.encode()), (then, then))
    (folder / "a folder").mkdir()
    os.utime(folder / "a folder", (0, 0))
    kept("new")
    assert sorted(each.name for each in folder.iterdir()) == sorted(
        ["a folder", *(canonical.digest(name.encode()) for name in ("new", "young"))]
    )


@pytest.mark.parametrize("harm", ["cut", "changed", "emptied", "of another"])
def test_a_damaged_answer_in_the_cache_is_asked_for_again(harm: str, double: Double, tmp_path: Path) -> None:
    double.papers.append(paper(1))
    works(a_task(tmp_path, double=double))
    (kept,) = (tmp_path / "lab" / "scratch" / "research" / "cache").iterdir()
    data = kept.read_bytes()
    broken = {"cut": data[:-9], "changed": data.replace(b"part 1", b"part 9"), "emptied": b"",
              "of another": data.replace(b"start=0", b"start=5", 1)}  # fmt: skip
    kept.write_bytes(broken[harm])
    task = a_task(tmp_path, double=double)
    assert works(task)["requests"] == 1
    assert left(task)[0].title == paper(1).title


@pytest.mark.parametrize(("host", "place"), [("openalex", "api_key"), ("semantic_scholar", "x-api-key")])
def test_a_key_goes_to_its_host_and_into_no_file(host: str, place: str, double: Double, tmp_path: Path) -> None:
    key = "k3y/with+signs=and more"
    quoted = json.dumps({"message": f"your key {key} is used up"}).encode()
    echo = {**work(Paper(f"A paper about {key}", doi="10.1000/x1"))}
    body = json.dumps({"meta": {"count": 1, "key": key}, "results": [echo], "total": 1, "data": [{"title": key}]})
    double.scripts[ROUTES[host]] = [
        Answer(quoted, 429, (("Retry-After", "0"),)), Answer(body.encode()), Answer(quoted, 403),
        Answer(b"", 302, (("Location", f"/login?key={key}"),)),
    ]  # fmt: skip
    said: list[str] = []
    task = a_task(
        tmp_path, double=double, hosts=[host], keys={host: "PAPERS_KEY"}, environ={"PAPERS_KEY": key}, said=said,
        queries=["descent", "ascent", "assent"], contact="ann@example.org\r\nX-Evil: 1",
    )  # fmt: skip
    works(task)
    hit = double.hits[0]
    assert (hit.params.get(place) or hit.headers.get(place)) == key
    assert hit.headers["user-agent"].endswith("(mailto:ann@example.org X-Evil: 1)")
    assert "x-evil" not in hit.headers
    assert "403" in said[1]
    assert "302" in said[2]
    spelt = (key, key.replace("/", "%2F"), "k3y%2Fwith%2Bsigns%3Dand+more", "k3y%2Fwith%2Bsigns%3Dand%20more")
    written = [path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    assert not [each for each in (*written, *said) for form in spelt if form in each]


def test_a_host_that_fails_stops_no_other_and_is_told(
    double: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "_FIRST_WAIT_S", 0.01)
    double.papers.append(paper(1))
    double.for_ever[ROUTES["openalex"]] = Answer(b"", 500, (("Retry-After", "0"),))
    urls = {"arxiv": double.url, "openalex": double.url, "semantic_scholar": nobody()}
    task = a_task(tmp_path, hosts=NAMED, urls=urls)
    found = works(task)
    assert (found["hosts_asked"], found["hosts_failed"], found["sources"]) == (3, 2, 1)
    assert "it answered 500" in review(task)
    assert "nothing answers at" in review(task)
    assert problems(task) == []


def test_a_key_that_the_run_does_not_see_is_told(double: Double, tmp_path: Path) -> None:
    double.papers.append(paper(1))
    task = a_task(tmp_path, double=double, hosts=["openalex"], keys={"openalex": "PAPERS_KEY"})
    assert works(task)["hosts_failed"] == 0
    assert "asked without a key: the run does not see PAPERS_KEY" in review(task)


def test_own_sources_are_enough_where_every_host_fails(tmp_path: Path) -> None:
    task = a_task(tmp_path, urls={"arxiv": nobody()}, own={"a.md": "# A note\nOn the step size of descent."})
    assert works(task)["unverified"] == 1
    assert "nothing answers at" in review(task)
    assert problems(task) == []


def test_an_address_that_is_none_is_a_host_that_fails(tmp_path: Path) -> None:
    for url, words in (("ftp://x", "must be an address"), ("http://x?key=1", "in literature.keys")):
        with pytest.raises(Unavailable, match=words):
            works(a_task(tmp_path, urls={"arxiv": url}))


def test_no_paper_at_all_is_a_result_and_no_failure(double: Double, tmp_path: Path) -> None:
    task = a_task(tmp_path, double=double)
    assert works(task)["sources"] == 0
    assert task.out.read(source.FILE) == b"\n"
    assert task.out.read(source.BIBTEX)
    assert "Nothing." in review(task)
    assert problems(task) == []


def test_a_search_that_finds_nothing_is_widened_once(double: Double, tmp_path: Path) -> None:
    empty = Answer(feed([]))
    double.scripts[ATOM] = [empty]
    double.papers.append(paper(1))
    assert works(a_task(tmp_path, double=double, queries=["step size descent"]))["sources"] == 1
    asked = [hit.params["search_query"] for hit in double.hits]
    assert asked == ["all:step AND all:size AND all:descent", "all:step AND all:size"]


def test_one_paper_that_several_hosts_and_queries_find_is_one_source(double: Double, tmp_path: Path) -> None:
    double.papers += [paper(1), paper(2)]
    task = a_task(tmp_path, double=double, hosts=NAMED, queries=["step size", "descent"])
    works(task)
    assert [each.title for each in left(task)] == [paper(1).title, paper(2).title]


def test_the_topic_is_data_whatever_is_in_it(double: Double, tmp_path: Path) -> None:
    double.papers.append(paper(1))
    topic = "step size\n# Owned\n<script>alert(1)</script> $(touch x) `id` ../../etc/passwd \"quoted\" 'x' {{ 7*7 }}"
    topic += " \u202e\ud800 größe"
    task = a_task(tmp_path, double=double, topic=topic)
    works(task)
    assert problems(task) == []
    assert "\n# Owned" not in review(task)
    assert "<script>" not in review(task).replace("\\<script>", "")
    for hit in double.hits:
        assert not set("<>$`/{}\n") & set(hit.params["search_query"].replace('all:"', ""))
    assert {each.name for each in tmp_path.iterdir()} <= {"lab", "run"}


def test_a_hypothesis_alone_is_asked_about_and_a_check_of_novelty_asks_for_few(double: Double, tmp_path: Path) -> None:
    double.papers += [paper(n) for n in range(9)]
    task = a_task(tmp_path, double=double, mode="B", topic="warmup schedules")
    works(task)
    assert len(left(task)) == 5
    assert double.hits[0].params["max_results"] == "5"
    assert "check of novelty" in review(task)


def test_nothing_is_asked_offline(double: Double, tmp_path: Path) -> None:
    task = a_task(tmp_path, double=double, hosts=NAMED, offline=True, own={"a.bib": "@misc{a, title={T}}"})
    assert works(task) == {
        "sources": 1, "verified": 0, "mismatch": 0, "not_found": 0, "unverified": 1, "quotes": 0, "hosts_asked": 0,
        "hosts_failed": 0, "requests": 0, "answers_cached": 0,
    }  # fmt: skip
    assert double.hits == []
    assert left(task)[0].why == "nobody was asked: offline"
    assert problems(task) == []


def test_a_server_that_shows_the_same_page_for_ever_is_left(double: Double, tmp_path: Path) -> None:
    page = {"meta": {"count": 10_000, "next_cursor": "x"}, "results": [work(paper(1))]}
    double.for_ever[ROUTES["openalex"]] = Answer(json.dumps(page).encode())
    assert works(a_task(tmp_path, double=double, hosts=["openalex"], most=5000))["sources"] == 1
    assert len(double.hits) == 2


def test_public_hosts_are_given_the_gap_that_they_ask_for(tmp_path: Path) -> None:
    assert {name: host.GAP_S for name, host in HOSTS.items()} == {
        "arxiv": 3.0,
        "openalex": 0.1,
        "semantic_scholar": 1.0,
    }
    assert tuple(HOSTS) == NAMED
    with pytest.raises(Unanswered):
        Asker(a_root(tmp_path), HOSTS["arxiv"], a_task(tmp_path, urls={"arxiv": "x"}).project.literature, str)
