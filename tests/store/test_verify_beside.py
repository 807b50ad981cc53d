"""`verify` beside others that work: what they seal, take and archive meanwhile is no damage."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from lab.scheduler import cycle, prune, reclaim
from lab.store import bundles, experiments, ledger, verify
from tests.scheduler.labs import a_lab, dead, ended, me, one_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lab.store.root import Root


def after_ledger(monkeypatch: pytest.MonkeyPatch, deed: Callable[[], object]) -> None:
    """Let somebody do something once the ledger has been read, and before the experiments are looked at."""
    names = experiments.names

    def looked(root: Root) -> list[str]:
        monkeypatch.setattr(experiments, "names", names)
        deed()
        return names(root)

    monkeypatch.setattr(experiments, "names", looked)


def test_a_run_that_is_sealed_after_the_ledger_was_read_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = a_lab(tmp_path / "lab", "a", "b")
    one_run(root, "a")
    after_ledger(monkeypatch, lambda: [one_run(root, name) for name in ("a", "b", "a")])
    seen = verify.verify(root)
    assert (seen.damage, seen.runs) == ((), 4)


def test_a_run_whose_living_maker_has_not_told_the_ledger_yet_is_no_damage(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "a")
    running = cycle.begin(root, "a", owner=me())
    seal_without_line(root, running)
    assert verify.verify(root).damage == ()


def test_a_run_whose_dead_maker_did_not_tell_the_ledger_is_named(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "a")
    running = cycle.begin(root, "a", owner=dead())
    seal_without_line(root, running)
    assert [each.kind for each in verify.verify(root).damage] == ["unrecorded"]


def test_a_ledger_that_goes_on_hides_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = a_lab(tmp_path / "lab", "a", "b")
    made = one_run(root, "a")
    path = f"{root.layout.run('a', made.run.run_id)}/RESULT.md"
    os.chmod(path, 0o644)
    with open(path, "a", encoding="utf-8") as file:
        file.write("more\n")
    after_ledger(monkeypatch, lambda: one_run(root, "b"))
    assert [each.kind for each in verify.verify(root).damage] == ["file-edited"]


def test_runs_that_go_into_an_archive_meanwhile_are_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = a_lab(tmp_path / "lab", "a")
    for value in range(9):
        one_run(root, "a", float(value))
    listed = bundles.names

    def looked(at: Root, experiment: str) -> list[str]:
        found = listed(at, experiment)
        monkeypatch.setattr(bundles, "names", listed)
        prune.prune(root, "a", prune.checked(5, None))
        return found

    monkeypatch.setattr(bundles, "names", looked)
    seen = verify.verify(root)
    assert seen.damage == ()
    assert len(listed(root, "a")) < 9


def seal_without_line(root: Root, running: cycle.Running) -> None:
    """As it is between the seal and its line in the ledger."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger, "append", stopped)
        with pytest.raises(KeyboardInterrupt):
            cycle.finish(root, running, ended(0.5))


def stopped(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_who_settles_and_who_ends_a_run_may_both_put_its_false_seal_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = a_lab(tmp_path / "lab", "a")
    running = cycle.begin(root, "a", owner=me())
    with open(f"{running.path}/SEAL.json", "w", encoding="utf-8") as file:
        file.write("[1]\n")
    move = root.files.move
    seen: list[str] = []

    def moved(source: str, target: str, **how: bool) -> None:
        if source.endswith("/SEAL.json") and not seen:
            seen.append(source)
            move(source, target, **how)  # the other one was quicker
        move(source, target, **how)

    monkeypatch.setattr(root.files, "move", moved)
    (settled,) = reclaim.broken(root, "a", 1, actor="ann")
    assert (seen, settled.run_id) == ([f"{running.path}/SEAL.json"], running.manifest.run_id)
