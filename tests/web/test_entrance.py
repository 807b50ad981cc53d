"""In a real browser: log in, decide, be told, log out; and what a page of another site tries from there."""

from __future__ import annotations

import http.server
import threading
import time
from typing import TYPE_CHECKING

import pytest

from lab.core.proposal import RUN, Proposal
from lab.core.view import PAUSED
from lab.scheduler import refresh
from lab.scheduler.control import approvals, proposals
from lab.web import pages
from lab.web.server import Server
from lab.web.site import Site
from tests.scheduler.labs import a_lab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.store.root import Root
    from tests.web.browser import Browser

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.needs("chromedriver")]
PARAMS: dict[str, object] = {"lr": 0.1}


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return a_lab(tmp_path / "lab", "alpha")


@pytest.fixture
def served(root: Root) -> Iterator[tuple[Server, Site]]:
    site = Site(root, actor="ann")
    with Server(site, pages.ROUTES) as server:
        yield server, site


def log_in(browser: Browser, served: tuple[Server, Site], at: str = "") -> None:
    browser.open(f"{served[0].url}{at}")
    browser.find("header a[href^='/login']").click()
    browser.wait_for("#token").type(served[1].sessions.token)
    browser.press("Enter")
    browser.wait_for("form[action='/logout']")


def phase(root: Root) -> str:
    with root.section("alpha"):
        return refresh.catch_up(root, "alpha").view.phase


def test_who_knows_the_token_decides_from_the_page_and_goes_again(
    root: Root, served: tuple[Server, Site], browser: Browser
) -> None:
    approvals.ask(root, Proposal(kind=RUN, experiment="alpha", params=PARAMS, reason="a guess"))
    browser.open(f"{served[0].url}experiments/alpha")
    assert browser.count("form[action^='/proposals/']") == 0
    log_in(browser, served, "experiments/alpha")
    assert browser.url.endswith("/experiments/alpha")
    browser.find("form[action='/proposals/alpha-1/approve'] button[aria-label^=Approve]").click()
    browser.until(lambda: proposals.ready(root), "it is approved")
    browser.until(lambda: not browser.count("form[action^='/proposals/']"), "nothing waits any more")
    assert browser.url.endswith("/experiments/alpha")
    browser.find("form[action='/experiments/alpha/pause'] input[name=reason]").type("no data")
    browser.press("Enter")
    browser.wait_for("form[action='/experiments/alpha/resume']")
    assert phase(root) == PAUSED
    browser.find("form[action='/logout'] button").click()
    browser.wait_for("header a[href^='/login']")
    browser.open(f"{served[0].url}experiments/alpha")
    assert browser.count("form[method=post]") == 0
    assert browser.told() == []


@pytest.mark.parametrize("scripts", [True, False])
def test_enter_in_the_reason_is_neither_yes_nor_no(
    root: Root, served: tuple[Server, Site], browser: Browser, *, scripts: bool
) -> None:
    approvals.ask(root, Proposal(kind=RUN, experiment="alpha", params=PARAMS, reason="a guess"))
    browser.scripts(on=scripts)
    for at in ("", "experiments/alpha"):
        if at:
            browser.open(f"{served[0].url}{at}")
        else:
            log_in(browser, served)
        browser.find("input[id^=reason-alpha-1]").type("no, I refuse")
        browser.press("Enter")
    time.sleep(0.5)  # nothing is to happen, and of that there is no sign
    assert proposals.ready(root) == []
    assert browser.url.endswith("/experiments/alpha")
    assert browser.find("input[id^=reason-alpha-1]").value == "no, I refuse"
    browser.find("button[formaction$='/reject']").click()
    browser.until(lambda: not browser.count("form[action^='/proposals/']"), "it is rejected")
    assert proposals.ready(root) == []


def test_a_no_without_a_reason_is_asked_for_one(root: Root, served: tuple[Server, Site], browser: Browser) -> None:
    approvals.ask(root, Proposal(kind=RUN, experiment="alpha", params=PARAMS, reason="a guess"))
    log_in(browser, served, "experiments/alpha")
    browser.find("button[formaction$='/reject']").click()
    browser.until(lambda: browser.focused().startswith("input"), "the reason has the focus")
    assert browser.url.endswith("/experiments/alpha")
    browser.find("form[action='/proposals/alpha-1/approve'] button[aria-label^=Approve]").click()
    browser.until(lambda: proposals.ready(root), "a yes needs none")


def test_it_works_without_any_script(root: Root, served: tuple[Server, Site], browser: Browser) -> None:
    browser.scripts(on=False)
    log_in(browser, served, "experiments/alpha")
    browser.find("form[action='/experiments/alpha/pause'] button").click()
    browser.wait_for("form[action='/experiments/alpha/resume']")
    assert phase(root) == PAUSED


def test_of_two_browsers_the_second_is_told_in_words(root: Root, served: tuple[Server, Site], browser: Browser) -> None:
    approvals.ask(root, Proposal(kind=RUN, experiment="alpha", params=PARAMS, reason="a guess"))
    browser.scripts(on=False)  # else its page is renewed before it can be late
    log_in(browser, served, "experiments/alpha")
    seen = proposals.load(root, "alpha-1")
    assert isinstance(seen, tuple)
    approvals.approve(root, "alpha-1", actor="bob", sha256=seen[1])
    browser.find("form[action='/proposals/alpha-1/approve'] button[aria-label^=Approve]").click()
    browser.wait_for_text("alpha-1 is approved already by bob")
    assert "What to do:" in browser.text


def test_a_wrong_token_is_told_and_the_page_reads_well(served: tuple[Server, Site], browser: Browser) -> None:
    browser.open(f"{served[0].url}login")
    browser.until(lambda: browser.focused().startswith("input"), "the field has the focus")
    browser.find("#token").type("labctl-guess")
    browser.press("Enter")
    browser.wait_for_text("That is not the token.")
    assert browser.count("[role=alert]") == 1
    assert {role for role, _ in browser.landmarks()} >= {"banner", "main", "navigation"}
    assert [line for line in browser.told() if "403" not in line] == []


class _Evil(http.server.BaseHTTPRequestHandler):
    """A page of another server of this machine, which wants the lab's."""

    page = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
        """Say nothing."""


@pytest.fixture
def evil() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Evil)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


def test_a_page_of_another_server_can_neither_send_a_form_nor_read_nor_frame(
    root: Root, served: tuple[Server, Site], browser: Browser, evil: str
) -> None:
    log_in(browser, served)
    url = served[0].url
    session = next(iter(served[1].sessions._there.values()))
    _Evil.page = f"""<!doctype html><title>evil</title><p id=said></p>
<form method=post action="{url}experiments/alpha/pause"><button>x</button><input name=csrf value="{session.csrf}">
</form>
<iframe src="{url}"></iframe><img src="{url}experiments/alpha/stairs.svg" onload="said.textContent += 'image '">
<script src="{url}index.json" onload="said.textContent += 'script '"></script>
<script>fetch("{url}index.json", {{credentials: "include"}}).then(() => said.textContent += "read ",
 () => said.textContent += "refused ");
const events = new EventSource("{url}events"); events.onopen = () => said.textContent += "events ";
events.onerror = () => said.textContent += "closed "</script>""".encode()
    for origin in (evil, evil.replace("localhost", "127.0.0.1")):  # another site, and the same one on another port
        browser.open(origin)
        browser.wait_for_text("refused")
        browser.wait_for_text("closed")
        for word in ("image", "script", "read", "events"):
            assert word not in browser.text
        browser.find("button").click()
        browser.wait_for_text("this did not come from a page of this server")
        assert phase(root) != PAUSED
