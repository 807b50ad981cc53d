"""Stop the machine before each write and each word to the engine, of who hands a run over and of its body.

Whoever looks next goes on: the run is executed under one generation at a time, and one bundle of it is sealed.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from lab.core import layout
from lab.core.job import RUNNING, WAITING, Start
from lab.engines import door
from lab.scheduler import reclaim, work
from lab.scheduler.control import cancel
from lab.scheduler.placing import reconciling
from lab.scheduler.turn import Turn
from lab.scheduler.visit import Request
from lab.store import bundles, jobs, leases, verify
from lab.testing.files import Crash, CrashingFiles, a_root
from tests.scheduler.labs import a_lab, silent
from tests.scheduler.placing import engine_double as double
from tests.scheduler.test_due import edit

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.store.files import Files
    from lab.store.root import Root
    from tests.scheduler.placing.engine_double import Double

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(300)]
A_LOT = 1000


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Double:
    return double.installed(monkeypatch)


@pytest.fixture
def base(engine: Double, ram: str) -> str:
    """A lab with one experiment, whose runs the double gets."""
    del engine
    root = a_lab(f"{ram}/base", "a")
    edit(root, "a", executor="stub", cadence="0s", metric_direction="maximize")
    with open(root.layout.engines, "w", encoding="utf-8") as file:
        file.write("default:\n  engine: double\n")
    return root.layout.root


def opened(path: str, files: Files | None = None) -> Root:
    return a_root(path, files)


def the_same(base: str, path: str) -> None:
    """A lab as it was, and no copy of it: its engine knows it again."""
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(base, path, copy_function=shutil.copy2)
    known = opened(path).layout.identity
    if os.path.exists(known):
        os.unlink(known)
        os.link(opened(base).layout.identity, known)


def handed(root: Root) -> None:
    """One turn of the crank."""
    Turn(root, Request(), tell=lambda _: None, interrupted=lambda: "").take()


def looked(root: Root) -> None:
    reconciling.reconcile(root)
    reclaim.reclaim(root, "a")


def bodied(root: Root) -> None:
    """The body of the one job that waits."""
    (job,) = [job for job in double.jobs(root) if job.state == WAITING]
    double.run(root, job.argv)


def killed(root: Root) -> None:
    """A body that was let in and died."""
    claim = leases.load(root, "a", 1, layout.CLAIM_SUFFIX)
    assert claim is not None
    jobs.begin(root, "a", 1, Start(run_id=claim.run_id, host="n1", pid=1, number="1"))
    over(root)


def unanswered(root: Root) -> None:
    """A run that was claimed while its engine was silent."""
    engine = door.find(double.NAME)
    assert isinstance(engine, double.Double)
    engine.silent = True
    handed(root)
    engine.silent = False


def over(root: Root) -> None:
    """The engine has seen its job end, and nobody is heard of any more."""
    double.alter(root, double.every("over", "failed"))
    unheard(root)


def unheard(root: Root) -> None:
    for suffix in (layout.CLAIM_SUFFIX, layout.JOB_SUFFIX, layout.STARTED_SUFFIX, layout.SEEN_SUFFIX):
        path = root.layout.claim("a", 1, suffix)
        try:
            silent(path)
        except FileNotFoundError:
            continue


def after(name: str, path: str) -> list[str]:
    """Go on until a run is sealed. What is wrong then."""
    root = opened(path)
    if name == "the-body":  # an engine does not start one again that has failed
        over(root)
    unheard(root)
    for _ in range(4):
        handed(root)
        double.run_what_waits(root)
    wrong = [f"damage: {each.kind} {each.where}: {each.what}" for each in verify.verify(root).damage]
    found = {run_id: bundles.load_seal(root.layout.run("a", run_id)) for run_id in bundles.names(root, "a")}
    sealed = [made[0].generation for made in found.values() if made is not None]
    if len(set(sealed)) != len(sealed):
        wrong.append(f"a generation was sealed twice: {sealed}")
    ended = {made[0].generation: made[0].run.outcome for made in found.values() if made is not None}
    if "success" not in ended.values():
        wrong.append("nothing was run after all")
    if name == "taking" and ended.get(1) != "crash":  # whoever settles it, knows what its engine said
        wrong.append(f"the first run ended as {ended.get(1)}")
    left = [job for job in double.jobs(root) if job.state != "over"]
    seen = leases.survey(root, "a")
    if left or seen.held or seen.unsettled or seen.damaged:
        wrong.append(f"left: {left} {seen}")
    return wrong


def cancelled(root: Root) -> None:
    """A person does not want the run that waits."""
    cancel.cancel(root, "a", reason="no", actor="ann")


def forgotten(root: Root) -> None:
    """The engine lost its state, and finds it again when the run was given up."""
    double.alter(root, double.every("over", "lost"))


def body_begins(root: Root, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The engine starts the job after all, and somebody looks while its body works. What is wrong then."""
    double.alter(root, double.every(RUNNING))
    carry_out = work.carry_out
    wrong: list[str] = []

    def watched(*given: object, **named: object) -> object:
        reconciling.reconcile(root)
        reclaim.reclaim(root, "a")
        sealed = [name for name in bundles.names(root, "a") if bundles.load_seal(root.layout.run("a", name))]
        wrong.extend(f"sealed while its body works: {name}" for name in sealed)
        return carry_out(*given, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(work, "carry_out", watched)
        double.run(root, double.jobs(root)[0].argv)
    double.alter(root, double.every("over", "failed"))
    return wrong


@pytest.mark.parametrize("before", [cancelled, forgotten])
def test_a_body_that_begins_between_any_two_steps_of_a_take_has_its_run_or_nothing(
    before: Callable[[Root], None], base: str, ram: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed(opened(base))
    before(opened(base))
    wrong: list[str] = []
    for point in range(1, A_LOT):
        path = f"{ram}/lab"
        the_same(base, path)
        try:
            looked(opened(path, CrashingFiles(at=point)))
        except Crash as crash:
            found = body_begins(opened(path), monkeypatch) + after("taking-what-waits", path)
            wrong += [f"{crash}: {each}" for each in found]
            continue
        assert point > 5, "the sweep stopped nothing"
        break
    assert not wrong, f"{len(wrong)} things are wrong:\n" + "\n".join(wrong[:40])


CASES: dict[str, tuple[tuple[Callable[[Root], None], ...], Callable[[Root], None]]] = {
    "submitting": ((), handed),
    "the-body": ((handed,), bodied),
    "taking": ((handed, killed), looked),
    "submitting-what-was-left": ((unanswered,), looked),
}


@pytest.mark.parametrize("name", CASES)
def test_who_is_stopped_before_any_step_leaves_a_run_that_is_sealed_once(name: str, base: str, ram: str) -> None:
    before, act = CASES[name]
    for step in before:
        step(opened(base))
    wrong: list[str] = []
    for point in range(1, A_LOT):
        path = f"{ram}/lab"
        the_same(base, path)
        files = CrashingFiles(at=point)
        try:
            act(opened(path, files))
        except Crash as crash:
            wrong += [f"{name} {crash}: {each}" for each in after(name, path)]
            continue
        assert point > 5, "the sweep stopped nothing"
        wrong += after(name, path)
        break
    assert not wrong, f"{len(wrong)} things are wrong:\n" + "\n".join(wrong[:40])
