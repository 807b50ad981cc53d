from __future__ import annotations

import json
import math

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from lab.core import spec_text
from lab.core.errors import BadInput
from lab.core.spec_text import MAX_BYTES, MAX_DEPTH, MAX_NODES, Lines, parse_text


def read(text: str) -> dict[str, object]:
    return parse_text(text.encode(), "SPEC.yaml")[0]


def refusal(text: str | bytes) -> str:
    with pytest.raises(BadInput) as caught:
        parse_text(text if isinstance(text, bytes) else text.encode(), "SPEC.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1", 1), ("+5", 5), ("-5", -5), ("010", 10), ("0x1F", 31), ("0o17", 15), ("1e-3", 0.001), ("1e3", 1000.0),
        (".5", 0.5), ("-.5", -0.5), ("1.", 1.0), ("6.02E23", 6.02e23), ("1:30", "1:30"), ("2026-11-21", "2026-11-21"),
        ("1_000", "1_000"), ("true", True), ("Yes", True), ("ON", True), ("no", False), ("off", False), ("y", "y"),
        ("~", None), ("null", None), ("", None), ("NULL", None), (".inf", math.inf), ("-.Inf", -math.inf),
        ("'5'", "5"), ('"yes"', "yes"), ("a # b", "a"), ("a#b", "a#b"), ("!!str 5", "5"), ("! 5", "5"),
        ("!!int 5", 5), ("!!float 5", 5.0), ("[a, 1]", ["a", 1]), ("{b: 1}", {"b": 1}), ("|\n  x\n  y", "x\ny"),
        (">\n  x\n  y\n", "x y\n"), ("tRUE", "tRUE"),
    ],
)  # fmt: skip
def test_a_value_is_what_yaml_1_2_says_it_is(written: str, value: object) -> None:
    found = read(f"a: {written}")["a"]
    assert found == value
    assert type(found) is type(value)


def test_nan_is_read_as_nan_for_the_spec_to_refuse_by_name() -> None:
    found = read("a: .nan")["a"]
    assert isinstance(found, float)
    assert math.isnan(found)


def test_a_number_of_many_digits_is_no_trouble() -> None:
    assert read("a: " + "9" * 300)["a"] == int("9" * 300)
    assert read("a: " + "9" * 5000)["a"] == "9" * 5000


def test_every_value_has_its_line_and_what_has_none_has_its_parents() -> None:
    text = "# heading\nid: a\nlist:\n  - x\n  - k: |\n      long\n      text\nblank:\nlast: {p: 1,\n  q: 2}\n"
    _, lines = parse_text(text.encode(), "SPEC.yaml")
    assert {path: lines.line(path) for path in [(), ("id",), ("list",), ("list", 1), ("list", 1, "k")]} == {
        (): 2,
        ("id",): 2,
        ("list",): 3,
        ("list", 1): 5,
        ("list", 1, "k"): 5,
    }
    assert lines.line(("blank",)) == 8
    assert lines.line(("last", "q")) == 10
    assert lines.line(("last", "q", "deeper", 3)) == 10
    assert lines.line(("missing",)) == 2
    assert Lines().line(("a",)) == 1


def test_the_spelling_of_numbers_is_kept_and_that_of_texts_is_not() -> None:
    _, lines = parse_text(b"version: 4.10\nlist: [1e3, '5', on]", "SPEC.yaml")
    assert lines.spelling(("version",)) == "4.10"
    assert [lines.spelling(("list", index)) for index in range(3)] == ["1e3", None, "on"]


def test_a_byte_order_mark_is_dropped() -> None:
    assert parse_text(b"\xef\xbb\xbfid: a", "SPEC.yaml")[0] == {"id": "a"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "empty"),
        (b"# only a remark\n", "empty"),
        (b"---\n...\n", "empty"),
        (b"~", "empty"),
        (b"a\0b", "binary"),
        (b"\xff\xfei\0d\0", "binary"),
        (b"id: a\nb: \xff", "SPEC.yaml line 2"),
        (b"id: a\x07", "SPEC.yaml line 1"),
        (b"- a", "does not hold"),
        (b"just words", "does not hold"),
        (b"a: 1\nb: 2\na: 3", "first on line 1"),
        (b"a: {x: 1, x: 2}", "'x' is here twice"),
        (b"1: a", "a key must be text"),
        (b"on: a", "a key must be text, and this one is True"),
        (b"[a]: 1", "a list or map"),
        (b"? {a: 1}\n: 2", "a list or map"),
        (b"<<: {a: 1}", "merge keys"),
        (b"a: !!python/object/apply:os.system [x]", "!!python/object/apply:os.system is not allowed"),
        (b"a: !!python/name:os.system x", "is not allowed"),
        (b"a: !mine 1", "!mine is not allowed"),
        (b"a: !!binary aaaa", "!!binary is not allowed"),
        (b"a: !!int x", "not what its tag !!int says"),
        (b"a: !!map [x]", "does not fit a list"),
        (b"a: !!str {x: 1}", "does not fit a map"),
        (b"a: 1\n---\nb: 2", "second document"),
        (b"a: *b", "*b stands for nothing"),
        (b"a: &b [*b]", "inside the very value"),
        (b"a: &b {c: [*b]}", "inside the very value"),
        (b"&r a: &s {c: *r}\nb: &t {d: {e: *t}}", "inside the very value"),
        (b"a: b: c", "a second ': '"),
        (b"a:\n\t- b", "SPEC.yaml line 2"),
        (b"id: a\nb: 'x\nc: 1\n", "SPEC.yaml line 2"),
        (b"id: a\nb: [1,\n 2\n", "SPEC.yaml line 2"),
        (b"a: 1\nb\n", "is neither `key: value`"),
        (b"a: @x", "reserved sign"),
        (b'a: "\\q"', "single quotes"),
        (b'a: "\\ud800"', "single quotes"),
        (b"a: - b", "a list cannot start"),
        (b"  a: 1\nb: 2", "is the first key indented"),
    ],
)
def test_what_cannot_be_read_is_refused_in_plain_words(text: bytes, said: str) -> None:
    assert said in refusal(text)


def test_a_complaint_names_the_file_the_line_and_a_way_out() -> None:
    assert refusal("id: x\nb: [1\n").splitlines()[1:] == [
        "  in SPEC.yaml line 2",
        "  fix: mend this line, or put the value in quotes",
    ]


@pytest.mark.parametrize(
    ("line", "quoted"),
    [
        ("goal: Speed: make it fast", "goal: 'Speed: make it fast'"),
        ("goal:   it's slow: why  ", "goal:   'it''s slow: why'"),
        ("  - a: b: c", "- a: 'b: c'"),
        ("goal: ends with a colon:", "goal: 'ends with a colon:'"),
    ],
)
def test_a_line_with_a_second_colon_is_shown_with_the_quotes_that_it_lacks(line: str, quoted: str) -> None:
    """hermes-lab read such lines as they were."""
    assert (
        refusal(f"id: x\n{'list:' if '-' in line else ''}\n{line}\n").splitlines()[-1]
        == f"  fix: write it so: {quoted}"
    )


@pytest.mark.parametrize(
    "text", ["id: x\n   goal: y\n", "goal: a: b # c\n", f"goal: a: {'x' * 300}\n", "goal: 'a': b\n"]
)
def test_a_line_that_quotes_would_not_mend_is_not_shown_with_them(text: str) -> None:
    assert refusal(text).splitlines()[-1] == "  fix: mend this line, or put the value in quotes"


@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
def test_the_parser_without_libyaml_reads_and_refuses_the_same(loader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(yaml, loader):
        pytest.skip("this PyYAML was built without libyaml")
    monkeypatch.setattr(spec_text, "_Loader", getattr(yaml, loader))
    assert read("id: a\nlist: [1, 'x', ~]\nmap:\n  k: |\n    text\n") == {
        "id": "a",
        "list": [1, "x", None],
        "map": {"k": "text\n"},
    }
    assert "SPEC.yaml line 2" in refusal("id: a\nb: 'x\nc: 1\n")
    assert "is the first key indented" in refusal("  a: 1\nb: 2")
    assert "single quotes" in refusal('a: "\\UFFFFFFFF"')
    assert "SPEC.yaml line 2" in refusal(b"a: 1\nb: \x07")


def test_an_alias_stands_for_its_value_wherever_it_is() -> None:
    assert read("a: &x {p: 1}\nb: *x\nc: [*x]\n&k key: v\nd: *k") == {
        "a": {"p": 1},
        "b": {"p": 1},
        "c": [{"p": 1}],
        "key": "v",
        "d": "key",
    }


def test_aliases_that_multiply_are_refused_before_they_fill_the_memory() -> None:
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "aliases counted in full" in refusal("\n".join(lines))


def test_aliases_that_grow_downwards_are_refused_as_too_deep() -> None:
    lines = ["l0: &l0 [x]", *(f"l{n}: &l{n} [*l{n - 1}]" for n in range(1, 40))]
    assert f"deeper than {MAX_DEPTH}" in refusal("\n".join(lines))


def test_the_bounds_are_where_they_are_said_to_be() -> None:
    def nested(levels: int) -> str:
        return "a: " + "[" * levels + "]" * levels

    assert read(nested(MAX_DEPTH - 1))
    assert f"deeper than {MAX_DEPTH}" in refusal(nested(MAX_DEPTH))
    assert "deeper" in refusal("a: " + "[" * 100_000)
    many = "a: [" + "1," * (MAX_NODES - 3)
    assert read(many + "]")
    assert f"more than {MAX_NODES:,} values" in refusal(many + "1]")
    padding = "id: a\n# "
    assert read(padding + "x" * (MAX_BYTES - len(padding)))
    assert "at most 262,144 are read" in refusal(padding + "x" * (MAX_BYTES - len(padding) + 1))


plain = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), max_size=12)
finite = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | plain,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(plain.filter(lambda key: key != "<<"), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(plain.filter(lambda key: key != "<<"), values, max_size=5))
def test_json_is_yaml_and_reads_back_as_it_was(value: dict[str, object]) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert parse_text(text.encode(), "SPEC.yaml")[0] == value


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode(errors="surrogatepass")))
@example(b"? &a *a : b")
@example(b"%TAG ! tag:yaml.org,2002:\n---\na: !int 5")
@example(b"a: !<> b")
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        parse_text(data, "SPEC.yaml")
    except BadInput as error:
        assert error.where.startswith("SPEC.yaml")  # noqa: PT017  # only a refusal has one


fragments = st.sampled_from(
    [*"[]{}:,-?&*!|>'\"%@`#\n \t", "\n  ", ": ", "- ", "&a ", "*a ", "!!str ", "<<", "k", "1", "~"]
)


@given(st.lists(fragments, max_size=40).map("".join))
def test_any_heap_of_yaml_signs_is_read_or_refused(text: str) -> None:
    try:
        found, lines = parse_text(text.encode(), "SPEC.yaml")
    except BadInput:
        return
    assert all(lines.line((key,)) >= 1 for key in found)


@pytest.mark.parametrize(
    ("text", "where", "told"),
    [
        ("{lr:\n", "p.json", "this is neither JSON nor YAML"),
        ("{lr:\n", "-", "this is neither JSON nor YAML"),
        ("lr\nx: [", "p.json", "this is neither JSON nor YAML"),
        ("a: [", "SPEC.yaml", "this is not YAML"),
    ],
)
def test_what_may_have_been_json_is_not_refused_as_yaml(text: str, where: str, told: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_text(text.encode(), where)
    assert caught.value.what.startswith(told)
