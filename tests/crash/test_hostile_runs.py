"""What a run, a person or a broken disk leaves behind on purpose or by bad luck, and the lab goes on all the same."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.cli.main import main as labctl
from lab.core import event, layout
from lab.core.errors import UNAVAILABLE, Busy, Corrupt, LabError
from lab.scheduler import cycle, decisions, refresh, watchdog
from lab.store import bundles, leases, machine, sections
from lab.store.root import Root
from tests.cli.labs import SHIM, whole_tree
from tests.crash.hostile import (
    CHECKOUT,
    FORGED_VALUE,
    HOLDER,
    MESSES,
    all_goes_on,
    cut,
    end,
    forged,
    frozen,
    kinds,
    left_by,
    others_go_on,
    owner_of,
    reopen,
    settled,
    types,
    view,
)
from tests.scheduler.labs import a_lab, an_experiment, derived, ended, foreign, me, one_run, silent, tree, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


WORDS = b"somebody's words, not the lab's"


@pytest.fixture
def place() -> Iterator[str]:
    """A folder that no `rmtree` has to take away: it could not."""
    path = tempfile.mkdtemp(prefix="labctl-hostile-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)  # noqa: S108
    yield path
    subprocess.run(["chmod", "-R", "u+rwx", path], check=False, stderr=subprocess.DEVNULL)
    subprocess.run(["rm", "-rf", path], check=True)


@pytest.fixture
def root(place: str) -> Root:
    a_lab(f"{place}/lab", "a", "b", "c")
    return reopen(f"{place}/lab")


@pytest.fixture
def outside(place: str) -> Path:
    """A file of somebody else, beside the lab."""
    path = Path(place, "outside.sh")
    path.write_bytes(WORDS)
    path.chmod(0o700)
    return path


# -- what a run leaves in its bundle ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mess", ["deep", "long_names"])
def test_folders_without_end_are_moved_aside_and_the_seal_says_so(root: Root, mess: str) -> None:
    path = left_by(root.layout.root, mess)
    assert all_goes_on(root)
    found = bundles.load_seal(path)
    assert found is not None
    assert found[0].run.outcome == "crash"
    assert layout.LEFT_OUT in found[0].files
    (aside,) = os.listdir(root.layout.aside)
    assert f"scratch/aside/{aside}" in Path(path, layout.LEFT_OUT).read_text()


@pytest.mark.parametrize("mess", ["deep", "long_names"])
def test_a_live_run_that_leaves_folders_without_end_counts(root: Root, mess: str) -> None:
    running = cycle.begin(root, "a", owner=me())
    MESSES[mess](running.path)
    assert layout.LEFT_OUT in cycle.finish(root, running, ended(0.125)).files
    assert all_goes_on(root)
    best = view(root).best
    assert best is not None
    assert best.value == 0.125


@pytest.mark.parametrize("mess", ["locked", "locked_deep", "locked_bundle", "shut_bundle"])
def test_what_a_run_locked_behind_itself_is_sealed_by_who_is_no_root(root: Root, mess: str) -> None:
    path = left_by(root.layout.root, mess, powerless=True)
    assert settled(root.layout.root, powerless=True) == "CLEAN\n"
    found = bundles.load_seal(path)
    assert found is not None
    assert found[0].run.outcome == "crash"
    if mess == "locked":
        assert {"artifacts/shut/inside", "artifacts/unreadable"} <= set(found[0].files)


@pytest.mark.parametrize("mess", ["seal_77", "seal_1"])
def test_a_seal_that_a_dead_run_wrote_itself_is_kept_and_not_believed(root: Root, mess: str) -> None:
    path = left_by(root.layout.root, mess)
    assert all_goes_on(root)
    found = bundles.load_seal(path)
    assert found is not None
    assert (found[0].run.outcome, found[0].run.value, found[0].sealed_by) == ("crash", None, "watchdog")
    assert "SEAL.damaged" in found[0].files
    refresh.everything(root)
    best = view(root).best
    assert best is not None
    assert best.value == 0.5
    for name in derived(root):
        assert repr(FORGED_VALUE) not in Path(root.layout.place(name)).read_text(), name


@pytest.mark.parametrize("spoilt", [b"", b"garbage", b'{"format": 99}', None], ids=str)
def test_a_live_run_that_wrote_a_seal_itself_does_not_lock_its_process_out(root: Root, spoilt: bytes | None) -> None:
    running = cycle.begin(root, "a", owner=me())
    mess = forged(running.manifest.run_id, running.manifest.generation) if spoilt is None else spoilt
    Path(running.path, layout.SEAL).write_bytes(mess)
    cycle.finish(root, running, ended(0.125))
    assert leases.survey(root, "a").held == ()
    assert all_goes_on(root)
    found = bundles.load_seal(running.path)
    assert found is not None
    assert (found[0].run.outcome, found[0].run.value) == ("success", 0.125)
    assert "SEAL.damaged" in found[0].files


# -- hard links ------------------------------------------------------------------------------------------------------


def test_a_file_from_outside_stays_as_it_is_and_what_becomes_of_it_is_not_the_bundles_trouble(
    root: Root, outside: Path
) -> None:
    running = cycle.begin(root, "a", owner=me())
    os.mkdir(f"{running.path}/artifacts")
    os.link(outside, f"{running.path}/artifacts/linked")
    Path(running.path, "secret").write_bytes(b"token")
    os.chmod(f"{running.path}/secret", 0o600)
    cycle.finish(root, running, ended(0.125))
    assert stat.S_IMODE(outside.stat().st_mode) == 0o700
    assert (outside.read_bytes(), outside.stat().st_nlink) == (WORDS, 1)
    outside.write_bytes(b"other words")
    assert stat.S_IMODE(os.stat(f"{running.path}/secret").st_mode) & 0o077 == 0
    assert stat.S_IMODE(os.stat(f"{running.path}/artifacts/linked").st_mode) & 0o277 == 0
    assert all_goes_on(root)


@pytest.mark.parametrize("mode", [0o000, 0o600, 0o700])
@pytest.mark.parametrize("mess", ["linked_unreadable", "linked_shut"])
def test_a_linked_file_from_outside_keeps_its_mode_for_who_is_no_root(
    root: Root, outside: Path, mess: str, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOSTILE_OUTSIDE", str(outside))
    outside.chmod(mode)
    left_by(root.layout.root, mess, powerless=True)
    assert settled(root.layout.root, powerless=True) == "CLEAN\n"
    assert stat.S_IMODE(outside.stat().st_mode) == mode
    outside.chmod(0o700)
    assert outside.read_bytes() == WORDS
    outside.write_bytes(b"other words")
    assert all_goes_on(root)


# -- processes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_link", [False, True], ids=["by its path", "by a link to the lab"])
def test_what_a_dead_run_left_writing_to_its_bundle_is_ended_before_the_bundle_is_sealed(
    root: Root, by_link: bool
) -> None:
    called = root.layout.root
    if by_link:
        called += "-link"
        os.symlink(root.layout.root, called)
    after = reopen(called)
    with owner_of(called, "child") as told:
        child, path = int(told[0]), told[-1]
    try:
        watchdog.repair(after)
        assert machine._state_and_start(child)[0] in ("", "Z")
    finally:
        end(child)
    assert all_goes_on(after)
    found = bundles.load_seal(path)
    assert found is not None
    assert (found[0].run.outcome, found[0].sealed_by) == ("crash", "watchdog")


@pytest.mark.parametrize("how", ["cut", "binary", "newer"])
def test_a_claim_that_was_spoilt_under_its_holder_still_keeps_everybody_else_out(root: Root, how: str) -> None:
    running = cycle.begin(root, "a", owner=me())
    data = Path(running.lease.path).read_bytes()
    spoilt = {"cut": data[:20], "binary": bytes(range(256)), "newer": data.replace(b'"format":1', b'"format":2')}[how]
    assert spoilt != data
    write(running.lease.path, spoilt)
    left = watchdog.recover(root).left
    assert [line for line in left if line.startswith("a: claim ")]
    assert Path(running.lease.path).read_bytes() == spoilt
    with pytest.raises(Busy):
        cycle.begin(root, "a", owner=me())
    assert others_go_on(root, live=1)
    cycle.finish(root, running, ended(0.125))
    assert view(root).outcomes == {"success": 1}
    assert all_goes_on(root)


def test_of_two_runs_of_one_microsecond_the_loser_is_told_and_the_winner_counts(place: str) -> None:
    lab = a_lab(f"{place}/lab", "b")
    an_experiment(lab, "a", "max_parallel: 2\nworker_roles: [researcher]\n")
    root = frozen(lab.layout.root)
    winner = cycle.begin(root, "a", owner=me())
    for _ in range(2):
        with pytest.raises(Busy, match="same microsecond"):
            cycle.begin(root, "a", owner=me())
        watchdog.repair(root)
        assert not os.path.exists(f"{winner.path}/{layout.SUPERSEDED}")
        assert bundles.load_seal(winner.path) is None
    cycle.finish(root, winner, ended(0.125))
    assert view(root).outcomes == {"success": 1}
    assert all_goes_on(reopen(lab.layout.root))


@pytest.mark.needs("unshare", "mount")
@pytest.mark.needs_root
def test_where_no_process_can_be_seen_nobody_is_declared_dead(root: Root) -> None:
    running = cycle.begin(root, "a", owner=me())
    script = 'mount -t tmpfs none /proc && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, SHIM, "watchdog", "--repair"]
    settings = {**os.environ, "LAB_DATA_ROOT": root.layout.root}
    done = subprocess.run(command, env=settings, capture_output=True, check=False, timeout=15)
    assert b"Traceback" not in done.stderr
    assert b"mount" not in done.stderr
    assert [held.seen.claim for held in leases.survey(root, "a").held] == [running.lease.claim]
    assert others_go_on(root, live=1)
    cycle.finish(root, running, ended(0.125))
    assert all_goes_on(root)


def test_a_run_whose_end_met_a_section_that_was_held_for_long_is_kept(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    def impatient(self: Root, experiment: str) -> AbstractContextManager[None]:
        return sections.hold(self.layout.section(experiment), wait_s=0.2)

    running = cycle.begin(root, "a", owner=me())
    monkeypatch.setattr(Root, "section", impatient)
    command = [sys.executable, "-c", HOLDER, root.layout.section("a")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=CHECKOUT) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(
            Busy, match=r"ended as success \(loss: 0.125\); it and what .* are kept, and the next turn.*short section"
        ):
            cycle.finish(root, running, ended(0.125, note="kept"))
        seen = leases.survey(root, "a")
        assert (seen.held, [item.abandoned for item in seen.unsettled]) == ((), [True])
        with pytest.raises(Busy):
            cycle.begin(root, "a", owner=me())
        assert others_go_on(root, live=1)
        holder.communicate(b"")
    assert all_goes_on(root)
    found = bundles.load_seal(running.path)
    assert found is not None
    assert (found[0].run.outcome, found[0].run.value, found[0].run.note) == ("success", 0.125, "kept")


# -- the ledger, links that lead out, and what was deleted -------------------------------------------------------------


def test_a_ledger_that_was_cut_is_named_whatever_was_written_since(root: Root) -> None:
    decisions.pause(root, "b", reason="", actor="ann")
    cut(root, 1)
    decisions.complete(root, "a", reason="", actor="ann")
    assert "ledger-cut" in kinds(root)
    refresh.everything(root)
    assert "ledger-cut" in kinds(root)
    decisions.resume(root, "a", reason="", actor="ann")
    assert "ledger-cut" in kinds(root)
    assert one_run(root, "a", 0.5).run.outcome == one_run(root, "c", 0.5).run.outcome == "success"
    assert kinds(root) == {"ledger-cut"}


def test_a_ledger_that_was_emptied_is_named_after_recovery(root: Root) -> None:
    one_run(root, "a", 0.5)
    write(root.layout.events, b"")
    watchdog.recover(root)
    assert "ledger-cut" in kinds(root)
    assert one_run(root, "a", 0.25).run.outcome == one_run(root, "b", 0.25).run.outcome == "success"


def test_a_ledger_that_a_newer_labctl_writes_is_not_written_to(root: Root) -> None:
    whole = Path(root.layout.events).read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    newer = last.replace(b'"format":1', b'"format":2', 1)
    assert newer != last
    write(root.layout.events, whole + newer)
    before = tree(root.layout.root)
    for name in ("a", "b"):
        with pytest.raises(Corrupt) as refusal:
            decisions.pause(root, name, reason="", actor="ann")
        assert refusal.value.exit_code == 4
    assert tree(root.layout.root) == before
    write(root.layout.events, whole)
    assert all_goes_on(root)


@pytest.mark.parametrize("what", ["experiments/a", "experiments/a/runs", "RUN"])
def test_a_link_that_leads_out_of_the_lab_is_not_written_through(root: Root, place: str, what: str) -> None:
    one_run(root, "a", 0.5)
    (run_id,) = bundles.names(root, "a")
    inside = root.layout.run("a", run_id) if what == "RUN" else root.layout.place(what)
    away = f"{place}/away"
    os.rename(inside, away)
    os.symlink(away, inside)
    before = whole_tree(away)
    verbs: tuple[Callable[[], object], ...] = (
        lambda: decisions.pause(root, "a", reason="", actor="ann"),
        lambda: refresh.everything(root),
        lambda: watchdog.recover(root),
        lambda: decisions.resume(root, "a", reason="", actor="ann"),
        lambda: one_run(root, "a", 0.25),
    )
    for number, verb in enumerate(verbs):
        with suppress(LabError, OSError):  # it may refuse; it may not write
            verb()
        assert whole_tree(away) == before, number
    assert one_run(root, "b", 0.25).run.outcome == "success"
    os.unlink(inside)
    os.rename(away, inside)
    decisions.resume(root, "a", reason="", actor="ann")
    assert all_goes_on(root)


def test_a_folder_of_somebody_elses_experiments_is_not_recovered_into_a_lab(
    place: str, root: Root, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = Path(place, "notes")
    (notes / "experiments" / "ideas").mkdir(parents=True)
    (notes / "experiments" / "ideas" / "one.md").write_bytes(WORDS)
    before = whole_tree(notes)
    assert labctl(["--data-root", str(notes), "recover"]) == UNAVAILABLE
    assert "Traceback" not in capsys.readouterr().err
    assert whole_tree(notes) == before
    assert all_goes_on(root)


def test_what_was_deleted_is_named(root: Root) -> None:
    first = cycle.begin(root, "a", owner=foreign())
    silent(first.lease.path)
    assert one_run(root, "a", 0.5).run.outcome == "success"
    assert kinds(root) == set()
    aside = f"{root.layout.root}-aside"
    os.rename(first.path, aside)
    assert kinds(root) == {"bundle-missing"}
    os.rename(aside, first.path)
    shutil.rmtree(root.layout.experiment("c"))
    assert kinds(root) == {"experiment-missing"}
    spec = Path(root.layout.spec("a")).read_bytes()
    os.unlink(root.layout.spec("a"))
    assert kinds(root) == {"experiment-missing", "spec-missing"}
    with pytest.raises(LabError, match="SPEC"):
        cycle.begin(root, "a", owner=me())
    assert one_run(root, "b", 0.25).run.outcome == "success"
    write(root.layout.spec("a"), spec)
    assert one_run(root, "a", 0.5).run.outcome == "success"
    assert kinds(root) == {"experiment-missing"}


def test_an_edited_spec_is_told_of_once_before_the_next_run(root: Root) -> None:
    one_run(root, "a", 0.5)
    with open(root.layout.spec("a"), "a", encoding="utf-8") as file:
        file.write("# another thought\n")
    assert types(root).count(event.SPEC_EDITED) == 0
    running = cycle.begin(root, "a", owner=me())
    assert types(root)[-1] == event.SPEC_EDITED
    cycle.finish(root, running, ended(0.25))
    assert all_goes_on(root)
    assert types(root).count(event.SPEC_EDITED) == 1
