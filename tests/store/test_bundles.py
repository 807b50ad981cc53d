"""Bundles: opened whole, closed once, sealed once, and everything in them is in the seal."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import layout
from lab.core.errors import BadInput, Corrupt
from lab.core.manifest import Manifest
from lab.core.run import Run
from lab.store import bundles, contents, ledger, reading
from lab.testing.files import Crash, CrashingFiles, a_root
from tests.scheduler.labs import write

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.seal import Seal
    from lab.store.root import Root

RUN = "RUN-20260102-030405-000000-scout"


@pytest.fixture
def root(tmp_path: Path) -> Root:
    made = a_root(tmp_path / "lab")
    made.files.folder(made.layout.runs("a"))
    return made


def manifest(**more: object) -> Manifest:
    return msgspec.structs.replace(Manifest(run_id=RUN, experiment="a", generation=3, metric="loss"), **more)


def opened(root: Root) -> str:
    return bundles.open_bundle(root, manifest(), {"plan.md": b"a plan\n"})


def sealed(root: Root) -> Seal:
    closed = manifest(status="success", value=0.5)
    bundles.close(root, closed, result="# done\n", metrics={"value": 0.5})
    stock = contents.take_stock(root, "a", RUN)
    return bundles.publish(root, closed.run(), 3, sealed_by="test", contents=stock)


def test_a_bundle_that_can_be_seen_has_its_manifest(root: Root) -> None:
    counted = CrashingFiles()
    bundles.open_bundle(a_root(root.layout.root, counted), manifest(run_id=f"{RUN}-dry"), {"plan.md": b"x"})
    for at in range(1, counted.steps + 1):
        crashing = a_root(root.layout.root, CrashingFiles(at=at))
        with pytest.raises(Crash):
            bundles.open_bundle(crashing, manifest(run_id=f"{RUN}-{at}"), {"plan.md": b"x"})
    assert bundles.names(root, "a") == [f"{RUN}-dry"]
    assert bundles.load_manifest(root.layout.run("a", f"{RUN}-dry")) == manifest(run_id=f"{RUN}-dry")


def test_a_run_id_is_used_once(root: Root) -> None:
    opened(root)
    with pytest.raises(FileExistsError):
        opened(root)


def test_closing_keeps_what_the_run_wrote_itself(root: Root) -> None:
    path = opened(root)
    write(f"{path}/RESULT.md", b"my own\n")
    bundles.close(root, manifest(status="failed"), result="not mine\n", metrics={"value": None})
    assert reading.read(f"{path}/RESULT.md") == b"my own\n"
    assert reading.read(f"{path}/metrics.json") == b'{\n  "value": null\n}\n'
    closed = bundles.load_manifest(path)
    assert closed is not None
    assert closed.status == "failed"


def test_a_run_cannot_be_closed_as_running(root: Root) -> None:
    path = opened(root)
    with pytest.raises(BadInput):
        bundles.close(root, manifest(), result="x", metrics={})
    assert sorted(os.listdir(path)) == ["manifest.json", "plan.md"]


@pytest.mark.parametrize(("status", "outcome"), [("running", "crash"), ("failed", "failed"), ("success", "success")])
def test_only_a_success_has_a_value_in_history(status: str, outcome: str) -> None:
    run = manifest(status=status, value=0.5).run()
    assert (run.outcome, run.value) == (outcome, 0.5 if outcome == "success" else None)


def test_the_seal_covers_whatever_the_run_left(root: Root, tmp_path: Path) -> None:
    path = opened(root)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"not ours")
    os.makedirs(f"{path}/artifacts/deep/er")
    os.makedirs(f"{path}/artifacts/hollow")
    big = os.urandom(3_000_000)
    write(f"{path}/artifacts/deep/er/big.bin", big)
    write(f"{path}/artifacts/edge.bin", b"x" * (1 << 18))
    write(f"{path}/artifacts/empty", b"")
    write(f"{path}/.hidden", b"h")
    os.symlink(tmp_path / "outside", f"{path}/artifacts/folder-link")
    os.symlink("nowhere", f"{path}/broken-link")
    made = sealed(root)
    assert sorted(made.files) == [
        ".hidden", "RESULT.md", "artifacts/deep/er/big.bin", "artifacts/edge.bin", "artifacts/empty",
        "artifacts/folder-link", "broken-link", "manifest.json", "metrics.json", "plan.md",
    ]  # fmt: skip
    for name, data in (("artifacts/deep/er/big.bin", big), ("artifacts/empty", b""), (".hidden", b"h")):
        assert made.files[name].sha256 == hashlib.sha256(data).hexdigest()
        assert made.files[name].size == len(data)
    assert made.files["artifacts/edge.bin"].size == 1 << 18
    link = made.files["broken-link"]
    assert (link.link, link.sha256) == (True, hashlib.sha256(b"nowhere").hexdigest())


def test_what_holds_nothing_is_left_out_and_stops_nothing(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = opened(root)
    os.mkfifo(f"{path}/pipe")
    monkeypatch.chdir(path)  # the path of a socket may not be long
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
    assert sorted(sealed(root).files) == ["RESULT.md", "manifest.json", "metrics.json", "plan.md"]


def test_a_file_that_its_run_made_unreadable_is_sealed(root: Root) -> None:
    path = opened(root)
    write(f"{path}/locked", b"data")
    os.chmod(f"{path}/locked", 0)
    assert sealed(root).files["locked"].size == 4


def test_drafts_that_a_crash_left_are_not_sealed(root: Root) -> None:
    path = opened(root)
    write(f"{path}/.RESULT.md.0123456789ab-12-1.draft", b"half")
    made = sealed(root)
    assert ".RESULT.md.0123456789ab-12-1.draft" not in made.files
    assert list(contents.stray(path, made)) == []  # another process may be writing it: recovery moves it aside


def test_the_seal_says_what_it_sealed_and_where_it_stands(root: Root) -> None:
    path = opened(root)
    made = sealed(root)
    found = bundles.load_seal(path)
    assert found is not None
    assert found[0] == made
    assert (made.generation, made.sealed_by, made.anchor.seq) == (3, "test", 0)
    assert layout.SEAL not in made.files
    (entry,) = ledger.entries(root)
    assert entry.line is not None
    assert entry.line.event.seal == hashlib.sha256(found[1]).hexdigest()
    assert entry.line.event.facts == {"outcome": "success", "value": 0.5}


def test_sealing_twice_is_an_error_and_keeps_the_first_seal(root: Root) -> None:
    path = opened(root)
    sealed(root)
    before = reading.read(f"{path}/{layout.SEAL}")
    with pytest.raises(BadInput, match="sealed already"):
        bundles.publish(root, Run(run_id=RUN, experiment="a", outcome="failed"), 4, sealed_by="me", contents={})
    assert reading.read(f"{path}/{layout.SEAL}") == before
    assert len(list(ledger.entries(root))) == 1


def test_sealed_files_are_read_only(root: Root) -> None:
    path = opened(root)
    made = sealed(root)
    for name in (*made.files, layout.SEAL):
        assert stat.S_IMODE(os.stat(f"{path}/{name}").st_mode) == 0o444, name


def test_the_seal_is_on_the_disk_only_after_everything_else(root: Root) -> None:
    opened(root)
    counted = CrashingFiles(durable=True)
    sealed(a_root(root.layout.root, counted))
    synced = {path for name, path in counted.log if name == "fsync"}
    made = next(at for at, (name, path) in enumerate(counted.log) if name == "link" and path.endswith("/SEAL.json"))
    path = root.layout.run("a", RUN)
    before = {told for name, told in counted.log[:made] if name == "fsync"}
    wanted = {f"{path}/{name}" for name in ("plan.md", "manifest.json", "RESULT.md", "metrics.json")}
    assert wanted | {path, root.layout.runs("a")} <= before <= synced


def test_a_bundle_with_many_files_is_sealed_too(root: Root) -> None:
    path = opened(root)
    os.makedirs(f"{path}/artifacts")
    for number in range(40):
        write(f"{path}/artifacts/{number}", b"x" * number)
    assert len(sealed(root).files) == 44


@pytest.mark.parametrize("name", ["RUN-x", "RUN-20260102-030405-000000-other"])
def test_a_seal_in_another_bundle_is_damage(root: Root, name: str) -> None:
    path = opened(root)
    sealed(root)
    os.rename(path, f"{root.layout.runs('a')}/{name}")
    with pytest.raises(Corrupt, match="lies in the bundle"):
        bundles.load_seal(root.layout.run("a", name))


def test_an_edited_file_is_no_evidence(root: Root) -> None:
    path = opened(root)
    made = sealed(root)
    assert bundles.sealed_bytes(path, "plan.md", made) == b"a plan\n"
    write(f"{path}/plan.md", b"a plot\n")
    assert bundles.sealed_bytes(path, "plan.md", made) is None
    assert bundles.sealed_bytes(path, "never.md", made) is None
    os.unlink(f"{path}/plan.md")
    assert bundles.sealed_bytes(path, "plan.md", made) is None


def test_a_superseded_bundle_is_marked_once_and_kept(root: Root) -> None:
    path = opened(root)
    for _ in range(2):
        bundles.supersede(root, "a", RUN, 3, "its holder was silent")
    assert sorted(os.listdir(path)) == ["SUPERSEDED.json", "manifest.json", "plan.md"]
    assert len(list(ledger.entries(root))) == 1


def test_only_bundles_are_listed_oldest_first(root: Root) -> None:
    for name in ("RUN-2", "RUN-1", ".RUN-0.x-1-1.draft", "notes"):
        root.files.folder(f"{root.layout.runs('a')}/{name}")
    assert bundles.names(root, "a") == ["RUN-1", "RUN-2"]
    assert bundles.names(root, "none") == []
