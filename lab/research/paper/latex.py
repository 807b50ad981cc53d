"""The same paper as LaTeX: made from paper.md and nothing else, so that no number can differ.

Whatever is no Markdown that papers have stands as plain text; nothing of the text can become a command.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING

from lab.core.errors import LabError
from lab.research import citing, declared
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

TEMPLATE = "paper.tex"
_PLACE = re.compile(r"<< (title|body|references) >>\n?")
_BIBLIOGRAPHY = "\\bibliographystyle{plain}\n\\bibliography{references}\n"
_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "…": r"\ldots{}", "–": "--", "—": "---", "±": r"\ensuremath{\pm}",  # noqa: RUF001
    "≥": r"\ensuremath{\geq}", "≤": r"\ensuremath{\leq}", "µ": r"\ensuremath{\mu}", "`": r"\textasciigrave{}",
    "[": "{[}", "*": "{*}",  # behind \\ or \item LaTeX would take these for what it was told, and leave them out
}  # fmt: skip
_INLINE = re.compile(
    r"\\(?P<escaped>[!-/:-@\[-`{-~])"
    r"|`(?P<code>[^`\n]+)`"
    r"|!\[(?P<caption>(?:\\.|[^\]\\])*)\]\((?P<image>[^()\s]*)\)"
    r"|\[(?P<cited>[^\[\]\n\\`]*?(?<![\w@])@[\w{][^\[\]\n]*)\](?!\()"
    r"|\[(?P<link>(?:\\.|[^\]\\])*)\]\((?P<target>[^()\s]*)\)"
    r"|\*\*(?P<strong>[^*\n]+)\*\*"
    r"|\*(?P<emphasis>[^*\s][^*\n]*)\*"
)
_WEB = re.compile(r"https?://")
_HEADINGS = {1: "section*", 2: "section", 3: "subsection", 4: "subsubsection", 5: "paragraph", 6: "subparagraph"}
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t#]*")
_RULE = re.compile(r"\|?(?:\s*:?-+:?\s*\|)+\s*(?::?-+:?\s*)?")
_REFERENCES = re.compile(r"#{1,6} (?:\d+(?:\.\d+)*\.? )?References\s*")
_ITEM = re.compile(r"\s*(?:[-*+]|\d{1,3}[.)])\s+(.*)")


def document(text: str, cited: Collection[str] = ()) -> str:
    """The whole file. `cited` are the keys of the bibliography: wherever the text cites one of them, LaTeX does."""
    data = reading.read(declared.place(TEMPLATE))
    if data is None:
        raise LabError("the template of LaTeX is not there", where=declared.place(TEMPLATE), fix="install labctl again")
    title, rest = _titled(citing.bracketed(text, cited), has_references=bool(cited))
    made = {
        "title": inline(title),
        "body": "\n".join(_blocks(rest)) + "\n",
        "references": _BIBLIOGRAPHY if cited else "",
    }
    # In one go: what stands in a paper is never a place for more. Without jinja2: whoever judges a run does this.
    return _PLACE.sub(lambda found: made[found[1]], data.decode())


def _titled(text: str, *, has_references: bool) -> tuple[str, list[str]]:
    """The first heading, and the lines behind it. The list of references is the bibliography's."""
    lines = text.split("\n")
    first = next((n for n, line in enumerate(lines) if line.startswith("# ")), None)
    title = "" if first is None else lines[first].removeprefix("# ")
    rest = lines if first is None else lines[first + 1 :]
    if not has_references:
        return title, rest
    start = next((n for n, line in enumerate(rest) if _REFERENCES.fullmatch(line)), len(rest))
    stop = next((n for n, line in enumerate(rest[start + 1 :], start + 1) if _HEADING.fullmatch(line)), len(rest))
    return title, [*rest[:start], *rest[stop:]]


def _blocks(lines: list[str]) -> Iterator[str]:
    """Headings, tables, lists and paragraphs."""
    for kind, group in groupby(_kinds(lines), key=lambda pair: pair[0]):
        rows = [row for _, row in group]
        match kind:
            case "heading":
                for row in rows:
                    found = _HEADING.fullmatch(row)
                    if found:
                        yield f"\n\\{_HEADINGS[len(found[1])]}{{{inline(found[2])}}}\n"
            case "table":
                yield from _table(rows)
            case "item":
                items = "\n".join(f"\\item {inline(_said(row))}" for row in rows)
                yield f"\\begin{{itemize}}\n{items}\n\\end{{itemize}}"
            case "blank":
                yield ""
            case _:
                yield "\n".join(map(inline, rows))


def _kinds(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        if not line.strip():
            yield "blank", line
        elif _HEADING.fullmatch(line):
            yield "heading", line
        elif line.startswith("|"):
            yield "table", line
        elif _ITEM.fullmatch(line):
            yield "item", line
        else:
            yield "text", line


def _said(row: str) -> str:
    found = _ITEM.fullmatch(row)
    return found[1] if found else row


def _table(rows: list[str]) -> Iterator[str]:
    cells = [_cells(row) for row in rows if not _RULE.fullmatch(row)]
    width = max(map(len, cells), default=1)
    yield f"\\begin{{center}}\\small\\begin{{tabular}}{{{'l' * width}}}\n\\hline"
    for number, row in enumerate(cells):
        yield " & ".join(map(inline, [*row, *[""] * (width - len(row))])) + r" \\" + (r" \hline" if not number else "")
    yield "\\hline\n\\end{tabular}\\end{center}"


def _cells(row: str) -> list[str]:
    """What stands between bars; one behind a backslash is a letter."""
    inside = row.strip().removeprefix("|")
    found = [each.strip() for each in re.split(r"(?<!\\)\|", inside)]
    return found[:-1] if found and not found[-1] else found


def inline(words: str) -> str:
    """One line of Markdown."""
    pieces, at = [], 0
    for found in _INLINE.finditer(words):
        pieces += [plain(words[at : found.start()]), _piece(found)]
        at = found.end()
    return "".join((*pieces, plain(words[at:])))


def _piece(found: re.Match[str]) -> str:
    match found.lastgroup:
        case "escaped":
            return plain(found["escaped"])
        case "code":
            return f"\\texttt{{{plain(found['code'])}}}"
        case "image":
            return _image(found["caption"], found["image"])
        case "cited":
            return _cited(found["cited"])
        case "target":
            said = inline(found["link"])
            return f"\\href{{{_address(found['target'])}}}{{{said}}}" if _WEB.match(found["target"]) else said
        case "strong":
            return f"\\textbf{{{inline(found['strong'])}}}"
    return f"\\emph{{{inline(found['emphasis'])}}}"


def _cited(words: str) -> str:
    """What stands in the brackets of a citation: keys alone are one command, and words around them stay."""
    at = list(citing.spans(words))
    starts, ends = [*(start for start, _, _ in at), len(words)], [0, *(end for _, end, _ in at)]
    between = [words[end:start] for end, start in zip(ends, starts, strict=True)]
    keys = [re.sub(r"[^\w:.-]", "", key) for _, _, key in at]
    if keys and not re.search(r"[^\s;-]", "".join(between)):
        return f"\\cite{{{','.join(keys)}}}"
    cites = [*(f"\\cite{{{key}}}" for key in keys), ""]
    return "".join(("{[}", *(inline(word) + cite for word, cite in zip(between, cites, strict=True)), "]"))


def _image(caption: str, path: str) -> str:
    """LaTeX takes no SVG: a picture of the same name that it takes is shown where somebody made one."""
    stem = re.sub(r"[^A-Za-z0-9/-]", "", path.rpartition(".")[0])
    drawn = f"\\includegraphics[width=\\linewidth]{{{stem}.pdf}}"
    shown = f"\\IfFileExists{{{stem}.pdf}}{{{drawn}}}{{\\texttt{{{plain(path)}}}}}"
    return f"\\begin{{figure}}[ht]\\centering {shown}\\caption{{{inline(caption)}}}\\end{{figure}}"


def _address(target: str) -> str:
    """Of a link: only what an address has, so that it can end no argument."""
    return (
        re.sub(r"[^A-Za-z0-9:/?.=&+@,;_~-]", "", target).replace("&", r"\&").replace("_", r"\_").replace("~", r"\~{}")
    )


def plain(words: str) -> str:
    """Text that stays text."""
    return "".join(_SPECIAL.get(letter, letter) for letter in words)
