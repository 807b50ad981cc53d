"""Old bundles in an archive: history, pages and proofs stay as they were, and every byte comes back."""

from __future__ import annotations

import os
import shutil
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from lab.core import layout
from lab.core.errors import BadInput, Corrupt, NotFound, Unavailable
from lab.core.run import FAILED
from lab.scheduler import cycle, digest, inspect, prune, refresh, watchdog
from lab.scheduler.prune import Wish
from lab.store import archive_file, archives, bundles, ledger, verify
from lab.store.files import Files
from lab.testing.files import BEGINNING, Crash, CrashingFiles, a_root
from tests.scheduler.labs import a_lab, an_experiment, derived, ended, me, one_run, reopened, tree, write

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from lab.store.root import Root

VALUES = (3.0, 1.0, None, 2.0, 5.0, None, 4.0, 6.0, 7.0, 8.0)
OLD = 5  # with the newest five kept
TABLES = (layout.METRICS_LOG, layout.RESULTS)


def a_run_that_left_things(root: Root, name: str, value: float) -> str:
    """A bundle with what archives trip over: folders, links, an empty file, a name that is no text, bytes."""
    running = cycle.begin(root, name, owner=me(), params={"lr": value})
    os.makedirs(f"{running.path}/artifacts/deep/empty")
    os.symlink("../plan.md", f"{running.path}/artifacts/link")
    for file in (b"artifacts/deep/model.bin", b"artifacts/caf\xe9.txt", b"artifacts/none"):
        with open(os.fsencode(running.path) + b"/" + file, "wb") as out:
            out.write(b"" if file.endswith(b"none") else bytes(range(256)) * 5000)
    cycle.finish(root, running, ended(value, result="# Done\n\nwith artifacts\n"))
    return running.manifest.run_id


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """Ten runs and what they left; the second is the best, and the ones before the last five are old."""
    made = a_lab(tmp_path / "lab", "a", "b")
    a_run_that_left_things(made, "a", 3.0)
    for value in VALUES[1:]:
        one_run(made, "a", value, FAILED if value is None else "success")
    one_run(made, "b", 1.0)
    return made


def pages(root: Root) -> dict[str, bytes]:
    found = tree(root.layout.root)
    return {name: found[name] for name in derived(root)}


def runs(root: Root) -> list[str]:
    return bundles.names(root, "a")


def damage(root: Root) -> list[str]:
    return [each.kind for each in verify.verify(root).damage]


def rebuilt(root: Root) -> dict[str, bytes]:
    for name in derived(root):
        os.unlink(root.layout.place(name))
    refresh.everything(root)
    return pages(root)


def test_old_runs_go_and_the_best_and_the_last_five_stay(root: Root) -> None:
    before = runs(root)
    done = prune.prune(root, "a", Wish(keep=5))
    assert done.runs == (before[0], *before[2:OLD])
    assert done.left == (f"{before[1]}: it is the best of tier proxy",)
    assert runs(root) == [before[1], *before[OLD:]]
    assert os.listdir(root.layout.place("backups")) == [done.archive]


def test_the_tables_stay_and_every_page_comes_back_from_what_is_left(root: Root) -> None:
    tables = [pages(root)[f"experiments/a/{name}"] for name in TABLES]
    prune.prune(root, "a", Wish(keep=5))
    after = pages(root)
    assert [after[f"experiments/a/{name}"] for name in TABLES] == tables
    assert refresh.everything(root).findings == ()
    assert rebuilt(root) == after
    one_run(root, "a", 0.5)
    assert rebuilt(root) == pages(root)


def test_pages_after_a_prune_are_those_of_a_rebuild_also_without_the_archive(root: Root) -> None:
    done = prune.prune(root, "a", Wish(keep=5))
    after = pages(root)
    os.unlink(root.layout.archive(done.archive))
    assert rebuilt(root) == after


def test_verify_still_proves_every_run(root: Root) -> None:
    done = prune.prune(root, "a", Wish(keep=5))
    found = verify.verify(root)
    assert (found.damage, found.notes, found.runs, found.archived) == ((), (), 7, 4)
    os.rename(root.layout.archive(done.archive), f"{root.layout.root}.elsewhere.tar")
    found = verify.verify(root)
    assert found.damage == ()
    assert done.sha256 in found.notes[0]


def test_verify_finds_a_changed_archive_and_a_changed_companion(root: Root) -> None:
    done = prune.prune(root, "a", Wish(keep=5))
    archive, companion = root.layout.archive(done.archive), root.layout.companion("a", done.archive)
    with open(archive, "rb") as file:
        whole = file.read()
    write(archive, whole[:5000] + b"?" + whole[5001:])
    assert damage(root) == ["archive-edited"]
    write(archive, whole)
    with open(companion, "rb") as file:
        lines = file.read()
    write(companion, lines.replace(b'"result":"', b'"result":"AAAA', 1))
    assert damage(root) == ["companion-edited"]
    write(companion, lines.replace(b'\\"value\\": 3.0', b'\\"value\\": 0.1'))
    assert "seal-edited" in damage(root)
    os.unlink(companion)
    assert set(damage(root)) == {"companion-missing", "bundle-missing"}
    write(companion, lines)
    assert damage(root) == []


def test_a_restored_bundle_is_the_one_that_went(root: Root) -> None:
    everything = tree(root.layout.runs("a"))
    first = runs(root)[0]
    done = prune.prune(root, "a", Wish(keep=5))
    after = pages(root)
    back = prune.restore(root, done.archive)
    assert back.runs == done.runs
    assert tree(root.layout.runs("a")) == everything
    path = root.layout.run("a", first)
    assert os.readlink(f"{path}/artifacts/link") == "../plan.md"
    assert os.path.isdir(f"{path}/artifacts/deep/empty")
    assert not os.stat(f"{path}/{layout.SEAL}").st_mode & 0o222
    assert damage(root) == []
    refresh.everything(root)
    assert pages(root) == after
    assert prune.restore(root, done.archive).runs == ()


def test_a_run_can_end_while_many_bundles_go(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    before = runs(root)
    take = archives.remove_bundles
    section = type(root).section
    sizes: list[int] = []
    waiting = [0.25, 0.5]

    def counted(root: Root, experiment: str, some: list[str]) -> list[str]:
        sizes.append(len(some))
        return take(root, experiment, some)

    def entered(self: Root, experiment: str) -> AbstractContextManager[None]:
        if sizes and waiting:  # between two batches a run begins and ends, which needs the section
            one_run(self, experiment, waiting.pop())
        return section(self, experiment)

    monkeypatch.setattr(prune, "_AT_ONCE", 2)
    monkeypatch.setattr(archives, "remove_bundles", counted)
    monkeypatch.setattr(type(root), "section", entered)
    done = prune.prune(root, "a", Wish(keep=5))
    assert (sizes, waiting) == ([2, 2], [])
    assert done.runs == (before[0], *before[2:OLD])
    assert len(runs(root)) == len(before) - 4 + 2
    assert damage(root) == []
    told = pages(root)
    assert rebuilt(root) == told


def test_a_restored_bundle_has_its_name_once_all_of_it_is_on_the_disk(root: Root) -> None:
    run_id = runs(root)[0]
    done = prune.prune(root, "a", Wish(keep=5))
    counted = CrashingFiles(durable=True)
    prune.restore(reopened(root, counted), done.archive)
    bundle = root.layout.run("a", run_id)
    named = counted.log.index(("rename", bundle))
    draft = f"{root.layout.runs('a')}/.{run_id}{layout.RESTORED_SUFFIX}"
    last = {path: at for at, (name, path) in enumerate(counted.log[:named]) if name == "fsync"}
    for folder, _, names in os.walk(bundle):
        there = f"{draft}{folder.removeprefix(bundle)}"
        files = [f"{there}/{name}" for name in names if not os.path.islink(f"{folder}/{name}")]
        assert {there, *files} <= set(last)
        naming = ("link", "mkdir", "rename", "symlink", "unlink")
        named_in = [at for at, (name, path) in enumerate(counted.log[:named]) if os.path.dirname(path) == there]
        assert all(last[there] > at for at in named_in if counted.log[at][0] in naming)


def test_what_was_restored_is_pruned_again_without_a_second_archive(root: Root) -> None:
    done = prune.prune(root, "a", Wish(keep=5))
    prune.restore(root, done.archive)
    again = prune.prune(root, "a", Wish(keep=5))
    assert (again.runs, again.archive) == (done.runs, "")
    assert os.listdir(root.layout.place("backups")) == [done.archive]
    prune.restore(root, done.archive)
    os.unlink(root.layout.archive(done.archive))
    third = prune.prune(root, "a", Wish(keep=5))
    assert (third.runs, third.archive) == (done.runs, done.archive.replace(".tar", "-2.tar"))
    assert damage(root) == []


def test_an_archive_elsewhere_is_taken_by_its_path_and_a_changed_one_is_refused(root: Root, tmp_path: Path) -> None:
    done = prune.prune(root, "a", Wish(keep=5))
    away = tmp_path / "usb" / done.archive
    away.parent.mkdir()
    os.rename(root.layout.archive(done.archive), away)
    with pytest.raises(NotFound, match="is not there"):
        prune.restore(root, done.archive)
    data = away.read_bytes()
    away.write_bytes(data[:-1] + b"?")
    with pytest.raises(Corrupt, match="not the one that the ledger recorded"):
        prune.restore(root, str(away))
    assert len(runs(root)) == 6
    away.write_bytes(data)
    assert prune.restore(root, str(away)).runs == done.runs
    with pytest.raises(NotFound, match="does not tell of an archive"):
        prune.restore(root, "runs-a.tar")


def test_what_does_not_verify_stays_where_it_lies(root: Root) -> None:
    first = runs(root)[0]
    write(f"{root.layout.run('a', first)}/stdout.log", b"edited")
    done = prune.prune(root, "a", Wish(keep=5))
    assert first not in done.runs
    assert any(line.startswith(f"{first}: it is not as it was sealed") for line in done.left)
    assert first in runs(root)


def test_runs_under_way_and_superseded_ones_are_left_alone(root: Root) -> None:
    running = cycle.begin(root, "a", owner=me())
    lost = f"{root.layout.runs('a')}/RUN-20200101-000000-000000-scout"
    os.mkdir(lost)
    write(f"{lost}/{layout.SUPERSEDED}", b"{}")
    prune.prune(root, "a", Wish(keep=5))
    assert os.path.isdir(running.path)
    assert os.path.isdir(lost)
    cycle.finish(root, running, ended(9.0))


def test_only_what_is_old_goes(root: Root) -> None:
    assert prune.prune(root, "a", Wish(keep=5, older_s=3600.0)).runs == ()
    later = reopened(root)  # an hour later
    assert len(prune.prune(later, "a", Wish(keep=5, older_s=3000.0)).runs) == 4


def test_a_dry_run_is_what_will_be_done_and_writes_nothing(root: Root) -> None:
    before = tree(root.layout.root)
    planned = prune.plan(root, "a", Wish(keep=5))
    assert tree(root.layout.root) == before
    assert planned.runs == prune.prune(root, "a", Wish(keep=5)).runs


@pytest.mark.parametrize(("keep", "older_s"), [(None, None), (4, None), (0, 60.0)])
def test_a_wish_that_says_nothing_or_too_much_is_refused(keep: int | None, older_s: float | None) -> None:
    with pytest.raises(BadInput):
        prune.checked(keep, older_s)


def test_two_prunes_at_once_make_one_archive(root: Root) -> None:
    together = threading.Barrier(2)

    def go(mine: Root) -> prune.Pruned:
        together.wait()
        return prune.prune(mine, "a", Wish(keep=5))

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(go, (reopened(root), reopened(root))))
    (first, second) = sorted(done, key=lambda each: bool(each.archive))
    assert (first.archive, first.runs) == ("", ())
    assert os.listdir(root.layout.place("backups")) == [second.archive]
    assert len(second.runs) == OLD - 1
    assert damage(root) == []


def test_show_says_where_a_run_is(root: Root) -> None:
    first = runs(root)[0]
    before = inspect.run(root, first)
    done = prune.prune(root, "a", Wish(keep=5))
    shown = inspect.run(root, first)
    assert (shown.data["state"], shown.data["archive"], shown.data["value"]) == ("archived", done.archive, 3.0)
    assert shown.lines[0] == f"archived in backups/{done.archive}"
    assert shown.data["params"] == before.data["params"]
    assert shown.lines[-1] == "with artifacts"


def test_a_spec_by_which_an_archived_run_would_be_best_changes_no_best(root: Root) -> None:
    for value in (0.5, 0.6, 0.7, 0.8, 0.9):
        one_run(root, "a", value)
    prune.prune(root, "a", Wish(keep=5))
    spec = root.layout.spec("a")
    with open(spec, "rb") as file:
        write(spec, file.read().replace(b"minimize", b"maximize"))
    refresh.everything(root)
    best = pages(root)["experiments/a/best.md"].decode()
    assert "loss: **0.5** (minimize)" in best
    assert rebuilt(root)["experiments/a/best.md"].decode() == best


def test_a_digest_of_old_days_comes_back_after_a_prune(root: Root) -> None:
    digest.write(root, digest.DAILY, "2026-01-02", actor="ann")
    page = root.layout.digest("daily", "2026-01-02")
    with open(page, "rb") as file:
        before = file.read()
    prune.prune(root, "a", Wish(keep=5))
    os.unlink(page)
    refresh.everything(root)
    with open(page, "rb") as file:
        assert file.read() == before


def test_an_archive_that_does_not_give_back_what_was_put_in_removes_nothing(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = runs(root)
    real = archive_file.write

    def torn(root: Root, experiment: str, run_ids: list[str], path: str) -> None:
        real(root, experiment, run_ids[:-1], path)

    monkeypatch.setattr(archive_file, "write", torn)
    with pytest.raises(Unavailable, match="no bundle was removed"):
        prune.prune(root, "a", Wish(keep=5))
    assert runs(root) == before
    assert damage(root) == []


def test_the_archive_is_one_that_tar_reads(root: Root) -> None:
    done = prune.prune(root, "a", Wish(keep=5))
    with tarfile.open(root.layout.archive(done.archive)) as tar:
        names = tar.getnames()
    assert f"{done.runs[0]}/artifacts/deep/model.bin" in names
    assert os.path.getsize(root.layout.archive(done.archive)) % 10240 == 0


def test_an_archive_holds_its_files_and_one_block_more_for_each(root: Root) -> None:
    done = prune.prune(root, "a", Wish(keep=5))
    with tarfile.open(root.layout.archive(done.archive)) as tar:
        # A name that is no text has a long header.
        plain = [member for member in tar.getmembers() if member.isreg() and member.name.isascii()]
    blocks = [member.offset_data - member.offset for member in plain]
    assert set(blocks) == {tarfile.BLOCKSIZE}


def test_a_lost_line_of_the_ledger_is_written_again(root: Root) -> None:
    """The bundles are gone and the ledger was cut: what is the only copy left must not be taken for a draft."""
    done = prune.prune(root, "a", Wish(keep=5))
    with open(root.layout.events, "rb") as file:
        lines = file.read().splitlines(keepends=True)
    write(root.layout.events, b"".join(line for line in lines if b"runs_archived" not in line))
    os.unlink(root.layout.index)
    assert prune.prune(root, "a", Wish(keep=5)).runs == ()
    told = [entry.line.event for entry in ledger.entries(root) if entry.line and entry.line.event.name == done.archive]
    assert [(line.seal, line.reason) for line in told] == [(done.sha256, "its line was lost")]


def test_a_later_run_costs_no_more_steps_than_without_an_archive(tmp_path: Path) -> None:
    steps = []
    for number, pruned in enumerate((False, True)):
        counted = CrashingFiles()
        made = a_lab(tmp_path / f"lab{number}")
        an_experiment(made, "a")
        for value in VALUES:
            one_run(made, "a", value, FAILED if value is None else "success")
        if pruned:
            prune.prune(made, "a", Wish(keep=5))
        one_run(reopened(made, counted), "a", 9.0)
        steps.append(
            [(name, os.path.basename(path).split(".")[0]) for name, path in counted.log if "draft" not in path]
        )
    assert [name for name, _ in steps[0]] == [name for name, _ in steps[1]]


class Meeting(Files):
    """Removes a folder only when three more are being removed."""

    def __init__(self) -> None:
        super().__init__(durable=False)
        self.meeting = threading.Barrier(4)

    def step(self, name: str, path: str) -> None:
        del path
        if name == "rmdir":
            self.meeting.wait(timeout=60)


def spent(root: Root, count: int) -> list[str]:
    folder = root.layout.runs("a")
    for number in range(count):
        os.mkdir(f"{folder}/.RUN-{number:03d}{layout.PRUNED_SUFFIX}")
        write(f"{folder}/.RUN-{number:03d}{layout.PRUNED_SUFFIX}/file", b"x")
    return archives.drafts(root, "a")


def test_what_many_runs_leave_is_removed_several_at_once(root: Root) -> None:
    left = spent(root, 128)
    archives.discard(reopened_at(root.layout.root, Meeting()), left)
    assert len(left) == 128
    assert archives.drafts(root, "a") == []


def test_a_crash_while_many_are_removed_is_told_and_the_next_prune_removes_the_rest(root: Root) -> None:
    left = spent(root, 128)
    with pytest.raises(Crash):
        archives.discard(reopened_at(root.layout.root, CrashingFiles(at=100)), left)
    assert archives.drafts(root, "a")
    prune.prune(root, "a", Wish(keep=5))
    assert archives.drafts(root, "a") == []
    assert damage(root) == []


def test_an_archive_is_read_without_keeping_what_was_read(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[tarfile.TarFile] = []
    begin = tarfile.open

    def noted(*given: str, **more: str) -> tarfile.TarFile:
        opened.append(begin(*given, **more))  # type: ignore[call-overload]
        return opened[-1]

    made = prune.prune(root, "a", Wish(keep=5))
    monkeypatch.setattr(tarfile, "open", noted)
    listed = archive_file.listed(root.layout.archive(made.archive))
    kept = [len(opened[0].members) for _ in listed]  # type: ignore[attr-defined]
    assert len(kept) > 20
    assert max(kept) <= 3


@pytest.mark.heavy
@pytest.mark.timeout(120)
def test_a_prune_stopped_before_any_step_loses_nothing_and_the_next_one_goes_on(root: Root, tmp_path: Path) -> None:
    whole = tree(root.layout.runs("a"))
    base = root.layout.root
    for point in range(1, 10_000):
        copy = f"{tmp_path}/copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(base, copy, symlinks=True)
        stopped = _stopped(reopened_at(copy, CrashingFiles(at=point)))
        went_on = reopened_at(copy, Files(durable=False))
        assert damage(went_on) == [], point
        prune.prune(went_on, "a", Wish(keep=5))
        watchdog.recover(went_on)
        found = verify.verify(went_on)
        assert (found.damage, found.notes) == ((), ()), point
        assert len(runs(went_on)) == 6, point
        assert rebuilt(went_on) == pages(went_on), point
        (archive,) = [name for name in os.listdir(went_on.layout.place("backups")) if name[0] != "."]
        prune.restore(went_on, archive)
        assert tree(went_on.layout.runs("a")) == whole, point
        assert not [name for name in os.listdir(went_on.layout.runs("a")) if name[0] == "."], point
        if not stopped:
            assert point > 30
            return


def reopened_at(path: str, files: Files) -> Root:
    return a_root(path, files, start=BEGINNING.replace(hour=BEGINNING.hour + 1))


def _stopped(root: Root) -> bool:
    try:
        prune.prune(root, "a", Wish(keep=5))
    except Crash:
        return True
    return False
