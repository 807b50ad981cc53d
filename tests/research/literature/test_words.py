"""What is pure: BibTeX as people write it, TeX, keys, titles that are compared, quotes, and a check's three answers."""

from __future__ import annotations

import time
import unicodedata

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from lab.research.literature import bibliography, bibtex, checking, phrase, quoting, tex
from lab.research.literature.entry import Entry
from lab.research.source import Source

LIBRARY = r"""
This is text between entries, and a stray } brace.
@comment{ @article{not-this, title={Hidden}} }
@preamble{"\newcommand{\x}{y}"}
@String{neurips = "Advances in " # {Neural Systems}}
@InProceedings{Good:2020_a,
  Title  = {The {\"U}ber-{Learning} of $x$ \& {\O}rsted's {\'e}tudes},
  author = "M{\"u}ller, J{\"o}rg and {NASA and ESA} and Erd\H{o}s, Paul",
  booktitle = neurips # ", vol. " # 3,
  year = 2020, month = jan
}
@article(paren, title = "With ""quotes"", and (parens) {"}inside{"}", year = {1999},)
@article{nokey
@misc{unclosed, title = {Never closed, year = 2001
@misc{after, title = {After the broken ones}, note = {}}
@misc{nocomma title = {x}}
@misc{Good:2020_a, title = {The same key}}
"""


def test_bibtex_is_read_as_people_write_it_and_what_cannot_be_is_told_by_its_line() -> None:
    library = bibtex.parse(LIBRARY)
    assert [each.key for each in library.items] == ["Good:2020_a", "after", "Good:2020_a"]
    first = library.items[0]
    assert first.fields["title"] == "The Über-Learning of x & Ørsted's études"
    assert first.fields["author"] == "Müller, Jörg and NASA and ESA and Erdős, Paul"
    assert first.fields["booktitle"] == "Advances in Neural Systems, vol. 3"
    assert (first.fields["year"], first.fields["month"], first.line) == ("2020", "jan", 6)
    assert [each.partition(":")[0] for each in library.problems] == [
        "line 12", "line 13", "line 14", "line 16", "line 17",
    ]  # fmt: skip
    assert "a comma is missing after title" in library.problems[0]
    assert "a brace is not closed" in library.problems[2]
    assert "Good:2020_a is the key of line 6 already" in library.problems[4]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("@article{", "it has no key"),
        ("@article{a", "it has no key"),
        ("@article{a,", "a is not closed"),
        ("@article{a,b", "a: 'b' is no field = value"),
        ("@article{a,b=", "a: a value is missing"),
        ('@article{a,b="', "a quote is not closed"),
        ("@string{", "string is not closed"),
        ("@comment{", "a brace is not closed"),
        ("@article{a, b = {c} # }", "a: a value is missing"),
        ("@article{,}", "it has no key"),
    ],
)
def test_no_beginning_of_an_entry_is_too_short_to_be_told(text: str, problem: str) -> None:
    assert bibtex.parse(text) == bibtex.Library(problems=(f"line 1: {problem}",))


@pytest.mark.parametrize("text", ["", "@", "@a", "a@b.org"])
def test_what_begins_no_entry_is_text(text: str) -> None:
    assert bibtex.parse(text) == bibtex.Library()


@pytest.mark.parametrize("text", ["@article{a,,,}", "\ufeff@misc{a, }", "@misc{a}"])
def test_an_entry_may_be_empty(text: str) -> None:
    (item,) = bibtex.parse(text).items
    assert (item.key, item.fields) == ("a", {})


def test_a_file_of_open_braces_ends_soon() -> None:
    began = time.process_time()
    library = bibtex.parse("@misc{a, title = {\n" * 400_000)
    assert library.problems[-1] == "and so on: the rest of it was not read"
    assert time.process_time() - began < 10.0


@given(some.text(max_size=60), some.lists(some.text(max_size=20), max_size=3))
@example("50% of {C#} \\input{/etc/passwd} $x_1$ ~^ -- --- & `` ''", ["A and B", "O'Neil, {\\"])
@example("{\\", ["}"])
@example("{", [])
def test_whatever_a_title_is_it_comes_back_from_the_bib_as_it_was(title: str, authors: list[str]) -> None:
    source = Source(key="a-1", title=title, authors=tuple(authors), origin="user", file=title, url=title)
    text = bibliography.page([source, msgspec.structs.replace(source, key="b")]).decode()
    library = bibtex.parse(text)
    assert library.problems == ()
    assert text.count("{") == text.count("}")
    assert [each.key for each in library.items] == ["a-1", "b"]
    assert library.items[0].fields["title"] == tex.plain(tex.escaped(title))
    # NFC is what a reader of TeX makes of it; nothing else may differ.
    assert library.items[0].fields["title"] == phrase.plain(unicodedata.normalize("NFC", phrase.plain(title)))


def test_an_address_that_is_none_of_the_web_is_in_no_bib() -> None:
    assert bibliography.address("javascript:alert(1)") == ""
    assert bibliography.address("https://a.org/x}{y\\z") == "https://a.org/x%7D%7By%5Cz"
    assert bibliography.address("https://a.org/x y") == ""


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2401.00001v2", "2401.00001"),
        ("arXiv:2401.00001", "2401.00001"),
        ("http://arxiv.org/abs/2401.00001v3", "2401.00001"),
        ("https://arxiv.org/pdf/hep-th/9901001v1", "hep-th/9901001"),
        ("10.48550/arXiv.2401.00001", "2401.00001"),
        ("https://doi.org/10.1000/2401.00001", ""),
        ("math.GT/0309136v1", "math/0309136"),
        ("not a number", ""),
        ("", ""),
    ],
)
def test_a_number_of_arxiv_is_found_however_it_is_written(text: str, number: str) -> None:
    assert phrase.arxiv(text) == number


@pytest.mark.parametrize(
    ("text", "doi"),
    [("https://doi.org/10.1000/ABC.1", "10.1000/abc.1"), ("doi:10.1000/x).", "10.1000/x"), ("10.1/x", ""), ("", "")],
)
def test_a_doi_is_found_however_it_is_written(text: str, doi: str) -> None:
    assert phrase.doi(text) == doi


def test_keys_are_plain_words_and_unique() -> None:
    assert phrase.key(("Øyvind Müller",), 2020, "The Größe of things") == "muller2020grosse"
    assert phrase.key((), None, "深層学習").startswith("source-")
    assert phrase.slug("Smith:2020_a/../x") == "smith-2020-a-x"
    assert phrase.unique("a", ["a", "a-2"]) == "a-3"


def test_a_topic_is_about_the_words_that_it_says_most() -> None:
    text = "How does the learning rate change? A rate that decays; the rate of warmup and the learning of a model."
    assert phrase.keywords(text, 3) == ("rate", "learning", "change")
    assert phrase.keywords("", 3) == ()
    assert phrase.terms('step "second order" $(rm -rf) <b>') == ("step", "second order", "rm", "rf")


TRUE = Entry(title="Attention to step sizes", authors=("Ada Lovelace", "Charles Babbage"), year=2020, doi="10.1000/x1")


@pytest.mark.parametrize(
    ("changed", "status", "field"),
    [
        ({}, "verified", ""),
        ({"title": "Attention to step-sizes."}, "verified", ""),
        ({"authors": ("Lovelace, A.",)}, "verified", ""),
        ({"authors": ("Lovelace, Ada", "others")}, "verified", ""),
        ({"year": 2021}, "verified", ""),
        ({"year": None, "authors": (), "doi": ""}, "verified", ""),
        ({"doi": "10.48550/arxiv.2001.00001"}, "verified", ""),
        ({"year": 2017}, "mismatch", "year: 2017 is claimed, 2020 is found"),
        ({"authors": ("Grace Hopper",)}, "mismatch", "authors: Grace Hopper is claimed"),
        ({"title": "A wholly different paper"}, "mismatch", "title: "),
        ({"title": "Attention for step sizes in training", "doi": ""}, "mismatch", "title: "),
        ({"doi": "10.1000/x2"}, "mismatch", "doi: 10.1000/x2 is claimed, 10.1000/x1 is found"),
        ({"title": "A wholly different paper", "doi": ""}, "not_found", ""),
        ({"title": "", "doi": ""}, "not_found", ""),
    ],
)
def test_a_citation_is_true_or_differs_in_a_field_that_is_named_or_is_not_known(
    changed: dict[str, object], status: str, field: str
) -> None:
    other = Entry(title="Something else entirely", authors=("Nobody",), year=1950, doi="10.1000/x9")
    claim = msgspec.structs.replace(TRUE, **changed)
    for found in ([TRUE, other], [other, TRUE]):
        checked = checking.check(claim, found)
        assert checked.status == status
        assert field in checked.why
        assert checked.match == (None if status == "not_found" else TRUE)


def test_nothing_found_is_not_found() -> None:
    assert checking.check(TRUE, []).status == "not_found"


@given(some.text(alphabet=some.sampled_from("ab .!?\n#-ü\U0001f600size"), max_size=1200))
@example("A step. " * 3 + "step size ab " * 100)
def test_a_quote_is_always_what_stands_in_the_text(whole: str) -> None:
    topic = phrase.stems(("step", "size", "ab"))
    found = quoting.spans(whole, topic)
    assert len(found) <= quoting.MOST
    for each in found:
        assert quoting.is_true(each, whole)
        assert each.text == each.text.strip()
        assert len(each.text) <= quoting.MOST_CHARS
    assert found == quoting.spans(whole, topic)


def test_the_sentences_that_are_about_the_topic_are_quoted() -> None:
    whole = "Rain fell. The step sizes decay. A size.\n\nMore steps, with sizes of steps. End."
    topic = phrase.stems(("step", "size", "decay"))
    assert [each.text for each in quoting.spans(whole, topic)] == [
        "The step sizes decay.", "More steps, with sizes of steps.",
    ]  # fmt: skip
