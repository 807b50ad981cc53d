"""Tiers of a code loop: what one came to is what the next one begins at, and the line goes forward only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.candidate import BASELINE, KEEP
from lab.scheduler import decisions
from lab.scheduler.loop.finalized import INDEPENDENT, Finalizing
from tests.scheduler.loop.live import BEST, BRANCH, NAME, Live, a_loop, sound

if TYPE_CHECKING:
    from pathlib import Path

SPEC = """\
fidelity_tiers: [proxy, final]
initial_fidelity_tier: proxy
promotion_strategy: branch
final_validation_command: sh long.sh
"""
LONG = {"long.sh": 'echo "METRIC cost=$(($(cat value) * 10))"\n', "other": "0\n"}
LESS = "echo $((40 - LAB_RUN_ITERATION)) > value"


def to(loop: Live, tier: str) -> None:
    decisions.set_tier(loop.root, NAME, tier, actor="ann", reason="a test")


def test_the_next_tier_begins_at_what_this_one_kept(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec=SPEC, files=LONG)
    kept = loop.change(":", LESS, LESS)
    to(loop, "final")
    base = loop.change(LESS)
    assert (base.candidate.kind, base.candidate.base, base.candidate_value) == (
        BASELINE,
        kept.candidate.commit,
        370,
    )
    assert loop.git("rev-parse", BRANCH) == loop.git("rev-parse", BEST) == kept.candidate.commit
    final = loop.change(LESS)
    assert (final.verdict, final.previous_best_value, final.candidate_value) == (KEEP, 370, 350)
    assert loop.git("merge-base", kept.candidate.commit, BRANCH) == kept.candidate.commit
    assert final.remarks == ()
    made = Finalizing(loop.root, NAME, prefix="", way=INDEPENDENT).plan
    assert [each.kept.run_id for each in made.branches] == loop.runs()[1:3] + loop.runs()[4:]


def test_going_back_to_a_tier_goes_on_from_the_end_of_the_line_too(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec=SPEC, files=LONG)
    loop.change(":", LESS)
    to(loop, "final")
    final = loop.change(":", LESS)
    to(loop, "proxy")
    again = loop.change(LESS)
    assert (again.candidate.kind, again.candidate.base, again.candidate_value) == (
        BASELINE,
        final.candidate.commit,
        36,
    )
    assert loop.git("rev-parse", BRANCH) == loop.git("rev-parse", BEST) == final.candidate.commit
    assert loop.change(LESS).previous_best_value == 36
    sound(loop)


def test_a_tier_in_which_nothing_was_kept_since_needs_no_other_baseline(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec=SPEC, files=LONG)
    loop.change(":", LESS)
    to(loop, "final")
    loop.change(":")
    to(loop, "proxy")
    assert loop.change(LESS).candidate.kind == "improve"
