"""A view is a fold: whatever the order, in one go or one by one, the same bytes."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core import event, history
from lab.core.candidate import CRASHED, DISCARD
from lab.core.event import Event, Line
from lab.core.origin import REPLAY, Origin
from lab.core.run import CANCELLED, CRASH, FAILED, OUTCOMES, SUCCESS, TIMEOUT, Run
from lab.core.seal import Anchor, Seal
from lab.core.view import PHASES, RECENT_DECISIONS, RECENT_RUNS, View
from tests.core.loops import any_run, baseline, tried

if TYPE_CHECKING:
    from lab.core.history import Item

TIERS = ("proxy", "final")
values = st.floats(-100, 100) | st.sampled_from([0.0, 0.5, 1.0])


def a_run(seq: int, outcome: str, value: float | None, tier: str = "proxy", **more: object) -> Run:
    made = Run(
        run_id=f"RUN-{seq:06d}",
        experiment="a",
        outcome=outcome,
        value=value if outcome == SUCCESS else None,
        tier=tier,
        direction="minimize",
        wall_s=0.1 * seq,
        cost=0.01,
        started_at=f"2026-01-02T03:{seq:06d}",
    )
    return msgspec.structs.replace(made, **more)


def sealed(seq: int, run: Run, *, anchor: int | None = None) -> Item:
    made = Seal(
        run=run,
        generation=seq,
        anchor=Anchor(seq=seq if anchor is None else anchor),
        sealed_at=f"2026-01-02T04:{seq:06d}",
        sealed_by="w",
        files={},
    )
    return history.of_seal(made)


def decided(seq: int, kind: str, **more: object) -> Item:
    told = msgspec.structs.replace(Event(type=kind, ts=f"2026-01-02T05:{seq:06d}", experiment="a", actor="ann"), **more)
    item = history.of_line(Line(seq=seq, prev="", event=told))
    assert item is not None
    return item


def runs(*pairs: tuple[str, float | None], tier: str = "proxy") -> list[Item]:
    return [sealed(seq, a_run(seq, outcome, value, tier)) for seq, (outcome, value) in enumerate(pairs, 1)]


@st.composite
def of_projects(draw: st.DrawFn, seq: int) -> Item:
    """What is said to a research project, and asked of a person."""
    word, actor = draw(st.sampled_from(["one", "two"])), draw(st.sampled_from(["ann", "policy"]))
    told = [{}, {"gate": "writing", "inputs": word}, {"ruled": "refine", "claimed": seq}, {"claimed": seq}]
    facts: dict[str, object] = draw(st.sampled_from(told))
    kinds = [event.PHASE_CHANGED, event.HYPOTHESIS_REGISTERED, event.RESEARCH_STEERED, event.RELEASE_APPROVED]
    phase = draw(st.sampled_from(PHASES))
    return decided(seq, draw(st.sampled_from(kinds)), phase=phase, name=word, reason=word, actor=actor, facts=facts)


@st.composite
def histories(draw: st.DrawFn) -> list[Item]:
    """Runs and decisions as a ledger would hold them; several runs may be anchored to one record."""
    items = [decided(1, event.EXPERIMENT_CREATED, tier="proxy")]
    seq = 1
    for number in range(draw(st.integers(0, 14))):
        seq += draw(st.integers(0, 3))
        match draw(st.integers(0, 8)):
            case 0:
                seq += 1
                items.append(decided(seq, event.PHASE_CHANGED, phase=draw(st.sampled_from(PHASES)), reason="why"))
            case 1:
                seq += 1
                items.append(decided(seq, event.TIER_CHANGED, tier=draw(st.sampled_from(TIERS))))
            case 2:
                seq += 1
                kinds = [event.RUN_SUPERSEDED, event.LEASE_TAKEN_OVER, event.SPEC_EDITED]
                more = {"generation": draw(st.integers(0, 20)), "facts": {"highest": draw(st.integers(0, 20))}}
                items.append(decided(seq, draw(st.sampled_from(kinds)), **more))
            case 3:
                seq += 1
                kind = draw(st.sampled_from([event.MODEL_ASKED, event.MODEL_ANSWERED]))
                took = {"calls": draw(st.integers(0, 3)), "usd": draw(st.floats(0, 1)), "tokens": 7}
                items.append(decided(seq, kind, name=f"ASK-{draw(st.integers(1, 3)):06}", facts=took))
            case 4:
                seq += 1
                words, left = draw(st.sampled_from(["", "one", "two"])), {"candidates": draw(st.integers(0, 2))}
                items.append(decided(seq, event.LOOP_STEERED, reason=words, facts=left))
            case 8:
                seq += 1
                items.append(draw(of_projects(seq)))
            case 5:
                run = any_run(number + 1, Random(draw(st.integers(0, 2**32))))
                items.append(sealed(number + 1, msgspec.structs.replace(run, tier="proxy"), anchor=seq))
            case _:
                run = a_run(
                    number + 1, draw(st.sampled_from(OUTCOMES)), draw(st.none() | values), draw(st.sampled_from(TIERS))
                )
                items.append(sealed(number + 1, run, anchor=seq))
    return items


def start(direction: str = "minimize") -> View:
    return history.begin("a", direction=direction, tier="proxy", spec="s")


def told(view: View) -> bytes:
    return msgspec.json.encode(view)


@given(histories(), st.integers())
def test_the_order_in_which_items_are_found_does_not_matter(items: list[Item], seed: int) -> None:
    shuffled = list(items)
    Random(seed).shuffle(shuffled)
    assert told(history.fold(start(), shuffled)) == told(history.fold(start(), items))


@given(histories(), st.data())
def test_folding_as_it_happens_is_folding_all_at_once(items: list[Item], data: st.DataObject) -> None:
    ordered = sorted(items, key=lambda item: item.key)
    view = start()
    while ordered:
        some = data.draw(st.integers(1, len(ordered)))
        assert history.follows(view, ordered[:some])
        view = history.fold(view, ordered[:some])
        view = msgspec.json.decode(told(view), type=View)  # as it comes back from STATUS.json
        ordered = ordered[some:]
    assert told(view) == told(history.fold(start(), items))


@given(histories(), histories())
def test_folding_leaves_the_given_view_as_it_was(first: list[Item], second: list[Item]) -> None:
    view = history.fold(start(), first)
    before = told(view)
    history.fold(view, second)
    assert told(view) == before


@given(histories())
def test_the_past_does_not_follow(items: list[Item]) -> None:
    view = history.fold(start(), items)
    assert not any(history.follows(view, [item]) for item in items)
    assert history.follows(view, [])


@given(histories())
def test_the_two_directions_mirror_each_other(items: list[Item]) -> None:
    def turned(item: Item) -> Item:
        if item.run is None:
            return item
        value = None if item.run.value is None else -item.run.value
        run = msgspec.structs.replace(item.run, value=value, direction="maximize")
        if (about := run.candidate) is not None:
            mine, theirs = (tuple(-value for value in values) for values in (about.values, about.against))
            holdout = None if about.holdout is None else -about.holdout
            run = msgspec.structs.replace(
                run, candidate=msgspec.structs.replace(about, values=mine, against=theirs, holdout=holdout)
            )
        return msgspec.structs.replace(item, run=run)

    down, up = history.fold(start("minimize"), items), history.fold(start("maximize"), map(turned, items))
    for name, tier in down.tiers.items():
        other = up.tiers[name]
        assert (tier.best.run_id if tier.best else None) == (other.best.run_id if other.best else None)
        assert (tier.quiet_streak, tier.worsening_streak) == (other.quiet_streak, other.worsening_streak)
        if tier.loop is not None and other.loop is not None:
            assert (tier.loop.drift, tier.loop.gap, tier.loop.noise) == (
                other.loop.drift, other.loop.gap, other.loop.noise,
            )  # fmt: skip


@given(histories())
def test_what_the_view_counts_is_what_happened(items: list[Item]) -> None:
    view = history.fold(start(), items)
    found = [item.run for item in items if item.run is not None]
    assert view.runs == len(found) == sum(view.outcomes.values()) == sum(tier.runs for tier in view.tiers.values())
    for name, tier in view.tiers.items():
        mine = [run.value for run in found if run.tier == name and run.value is not None]
        if tier.loop is None:  # a code loop keeps what its verdicts keep
            assert (tier.best.value if tier.best else None) == min(mine, default=None)
    assert len(view.recent) == min(RECENT_RUNS, len(found))
    assert len(view.decisions) <= RECENT_DECISIONS
    assert view.as_of == max(item.ts for item in items)


@pytest.mark.parametrize("outcome", [FAILED, TIMEOUT, CRASH, CANCELLED])
def test_what_failed_is_never_best(outcome: str) -> None:
    view = history.fold(start(), runs((outcome, None), (SUCCESS, 7.0), (outcome, None)))
    assert view.best is not None
    assert view.best.value == 7.0


def test_a_success_without_a_value_is_never_best() -> None:
    assert history.fold(start(), runs((SUCCESS, None), (SUCCESS, None))).best is None


def test_of_two_equal_values_the_first_stays_best() -> None:
    view = history.fold(start(), runs((SUCCESS, 1.0), (SUCCESS, 1.0)))
    assert view.best is not None
    assert view.best.run_id == "RUN-000001"
    assert view.tiers["proxy"].quiet_streak == 1


def test_a_replay_that_came_to_another_value_shows_that_the_metric_is_noisy() -> None:
    def again(seq: int, value: float, of: int, tier: str = TIERS[0]) -> Run:
        return a_run(seq, SUCCESS, value, origin=Origin(kind=REPLAY, parents=(f"RUN-{of:06d}",)), tier=tier)

    first = a_run(1, SUCCESS, 0.5)
    others = [sealed(seq, a_run(seq, SUCCESS, 1.0)) for seq in range(2, 2 + 2 * RECENT_RUNS)]
    for made, differs in (
        ([again(900, 0.5, 1)], False),
        ([again(900, 0.6, 1)], True),  # than the best
        ([again(900, 0.9, 2), again(901, 0.8, 2)], True),  # than another replay of the same
        ([again(900, 0.9, 2), again(901, 0.8, 3)], False),
        ([again(900, 0.6, 1, tier="final")], False),
    ):
        view = history.fold(start(), [sealed(1, first), *others, *(sealed(900 + n, run) for n, run in enumerate(made))])
        assert view.tiers["proxy"].differs is differs
        view.tier = "proxy"
        assert [view.noisy(declared=declared) for declared in (None, True, False)] == [
            True if differs else None,
            True,
            False,
        ]


def test_bests_of_two_tiers_are_never_compared() -> None:
    items = [sealed(1, a_run(1, SUCCESS, 0.1, "proxy")), sealed(2, a_run(2, SUCCESS, 0.9, "final"))]
    view = history.fold(start(), [*items, decided(3, event.TIER_CHANGED, tier="final")])
    assert view.best is not None
    assert view.best.value == 0.9
    assert {name: run.value for name, run in view.bests.items()} == {"proxy": 0.1, "final": 0.9}
    assert history.fold(start(), items).best == items[0].run


def test_a_tier_without_a_run_has_no_best() -> None:
    view = history.fold(start(), [*runs((SUCCESS, 0.1)), decided(2, event.TIER_CHANGED, tier="final")])
    assert view.best is None


@pytest.mark.parametrize(
    ("outcomes", "streak"),
    [
        ((FAILED, TIMEOUT, FAILED), 3),
        ((FAILED, SUCCESS, TIMEOUT), 1),
        ((FAILED, CANCELLED, CRASH, FAILED), 2),
        ((FAILED, SUCCESS), 0),
        ((CANCELLED, CANCELLED), 0),
    ],
)
def test_the_failure_streak_counts_failures_in_a_row(outcomes: tuple[str, ...], streak: int) -> None:
    assert history.fold(start(), runs(*((outcome, None) for outcome in outcomes))).failure_streak == streak


@pytest.mark.parametrize(("phase", "streak"), [("queued", 0), ("active", 0), ("paused", 2), ("awaiting-human", 2)])
def test_opening_it_again_forgives_the_failures_and_pausing_does_not(phase: str, streak: int) -> None:
    view = history.fold(start(), [*runs((FAILED, None), (FAILED, None)), decided(3, event.PHASE_CHANGED, phase=phase)])
    assert (view.failure_streak, view.phase) == (streak, phase)
    assert view.runs_since_opened == (0 if streak == 0 else 2)


def test_the_first_run_makes_it_active_and_a_paused_one_stays_paused() -> None:
    assert history.fold(start(), runs((FAILED, None))).phase == "active"
    view = history.fold(start(), [decided(1, event.PHASE_CHANGED, phase="paused"), sealed(2, a_run(2, SUCCESS, 1.0))])
    assert view.phase == "paused"


def test_a_worsening_streak_counts_values_each_worse_than_the_one_before() -> None:
    tier = history.fold(start(), runs(*((SUCCESS, value) for value in (1.0, 2.0, 3.0, 3.0, 4.0)))).tiers["proxy"]
    assert (tier.worsening_streak, tier.quiet_streak, tier.success_streak) == (1, 4, 5)


def test_a_run_is_placed_by_its_anchor_and_not_by_any_clock() -> None:
    late = sealed(9, a_run(9, SUCCESS, 1.0, started_at="1999-01-01", ended_at="1999-01-01"), anchor=5)
    view = history.fold(start(), [decided(6, event.PHASE_CHANGED, phase="paused"), late])
    assert view.decisions[-1].what == "phase active -> paused"
    assert view.last_key == (6, 0, "")


def test_what_decides_nothing_is_no_part_of_history() -> None:
    for kind in (event.RUN_SEALED, event.DIGEST_WRITTEN, event.LAB_CREATED, "thing_of_tomorrow"):
        assert history.of_line(Line(seq=1, prev="", event=Event(type=kind, ts=""))) is None


def test_every_event_has_a_meaning() -> None:
    assert set(event.MEANING) == set(event.TYPES)
    assert len(set(event.TYPES)) == len(event.TYPES)


def test_the_view_does_not_grow_with_history() -> None:
    def size(length: int) -> int:
        items = [sealed(seq, a_run(seq, SUCCESS, float(seq % 10))) for seq in range(1, length)]
        items += [decided(length + seq, event.PHASE_CHANGED, phase="paused") for seq in range(length)]
        return len(told(history.fold(start(), items)))

    assert size(2000) < size(50) + 200


def test_a_tier_with_a_direction_of_its_own_has_its_best_by_that() -> None:
    upwards = [
        sealed(seq, a_run(seq, SUCCESS, value, "final", direction="maximize")) for seq, value in ((1, 0.5), (2, 0.9))
    ]
    begun = history.begin("a", direction="minimize", directions={"final": "maximize"}, tier="final", spec="")
    best = history.fold(begun, upwards).tiers["final"].best
    assert best is not None
    assert best.value == 0.9


def asked(*told: tuple[str, str, int, float]) -> View:
    """The view after questions to a model and answers: the event, the question, its calls, its money."""
    return history.fold(
        start(),
        [
            decided(seq, kind, name=ask, facts={"calls": calls, "usd": usd})
            for seq, (kind, ask, calls, usd) in enumerate(told, 1)
        ],
    )


def test_what_is_set_aside_for_a_model_is_spent_until_the_answer_says_what_it_took() -> None:
    before = asked((event.MODEL_ASKED, "ASK-000001", 2, 0.5))
    assert (before.model.calls, before.model.usd, before.model.asks) == (2, 0.5, 1)
    assert [each.at for each in before.model.reserved] == [before.as_of]
    after = asked((event.MODEL_ASKED, "ASK-000001", 2, 0.5), (event.MODEL_ANSWERED, "ASK-000001", 1, 0.125))
    assert (after.model.calls, after.model.usd, after.model.reserved) == (1, 0.125, ())


def test_an_asker_that_never_came_back_has_spent_what_it_set_aside() -> None:
    view = asked(
        (event.MODEL_ASKED, "ASK-000001", 2, 0.5),
        (event.MODEL_ASKED, "ASK-000002", 2, 0.5),
        (event.MODEL_ASKED, "ASK-000002", 1, 0.25),  # a try more
        (event.MODEL_ANSWERED, "ASK-000002", 3, 0.25),
    )
    assert (view.model.calls, view.model.usd, view.model.asks) == (5, 0.75, 2)
    assert [each.ask for each in view.model.reserved] == ["ASK-000001"]


def test_an_answer_to_what_was_never_asked_takes_nothing_and_gives_nothing_back() -> None:
    view = asked((event.MODEL_ANSWERED, "ASK-000004", 3, 1.0))
    assert (view.model.calls, view.model.usd, view.model.asks) == (0, 0.0, 4)


def test_dead_askers_do_not_make_the_view_grow_for_ever() -> None:
    view = asked(*((event.MODEL_ASKED, f"ASK-{number:06}", 1, 0.0) for number in range(1, 501)))
    assert view.model.calls == 500
    assert len(told(view)) < 12_000


def test_what_a_model_was_asked_pushes_no_decision_off_the_pages() -> None:
    view = asked(*((event.MODEL_ASKED, f"ASK-{number:06}", 1, 0.0) for number in range(1, 50)))
    assert view.decisions == []


def looped(*candidates: Run) -> View:
    return history.fold(
        start(), [sealed(seq, msgspec.structs.replace(run, tier="proxy")) for seq, run in enumerate(candidates, 1)]
    )


def test_a_lucky_measurement_of_what_was_discarded_is_no_best() -> None:
    view = looped(baseline(10, 11), tried(1, "discard", 3.0), tried(2, "keep", 9.0), tried(3, "discard", 1.0))
    assert view.best is not None
    assert view.best.run_id == "RUN-000002"
    assert view.tiers["proxy"].quiet_streak == 1
    assert view.tiers["proxy"].worsening_streak == 0


def test_what_was_kept_for_being_simpler_is_the_best_and_ends_no_plateau() -> None:
    view = looped(baseline(10, 11), tried(1, "keep", 10.6, rule="improve-or-simpler"))
    assert view.best is not None
    assert view.best.value == 10.6
    assert view.tiers["proxy"].quiet_streak == 1


def test_a_baseline_that_was_taken_again_is_what_is_best_now() -> None:
    view = looped(baseline(10, 11), tried(1, "keep", 9.0), baseline(12, 13, number=2))
    assert view.best is not None
    assert view.best.run_id == "RUN-000002"


def test_a_cancelled_candidate_counts_what_it_took() -> None:
    cancelled = msgspec.structs.replace(tried(1, "", tokens=7), outcome=CANCELLED)
    view = looped(baseline(10, 11), cancelled)
    loop = view.tiers["proxy"].loop
    assert loop is not None
    assert (loop.tokens, loop.candidates) == (7, 0)
    assert view.tiers["proxy"].quiet_streak == 0


def test_failed_are_those_that_came_to_grief_and_neither_the_cancelled_nor_what_was_never_run() -> None:
    never_run = msgspec.structs.replace(tried(1, DISCARD), outcome=FAILED)
    cancelled = msgspec.structs.replace(tried(2, ""), outcome=CANCELLED)
    crashed = msgspec.structs.replace(tried(3, CRASHED), outcome=CRASH)
    view = looped(baseline(10, 11), never_run, cancelled, crashed, tried(4, DISCARD, 11.0))

    assert view.outcomes == {"success": 2, "failed": 1, "cancelled": 1, "crash": 1}
    assert (view.failed, view.unmeasured) == (1, 1)


def ends_of_the_lab(*moments: tuple[int, int]) -> View:
    """Runs that a kill of the lab ended, by the minutes in which they began and were settled."""
    made = [
        a_run(at, CRASH, None, started_at=f"2026-01-02T03:{began:02d}", ended_at=f"2026-01-02T03:{over:02d}")
        for at, (began, over) in enumerate(moments, 1)
    ]
    return history.fold(start(), [sealed(at, run) for at, run in enumerate(made, 1)])


def test_what_the_end_of_the_lab_cut_off_is_no_failure_until_it_happens_again_and_again() -> None:
    moments = [(2 * at, 2 * at + 1) for at in range(6)]
    assert [ends_of_the_lab(*moments[:many]).failure_streak for many in range(1, 7)] == [0, 0, 0, 1, 2, 3]
    assert ends_of_the_lab(*moments).runs == 6


@pytest.mark.parametrize("many", [2, 4, 8])
def test_runs_that_were_out_together_when_the_lab_ended_are_one(many: int) -> None:
    moments = [(10 * kill, 10 * kill + 5) for kill in range(8) for _ in range(many)]
    assert ends_of_the_lab(*moments[:many]).failure_streak == 0
    assert 3 <= ends_of_the_lab(*moments).failure_streak <= 8


def test_failures_between_ends_of_the_lab_are_counted_and_a_candidate_that_crashed_is_one() -> None:
    runs = [a_run(1, FAILED, None), a_run(2, CRASH, None), a_run(3, FAILED, None), a_run(4, CRASH, None)]
    items = [sealed(at, run) for at, run in enumerate(runs, 1)]
    assert history.fold(start(), items).failure_streak == 2
    assert history.fold(start(), [sealed(1, a_run(1, CRASH, None, verdict="crash"))]).failure_streak == 1
