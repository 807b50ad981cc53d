"""The report in a real browser: what people see, by eye, by key, by ear and on paper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lab.projections.drawing import runs
from tests.cli.labs import process
from tests.cli.searches import a_run, a_searched_lab, made
from tests.web.pictures import HOSTILE, a_picture
from tests.web.test_report import SECTIONS, a_page

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
# Each word of a drawing that leaves its frame, and each two that lie over each other.
CROWDED = """
const bad = [];
for (const svg of document.querySelectorAll("svg.lab-scene")) {
  const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
  const words = [...svg.querySelectorAll("text")].map((each) => [each.textContent, each.getBBox()]);
  words.forEach(([said, box], place) => {
    if (box.x < -0.5 || box.y < -0.5 || box.x + box.width > width + 0.5 || box.y + box.height > height + 0.5)
      bad.push(svg.id + ": outside: " + said);
    for (const [other, its] of words.slice(place + 1)) {
      const across = Math.min(box.x + box.width, its.x + its.width) - Math.max(box.x, its.x);
      const down = Math.min(box.y + box.height, its.y + its.height) - Math.max(box.y, its.y);
      if (across > 1 && down > 3) bad.push(svg.id + ": " + said + " / " + other);
    }
  });
}
return bad;
"""
# How many marks of a kind the staircase has, the one of its legend among them.
MARKS = """
let found = 0;
for (const each of document.querySelectorAll("#drawing-stairs ." + arguments[0])) {
  if (each.tagName === "path" && !each.classList.contains("mark")) found += each.getAttribute("d").match(/M/g).length;
  else if (each.classList.contains("mark")) found += 1;
}
return found;
"""
OVERFLOW = "return document.documentElement.scrollWidth - innerWidth"
PAPER = "return getComputedStyle(document.body).backgroundColor"


def opened(browser: Browser, place: Path, page: str) -> None:
    (place / "report.html").write_text(page, encoding="utf-8")
    browser.open(place / "report.html")


def test_a_report_has_everything_in_its_place_and_nothing_to_complain_of(browser: Browser, tmp_path: Path) -> None:
    picture = a_picture()
    opened(browser, tmp_path, a_page(picture))
    assert browser.told() == []
    assert browser.title == "lr-sweep: report"
    assert browser.words("return [...document.querySelectorAll('main section')].map((it) => it.id)") == list(SECTIONS)
    assert browser.words(CROWDED) == []
    for kind, count in picture.stairs.counts.items():
        assert browser.run(MARKS, kind) == count + 1
    assert browser.count("#runs tbody tr") == len(picture.rows)
    assert browser.count("article.run") == 12
    assert browser.run(OVERFLOW) == 0


@pytest.mark.parametrize("count", [0, 1])
def test_a_report_of_hardly_anything_is_a_page_too(count: int, browser: Browser, tmp_path: Path) -> None:
    opened(browser, tmp_path, a_page(a_picture(count)))
    assert browser.told() == []
    assert browser.words(CROWDED) == []
    assert browser.count("#runs tbody tr") == count


def test_what_is_hostile_is_shown_as_words_and_runs_nothing(browser: Browser, tmp_path: Path) -> None:
    opened(browser, tmp_path, a_page(says=HOSTILE, interactive=True))
    assert browser.told() == []
    assert browser.count("img") == 0
    assert browser.count("script") == 2
    assert browser.text.count("<script>alert(1)</script>red evil") > 20
    assert browser.words(CROWDED) == []
    assert browser.run(OVERFLOW) == 0


def test_it_is_dark_where_dark_is_wanted_and_light_on_paper(browser: Browser, tmp_path: Path) -> None:
    opened(browser, tmp_path, a_page())
    browser.dark(on=False)
    light = browser.run(PAPER)
    words = browser.find("h1").css("color")
    browser.dark()
    dark = browser.run(PAPER)
    assert (light, dark) == ("rgb(255, 255, 255)", "rgb(20, 23, 26)")
    assert browser.find("h1").css("color") != words
    browser.cdp(
        "Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}]
    )
    assert browser.run(PAPER) == light
    assert browser.find("nav.contents").is_shown is False
    assert browser.find("#drawing-stairs").is_shown
    assert browser.pdf().startswith(b"%PDF")


def test_nothing_hangs_over_a_narrow_screen_or_over_paper(browser: Browser, tmp_path: Path) -> None:
    browser.size(390, 844)
    opened(browser, tmp_path, a_page(says="unbroken" * 60))
    assert browser.run(OVERFLOW) == 0
    assert browser.run("return document.querySelector('#drawing-stairs').getBoundingClientRect().width") == 680
    opened(browser, tmp_path, a_page())
    browser.size(740, 1050)
    browser.paper()
    assert browser.run(OVERFLOW) == 0


def test_with_keys_the_content_is_two_presses_away(browser: Browser, tmp_path: Path) -> None:
    opened(browser, tmp_path, a_page())
    browser.press("Tab")
    assert browser.focused() == "a Skip to the content"
    assert browser.run("return document.activeElement.getBoundingClientRect().top >= 0") is True
    browser.press("Enter")
    assert browser.run("return document.activeElement.id") == "main"
    for _ in range(12):  # no walk through the hundreds of marks of a drawing
        browser.press("Tab")
        assert browser.run("return document.activeElement.closest('svg') === null") is True
    assert browser.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_with_a_screen_reader_its_landmarks_headings_drawings_and_tables_are_found(
    browser: Browser, tmp_path: Path
) -> None:
    opened(browser, tmp_path, a_page())
    found = browser.landmarks()
    roles = [role for role, _ in found]
    for role in ("banner", "navigation", "main", "contentinfo"):
        assert roles.count(role) == 1
    assert ("region", "Staircase") in found
    assert ("heading", "What wants you") in found
    drawn = [name for role, name in found if role == "image"]
    assert len(drawn) >= 7
    assert all(drawn)
    tables = [name for role, name in found if role == "table"]
    assert "40 runs, in the order of history" in tables
    assert all(tables)


def test_the_staircase_can_be_zoomed_into_and_says_what_is_under_the_pointer(browser: Browser, tmp_path: Path) -> None:
    opened(browser, tmp_path, a_page(interactive=True))
    assert browser.told() == []
    assert browser.count("#zoom canvas") == 1
    assert browser.count("#drawing-stairs") == 1
    named = browser.words("return [...document.querySelectorAll('#zoom p span')].map((it) => it.innerText.slice(2))")
    assert named[0] == "best so far"
    assert named[1:] == [entry.text for entry in runs.entries(a_picture().stairs)]
    assert any(name.startswith("failed") for name in named)
    assert any(name.startswith("same within") for name in named)
    drawn = "return document.querySelector('#zoom canvas').toDataURL()"
    whole = browser.run(drawn)
    browser.drag("#zoom .u-over", (-100, 0), (100, 0))
    browser.until(lambda: browser.run(drawn) != whole, "it zooms in")
    assert "#" not in browser.url  # who zooms goes nowhere
    browser.find("#zoom button:last-child").click()
    browser.until(lambda: browser.run(drawn) == whole, "it zooms out")
    browser.find("#zoom button").click()
    browser.until(lambda: browser.run(drawn) != whole, "the button zooms in")
    browser.find("#zoom .u-over").click()  # in its middle
    said = browser.find("#zoom [role=status]").text
    assert said.split(",")[0].split(": ")[1].startswith("RUN-20260102-03")
    assert "#" in browser.url
    assert browser.run(OVERFLOW) == 0
    assert browser.told() == []


def test_where_scripts_may_not_run_the_page_is_whole_without_them(browser: Browser, tmp_path: Path) -> None:
    browser.scripts(on=False)
    opened(browser, tmp_path, a_page(interactive=True))
    assert browser.count("#zoom") == 0
    assert browser.find("#drawing-stairs").is_shown
    assert browser.told() == []


def test_a_lab_whose_runs_wrote_what_is_hostile_gives_a_page_that_shows_it(browser: Browser, tmp_path: Path) -> None:
    root = a_searched_lab(tmp_path / "lab")
    for number, value in enumerate((0.5, 0.25, None)):
        outcome = "success" if value is not None else "crash"
        said: dict[str, Any] = {
            "reason": HOSTILE, "result": f"# {HOSTILE}\n", "metrics": {HOSTILE: HOSTILE, "seen": 7},
        }  # fmt: skip
        origin = made(number, arm=HOSTILE[:40], note=HOSTILE)
        a_run(
            root,
            {"lr": 0.1 / (number + 1), "depth": 3, "kind": HOSTILE},
            value,
            outcome=outcome,
            origin=origin,
            **said,
        )
    told = process("report", "sweep", "-o", str(tmp_path / "x.html"), "--interactive", root=tmp_path / "lab")
    assert told.code == 0, told
    assert told.err == ""
    browser.open(tmp_path / "x.html")
    assert browser.told() == []
    assert (browser.count("img"), browser.count("script"), browser.count("article.run")) == (0, 2, 3)
    assert browser.text.count("<script>alert(1)</script>red evil") >= 6
    assert browser.words(CROWDED) == []
    assert browser.run(OVERFLOW) == 0


def test_where_everything_crashed_the_page_says_so_and_every_crash_is_a_cross(browser: Browser, tmp_path: Path) -> None:
    root = a_searched_lab(tmp_path / "lab")
    for number in range(5):
        a_run(
            root, {"lr": 0.1 / (number + 1), "depth": 3, "kind": "adam"}, None, outcome="crash", reason="it fell over"
        )
    told = process("report", "sweep", "-o", str(tmp_path / "x.html"), "--interactive", root=tmp_path / "lab")
    assert told.code == 0, told
    browser.open(tmp_path / "x.html")
    assert browser.told() == []
    assert browser.words(CROWDED) == []
    assert browser.run(MARKS, "crash") == 5 + 1
    assert "No run has a value yet." in browser.text
    assert "it fell over" in browser.text
