"""Who came of whom: whatever bundles claim, a forest comes of it, and what is left out is said."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from lab.core.candidate import BASELINE, IMPORTED, IMPROVE, Candidate
from lab.core.origin import PROMOTED, Origin
from lab.core.run import MAXIMIZE
from lab.projections import text
from lab.projections.picture import lineage, stairs
from lab.projections.picture.lineage import MOST, NEWEST, Lineage, Person
from lab.projections.picture.stairs import CRASH
from lab.projections.tables import Line, Ran
from tests.projections.kin import evolved, given, line, looped, named
from tests.projections.subjects import HOSTILE


def seen(lines: list[Line], **more: str) -> Lineage:
    found = lineage.of(given(lines, **more))
    assert found is not None
    return found


def people(lines: list[Line], **more: str) -> dict[str, Person]:
    return {person.run_id: person for person in seen(lines, **more).people}


def test_where_no_run_was_made_from_another_there_is_no_lineage() -> None:
    assert lineage.of(given([])) is None
    assert lineage.of(given([line(1, 1.0), line(2, 2.0)])) is None


@pytest.mark.parametrize(("direction", "delta"), [("minimize", 0.25), (MAXIMIZE, -0.25)])
def test_above_zero_is_better_whichever_way_the_metric_goes(direction: str, delta: float) -> None:
    found = people([line(1, 1.0), line(2, 0.75, [named(1)])], direction=direction)

    assert found[named(2)].delta == delta
    assert found[named(2)].parent == named(1)
    assert found[named(1)].delta is None


def test_between_tiers_and_without_a_value_nothing_is_compared() -> None:
    promoted = line(2, 0.5, tier="final", origin=Origin(strategy="s", kind=PROMOTED, parents=(named(1),)))
    found = people([line(1, 1.0), promoted, line(3, None, [named(1)]), line(4, 0.5, [named(3)])])

    assert all(person.delta is None for person in found.values())
    assert found[named(2)].parent == named(1)
    assert found[named(3)].kind == CRASH


def test_a_run_has_the_number_that_the_staircase_of_its_tier_gives_it() -> None:
    lines = [
        line(number, 1.0 / number, [named(number - 1)] if number > 1 else [], tier="final" if number % 3 else "default")
        for number in range(1, 10)
    ]
    told = given(lines)
    spots = {spot.run_id: spot.n for tier in ("default", "final") for spot in stairs.of(told, tier).spots}

    found = people(lines)

    assert {run_id: person.n for run_id, person in found.items()} == spots
    assert {person.tier for person in found.values() if person.n > 3} == {"final"}
    assert found[named(3)].tier == ""


def test_the_difference_of_absurd_values_is_not_known() -> None:
    assert people([line(1, 1e308), line(2, -1e308, [named(1)])])[named(2)].delta is None


def test_a_candidate_that_names_no_run_came_of_the_last_baseline_of_its_tier() -> None:
    def candidate(number: int, kind: str, tier: str = "default") -> Line:
        return line(number, 1.0, origin=None, verdict="keep", candidate=Candidate(kind=kind), tier=tier)

    found = people([
        candidate(1, BASELINE), candidate(2, BASELINE), candidate(3, IMPROVE), candidate(4, IMPORTED),
        candidate(5, IMPROVE, tier="final"),
    ])  # fmt: skip

    assert found.keys() == {named(2), named(3)}
    assert found[named(3)].parent == named(2)


def test_the_way_to_the_best_leads_over_first_parents() -> None:
    lines = [line(1, 5.0), line(2, 4.0), line(3, 3.0, [named(1), named(2)]), line(4, 1.0, [named(3)]),
             line(5, 2.0, [named(4)])]  # fmt: skip

    found = people(lines)

    assert [name for name, person in found.items() if person.on_path] == [named(1), named(3), named(4)]
    assert found[named(3)].others == (named(2),)
    assert seen(lines).depth == 3


def test_circles_and_strangers_make_no_parents() -> None:
    lines = [
        line(1, 1.0, [named(1)]), line(2, 1.0, [named(3)]), line(3, 1.0, [named(2)]),
        line(4, 1.0, ["RUN-of-nobody", "", named(3), named(3)]), line(4, 1.0, [named(4)]),
    ]  # fmt: skip

    found = seen(lines)

    assert [(person.run_id, person.parent, person.others) for person in found.people] == [
        (named(2), "", ()), (named(3), named(2), ()), (named(4), named(3), ()), (named(4), named(4), ()),
    ]  # fmt: skip
    assert found.sample.rule == "1 run without kin left out"


def test_of_very_many_the_way_to_the_best_what_was_kept_and_the_newest_are_shown() -> None:
    lines = looped(5_000, kept=0.02)
    found = seen(lines)
    shown = {person.run_id: person for person in found.people}

    assert len(shown) == found.sample.shown == MOST
    assert found.sample.total == 5_000
    assert sum(found.counts.values()) == 5_000
    assert found.counts["discard"] > sum(person.kind == "discard" for person in found.people) > 0
    kept = [each.run_id for each in lines if each.verdict == "keep"]
    assert shown.keys() >= {*kept, *(each.run_id for each in lines[-NEWEST:])}
    assert [person.run_id for person in found.people if person.on_path] == kept
    assert all(not person.skipped for person in found.people)


def test_of_a_chain_that_is_too_long_the_ends_are_shown_and_how_many_are_skipped() -> None:
    lines = [line(0, 1.0), *(line(number, 1 / (number + 1), [named(number - 1)]) for number in range(1, 20_000))]

    found = seen(lines)

    assert found.depth == 19_999
    assert len(found.people) == MOST
    assert (found.people[0].run_id, found.people[-1].run_id) == (named(0), named(19_999))
    assert sum(1 + person.skipped for person in found.people[1:]) == 19_999
    assert all(person.parent == before.run_id for before, person in zip(found.people, found.people[1:], strict=False))


@for_all(st.lists(st.lists(st.integers(0, 60), max_size=3), max_size=50), st.integers(5, 60))
def test_whatever_runs_claim_a_forest_comes_of_it(claims: list[list[int]], most: int) -> None:
    lines = [line(at, float(-at % 7), [named(each) for each in parents]) for at, parents in enumerate(claims)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lineage, "MOST", most)
        patch.setattr(lineage, "NEWEST", 2)
        found = lineage.of(given(lines))
    if found is None:
        assert not any(parent < at for at, parents in enumerate(claims) for parent in parents)
        return

    places = {person.run_id: at for at, person in enumerate(found.people)}
    assert len(places) == len(found.people) <= most
    for at, person in enumerate(found.people):
        assert not person.parent or places[person.parent] < at
        assert person.parent not in person.others
        assert person.on_path <= (not person.parent or found.people[places[person.parent]].on_path)
        first = [parent for parent in claims[person.n - 1] if parent < person.n - 1][:1]
        assert bool(first) == bool(person.parent or person.skipped)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Lineage) == found


def test_what_a_run_says_is_one_clean_line() -> None:
    ran = Ran(said=HOSTILE)
    hostile = Origin(strategy=HOSTILE, parents=(named(1),), note=HOSTILE)

    found = people([line(1, 1.0, ran=ran), line(2, 0.5, ran=ran, origin=hostile)])

    assert not any(text.UNSEEN.search(person.says + person.by) for person in found.values())


def test_in_a_search_what_changed_is_said() -> None:
    lines = [line(1, 1.0, params={"lr": 0.1}), line(2, 0.5, [named(1)], params={"lr": 0.2})]

    assert people(lines)[named(2)].says == "lr 0.1 -> 0.2"


def test_an_evolution_of_hundreds_is_shown_whole() -> None:
    found = seen(evolved(300))

    assert len(found.people) + int(found.sample.rule.partition(" ")[0] or 0) == 300
