# ruff: noqa: E501  # an input or a row of a table stands on one line
"""What research reads of others: answers about papers, BibTeX, notes, ideas, projects, claims, the source of a paper."""

from __future__ import annotations

import math

import msgspec

from lab.core.errors import LabError
from lab.core.view import View
from lab.research import citing, idea, project
from lab.research import order as of_phase
from lab.research.ideas import hypothesis
from lab.research.literature import arxiv, bibtex, openalex, own, phrase, quoting, rows, semantic_scholar
from lab.research.literature import bibliography as written
from lab.research.literature.entry import Unanswered
from lab.research.paper import bibliography, claim, evidence, forms, language, linting
from lab.research.release import manifest
from lab.research.source import Source
from lab.research.study import SEARCH, Study
from lab.store import experiments
from scripts.trial.fuzzing import own_files, samples
from scripts.trial.fuzzing.target import Target, chosen, promise

_ATOM = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom" xmlns:o="http://a9.com/-/spec/opensearch/1.1/"'
    b' xmlns:arxiv="http://arxiv.org/schemas/atom"><o:totalResults>2</o:totalResults><entry><id>http://arxiv.org/abs/1706.03762v7</id>'
    b"<published>2017-06-12T17:57:34Z</published><title>Attention &amp; all</title><summary>s</summary><author><name>A. V</name></author>"
    b"<arxiv:doi>10.1/x</arxiv:doi></entry></feed>"
)
_WORKS = (
    b'{"meta": {"count": 3, "next_cursor": "x"}, "results": [{"id": "https://openalex.org/W1", "doi": "https://doi.org/10.48550/arxiv.1706.03762",'
    b' "display_name": "A title", "publication_year": 2017, "abstract_inverted_index": {"We": [0], "show": [1, 3]},'
    b' "authorships": [{"author": {"display_name": "A. V"}}]}]}'
)
_PAPERS = (
    b'{"total": 2, "next": 1, "data": [{"title": "T", "abstract": "a", "year": 2017, "authors": [{"name": "A"}],'
    b' "externalIds": {"DOI": "10.1/x", "ArXiv": "1706.03762", "CorpusId": 1}, "url": "https://x"}]}'
)
_BIB = (
    b'@string{j = {Journal}}\n@article{knuth84,\n  title = {The {\\TeX}book: \\\'e \\"{o} \\& more},\n  author = "Knuth, D. and {A and B}",\n'
    b"  year = 1984, journal = j # { of } # jan,\n}\n@comment{x}\n@misc(b, title={t})\n@book{c title = }\n"
)
_NOTE = b"---\ntitle: A note\nauthor: [A. Lovelace, B]\nyear: 2020\ndoi: 10.1/x\n---\n# Heading\n\nA sentence. Another one! - and a point\n"
_IDEA = (
    b"name: warm-up\nhypothesis: it helps\nmetric: loss\ndirection: minimize\npredicted_gain: 0.05\nkill: {gain_below: 0.0, after_runs: 8}\n"
    b"space: {lr: {low: 0.1, high: 1}}\nsources: [a]\n"
)
_HYPOTHESIS = b"---\ntitle: off\npredicted_gain: 0.05\nkill: {after_runs: 3}\n---\n# Warm up\n\nIt helps.\n"
_PROJECT = (
    b"mode: A\ntopic: learning rates\nskip: [publishing]\nliterature: {hosts: [arxiv]}\ntraining: {runs: 8}\n"
    b"gates: {writing: approve}\nrouting: {ideation: agent}\npaper: {title: T}\npublish: {to: git}\n"
)
_ORDER = b'{"phase": "training", "round": 1, "worker": "runs", "inputs": {}}'
_PAPER = (
    b"# {{ title }}\n\n## Method\nWe say 3 things.\n\n## Results\n{% for r in rounds %}{{ r.n }}{% endfor %}\n"
    b"{% if a is not none %}[@key] {{ cite('a') }}{% endif %}\n\n## Negative results\nnone\n\n## Use of AI\n| a | b |\n|---|---|\n![f](figures/x.svg)\n"
)
_STUDY = Study(
    experiment="lr-sweep", kind=SEARCH, spec=experiments.parse_spec(own_files.SPEC, "SPEC.yaml"), spec_sha256="", view=View(experiment="lr-sweep"),
    tier="proxy", report="final", metric="loss", direction="minimize",
)  # fmt: skip


def _hosts(data: bytes) -> None:
    """Whatever a host answered about papers: entries with titles, or that it did not answer."""
    at, rest = chosen(data, 3)
    host = (arxiv, openalex, semantic_scholar)[at]
    host.complaint(rest)
    found = host.read(rest, "")
    promise(all(each.title and "\n" not in each.title for each in found.entries), "an entry without a title in a line")
    msgspec.json.encode(found)
    for each in found.entries:
        host.look_up(each)
        phrase.key(each.authors, each.year, each.title)


def _bibtex(data: bytes) -> None:
    """BibTeX as people write it: its entries, and a line for each that is none; ours comes back as it was."""
    text = data.decode(errors="replace")
    found = bibtex.parse(text)
    promise(len(found.problems) <= bibtex.MOST_PROBLEMS + 2, "more problems than are told")
    for item in found.items:
        title = item.fields.get("title", "")
        source = Source(
            key="a",
            title=phrase.plain(title, 500) or "t",
            origin="user",
            url=phrase.plain(item.fields.get("url", ""), 500),
        )
        again = bibtex.parse(written.entry(source, {"note": "n"})).items
        promise(
            len(again) == 1 and again[0].fields["title"] == source.title,
            f"a title reads otherwise once it was written: {source.title!r}",
        )
    bibliography.entries(data)


def _notes(data: bytes) -> None:
    """Notes of the user: what they say of themselves, and sentences that are really in them."""
    problems: list[str] = []
    text = own._text("a.md", data, problems)  # noqa: SLF001  # what stands between the file and what is read of it
    promise(text or problems, "a note that is not read is not told")
    own._of_note("a.md", text)  # noqa: SLF001  # the same
    for quote in quoting.spans(text, phrase.stems(("sentence", "a", "heading"))):
        promise(quoting.is_true(quote, text), "a quote that does not stand there")
    phrase.terms(text)
    phrase.keywords(text, 5)


def _projects(data: bytes) -> None:
    """project.yaml, ideas, hypotheses, orders of phases: understood, or refused with the line."""
    at, rest = chosen(data, 6)
    match at:
        case 0:
            project.parse(rest)
        case 1:
            found = idea.parse(rest, "ideas/a.yaml")
            promise(math.isfinite(found.predicted_gain), "a gain that is not finite")
        case 2:
            hypothesis.read(rest, "a.md", _STUDY)  # type: ignore[arg-type]  # as much of one as is read
        case 3:
            hypothesis.read(rest, "a.yaml", _STUDY)  # type: ignore[arg-type]  # the same
        case 4:
            of_phase.read_bytes(rest)
        case _:
            manifest.read(rest)


def _claims(data: bytes) -> None:
    """Rows of sources and claims, and whatever a paper takes a number from."""
    at, rest = chosen(data, 4)
    if at == 0:
        found = rows.read(rest)
        promise(rows.read(rows.page(found)) == found, "read(page(sources)) are other sources")
        written.page(found)
    elif at == 1:
        made = claim.read(rest)
        promise(claim.read(claim.written(made)) == made, "read(written(claims)) are other claims")
    elif at == 2:  # noqa: PLR2004  # the third of the choices
        evidence.value("artifacts/a.json", rest)
    else:
        evidence.value("artifacts/ideas/a.yaml", rest)


def _paper(data: bytes) -> None:
    """The source of a paper: rendered of nothing but what it is given, or refused with the line."""
    source = data.decode(errors="replace")
    linting.of_source(source)
    linting.of_paper(source, ())
    citing.keys(source)
    text = language.rendered(
        source, {"title": "T", "rounds": [{"n": "one"}], "a": None, "cite": lambda key: f"[@{key}]"}
    )
    linting.of_paper(text, ())


def _forms(data: bytes) -> None:
    """How a number is written: in a few characters, or not at all."""
    form = data.decode(errors="replace")
    for raw in (0.0, -1.5, 1e300, 12345):
        promise(len(forms.number(form, raw)) < 2_000, "a number without an end")  # noqa: PLR2004  # a few hundred digits at most


TARGETS = (
    Target(
        name="hosts",
        what="answers of arXiv, OpenAlex and Semantic Scholar",
        read=_hosts,
        head=1,
        raises=(LabError, Unanswered),
        seeds=(
            b"\x00" + _ATOM,
            b"\x01" + _WORKS,
            b"\x02" + _PAPERS,
            b'\x02{"message": "Too Many Requests", "code": "429"}',
        ),
        words=(
            "<entry>",
            "</entry>",
            "<title>",
            "&#x0;",
            "<!DOCTYPE",
            "<!ENTITY",
            "<![CDATA[",
            "xmlns",
            "title",
            "abstract_inverted_index",
            "externalIds",
        ),
        reads=(
            "lab.research.literature.arxiv",
            "lab.research.literature.openalex",
            "lab.research.literature.semantic_scholar",
            "lab.research.literature.answers",
            "lab.research.literature.phrase",
        ),
    ),
    Target(
        name="bibtex",
        what="BibTeX, and the TeX in its titles",
        read=_bibtex,
        seeds=(_BIB,),
        words=("@article{", "@string{", "{", "}", '"', "#", "\\'", '\\"{o}', "\\&", "=", ",", "\\ss", "~", "--", "$"),
        reads=(
            "lab.research.literature.bibtex",
            "lab.research.literature.tex",
            "lab.research.literature.bibliography",
            "lab.research.paper.bibliography",
        ),
    ),
    Target(
        name="own-notes",
        what="notes of the user, and quotes of them",
        read=_notes,
        seeds=(_NOTE,),
        words=("---\n", "# ", ". ", "10.1/", "arXiv:"),
        reads=("lab.research.literature.own", "lab.research.literature.quoting", "lab.research.literature.phrase"),
    ),
    Target(
        name="projects",
        what="project.yaml, ideas, hypotheses, orders of phases, release.json",
        read=_projects,
        head=1,
        seeds=(
            b"\x00" + _PROJECT,
            b"\x01" + _IDEA,
            b"\x02" + _HYPOTHESIS,
            b"\x03" + _IDEA,
            b"\x04" + _ORDER,
            b"\x05" + msgspec.json.encode(samples.sample(manifest.Release)),
        ),
        words=("---\n", "kill: ", "predicted_gain: ", "mode: ", "off", "1e400", ".nan", "title: "),
        reads=(
            "lab.research.project",
            "lab.research.idea",
            "lab.research.ideas.hypothesis",
            "lab.research.order",
            "lab.research.converted",
            "lab.research.release.manifest",
            "lab.core.spec_text",
        ),
    ),
    Target(
        name="claims",
        what="sources.jsonl, claims.jsonl, and what a paper takes numbers from",
        read=_claims,
        head=1,
        seeds=(
            b"\x00" + msgspec.json.encode(samples.sample(Source)) + b"\n",
            b"\x01" + msgspec.json.encode(samples.sample(claim.Claim)),
            b'\x02{"a": [1, 2.5, null]}',
            b"\x03" + _IDEA,
        ),
        words=("key", "raw", "of", "op"),
        reads=("lab.research.literature.rows", "lab.research.paper.claim", "lab.research.paper.evidence"),
    ),
    Target(
        name="paper",
        what="the source of a paper, and its Markdown",
        read=_paper,
        seeds=(_PAPER,),
        most=8192,
        words=(
            "{{ ",
            " }}",
            "{% if ",
            "{% for ",
            "%}",
            "{% endif %}",
            "| fmt(",
            "[@",
            "](",
            "## ",
            "| a |",
            "```",
            "<b>",
            "&amp;",
            "~",
            "1.5e3",
        ),
        reads=(
            "lab.research.paper.language",
            "lab.research.paper.linting",
            "lab.research.paper.sections",
            "lab.research.citing",
        ),
    ),
    Target(
        name="forms",
        what="how a paper writes a number",
        read=_forms,
        most=64,
        seeds=(b"fmt(.4f)", b"si(3)", b"pct(1)", b"duration", b"fmt(+,.2e)"),
        words=("fmt(", "si(", "pct(", ")", ".", "e", "999"),
        reads=("lab.research.paper.forms",),
    ),
)
