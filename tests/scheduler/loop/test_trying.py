"""Changes that are made by hand: trees that are handed out, what is handed in, and what somebody does in between."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.core.candidate import CRASHED, KEEP
from lab.core.errors import BadInput, Busy, NotFound
from lab.scheduler import decisions
from lab.scheduler.loop import trying
from lab.scheduler.loop.trying import Offer
from lab.testing.files import Crash, CrashingFiles
from tests.scheduler.labs import me
from tests.scheduler.loop.live import NAME, Live, a_loop, save, sound

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.scheduler.loop.trying import Begun, Tried
    from lab.store.root import Root

SPEC = "mutation_command: ''\n"


def begin(loop: Live, root: Root | None = None) -> Begun:
    return trying.begin(root or loop.root, NAME, owner=me(), tell=lambda _: None, interrupted=lambda: "")


def hand_in(loop: Live, tree: str = "", **more: str) -> Tried:
    offer = Offer(tree=tree, description=more.get("description", "less"))
    return trying.hand_in(loop.root, NAME, offer, owner=me(), tell=lambda _: None, interrupted=lambda: "")


def put(begun: Begun, value: int, name: str = "value") -> None:
    Path(begun.tree, name).write_text(f"{value}\n")


def test_a_tree_in_which_nothing_was_changed_spends_no_run_and_stays(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec=SPEC)
    begun = begin(loop)
    runs = loop.runs()
    with pytest.raises(BadInput, match="nothing was changed in try-1"):
        hand_in(loop)
    assert loop.runs() == runs
    put(begun, 40)
    assert hand_in(loop).seal.run.verdict == KEEP
    assert trying.open_ones(loop.root, NAME) == []
    sound(loop)


@pytest.mark.parametrize(
    ("ended", "typed"),
    [
        (decisions.pause, f"labctl resume {NAME}"),
        (decisions.complete, f"labctl resume {NAME}"),
        (decisions.archive, f"labctl archive {NAME} --restore, then: labctl resume {NAME}"),
    ],
)
def test_no_tree_is_handed_out_where_none_would_be_taken_in(
    tmp_path: Path, ended: Callable[..., object], typed: str
) -> None:
    loop = a_loop(tmp_path, spec=SPEC)
    put(begin(loop), 40)
    decisions.pause(loop.root, NAME, reason="", actor="jo")
    ended(loop.root, NAME, reason="", actor="jo")
    with pytest.raises(BadInput, match="takes no change in") as refused:
        begin(loop)
    assert refused.value.fix == typed
    assert [each.name for each in trying.open_ones(loop.root, NAME)] == ["try-1"]
    with pytest.raises(Busy) as late:
        hand_in(loop)
    assert late.value.fix == typed


def test_no_tree_is_handed_out_by_a_loop_that_has_all_its_runs(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec=f"{SPEC}max_iterations_total: 1\n")
    with pytest.raises(BadInput, match="max iterations"):
        begin(loop)
    assert len(loop.runs()) == 1
    assert trying.open_ones(loop.root, NAME) == []


def test_what_to_type_names_the_tree_where_there_are_several(tmp_path: Path) -> None:
    """`--drop` alone was refused: it asks which."""
    loop = a_loop(tmp_path, spec=SPEC)
    first = begin(loop)
    with pytest.raises(BadInput) as alone:
        hand_in(loop)
    assert alone.value.fix.endswith(f"take it back: labctl try {NAME} --drop")
    second = begin(loop)
    with pytest.raises(BadInput) as refused:
        hand_in(loop, "try-2")
    assert refused.value.fix.endswith(f"take it back: labctl try {NAME} --drop --tree try-2")
    assert trying.typed(loop.root, first, "--drop") == f"labctl try {NAME} --drop --tree try-1"
    trying.drop(loop.root, trying.found(loop.root, NAME, second.name))
    assert trying.typed(loop.root, first, "--drop") == f"labctl try {NAME} --drop"
    shutil.rmtree(begin(loop).tree)
    assert trying.typed(loop.root, first, "--drop") == f"labctl try {NAME} --drop --tree try-1"


def test_autoresearch_md_in_a_tree_is_up_to_date_and_no_part_of_the_change(tmp_path: Path) -> None:
    files = {"autoresearch.md": "# Mind the cache\n"}
    loop = a_loop(tmp_path, spec=f"{SPEC}read_only_paths: [measure.sh, autoresearch.md]\n", files=files)
    begun = begin(loop)
    page = Path(begun.tree, "autoresearch.md")
    assert "Mind the cache" in page.read_text()
    assert "Where things stand" in page.read_text()
    page.write_text(page.read_text() + "- small reads are slow\n")
    put(begun, 40)
    Path(begun.tree, "extra").write_text("1")
    loop.edit("checks_command", "test ! -e extra")
    first = hand_in(loop)
    assert (first.is_kept, first.seal.run.candidate is not None) == (True, True)
    assert "small reads are slow" in page.read_text()
    assert "less" in page.read_text()  # what became of it stands there now
    Path(begun.tree, "extra").unlink()
    done = hand_in(loop)
    assert done.seal.run.verdict == KEEP
    assert done.decided is not None
    assert done.decided.changed_files == ("value",)
    sound(loop)


def test_a_tree_that_somebody_removed_is_not_confused_with_another(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec=SPEC)
    one, two = begin(loop), begin(loop)
    put(one, 45)
    shutil.rmtree(two.place)
    with pytest.raises(BadInput, match="try-2 was handed out too and is gone"):
        hand_in(loop)
    with pytest.raises(NotFound):
        hand_in(loop, tree="try-2")
    trying.drop(loop.root, trying.found(loop.root, NAME, "try-2", gone=True))
    assert hand_in(loop).begun.name == "try-1"
    assert list(Path(one.place).parent.glob("try-*")) == []
    gone = begin(loop)
    shutil.rmtree(gone.place)
    assert [each.name for each in trying.open_ones(loop.root, NAME)] == []
    begin(loop)
    assert [each.name for each in trying.open_ones(loop.root, NAME)] == ["try-1"]


def test_a_lab_that_is_killed_while_it_hands_out_a_tree_leaves_none_that_looks_whole(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec=SPEC)
    trying.drop(loop.root, begin(loop))
    folder = Path(loop.root.layout.place(f"scratch/loops/{NAME}"))
    there: list[Begun] = []
    at = 0
    while not there:
        at += 3
        with suppress(Crash):
            begin(loop, loop.reopened(CrashingFiles(at=at)))
        there = trying.open_ones(loop.root, NAME)
    assert at > 20
    assert Path(there[0].tree, "value").read_text() == "50\n"
    assert sorted(each.name for each in folder.glob("try-*")) == ["try-1", "try-1.brief.md", "try-1.try.json"]
    assert loop.git("worktree", "list").count("try-") == 1


def test_what_measures_is_measured_anew_before_a_change_is_compared(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec=SPEC)
    begun = begin(loop)
    put(begun, 45)
    (loop.workspace / "measure.sh").write_text('echo "METRIC cost=$(($(cat value) * 2))"\n')
    save(loop.workspace)
    done = hand_in(loop)
    assert done.decided is not None
    assert (done.seal.run.verdict, done.seal.run.value, done.decided.previous_best_value) == (KEEP, 90, 100)
    loop.edit("validation_command", "sh -c 'echo METRIC cost=$(($(cat value) * 3))'")
    begun = begin(loop)
    put(begun, 40)
    done = hand_in(loop)
    assert done.decided is not None
    assert (done.seal.run.verdict, done.seal.run.value, done.decided.previous_best_value) == (KEEP, 120, 135)
    assert [loop.decided(run).candidate.kind for run in loop.runs()].count("baseline") == 3
    sound(loop)


def test_who_works_by_hand_is_told_how_to_hand_in_their_notes(tmp_path: Path) -> None:
    told = Path(begin(a_loop(tmp_path, spec=SPEC)).brief).read_text()
    assert "LAB_ASI_PATH" not in told
    assert "labctl try loop --description" in told


def test_a_change_that_crashes_keeps_its_tree(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec=SPEC)
    begun = begin(loop)
    Path(begun.tree, "value").unlink()
    done = hand_in(loop)
    assert (done.seal.run.verdict, done.is_kept) == (CRASHED, True)
    told = trying.hints(done)
    assert [each.partition(" ")[0] for each in told] == ["mend", "the"], told  # one way to go, and where the best is
    put(begun, 40)
    assert hand_in(loop).seal.run.verdict == KEEP
