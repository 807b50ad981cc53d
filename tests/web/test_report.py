"""The report as a file: what is in it, that nothing hostile is, and that it is the same each time."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from collections import Counter
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core.candidate import BASELINE, IMPROVE, Candidate
from lab.projections import lab_status
from lab.projections.picture import whole
from lab.projections.picture.run import Kept, Log
from lab.projections.picture.stairs import Sample
from lab.web import overview, report, room, templating
from tests.projections import givens
from tests.projections import subjects as make
from tests.web import indices, pictures
from tests.web.pictures import HOSTILE, a_picture, a_run_page

if TYPE_CHECKING:
    from lab.projections.picture.run import RunPage
    from lab.projections.picture.whole import Picture

SECTIONS = (
    "wants", "numbers", "stairs", "best", "arms", "cost", "parameters", "lineage", "timeline", "runs", "run-pages",
    "left-out",
)  # fmt: skip
NO_END = {"meta", "link", "br", "img", "input", "hr"}
ENDED_BY = {  # what HTML lets end without an end tag
    "td": {"td", "th"},
    "th": {"td", "th"},
    "tr": {"td", "th", "tr"},
    "tbody": {"td", "th", "tr", "tbody", "thead"},
}


def a_page(picture: Picture | None = None, *, says: str = "", interactive: bool = False) -> str:
    """The report of a picture, with the run pages that it would choose."""
    picture = picture or a_picture(says=says)
    place = {spot.run_id: spot.n for spot in picture.stairs.spots}
    runs = [a_run_page(place[run_id], says=says) for run_id in report.chosen(picture)]
    return report.page(picture, runs, interactive=interactive).data.decode()


class Seen(HTMLParser):
    """What a page is made of: ids, links, headings, attributes, and whether its elements are closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.headings: list[int] = []
        self.attributes: Counter[str] = Counter()
        self.elements: Counter[str] = Counter()
        self.policy = ""
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        told = dict(attrs)
        self.attributes.update(told.keys())
        self.ids += filter(None, [told.get("id")])
        self.links += filter(None, [told.get("href")])
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if told.get("http-equiv") == "Content-Security-Policy":
            self.policy = str(told["content"])
        while self._open and self._open[-1] in ENDED_BY.get(tag, ()):
            self._open.pop()
        if tag not in NO_END:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        self.attributes.update(dict(attrs).keys())

    def handle_endtag(self, tag: str) -> None:
        while self._open[-1] != tag and self._open[-1] in ENDED_BY["tbody"]:
            self._open.pop()
        assert self._open.pop() == tag


def hashed(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def test_the_same_picture_gives_the_same_bytes() -> None:
    assert a_page() == a_page()
    assert a_page(interactive=True) == a_page(interactive=True)


def test_what_wants_somebody_stands_first_and_every_section_is_there_in_order() -> None:
    page = a_page()
    assert tuple(re.findall(r'<section id="([^"]+)"', page)) == SECTIONS
    assert page.index("waits for a person") < page.index(">Where it stands</h2>")
    named = re.search(r'<nav class="contents".*?</nav>', page, re.DOTALL)
    assert named is not None
    assert re.findall(r'href="#([^"]+)"', named[0]) == list(SECTIONS)


@pytest.mark.parametrize("count", [0, 1, 2, 40])
@pytest.mark.parametrize("says", ["", HOSTILE], ids=["plain", "hostile"])
def test_its_elements_close_its_ids_are_unique_and_its_links_lead_somewhere(count: int, says: str) -> None:
    seen = Seen(a_page(a_picture(count, says=says), says=says))
    assert [name for name, number in Counter(seen.ids).items() if number > 1] == []
    assert {link for link in seen.links if link.removeprefix("#") not in seen.ids} == set()
    assert seen.headings[0] == 1
    assert all(after <= before + 1 for before, after in zip(seen.headings, seen.headings[1:], strict=False))
    assert seen.headings.count(1) == 1


def test_its_policy_lets_in_its_own_style_and_nothing_else() -> None:
    page = a_page()
    seen = Seen(page)
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    assert seen.policy == f"default-src 'none'; base-uri 'none'; form-action 'none'; style-src {hashed(style[1])}"
    assert seen.elements["script"] == 0
    assert seen.elements["img"] == seen.elements["iframe"] == seen.elements["link"] == seen.elements["form"] == 0
    assert seen.attributes["style"] == 0
    assert [name for name in seen.attributes if name.startswith("on")] == []


def test_with_zoom_its_policy_names_exactly_its_one_script() -> None:
    page = a_page(interactive=True)
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)
    assert script is not None
    assert f"script-src {hashed(script[1])}" in Seen(page).policy
    assert Seen(page).elements["script"] == 2  # the data, which no policy runs, is the other one
    assert page.replace(script[0], "").count("uPlot") == 0


@pytest.mark.parametrize("interactive", [False, True])
def test_nothing_that_somebody_wrote_is_markup_or_hides(interactive: bool) -> None:
    page = a_page(says=HOSTILE, interactive=interactive)
    body = re.sub(r"<script>.*?</script>|<style>.*?</style>", "", page, flags=re.DOTALL)
    assert "<script>alert" not in body
    assert "<img" not in body
    assert "&lt;script&gt;alert(1)&lt;/script&gt;red evil" in body
    assert [letter for letter in "\x1b\u202e\u202c\x00" if letter in body] == []
    assert "[31m" not in body


def test_a_number_that_is_none_is_never_zero() -> None:
    page = a_page(a_picture(0))
    told = re.search(r"<dt>best loss</dt><dd>(.*?)</dd>", page)
    assert told is not None
    assert told[1].strip() == "-"
    assert "<dt>money</dt><dd>not known</dd>" in page
    assert "No run has a value yet." in page
    assert "Nothing was left out." in page


def test_a_lone_surrogate_and_a_value_that_json_has_no_word_for_are_shown_as_something() -> None:
    picture = a_picture(3)
    assert picture.best is not None
    best = msgspec.structs.replace(picture.best, params={"a": "\ud800", "b": float("nan"), "c": 10**40})
    page = a_page(msgspec.structs.replace(picture, best=best))
    assert "\ufffd" in page
    assert str(10**40) in page


def test_the_runs_with_a_page_are_the_best_improvements_failures_of_each_kind_and_the_last() -> None:
    picture = a_picture()
    why = report.chosen(picture)
    assert len(why) == report.RUN_PAGES
    assert why[picture.head.best_run] == "the best"
    for number in (15, 23, 31):  # 7 failed as 15 did
        assert why[pictures.run_id(number)] == "a failure of its kind, the newest"
    assert why[pictures.run_id(40)] == "one of the last"
    assert next(iter(why)) == picture.head.best_run


@given(count=st.integers(0, 60), limit=st.integers(0, 30))
def test_never_more_runs_get_a_page_than_were_asked_for_and_the_best_is_the_first_that_does(
    count: int, limit: int
) -> None:
    picture = a_picture(count)
    why = report.chosen(picture, limit)
    assert len(why) <= limit
    if limit and picture.head.best_run:
        assert picture.head.best_run in why
    assert set(why) <= {row.run_id for row in picture.rows}


def a_long_run(number: int) -> RunPage:
    """A run with a page of which the texts are long."""
    return msgspec.structs.replace(
        a_run_page(number),
        plan="a line of the plan\n" * 900,
        diff="+a line of the change\n" * 9_000,
        logs={"stdout": Log(size=10**9, lines=tuple(f"step {number}" for number in range(200)))},
        metrics={f"metric {number}": number for number in range(200)},
        files=tuple(Kept(name=f"artifacts/{number}.bin", size=number) for number in range(500)),
        files_left_out=7,
    )


def test_long_texts_of_a_run_are_cut_and_say_so() -> None:
    page = report.page(a_picture(), [a_long_run(1)]).data.decode()
    assert page.count("a line of the plan") == 30
    assert "step 199" in page
    assert "step 175" not in page
    assert "467 files more are not listed" in page
    assert "8,880 more lines" in page
    assert "of 200 metrics the first 60 are shown" in page


def a_long_picture(count: int = 300) -> Picture:
    """Of many runs of which much is said, with staircases of other tiers and a long change."""
    cut = msgspec.structs.replace
    picture = a_picture(count, says="what was tried here, and why it should have helped, " * 3)
    assert picture.best is not None
    diff = "".join(f"+        x{number} = self.layer_{number}(x, mask)\n" for number in range(1_000))
    others = tuple(cut(picture.stairs, tier=f"tier {number}") for number in range(4))
    best = cut(picture.best, diff=diff)
    return cut(picture, best=best, other_tiers=others, head=cut(picture.head, tier=picture.rows[0].tier))


def test_a_report_is_small_enough_for_mail_whatever_there_is_to_say_and_says_what_gave_way() -> None:
    picture = a_long_picture()
    place = {spot.run_id: spot.n for spot in picture.stairs.spots}
    runs = [a_long_run(place[run_id]) for run_id in report.chosen(picture)]
    asked = report.page(picture, runs, fits=False)
    assert asked.pages == len(runs) == 12
    assert len(asked.data) > 1.5 * room.MOST_BYTES
    made = report.page(picture, runs)
    assert made == report.page(picture, runs)
    assert 0.5 * room.MOST_BYTES < len(made.data) <= room.MOST_BYTES
    seen = Seen(made.data.decode())
    assert {link for link in seen.links if link.removeprefix("#") not in seen.ids} == set()
    assert made.data.decode().count('<tr id="RUN-') == made.rows
    assert seen.elements["article"] == made.pages
    end = made.data.decode().split('<section id="left-out"')[1]
    for name in ("Size", "Drawings", "Notes in the table", "Change of the best run", "Staircases of other tiers"):
        assert f"<li>{name}: " in end


def test_what_gives_way_first_is_what_a_reader_misses_least() -> None:
    every = [room.FULL, *room.steps()]

    def given_way(name: str) -> int:
        return next(number for number, each in enumerate(every) if getattr(each, name) != getattr(room.FULL, name))

    order = ("pointed", "words", "note", "best_diff", "pages", "tiers", "rows", "slices")
    assert sorted(order, key=given_way) == list(order)
    names = msgspec.structs.asdict(room.FULL)
    for before, after in itertools.pairwise(every):  # no step gives back what one before it took
        assert all(getattr(after, name) <= getattr(before, name) for name in names)


def test_of_a_page_that_is_small_enough_nothing_gives_way() -> None:
    page = a_page()
    assert "<li>Size: " not in page
    assert "<li>Drawings: " not in page


def test_who_asks_for_run_pages_gets_them_however_large_the_file_is() -> None:
    picture = a_picture()
    runs = [a_long_run(number) for number in range(1, 41)]
    assert report.page(picture, runs, fits=False).pages == 40


@pytest.mark.parametrize("ending", ["", "\n", "\n\n"])
def test_a_text_that_is_cut_says_how_much_is_left(ending: str) -> None:
    lines = "\n".join(map(str, range(50))) + ending
    assert room.shortened(lines, 10_000, 50) == (lines.strip("\n"), 0)
    shown, left = room.shortened(lines, 10_000, 20)
    assert (shown.split("\n")[-2:], left) == (["19", "… 30 more lines"], 30)
    assert room.shortened("x" * 500, 100, 20)[1] == 1
    assert room.shortened("", 100, 20) == ("", 0)


def test_the_change_of_the_best_run_says_how_to_see_all_of_it() -> None:
    picture = a_long_picture(40)
    baseline = msgspec.structs.replace(picture.rows[0], kind="baseline")
    picture = msgspec.structs.replace(picture, rows=(baseline, *picture.rows[1:]))
    page = report.page(picture, []).data.decode()
    assert "… 601 more lines" in page
    best = picture.head.best_run
    assert f"labctl compare {baseline.run_id} {best} --diff-lines 10000 shows it" in page


def test_a_long_table_is_cut_and_says_by_which_rule() -> None:
    picture = a_picture(900)
    sampled = Sample(shown=900, total=100_000, rule="the best, the improvements, an even sample")
    picture = msgspec.structs.replace(picture, rows_sample=sampled)
    rows = report.rows_of(picture)
    assert len(rows) == room.FULL.rows
    assert [row.n for row in rows] == sorted(row.n for row in rows)
    shown = {row.run_id for row in rows}
    assert {step.run_id for step in picture.stairs.steps} <= shown
    assert set(report.chosen(picture)) <= shown
    runs = [a_run_page(number) for number in range(1, 13)]
    page = report.page(picture, runs, fits=False).data.decode()
    assert page.count('<tr id="RUN-') == room.FULL.rows
    assert "250 of 100,000 runs are shown" in page
    assert "Table of runs: 250 of 100,000 runs" in page
    assert "Run pages: 12 of 100,000 runs" in page


def test_everything_that_a_picture_leaves_out_is_told_at_the_end() -> None:
    part = Sample(shown=5, total=70, rule="the newest")
    picture = a_picture()
    assert picture.parameters is not None
    assert picture.lineage is not None
    cut = msgspec.structs.replace
    picture = cut(
        picture,
        stairs=cut(picture.stairs, sample=part),
        parameters=cut(picture.parameters, sample=part),
        lineage=cut(picture.lineage, sample=part),
        timeline=cut(picture.timeline, sample=part),
        warnings=("two lines of the table could not be read",),
    )
    end = a_page(picture).split('<section id="left-out"')[1]
    for name in ("Staircase", "Parameters", "Lineage", "Timeline"):
        assert f"<li>{name}: 5 of 70 runs: the newest</li>" in end
    assert "two lines of the table could not be read" in end


def test_the_page_of_the_lab_has_a_row_an_experiment_and_what_wants_you_before_all() -> None:
    index = indices.an_index(5)
    page = overview.page(index, lambda name: f"experiments/{name}.html").decode()
    seen = Seen(page)
    assert [link for link in seen.links if link.endswith(".html")].count("experiments/exp-3.html") == 2  # its want, too
    assert page.index('id="wants"') < page.index('id="numbers"') < page.index('id="active"')
    assert page == overview.page(index, lambda name: f"experiments/{name}.html").decode()


@pytest.mark.parametrize(("streak", "told"), [(0, "5"), (1, "5, the last run"), (5, "5, the last 5 in a row")])
def test_how_many_failed_and_how_many_in_a_row_are_two_numbers(streak: int, told: str) -> None:
    index = indices.an_index(1)
    row = msgspec.structs.replace(index.experiments[0], outcomes={"crash": 5}, failure_streak=streak)
    page = overview.page(msgspec.structs.replace(index, experiments=(row,)), lambda _: "").decode()
    assert f'<td class="n">{told}</td>' in re.sub("</?span[^>]*>", "", page)


def test_a_keep_that_no_test_confirmed_is_called_so_in_the_table_of_runs() -> None:
    tried = Candidate(kind=IMPROVE, parent="RUN-0")
    history = [
        make.run(1, value=1.0, verdict="keep", candidate=Candidate(kind=BASELINE, values=(1.0, 1.01, 0.99))),
        make.run(2, value=0.99, verdict="keep", candidate=tried),
        make.run(3, value=0.5, verdict="keep", candidate=tried),
    ]
    picture = whole.of(givens.given(history))
    assert [row.unsure for row in picture.rows] == [False, True, False]
    page = report.page(picture, []).data.decode()
    rows = [re.sub("<[^>]*>", "|", row) for row in page[page.index('id="runs"') :].split("<tr id=")[1:4]]
    assert [re.split(r"\|+", row)[3] for row in rows] == ["baseline", "kept unconfirmed", "keep"]


def test_what_was_never_run_is_no_failure_in_any_sum_of_the_lab() -> None:
    index = indices.an_index(1)
    row = msgspec.structs.replace(
        index.experiments[0], outcomes={"success": 5, "failed": 10}, unmeasured=10, failure_streak=3,
        last_outcome="failed", last_unmeasured=True,
    )  # fmt: skip
    index = msgspec.structs.replace(index, experiments=(row,))
    page = re.sub("</?(span|small)[^>]*>", "", overview.page(index, lambda _: "").decode())
    assert '<td class="n">0, the last 3 in a row without a value</td>' in page
    assert "5 success, 10 not measured" in page
    assert "failed</td>" not in page
    status = lab_status.render(index).decode()
    assert "3 runs in a row without a value" in status
    assert "(5 success, 10 not measured)" in status
    assert "failed" not in status


def test_the_digest_of_a_seal_is_no_argument_of_the_verb_before_it() -> None:
    page = report.page(a_picture(1), [msgspec.structs.replace(a_run_page(1), intact=None)]).data.decode()
    assert re.search(r"<code>labctl verify [^<]*</code> does\. Its digest is <span", page)


def test_the_page_of_an_empty_lab_says_so() -> None:
    page = overview.page(indices.an_index(0), lambda _: "").decode()
    assert "before anything happened" in page
    assert "Nothing is due." in page
    Seen(page)


def test_what_the_lab_wants_is_escaped_too() -> None:
    page = overview.page(indices.an_index(3, says=HOSTILE), lambda _: "").decode()
    assert "<script>alert" not in page
    assert "\x1b" not in page
    assert "&lt;script&gt;alert(1)" in page


@pytest.mark.parametrize(
    ("number", "told"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (2_345_678, "2.35 MB"), (7_000_000_000_000_000, "7,000 TB")],
)
def test_sizes_are_told_for_people(number: int, told: str) -> None:
    assert templating.size(number) == told


@given(st.text())
def test_whatever_is_shown_is_free_of_what_nobody_sees_and_keeps_its_lines(words: str) -> None:
    made = templating.environment().from_string("<p>{{ words }}</p>").render(words=words)
    assert re.search("[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", made) is None
    assert made.count("<") == 2


def test_the_plain_name_of_a_moment_is_to_the_second() -> None:
    assert templating.moment("2026-01-02T03:04:05.678901Z") == "2026-01-02 03:04:05 UTC"
    assert templating.moment("yesterday") == "yesterday"
    assert templating.moment("") == "-"


def test_the_last_runs_are_those_of_history_whichever_tier_they_are_in() -> None:
    picture = a_picture()
    moved = {number: index for index, number in enumerate((38, 39, 40), 1)}  # the last three, the first of their tier
    rows = tuple(
        msgspec.structs.replace(row, tier="final", n=moved[row.n]) if row.n in moved else row for row in picture.rows
    )
    why = report.chosen(msgspec.structs.replace(picture, rows=rows))
    assert {run_id for run_id, word in why.items() if word == "one of the last"} == {*map(pictures.run_id, moved)}


def test_a_change_that_was_never_run_is_called_so_and_failed_checks_too() -> None:
    made = Candidate(kind=IMPROVE, parent="RUN-0")
    history = [
        make.run(1, value=1.0, verdict="keep", candidate=Candidate(kind=BASELINE)),
        make.run(2, "failed", verdict="discard", reason="nothing was changed", note="BATCH = 66", candidate=made),
        make.run(3, "failed", verdict="checks_failed", reason="501 is packed", note="SLACK = 3", candidate=made),
    ]
    picture = whole.of(givens.given(history))
    assert picture.head.unmeasured == 1
    page = report.page(picture, []).data.decode()
    rows = [re.sub("<[^>]*>", "|", row) for row in page[page.index('id="runs"') :].split("<tr id=")[1:4]]
    told = [re.split(r"\|+", row)[3] for row in rows]
    assert told == ["baseline", "not measured (discard)", "failed (checks failed)"]
    assert "nothing was changed; BATCH = 66" in rows[1]
    assert "1 success, 1 failed, 1 not measured" in re.sub("<[^>]*>", "", page)


def test_runs_that_no_strategy_chose_have_ended_all_the_same() -> None:
    section = re.compile('<section id="arms".*?</section>', re.DOTALL)
    for picture, said in (
        (msgspec.structs.replace(a_picture(), arms=()), "No strategy chose what these runs did."),
        (whole.of(givens.given([])), "No run has ended yet."),
    ):
        (told,) = section.findall(a_page(picture))
        assert said in told
