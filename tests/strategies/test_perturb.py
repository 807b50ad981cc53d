"""Small changes: the contract, and what is special about them."""

from __future__ import annotations

from lab.core.origin import PROMOTED, Origin
from lab.core.run import SUCCESS
from lab.core.trial import History, Trial, luck
from lab.strategies.perturb import Perturb, step_size
from lab.testing.strategies import FUNCTIONS, LearnerContract, simulated


class TestPerturb(LearnerContract):
    strategy = Perturb()


def changes(*values: float, maker: str = "perturb", kind: str = "") -> list[tuple[Trial, float]]:
    origin = Origin(strategy=maker, kind=kind, parents=("R0",))
    return [
        (Trial(run_id=f"R{k}", params={}, value=v, outcome=SUCCESS, origin=origin), v) for k, v in enumerate(values)
    ]


def test_the_step_grows_with_success_and_shrinks_without() -> None:
    start = step_size([])
    assert step_size(changes(1.0, 2.0, 3.0)) > step_size(changes(1.0, 2.0, 3.0, 4.0))
    assert step_size(changes(1.0, 0.5)) > step_size(changes(1.0)) > start
    assert 0 < step_size(changes(*range(500))) < start / 10
    assert step_size(changes(*(-float(k) for k in range(500)))) < 1


def test_the_steps_of_others_and_repeats_do_not_count() -> None:
    assert step_size(changes(1.0, 2.0, 3.0, maker="tree")) == step_size([])
    assert step_size(changes(1.0, 2.0, 3.0, kind=PROMOTED)) == step_size([])


def test_a_change_names_the_run_it_was_made_from_and_that_run_is_a_good_one() -> None:
    over, function = FUNCTIONS["sphere"]
    steps, _ = simulated(Perturb(), over, lambda params, _: function(params, 0), 60)
    changed = [step for step in steps if step.proposal.parents]
    assert len(changed) > 40
    for step in changed:
        ranked = [trial.run_id for trial, _ in sorted(step.history.scored(), key=lambda each: each[1])]
        assert step.proposal.parents[0] in ranked[:8]
        assert step.proposal.parents[0] in step.proposal.note


def test_it_changes_what_a_person_found() -> None:
    over, function = FUNCTIONS["sphere"]
    _, history = simulated(Perturb(), over, lambda params, _: function(params, 0), 20)
    best = min(history.scored(), key=lambda each: each[1])[0]
    gift = Trial(run_id="GIFT", params=best.params, value=-1e9, outcome=SUCCESS, origin=Origin(strategy="person"))
    asked = [
        Perturb().propose(over, History(trials=(*history.trials, gift), seed=7, number=20), luck(seed, 20)).parents
        for seed in range(30)
    ]
    assert asked.count(("GIFT",)) > 10
