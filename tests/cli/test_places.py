"""Data roots in odd places: none, a file, a link, inside a workspace, full, read-only, without hard links, not ours."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.scheduler import cycle
from tests.cli.hermes_root import a_hermes_root
from tests.cli.labs import (
    NOBODY,
    a_busy_lab,
    a_lab,
    as_stranger,
    dead,
    ended,
    foreign,
    give_away,
    me,
    one_run,
    runs_of,
    tree,
    whole_tree,
)  # fmt: skip
from tests.cli.searches import a_searched_lab, some_runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.labs import Labctl

READING = (("status",), ("list",), ("list", "alpha"), ("show", "alpha"), ("verify",), ("validate", "alpha"))
WRITING = (
    ("pause", "alpha"), ("complete", "alpha"), ("create", "research-sprint"), ("refresh",), ("recover",), ("init",),
    ("set-fidelity", "alpha", "final"), ("digest",), ("watchdog", "--repair"),
)  # fmt: skip


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte, or a loud skip where the kernel will not mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "labctl-test", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        pytest.skip(f"a tmpfs cannot be mounted here: {made.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Leave not one byte. Returns what to remove for room."""
    ballast = disk / "ballast"
    descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    for size in (65_536, 4096, 1):
        with contextlib.suppress(OSError):
            while os.write(descriptor, b"x" * size):
                continue
    os.close(descriptor)
    return ballast


WRITES = (  # what writes a file that somebody names
    ("export", "sweep", "--output", "{place}"), ("report", "sweep", "-o", "{place}.html"),
    ("report", "-o", "{place}.json"), ("plot", "sweep", "-o", "{place}.svg"), ("report", "--all", "-o", "{folder}"),
)  # fmt: skip


@pytest.mark.parametrize("words", WRITES, ids=lambda words: " ".join(words[:2]))
@pytest.mark.parametrize("below", ["", "experiments/sweep/runs/{run}", "link"])
def test_what_somebody_wants_written_takes_the_place_of_nothing_in_a_lab(
    labctl: Labctl, place: Path, tmp_path: Path, words: tuple[str, ...], below: str
) -> None:
    run = some_runs(a_searched_lab(place))[0]
    other = tmp_path / "other"
    os.rename(place, other)
    a_searched_lab(place)
    (tmp_path / "link").symlink_to(other / "experiments")
    folder = tmp_path / "link" if below == "link" else other / below.format(run=run)
    before = whole_tree(other)
    for lab in (other, place):  # also into a lab that is not the one that is asked
        given = [word.format(place=folder / "metrics", folder=folder) for word in words]
        said = labctl(*given, "--yes", "--data-root", str(lab))
        assert said.code == 2
        assert f"this is inside the lab {other}" in said.err
    assert whole_tree(other) == before


def test_the_scratch_folder_of_a_lab_is_for_everybody(labctl: Labctl, place: Path) -> None:
    some_runs(a_searched_lab(place))
    for words in WRITES:
        given = [word.format(place=place / "scratch/mine", folder=place / "scratch/reports") for word in words]
        labctl.done(*given)
    assert (place / "scratch/reports/index.html").is_file()


@pytest.mark.parametrize("words", WRITES, ids=lambda words: " ".join(words[:2]))
def test_a_disk_that_is_full_is_named_and_what_was_there_stays(
    labctl: Labctl, place: Path, small_disk: Path, words: tuple[str, ...]
) -> None:
    some_runs(a_searched_lab(place))
    folder = small_disk / "reports"
    folder.mkdir()
    given = [word.format(place=folder / "mine", folder=folder) for word in words]
    before = dict.fromkeys(("mine", "mine.html", "mine.json", "mine.svg", "index.html"), "old")
    for name, old in before.items():
        (folder / name).write_text(old)
    fill(small_disk)
    said = labctl(*given, "--yes")
    assert said.code == 5
    assert f"the disk {small_disk} is full; " in said.err
    assert str(folder) in said.err
    assert "recover" not in said.err
    assert {name: (folder / name).read_text() for name in before} == before
    assert not list(folder.rglob(".*"))


def test_a_stick_without_hard_links_is_written_to_once_that_was_agreed_to(
    labctl: Labctl, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(source: str, target: str) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), source, None, target)

    some_runs(a_searched_lab(place))
    monkeypatch.setattr(os, "link", no_link)
    words = ("export", "sweep", "--output", str(tmp_path / "runs.csv"))
    said = labctl(*words)
    assert said.code == 5
    assert "no hard links" in said.err
    assert "fix: add --yes" in said.err
    assert os.listdir(tmp_path) == ["lab"]
    labctl.done(*words, "--yes")
    assert (tmp_path / "runs.csv").is_file()


def test_init_twice_changes_nothing(labctl: Labctl, place: Path) -> None:
    labctl.done("init")
    labctl.done("create", "research-sprint", "--id", "alpha")
    (place / "PROGRAM.md").write_text("mine\n")
    before = tree(str(place))
    said = labctl.done("init")
    assert said.out == f"already a lab: {place}\n"
    assert tree(str(place)) == before


def test_init_finishes_what_a_crash_left_half_made(labctl: Labctl, place: Path) -> None:
    labctl.done("init")
    whole = set(tree(str(place)))
    for name in ("registry/events.jsonl", "PROGRAM.md", "LAB-INDEX.json"):
        (place / name).unlink()
    (place / "scratch").rmdir()
    labctl.done("init")
    assert set(tree(str(place))) == whole
    assert (place / "scratch").is_dir()
    labctl.done("verify")


def test_init_in_an_empty_folder_is_fine(labctl: Labctl, place: Path) -> None:
    place.mkdir()
    (place / ".DS_Store").write_bytes(b"")
    labctl.done("init")


def test_a_folder_that_holds_other_things_is_not_made_into_a_lab(labctl: Labctl, place: Path) -> None:
    (place / "src").mkdir(parents=True)
    (place / "train.py").write_text("x = 1\n")
    before = whole_tree(place)
    said = labctl("init")
    assert said.code == 2
    assert "holds other things (src, train.py)" in said.err
    assert whole_tree(place) == before


def test_a_file_is_no_data_root(labctl: Labctl, place: Path) -> None:
    place.write_text("a file\n")
    for words, code in ((("init",), 2), (("status",), 5), (("list",), 5), (("recover",), 5), (("pause", "alpha"), 5)):
        said = labctl(*words)
        assert said.code == code
        assert str(place) in said.err
    assert place.read_text() == "a file\n"


def test_a_place_below_a_file_is_named_for_what_it_is(labctl: Labctl, place: Path) -> None:
    place.write_text("a file\n")
    said = labctl("init", "--data-root", f"{place}/deep/lab")
    assert said.code in (2, 5)
    assert "labctl recover" not in said.err


def test_a_link_to_a_lab_is_that_lab(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    a_busy_lab(tmp_path / "real")
    place.symlink_to(tmp_path / "real")
    assert "runs: 6\n" in labctl.done("status").out
    assert labctl.done("init").out.startswith("already a lab")
    labctl.done("pause", "alpha")
    assert labctl.done("list", "--data-root", str(tmp_path / "real")).out.startswith("alpha\tpaused")
    labctl.done("verify")


def test_a_link_that_leads_nowhere_is_refused(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    place.symlink_to(tmp_path / "gone")
    assert labctl("status").code == 5
    assert labctl("init").code == 2
    assert not (tmp_path / "gone").exists()


def test_a_lab_inside_a_workspace_and_a_workspace_inside_a_lab(labctl: Labctl, tmp_path: Path) -> None:
    workspace = tmp_path / "project"
    (workspace / ".git").mkdir(parents=True)
    (workspace / "train.py").write_text("x = 1\n")
    inside = str(workspace / "lab-data")
    before = (workspace / "train.py").read_bytes()
    labctl.done("init", "--data-root", inside)
    spec = workspace / "s.yaml"
    spec.write_text("id: alpha\nmetric: loss\nworkspace_root: ..\nexecutor_command: 'true'\n")
    labctl.done("create", str(spec), "--data-root", inside)
    labctl.done("verify", "--data-root", inside)
    assert (workspace / "train.py").read_bytes() == before
    below = Path(inside, "scratch/project")
    below.mkdir()
    (below / "train.py").write_text("y = 2\n")
    for words in (("status",), ("refresh",), ("watchdog",), ("recover",), ("init",)):
        labctl.done(*words, "--data-root", inside)
    assert (below / "train.py").read_text() == "y = 2\n"


def test_the_place_is_the_flag_then_each_variable_then_the_folder_here(
    labctl: Labctl, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("flag", "lab", "hermes", "lab-data"):
        a_lab(tmp_path / name, name)
    monkeypatch.setenv("HERMES_LAB_DATA_ROOT", str(tmp_path / "hermes"))
    assert labctl.done("list", "--data-root", "flag").out.startswith("flag\t")
    assert labctl.done("list").out.startswith("lab\t")
    monkeypatch.delenv("LAB_DATA_ROOT")
    assert labctl.done("list").out.startswith("hermes\t")
    monkeypatch.setenv("HERMES_LAB_DATA_ROOT", "")
    assert labctl.done("list").out.startswith("lab-data\t")


def test_a_file_system_without_hard_links_is_refused_before_a_lab_is_made(
    labctl: Labctl, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: str, target: str) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), source, None, target)

    monkeypatch.setattr(os, "link", refuse)  # as vfat and exfat do
    said = labctl("init")
    assert said.code == 5
    assert "no hard links" in said.err
    assert "ext4" in said.err
    assert not (place / "registry").exists()
    assert labctl("status").code == 5


def test_a_refused_init_leaves_nothing_behind(labctl: Labctl, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: str, target: str) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), source, None, target)

    monkeypatch.setattr(os, "link", refuse)
    assert labctl("init").code == 5
    assert not place.exists() or os.listdir(place) == []


@pytest.mark.needs("mkfs.vfat")
@pytest.mark.needs_root
def test_a_real_vfat_disk_is_refused(labctl: Labctl, tmp_path: Path) -> None:
    image, disk = tmp_path / "image", tmp_path / "disk"
    image.touch()
    os.truncate(image, 4 << 20)
    subprocess.run(["mkfs.vfat", str(image)], check=True, capture_output=True)
    disk.mkdir()
    if subprocess.run(["mount", "-o", "loop", str(image), str(disk)], capture_output=True, check=False).returncode:
        pytest.skip("a vfat image cannot be mounted here")
    try:
        said = labctl("init", "--data-root", str(disk / "lab"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert said.code == 5
    assert "no hard links" in said.err


@pytest.mark.parametrize(
    "words", [("status",), ("init",), ("refresh",), ("recover",), ("pause", "valley"), ("watchdog", "--repair")]
)
def test_a_hermes_root_is_never_written_into_and_import_is_offered(
    words: tuple[str, ...], labctl: Labctl, place: Path
) -> None:
    a_hermes_root(place)
    before = tree(str(place))
    said = labctl(*words)
    assert tree(str(place)) == before
    assert said.code != 0
    assert "import-root" in said.err


@pytest.mark.needs_root
@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_a_lab_that_may_only_be_read_is_read(words: tuple[str, ...], place: Path) -> None:
    a_busy_lab(place)
    give_away(place)
    said = as_stranger(*words, root=place)
    assert said.code == 0, said
    assert said.out


@pytest.mark.needs_root
@pytest.mark.parametrize("words", WRITING, ids=" ".join)
def test_a_lab_that_may_only_be_read_refuses_what_would_write(words: tuple[str, ...], place: Path) -> None:
    root = a_busy_lab(place)
    cycle.begin(root, "beta", owner=dead())
    give_away(place)
    before = tree(str(place))
    said = as_stranger(*words, root=place)
    assert said.code == 5, said
    assert "Permission denied" in said.err
    assert "LAB_DATA_ROOT" in said.err
    assert tree(str(place)) == before


@pytest.mark.needs_root
@pytest.mark.parametrize("words", [("run-once",), ("run-once", "--experiment", "alpha", "--now")], ids=" ".join)
def test_a_turn_of_a_lab_that_may_only_be_read_names_the_place_and_is_no_failed_run(
    words: tuple[str, ...], place: Path
) -> None:
    a_busy_lab(place)
    give_away(place)
    said = as_stranger(*words, root=place)
    assert said.code == 5, said
    assert f"{place}/registry/locks" in said.err


@pytest.mark.needs_root
@pytest.mark.parametrize("words", [("show", "alpha"), ("lease", "show"), ("watchdog",)], ids=" ".join)
def test_a_lab_that_may_only_be_read_is_read_while_a_run_is_under_way(words: tuple[str, ...], place: Path) -> None:
    root = a_busy_lab(place)
    cycle.begin(root, "alpha", owner=foreign())
    give_away(place)
    said = as_stranger(*words, root=place)
    assert said.code == 0, said


@pytest.mark.needs_root
@pytest.mark.parametrize("words", [("status",), ("list",), ("verify",), ("pause", "alpha"), ("init",)], ids=" ".join)
def test_a_lab_that_may_not_even_be_read_is_refused_in_words(words: tuple[str, ...], place: Path) -> None:
    a_busy_lab(place)
    give_away(place)
    place.chmod(0o700)
    said = as_stranger(*words, root=place)
    assert said.code == 5
    assert str(place) in said.err


@pytest.mark.needs_root
def test_a_spec_that_may_not_be_read_is_named_as_that(place: Path, tmp_path: Path) -> None:
    a_busy_lab(place)
    secret = tmp_path / "secret.yaml"
    secret.write_text("id: gamma\n")
    secret.chmod(0o600)
    os.chown(secret, NOBODY, NOBODY)
    said = as_stranger("create", str(secret), root=place)
    assert said.code in (2, 5)
    assert "secret.yaml" in said.err
    assert "data root cannot be written" not in said.err


@pytest.mark.needs_root
def test_a_read_only_mount_is_read_and_not_written(labctl: Labctl, small_disk: Path) -> None:
    root = a_busy_lab(small_disk / "lab")
    place = str(small_disk / "lab")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for words in READING:
        labctl.done(*words, "--data-root", place)
    labctl.done("show", runs_of(root, "alpha")[0], "--data-root", place)
    for command in WRITING[:-1]:
        said = labctl(*command, "--data-root", place)
        assert said.code == 5, (command, said)
        assert "Read-only file system" in said.err


@pytest.mark.needs_root
def test_a_full_disk_loses_nothing_and_says_so(labctl: Labctl, small_disk: Path) -> None:
    root = a_busy_lab(small_disk / "lab")
    place = str(small_disk / "lab")
    running = cycle.begin(root, "beta", owner=me())
    before = tree(place)
    ballast = fill(small_disk)
    for words in (("create", "research-sprint"), ("pause", "alpha"), ("digest",), ("set-fidelity", "alpha", "final")):
        said = labctl(*words, "--data-root", place)
        assert said.code == 5, (words, said)
        assert "the disk is full" in said.err or "No space left on device" in said.err
        assert "free some space" in said.err
    with pytest.raises(OSError, match="No space left"):
        cycle.finish(root, running, ended(0.5))
    (small_disk / "lab/experiments/alpha/best.md").unlink()
    assert labctl("refresh", "--data-root", place).code in (0, 5)
    for words in READING:
        labctl.done(*words, "--data-root", place)
    after = tree(place)
    for name, data in before.items():
        if "/runs/" in name or name.endswith("SPEC.yaml"):
            assert after[name] == data
    assert after["registry/events.jsonl"].startswith(before["registry/events.jsonl"])
    ballast.unlink()
    labctl.done("recover", "--data-root", place)
    for words in (("create", "research-sprint"), ("pause", "alpha"), ("refresh",), ("verify",), ("recover",)):
        labctl.done(*words, "--data-root", place)
    assert "beta\tactive\ttier=proxy\tclass=default\truns=4\t" in labctl.done("list", "--data-root", place).out
    one_run(root, "beta", 0.125)
    assert "best=0.125" in labctl.done("list", "--data-root", place).out
    assert labctl.done("verify", "--data-root", place).out.startswith("all as it was sealed: 8 runs")
