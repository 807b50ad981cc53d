"""Citations are found however they are written, and nothing else is taken for one."""

from __future__ import annotations

import time

import pytest

from lab.research import citing


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("As in [@a].", {"a"}),
        ("All of [@smith2020; @jones2021].", {"smith2020", "jones2021"}),
        ("[see @a, p. 3; also @b, chap. 2]", {"a", "b"}),
        ("Smith [-@a] says, and -@b does", {"a", "b"}),
        ("@a says [p. 3], (@b) and *@c*. Done.@d", {"a", "b", "c", "d"}),
        ("[@Doe:2020_x.y-1]: at the end of one @doe.", {"Doe:2020_x.y-1", "doe"}),
        ("[@{a b/1}] and @_c and @müller2020, @Ñandú", {"a b/1", "_c", "müller2020", "Ñandú"}),
        (r"\cite{a, b} \citep[see][p. 3]{c} \textcite*{d}", {"a", "b", "c"}),
        (r"\\@a behind a backslash that is one", {"a"}),
        ("[words @a](https://a.org/@b)", {"a"}),
        ("```\n[@a]\n```", {"a"}),
        ("`` ` ``@a`` ` ``", {"a"}),
        ("write to ada.l+x@example.org, root@localhost or <a@b.org>", set()),
        ("https://a.org/@user and (https://b.org/x/@y)", set()),
        (r"\@a and \[\@b\] and `@c` and ``[@d] ` @e``", set()),
        ("@ a, @@b, a@b, @, @-a, at 3 @ 4, [@]", set()),
    ],
)  # fmt: skip
def test_a_citation_is_found_however_it_is_written_and_nothing_else_is_one(text: str, keys: set[str]) -> None:
    assert citing.keys(text) == keys


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[@a; @b] x", "[@a; @b](a b) x"),
        ("[see @a, p. 3], @b, [-@c]", "[see @a, p. 3](a), @b(b), [-@c](c)"),
        ("[words @a](there) [@b]", "[words @a(a)](there) [@b](b)"),
        (r"\cite{a, b}.", r"\cite{a, b}(a b)."),
        ("[none] of `@a`", "[none] of `@a`"),
    ],
)  # fmt: skip
def test_words_stand_behind_each_citation_or_behind_its_brackets(text: str, said: str) -> None:
    assert citing.followed(text, lambda keys: f"({' '.join(keys)})") == said


@pytest.mark.parametrize("text", ["".join("`" * n + " " for n in range(700)), "[@" * 100_000, "\\cite" * 50_000])
def test_no_text_takes_long(text: str) -> None:
    began = time.process_time()
    citing.followed(text, str)
    assert time.process_time() - began < 5.0
