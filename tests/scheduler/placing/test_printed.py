"""What a job printed whose run its body could not seal: kept, told of, and shown to whoever may read it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.core import layout
from lab.core.job import FAILED, LOST, OVER
from lab.scheduler.placing import reconciling
from lab.scheduler.results import tailed
from lab.store import jobs, leases
from tests.executors.supervised import a_caller
from tests.scheduler.labs import a_lab
from tests.scheduler.placing import engine_double as double
from tests.scheduler.placing.test_reconciling import begin, engine, root, seals, superseded, unheard
from tests.scheduler.test_turn import take

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.store.root import Root

__all__ = ["engine", "root"]  # fixtures
NOBODY = 65_534
WORDS = "bash: module: command not found"


def prints(root: Root) -> Path:
    """The job of the first claim prints something. Where that lies."""
    path = Path(jobs.output(root, "a", 1))
    path.write_text(f"{WORDS}\n")
    path.chmod(0o600)
    return path


def kept(root: Root) -> list[str]:
    return [name for name in os.listdir(root.layout.claims("a")) if name.endswith(layout.PRINTED_SUFFIX)]


@pytest.mark.parametrize("how", [FAILED, LOST])
def test_what_a_job_printed_is_shown_of_a_run_that_is_sealed_and_of_one_that_was_lost(root: Root, how: str) -> None:
    (step,) = take(root)
    begin(root)
    prints(root)
    double.alter(root, double.every(OVER, how, why="as it says"))
    unheard(root)
    reconciling.look(root, "a")
    assert (len(seals(root)), len(superseded(root))) == ((1, 0) if how == FAILED else (0, 1))
    assert tailed.tail(root, step.run_id, tailed.FIRST, 10).lines == (WORDS,)
    told = Path(root.layout.run("a", step.run_id), layout.RESULT if how == FAILED else layout.SUPERSEDED)
    assert f"what it printed is in registry/locks/a/{kept(root)[0]}" in told.read_text()


class Killed(BaseException):
    """The body is killed here."""


def test_what_a_body_printed_that_has_sealed_its_run_itself_pushes_out_nothing(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(root)
    prints(root)

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(leases.Lease, "release", killed)
        with pytest.raises(Killed):
            double.run(root, double.jobs(root)[0].argv)
    assert [made.sealed_by for made in seals(root)] == ["engine:double"]
    unheard(root)
    reconciling.look(root, "a")
    assert leases.survey(root, "a") == leases.Survey(highest=1)
    assert kept(root) == []


@pytest.fixture
def shared() -> Iterator[Root]:
    """A lab in which several users work; pytest's folders are for their owner alone."""
    folder = tempfile.mkdtemp(prefix="labctl-", dir="/tmp")  # as said
    try:
        root = a_lab(f"{folder}/lab", "a")
        for each in (folder, root.layout.root, root.layout.claims("a")):
            os.makedirs(each, exist_ok=True)
            os.chmod(each, 0o777)  # noqa: S103  # as said
        yield root
    finally:
        shutil.rmtree(folder)


@pytest.mark.needs_root
def test_what_whoever_settles_a_run_may_not_read_stays_its_owners(shared: Root) -> None:
    prints(shared)

    def settle() -> None:
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
        jobs.keep_printed(shared, "a", 1)

    _, status = os.waitpid(a_caller(settle), 0)
    assert status == 0
    (name,) = kept(shared)
    found = Path(shared.layout.claims("a"), name)
    assert found.read_text() == f"{WORDS}\n"
    assert (found.stat().st_uid, found.stat().st_mode & 0o777) == (0, 0o600)
