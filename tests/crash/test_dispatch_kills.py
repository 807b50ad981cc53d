"""Kill a dispatch verb before every step that it takes, let the next person go on, and look: one sealed run, once."""

from __future__ import annotations

import os
import traceback
import warnings
from typing import TYPE_CHECKING, NamedTuple

import pytest

from lab.core import package
from lab.core.errors import LabError
from lab.scheduler import dispatch, dispatch_ingest, dispatch_mend, reclaim
from lab.store import bundles, leases, packages
from tests.crash import invariants
from tests.crash.driver import EXPERIMENT, STOPPED, StopFiles, open_root, perform
from tests.scheduler.parcels import complete, fill

if TYPE_CHECKING:
    from lab.store.files import Files
    from lab.store.root import Root

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(120)]
A_LOT = 400


class Case(NamedTuple):
    """What was done before, the verb that is killed, and how many sealed runs there are in the end."""

    before: tuple[str, ...]
    command: str
    every: int = 1


CASES = {
    "queue": Case(("create",), "queue"),
    "claim": Case(("create", "queue"), "claim"),
    "claim-second": Case(("create", "queue", "claim", "complete", "ingest", "queue"), "claim", 2),
    "complete": Case(("create", "queue", "claim"), "complete"),
    "complete-failed": Case(("create", "queue", "claim"), "fail"),
    "ingest": Case(("create", "queue", "claim", "complete"), "ingest"),
    "ingest-failed": Case(("create", "queue", "claim", "fail"), "ingest", 2),
    "ingest-crashed": Case(("create", "queue", "claim", "complete", "lose"), "ingest", 2),
    "mend-half-claimed": Case(("create", "queue", "claim", "unclaim"), "ingest"),
    "mend-lost": Case(("create", "queue", "claim", "break"), "ingest"),
    "mend-no-package": Case(("create", "queue", "claim", "remove"), "ingest"),
    "renew": Case(("create", "queue", "claim"), "renew"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_verb_killed_before_any_step_loses_nothing_and_counts_nothing_twice(name: str, ram: str) -> None:
    case = CASES[name]
    base, path = f"{ram}/base", f"{ram}/lab"
    os.mkdir(base)
    for step in case.before:
        assert child(base, step) == 0
    wrong: list[str] = []
    for point in range(1, A_LOT):
        if case.every > 1 and point % case.every != 1:
            continue
        invariants.fresh_copy(base, path)
        code = child(path, case.command, StopFiles(point))
        wrong += [f"{name} {point}: {each}" for each in problems(path, case)]
        if code != STOPPED:
            assert code == 0
            assert point > 1, "the sweep stopped nothing"
            break
    assert not wrong, f"{len(wrong)} things are wrong:\n" + "\n".join(wrong[:40])


def child(path: str, step: str, writer: Files | None = None) -> int:
    """A step in a forked process, whose death is all that this one sees of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # xdist's threads are idle in the child
        pid = os.fork()
    if pid == 0:
        code = 70
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2 if writer is not None else 1)
            act(open_root(path, writer=writer), step)
            code = 0
        except BaseException:  # noqa: BLE001  # a child must never go on as a second pytest
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def act(root: Root, step: str) -> None:
    """One verb as the command line does it, or something that befalls a package."""
    match step:
        case "create":
            perform(root, "create", lambda _: None)
        case "queue":
            dispatch_mend.mend(root)
            dispatch.queue(root, actor="driver", only=(EXPERIMENT,), now=True)
        case "claim":
            dispatch_mend.mend(root)
            dispatch.claim(root, "w1")
        case "complete" | "fail" | "renew":
            dispatch_mend.mend(root)
            for held in at_hand(root):
                if step == "renew":
                    dispatch.renew(root, held.place.dispatch_id, "w1")
                else:
                    fill(held, 0.5)
                    complete(root, held, "success" if step == "complete" else "failed", reason="why not")
        case "ingest":
            dispatch_mend.mend(root)
            said = dispatch_ingest.ingest(root)
            assert all(each.kind != dispatch.PROBLEM for each in said), said
        case "break":
            reclaim.broken(root, EXPERIMENT, 1, actor="driver")
        case "lose":
            reclaim.broken(root, EXPERIMENT, 1, actor="driver")
        case "unclaim":
            (each,) = packages.found(root, package.RUNNING)
            os.unlink(f"{root.layout.package(package.RUNNING, each.name)}/{package.CLAIM}")
        case "remove":
            (each,) = packages.found(root, package.RUNNING)
            os.rename(root.layout.package(package.RUNNING, each.name), f"{root.layout.root}/scratch/gone")


def at_hand(root: Root) -> list[dispatch.Held]:
    """What is claimed, of whichever worker."""
    return [dispatch.resumed(root, each) for each in packages.found(root, package.RUNNING)]


def problems(path: str, case: Case) -> list[str]:
    wrong = invariants.after_crash(path, ())
    root = open_root(path)
    try:
        gone_on(root)
    except (LabError, OSError, AssertionError) as error:
        wrong.append(f"WEDGED: {type(error).__name__}: {error}")
    wrong += invariants.after_next(path, ())
    left = {stage: len(packages.found(root, stage)) for stage in packages.STAGES[:3]}
    if any(left.values()):
        wrong.append(f"packages left: {left}")
    wrong += once(root)
    runs = [seal[0].run for seal in seals(root)]
    if not any(run.outcome == "success" for run in runs) and case.before[-1] != "fail" and case.command != "fail":
        wrong.append(f"nothing succeeded: {runs}")
    return wrong


def gone_on(root: Root) -> None:
    """The same worker, and then another one, go on with whatever there is; and once more, in case nothing was left."""
    for _ in range(2):
        act(root, "ingest")
        for held in at_hand(root):
            fill(held, 0.5)
            complete(root, held)
        act(root, "ingest")
        if seals(root):
            break
        dispatch.queue(root, actor="driver", only=(EXPERIMENT,), now=True)
        dispatch.claim(root, "w2")
    act(root, "ingest")
    for held in dispatch.claim(root, "w2", max_runs=9)[0]:
        fill(held, 0.5)
        complete(root, held)
    act(root, "ingest")


def seals(root: Root) -> list[tuple[object, bytes]]:
    found = [bundles.load_seal(root.layout.run(EXPERIMENT, each)) for each in bundles.names(root, EXPERIMENT)]
    return [each for each in found if each is not None]


def once(root: Root) -> list[str]:
    """No package became two counted runs, and no worker's lease is left."""
    seen: dict[str, str] = {}
    wrong = []
    for run_id in bundles.names(root, EXPERIMENT):
        path = root.layout.run(EXPERIMENT, run_id)
        manifest = bundles.load_manifest(path)
        if manifest is None or bundles.load_seal(path) is None:
            continue
        if not manifest.package:
            wrong.append(f"{run_id} belongs to no package")
        elif manifest.package in seen:
            wrong.append(f"{manifest.package} was counted twice: {seen[manifest.package]} and {run_id}")
        seen[manifest.package] = run_id
    if leases.survey(root, EXPERIMENT).held:
        wrong.append("a lease is left")
    return wrong
