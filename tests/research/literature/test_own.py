"""The user's own sources, looked up or not; rows that an agent wrote; and what makes literature unbelievable."""

from __future__ import annotations

import base64
import json
import os
import zlib
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core.errors import Unavailable
from lab.research import source
from lab.research.declared import Phase
from lab.research.literature import accepted, bibliography, pdf, rows
from lab.research.literature.confirming import confirm
from lab.research.paper.bibliography import bibtex
from lab.research.phases.literature import Survey
from lab.research.project import HOSTS as NAMED
from lab.research.release import citations
from lab.research.source import Quote, Source
from lab.research.work import noted
from lab.research.worker import Place
from tests.research.literature.desks import (
    ROUTES,
    Answer,
    Double,
    Paper,
    a_root,
    a_task,
    left,
    nobody,
    paper,
    problems,
    review,
)

if TYPE_CHECKING:
    from pathlib import Path

    from lab.research.worker import Task

BIB = r"""
@article{true, title = {The step size of descent, part 1}, author = {Lovelace, Ada}, year = 2024, doi = {10.1000/X1}}
@article{wrong, title = {The step size of descent, part 2}, author = {Grace Hopper}, year = 1999, eprint = {2401.00002}}
@article{made-up, title = {What nobody ever wrote}, author = {No Body}, year = 2023, doi = {10.1000/none}}
@misc{broken, title = {x
"""
NOTE = """---
title: On my own steps
authors: Ann Other; Bo Third
year: 2021
---
# Heading
The step size should fall. Lunch was good.
"""


def worked(task: Task) -> dict[str, Source]:
    Survey().work(task)
    return {each.key: each for each in left(task)}


def test_entries_of_the_user_are_true_or_differ_or_are_not_known_and_which_is_said(
    double: Double, tmp_path: Path
) -> None:
    double.papers += [paper(1), paper(2)]
    task = a_task(tmp_path, double=double, hosts=["openalex", "arxiv"], own={"lib/x.bib": BIB}, queries=["zzz"])
    double.scripts[ROUTES["openalex"]] = [Answer(json.dumps({"meta": {"count": 0}, "results": []}).encode())]
    found = worked(task)
    assert {key: found[key].status for key in ("true", "wrong", "made-up")} == {
        "true": "verified", "wrong": "mismatch", "made-up": "not_found",
    }  # fmt: skip
    assert "authors: Grace Hopper is claimed, Ada Lovelace is found" in found["wrong"].why
    assert "year: 1999 is claimed, 2024 is found" in found["wrong"].why
    assert "openalex was asked" in found["made-up"].why
    assert all(found[key].file == "lib/x.bib" and found[key].origin == "user" for key in ("true", "wrong", "made-up"))
    assert found["true"].text  # the abstract that was found: the user's entry has none
    assert "lib/x.bib line 5: broken is not closed" in review(task) or "line 5" in review(task)
    assert "of your own sources: lib/x.bib line 5" in noted.of("literature", task.out)
    assert problems(task) == []


def test_what_only_a_host_that_cannot_know_it_was_asked_about_is_unverified_and_not_unknown(
    double: Double, tmp_path: Path
) -> None:
    task = a_task(tmp_path, double=double, own={"x.bib": "@book{a, title = {A book}, author = {B C}, year = 1950}"})
    row = worked(task)["a"]
    assert (row.status, row.why) == ("unverified", "arxiv would not know it: it has no number there")
    assert problems(task) == []


def test_nobody_who_could_be_asked_is_told_apart_from_nobody_who_knows(tmp_path: Path) -> None:
    urls = dict.fromkeys(NAMED, nobody())
    row = worked(a_task(tmp_path, hosts=NAMED, urls=urls, own={"x.bib": BIB}))["made-up"]
    assert row.status == "unverified"
    assert "nobody could be asked" in row.why


def test_notes_and_texts_are_sources_with_their_own_words(tmp_path: Path) -> None:
    own: dict[str, bytes | str] = {
        "n/a.md": NOTE, "b.txt": "No heading. The step size, again.\r\n",
        "c.md": b"\xef\xbb\xbf# Gr\xf6\xdfe of a step",
        "d.docx": b"PK\0\0", "e.md": "  \n", "f.csv": "a,b\n", "g.bib": "nothing", "h.bib": "@misc{x, year = 2}",
    }  # fmt: skip
    task = a_task(tmp_path, offline=True, own=own)
    found = worked(task)
    assert set(found) == {"a", "b", "c"}
    note = found["a"]
    assert (note.title, note.authors, note.year) == ("On my own steps", ("Ann Other", "Bo Third"), 2021)
    assert note.status == "unverified"
    assert [each.text for each in note.quotes] == ["The step size should fall."]
    assert (task.out.read(note.text) or b"").decode() == NOTE[NOTE.index("# Heading") :]
    assert found["b"].title == "b.txt"
    assert found["c"].title == "Größe of a step"
    told = review(task)
    for words in ("c.md: not UTF-8", "d.docx: not read", "e.md: empty", "f.csv: not read; sources are .bib",
                  "g.bib: there is no entry in it", "h.bib line 1: x has no title"):  # fmt: skip
        assert words in told
    assert problems(task) == []


def test_keys_that_collide_and_entries_that_come_twice_are_told(tmp_path: Path) -> None:
    one = "@misc{Key:A, title={First}}\n@misc{key_a, title={Second}}\n@misc{lang, title={深層学習}}"
    task = a_task(tmp_path, offline=True, own={"a.bib": one, "b.bib": "@misc{other, title={FIRST.}}"})
    found = worked(task)
    assert set(found) == {"key-a", "key-a-2", "lang"}
    assert "Key:A is called key-a here" in review(task)
    assert "other is the same as key-a" in review(task)
    assert problems(task) == []


def test_a_paper_that_is_found_and_that_the_user_has_is_one_source_with_the_users_key(
    double: Double, tmp_path: Path
) -> None:
    double.papers.append(paper(1))
    task = a_task(tmp_path, double=double, own={"x.bib": BIB.partition("@article{wrong")[0]})
    assert {key: each.status for key, each in worked(task).items()} == {"true": "verified"}


def a_pdf(text: str) -> bytes:
    """The least that is a PDF with a page of text."""
    stream = zlib.compress(f"BT /F1 12 Tf 9 9 Td ({text}) Tj ET".encode())
    parts = [
        b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]  # fmt: skip
    data, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return data + b"xref\n0 6\n0000000000 65535 f \n%strailer << /Root 1 0 R /Size 6 >>\nstartxref\n%d\n%%%%EOF" % (
        table, len(data),
    )  # fmt: skip


def a_reader(folder: Path, script: str) -> dict[str, str]:
    """A program called pdftotext, first on the PATH."""
    folder.mkdir()
    program = folder / "pdftotext"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}/usr/bin:/bin"}


def test_a_pdf_is_read_by_a_program_of_its_own_and_one_that_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf, "find_spec", lambda _: None)
    environ = a_reader(tmp_path / "bin", 'test "$1 $2 $3 $5" = "-q -enc UTF-8 -" && printf "A step size.\\001\\n"')
    monkeypatch.setenv("PATH", environ["PATH"])
    task = a_task(tmp_path, offline=True, environ=environ, own={"-my_paper.pdf": a_pdf("x"), "fake.pdf": "not one"})
    found = worked(task)
    assert (found["my-paper"].title, found["my-paper"].quotes[0].text) == ("my paper", "A step size.")
    assert "fake" not in found  # or random bytes would be cited
    assert "fake.pdf: it is no PDF, and is left out" in review(task)
    assert "1 source; of your own sources: fake.pdf: it is no PDF, and is left out" in noted.of("literature", task.out)
    assert problems(task) == []
    (tmp_path / "bin" / "pdftotext").write_text("#!/bin/sh\nexit 3\n")
    failed = a_task(tmp_path, offline=True, environ=environ, own={"a.pdf": a_pdf("x")}, run="failed")
    assert "pdftotext ended with 3" in worked(failed)["a"].why


def test_a_real_pdf_is_read_by_whatever_reads_one_here(tmp_path: Path) -> None:
    if not pdf.reader(a_root(tmp_path, os.environ).world):
        pytest.skip(f"nothing here reads PDFs: {pdf.FIX}")
    own: dict[str, bytes | str] = {"a.pdf": a_pdf("The step size falls."), "b.pdf": "%PDF-"}
    task = a_task(tmp_path, offline=True, environ=os.environ, own=own)
    found = worked(task)
    assert [each.text for each in found["a"].quotes] == ["The step size falls."]
    assert "its text cannot be read" in found["b"].why


def test_with_nothing_that_reads_pdfs_one_is_a_source_without_a_text_and_check_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf, "find_spec", lambda _: None)
    own: dict[str, bytes | str] = {"a.pdf": a_pdf("x")}
    task = a_task(tmp_path, offline=True, environ={"PATH": str(tmp_path)}, own=own)
    row = worked(task)["a"]
    assert (row.text, row.quotes) == ("", ())
    assert "pip install 'labctl[papers]'" in row.why
    (lack,) = Survey().lacks(a_place(task))
    assert (lack.is_fatal, lack.fix) == (False, pdf.FIX)


def a_place(task: Task) -> Place:
    return Place(
        root=task.root, project=task.project, folder=task.folder,
        phase=msgspec.convert({"name": "literature", "about": "", "executor": "", "outputs": []}, Phase),
    )  # fmt: skip


def test_what_is_missing_is_said_before_anything_is_asked(double: Double, tmp_path: Path) -> None:
    task = a_task(tmp_path, double=double, keys={"openalex": "OPENALEX_KEY"})
    (lack,) = Survey().lacks(a_place(task))
    assert "OPENALEX_KEY" in lack.what
    assert not lack.is_fatal
    bad = a_task(tmp_path, urls={"pubmed": "http://127.0.0.1"})
    assert [each.is_fatal for each in Survey().lacks(a_place(bad))] == [True]
    empty = a_task(tmp_path, offline=True)
    assert [each.what for each in Survey().lacks(a_place(empty))] == [
        "offline, with no sources of your own: the review will be empty"
    ]
    assert double.hits == []


def a_row(**fields: object) -> Source:
    told = {"key": "x", "title": paper(1).title, "origin": "arxiv", "status": "verified", **fields}
    return msgspec.convert(told, Source)


def test_of_an_agents_rows_only_those_stay_that_a_host_or_the_user_knows_with_the_labs_status(
    double: Double, tmp_path: Path
) -> None:
    double.papers += [paper(1), paper(2)]
    said: list[str] = []
    task = a_task(tmp_path, double=double, hosts=["openalex"], own={"n.md": NOTE}, said=said)
    abstract = paper(1).abstract
    fetched = {"fetched_at": "2020-01-01T00:00:00Z", "raw": "lit/raw/arxiv-1.xml", "raw_sha256": "0" * 64}
    quotes = [{"text": "The weather was fine.", "start": 5, "end": 9}, {"text": "It is proved.", "start": 0, "end": 13}]
    given = [
        a_row(key="true", doi="10.1000/x1", quotes=quotes, text="lit/texts/made-up.txt", **fetched),
        a_row(key="true", title=paper(2).title, year=1990, why="trust me", **fetched),
        a_row(key="dream", title="What nobody ever wrote", **fetched),
        a_row(key="mine", title="On my own steps", origin="user", file="n.md", authors=["Somebody Else"]),
        a_row(key="theirs", title="Not the user's", origin="user", file="../../etc/passwd"),
        a_row(key="none", title=" "),
    ]
    kept = confirm(task, given)
    rows.leave(task.out, kept)
    task.out.write(source.REVIEW, b"# By an agent\n")
    assert [(each.key, each.status, each.origin) for each in kept] == [
        ("true", "verified", "openalex"), ("true-2", "mismatch", "openalex"), ("mine", "not_found", "user"),
    ]  # fmt: skip
    assert kept[0].quotes == (Quote(text="The weather was fine.", start=abstract.index("The w"), end=len(abstract)),)
    assert "year: 1990 is claimed" in kept[1].why
    assert kept[2].authors == ("Ann Other", "Bo Third")
    assert [each.partition(":")[0] for each in said if "left out" in each] == ["left out"] * 3
    assert problems(task) == []


def test_offline_nothing_of_an_agents_is_believed_but_what_the_user_has(tmp_path: Path) -> None:
    task = a_task(tmp_path, offline=True, own={"n.md": NOTE})
    kept = confirm(task, [a_row(), a_row(title="x", origin="user", file="n.md")])
    assert [(each.file, each.status, each.why) for each in kept] == [
        ("n.md", "unverified", "nobody was asked: offline")
    ]


def test_an_agents_rows_that_nobody_could_be_asked_about_are_a_failure_and_no_empty_list(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no host answered"):
        confirm(a_task(tmp_path, urls={"arxiv": nobody()}), [a_row(arxiv="2401.00001")])


@pytest.fixture
def done(double: Double, tmp_path: Path) -> Task:
    """A phase that was done well: one source of a host's, one of the user's."""
    double.papers.append(paper(1))
    task = a_task(tmp_path, double=double, own={"b.md": "# A note\nThe step size falls."})
    Survey().work(task)
    assert problems(task) == []
    return task


@pytest.mark.parametrize(
    ("key", "fields", "words"),
    [
        ("b", {"origin": "arxiv"}, "it came from nowhere"),
        ("b", {"file": ""}, "names no file"),
        ("b", {"file": "c.md"}, "c.md is no source that the user gave"),
        ("b", {"status": "verified"}, "not which answer of a host says so"),
        ("b", {"why": ""}, "does not say why it is unverified"),
        ("b", {"text": ""}, "quotes a text that it does not have"),
        ("b", {"text": "lit/raw/../texts/b.txt"}, "its text is not there"),
        ("b", {"text": "lit/texts/none.txt"}, "its text is not there"),
        ("b", {"sha256": "0" * 64}, "its digest differs"),
        ("b", {"quotes": [{"text": "A note", "start": 0, "end": 6}]}, "does not stand there"),
        ("b", {"quotes": [{"text": "", "start": 3, "end": 3}]}, "does not stand there"),
        ("b", {"key": "A b"}, "no word of a-z"),
        ("b", {"key": "lovelace2024step"}, "stands twice"),
        ("b", {"title": " "}, "has no title"),
        ("lovelace2024step", {"raw": ""}, "it came from nowhere"),
        ("lovelace2024step", {"fetched_at": ""}, "or when it came"),
        ("lovelace2024step", {"fetched_at": "yesterday"}, "no moment"),
        ("lovelace2024step", {"raw": "lit/review.md"}, "no answer of a host"),
        ("lovelace2024step", {"raw": "lit/raw/arxiv-0.xml"}, "the answer is not there"),
        ("lovelace2024step", {"raw_sha256": "0" * 64}, "is not what was answered"),
        ("lovelace2024step", {"title": "What nobody ever wrote", "doi": "", "arxiv": ""}, "does not say so"),
        ("lovelace2024step", {"year": 1999}, "does not say so: year: 1999 is claimed"),
        ("lovelace2024step", {"origin": "openalex"}, "is an answer of arxiv"),
        ("lovelace2024step", {"status": "mismatch", "why": "x"}, "and lit/raw/arxiv-"),
        ("lovelace2024step", {"status": "not_found", "why": "x"}, "names an answer of a host"),
    ],
)
def test_a_row_that_says_more_than_there_is_is_refused(
    key: str, fields: dict[str, object], words: str, done: Task
) -> None:
    changed = [
        msgspec.convert({**msgspec.to_builtins(each), **fields}, Source) if each.key == key else each
        for each in left(done)
    ]
    rows.leave(done.out, changed)
    assert any(words in each for each in problems(done)), problems(done)


def test_files_that_do_not_agree_with_the_rows_are_refused(done: Task) -> None:
    found = left(done)
    done.out.write(source.BIBTEX, bibliography.page([*found[1:], a_row(key="more")]))
    assert problems(done) == [
        "lit/references.bib: more is not in the sources",
        f"lit/references.bib: {found[0].key} is missing, which is a source",
    ]  # fmt: skip
    rows.leave(done.out, found)
    done.out.write(source.REVIEW, b"As in [@b] and all of [see @smith2020, p. 3; -@jones2021]; ask a@b.org. @dream.")
    assert [each.partition(";")[0] for each in problems(done)] == [
        f"lit/review.md: it cites {each}, which is no source" for each in ("dream", "jones2021", "smith2020")
    ]


def test_answers_and_texts_that_were_changed_afterwards_are_seen_from_the_disk_alone(done: Task) -> None:
    row = left(done)[1]
    done.out.write(row.raw, (done.out.read(row.raw) or b"") + b" ")
    done.out.write(row.text, b"other words")
    wrong = list(accepted.problems(done.order, done.out, None))
    assert [each.rpartition(": ")[2] for each in wrong] == ["its digest differs", "its digest differs"]


def test_rows_that_are_none_name_their_line(done: Task) -> None:
    from lab.research import declared
    from lab.research.work import contract

    (phase,) = (each for each in declared.phases() if each.name == "literature")
    assert contract.problems(phase, done.order, done.out, done) == ()
    done.out.write(source.FILE, (done.out.read(source.FILE) or b"") + b'{"key": 3}\n')
    (wrong,) = contract.problems(phase, done.order, done.out, done)
    assert wrong.startswith("lit/sources.jsonl: line 3: not a source")


def test_a_key_of_markup_stays_a_text_in_the_review(tmp_path: Path) -> None:
    title = "<img src=x> [x](javascript:y) # no [see @nobody] @property"
    own = {"a.bib": f"@misc{{a, title={{{title}}}, url={{javascript:alert(1)}}}}"}
    task = a_task(tmp_path, offline=True, own=own, topic=base64.b64encode(os.urandom(9)).decode())
    worked(task)
    assert "\\<img src=x> \\[x\\](javascript:y)" in review(task)
    assert problems(task) == []
    assert b"javascript:alert" not in (task.out.read(source.BIBTEX) or b"")


def test_papers_of_thousands_are_sorted_out_soon(double: Double, tmp_path: Path) -> None:
    double.papers += [Paper(f"{n} steps of descent", doi=f"10.1000/{n}", arxiv=f"2402.{n:05d}") for n in range(600)]
    task = a_task(tmp_path, double=double, most=600, queries=["steps", "descent"])
    assert Survey().work(task)["sources"] == 600
    assert problems(task) == []


def test_a_note_that_names_no_paper_keeps_nothing_from_being_published_and_a_paper_nobody_was_asked_about_does(
    double: Double, tmp_path: Path
) -> None:
    double.papers.append(paper(1))
    found = worked(a_task(tmp_path, double=double, own={"a.md": "# A note\nOn the step size of descent."}))
    assert found["a"].is_bare_note
    judged = citations.judged(bibtex(found, found), found, offline=False)
    assert (judged.problems, judged.unverified) == ((), ("a",))
    away = worked(a_task(tmp_path, urls={"arxiv": nobody()}, own={"b.md": NOTE}, run="away"))
    assert [row.status for row in away.values()] == ["unverified"]
    assert citations.judged(bibtex(away, away), away, offline=False).problems
