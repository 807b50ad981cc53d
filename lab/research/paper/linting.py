"""What a paper may not say by itself: a number in any part that tells results, and markup that hides one.

Everywhere is a result but below headings that are called method, setup, background, related work or references, and
nothing else; there, too, tables and captions are. A numeral stands free only in what is no statement: a citation, the
id of a run, a name (`lr2`, CIFAR10), the address of a link, the number of a heading, a list, a figure or a table.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput
from lab.projections import text as plain
from lab.research import citing
from lab.research.paper import glued, sections
from lab.research.paper.claim import FIGURE, Claim
from lab.research.paper.glued import WRITE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lab.research.paper.sections import Line

WANTED = (("negative result", "Negative results"), ("ai", "Use of AI"))
_UNDERLINE = re.compile(r" {0,3}(?:=+|-+)[ \t]*")
_FREE = (
    re.compile(r"RUN-\d{8}-\d{6}-\d{6}-[A-Za-z]\w*(?:-[A-Za-z]\w*)*(?![.-]?\w)"),
    re.compile(r"(?<=\]\()https?://[^()\s]*(?=\))"),
    re.compile(
        r"\b(?:Table|Figure|Fig\.|Section|Equation|Appendix) [1-9](?![.,]?\w)"
        rf"(?!\s*(?:{sections.SCALES}|cases\b))",
        re.ASCII | re.IGNORECASE,
    ),
)
_SPELLED = re.compile(
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|twenty|"
    r"thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million|half|twice|double[sd]?|triple[sd]?|"
    r"tenfold|percent|per cent)\b",
    re.IGNORECASE,
)
_HTML = re.compile(r"<[A-Za-z/!?]|&(?:[A-Za-z]\w*|#\w+);")
_IMAGE = re.compile(r"!\[([^\]]*)\](?:\(([^()\s]*)\)|\S*)")
_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_UNITS = re.compile(r"\s?[%‰]|\s?per[ -]?cent", re.IGNORECASE)
_MOST_TOLD = 20


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """`is_remark`: told, and nothing is refused for it."""

    line: int
    what: str
    fix: str = ""
    is_remark: bool = False


Span = tuple[int, int]


def of_source(source: str) -> tuple[Finding, ...]:
    """Of what the source says by itself. Its expressions are judged by what comes of them."""
    return tuple(_found(source, [found.span() for found in _TEMPLATE.finditer(source)]))


def of_paper(text: str, claims: Sequence[Claim]) -> tuple[Finding, ...]:
    """Of the finished paper, whose claims stand where they say."""
    at = spans(text, claims)
    lines = list(sections.walk(without(text, at)))
    touched = (*glued.of(text, claims, at), *glued.predicted(text, claims, at, lines))
    told = [Finding(line=each.line, what=what, fix=fix) for each, what, fix in touched]
    found = [*_found(text, at), *told, *_drawn(text, claims), *_lacks(lines)]
    return tuple(sorted(found, key=lambda each: each.line))


def spans(text: str, claims: Sequence[Claim]) -> list[Span]:
    """What the claims cover, from where to where."""
    starts = [0, *(place + 1 for place, letter in enumerate(text) if letter == "\n")]
    return [(at := starts[each.line - 1] + each.column - 1, at + len(each.text)) for each in claims]


def refuse(found: Iterable[Finding], where: str) -> None:
    """`BadInput` that names every line that is wrong."""
    wrong = [each for each in found if not each.is_remark]
    if not wrong:
        return
    told = [f"line {each.line}: {each.what}" for each in wrong[:_MOST_TOLD]]
    more = [f"and {len(wrong) - _MOST_TOLD} more"] if len(wrong) > _MOST_TOLD else []
    raise BadInput("; ".join([*told, *more]), where=f"{where} line {wrong[0].line}", fix=wrong[0].fix)


def _found(text: str, covered: Sequence[Span]) -> Iterator[Finding]:
    """Line by line, with everything blanked that is covered or free."""
    for line in sections.walk(without(text, covered)):
        yield from _markup(line)
        if line.is_guarded:
            yield from _numerals(line.number, _freed(line))


def without(text: str, covered: Sequence[Span]) -> str:
    """The text with blanks where something else answers for it; lines and places stay."""
    pieces, at = [], 0
    for start, end in sorted(covered):
        if start < at:
            continue
        pieces += [text[at:start], re.sub(r"[^\n]", "\x1f", text[start:end])]
        at = end
    return "".join((*pieces, text[at:]))


def _markup(line: Line) -> Iterator[Finding]:
    """Markup in which a number would not be seen, or a heading that is none."""
    if not line.is_code and _HTML.search(line.text):
        yield Finding(line=line.number, what="HTML is not part of a paper, not in code within a line either",
                      fix="write Markdown; links as [words](address)")  # fmt: skip
    if line.is_fenced_in:
        yield Finding(line=line.number, what="a fence of code begins at the start of its line", fix="```")
    before = line.before.strip() and not sections.HEADING.match(line.before)
    if before and not line.is_code and _UNDERLINE.fullmatch(line.text):
        yield Finding(line=line.number, what="a heading is written with #", fix="## Results")
    if plain.UNSEEN.search(line.text.replace("\x1f", "").replace("\t", " ")):
        yield Finding(line=line.number, what="there are invisible characters in it", fix="write it in plain text")


def _freed(line: Line) -> str:
    """The line without what is no statement."""
    shown = " " * line.free + line.text[line.free :]
    for start, end, key in citing.spans(shown):
        if key[:1].isalpha() or key.startswith("_"):
            shown = shown[:start] + " " * (end - start) + shown[end:]
    for each in _FREE:
        shown = each.sub(lambda found: " " * len(found[0]), shown)
    return shown


def _numerals(number: int, line: str) -> Iterator[Finding]:
    at = 0
    while at < len(line):
        if not glued.counts(line[at]):
            at += 1
            continue
        is_name, end = bool(at) and _is_of_a_name(line[at - 1]) and line[at].isascii(), at
        while end < len(line) and (
            line[end].isalnum() or line[end] in ("_" if is_name else ".,%_") or glued.counts(line[end])
        ):
            end += 1
        if is_name and not _UNITS.match(line, end):
            at = end
            continue
        told = line[at:end].rstrip(".,")
        fix = f"{WRITE}; a name in one piece: X{told}" if told.isalnum() else WRITE
        yield Finding(line=number, what=f"the number {told} comes from no run", fix=fix)
        at = end
    for found in _SPELLED.finditer(line):
        yield Finding(line=number, what=f"{found[0]!r} is a number in words, which nobody proves", fix=WRITE,
                      is_remark=True)  # fmt: skip


def _is_of_a_name(letter: str) -> bool:
    """Whether digits behind it belong to a name: only of a script in which words end before a number begins."""
    return letter.isascii() and (letter.isalpha() or letter == "_")


def _drawn(text: str, claims: Sequence[Claim]) -> Iterator[Finding]:
    """A figure is the lab's own, and its caption says which runs it is of."""
    ours = {each.text for each in claims if each.kind == FIGURE}
    for found in _IMAGE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        if found[2] not in ours:
            fix = "![Every run, from {{ training.made[0].run_id }} on]({{ figure('stairs') }})"
            yield Finding(line=line, what="this figure was not drawn by the lab", fix=fix)
        elif "RUN-" not in found[1]:
            fix = "name the first and the last: from {{ training.made[0].run_id }} to {{ training.made[-1].run_id }}"
            yield Finding(line=line, what="the caption of a figure names the runs that it was drawn from", fix=fix)


def _lacks(lines: Sequence[Line]) -> Iterator[Finding]:
    """What every paper has."""
    titles = [line.text.lower() for line in lines if line.is_heading]
    for word, title in WANTED:
        if not any(re.search(rf"\b{word}", each) for each in titles):
            yield Finding(line=1, what=f"there is no section {title}", fix=f"write ## {title}")
