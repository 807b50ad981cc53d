"""The live pages in a real browser: what happens while they are open, and what a reader keeps."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.core.origin import Origin
from lab.core.proposal import RUN, Proposal
from lab.scheduler import refresh
from lab.scheduler.control import approvals
from tests.cli.searches import a_run, made
from tests.scheduler.labs import an_experiment
from tests.web.labs import HOSTILE, NAME, PARAMS, a_numbered_run, a_seen_lab, begun, finished, looked_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.web.browser import Browser
    from tests.web.labs import Served

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.needs("chromium"),
    pytest.mark.needs("chromedriver"),
    pytest.mark.xdist_group("browser"),  # one browser for all of them
    pytest.mark.timeout(120),
]
LIVE = (  # and all of it is there
    "return document.getElementById('connection').textContent === 'live' && !document.querySelector('[data-again]')"
)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with looked_at(a_seen_lab(tmp_path / "lab")) as served:
        yield served


def opened(browser: Browser, address: str) -> None:
    browser.open(address)
    browser.wait(LIVE)


def logged_in(browser: Browser, served: Served) -> None:
    browser.open(f"{served.url}/login")
    browser.find("#token").type(served.site.sessions.token)
    browser.press("Enter")
    browser.wait_for_text("Log out")


def test_a_run_that_is_sealed_appears_on_every_open_page_by_itself(browser: Browser, served: Served) -> None:
    with browser.another() as second:
        opened(browser, f"{served.url}/experiments/{NAME}")
        opened(second, f"{served.url}/")
        browser.run("window.notReloaded = true")
        second.run("window.notReloaded = true")
        run_id = a_numbered_run(served.root, 20)
        refresh.lab_pages(served.root)
        browser.wait_for_text("the best so far")  # it is told
        browser.wait("return [...document.querySelectorAll('#numbers dd')].some(e => e.innerText.includes('0.047619'))")
        browser.wait("return [...document.querySelectorAll('#runs a')].some(e => e.innerText === arguments[0])", run_id)
        second.wait("return document.querySelector('#experiments tbody').innerText.includes('0.047619')")
        assert browser.run("return window.notReloaded") is True
        assert second.run("return window.notReloaded") is True
        assert browser.told() == []
        assert second.told() == []


def test_a_page_that_was_sent_before_its_picture_says_soon_what_that_knows(browser: Browser, tmp_path: Path) -> None:
    root = a_seen_lab(tmp_path / "lab", 0)
    a_run(root, PARAMS, 1.0, origin=Origin(kind="baseline"), name=NAME)
    a_run(root, {**PARAMS, "depth": 3}, 0.9, origin=made(1), name=NAME)
    refresh.lab_pages(root)
    with looked_at(root) as served:
        opened(browser, f"{served.url}/experiments/{NAME}")
        gain = "return document.querySelector('#numbers').innerText.includes(arguments[0])"
        browser.wait(gain, "gain 0.1")
        assert browser.text.count("gain 0.1") == 1  # and not below once more
        assert browser.count("nav.contents a[href='#parameters']") == 1
        a_run(root, {**PARAMS, "depth": 4}, 0.2, origin=made(2), name=NAME)
        browser.wait(gain, "gain 0.8")
        browser.wait("return document.querySelector('#luck').innerText.includes('after 3 runs')")
        assert browser.told() == []


def test_a_run_that_begins_and_one_that_asks_are_told_too(browser: Browser, served: Served) -> None:
    opened(browser, f"{served.url}/experiments/{NAME}")
    running = begun(served.root)
    browser.wait_for_text("Under way")
    browser.wait(
        "return document.querySelector('#numbers').innerText.includes(arguments[0])", running.lease.claim.run_id
    )
    approvals.propose(served.root, Proposal(kind=RUN, experiment=NAME, params=PARAMS, reason="it looks promising"))
    browser.wait_for_text("it looks promising")
    finished(served.root, running)
    browser.wait("return !document.querySelector('#numbers').innerText.includes('Under way')")


def test_the_filter_is_answered_while_one_types_and_the_focus_stays(browser: Browser, served: Served) -> None:
    opened(browser, f"{served.url}/experiments/{NAME}/runs")
    assert browser.count("[data-part=runs] tbody tr") == 12
    box = browser.find("#q")
    box.type("outcome:crash")
    browser.wait("return document.querySelectorAll('[data-part=runs] tbody tr').length === 2")
    assert browser.url.endswith("/runs?q=outcome%3Acrash")
    assert browser.run("return document.querySelector('[role=status]#said').textContent") == "2 of 12 runs"
    assert browser.run("return document.activeElement.id") == "q"
    box.type(" lr>")  # not complete yet: told, and the rest holds
    browser.wait("return document.querySelector('[role=alert]')?.innerText.includes('not complete')")
    assert browser.count("[data-part=runs] tbody tr") == 2
    a_numbered_run(served.root, 14)  # the table is renewed under it
    browser.wait("return document.querySelectorAll('[data-part=runs] tbody tr').length === 3")
    assert browser.find("#q").value == "outcome:crash lr>"
    assert browser.run("return document.activeElement.id") == "q"
    assert browser.told() == []


@pytest.mark.parametrize("page", ["", "/runs"])
def test_why_a_run_failed_is_seen_without_moving_the_table(browser: Browser, served: Served, page: str) -> None:
    origin = Origin(kind="trial", strategy="a-strategy-with-a-long-name", arm="aWordThatIsVeryLongIndeed")
    a_run(
        served.root, {**PARAMS, "lr": 0.012345678}, None, outcome="crash", origin=origin, name=NAME, cost=0.01059,
        reason="CUDA out of memory: tried to allocate 20 GiB on a device of which nothing was free " * 2,
    )  # fmt: skip
    refresh.lab_pages(served.root)
    browser.size(1200, 900)
    opened(browser, f"{served.url}/experiments/{NAME}{page}")
    frame = browser.run("""
        const wide = document.querySelector("table.list").closest(".wide");
        return [wide.clientWidth, ...[...wide.querySelectorAll("td.says")].map(
            (each) => each.getBoundingClientRect().right - wide.getBoundingClientRect().left)]""")
    assert isinstance(frame, list)
    assert max(frame[1:]) <= frame[0] + 1
    assert browser.count("table.list td.says") > 10


def test_sorting_by_a_head_keeps_the_focus_on_it_and_says_how_it_is_sorted(browser: Browser, served: Served) -> None:
    opened(browser, f"{served.url}/experiments/{NAME}/runs?q=kind:keep")
    browser.find("#sort-value").click()
    browser.wait("return document.querySelector('th[aria-sort]')?.innerText.startsWith('value')")
    assert browser.run("return document.activeElement.id") == "sort-value"
    assert browser.run("return document.querySelector('[name=sort]').value") == "value"
    first = browser.run("return document.querySelector('[data-part=runs] tbody tr').innerText")
    assert "0.0833333" in str(first)
    browser.press("Enter")
    browser.wait("return document.querySelector('th[aria-sort]').getAttribute('aria-sort') === 'descending'")
    assert "q=kind%3Akeep" in browser.url


def test_what_is_typed_into_a_form_outlives_the_news(browser: Browser, served: Served) -> None:
    approvals.propose(served.root, Proposal(kind=RUN, experiment=NAME, params=PARAMS, reason="promising"))
    logged_in(browser, served)
    opened(browser, f"{served.url}/experiments/{NAME}")
    browser.find(".wants input[name=reason]").type("because of what")
    a_numbered_run(served.root, 20)
    browser.wait("return [...document.querySelectorAll('#numbers dd')].some(e => e.innerText.includes('0.047619'))")
    assert browser.find(".wants input[name=reason]").value == "because of what"
    browser.press("x")
    assert browser.find(".wants input[name=reason]").value == "because of whatx"


def test_two_browsers_decide_and_the_second_is_told_who_was_quicker(browser: Browser, served: Served) -> None:
    asked = approvals.propose(served.root, Proposal(kind=RUN, experiment=NAME, params=PARAMS, reason="promising"))
    with browser.another() as second:
        for each in (browser, second):
            logged_in(each, served)
            each.open(f"{served.url}/")
            each.wait_for_text(asked.proposal_id)
        second.run("window.stop(); document.querySelectorAll('[data-part]').forEach(e => e.removeAttribute('data-on'))")
        browser.find(".decide button:not([disabled])").click()
        browser.wait("return !document.body.innerText.includes(arguments[0])", asked.proposal_id)
        second.run("document.querySelector('.decide button:not([disabled])')?.click()")
        second.wait_for_text("approved already by ann (web)")


def test_hostile_words_are_shown_and_do_nothing(browser: Browser, tmp_path: Path) -> None:
    root = a_seen_lab(tmp_path / "lab", 3)
    run_id = a_numbered_run(root, 20, note=HOSTILE)
    with open(f"{root.layout.run(NAME, run_id)}/stdout.log", "w", encoding="utf-8") as file:
        file.write(f"{HOSTILE}\nplain\n")
    refresh.lab_pages(root)
    with looked_at(root) as served:
        for path in (
            "/",
            f"/experiments/{NAME}",
            f"/experiments/{NAME}/runs",
            f"/runs/{run_id}",
            f"/compare?a={run_id}",
        ):
            browser.open(served.url + path)
            assert browser.title != "taken"
            assert browser.count("main img, main script") == 0
            shown = browser.run("return document.documentElement.outerHTML")
            assert not {"\x1b", "\u202e", "\x07", "\x9b"} & set(str(shown))
            assert browser.told() == [], path
        browser.open(f"{served.url}/runs/{run_id}")
        assert "<script>document.title='taken'</script>" in browser.find("#log-lines").text


def test_a_log_grows_on_its_page_and_ends_with_a_word(browser: Browser, served: Served) -> None:
    running = begun(served.root)
    path = served.root.layout.run(NAME, running.lease.claim.run_id)
    with open(f"{path}/stdout.log", "a", encoding="utf-8") as log:
        log.write("step 1\n")
        log.flush()
        browser.open(f"{served.url}/runs/{running.lease.claim.run_id}")
        assert browser.find("#log-lines").text == "step 1"
        log.write("\x1b[32mstep 2\x1b[0m\n10%\r20%\r30%\n")
        log.flush()
        browser.wait("return document.querySelector('#log-lines').innerText.includes('30%')")
        assert browser.find("#log-lines").text == "step 1\nstep 2\n30%"
        for bar in ("\r 1%|#|\r 2%|##|", "\r 3%|###|\r"):
            log.write(bar)
            log.flush()
            state = bar.strip("\r").split("\r")[-1]
            browser.wait(f"return document.querySelector('#log-unfinished').textContent === '{state}'")
        browser.open(f"{served.url}/runs/{running.lease.claim.run_id}")
        assert browser.find("#log-lines").text == "step 1\nstep 2\n30%\n 3%|###|"
        log.write("\rdone\n")
        log.write("".join(f"line {number}\n" for number in range(5000)))
        log.flush()
        browser.wait("return document.querySelector('#log-lines').innerText.includes('line 4999')")
        lines = browser.run("return document.querySelector('#log-lines').textContent.split('\\n').length - 1")
        assert isinstance(lines, int)
        assert 1 < lines <= 5001
    finished(served.root, running)
    browser.wait("return document.querySelector('#log-state').innerText === 'ended: success'")
    browser.wait_for_text("sealed")
    assert browser.told() == []


def test_a_bundle_that_vanishes_while_its_page_is_open_is_told(browser: Browser, served: Served) -> None:
    running = begun(served.root)
    run_id = running.lease.claim.run_id
    browser.open(f"{served.url}/runs/{run_id}")
    browser.wait(LIVE)
    shutil.rmtree(served.root.layout.run(NAME, run_id))
    browser.wait("return document.querySelector('#log-state').innerText.includes('nothing more can be read')")
    assert "is gone" in browser.find("#log-state").text
    browser.open(f"{served.url}/runs/{run_id}")
    browser.wait_for_text("there is no run")


def test_a_server_that_goes_away_is_told_and_found_again(browser: Browser, tmp_path: Path) -> None:
    root = a_seen_lab(tmp_path / "lab")
    with looked_at(root) as served:
        opened(browser, f"{served.url}/")
        port = served.server.port
    browser.wait_for_text("not connected")
    run_id = a_numbered_run(root, 20)
    refresh.lab_pages(root)
    with looked_at(root, port=port):
        browser.wait(LIVE)
        browser.wait("return document.querySelector(`#experiments a[href='/runs/${arguments[0]}']`) !== null", run_id)


def test_every_page_can_be_used_by_keyboard_and_by_who_does_not_see(browser: Browser, served: Served) -> None:
    run_id = a_numbered_run(served.root, 20)
    for path in ("/", f"/experiments/{NAME}", f"/experiments/{NAME}/runs", f"/runs/{run_id}", "/compare"):
        browser.open(served.url + path)
        browser.press("Tab")
        assert browser.focused() == "a Skip to the content"
        roles = [role for role, _ in browser.landmarks()]
        for wanted in ("banner", "navigation", "main", "contentinfo", "complementary", "heading"):
            assert wanted in roles, (path, wanted)
        levels = browser.words("return [...document.querySelectorAll('h1,h2,h3,h4')].map(e => e.tagName[1])")
        assert levels[0] == "1", path
        assert all(int(after) - int(before) <= 1 for before, after in pairwise(levels)), (
            path,
            levels,
        )
        ids = browser.words("return [...document.querySelectorAll('[id]')].map(e => e.id)")
        assert sorted({each for each in ids if ids.count(each) > 1}) == [], path
        nameless = browser.words(
            "const said = (e) => e.labels?.length || e.getAttribute('aria-label') || e.textContent.trim();"
            "return [...document.querySelectorAll('input:not([type=hidden]),select,button,a')]"
            ".filter(e => !said(e)).map(e => e.outerHTML)"
        )
        assert nameless == [], path


def test_every_page_is_dark_in_the_dark_and_fits_a_telephone(browser: Browser, served: Served) -> None:
    run_id = a_numbered_run(served.root, 20)
    for path in ("/", f"/experiments/{NAME}", f"/experiments/{NAME}/runs", f"/runs/{run_id}", "/compare"):
        browser.size(390, 844)
        browser.dark(on=False)
        browser.open(served.url + path)
        light = browser.find("body").css("background-color")
        assert browser.run("return document.documentElement.scrollWidth") == 390, path
        narrow = "return Math.min(...[...document.querySelectorAll('td.says')].map(e => e.clientWidth))"
        if browser.count("td.says"):  # words, and not one a line: the table can be pushed to and fro
            assert float(str(browser.run(narrow))) >= 170, path
        browser.dark()
        assert browser.find("body").css("background-color") != light
        assert browser.told() == [], path


def test_every_page_works_without_a_script(browser: Browser, served: Served) -> None:
    an_experiment(served.root, "empty")
    refresh.lab_pages(served.root)
    browser.scripts(on=False)
    browser.open(f"{served.url}/experiments/{NAME}/runs")
    browser.find("#q").type("kind:crash")
    browser.press("Enter")
    browser.wait("return document.querySelectorAll('[data-part=runs] tbody tr').length === 2")
    browser.run(
        "document.querySelectorAll('[name=a]')[0].checked = document.querySelectorAll('[name=b]')[1].checked = true"
    )
    browser.find("#compare button").click()
    browser.wait_for_text("Two runs beside each other")
    assert browser.count(".pairs") >= 1
    browser.open(f"{served.url}/experiments/empty")
    assert "No run has ended yet." in browser.text


def test_a_lab_that_goes_away_is_said_where_the_page_said_live_and_so_is_its_return(
    browser: Browser, served: Served, tmp_path: Path
) -> None:
    lab = Path(served.root.layout.root)
    is_live = "return document.querySelector('#connection').className === 'connection is-live'"
    for page in ("/", f"/experiments/{NAME}"):
        browser.open(f"{served.url}{page}")
        browser.wait(is_live)
        lab.rename(tmp_path / "elsewhere")
        browser.wait_for_text("the lab cannot be read: the data root is not there any more")
        assert browser.run(is_live) is False
        browser.open(f"{served.url}{page}")
        browser.wait_for_text("the data root is not there any more")
        browser.wait_for_text("What to do: mount its disk")
        assert "labctl create" not in browser.text
        assert "labctl refresh" not in browser.text
        (tmp_path / "elsewhere").rename(lab)
        browser.open(f"{served.url}{page}")
        browser.wait(is_live)
        lab.rename(tmp_path / "elsewhere")
        browser.wait_for_text("the lab cannot be read: the data root is not there any more")
        (tmp_path / "elsewhere").rename(lab)
        browser.wait(is_live)


def test_a_part_that_is_refused_is_said_and_asked_for_again(browser: Browser, served: Served) -> None:
    browser.open(f"{served.url}/")
    browser.wait("return document.querySelector('#connection').innerText === 'live'")
    index = Path(served.root.layout.index)
    data = index.read_bytes()
    index.write_bytes(b"{")
    browser.wait_for_text("not renewed: the index of the lab is damaged")
    index.write_bytes(data)
    browser.wait("return document.querySelector('#connection').innerText === 'live'")
