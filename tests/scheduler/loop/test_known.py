"""The same change, or the same idea, is not paid for twice."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from lab.core.candidate import IMPORTED
from lab.core.ended import Ended
from lab.core.run import CANCELLED, CRASH, FAILED
from lab.projections import tables
from lab.scheduler import refresh
from lab.scheduler.loop import ideas, known
from lab.store import bundles
from tests.scheduler.labs import reopened
from tests.scheduler.loop.loops import a_baseline, a_candidate, a_loop, spec_of

if TYPE_CHECKING:
    from pathlib import Path

    from lab.store.root import Root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    made = a_loop(tmp_path)
    a_baseline(made)
    return made


def test_a_change_that_was_tried_is_known_by_the_run_that_tried_it_first(root: Root) -> None:
    first = a_candidate(root, diff="d1", evaluator="e1")
    a_candidate(root, "crash", diff="d2", crash="syntax")
    a_candidate(root, diff="d1", why=f"the same change was tried in {first}")
    assert known.find(root, "speed-up", "d1") == first
    assert known.find(root, "speed-up", "d1", tier="proxy", evaluator="e1") == first
    assert known.find(root, "speed-up", "d2") != ""
    assert (
        known.find(root, "speed-up", "d")
        == known.find(root, "speed-up", "d3")
        == known.find(root, "speed-up", "")
        == ""
    )


def test_what_was_measured_otherwise_says_nothing_of_a_change(root: Root) -> None:
    a_candidate(root, diff="d1", evaluator="e1")
    assert known.find(root, "speed-up", "d1", tier="final") == ""
    assert known.find(root, "speed-up", "d1", evaluator="e2") == ""


def test_a_run_that_ended_with_the_lab_or_was_cancelled_learned_nothing(root: Root) -> None:
    a_candidate(root, "", diff="d1", idea="ab", ended=Ended(outcome=CRASH, reason="its owner died"))
    a_candidate(root, "", diff="d1", idea="ab", ended=Ended(outcome=CANCELLED, reason="ann: stop"))
    a_candidate(root, diff="d1", idea="ab", ended=Ended(outcome=CRASH, verdict="crash", reason="its owner died"))
    a_candidate(root, diff="d1", idea="ab", ended=Ended(outcome=CANCELLED, verdict="discard", reason="ann: stop"))
    assert known.find(root, "speed-up", "d1") == ""
    assert known.tried(root, "speed-up", ["ab"]) == {}
    mine = a_candidate(root, "crash", diff="d1", idea="ab", ended=Ended(outcome=FAILED, verdict="crash", reason="oom"))
    assert known.find(root, "speed-up", "d1") == mine
    assert known.tried(root, "speed-up", ["ab", "cd"]) == {"ab": mine}


def test_what_another_harness_says_is_no_precedent(root: Root) -> None:
    a_candidate(root, kind=IMPORTED, diff="d1")
    assert known.find(root, "speed-up", "d1") == ""


def test_what_is_known_comes_back_with_the_other_pages(root: Root) -> None:
    first = a_candidate(root, diff="d1")
    os.unlink(root.layout.page("speed-up", "metrics.jsonl"))
    assert known.find(root, "speed-up", "d1") == ""
    refresh.everything(reopened(root))
    assert known.find(root, "speed-up", "d1") == first


def test_words_that_look_like_a_digest_are_not_taken_for_one(root: Root) -> None:
    a_candidate(root, diff="d1", why='"diff":"d9" "idea":"ff"')
    assert known.find(root, "speed-up", "d9") == ""
    assert known.tried(root, "speed-up", ["ff"]) == {}


def test_a_line_that_a_crash_tore_is_passed_over(root: Root) -> None:
    run_id = a_candidate(root, diff="d1")
    sealed = bundles.load_seal(root.layout.run("speed-up", run_id))
    assert sealed is not None
    line = tables.metrics_line(sealed[0].run, {}, None)
    with open(root.layout.page("speed-up", "metrics.jsonl"), "wb") as table:
        table.write(line[: len(line) // 2] + b'"diff":"d1"')
    assert known.find(root, "speed-up", "d1") == ""


LIST = """\
# Ideas

Some words.

- [ ] a wider model,
      in two lines
- [x] done by hand
* fused   kernels
1. warm-up
2) warm-up

```
- not an idea
```
- a wider MODEL, in two lines
"""


def test_a_list_of_ideas_is_read_as_people_write_them() -> None:
    found = ideas.parse(LIST)
    assert [(idea.text, idea.ticked) for idea in found] == [
        ("a wider MODEL, in two lines", False),
        ("done by hand", True),
        ("fused kernels", False),
        ("warm-up", False),
    ]


def test_the_next_idea_is_the_first_that_no_run_tried(root: Root, tmp_path: Path) -> None:
    spec, workspace = spec_of(root), str(tmp_path / "code")
    assert ideas.listed(root, spec, workspace) == ()
    (tmp_path / "code" / ideas.FILE).write_text(LIST)
    first = ideas.following(ideas.listed(root, spec, workspace))
    assert first is not None
    assert first.text.startswith("a wider")
    run_id = a_candidate(root, idea=first.key)
    after = ideas.listed(root, spec, workspace)
    following = ideas.following(after)
    assert (after[0].run_id, following.text if following else "") == (run_id, "fused kernels")
    assert (tmp_path / "code" / ideas.FILE).read_text() == LIST


def test_the_spec_may_name_the_list(tmp_path: Path) -> None:
    made = a_loop(tmp_path, more="ideas_file: todo.md\n")
    (tmp_path / "code/todo.md").write_text("- one\n")
    assert [each.text for each in ideas.listed(made, spec_of(made), str(tmp_path / "code"))] == ["one"]
    assert ideas.listed(made, spec_of(made), "") == ()
