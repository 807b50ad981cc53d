"""Parameters in a program's own config file: where they go, what stays, and what is refused."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lab.core.errors import BadInput
from lab.executors import config_file
from lab.executors.config_file import merged, spread

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS = ("c.json", "c.yaml", "c.toml")


def written(name: str, document: Mapping[str, object]) -> bytes:
    """A config file as a person's program might have it."""
    if name.endswith(".json"):
        return json.dumps(document).encode()
    if name.endswith(".toml"):
        import tomlkit

        return tomlkit.dumps(document).encode()
    return yaml.safe_dump(dict(document), sort_keys=False).encode()


def read(name: str, data: bytes) -> object:
    """The same file as its program reads it."""
    if name.endswith(".json"):
        return json.loads(data)
    return tomllib.loads(data.decode()) if name.endswith(".toml") else yaml.safe_load(data)


NESTED = {"seed": 1, "optim": {"lr": 0.1, "name": "sgd", "inner": {"beta": 0.9}}, "data": {"lr": 5, "size": 8}}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"seed": 2}, {**NESTED, "seed": 2}),
        # the first section that has it, and no other
        ({"lr": 0.01}, {**NESTED, "optim": {"lr": 0.01, "name": "sgd", "inner": {"beta": 0.9}}}),
        ({"beta": 0.5}, {**NESTED, "optim": {"lr": 0.1, "name": "sgd", "inner": {"beta": 0.5}}}),
        ({"data.lr": 7}, {**NESTED, "data": {"lr": 7, "size": 8}}),
        ({"data.new": True}, {**NESTED, "data": {"lr": 5, "size": 8, "new": True}}),
        ({"brand.new.path": "x"}, {**NESTED, "brand": {"new": {"path": "x"}}}),
        ({"fresh": "a b"}, {**NESTED, "fresh": "a b"}),
        ({"seed": 2.0}, {**NESTED, "seed": 2.0}),
        ({}, NESTED),
    ],
)
def test_a_parameter_goes_where_its_name_says(name: str, params: dict[str, object], expected: object) -> None:
    found = read(name, merged(name, written(name, NESTED), params))
    assert found == expected
    assert json.dumps(found, sort_keys=True) == json.dumps(expected, sort_keys=True)  # 2.0 stays a float


@pytest.mark.parametrize("name", KINDS)
def test_the_order_of_the_keys_stays(name: str) -> None:
    data = merged(name, written(name, {"z": 1, "a": {"y": 1, "b": 2}}), {"b": 3, "m": 4})
    found = read(name, data)
    assert isinstance(found, dict)
    # TOML writes values before tables, or they would belong to the last table.
    assert list(found) == (["z", "m", "a"] if name.endswith(".toml") else ["z", "a", "m"])
    assert list(found["a"]) == ["y", "b"]


def test_nothing_is_null_in_json_and_yaml_and_left_out_in_toml() -> None:
    document: dict[str, object] = {"a": 1, "b": {"c": 2}}
    for name in ("c.json", "c.yml"):
        assert read(name, merged(name, written(name, document), {"c": None})) == {"a": 1, "b": {"c": None}}
    assert read("c.toml", merged("c.toml", written("c.toml", document), {"c": None})) == {"a": 1, "b": {}}


def test_a_key_with_dots_in_it_is_that_key() -> None:
    assert read("c.json", merged("c.json", b'{"optim.lr": 1, "optim": {"lr": 2}}', {"optim.lr": 3})) == {
        "optim.lr": 3,
        "optim": {"lr": 2},
    }


def test_an_entry_of_a_list_has_a_number() -> None:
    found = read("c.yaml", merged("c.yaml", b"layers:\n- size: 1\n- size: 2\n", {"layers.1.size": 9}))
    assert found == {"layers": [{"size": 1}, {"size": 9}]}


def test_a_section_is_merged_with_a_map_and_never_replaced_by_a_value() -> None:
    data = written("c.json", NESTED)
    found = read("c.json", merged("c.json", data, {"optim": {"lr": 3, "inner": {"more": 1}}}))
    assert found == {**NESTED, "optim": {"lr": 3, "name": "sgd", "inner": {"beta": 0.9, "more": 1}}}
    with pytest.raises(BadInput, match=r"optim is a section in c\.json"):
        merged("c.json", data, {"optim": "adam"})
    with pytest.raises(BadInput, match=r"seed\.x leads through something in c\.json that is no section"):
        merged("c.json", data, {"seed.x": 1})
    with pytest.raises(BadInput, match=r"betas is a list in c\.yaml"):
        merged("c.yaml", b"betas: [1, 2]\n", {"betas": 3})


def test_a_value_is_preferred_to_a_section_of_the_same_name() -> None:
    found = read("c.yaml", merged("c.yaml", b"optimizer:\n  optimizer: sgd\n  lr: 1\n", {"optimizer": "adam"}))
    assert found == {"optimizer": {"optimizer": "adam", "lr": 1}}


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a/c.json", b"{", "a/c.json cannot be read"),
        ("c.json", b"", "cannot be read"),
        ("c.json", b"[1]", "holds no `key: value` pairs"),
        ("c.json", b"[" * 100_000, "cannot be read"),
        ("c.yaml", b"a: [1", "cannot be read"),
        ("c.yaml", b"a: 1\n---\nb: 2\n", "cannot be read"),
        ("c.yaml", b"a: !env HOME\n", "cannot be read"),
        ("c.yaml", b"- 1\n", "holds no"),
        ("c.yaml", b"!!python/object/apply:os.system [true]\n", "cannot be read"),
        ("c.toml", b"a = \n", "cannot be read"),
        ("c.toml", b"\xff", "is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(name: str, data: bytes, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        merged(name, data, {"x": 1})


def test_a_file_that_was_empty_takes_parameters_too() -> None:
    for name in ("c.yaml", "c.toml"):
        assert read(name, merged(name, b"", {"x": 1})) == {"x": 1}
    assert read("c.json", merged("c.json", b"\xef\xbb\xbf{}", {"x": 1})) == {"x": 1}
    assert read("c.yaml", merged("c.yaml", b"optim:\n", {"optim.lr": 1})) == {"optim": {"lr": 1}}


def test_yaml_that_names_itself_or_grows_without_end_is_walked_once() -> None:
    loop = b"a: &a\n  b: *a\n  lr: 1\n"
    assert b"lr: 2" in merged("c.yaml", loop, {"lr": 2})
    growing = b"l0: &l0 {lr: 1}\n" + b"".join(
        f"l{k}: &l{k} {{{', '.join(f'k{n}: *l{k - 1}' for n in range(9))}}}\n".encode() for k in range(1, 30)
    )
    assert len(merged("c.yaml", growing, {"lr": 2, "absent": 3})) < 10_000


def test_text_that_only_looks_like_another_type_stays_text() -> None:
    values = {"a": "yes", "b": "1", "c": "null", "d": "1e-3", "e": "\u00e9\U0001f600", "f": " x ", "g": ""}
    for name in KINDS:
        assert read(name, merged(name, written(name, {"old": "no"}), values)) == {"old": "no", **values}


def test_dates_and_comments_of_the_file_do_not_stop_it() -> None:
    toml = b"# mine\nwhen = 2026-11-28\n[t] # here\nx = 1 # unit\n[[many]]\ny = 1\n"
    assert tomllib.loads(merged("c.toml", toml, {"t.x": 2}).decode()) == {**tomllib.loads(toml.decode()), "t": {"x": 2}}
    text = b"# mine\nwhen: 2026-11-28\nx: 1 # unit\n"
    assert yaml.safe_load(merged("c.yaml", text, {"x": 2})) == {**yaml.safe_load(text), "x": 2}


def test_of_several_files_each_that_has_it_gets_it_and_else_the_first() -> None:
    files = {"a.json": b'{"x": 1}', "b.yaml": b"x: 1\nsection: {y: 1}\n", "c.toml": b"z = 1\n"}
    found = spread(files, {"x": 2, "y": 3})
    assert {name: read(name, data) for name, data in found.items()} == {
        "a.json": {"x": 2},
        "b.yaml": {"x": 2, "section": {"y": 3}},
    }
    found = spread(files, {"nowhere": 4, "section.new": 5})
    assert {name: read(name, data) for name, data in found.items()} == {
        "a.json": {"x": 1, "nowhere": 4},
        "b.yaml": {"x": 1, "section": {"y": 1, "new": 5}},
    }
    assert spread(files, {}) == {}


@pytest.mark.parametrize(
    ("name", "answer"),
    [("a.json", True), ("x/B.YAML", True), ("c.toml", True), ("train.py", False), ("json", False), ("a.json/b", False)],
)
def test_which_files_are_config_files(name: str, answer: bool) -> None:
    assert config_file.is_config(name) is answer


# -- whatever the file and the parameters ----------------------------------------------------------------------------

KEYS = st.text("abxyz", min_size=1, max_size=2)
SCALARS = (
    st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=8)
)
DOCUMENTS = st.recursive(
    st.dictionaries(KEYS, SCALARS, max_size=4),
    lambda inner: st.dictionaries(KEYS, SCALARS | inner | st.lists(SCALARS, max_size=2), max_size=4),
    max_leaves=12,
)


def values(document: object, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], object]:
    """Every value by its path."""
    if isinstance(document, dict) and document:
        return {place: value for key, each in document.items() for place, value in values(each, (*path, key)).items()}
    return {path: document}


@pytest.mark.parametrize("name", KINDS)
@given(document=DOCUMENTS, key=KEYS, value=SCALARS)
def test_one_parameter_changes_one_value(name: str, document: dict[str, object], key: str, value: object) -> None:
    data = written(name, document)
    assert read(name, data) == document
    if isinstance(document.get(key), (dict, list)) and not any(
        place[-1:] == (key,) and not isinstance(each, (dict, list)) for place, each in values(document).items()
    ):
        with pytest.raises(BadInput, match="which one value cannot replace"):
            merged(name, data, {key: value})
        return
    found = read(name, merged(name, data, {key: value}))
    before, after = values(document), values(found)
    different = {place for place in before.keys() | after.keys() if repr(before.get(place)) != repr(after.get(place))}
    assert different - {()} <= {place for place in after if place[-1:] == (key,)}
    assert len(different - {()}) <= 1
    assert any(place[-1:] == (key,) and repr(each) == repr(value) for place, each in after.items())


@pytest.mark.parametrize("name", KINDS)
@given(document=DOCUMENTS, params=st.dictionaries(KEYS, SCALARS, max_size=4))
def test_merging_again_changes_nothing(name: str, document: dict[str, object], params: dict[str, object]) -> None:
    try:
        once = merged(name, written(name, document), params)
    except BadInput:
        return
    assert merged(name, once, params) == once
