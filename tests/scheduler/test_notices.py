"""Notices over a real web server and real programs: sent once, delaying nobody, and free when nobody wants any."""

from __future__ import annotations

import contextlib
import http.server
import importlib.util
import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.cli.surroundings import run_program
from lab.core import notice
from lab.core.errors import BadInput
from lab.core.notice import TEST
from lab.core.proposal import RESUME, RUN, Proposal
from lab.core.view import AWAITING
from lab.core.world import World
from lab.scheduler import decisions, digest, refresh
from lab.scheduler.control import approvals, delivery, notices
from lab.scheduler.search.burst import Burst, Order
from lab.scheduler.search.guided import Guided
from lab.scheduler.search.plan import Wanted
from lab.scheduler.turn import Turn
from lab.scheduler.visit import Request
from lab.store.root import Root
from lab.store.sections import hold
from lab.testing.files import SteadyClock
from tests.scheduler.labs import a_lab, one_run
from tests.scheduler.search.searches import a_search

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.subject import Subject
    from lab.core.view import View

CHECKOUT = Path(__file__).resolve().parents[2]
HOOK = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())"


class Server(http.server.ThreadingHTTPServer):
    """A web hook that remembers what it was given, and answers as it is told."""

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: list[dict[str, object]] = []
        self.headers: list[dict[str, str]] = []
        self.codes: list[int] = []
        self.hang = threading.Event()
        self.hangs = self.dribbles = False

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/secret-path"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        self.server.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.server.headers.append(dict(self.headers))
        if self.server.dribbles:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            with contextlib.suppress(OSError):
                for _ in range(100):
                    self.wfile.write(b"X-Slow: 1\r\n")
                    if self.server.hang.wait(0.1):
                        return
        if self.server.hangs:
            self.server.hang.wait(10)
        code = self.server.codes.pop(0) if self.server.codes else 204
        self.send_response(code)
        if code == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def do_GET(self) -> None:
        self.server.got.append({"method": "GET"})
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.hang.set()
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Root:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    lab = a_lab(tmp_path / "lab", "a", more="notify: all\n")
    world = World(now=SteadyClock(), rng=random.Random(0), run=run_program, environ={"TOKEN": "s3cret"})
    return Root(lab.layout.root, world)


def configure(root: Root, *channels: dict[str, object], **more: object) -> None:
    with open(root.layout.notify, "w", encoding="utf-8") as file:
        json.dump({"channels": channels, **more}, file)


def subject(root: Root) -> Subject:
    with root.section("a"):
        return refresh.catch_up(root, "a")


def handed_over(root: Root) -> tuple[View, Subject]:
    before = subject(root).view
    with root.section("a"):
        decisions._move(root, refresh.current(root, "a")[0], AWAITING, reason="x", actor="policy")
    approvals.ask(root, Proposal(kind=RESUME, experiment="a", reason="x"))
    return before, subject(root)


def remembered(root: Root) -> notice.State:
    return delivery.remembered(root)


def test_a_webhook_is_posted_what_happened_and_what_to_type(root: Root, server: Server) -> None:
    configure(root, {"name": "web", "webhook": server.address, "headers": {"Authorization": "$TOKEN"}})
    assert notices.after(root, [handed_over(root)]) == ()
    (got,) = server.got
    assert (got["schema"], got["kind"], got["experiment"]) == ("labctl.notice/1", "needs-approval", "a")
    assert got["fix"] == "labctl approve a-1"
    assert str(got["text"]).startswith("[lab] needs-approval: a waits for a person")
    assert server.headers[0]["Authorization"] == "s3cret"
    assert server.headers[0]["Content-Type"] == "application/json"


def test_the_same_change_is_told_once_even_by_two_turns(root: Root, server: Server) -> None:
    configure(root, {"name": "web", "webhook": server.address})
    change = handed_over(root)
    for _ in range(3):
        notices.after(root, [change])
    assert len(server.got) == 1
    os.unlink(root.layout.notices)  # losing it costs a notice sent twice, and nothing else
    notices.after(root, [change])
    assert len(server.got) == 2


def proposed() -> Proposal:
    return Proposal(kind=RUN, experiment="a", params={"lr": 0.1}, asked_by="ann")


def a_turn(root: Root) -> Turn:
    made = Turn(root, Request(only=("a",)), tell=lambda _: None, interrupted=lambda: "")
    made.hear()
    return made


def test_what_somebody_proposes_is_told_at_once_and_never_again(root: Root, server: Server) -> None:
    configure(root, {"name": "web", "webhook": server.address}, again_after_minutes=0)
    for _ in range(3):
        approvals.propose(root, proposed())
        a_turn(root)
    assert [(got["kind"], got["fix"]) for got in server.got] == [("needs-approval", "labctl approve a-1")]
    approvals.reject(root, "a-1", why="no", actor="ann")
    approvals.propose(root, proposed())
    assert [got["fix"] for got in server.got] == ["labctl approve a-1", "labctl approve a-2"]


def test_what_nobody_was_told_of_is_told_by_the_next_turn(root: Root, server: Server) -> None:
    approvals.ask(root, proposed())  # whoever asked was stopped there
    handed_over(root)
    configure(root, {"name": "web", "webhook": server.address})
    with open(f"{root.layout.approvals}/notes.json", "w", encoding="utf-8") as file:
        file.write("{}")
    for _ in range(3):
        assert a_turn(root).warnings == []
    assert sorted(str(got["what"]) for got in server.got) == ["a asks for approval to run", "a waits for a person"]


def test_a_proposal_of_a_silent_experiment_is_told_where_always_says_so(root: Root, server: Server) -> None:
    with open(root.layout.spec("a"), encoding="utf-8") as file:
        text = file.read()
    with open(root.layout.spec("a"), "w", encoding="utf-8") as file:
        file.write(text.replace("notify: all", "notify: silent"))
    configure(root, {"name": "web", "webhook": server.address})
    approvals.propose(root, proposed())
    assert server.got == []
    configure(root, {"name": "web", "webhook": server.address}, always=["needs-approval"])
    a_turn(root)
    a_turn(root)
    assert [got["kind"] for got in server.got] == ["needs-approval"]


def test_a_guided_burst_without_a_terminal_tells_that_it_waits(tmp_path: Path, root: Root, server: Server) -> None:
    lab = a_search(tmp_path / "search", "strategy: random\nnotify: all\nexecutor: stub\n")
    world = World(now=SteadyClock(), rng=random.Random(0), run=run_program, environ={})
    searching = Root(lab.layout.root, world)
    configure(searching, {"name": "web", "webhook": server.address})
    for _ in range(2):
        burst = Burst(searching, Order(experiment="hunt"), Wanted(), tell=lambda _: None, interrupted=lambda: "")
        burst.prepare()
        Guided(searching, burst, ask=None, actor="ann").run(wait_s=0)
    assert [got["fix"] for got in server.got] == ["labctl approve hunt-1"]


def test_a_notice_that_cannot_be_sent_keeps_no_proposal_from_being_made(root: Root) -> None:
    configure(root, {"name": "desk", "command": ["false"]})
    asked = approvals.propose(root, proposed())
    assert asked.made
    assert len(asked.warnings) == 1


def test_a_run_that_is_a_new_best_is_told_by_a_command(root: Root, tmp_path: Path) -> None:
    out = tmp_path / "out"
    configure(root, {"name": "desk", "command": [sys.executable, "-I", "-c", HOOK, str(out)]})
    one_run(root, "a", 0.5)
    before = subject(root).view
    one_run(root, "a", 0.25)
    assert notices.after(root, [(before, subject(root))]) == ()
    (line,) = out.read_text().splitlines()
    assert json.loads(line)["kind"] == "new-best"
    assert json.loads(line)["run"].startswith("RUN-")


def test_a_command_gets_no_shell(root: Root, tmp_path: Path) -> None:
    configure(root, {"name": "desk", "command": [sys.executable, "-I", "-c", HOOK, f"{tmp_path}/$(id); x"]})
    assert notices.after(root, [handed_over(root)]) == ()
    assert (tmp_path / "$(id); x").exists()


def test_a_silent_experiment_tells_nobody(root: Root, server: Server, tmp_path: Path) -> None:
    configure(root, {"name": "web", "webhook": server.address})
    quiet = a_lab(tmp_path / "quiet", "a")
    before, after = handed_over(quiet)
    assert notices.after(root, [(before, after)]) == ()
    assert server.got == []


@pytest.mark.parametrize(
    ("codes", "posts", "problem"),
    [([503], 2, ""), ([503, 503], 2, "it answered 503"), ([404], 1, "it answered 404"), ([302], 1, "it answered 302")],
)
def test_a_webhook_is_tried_once_more_where_that_can_help(
    root: Root, server: Server, codes: list[int], posts: int, problem: str
) -> None:
    server.codes = codes
    configure(root, {"name": "web", "webhook": server.address})
    said = notices.after(root, [handed_over(root)])
    assert said == ((f"notices by web: {problem}",) if problem else ())
    assert len(server.got) == posts
    assert (remembered(root).channels["web"].problem if problem else "") == problem


def test_a_channel_that_fails_keeps_no_other_from_its_notice_and_then_rests(root: Root, server: Server) -> None:
    configure(
        root,
        {"name": "gone", "webhook": "http://127.0.0.1:1/secret"},
        {"name": "missing", "command": ["/no/such/program"]},
        {"name": "unset", "webhook": "$NOWHERE"},
        {"name": "web", "webhook": server.address},
    )
    said = notices.after(root, [handed_over(root)])
    assert len(said) == 3
    assert "secret" not in " ".join(said)
    assert len(server.got) == 1
    state = remembered(root)
    assert all(state.channels[name].missed == 1 for name in ("gone", "missing", "unset"))
    decisions.resume(root, "a", reason="", actor="ann")
    assert notices.after(root, [handed_over(root)]) == ()  # they rest: no time is lost on them
    assert len(server.got) == 2
    assert remembered(root).channels["gone"].missed == 2


@pytest.mark.parametrize("how", ["hangs", "dribbles"])
def test_a_webhook_that_never_answers_delays_the_lab_by_seconds_only(
    root: Root, server: Server, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(delivery, "LIMIT_S", 0.3)
    setattr(server, how, True)
    configure(root, {"name": "web", "webhook": server.address})
    begun = time.monotonic()
    assert notices.after(root, [handed_over(root)]) == ("notices by web: no answer within 0.3s",)
    assert time.monotonic() - begun < 5
    server.hang.set()


@pytest.mark.parametrize("data", ["", "[]", '{"channels": [{"name": "x", "webhook": "ftp://x"}]}'])
def test_a_wrong_configuration_is_a_warning_and_stops_nothing(root: Root, data: str) -> None:
    with open(root.layout.notify, "w", encoding="utf-8") as file:
        file.write(data)
    (said,) = notices.after(root, [handed_over(root)])
    assert said.startswith("no notice was sent")
    assert "control/notify.json" in said
    with pytest.raises(BadInput):
        delivery.configured(root)


def test_somebody_else_at_it_for_long_is_not_waited_for(
    root: Root, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "PAGES_WAIT_S", 0.05)
    configure(root, {"name": "web", "webhook": server.address})
    change = handed_over(root)
    with hold(root.layout.notices_section):
        assert notices.after(root, [change]) == ("no notice was sent: another process is at it",)
    assert notices.after(root, [change]) == ()
    assert len(server.got) == 1


def test_a_state_that_cannot_be_written_sends_nothing_rather_than_the_same_for_ever(root: Root, server: Server) -> None:
    configure(root, {"name": "web", "webhook": server.address})
    os.mkdir(root.layout.notices)
    (said,) = notices.after(root, [handed_over(root)])
    assert said.startswith("no notice was sent")
    assert server.got == []


def test_a_damaged_state_is_as_good_as_none(root: Root, server: Server) -> None:
    configure(root, {"name": "web", "webhook": server.address})
    with open(root.layout.notices, "wb") as file:
        file.write(b"\0\0\0")
    assert notices.after(root, [handed_over(root)]) == ()
    assert len(server.got) == 1


def test_too_many_notices_end_in_one_summary(root: Root, server: Server) -> None:
    configure(root, {"name": "web", "webhook": server.address}, most_an_hour=2)
    news = [notice.Notice(kind="new-best", what=f"n{n}", key=str(n)) for n in range(9)]
    for each in news:
        notices.tell(root, [each])
    assert [got["kind"] for got in server.got] == ["new-best", "new-best", "held-back"]


def test_a_digest_is_told_and_its_head_lies_in_the_outbox(root: Root, server: Server) -> None:
    configure(root, {"name": "web", "webhook": server.address})
    made = digest.write(root, digest.DAILY, "2026-01-02", actor="ann")
    assert [got["kind"] for got in server.got] == ["digest"]
    with open(root.layout.day("2026-01-02"), encoding="utf-8") as file:
        assert file.read().splitlines() == made.text.splitlines()[:10]
    digest.write(root, digest.WEEKLY, "2026-W01", actor="ann")
    assert not os.path.exists(root.layout.day("2026-W01"))


def test_damage_that_verify_found_is_told_once_a_day(root: Root, server: Server) -> None:
    configure(root, {"name": "web", "webhook": server.address})
    assert notices.damaged(root, []) == ()
    for _ in range(2):
        notices.damaged(root, [("experiments/a/runs/RUN-1", "a sealed file was changed")])
    assert [got["kind"] for got in server.got] == ["integrity"]
    assert "1 place is not as sealed" in str(server.got[0]["what"])


def test_a_rehearsal_tells_how_each_channel_does(root: Root, server: Server) -> None:
    configure(root, {"name": "web", "webhook": server.address}, {"name": "bad", "command": ["false"]})
    config = delivery.configured(root)
    assert config is not None
    web, bad = delivery.rehearse(root, config)
    assert (web.problem, bad.problem) == ("", "false ended with 1")
    assert [got["kind"] for got in server.got] == [TEST]
    with pytest.raises(BadInput, match="no channel phone"):
        delivery.rehearse(root, config, "phone")


def test_where_nothing_is_configured_nothing_is_loaded_and_one_file_is_looked_for(root: Root) -> None:
    change = handed_over(root)
    assert notices.after(root, [change]) == ()
    assert not os.path.exists(root.layout.notices)
    program = (
        "import sys\nfrom lab.scheduler.control import notices\nfrom lab.testing.files import a_root\n"
        "assert notices.after(a_root(sys.argv[1]), iter(())) == ()\n"
        "heavy = {'lab.core.notice', 'lab.scheduler.control.delivery', 'urllib.request', 'threading'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program, root.layout.root]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert [name for name in json.loads(done.stdout.replace("'", '"')) if name != "threading"] == []


def test_apprise_delivers(root: Root, server: Server) -> None:
    if importlib.util.find_spec("apprise") is None:
        pytest.skip("apprise is not installed: pip install 'labctl[notify]'")
    configure(root, {"name": "any", "apprise": server.address.replace("http://", "json://")})
    assert notices.after(root, [handed_over(root)]) == ()
    assert "labctl approve a-1" in str(server.got[0]["message"])
    configure(root, {"name": "any", "apprise": "nonsense://x"})
    decisions.resume(root, "a", reason="", actor="ann")
    assert notices.after(root, [handed_over(root)]) == ("notices by any: apprise does not know this address",)


@pytest.mark.skipif(importlib.util.find_spec("apprise") is not None, reason="apprise is installed")
def test_without_apprise_its_channel_says_what_to_install(root: Root) -> None:
    configure(root, {"name": "any", "apprise": "json://localhost"})
    assert notices.after(root, [handed_over(root)]) == (
        "notices by any: apprise is not installed: pip install 'labctl[notify]'",
    )
