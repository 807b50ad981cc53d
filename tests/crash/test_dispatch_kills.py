"""Kill a dispatch verb before every step that it takes, let the next person go on, and look: one sealed run, once.

On each push before some of them, with a seed that a failure prints; before every one behind `--slow`.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import pytest

from lab.core import package
from lab.core.errors import LabError
from lab.core.submission import Submission
from lab.scheduler import reclaim
from lab.scheduler.dispatch import agent, ingest, mend, offers, submit
from lab.store import bundles, leases, machine, packages
from tests.crash import forks, invariants, sampled, straced
from tests.crash.driver import EXPERIMENT, STOPPED, RefusingFiles, StopFiles, open_root, perform
from tests.scheduler.labs import a_lab
from tests.scheduler.parcels import complete, fill

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.seal import Seal
    from lab.store.files import Files
    from lab.store.root import Root

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(120)]
T = TypeVar("T")
few_or_all = sampled.few_or_all(4)


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


@few_or_all
@pytest.mark.parametrize("name", CASES)
def test_a_verb_killed_before_any_step_loses_nothing_and_counts_nothing_twice(name: str, sparse: int, ram: str) -> None:
    case = CASES[name]
    base, path = f"{ram}/base", f"{ram}/lab"
    os.mkdir(base)
    for step in case.before:
        assert child(base, step) == 0
    wrong: list[str] = []
    for point in sampled.points(name, case.every * sparse):
        invariants.fresh_copy(base, path)
        code = child(path, case.command, StopFiles(point))
        wrong += [f"{name} {point}: {each}" for each in problems(path, case)]
        if code != STOPPED:
            assert code == 0
            assert point > 1, "the sweep stopped nothing"
            break
    assert not wrong, sampled.told(wrong, __name__)


@few_or_all
@pytest.mark.parametrize("name", ["claim", "complete", "ingest", "ingest-failed"])
def test_a_verb_whose_disk_refused_any_step_can_be_done_again(name: str, sparse: int, ram: str) -> None:
    case = CASES[name]
    base, path = f"{ram}/base", f"{ram}/lab"
    os.mkdir(base)
    for step in case.before:
        assert child(base, step) == 0
    wrong: list[str] = []
    for point in sampled.points(f"{name} refused", sparse):
        invariants.fresh_copy(base, path)
        writer = RefusingFiles(point, errno.ENOSPC)
        child(path, f"{case.command}-anyhow", writer)
        wrong += [f"{name} {point}: {each}" for each in problems(path, case)]
        if not os.path.exists(f"{path}.refused"):
            break
        os.unlink(f"{path}.refused")
    assert not wrong, sampled.told(wrong, __name__)


def child(path: str, step: str, writer: Files | None = None) -> int:
    """A step in a forked process, whose death is all that this one sees of it."""
    went = forks.called(stepped, path, step, writer)
    sys.stderr.write("" if writer is not None else went.stderr)
    return went.code


def stepped(path: str, step: str, writer: Files | None) -> int:
    """The whole of that process."""
    try:
        act(open_root(path, writer=writer), step.removesuffix("-anyhow"))
    finally:
        if isinstance(writer, RefusingFiles) and writer.left <= 0:
            os.close(os.open(f"{path}.refused", os.O_CREAT | os.O_WRONLY))
    return 0


def act(root: Root, step: str) -> None:
    """One verb as the command line does it."""
    match step:
        case "create":
            perform(root, "create", lambda _: None)
        case "queue":
            mend.mend(root)
            offers.queue(root, actor="driver", only=(EXPERIMENT,), now=True)
        case "claim":
            mend.mend(root)
            offers.claim(root, "w1")
        case "complete" | "fail" | "renew":
            mend.mend(root)
            for held in at_hand(root):
                if step == "renew":
                    offers.renew(root, held.place.dispatch_id, "w1")
                else:
                    fill(held, 0.5)
                    complete(root, held, "success" if step == "complete" else "failed", reason="why not")
        case "ingest":
            mend.mend(root)
            said = ingest.ingest(root)
            assert all(each.kind != offers.PROBLEM for each in said), said
        case "next":
            assert agent.next_package(root, agent.WORKER, only=(EXPERIMENT,), now=True)[0] is not None
        case "submit":
            submitted(root)
        case _:
            befall(root, step)


def befall(root: Root, step: str) -> None:
    """Something that happens to a package."""
    match step:
        case "break" | "lose":
            reclaim.broken(root, EXPERIMENT, 1, actor="driver")
        case "unclaim":
            (each,) = packages.found(root, package.RUNNING)
            os.unlink(f"{root.layout.package(package.RUNNING, each.name)}/{package.CLAIM}")
        case "remove":
            (each,) = packages.found(root, package.RUNNING)
            os.rename(root.layout.package(package.RUNNING, each.name), f"{root.layout.root}/scratch/gone")


def at_hand(root: Root) -> list[offers.Held]:
    """What is claimed, of whichever worker."""
    return [offers.resumed(root, each) for each in packages.found(root, package.RUNNING)]


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
    runs = [made.run for made, _ in seals(root)]
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
        offers.queue(root, actor="driver", only=(EXPERIMENT,), now=True)
        offers.claim(root, "w2")
    act(root, "ingest")
    for held in offers.claim(root, "w2", max_runs=9)[0]:
        fill(held, 0.5)
        complete(root, held)
    act(root, "ingest")


def seals(root: Root) -> list[tuple[Seal, bytes]]:
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


def test_a_worker_killed_with_9_while_its_program_runs_leaves_a_crash_and_no_process(ram: str) -> None:
    """On this machine its death is known at once: nobody waits for the lease to run down."""
    path = f"{ram}/lab"
    root = a_lab(path, "alpha", more="executor_command: python3 -c 'import time; time.sleep(300)'\ntime_budget: 5m\n")
    offers.queue(root, actor="driver", only=("alpha",), now=True)
    worker = labctl(path, "dispatch-work", "--worker", "w1")
    run = awaited(lambda: started(root))
    worker.kill()
    worker.communicate(timeout=20)
    awaited(lambda: not machine.writers(run))
    done = labctl(path, "dispatch-ingest")
    out, err = done.communicate(timeout=20)
    assert done.returncode == 0, out + err
    (made,) = (bundles.load_seal(root.layout.run("alpha", each)) for each in bundles.names(root, "alpha"))
    assert made is not None
    assert made[0].run.outcome == "crash"
    assert [packages.found(root, stage) for stage in packages.STAGES] == [[], [], [], []]
    assert not leases.survey(root, "alpha").held


def labctl(path: str, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, f"{straced.CHECKOUT}/scripts/labctl.py", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "LAB_DATA_ROOT": path},
    )  # fmt: skip


def started(root: Root) -> str:
    """The run/ in which the program of a package works; empty while there is none."""
    for each in packages.found(root, package.RUNNING):
        run = f"{root.layout.package(package.RUNNING, each.name)}/{package.RUN}"
        if machine.writers(run):
            return run
    return ""


def awaited(look: Callable[[], T]) -> T:
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s:
        seen = look()
        if seen:
            return seen
        time.sleep(0.02)
    pytest.fail("it did not come to pass")


@few_or_all
def test_an_agents_submission_killed_before_any_step_can_be_made_again(sparse: int, ram: str) -> None:
    base, path, code = f"{ram}/base", f"{ram}/lab", f"{ram}/ws"
    os.mkdir(code)
    with open(f"{code}/value.txt", "w", encoding="utf-8") as file:
        file.write("5\n")
    more = f"workspace_root: {code}\nvalidation_command: cat value.txt\nmutable_paths: [value.txt]\ntime_budget: 9s\n"
    a_lab(base, EXPERIMENT, more=more)
    assert child(base, "next") == 0
    wrong: list[str] = []
    for point in sampled.points("submit", 3 * sparse):
        invariants.fresh_copy(base, path)
        code_of = child(path, "submit", StopFiles(point))
        wrong += invariants.after_crash(path, ())
        root = open_root(path)
        act(root, "submit")
        wrong += [f"submit {point}: {each}" for each in (*invariants.after_next(path, ()), *once(root))]
        outcomes = [(made.run.outcome, made.run.value) for made, _ in seals(root)]
        if outcomes != [("success", 3.0)]:
            wrong.append(f"submit {point}: {outcomes}")
        if any(packages.found(root, stage) for stage in packages.STAGES):
            wrong.append(f"submit {point}: a package is left")
        if code_of != STOPPED:
            assert code_of == 0
            break
    assert not wrong, sampled.told(wrong, __name__)


def submitted(root: Root) -> None:
    """What an agent does until it is told that its change was taken in."""
    mend.mend(root)
    ingest.ingest(root)
    for each in packages.found(root, package.RUNNING):
        given = Submission(dispatch_id=each.dispatch_id, changes={"value.txt": "3\n"}, reasoning="less")
        submit.submit(root, agent.WORKER, given, interrupted=lambda: "")
