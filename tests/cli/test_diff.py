"""`labctl diff`: two runs beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.scheduler import cycle
from tests.cli.labs import me
from tests.cli.searches import a_run, a_searched_lab, made, some_runs

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl


def test_it_shows_what_differs_and_leaves_out_what_is_the_same(labctl: Labctl, place: Path) -> None:
    ids = some_runs(a_searched_lab(place))
    lines = labctl.done("diff", ids[0], ids[1]).out.splitlines()
    assert lines[:2] == [f"--- {ids[0]}", f"+++ {ids[1]}"]
    assert {"-value: 0.5", "+value: 0.75", " outcome: success", "-lr: 0.1", "+lr: 0.01", "+momentum: 0.9"} <= set(lines)
    assert "@@ parameters, 1 the same @@" in lines
    assert not [line for line in lines if "depth" in line or "tier" in line]
    assert lines[-1] == f"@@ difference 0.25, {ids[0]} is better @@"


def test_a_run_does_not_differ_from_itself(labctl: Labctl, place: Path) -> None:
    ids = some_runs(a_searched_lab(place))
    lines = labctl.done("diff", ids[0], ids[0]).out.splitlines()
    assert not [line for line in lines[2:] if line[0] in "+-"]
    assert lines[-1] == "@@ difference 0.0 @@"


def test_values_of_two_tiers_are_shown_and_not_compared(labctl: Labctl, place: Path) -> None:
    root = a_searched_lab(place)
    first = some_runs(root)[0]
    final = a_run(root, {"lr": 0.1, "depth": 3, "kind": "adam"}, 0.1, tier="final", origin=made(9)).run.run_id
    said = labctl.done("diff", first, final)
    assert "their tiers differ (proxy, final): the values are not compared" in said.err
    assert "better" not in said.out
    assert labctl.done("diff", first, final, "--json").data["better"] == ""


def test_a_failed_run_has_no_value_to_compare(labctl: Labctl, place: Path) -> None:
    ids = some_runs(a_searched_lab(place))
    data = labctl.done("diff", ids[0], ids[3], "--json").data
    facts = data["facts"]
    assert isinstance(facts, dict)
    assert facts["value"] == [0.5, None]
    assert (data["difference"], data["better"]) == (None, "")


def test_an_edited_spec_and_the_seed_are_among_the_facts(labctl: Labctl, place: Path) -> None:
    root = a_searched_lab(place)
    one = a_run(root, {"lr": 0.1, "flag": True}, 1.0).run.run_id
    with (place / "experiments/sweep/SPEC.yaml").open("a") as spec:
        spec.write("seed: 11\n")
    other = a_run(root, {"lr": 0.1, "flag": 1}, 1.0).run.run_id
    lines = labctl.done("diff", one, other).out.splitlines()
    assert {"-seed: -", "+seed: 11", "-flag: true", "+flag: 1"} <= set(lines)
    assert any(line.startswith("+spec_sha256: ") for line in lines)


def test_a_run_under_way_is_not_compared(labctl: Labctl, place: Path) -> None:
    root = a_searched_lab(place)
    first = some_runs(root)[0]
    running = cycle.begin(root, "sweep", owner=me())
    said = labctl("diff", first, running.manifest.run_id)
    assert said.code == 1
    assert "is not sealed yet" in said.err
