"""A digest of a lab with many runs: what is read of each, and that nothing is read twice."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from lab.core import layout
from lab.core.proposal import RUN, Proposal
from lab.scheduler import decisions, digest, refresh
from lab.scheduler.control import approvals
from tests.scheduler.labs import SPEC, a_lab, one_run, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lab.store.root import Root

RUNS = 12


def opened(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> Counter[str]:
    """How often each file was opened, by its whole name."""
    seen: Counter[str] = Counter()
    begin = os.open

    def noted(path: str, flags: int, mode: int = 0o777) -> int:
        seen[os.fspath(path)] += 1
        return begin(path, flags, mode)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", noted)
        act()
    return seen


@pytest.fixture
def root(tmp_path: Path) -> Root:
    made = a_lab(tmp_path / "lab", "a", "b")
    for number in range(RUNS):
        one_run(made, "a", float(number))
    one_run(made, "b", 1.0)
    return made


@pytest.mark.parametrize("kind", [digest.DAILY, digest.WEEKLY])
def test_a_digest_opens_the_files_of_a_run_once(root: Root, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"{root.world.now():%Y-%m-%d}" if kind == digest.DAILY else f"{root.world.now():%G-W%V}"
    seen = opened(monkeypatch, lambda: digest.write(root, kind, name, actor="cli"))
    seals = {path: count for path, count in seen.items() if path.endswith(f"/{layout.SEAL}") and "/a/" in path}
    assert len(seals) == RUNS
    extra = sum(count - 1 for count in seals.values())
    assert extra <= 1  # of the best, for its parameters
    tables = {root.layout.page("a", table) for table in layout.TABLES}
    assert not tables & set(seen)


def test_a_refresh_opens_the_seal_of_a_run_once(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = opened(monkeypatch, lambda: refresh.everything(root))
    seals = [count for path, count in seen.items() if path.endswith(f"/{layout.SEAL}") and "/a/" in path]
    assert len(seals) == RUNS
    assert sum(seals) <= RUNS + 1


def test_a_run_that_is_not_believed_is_in_no_digest(root: Root) -> None:
    """Its seal is not the one that the ledger knows: the row says so, and its value is nobody's best."""
    run_id = min(os.listdir(root.layout.runs("a")))
    path = f"{root.layout.run('a', run_id)}/{layout.SEAL}"
    os.chmod(path, 0o644)
    with open(path, "ab") as file:
        file.write(b" ")
    text = digest.write(root, digest.DAILY, f"{root.world.now():%Y-%m-%d}", actor="cli").text
    assert f"- Runs: {RUNS} ({RUNS} success)\n" in text
    assert "not the one that the ledger recorded" in text


def a_brought_back(root: Root, page: str) -> bytes:
    """A digest that was lost, and written again by a refresh."""
    os.unlink(page)
    refresh.everything(root)
    with open(page, "rb") as file:
        return file.read()


EDITS = {
    "broken": b"id: [",
    "another name": b"id: c\n",
    "no such tier": SPEC.format(id="a").replace("proxy, final", "small, large").encode(),
    "a spent budget": SPEC.format(id="a").encode() + b"stop_conditions: {budget_hours: 0.001}\n",
    "the other way": SPEC.format(id="a").replace("minimize", "maximize").encode(),
    "gone": None,
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_digest_that_is_brought_back_knows_nothing_of_a_spec_that_was_edited_since(root: Root, edit: str) -> None:
    decisions.pause(root, "b", reason="enough", actor="ann")
    with open(root.layout.spec("a"), "a", encoding="utf-8") as file:
        file.write("noise: true\n")
    one_run(root, "a", None, "failed")
    page = digest.write(root, digest.DAILY, f"{root.world.now():%Y-%m-%d}", actor="cli").path
    with open(page, "rb") as file:
        before = file.read()
    assert b"partly luck" in before
    data = EDITS[edit]
    os.unlink(root.layout.spec("a"))
    if data is not None:
        write(root.layout.spec("a"), data)
    refresh.everything(root)
    assert a_brought_back(root, page) == before


def test_a_digest_that_is_brought_back_tells_of_a_proposal_as_it_was_before_it_was_ruled_on(root: Root) -> None:
    asked = approvals.propose(root, Proposal(kind=RUN, experiment="a", params={"lr": 0.125}, reason="it is between"))
    page = digest.write(root, digest.DAILY, f"{root.world.now():%Y-%m-%d}", actor="cli").path
    with open(page, "rb") as file:
        before = file.read()
    assert b"0.125" in before
    approvals.reject(root, asked.proposal_id, why="no", actor="bob")
    assert a_brought_back(root, page) == before
