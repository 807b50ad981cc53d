"""`labctl compare`: two runs beside each other, with how sure a difference is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.scheduler import cycle
from tests.cli.labs import me
from tests.cli.searches import a_run, a_searched_lab, made, some_runs
from tests.scheduler.labs import identities
from tests.scheduler.loop import live, loops

if TYPE_CHECKING:
    from lab.store.root import Root
    from tests.cli.labs import Labctl


def test_it_shows_what_differs_and_leaves_out_what_is_the_same(labctl: Labctl, place: Path) -> None:
    ids = some_runs(a_searched_lab(place))
    lines = labctl.done("compare", ids[0], ids[1]).out.splitlines()
    assert lines[:2] == [f"--- {ids[0]}", f"+++ {ids[1]}"]
    assert {"-value: 0.5", "+value: 0.75", " outcome: success", "-lr: 0.1", "+lr: 0.01", "+momentum: 0.9"} <= set(lines)
    assert "@@ parameters, 1 the same @@" in lines
    assert not [line for line in lines if "depth" in line or "tier" in line]
    assert lines[-1] == f"@@ difference 0.25, {ids[0]} is better, if the two numbers are not luck @@"


@pytest.mark.parametrize(
    ("noise", "doubt"),
    [
        ("false", ""),
        ("true", ", if the two numbers are not luck: the SPEC says that the metric is noisy"),
    ],
)
def test_what_one_measurement_of_each_is_worth_is_said_by_the_spec(
    labctl: Labctl, place: Path, noise: str, doubt: str
) -> None:
    ids = some_runs(a_searched_lab(place, more=f"noise: {noise}\n"))
    last = labctl.done("compare", ids[0], ids[1]).out.splitlines()[-1]
    assert last == f"@@ difference 0.25, {ids[0]} is better{doubt} @@"


def test_a_run_does_not_differ_from_itself(labctl: Labctl, place: Path) -> None:
    ids = some_runs(a_searched_lab(place))
    lines = labctl.done("compare", ids[0], ids[0]).out.splitlines()
    assert not [line for line in lines[2:] if line[0] in "+-"]
    assert lines[-1] == "@@ difference 0 @@"


def test_values_of_two_tiers_are_shown_and_not_compared(labctl: Labctl, place: Path) -> None:
    root = a_searched_lab(place)
    first = some_runs(root)[0]
    final = a_run(root, {"lr": 0.1, "depth": 3, "kind": "adam"}, 0.1, tier="final", origin=made(9)).run.run_id
    said = labctl.done("compare", first, final)
    assert "their tiers differ (proxy, final): the values are not compared" in said.err
    assert "better" not in said.out
    assert labctl.done("compare", first, final, "--json").data["better"] == ""


def _damaged(how: str, path: Path) -> None:
    os.chmod(path, 0o644)
    if how == "edited":
        path.write_text(path.read_text().replace("0.1", "0.2").replace("0.5", "0.6"))
    elif how == "broken":
        path.write_text("{")
    elif how == "10 MB":
        path.write_bytes(b"{" + b" " * (10 << 20) + b"}")
    else:
        path.unlink()
    if how == "a link":
        path.symlink_to("/etc/passwd")
    elif how == "a pipe":
        os.mkfifo(path)


@pytest.mark.parametrize("how", ["edited", "broken", "10 MB", "gone", "a link", "a pipe"])
def test_of_what_cannot_be_read_nothing_is_said_but_that(labctl: Labctl, place: Path, how: str) -> None:
    root = a_searched_lab(place)
    first, second = some_runs(root)[:2]
    bundle = Path(root.layout.run("sweep", first))
    for name in ("params.json", "metrics.json"):
        _damaged(how, bundle / name)
    said = labctl.done("compare", first, second)
    for name in ("params.json", "metrics.json"):
        assert f"{first}: {name} " in said.err
    assert f"{first}: its parameters are not compared" in said.err
    assert "@@ parameters: not compared @@" in said.out
    assert not [line for line in said.out.splitlines() if line.startswith(("-lr", "+lr", "+momentum", " depth"))]
    data = labctl.done("compare", first, second, "--json").data
    assert (data["alike"], data["params"], data["only"], data["metrics_only"]) == (None, {}, [{}, {}], [[], []])


def test_a_file_that_was_too_large_for_a_page_when_it_was_sealed_is_not_taken_for_none(
    labctl: Labctl, place: Path
) -> None:
    root = a_searched_lab(place)
    given = {"lr": 0.1, "depth": 3, "kind": "adam"}
    large = [a_run(root, {**given, "more": [0] * 200_000, "depth": depth}, 0.5).run.run_id for depth in (1, 2)]
    said = labctl.done("compare", *large)
    assert f"{large[0]}: params.json has 1,400,0" in said.err
    assert "bytes, and is not shown" in said.err
    assert "@@ parameters: not compared @@" in said.out


def test_a_failed_run_has_no_value_to_compare(labctl: Labctl, place: Path) -> None:
    ids = some_runs(a_searched_lab(place))
    data = labctl.done("compare", ids[0], ids[3], "--json").data
    facts = data["facts"]
    assert isinstance(facts, dict)
    assert facts["value"] == [0.5, None]
    assert "loss" not in [each["name"] for each in data["metrics"]]
    assert data["better"] == ""
    assert "better" not in labctl.done("compare", ids[0], ids[3]).out


def test_an_edited_spec_and_the_seed_are_among_the_facts(labctl: Labctl, place: Path) -> None:
    root = a_searched_lab(place)
    one = a_run(root, {"lr": 0.1, "flag": True}, 1.0).run.run_id
    with (place / "experiments/sweep/SPEC.yaml").open("a") as spec:
        spec.write("seed: 11\n")
    other = a_run(root, {"lr": 0.1, "flag": 1}, 1.0).run.run_id
    lines = labctl.done("compare", one, other).out.splitlines()
    assert {"-seed: -", "+seed: 11", "-flag: true", "+flag: 1"} <= set(lines)
    assert any(line.startswith("+spec_sha256: ") for line in lines)


def test_a_run_under_way_is_not_compared(labctl: Labctl, place: Path) -> None:
    root = a_searched_lab(place)
    first = some_runs(root)[0]
    running = cycle.begin(root, "sweep", owner=me())
    said = labctl("compare", first, running.manifest.run_id)
    assert said.code == 1
    assert "is not sealed yet" in said.err


def repeated(root: Root, given: dict[float, tuple[float, ...]]) -> dict[float, list[str]]:
    """Runs of these learning rates, each with these values; what each loss says, its accuracy says backwards."""
    return {
        lr: [a_run(root, {"lr": lr, "depth": 3}, value, metrics={"accuracy": 1 - value}).run.run_id for value in values]
        for lr, values in given.items()
    }


def test_the_old_name_is_the_same_verb(labctl: Labctl, place: Path) -> None:
    ids = some_runs(a_searched_lab(place))
    assert labctl.done("diff", ids[0], ids[1]).out == labctl.done("compare", ids[0], ids[1]).out


def test_runs_measured_once_have_no_interval_and_are_not_called_noise(labctl: Labctl, place: Path) -> None:
    ids = some_runs(a_searched_lab(place))
    said = labctl.done("compare", ids[0], ids[2])
    assert " loss: 0.5, 0.25; difference -0.25; one measurement each: no interval" in said.out.splitlines()
    first = labctl.done("compare", ids[0], ids[2], "--json").data["metrics"][0]
    assert (first["name"], first["low"], first["high"], first["beyond_noise"]) == ("loss", None, None, None)


def test_repeats_of_the_same_parameters_say_how_sure_a_difference_is(labctl: Labctl, place: Path) -> None:
    stats = pytest.importorskip("scipy.stats")
    ids = repeated(a_searched_lab(place), {0.1: (1.0, 1.2, 0.9, 1.1), 0.2: (1.5, 1.3, 1.6, 1.2), 0.3: (1.4,)})
    data = labctl.done("compare", ids[0.1][0], ids[0.2][0], "--json").data
    loss, accuracy, *_ = data["metrics"]
    interval = stats.ttest_ind((1.5, 1.3, 1.6, 1.2), (1.0, 1.2, 0.9, 1.1)).confidence_interval()
    assert (loss["low"], loss["high"]) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert (loss["values"], loss["means"]) == ([1.0, 1.5], [pytest.approx(1.05), pytest.approx(1.4)])
    assert (loss["measurements"], loss["beyond_noise"], data["better"]) == ([4, 4], True, ids[0.1][0])
    assert (accuracy["name"], accuracy["low"]) == ("accuracy", pytest.approx(-loss["high"]))
    lines = labctl.done("compare", ids[0.1][0], ids[0.2][0]).out.splitlines()
    told = f"difference {data['metrics'][0]['difference']:.6g}"
    assert lines[-1].startswith(f"@@ {told}, "), "the last line has other digits than the one of the metric"
    assert any(line.startswith(" loss: ") and f"; {told} (of means" in line for line in lines)
    assert lines[-1].endswith(f"{ids[0.1][0]} is better @@")
    alone = labctl.done("compare", ids[0.2][0], ids[0.3][0])  # the noise of others holds for it too
    assert "within noise; runs of the same parameters (sigma 0.15" in alone.out
    assert alone.out.splitlines()[-1].endswith("which is within noise: neither is known to be better @@")
    pair = labctl.done("compare", ids[0.1][0], ids[0.1][1], "--json").data["metrics"][0]
    assert (pair["measurements"], pair["difference"]) == ([1, 1], pytest.approx(0.2))  # two repeats are two runs


def test_the_better_one_is_so_by_the_means_though_its_own_number_be_the_worse(labctl: Labctl, place: Path) -> None:
    """The second was luckier than the first in this one measurement, and is worse in all others."""
    ids = repeated(a_searched_lab(place), {0.1: (1.3, 1.31, 1.29, 1.305), 0.2: (1.0, 1.6, 1.61, 1.59)})
    lucky, better = ids[0.2][0], ids[0.1][0]
    data = labctl.done("compare", lucky, better, "--json").data
    counts = data["metrics"][0]
    assert counts["values"][0] < counts["values"][1]
    assert counts["difference"] < 0
    assert data["better"] == better
    last = labctl.done("compare", lucky, better).out.splitlines()[-1]
    assert last.startswith(f"@@ difference {counts['difference']:.6g}")


def test_a_metric_that_repeats_to_the_last_digit_has_no_noise(labctl: Labctl, place: Path) -> None:
    ids = repeated(a_searched_lab(place), {0.1: (1.0, 1.0), 0.2: (1.0625, 1.0625)})
    loss = labctl.done("compare", ids[0.1][0], ids[0.2][0], "--json").data["metrics"][0]
    assert (loss["low"], loss["high"], loss["beyond_noise"]) == (0.0625, 0.0625, True)
    assert "equal to the last digit" in loss["how"]


def test_an_experiment_stands_for_its_best_run_and_that_is_said(labctl: Labctl, place: Path) -> None:
    ids = some_runs(a_searched_lab(place, more="noise: false\n"))
    said = labctl.done("compare", "sweep", ids[0])
    assert said.out.startswith(f"--- {ids[2]}\n+++ {ids[0]}\n")
    assert f"sweep stands for {ids[2]}, the run to take of its tier proxy (best number seen)" in said.err
    assert "did you mean sweep?" in labctl("compare", "sweeep", ids[0]).err


def test_metrics_that_are_no_numbers_or_of_one_run_only_are_not_compared(labctl: Labctl, place: Path) -> None:
    root = a_searched_lab(place)
    odd = {"flag": True, "name": "x", "huge": 10**400, "list": [1], "mine": 1, "params": 3, "\x1b[2Jred": 2}
    one = a_run(root, {"lr": 0.1}, 1.0, metrics=odd).run.run_id
    other = a_run(root, {"lr": 0.2}, 2.0, metrics={**odd, "yours": 1, "mine": None}).run.run_id
    said = labctl.done("compare", one, other)
    data = labctl.done("compare", one, other, "--json").data
    assert [each["name"] for each in data["metrics"]] == ["loss", "\x1b[2Jred", "params"]
    assert data["metrics_only"] == [["mine"], ["yours"]]
    assert "\x1b" not in said.out
    assert {"-mine", "+yours"} <= set(said.out.splitlines())
    failed = a_run(root, {"lr": 0.3}, None, outcome="failed", metrics={"loss": 0.0}).run.run_id
    names = [each["name"] for each in labctl.done("compare", one, failed, "--json").data["metrics"]]
    assert names == []  # what a crash printed is no value


def test_candidates_are_compared_by_the_noise_of_their_loop(labctl: Labctl, tmp_path: Path) -> None:
    root = loops.a_loop(tmp_path)
    base = loops.a_baseline(root)
    worse = loops.a_candidate(root, value=1.02, values=(1.02,), commit="d" * 40)
    much = loops.a_candidate(
        root, "keep", value=0.9, values=(0.85, 0.89, 0.91), against=(1.0, 1.01), commit="e" * 40, p=0.001, alpha=0.01
    )
    told = labctl.done("compare", base, worse, "--json", "--data-root", root.layout.root).data["metrics"][0]
    assert (told["measurements"], told["beyond_noise"]) == ([3, 1], False)
    assert told["how"].startswith("the noise of the loop (sigma 0.0")
    told = labctl.done("compare", base, much, "--json", "--data-root", root.layout.root).data["metrics"][0]
    assert (told["measurements"], told["means"][1], told["beyond_noise"]) == ([3, 2], pytest.approx(0.9), True)
    other = loops.a_candidate(root, value=0.5, values=(0.5,), commit="f" * 40, evaluator="e2")
    said = labctl.done("compare", base, other, "--data-root", root.layout.root)
    assert "the files that measure are not the same: the values are not compared" in said.err
    assert "better" not in said.out


def test_the_code_of_two_candidates_is_a_diff(labctl: Labctl, tmp_path: Path) -> None:
    loop = live.a_loop(tmp_path, files={"long": "".join(f"{number}\n" for number in range(300))})
    first = loop.change(":", "echo 40 > value")
    change = r"echo 30 > value; printf '\033[2Jred\n\ttab\n' > new; seq 1000 1299 > long"
    second = loop.change(change)
    at = ("--data-root", loop.root.layout.root)
    before = identities(loop.root.layout.root)
    said = labctl.done("compare", first.run_id, second.run_id, *at)
    assert identities(loop.root.layout.root) == before
    lines = said.out.splitlines()
    assert f"@@ code, {first.candidate.commit[:12]} to {second.candidate.commit[:12]} @@" in lines
    assert "\x1b" not in said.out
    assert any("lines of the diff are not shown: git diff " in line for line in lines)
    code = labctl.done("compare", first.run_id, second.run_id, "--diff-lines", "5", "--json", *at).data["code"]
    assert (len(code["lines"]), code["left_out"] > 600, code["is_cut"]) == (5, True, False)
    whole = labctl.done("compare", first.run_id, second.run_id, "--diff-lines", "10000", *at).out.splitlines()
    assert {"-40", "+30", "+red", "+\ttab"} <= set(whole)
    back = labctl.done("compare", second.run_id, first.run_id, "--diff-lines", "10000", *at).out.splitlines()
    assert {"+40", "-30"} <= set(back)
    same = labctl.done("compare", first.run_id, first.run_id, *at).out
    assert "@@ code: both are the same commit @@" in same
    shutil.rmtree(loop.workspace / ".git")
    assert "-40" in labctl.done("compare", first.run_id, second.run_id, "--diff-lines", "9999", *at).out.splitlines()
    lost = labctl.done("compare", second.run_id, first.run_id, *at)
    assert "are not both in a repository that this lab can see @@" in lost.out
    assert "--diff-lines -1 is not between 0 and 10,000" in labctl("compare", "a", "b", "--diff-lines", "-1", *at).err


def test_runs_without_code_say_that_there_is_none(labctl: Labctl, place: Path) -> None:
    ids = some_runs(a_searched_lab(place))
    said = labctl.done("compare", ids[0], ids[1])
    assert "@@ code: neither run is of a code loop: the lab keeps no code to compare @@" in said.out.splitlines()


def test_runs_of_which_nothing_is_known_but_their_seals_are_compared(labctl: Labctl, place: Path) -> None:
    ids = some_runs(a_searched_lab(place))
    (place / "experiments/sweep/metrics.jsonl").unlink()
    said = labctl.done("compare", ids[0], ids[1])
    assert "nothing is known of repeats" in said.err
    assert "difference 0.25; one measurement each: no interval" in said.out
