"""The browser that the other tests look with: what it sees, and that it sees when something is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.web.browser import Refused

if TYPE_CHECKING:
    from pathlib import Path

    from tests.web.browser import Browser

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.needs("chromium"),
    pytest.mark.needs("chromedriver"),
    pytest.mark.xdist_group("browser"),  # one browser for all of them
    pytest.mark.timeout(120),
]
PAGE = """<!doctype html><html lang="en"><title>A page</title>
<style>p{color:#000} @media (prefers-color-scheme:dark){p{color:#fff}}</style>
<main><h1>Head</h1><p id="said">not yet</p><input id="box" aria-label="A box"><button>Say it</button></main>
<script>document.querySelector("button").onclick = () =>
  { document.getElementById("said").textContent = document.getElementById("box").value; }</script>
"""


def opened(browser: Browser, place: Path, page: str = PAGE) -> None:
    (place / "page.html").write_text(page, encoding="utf-8")
    browser.open(place / "page.html")


def test_it_types_clicks_and_reads(browser: Browser, tmp_path: Path) -> None:
    opened(browser, tmp_path)
    browser.find("#box").type("hello")
    browser.press("Tab")
    assert browser.focused() == "button Say it"
    browser.press("Enter")
    browser.wait_for_text("hello")
    assert browser.title == "A page"
    assert browser.told() == []
    with pytest.raises(Refused, match="no such element"):
        browser.find("#nothing")


def test_it_tells_of_errors_and_of_what_a_policy_refused(browser: Browser, tmp_path: Path) -> None:
    policy = "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'\">"
    opened(browser, tmp_path, f"<!doctype html><title>x</title>{policy}<p style='color:red'>x<script>1</script>")
    refused = browser.told()
    assert len(refused) == 2
    assert all("Content Security Policy" in line for line in refused)
    opened(browser, tmp_path, "<!doctype html><title>x</title><script>throw new Error('broken')</script>")
    assert ["broken" in line for line in browser.told()] == [True]


def test_a_page_without_scripts_can_still_be_asked(browser: Browser, tmp_path: Path) -> None:
    browser.scripts(on=False)
    opened(browser, tmp_path, PAGE + "<noscript>no scripts here</noscript>")
    assert "no scripts here" in browser.text
    browser.find("#box").type("hello")
    browser.find("button").click()
    assert "hello" not in browser.text


def test_it_shows_dark_and_paper_and_what_a_screen_reader_finds(browser: Browser, tmp_path: Path) -> None:
    opened(browser, tmp_path)
    assert browser.find("p").css("color") == "rgba(0, 0, 0, 1)"
    browser.dark()
    assert browser.find("p").css("color") == "rgba(255, 255, 255, 1)"
    assert ("heading", "Head") in browser.landmarks()
    assert ("textbox", "A box") in browser.landmarks()
    assert browser.picture(whole=True).startswith(b"\x89PNG")
    assert browser.pdf().startswith(b"%PDF")


def test_two_browsers_share_no_cookie(browser: Browser, tmp_path: Path) -> None:
    with browser.another() as second:
        opened(second, tmp_path)
        assert second.title == "A page"
