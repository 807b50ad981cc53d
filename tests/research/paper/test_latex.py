"""The paper as LaTeX: no text becomes a command, and no letter is lost on the way."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.research.literature import bibtex
from lab.research.paper import bibliography, forms, latex
from lab.research.source import Source

OURS = {
    "textbackslash", "textasciicircum", "textasciitilde", "textless", "textgreater", "textbar", "textquotedbl", "ldots",
    "ensuremath", "pm", "geq", "leq", "mu", "textasciigrave",
}  # fmt: skip
BACK = {written: letter for letter, written in latex._SPECIAL.items()}
HOSTILE = st.text(alphabet=st.sampled_from(list('\\{}$&#%_^~<>|"`[]()*!@-+= ab01/.:\n')), max_size=60)


@given(words=st.one_of(st.text(max_size=60), HOSTILE))
def test_no_words_from_outside_become_a_command(words: str) -> None:
    said = latex.inline(forms.words("", words))
    commands = re.findall(r"\\([a-zA-Z]+)", said)
    assert set(commands) <= {*OURS, "emph", "textbf"}  # stars in words may be emphasis: that is no harm
    bare = re.sub(r"\\(?:[a-zA-Z]+(?:\{\})?|[{}$&#%_])", "", said)
    assert not re.search(r"[\\$&#%_^~<>|\"`]", bare)
    assert bare.count("{") == bare.count("}")


@given(words=st.text(max_size=60))
def test_plain_text_can_be_read_back(words: str) -> None:
    written = latex.plain(words)
    pieces = sorted(BACK, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, pieces)))
    if not set(words) & {"-"}:  # two dashes are a long one
        assert pattern.sub(lambda found: BACK[found[0]], written) == words


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a **b** *c* `d_e`", r"a \textbf{b} \emph{c} \texttt{d\_e}"),
        ("[@a-2001; @b] and", r"\cite{a-2001,b} and"),
        ("[see @a, p. 3; also -@b] and", r"{[}see \cite{a}, p. 3; also -\cite{b}] and"),
        ("[-@a] `[@b]` [to @c](x) [a@b.org]", r"\cite{a} \texttt{{[}@b]} to @c {[}a@b.org]"),
        ("[words](https://example.org/a_b?c=1%20)", r"\href{https://example.org/a\_b?c=120}{words}"),
        (r"\[@a\] \*b\*", "{[}@a] {*}b{*}"),
        ("[x](javascript:\\input{y})", "x"),
        ("5 % of 3 & 4", r"5 \% of 3 \& 4"),
    ],
)  # fmt: skip
def test_markdown_is_set_as_it_reads(line: str, said: str) -> None:
    assert latex.inline(line) == said


def test_a_bracket_or_a_star_that_begins_a_row_or_an_item_is_no_argument_of_latex() -> None:
    said = latex.document("# A\n\n| \\[3cm\\] | b |\n| --- | --- |\n| \\* c | \\[d\\] |\n\n- \\[Re\\] title\n")
    assert not re.search(r"(?:\\\\|\\hline|\\item)\s*[\[*]", said)
    assert r"\item {[}Re] title" in said
    assert "{[}3cm] & b" in said
    assert "{*} c & {[}d]" in said


def test_tables_and_lists_are_set_whole_and_a_bar_behind_a_backslash_is_a_letter() -> None:
    tex = latex.document("# T\n\n| a | b |\n| --- | --- |\n| 1 \\| 2 | 3 |\n\n- x\n- y\n")
    assert "a & b \\\\ \\hline\n1 \\textbar{} 2 & 3 \\\\\n" in tex
    assert "\\begin{itemize}\n\\item x\n\\item y\n\\end{itemize}" in tex
    assert "\\bibliography" not in tex


def test_a_citation_in_the_text_is_one_of_latex_where_the_paper_cites_it() -> None:
    text = "# T\n\n@a says *@b* [see @a], \\cite{a, b}, `@a`, [a @a](https://a.org), a@b.org and @other.\n"
    said = latex.document(text, ("a", "b"))
    cites = r"\cite{a} says \emph{\cite{b}} {[}see \cite{a}], \cite{a,b}, \texttt{@a}, \href{https://a.org}{a @a}"
    assert f"{cites}, a@b.org and @other." in said


@given(words=HOSTILE)
def test_no_title_of_a_source_ends_its_entry(words: str) -> None:
    source = Source(key="k", title=words or "x", authors=(words,), origin="user", status="verified")
    data = bibliography.bibtex(["k"], {"k": source})
    assert bibliography.entries(data) == {"k"}
    assert data.count(b"{") == data.count(b"}")


def test_the_entries_of_a_paper_are_those_of_its_literature() -> None:
    source = Source(key="k", title="{A} of B", authors=("Smith and Sons",), origin="user", url="javascript:alert(1)")
    other = msgspec.structs.replace(source, key="o", doi="10.1/a_b~c", url="https://a.org/a_b~c", status="verified")
    said = bibliography.bibtex(["k", "o"], {"k": source, "o": other}).decode()
    first, second = bibtex.parse(said).items
    assert first.fields == {
        "title": "{A} of B", "author": "Smith and Sons", "note": "unverified: nobody was asked",
    }  # fmt: skip
    assert "author = {{Smith and Sons}}" in said
    assert "url = {https://a.org/a_b~c}" in said
    assert second.fields["doi"] == "10.1/a_b~c"
    assert "note" not in second.fields


def test_what_stands_in_a_paper_is_no_place_of_the_template() -> None:
    said = latex.document("# On << body >>\n\nSee << references >>.\n", ["a"])
    assert said.count("\\bibliography{references}") == 1
    assert "\\title{On \\textless{}\\textless{} body" in said
    assert said.endswith("\\bibliography{references}\n\\end{document}\n")
    assert latex.document("x").endswith("\\maketitle\nx\n\\end{document}\n")
