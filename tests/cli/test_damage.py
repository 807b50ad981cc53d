"""One damaged file troubles nobody but its own experiment, is named, and is mended or left as it was found.

`alpha` is the one that is damaged; it sorts before `beta`, which must not notice.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.scheduler import cycle
from lab.store import machine
from lab.testing.files import BEGINNING, a_root
from tests.cli.labs import a_busy_lab, a_lab, dead, one_run, process

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.labs import Labctl

HARM: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "truncated": lambda data: data[: len(data) // 2],
    "binary": lambda data: bytes(range(256)) * 4,
    "zeros": lambda data: b"\0" * len(data),
    "a list": lambda data: b"[1]\n",
    "deep": lambda data: b"[" * 100_000,
    "NaN": lambda data: b'{"value": NaN}\n',
}
# Where the damage is done, and whether it is to a file that was sealed or recorded: then `verify` must find it.
SEALED = ("SEAL.json", "manifest.json", "metrics.json", "params.json", "RESULT.md", "plan.md")
DERIVED = (
    "STATUS.json", "metrics.jsonl", "results.tsv", "SUMMARY.md", "NEXT.md", "context.md", "best.md", "RUNBOOK.md",
    "checkpoints/best-run.txt",
)  # fmt: skip


@pytest.fixture
def lab(place: Path) -> Path:
    a_busy_lab(place)
    return place


def harm(path: Path, how: str) -> None:
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(HARM[how](data))


def first_run(lab: Path) -> Path:
    folder = lab / "experiments/alpha/runs"
    return folder / min(os.listdir(folder))


def others_go_on(labctl: Labctl) -> None:
    """Every verb about `beta` and about the whole lab, while `alpha` is damaged."""
    for words in (("status",), ("list",), ("list", "beta"), ("show", "beta"), ("refresh",)):
        labctl.done(*words)
    labctl("watchdog", "--repair")
    assert labctl.done("pause", "beta").out == "paused: beta\n"
    assert labctl.done("resume", "beta").out == "resumed: beta\n"
    labctl("recover")
    rows = dict(line.split("\t", 1) for line in labctl.done("list").out.splitlines())
    assert "runs=3\tbest=0.25" in rows["beta"]


@pytest.mark.parametrize("how", HARM)
@pytest.mark.parametrize("name", SEALED)
def test_a_damaged_sealed_file_is_named_and_stops_nobody(name: str, how: str, labctl: Labctl, lab: Path) -> None:
    run = first_run(lab)
    harm(run / name, how)
    before = (run / name).read_bytes()
    said = labctl("verify")
    assert said.code == 4, said
    assert f"experiments/alpha/runs/{run.name}/{name}\t" in said.out
    others_go_on(labctl)
    assert labctl("verify").code == 4
    assert (run / name).read_bytes() == before  # evidence is not touched
    assert labctl("verify", "beta").code == 0
    shown = labctl("show", run.name)
    assert shown.code == (4 if name == "SEAL.json" else 0)
    assert name in shown.err
    labctl.done("refresh")
    if name == "SEAL.json":
        assert "runs=2\tbest=0.5" in labctl.done("list").out
        assert "  alpha: the seal cannot be read" in labctl.done("status").out
    else:
        assert "runs=3\tbest=0.25" in labctl.done("list").out.splitlines()[0]  # the value is the sealed one


@pytest.mark.parametrize("how", HARM)
@pytest.mark.parametrize("name", DERIVED)
def test_a_damaged_page_is_written_again(name: str, how: str, labctl: Labctl, lab: Path) -> None:
    page = lab / "experiments/alpha" / name
    whole = page.read_bytes()
    harm(page, how)
    assert labctl.done("pause", "beta").out == "paused: beta\n"
    assert labctl.done("verify").code == 0
    labctl("watchdog")
    shown = labctl("show", "alpha")
    assert shown.code == 0 or "labctl refresh" in shown.err
    labctl.done("refresh")
    assert page.read_bytes() == whole
    assert labctl.done("pause", "alpha").out == "paused: alpha\n"


@pytest.mark.parametrize("name", ["STATUS.json", "metrics.jsonl", "SUMMARY.md"])
def test_a_folder_in_the_place_of_a_page_stops_nobody(name: str, labctl: Labctl, lab: Path) -> None:
    page = lab / "experiments/alpha" / name
    page.unlink()
    page.mkdir()
    assert labctl.done("pause", "beta").out == "paused: beta\n"
    assert name in labctl("refresh").all
    assert "runs=3" in labctl.done("list").out
    labctl("recover")
    labctl.done("verify")


@pytest.mark.parametrize("name", ["SEAL.json", "manifest.json", "SPEC.yaml"])
def test_a_folder_in_the_place_of_a_canonical_file_stops_nobody(name: str, labctl: Labctl, lab: Path) -> None:
    file = (lab / "experiments/alpha" if name == "SPEC.yaml" else first_run(lab)) / name
    file.unlink()
    file.mkdir()
    others_go_on(labctl)
    told = labctl("watchdog").out + labctl.done("status").out + labctl("verify").out
    assert (name if name == "SPEC.yaml" else file.parent.name) in told


@pytest.mark.parametrize("how", HARM)
def test_a_damaged_manifest_of_a_run_that_never_ended_is_set_aside_or_settled(
    how: str, labctl: Labctl, lab: Path
) -> None:
    root = a_root(lab, start=BEGINNING.replace(hour=9))
    running = cycle.begin(root, "alpha", owner=dead())
    harm(Path(running.path, "manifest.json"), how)
    labctl.done("status")
    assert labctl("watchdog", "--repair").out.count("settled: alpha/") == 1
    labctl("recover")
    assert labctl.done("verify").out.startswith("all as it was sealed: 7 runs")
    assert "\tcrash\t-\t" in labctl.done("list", "alpha").out
    one_run(root, "alpha", 0.125)
    assert "runs=5\tbest=0.125" in labctl.done("list").out


@pytest.mark.parametrize("how", HARM)
def test_a_damaged_claim_is_named_and_set_aside_once_its_holder_cannot_live(
    how: str, labctl: Labctl, lab: Path
) -> None:
    root = a_root(lab, start=BEGINNING.replace(hour=9))
    running = cycle.begin(root, "alpha", owner=machine.this_process("me"))
    alive = running.manifest.owner
    harm(Path(running.lease.path), how)
    said = labctl("watchdog").out
    assert "registry/locks/alpha" in said
    assert "fix: labctl recover" in said
    assert "state=damaged" in labctl.done("lease", "show").out
    assert labctl.done("pause", "beta").out == "paused: beta\n"
    assert labctl.done("status").out
    assert "its holder may be alive; left alone" in labctl("recover").out
    manifest = Path(running.path, "manifest.json")
    manifest.write_bytes(manifest.read_bytes().replace(b'"pid": %d' % alive.pid, b'"pid": 4194304'))
    assert "scratch/aside" in labctl("recover").out
    assert "state=damaged" not in labctl.done("lease", "show").out
    labctl.done("verify")
    one_run(root, "alpha", 0.125)


@pytest.mark.parametrize("words", [("status",), ("list",), ("list", "alpha")])
def test_a_pipe_in_the_place_of_a_page_keeps_nobody_waiting(place: Path, words: tuple[str, ...]) -> None:
    one_run(a_lab(place, "alpha"), "alpha")
    page = place / ("experiments/alpha/metrics.jsonl" if len(words) > 1 else "LAB-INDEX.json")
    page.unlink()
    os.mkfifo(page)
    said = process(*words, "--data-root", str(place))
    assert said.code == 5
    assert "labctl refresh" in said.err
    process("refresh", "--data-root", str(place))
    assert process(*words, "--data-root", str(place)).code == 0


@pytest.mark.parametrize("how", ["binary", "truncated", "a list", "NaN", "zeros"])
@pytest.mark.parametrize("number", [0, 3, -1])
def test_a_damaged_ledger_line_is_found_and_costs_no_run(how: str, number: int, labctl: Labctl, lab: Path) -> None:
    path = lab / "registry/events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    harmed = HARM[how](lines[number]).replace(b"\n", b"")
    lines[number] = harmed + b"\n"
    path.write_bytes(b"".join(lines))
    said = labctl("verify")
    assert said.code == 4
    assert "registry/events.jsonl" in said.out
    labctl.done("status")
    labctl.done("list")
    assert labctl.done("pause", "beta").out == "paused: beta\n"
    labctl.done("refresh")
    labctl("recover")
    out = labctl.done("list").out
    assert out.count("runs=3\tbest=0.25") == 2
    assert labctl("verify").code == 4  # recovery mends the lab, not the evidence
    assert harmed in path.read_bytes()


def test_a_ledger_that_is_gone_is_named_and_the_runs_are_safe(labctl: Labctl, lab: Path) -> None:
    (lab / "registry/events.jsonl").unlink()
    said = labctl("verify")
    assert said.code == 4
    assert "ledger" in said.out
    labctl("recover")
    assert labctl.done("list").out.count("runs=3\tbest=0.25") == 2
    labctl.done("pause", "beta")


def test_a_ledger_that_was_cut_at_its_end_is_found(labctl: Labctl, lab: Path) -> None:
    path = lab / "registry/events.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert labctl("verify").code == 4


def test_an_experiment_without_its_spec_keeps_its_runs(labctl: Labctl, lab: Path) -> None:
    (lab / "experiments/alpha/SPEC.yaml").unlink()
    others_go_on(labctl)
    assert "SPEC.yaml is missing" in labctl.done("status").out
    assert labctl.done("list").out.count("runs=3\tbest=0.25") == 2
    assert labctl("validate", "alpha").code == 2


def test_a_removed_bundle_is_missed(labctl: Labctl, lab: Path) -> None:
    run = first_run(lab)
    shutil.rmtree(run)
    said = labctl("verify")
    assert said.code == 4
    assert f"bundle-missing\texperiments/alpha/runs/{run.name}\t" in said.out
    others_go_on(labctl)
    assert "  alpha: a sealed run is gone" in labctl.done("status").out


def test_strangers_among_the_experiments_are_named_and_left_alone(labctl: Labctl, lab: Path) -> None:
    (lab / "experiments/notes.txt").write_text("mine\n")
    (lab / "experiments/a b").mkdir()
    (lab / "experiments/link").symlink_to("/etc")
    said = labctl("watchdog").out
    for name in ("notes.txt", "a b", "link"):
        assert f"experiments/{name}" in said
    others_go_on(labctl)
    assert sorted(os.listdir(lab / "experiments")) == ["a b", "alpha", "beta", "link", "notes.txt"]
    assert os.listdir(lab / "experiments/a b") == []
    assert Path("/etc").is_dir()


def test_a_file_added_to_a_sealed_run_is_found(labctl: Labctl, lab: Path) -> None:
    run = first_run(lab)
    (run / "extra.txt").write_text("later\n")
    said = labctl("verify")
    assert said.code == 4
    assert f"file-added\texperiments/alpha/runs/{run.name}/extra.txt\t" in said.out


def test_an_exchanged_value_is_found_and_never_believed(labctl: Labctl, lab: Path) -> None:
    run = first_run(lab)
    for name in ("metrics.json", "manifest.json", "SEAL.json"):
        (run / name).chmod(0o644)
        text = (run / name).read_text()
        (run / name).write_text(text.replace("0.25", "0.01"))
    assert labctl("verify").code == 4
    labctl.done("refresh")
    assert "best=0.01" not in labctl.done("list").out
    assert "  alpha: " in labctl.done("status").out


def test_a_bundle_that_is_gone_is_an_alert_before_any_page_tells_of_it_and_after(labctl: Labctl, lab: Path) -> None:
    assert labctl("watchdog").code == 0
    gone = first_run(lab)
    shutil.rmtree(gone)
    for verb in ("watchdog", "refresh", "watchdog"):
        said = labctl(verb)
        assert verb == "refresh" or (said.code, said.out.count("alert: ")) == (1, 1)
        assert verb == "refresh" or f"alert: experiments/alpha/runs/{gone.name}: a sealed run is gone" in said.out
    assert any("a sealed run is gone" in each["what"] for each in labctl("status", "--json").data["wants_you"])


def test_what_was_archived_is_not_gone(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    for _ in range(9):
        one_run(root, "alpha", 1.0)
    labctl.done("prune", "--keep", "5", "--yes")
    assert len(os.listdir(place / "experiments/alpha/runs")) < 9
    assert labctl("watchdog").code == 0


def test_what_verify_finds_in_a_bundle_reaches_status_and_watchdog_by_the_refresh_that_it_names(
    labctl: Labctl, lab: Path
) -> None:
    harm(first_run(lab) / "metrics.json", "a list")
    said = labctl("verify")
    assert said.code == 4
    assert "next: labctl refresh" in said.err
    labctl("refresh")
    assert any("a sealed file was changed" in each["what"] for each in labctl("status", "--json").data["wants_you"])
    assert "a sealed file was changed" in labctl("watchdog").out


def test_of_many_runs_that_are_gone_refresh_names_ten(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    for _ in range(13):
        one_run(root, "alpha", 0.5)
    shutil.rmtree(place / "experiments/alpha/runs")
    said = labctl("refresh")
    assert said.err.count("a sealed run is gone") == 10
    assert "and 3 more like these: labctl refresh --json has all of them" in said.err
    assert len(labctl("refresh", "--json").data["findings"]) == 13
