"""Which notices follow from a change, which of them are sent, and what none of them may ever hold."""

from __future__ import annotations

import itertools
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core import history, notice
from lab.core.errors import BadInput
from lab.core.notice import APPROVAL, BEST, BUDGET, DIGEST, FAILING, INTEGRITY, Channel, Config, Notice, State
from lab.core.run import CANCELLED, FAILED, SUCCESS, TIMEOUT, Run
from lab.core.spec import Spec, StopConditions
from lab.core.subject import Finding, Subject
from lab.core.view import AWAITING, View, Waiting

SPEC = Spec(id="a", notify=("all",), max_iterations_total=10)


def run(number: int, outcome: str = SUCCESS, value: float | None = None, **more: object) -> Run:
    made = Run(
        run_id=f"RUN-{number}", experiment="a", outcome=outcome, value=value, metric="loss", direction="minimize"
    )
    return msgspec.structs.replace(made, **more)


def views(*runs: Run) -> list[View]:
    """The view before any run, and after each."""
    seen = [history.begin("a", direction="minimize", tier="default", spec="")]
    for number, each in enumerate(runs):
        item = history.Item(key=(number + 1, 1, each.run_id), ts="", run=each)
        seen.append(history.fold(seen[-1], [item]))
    return seen


def news(before: View | None, after: View, spec: Spec | None = SPEC, **more: object) -> list[Notice]:
    return notice.of_change(before, msgspec.structs.replace(Subject(view=after, spec=spec), **more))


def kinds(found: list[Notice]) -> list[str]:
    return [each.kind for each in found]


def test_a_new_best_is_told_but_not_the_first_value() -> None:
    seen = views(run(1, value=0.5), run(2, value=0.4), run(3, value=0.6))
    assert [kinds(news(seen[n], seen[n + 1])) for n in range(3)] == [[], [BEST], []]
    (told,) = news(seen[1], seen[2])
    assert (told.experiment, told.run_id) == ("a", "RUN-2")
    assert "0.4" in told.what
    assert "RUN-2" in told.fix


def test_failures_are_told_when_three_in_a_row_have_one_cause() -> None:
    alike = [run(n, FAILED, reason=f"killed by signal 9 (pid {n}{n})") for n in range(1, 5)]
    seen = views(*alike)
    assert [kinds(news(seen[n], seen[n + 1])) for n in range(4)] == [[], [], [FAILING], [FAILING]]
    assert news(seen[2], seen[3])[0].key == news(seen[3], seen[4])[0].key
    mixed = views(run(1, TIMEOUT, reason="a"), run(2, FAILED, reason="a"), run(3, FAILED, reason="b"))
    assert news(mixed[2], mixed[3]) == []
    cancelled = views(*alike[:2], run(3, CANCELLED), alike[2])
    assert news(cancelled[3], cancelled[4]) == []


def test_changes_that_were_never_run_are_no_failures() -> None:
    idle = [run(n, FAILED, reason="nothing was changed", verdict="discard") for n in range(1, 5)]
    seen = views(*idle)
    (told,) = news(seen[3], seen[4])
    assert (told.kind, told.what) == (FAILING, "a: the last 3 changes were discarded before they were run, alike")


def test_what_a_run_wrote_is_in_no_notice() -> None:
    secret = "hunter2"  # noqa: S105  # what must not leak
    seen = views(*(run(n, FAILED, reason=f"Traceback: {secret}", note=secret) for n in range(1, 4)))
    awaiting = msgspec.structs.replace(seen[3], phase=AWAITING, phase_reason=secret, waiting=[waits("run", secret)])
    finding = Finding(what=secret, where="experiments/a/runs/RUN-1/params.json")
    told = news(seen[2], awaiting, best_params={"token": secret}, results={"RUN-1": secret}, findings=(finding,))
    assert {APPROVAL, FAILING, INTEGRITY} <= set(kinds(told))
    assert all(secret not in json.dumps(notice.body(each, at="", lab="x")) for each in told)


def waits(kind: str, reason: str = "", name: str = "a-1") -> Waiting:
    return Waiting(proposal=name, kind=kind, sha256="", reason=reason)


def test_who_must_decide_is_told_once_with_what_to_type() -> None:
    (fresh,) = views()
    awaiting = msgspec.structs.replace(fresh, phase=AWAITING)
    asked = msgspec.structs.replace(awaiting, waiting=[waits("resume")])
    assert [(each.kind, each.fix) for each in news(fresh, awaiting)] == [(APPROVAL, "labctl resume a")]
    assert [(each.kind, each.fix) for each in news(fresh, asked)] == [(APPROVAL, "labctl approve a-1")]
    assert kinds(news(awaiting, asked)) == [APPROVAL]
    assert news(asked, asked) == []
    more = msgspec.structs.replace(fresh, waiting=[waits("run"), waits("promote", name="a-2")])
    assert [each.fix for each in news(fresh, more)] == ["labctl approve a-1", "labctl approve a-2"]


@pytest.mark.parametrize(
    ("stop", "field", "unit"),
    [(StopConditions(budget_hours=1.0), "wall_s", 3600.0), (StopConditions(budget_cost=5.0), "cost", 5.0)],
)
def test_a_budget_is_told_at_80_and_at_100_percent(stop: StopConditions, field: str, unit: float) -> None:
    (fresh,) = views()
    spec = msgspec.structs.replace(SPEC, stop_conditions=stop)
    steps = [msgspec.structs.replace(fresh, **{field: unit * share}) for share in (0.0, 0.79, 0.8, 0.99, 1.0, 1.2)]
    told = [news(before, after, spec) for before, after in itertools.pairwise(steps)]
    assert [kinds(each) for each in told] == [[], [BUDGET], [], [BUDGET], []]
    assert "80 %" in told[1][0].what
    assert "100 %" in told[3][0].what
    (jump,) = news(steps[0], steps[5], spec)
    assert "100 %" in jump.what


def test_the_iterations_are_a_budget_too() -> None:
    (fresh,) = views()
    eight = msgspec.structs.replace(fresh, runs=8)
    assert kinds(news(msgspec.structs.replace(fresh, runs=7), eight)) == [BUDGET]
    assert news(eight, msgspec.structs.replace(fresh, runs=9)) == []


def test_damage_to_what_is_sealed_is_an_alarm_but_a_broken_spec_is_not() -> None:
    (fresh,) = views()
    spec = Finding(what="no such field", where="experiments/a/SPEC.yaml")
    assert news(fresh, fresh, findings=(spec,)) == []
    gone = Finding(what="a sealed run is gone", where="experiments/a/runs/RUN-1")
    (told,) = news(fresh, fresh, findings=(spec, gone))
    assert (told.kind, told.fix) == (INTEGRITY, "labctl verify")


def test_an_experiment_whose_spec_cannot_be_read_is_told_everywhere() -> None:
    (fresh,) = views()
    (told,) = news(fresh, msgspec.structs.replace(fresh, phase=AWAITING), spec=None)
    assert told.channels == ("all",)
    (told,) = news(fresh, fresh, spec=None)
    assert (told.kind, told.what) == ("repeated-failure", "a does not run: its SPEC.yaml cannot be used")


# -- what is sent


def of(number: int = 0, kind: str = BEST, channels: tuple[str, ...] = ("all",)) -> Notice:
    return Notice(kind=kind, what=f"n{number}", key=f"{kind}/{number}", channels=channels)


HOOK = Channel(name="desk", command=("true",))
CONFIG = Config(channels=(HOOK,), most_an_hour=3)


def test_the_same_news_is_sent_once_an_hour() -> None:
    out, state = notice.admit(CONFIG, State(), [of(), of()], 1000.0)
    assert len(out) == 1
    assert notice.admit(CONFIG, state, [of()], 1000.0 + 3599)[0] == []
    assert len(notice.admit(CONFIG, state, [of()], 1000.0 + 3601)[0]) == 1
    assert len(notice.admit(CONFIG, state, [of(1)], 1001.0)[0]) == 1


def test_an_alarm_is_repeated_once_a_day() -> None:
    alarm = of(kind=INTEGRITY)
    _, state = notice.admit(CONFIG, State(), [alarm], 0.0)
    assert notice.admit(CONFIG, state, [alarm], 23 * 3600.0)[0] == []
    assert notice.admit(CONFIG, state, [alarm], 25 * 3600.0)[0] == [alarm]


def test_too_much_becomes_one_summary_and_then_silence() -> None:
    out, state = notice.admit(CONFIG, State(), [of(n) for n in range(5)], 0.0)
    assert [each.kind for each in out] == [BEST, BEST, BEST, notice.MORE]
    assert notice.admit(CONFIG, state, [of(n) for n in range(5, 9)], 10.0)[0] == []
    _, state = notice.admit(CONFIG, state, [of(n) for n in range(5, 9)], 10.0)
    out, state = notice.admit(CONFIG, state, [of(9)], 4000.0)
    assert [each.what for each in out] == ["n9", "6 more notices were held back before this one"]
    assert state.held == 0


def test_a_clock_that_jumped_back_sends_nothing_twice() -> None:
    _, state = notice.admit(CONFIG, State(), [of()], 10_000.0)
    assert notice.admit(CONFIG, state, [of()], 9_000.0)[0] == []
    assert len(notice.admit(CONFIG, state, [of()], 1_000.0)[0]) == 1  # and a leap of hours keeps nobody silent


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 50_000)), max_size=60))
def test_no_hour_has_more_than_was_allowed_and_the_state_stays_small(steps: list[tuple[int, float]]) -> None:
    state, sent = State(), list[float]()
    for number, now_s in sorted(steps, key=lambda step: step[1]):
        out, state = notice.admit(CONFIG, state, [of(number)], now_s)
        sent += [now_s for each in out if each.kind != notice.MORE]
        assert sum(now_s - at < 3600 for at in sent) <= CONFIG.most_an_hour
    assert len(state.sent) <= 31
    assert json.loads(msgspec.json.encode(state))


def test_silent_experiments_are_silent_but_for_what_the_lab_always_wants() -> None:
    silent = [of(1, BEST, ("silent",)), of(2, APPROVAL, ("silent",))]
    assert notice.wanted(CONFIG, silent) == []
    always = msgspec.structs.replace(CONFIG, always=(APPROVAL,))
    assert notice.wanted(always, silent) == [silent[1]]
    assert notice.for_channel(always, HOOK, [silent[1]]) == [silent[1]]
    assert kinds(notice.wanted(CONFIG, [of(kind=DIGEST), of(kind=INTEGRITY)])) == [DIGEST, INTEGRITY]


def test_a_spec_may_name_its_channels_and_a_channel_its_kinds() -> None:
    phone = Channel(name="phone", webhook="https://x", kinds=(APPROVAL,))
    both = Config(channels=(HOOK, phone))
    mine = [of(1, BEST, ("desk",)), of(2, APPROVAL, ("phone",)), of(3, BEST, ("phone",)), of(4, APPROVAL)]
    assert [each.what for each in notice.for_channel(both, HOOK, mine)] == ["n1", "n4"]
    assert [each.what for each in notice.for_channel(both, phone, mine)] == ["n2", "n4"]


def test_a_channel_that_failed_rests_and_counts_what_it_misses() -> None:
    state = notice.after_sending(State(), "desk", "it answered 500", 2, 1000.0)
    assert notice.rests(state, "desk", 1001.0)
    assert not notice.rests(state, "desk", 2000.0)
    assert not notice.rests(state, "desk", 1.0)  # the clock jumped back
    state = notice.rested(state, "desk", 3)
    assert state.channels["desk"].missed == 5
    assert notice.after_sending(state, "desk", "", 0, 2000.0).channels["desk"] == notice.Channelled()


# -- what is configured


def configured(**found: object) -> Config:
    return notice.parse(json.dumps(found).encode(), "control/notify.json")


def test_a_configuration_is_read() -> None:
    config = configured(
        channels=[
            {"name": "phone", "webhook": "$HOOK", "headers": {"Authorization": "$TOKEN"}, "kinds": ["needs-approval"]},
            {"name": "desk", "command": ["notify-send", "labctl"]},
        ],
        always=["integrity"],
    )
    assert [each.name for each in config.channels] == ["phone", "desk"]
    assert configured() == Config()


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"chanels": []}, "chanels"),
        ({"channels": [{"name": "x"}]}, "exactly one of"),
        ({"channels": [{"name": "x", "webhook": "https://x", "command": ["y"]}]}, "exactly one of"),
        ({"channels": [{"name": "x", "webhook": "file:///etc/passwd"}]}, "must begin with https://"),
        ({"channels": [{"name": "x", "webhook": "$NOT A NAME"}]}, "name of a variable"),
        ({"channels": [{"name": "silent", "command": ["x"]}]}, "cannot be called"),
        ({"channels": [{"name": "x", "command": ["x"]}, {"name": "x", "command": ["y"]}]}, "cannot be called"),
        ({"channels": [{"name": "x", "command": "a shell line"}]}, "command"),
        ({"channels": [{"name": "x", "command": ["x"], "kinds": ["new-bests"]}]}, "is it new-best?"),
        ({"always": ["everything"]}, "none of"),
        ({"most_an_hour": 0}, "most_an_hour"),
        ({"again_after_minutes": -1}, "again_after_minutes"),
    ],
)
def test_a_wrong_configuration_is_refused_with_words(found: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput) as refused:
        configured(**found)
    assert words in str(refused.value)


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b"channels: []"])
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput):
        notice.parse(data, "x")


def test_a_secret_is_named_and_never_shown() -> None:
    assert notice.value("$TOKEN", {"TOKEN": "abc"}) == "abc"
    assert notice.value("plain", {}) == "plain"
    with pytest.raises(BadInput, match="TOKEN is not set"):
        notice.value("$TOKEN", {})
    assert notice.shown("https://user:pw@hooks.example.org/T0/secret") == "https://hooks.example.org/..."
    assert notice.shown("$TOKEN") == "$TOKEN"
    assert notice.shown("secret") == "..."
