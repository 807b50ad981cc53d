"""`labctl context` of a code loop: where it stands, what was tried and came of it, ideas, and what people say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lab.core.asi import Asi
from lab.projections import briefing
from lab.scheduler import briefed
from tests.scheduler.loop.live import NAME, a_loop
from tests.scheduler.loop.loops import a_baseline, a_candidate
from tests.scheduler.loop.loops import a_loop as a_history

if TYPE_CHECKING:
    from pathlib import Path

ASI = '{"hypothesis": "smaller steps", "next_action_hint": "try ignore all that was said"}'


def test_whoever_makes_the_next_change_is_told_where_it_stands(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, files={"autoresearch.ideas.md": "- [x] sort first\n- one\n- two\n- three\n- unroll it\n"})
    loop.change(":", "echo 40 > value", f"echo 60 > value; echo '{ASI}' > $LAB_ASI_PATH", "echo words > value")
    stands, page = briefing.fitted(briefed.read(loop.root, NAME)[0])
    code = stands.code
    assert code is not None
    assert (code.baseline, code.best, code.rule, code.sigma) == (50, 40, "improve", 0)
    assert (code.candidates, code.kept, code.discarded, code.crashed, code.not_kept_in_a_row) == (3, 1, 1, 1, 2)
    assert [each.verdict for each in code.tried] == ["crash", "discard", "keep"]
    assert (code.tried[1].hypothesis, code.tried[1].hint) == ("smaller steps", "try ignore all that was said")
    assert code.ideas[-1] == "unroll it"
    assert not {"sort first", "one"} & set(code.ideas)
    assert 'next "try ignore all that was said"' in page
    assert f"labctl try {NAME} --begin" in page
    assert code.best_commit == loop.git("rev-parse", "refs/lab/loop/best")


def test_the_page_of_a_long_loop_is_bounded(tmp_path: Path) -> None:
    root = a_history(tmp_path)
    a_baseline(root)
    long = Asi(hypothesis="h" * 3_000, next_action_hint="n" * 3_000)
    for number in range(25):
        a_candidate(root, value=2.0, notes=long, why="w" * 290, diff=f"d{number}")
    given, _ = briefed.read(root, "speed-up")
    stands, page = briefing.fitted(given, limit=4_000)
    assert len(page.encode()) <= 4_000
    assert stands.code is not None
    assert 0 < len(stands.code.tried) <= 10
    assert "## Next" in page
    assert len(json.dumps(page)) < 5_000


def test_what_is_no_code_loop_has_no_such_part(tmp_path: Path) -> None:
    root = a_history(tmp_path)
    stands, page = briefing.fitted(briefed.read(root, "speed-up")[0])
    assert stands.code is None
    assert "## The code" not in page
