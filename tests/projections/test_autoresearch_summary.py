"""autoresearch-summary.md: what is recommended follows from what was measured, and says why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core.loop import HOLDOUT_GAP, Loop, Node
from lab.core.noise import Noise
from lab.core.view import Tier
from lab.projections import autoresearch_summary as summary
from tests.projections import subjects as make
from tests.projections.markdown import UNSEEN, headings, tables

if TYPE_CHECKING:
    from lab.core.subject import Subject

BASE = Node(run_id="RUN-BASE", commit="a" * 40, value=1.0, kept=True)
BEST = Node(run_id="RUN-BEST", commit="b" * 40, value=0.9, gain=0.1, note="higher rate", lines=4, kept=True)
FIRST = Node(run_id="RUN-FIRST", commit="c" * 40, value=0.95, gain=0.05, note="warm up", kept=True)
NOISY = Noise(df=8, ss=8 * 0.01**2)


def told(way: str = "minimize", **changes: object) -> summary.Summary:
    loop = Loop(
        base=BASE, best=BEST, noise=NOISY, candidates=9, kept=2, discarded=7, keeps=(FIRST, BEST), repeats=4, risk=0.01
    )
    return summary.told(subject(msgspec.structs.replace(loop, **changes), way))


def subject(loop: Loop, direction: str = "minimize") -> Subject:
    spec = make.spec(executor="reference", metric_direction=direction, baseline_repeats=4)
    made = make.subject(given=spec)
    made.view.direction = direction
    made.view.tiers["default"] = Tier(runs=10, loop=loop)
    return made


def test_a_gain_beyond_the_noise_is_to_be_merged() -> None:
    found = told()
    assert found.recommendation == summary.MERGE
    assert found.reasons[-1] == "no alarm was raised"


def test_the_interval_and_p_are_students() -> None:
    gain = told().gain
    assert gain is not None
    wide = 2.306004135 * 0.01 * (1 / 4 + 1 / 4) ** 0.5  # scipy's t.ppf(0.975, 8)
    assert gain.low == pytest.approx(0.1 - wide)
    assert gain.high == pytest.approx(0.1 + wide)
    assert gain.p == pytest.approx(3.038980347e-07)  # scipy's t.sf(0.1 / error, 8)


@pytest.mark.parametrize(
    ("changes", "recommendation", "reason"),
    [
        ({"base": None, "best": None}, summary.LEAVE, "the unchanged code was not measured yet"),
        ({"best": BASE, "keeps": ()}, summary.LEAVE, "nothing was kept since the baseline"),
        ({"best": msgspec.structs.replace(BEST, value=1.1)}, summary.LEAVE, "it is no better"),
        ({"simpler": 2}, summary.LOOK, "what was kept is simpler, and no better"),
        ({"noise": Noise()}, summary.LOOK, "the noise was never measured"),
        ({"noise": Noise(df=8, ss=8.0)}, summary.LOOK, "reaches down to no gain"),
        ({"gap": 0.9}, summary.LOOK, f"alarm: {HOLDOUT_GAP}"),
        ({"drift": 9.0}, summary.LOOK, "alarm: metric_drift"),
        ({"unconfirmed": 2}, summary.LOOK, "2 of the 2 kept are unconfirmed"),
    ],
)
def test_a_doubt_is_a_reason_to_look_and_no_gain_one_to_leave_it(
    changes: dict[str, object], recommendation: str, reason: str
) -> None:
    found = told("minimize", **changes)
    assert found.recommendation == recommendation
    assert any(reason in each for each in found.reasons), found.reasons


def test_a_measurement_without_noise_needs_no_interval_and_risks_nothing() -> None:
    found = told(noise=Noise(df=2, ss=0.0))
    assert found.recommendation == summary.MERGE
    assert (found.false_keeps, found.greedy_false_keeps) == (0.0, 0.0)
    assert found.gain is not None
    assert found.gain.low == found.gain.high == pytest.approx(0.1)


def test_what_no_test_confirmed_is_not_told_to_be_free_of_luck() -> None:
    """`acceptance_rule: improve` on a noisy metric spends no alpha, and keeps what noise offers."""
    found = told(candidates=19, risk=0.0, kept=2, unconfirmed=2)
    assert found.false_keeps == 2  # the rule would have kept 2.6 by luck, and there are but two
    assert told(candidates=5, risk=0.01, unconfirmed=2).false_keeps == pytest.approx(1.46)
    loop = Loop(base=BASE, best=BEST, noise=NOISY, candidates=19, kept=2, unconfirmed=2, keeps=(FIRST, BEST))
    page = summary.summary_page(subject(loop)).decode()
    assert "no more than 2 are to be expected to be luck" in page
    assert "**Unconfirmed**: 2 of the 2 kept looked better, and no test said so" in page
    assert "**Unconfirmed**" in summary.summary_page(subject(msgspec.structs.replace(loop, noise=Noise()))).decode()
    exact = msgspec.structs.replace(loop, noise=Noise(df=2, ss=0.0))
    assert "nconfirmed" not in summary.summary_page(subject(exact)).decode()


def test_what_was_kept_is_ranked_whichever_way_the_metric_goes() -> None:
    assert [node.run_id for node in told().ranked] == ["RUN-BEST", "RUN-FIRST"]
    assert [node.run_id for node in told("maximize").ranked] == ["RUN-FIRST", "RUN-BEST"]
    assert told("maximize").recommendation == summary.LEAVE


def test_the_greedy_rule_is_told_beside_ours() -> None:
    assert told(candidates=19).greedy_false_keeps == pytest.approx(2.6, abs=0.01)  # H_20 - 1, as it was measured
    assert told().false_keeps == 0.01


def test_a_bound_says_what_it_is_made_of_and_is_not_held_against_a_rule_that_does_better() -> None:
    loose = told(candidates=120, risk=2.38, kept=7, unconfirmed=3)
    assert summary.false_keeps_words(loose) == (
        "the 7 kept, no more than 5.38 are to be expected to be luck "
        "(a bound: 3 that no test confirmed, 2.38 that all tests together allow)"
    )
    tight = told(candidates=120, risk=0.5, kept=7)
    assert "would have kept about 4.4 by luck" in summary.false_keeps_words(tight)
    assert told(candidates=120, risk=9.0, kept=7, unconfirmed=3).false_keeps == 7  # more than were kept cannot be luck


def test_words_from_outside_stay_in_their_place() -> None:
    nasty = msgspec.structs.replace(BEST, note=make.HOSTILE)
    loop = Loop(base=BASE, best=nasty, noise=NOISY, kept=1, keeps=(nasty,), nodes=(nasty,), candidates=1)
    page = summary.summary_page(subject(loop))
    assert not UNSEEN.search(page.decode())
    assert [len(table) for table in tables(page)] == [3]
    assert len(headings(page)) == 7


def test_the_session_tells_the_platform_of_its_start_and_where_a_workspace_is_seen_from() -> None:
    one = subject(Loop())
    assert one.spec is not None
    assert b"Platform" not in summary.summary_page(one)
    spec = msgspec.structs.replace(one.spec, platform="cuda: H200", workspace_root=".")
    one = msgspec.structs.replace(one, spec=spec)
    one.view.created_in = "/home/ann/code"
    page = summary.summary_page(one).decode()
    assert "- Platform: cuda: H200, as it was found at the start\n" in page
    assert "- Workspace: . as seen from /home/ann/code, branch lab/" in page
    one = msgspec.structs.replace(one, spec=msgspec.structs.replace(spec, workspace_root="/work"))
    assert "- Workspace: /work, branch" in summary.summary_page(one).decode()
