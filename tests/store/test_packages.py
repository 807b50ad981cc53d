"""Packages on disk, and the tars that they travel in."""

from __future__ import annotations

import errno
import io
import os
import tarfile
from typing import TYPE_CHECKING

import pytest

from lab.core import layout, package
from lab.core.errors import BadInput, Corrupt, LabError
from lab.core.package import COMPLETE, READY, RUNNING, Done, Offer, Place, Taken
from lab.core.record import encode, parse
from lab.store import contents, machine, packages, tarball
from lab.store.files import Files
from lab.testing.files import Crash, CrashingFiles, a_root

if TYPE_CHECKING:
    from pathlib import Path

    from lab.store.root import Root

NAME = "DISPATCH-20261121-093000-000000-alpha"
PLACE = Place(dispatch_id=NAME, experiment="alpha")


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return a_root(tmp_path / "lab")


def published(root: Root, name: str = NAME) -> Place:
    packages.publish(root, Offer(dispatch_id=name, experiment="alpha"), {"input/SPEC.yaml": b"id: alpha\n"})
    return Place(dispatch_id=name, experiment="alpha")


@pytest.mark.parametrize(
    "record",
    [
        Offer(dispatch_id=NAME, experiment="alpha", params={"lr": 0.1}),
        Taken(
            dispatch_id=NAME, worker="w", experiment="alpha", run_id="r", generation=1, lease_id="l", ttl_s=1.0,
            claimed_at="t",
        ),
        Done(dispatch_id=NAME, worker="w", outcome="success", completed_at="t"),
    ],
)  # fmt: skip
def test_a_record_comes_back_as_it_was(record: Offer | Taken | Done) -> None:
    assert parse(type(record), encode(record), "x") == record


def test_a_move_has_one_winner_and_tells_the_other(root: Root) -> None:
    each = published(root)
    assert packages.move(root, READY, each, RUNNING, worker="w1").name == f"{NAME}@w1"
    with pytest.raises(FileNotFoundError):
        packages.move(root, READY, each, RUNNING, worker="w2")
    assert [found.worker for found in packages.found(root, RUNNING)] == ["w1"]


def test_a_name_is_taken_once(root: Root) -> None:
    published(root)
    with pytest.raises(FileExistsError):
        published(root)


def test_an_offer_is_published_whole_or_not_at_all(tmp_path: Path) -> None:
    for at in range(1, 40):
        files = CrashingFiles(at=at)
        root = a_root(tmp_path / f"lab-{at}", files)
        try:
            published(root)
        except Crash:
            assert packages.found(root, READY) == []
            continue
        assert [each.name for each in packages.found(root, READY)] == [NAME]
        break
    else:
        pytest.fail("it was never published")


def test_half_of_a_spent_package_is_none(tmp_path: Path) -> None:
    for at in range(1, 40):
        root = a_root(tmp_path / f"lab-{at}")
        each = published(root)
        crashing = a_root(tmp_path / f"lab-{at}", CrashingFiles(at=at))
        try:
            packages.spend(crashing, READY, each)
        except Crash:
            left = packages.found(root, READY)
            assert left in ([], [each])
            for one in left:
                packages.offer_of(root, READY, one)  # whole, or it would be Corrupt
            packages.clear(root)
            assert [name for name in os.listdir(root.layout.stage(READY)) if name.startswith(".")] == []
            continue
        break


def test_a_package_under_another_name_is_not_believed(root: Root) -> None:
    published(root)
    other = NAME.replace("alpha", "beta")
    os.rename(root.layout.package(READY, NAME), root.layout.package(READY, other))
    with pytest.raises(Corrupt):
        packages.offer_of(root, READY, Place(dispatch_id=other, experiment="beta"))


def test_a_refused_package_is_kept_with_the_reason_also_the_second_of_its_name(root: Root) -> None:
    first = packages.refuse(root, READY, published(root), "because")
    second = packages.refuse(root, READY, published(root), "again")
    assert first != second
    with open(f"{second}/{package.WHY}", encoding="utf-8") as file:
        assert "again" in file.read()


def test_pouring_goes_on_where_a_crash_stopped_it(tmp_path: Path) -> None:
    for at in range(1, 40):
        root = a_root(tmp_path / f"lab-{at}")
        each = packages.move(root, READY, published(root), COMPLETE, worker="w")
        run = f"{root.layout.package(COMPLETE, each.name)}/run"
        os.makedirs(f"{run}/artifacts/deep")
        for name in ("RESULT.md", "metrics.json", "exit.json", "artifacts/deep/x", "manifest.json"):
            with open(f"{run}/{name}", "w", encoding="utf-8") as file:
                file.write(name)
        bundle = str(tmp_path / f"bundle-{at}")
        os.mkdir(bundle)
        try:
            packages.pour(a_root(root.layout.root, CrashingFiles(at=at)), COMPLETE, each, bundle)
        except Crash:
            assert not os.path.exists(f"{bundle}/exit.json"), "the word of how it ended comes last"
            packages.pour(root, COMPLETE, each, bundle)
        found = {os.path.relpath(f"{place}/{name}", bundle) for place, _, names in os.walk(bundle) for name in names}
        assert found == {
            "RESULT.md", "metrics.json", "exit.json", "artifacts/deep/x", "from-worker/manifest.json",
        }  # fmt: skip
        assert os.listdir(run) == []


class Elsewhere(CrashingFiles):
    """The package lies on another file system than the bundle, and the machine stops before a copy has its name."""

    def move(self, source: str, target: str, *, durable: bool = False) -> None:
        if "/dispatch/" in source and "/dispatch/" not in target:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), source)
        if layout.is_draft(os.path.basename(source)):
            raise Crash(source)
        super().move(source, target, durable=durable)


def test_half_of_a_copy_into_a_bundle_says_whose_it_is_and_is_not_sealed(root: Root, tmp_path: Path) -> None:
    each, bundle = published(root), str(tmp_path / "bundle")
    os.mkdir(bundle)
    run = f"{root.layout.package(READY, each.name)}/run"
    os.mkdir(run)
    root.files.create(f"{run}/model.bin", b"weights")
    with pytest.raises(Crash):
        packages.pour(a_root(root.layout.root, Elsewhere()), READY, each, bundle)
    (left,) = os.listdir(bundle)
    assert contents.is_own_draft(left)
    assert layout.draft_owner(left, machine.HERE_CHARS) == (machine.here(), os.getpid())
    packages.pour(root, READY, each, bundle)
    assert sorted(os.listdir(bundle)) == [left, "model.bin"]


def a_tar(path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> str:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for about, data in members:
            about.size = len(data)
            tar.addfile(about, io.BytesIO(data))
    return str(path)


def a_member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    about = tarfile.TarInfo(name)
    about.type, about.linkname = kind, link
    return about


def test_a_tar_holds_what_was_packed_and_any_tar_can_read_it(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "run" / "deep").mkdir(parents=True)
    (source / "run" / "deep" / ("n" * 150)).write_bytes(b"x" * 70_000)
    (source / "run" / "tool.sh").write_text("#!/bin/sh\n")
    (source / "run" / "tool.sh").chmod(0o755)
    (source / "run" / "link").symlink_to("/etc/passwd")
    path = tmp_path / "a.tar"
    files = Files(durable=False)
    files.create(str(path), tarball.pieces({"top": str(source)}))
    with tarfile.open(path) as tar:
        assert "top/run/link" not in tar.getnames()
    assert tarball.top(str(path)) == "top"
    out = tmp_path / "out"
    assert tarball.extract(files, str(path), str(out), below="top/run") == 2
    assert (out / "deep" / ("n" * 150)).read_bytes() == b"x" * 70_000
    assert os.access(out / "tool.sh", os.X_OK)


@pytest.mark.parametrize(
    "member",
    [
        a_member("/etc/x"), a_member("top/../../x"), a_member("../x"), a_member("top/a\\b"),
        a_member("top/link", tarfile.SYMTYPE, "/etc"), a_member("top/hard", tarfile.LNKTYPE, "top/a"),
        a_member("top/device", tarfile.CHRTYPE), a_member("top/pipe", tarfile.FIFOTYPE), a_member("other/a"),
        a_member("top/a"),
    ],
    ids=lambda member: f"{member.name}-{member.type!r}",
)  # fmt: skip
def test_a_tar_that_means_harm_is_refused_whole(tmp_path: Path, member: tarfile.TarInfo) -> None:
    path = a_tar(tmp_path / "a.tar", (a_member("top/a"), b"good"), (member, b""))
    with pytest.raises(BadInput):
        tarball.top(path)
    assert os.listdir(tmp_path) == ["a.tar"]


def test_a_tar_that_was_cut_off_or_is_none_is_refused(tmp_path: Path) -> None:
    path = a_tar(tmp_path / "a.tar", (a_member("top/a"), b"x" * 100_000), mode="w:gz")
    whole = (tmp_path / "a.tar").read_bytes()
    for cut in (0, 10, len(whole) // 2):
        (tmp_path / "a.tar").write_bytes(whole[:cut])
        with pytest.raises(LabError):
            tarball.top(path)
    (tmp_path / "a.tar").write_bytes(b"no tar at all" * 100)
    with pytest.raises(BadInput):
        tarball.top(path)
    with pytest.raises(BadInput):
        tarball.top(str(tmp_path / "none.tar"))


def test_a_tar_that_grows_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarball, "MOST_BYTES", 1_000)
    path = a_tar(tmp_path / "a.tar", (a_member("top/a"), b"x" * 2_000), mode="w:gz")
    with pytest.raises(BadInput, match="more than"):
        tarball.top(path)
