"""How numbers are written: the same value gives the same text, whatever the form, and through every file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core.errors import BadInput
from lab.core.record import encode, parse
from lab.research.paper import forms, placed
from lab.research.paper.claim import NUMBER, Claim, Part

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SPECS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "+"]),
    st.sampled_from(["", ","]),
    st.sampled_from(["", ".0", ".3", ".12"]),
    st.sampled_from("efg"),
)
FORMS = st.one_of(
    st.just("plain"),
    st.just("duration"),
    st.builds("fmt({})".format, SPECS),
    st.builds("si({})".format, st.integers(1, 9)),
)


@given(raw=st.one_of(FLOATS, st.integers(-(2**53), 2**53)), form=FORMS)
def test_any_number_in_any_form_is_the_same_text_again_after_its_row_was_written_and_read(
    raw: float, form: str
) -> None:
    text = forms.number(form, raw)
    row = Claim(
        n=1,
        line=3,
        column=5,
        text=text,
        kind=NUMBER,
        expression="x",
        raw=raw,
        of=(Part(file="f", sha256=""),),
        form=form,
    )
    again = parse(Claim, encode(row), "claims.jsonl")
    assert again == row
    assert forms.number(again.form, again.raw) == text  # type: ignore[arg-type]
    paper = f"# A\n\nIt: {text} so\n\n## Negative results\n\n## Use of AI\n"
    found = placed.find(paper, (again,))
    assert not found.drifts
    assert found.here == (row,)
    assert not found.lint


@given(raw=FLOATS, form=FORMS, other=FLOATS)
def test_a_text_that_another_number_was_written_as_is_told(raw: float, form: str, other: float) -> None:
    text, wrong = forms.number(form, raw), forms.number(form, other)
    row = Claim(n=1, line=1, column=1, text=text, kind=NUMBER, expression="x", raw=other, of=(), form=form)
    assert bool(placed.find(text, (row,)).drifts) == (text != wrong)


@pytest.mark.parametrize(
    ("form", "raw", "text"),
    [
        ("plain", 0.1, "0.1"),
        ("plain", 12, "12"),
        ("fmt(.4f)", 0.98765, "0.9877"),
        ("fmt(+.2g)", 0.5, "+0.5"),
        ("fmt(,d)", 12345, "12,345"),
        ("si", 1234.0, "1.23k"),
        ("si(2)", 0.00012, "1.2e+02µ"),
        ("si", 0, "0"),
        ("si", 1e20, "1e+20"),
        ("pct", 0.1234, "12.3 %"),
        ("pct(0)", -0.5, "-50 %"),
        ("duration", 200.0, "3 min 20 s"),
    ],
)
def test_numbers_are_written_as_people_write_them(form: str, raw: float, text: str) -> None:
    assert forms.number(form, raw) == text


@pytest.mark.parametrize(
    "form",
    ["fmt(99999999f)", "fmt(.999f)", "fmt(x)", "fmt({0})", "fmt(.2f}{)", "words", "pct(99)", "si(a)", "fmt(d)", ""],
)
def test_a_form_that_is_none_is_refused(form: str) -> None:
    with pytest.raises(BadInput):
        forms.number(form, 0.5)


def test_what_is_no_number_is_not_made_of_numbers() -> None:
    with pytest.raises(BadInput, match="divided by 0"):
        forms.made("ratio", [1.0, 0], {})
    with pytest.raises(BadInput, match="no number"):
        forms.made("difference", [1.0, None], {})
    with pytest.raises(BadInput, match="no number"):
        forms.made("value", [True], {})
    assert forms.made("count", [[{"a": 1}, {"a": 2}, 3]], {"a": 1}) == 1
