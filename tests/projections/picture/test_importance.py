"""Importance must be right where the answer is known, and must not find anything in noise."""

from __future__ import annotations

import math
from random import Random

import pytest

from lab.projections.picture import forest, importance
from lab.projections.picture.columns import Axis, Column
from lab.projections.picture.importance import ENOUGH, SAMPLE, Importance, ranked
from tests.projections.tried import UNIT, drawn, seen

OVER: dict[str, object] = dict.fromkeys("abcd", UNIT)


def weighed(runs: object, over: dict[str, object] | None = None, **more: str) -> Importance:
    found = seen(runs, over, **more).importance  # type: ignore[arg-type]
    assert found is not None
    return found


def told(found: Importance) -> dict[str, float]:
    """The shares of those that are told apart from chance."""
    return {each.name: each.share for each in found.weights if not each.chance}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("count", [ENOUGH, 60])
def test_in_noise_nothing_counts(seed: int, count: int) -> None:
    luck = Random(f"noise/{seed}/{count}")

    found = weighed(drawn(luck, count, lambda _: luck.gauss(0, 1)), OVER)

    assert told(found) == {}
    assert all(each.share < 0.25 for each in found.weights)
    assert found.explained < 0.2


@pytest.mark.parametrize("seed", range(3))
def test_what_alone_makes_the_value_has_all_of_it(seed: int) -> None:
    found = weighed(drawn(Random(seed), 120, lambda point: point["b"] ** 3), OVER)

    assert list(told(found)) == ["b"]
    assert found.weights[0].share > 0.8
    assert found.explained > 0.9


def test_what_alone_makes_the_value_is_told_from_twenty_runs() -> None:
    assert list(told(weighed(drawn(Random(5), ENOUGH, lambda point: point["c"]), OVER))) == ["c"]


def test_two_that_add_up_share_it() -> None:
    shares = told(weighed(drawn(Random(1), 200, lambda point: point["a"] + point["d"]), OVER))

    assert shares.keys() == {"a", "d"}
    assert all(0.33 < share < 0.65 for share in shares.values())


def test_two_that_count_only_together_both_count() -> None:
    """Neither has anything to say alone: whoever looks at one parameter at a time finds nothing here."""
    shares = told(weighed(drawn(Random(2), 300, lambda point: (point["a"] - 0.5) * (point["b"] - 0.5)), OVER))

    assert shares.keys() == {"a", "b"}
    assert all(share > 0.25 for share in shares.values())


def test_a_logarithmic_parameter_counts_over_all_its_decades() -> None:
    luck = Random(3)
    rates = [10 ** luck.uniform(-5, -1) for _ in range(100)]
    runs = [({"lr": rate, "decay": luck.uniform(0, 0.1)}, (math.log10(rate) + 3) ** 2) for rate in rates]

    shares = told(weighed(runs, {"lr": {"low": 1e-5, "high": 1e-1, "log": True}, "decay": {"low": 0, "high": 0.1}}))

    assert shares.keys() == {"lr"}


def test_choices_count_whatever_their_order() -> None:
    luck, worth = Random(4), {"a": 3.0, "b": 1.0, "c": 4.0, "d": 1.5, "e": 5.0}
    runs = []
    for _ in range(120):
        choice = luck.choice(list(worth))
        runs.append(({"choice": choice, "is": luck.random() < 0.5}, worth[choice] + luck.gauss(0, 0.3)))

    assert told(weighed(runs, {"choice": {"choices": [*worth]}, "is": {"type": "bool"}})).keys() == {"choice"}


def test_choices_count_where_good_ones_and_bad_ones_take_turns() -> None:
    luck = Random(16)
    names = [f"c{number:02d}" for number in range(16)]
    runs = []
    for _ in range(80):
        number = luck.randrange(16)
        runs.append(({"choice": names[number], "x": luck.random()}, number % 2 + luck.gauss(0, 0.2)))

    found = weighed(runs, {"choice": {"choices": names}, "x": UNIT})

    assert told(found).keys() == {"choice"}
    assert found.explained > 0.4


def hanging(count: int, value: object, seed: int = 6) -> Importance:
    """`momentum` counts only where the optimizer is sgd."""
    luck = Random(seed)
    runs = []
    for _ in range(count):
        point: dict[str, object] = {"optimizer": luck.choice(["sgd", "adam"]), "x": luck.random()}
        if point["optimizer"] == "sgd":
            point["momentum"] = luck.random()
        runs.append((point, value(point) + luck.gauss(0, 0.05)))  # type: ignore[operator]
    over = {
        "optimizer": {"choices": ["sgd", "adam"]},
        "momentum": {**UNIT, "when": {"optimizer": "sgd"}},
        "x": UNIT,
    }
    return weighed(runs, over)


def test_what_a_choice_decides_is_not_given_to_what_hangs_on_it() -> None:
    shares = told(hanging(200, lambda point: float(point["optimizer"] == "sgd")))

    assert shares.keys() == {"optimizer"}
    assert shares["optimizer"] > 0.6


def test_what_was_left_out_has_a_place_that_it_had_elsewhere_also_at_the_low_end() -> None:
    """0 is a place, and not the absence of one: else the parameter would tell where it was left out."""
    at = (0.0, 1.0, None, None) * 20
    column = Column(axis=Axis(name="momentum", high=1.0), key="momentum", at=at, varied=True, conditional=True)

    filled = importance._numbers(column, [0.0] * 80, range(80), Random(9))  # the parent hides it else

    assert set(filled) == {0.0, 1.0}
    assert set(filled[2::4]) == {0.0, 1.0}


def test_a_parameter_counts_where_it_is_there() -> None:
    shares = told(hanging(200, lambda point: 2 * (point.get("momentum", 0.5) - 0.5)))

    assert shares["momentum"] > 0.4
    assert "x" not in shares


def test_a_parameter_that_some_runs_were_not_given_counts_by_its_absence_too() -> None:
    luck = Random(7)
    runs = []
    for _ in range(80):
        has = luck.random() < 0.5
        runs.append(({"a": luck.random(), **({"extra": 1} if has else {})}, has + luck.gauss(0, 0.1)))

    assert told(weighed(runs)).keys() == {"extra"}


def test_one_run_that_went_wild_changes_nothing_but_its_rank() -> None:
    runs = drawn(Random(8), 60, lambda point: point["a"])
    tame = weighed(runs, OVER)
    worst = max(range(60), key=lambda at: runs[at][1] or 0.0)
    runs[worst] = (runs[worst][0], 1e308)

    assert weighed(runs, OVER) == tame


def test_the_direction_of_the_metric_changes_nothing() -> None:
    runs = drawn(Random(9), 60, lambda point: point["a"] - point["b"])
    turned = [(point, -(value or 0.0)) for point, value in runs]

    one, other = weighed(runs, OVER), weighed(turned, OVER, direction="maximize")

    assert [(each.name, each.chance) for each in one.weights] == [(each.name, each.chance) for each in other.weights]
    assert [each.share for each in one.weights] == pytest.approx([each.share for each in other.weights], abs=1e-3)


def test_the_same_runs_give_the_same() -> None:
    runs = drawn(Random(10), 50, lambda point: point["a"])

    assert weighed(runs, OVER) == weighed(runs, OVER)


def test_of_many_runs_an_even_sample_is_weighed_and_it_says_so() -> None:
    found = weighed(drawn(Random(11), 1_500, lambda point: point["a"], "ab"), {"a": UNIT, "b": UNIT})

    assert found.n == SAMPLE
    assert "1,000 runs, drawn evenly from 1,500" in found.caveat
    assert told(found).keys() == {"a"}


def test_the_range_is_wider_than_that_of_a_mean_of_what_is_independent_as_nadeau_and_bengio_say() -> None:
    shares = [0.30, 0.42, 0.38, 0.50, 0.34, 0.46]
    alone = importance.weight("lr", shares, 0.1, 0.0)
    wider = importance.weight("lr", shares, 0.1, 0.25)
    assert wider.share == alone.share == pytest.approx(0.4)
    assert wider.high - wider.low == pytest.approx((alone.high - alone.low) * (1 + 6 * 0.25) ** 0.5, rel=1e-3)


def test_what_it_is_worth_is_said_with_it() -> None:
    found = weighed(drawn(Random(12), 40, lambda point: point["a"]), OVER)

    assert found.n == 40
    assert "From 40 runs" in found.caveat
    assert "does not try evenly" in found.caveat
    assert all(0 <= each.low <= each.share <= each.high <= 1 for each in found.weights)
    assert [each.share for each in found.weights] == sorted((each.share for each in found.weights), reverse=True)
    assert all(each.chance == (each.share <= found.floor) for each in found.weights)
    assert all(each.unsure == (each.low <= found.floor) for each in found.weights)


def test_of_few_runs_nothing_is_said_but_why() -> None:
    found = seen(drawn(Random(13), ENOUGH - 1, lambda point: point["a"]), OVER)

    assert found.importance is None
    assert str(ENOUGH) in found.why_not
    assert "19 runs" in found.why_not


def test_of_equal_values_nothing_is_said_but_why() -> None:
    found = seen(drawn(Random(14), 30, lambda _: 1.0), OVER)

    assert found.importance is None
    assert "the same value" in found.why_not


def test_where_nothing_varied_nothing_is_said_but_why() -> None:
    found = seen([({"a": 0.5}, float(number)) for number in range(30)], {"a": UNIT})

    assert found.importance is None
    assert found.why_not == "No parameter varied."


def test_ranks_have_no_mean_and_equal_values_share_one() -> None:
    ranks = ranked([3.0, 1.0, 3.0, -1e308])

    assert ranks[0] == ranks[2] > ranks[1] > ranks[3]
    assert sum(ranks) == pytest.approx(0)
    assert sum(rank * rank for rank in ranks) / 4 == pytest.approx(1)


def test_a_forest_foretells_what_it_has_not_seen() -> None:
    luck = Random(15)
    columns = [[luck.random() for _ in range(300)], [luck.random() for _ in range(300)]]
    values = [1.0 if one > 0.5 else -1.0 for one in columns[0]]

    trees = forest.grown(columns, values, range(200), luck)
    said = forest.foretold(trees, columns, range(200, 300))

    right = sum((guess > 0) == (value > 0) for guess, value in zip(said, values[200:], strict=True))
    assert right >= 95
