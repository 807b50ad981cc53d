"""Where a space is found, and what is said when it is not, or cannot be used."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from lab.core.errors import BadInput, NotFound
from lab.core.space import Space, parse
from lab.scheduler import create, cycle
from lab.scheduler.search import spaces
from tests.scheduler.labs import a_lab

if TYPE_CHECKING:
    from pathlib import Path

    from lab.scheduler.search.spaces import Found
    from lab.store.root import Root

PLAIN = '{"x": {"low": -5, "high": 5, "type": "float"}}'


def found(root: Root, given: str = "", name: str = "a") -> Found | None:
    with root.section(name):
        view, loaded = cycle.observe(root, name)
    return spaces.find(root, cycle.usable(loaded), view, given)


def a_lab_on(path: Path, more: str = "") -> tuple[Root, Path]:
    place = path / "code"
    place.mkdir()
    return a_lab(path / "lab", "a", more=f"workspace_root: {place}\n{more}"), place


def names(of: Found | None) -> tuple[str, ...]:
    return of.space.names if of else ()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("search_space.json", PLAIN),
        ("search_space.yaml", "x: {low: -5, high: 5}\n"),
        ("search_space.yml", "parameters:\n  x:\n    low: -5\n    high: 5\n"),
    ],
)
def test_the_file_of_the_workspace_is_the_space(tmp_path: Path, name: str, text: str) -> None:
    root, place = a_lab_on(tmp_path)
    assert found(root) is None
    (place / name).write_text(text)
    there = found(root)
    assert there is not None
    assert there.where == f"{place}/{name}"
    assert (there.space.parameters[0].low, there.space.parameters[0].high) == (-5, 5)


def test_a_given_file_comes_before_the_spec_and_the_spec_before_the_workspace(tmp_path: Path) -> None:
    root, place = a_lab_on(tmp_path, "search_space: {inline: {low: 0, high: 1}}\n")
    (place / "search_space.json").write_text(PLAIN)
    (tmp_path / "given.json").write_text('{"given": {"low": 0, "high": 1}}')
    assert names(found(root)) == ("inline",)
    assert names(found(root, str(tmp_path / "given.json"))) == ("given",)


def test_a_given_file_is_seen_from_where_the_command_was_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, _ = a_lab_on(tmp_path)
    (tmp_path / "given.json").write_text(PLAIN)
    monkeypatch.chdir(tmp_path)
    assert names(found(root, "given.json")) == ("x",)


def test_a_path_in_the_spec_is_seen_from_the_workspace_then_from_the_spec(tmp_path: Path) -> None:
    root, place = a_lab_on(tmp_path, "search_space: spaces/mine.json\n")
    with pytest.raises(NotFound, match=r"looked for .*code/spaces/mine\.json, .*experiments/a/spaces/mine\.json"):
        found(root)
    beside = tmp_path / "lab" / "experiments" / "a" / "spaces"
    beside.mkdir()
    (beside / "mine.json").write_text('{"beside": {"low": 0, "high": 1}}')
    assert names(found(root)) == ("beside",)
    (place / "spaces").mkdir()
    (place / "spaces" / "mine.json").write_text(PLAIN)
    assert names(found(root)) == ("x",)


def test_a_file_in_the_workspace_of_a_code_loop_is_its_space_only_when_it_is_named(tmp_path: Path) -> None:
    root, place = a_lab_on(tmp_path, "executor: reference\nvalidation_command: python3 measure.py\n")
    (place / "search_space.json").write_text(PLAIN)
    assert found(root) is None
    assert found(root, str(place / "search_space.json")) is not None
    with open(root.layout.spec("a"), "a", encoding="utf-8") as spec:
        spec.write("search_space: search_space.json\n")
    assert names(found(root)) == ("x",)


def test_without_a_workspace_the_file_beside_the_spec_is_the_space(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "SPEC.yaml").write_text("id: a\nexecutor_command: 'true'\n")
    (folder / "search_space.json").write_text(PLAIN)
    create.experiment(root, str(folder / "SPEC.yaml"), actor="ann")
    assert names(found(root)) == ("x",)


def test_a_file_that_was_edited_is_read_again_and_one_that_was_reordered_means_the_same(tmp_path: Path) -> None:
    root, place = a_lab_on(tmp_path)
    file = place / "search_space.json"
    file.write_text(PLAIN)
    first = found(root)
    file.write_text('{"x": {"type": "float", "high": 5, "low": -5}}')
    second = found(root)
    file.write_text('{"x": {"type": "float", "high": 6, "low": -5}}')
    third = found(root)
    assert first is not None and second is not None and third is not None  # noqa: PT018
    assert first.digest == second.digest != third.digest
    assert third.space.parameters[0].high == 6


def test_asking_again_parses_nothing(tmp_path: Path) -> None:
    root, place = a_lab_on(tmp_path)
    many = {f"x{k}": {"low": 0, "high": 1} for k in range(500)}
    (place / "search_space.json").write_text(json.dumps(many))
    with root.section("a"):
        view, loaded = cycle.observe(root, "a")
    spec = cycle.usable(loaded)
    started = time.process_time()
    first = spaces.find(root, spec, view)
    once = time.process_time() - started
    started = time.process_time()
    for _ in range(20):
        assert spaces.find(root, spec, view) is first
    assert (time.process_time() - started) / 20 < once / 5


def test_two_files_are_refused(tmp_path: Path) -> None:
    root, place = a_lab_on(tmp_path)
    (place / "search_space.json").write_text(PLAIN)
    (place / "search_space.yaml").write_text("x: {low: 0, high: 1}\n")
    with pytest.raises(BadInput, match="two search spaces"):
        found(root)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"[1]", "does not hold"),
        (b'{\n"x": {"low": 1,,}}', "this is not JSON.*line 2"),
        (b'{"x": {"value": 1}, "x": {"value": 2}}', "'x' is here twice"),
        (b"\xff\xfe", "not UTF-8"),
        (b"{}", "names no parameter"),
        (b'{"x": {"low": 1, "high": 0}}', "low 1.0 is above high 0.0"),
        (b"x" * 300_000, "at most 262,144"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_path(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "space.json").write_bytes(data)
    with pytest.raises(BadInput, match=f"(?s){words}") as refused:
        spaces.named(str(tmp_path / "space.json"))
    assert str(tmp_path) in refused.value.where


@pytest.mark.parametrize("name", ["absent.json", "."])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFound) as refused:
        spaces.named(str(tmp_path / name))
    assert refused.value.where == str(tmp_path / name)


def test_json_with_any_escape_is_json(tmp_path: Path) -> None:
    (tmp_path / "space.json").write_text('{\n\t"x": {\n\t\t"choices": ["\\ud83d\\ude00", "a\\/b"]\n\t}\n}')
    assert spaces.named(str(tmp_path / "space.json")).space.parameters[0].choices == ("\U0001f600", "a/b")


def test_spaces_that_python_calls_equal_stay_apart(tmp_path: Path) -> None:
    whole, truth = ({"x": {"choices": list(choices)}} for choices in ((0, 1), (False, True)))
    assert parse(whole) == parse(truth)
    kept = []
    for each in (whole, truth):
        (tmp_path / "space.json").write_text(json.dumps(each))
        kept.append(spaces.named(str(tmp_path / "space.json")))
    assert kept[0].digest != kept[1].digest
    assert kept[1].space.parameters[0].choices == (False, True)
    assert kept[1].space.parameters[0].choices[0] is False


def test_a_constraint_that_no_point_meets_is_found_and_not_looped_on() -> None:
    def space(*constraints: str) -> Space:
        two = {"x": {"low": 0, "high": 1}, "y": {"low": 0, "high": 1}}
        return parse({"parameters": two, "constraints": list(constraints)})

    spaces.require_possible(space())
    spaces.require_possible(space("x + y <= 0.05"))
    for impossible in ("x + y > 2", "x == y", "x / 0 > 1", "x == 'a'"):
        with pytest.raises(BadInput, match="none of 20,000 points") as refused:
            spaces.require_possible(space(impossible), "here.json")
        assert refused.value.where == "here.json"


def test_the_space_is_that_of_the_experiment_whatever_workspace_a_tier_has(tmp_path: Path) -> None:
    for name in ("code", "large"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "search_space.json").write_text(json.dumps({name: {"low": 0, "high": 1}}))
    more = f"workspace_root: {tmp_path}/code\nproxy_workspace_root: {tmp_path}/large\n"
    found = spaces.of(a_lab(tmp_path / "lab", "one", more=more), "one")
    assert found is not None
    assert found.space.names == ("code",)
