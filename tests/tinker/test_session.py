"""The SDK behind deadlines, against a real server; and its failures in words of ours."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx
import pytest

from lab.core.errors import BadInput, LabError, Unavailable
from lab.tinker import paths
from lab.tinker.data import Adam, Datum, Sample, Wish, rollout, supervised
from lab.tinker.reaching import reach
from tests.tinker import chunks
from tests.tinker.conftest import BASE
from tests.tinker.line import Line

tinker = pytest.importorskip("tinker")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.tinker.pauses import Pauses
    from lab.tinker.rows import Pause
    from lab.tinker.session import Session

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # the SDK leaves a connection behind

DATA = [supervised([5, 6], [7, 8, 9]), supervised([5], [10, 11])]
ADAM = Adam(learning_rate=0.01)
DOING_URL = "https://tinker.example.org"


class Opened:
    def __init__(self, url: str, limit_s: float = 20.0, until_s: float | None = None) -> None:
        from lab.tinker.pauses import Pauses
        from lab.tinker.session import Session
        from lab.tinker.waiting import Waiting

        self.told: list[Pause] = []
        self.pauses: Pauses = Pauses(self.told.append)
        self.pauses.attach()
        self.waiting = Waiting(limit_s, self.pauses, until_s)
        self.session: Session = Session(url, self.waiting)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> Iterator[Callable[..., Opened]]:
    for name in ("TINKER_API_KEY", "TINKER_CREDENTIAL_CMD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TINKER_TELEMETRY", "0")
    all_: list[Opened] = []

    def make(url: str, limit_s: float = 20.0, until_s: float | None = None, *, model: bool = True) -> Opened:
        all_.append(Opened(url, limit_s, until_s))
        if model:
            all_[-1].session.begin(BASE, rank=4, seed=0)
        return all_[-1]

    yield make
    for one in all_:
        one.session.close("success")
        one.pauses.detach()
    chunks.collect()


def test_what_can_be_done_without_is_given_up_when_it_is_to_end_and_what_trains_is_not() -> None:
    from lab.tinker.failures import Doing
    from lab.tinker.pauses import Pauses
    from lab.tinker.waiting import Waiting

    class Told(Exception):
        pass

    def told() -> None:
        raise Told

    def slow() -> int:
        time.sleep(1.2)
        return 7

    waiting = Waiting(50.0, Pauses(lambda _pause: None), check=told)
    begun, doing = time.monotonic(), Doing("sampling", url=DOING_URL)
    with pytest.raises(Told):
        waiting.aside(lambda: time.sleep(40), doing)
    assert time.monotonic() - begun < 20
    assert waiting.aside(slow, doing, firmly=True) == 7


def test_nobody_is_waited_for_at_an_address_once_it_is_to_end() -> None:
    class Told(Exception):
        pass

    tries = iter(range(3))

    def check() -> None:
        if next(tries, None) is None:
            raise Told

    with pytest.raises(Told):
        reach("http://127.0.0.1:9", 50.0, patient=True, check=check)


def test_while_nobody_is_there_yet_it_is_said_once_and_told_as_a_pause_until_the_first_answer() -> None:
    from lab.tinker.pauses import Pauses
    from lab.tinker.waiting import Waiting

    told: list[Pause] = []
    said: list[str] = []
    pauses = Pauses(told.append, said.append)
    with pytest.raises(Unavailable):
        reach("http://127.0.0.1:9", 1.0, patient=True, tell=Waiting(50.0, pauses).is_away)
    assert said == ["waiting for http://127.0.0.1:9: Connection refused"]
    assert [(each.what, each.over) for each in told] == [("away", None)]
    pauses.over()
    assert told[-1].over is not None


def test_what_is_used_is_counted_by_what_is_paid_for_it(opened: Callable[..., Opened], server: str) -> None:
    session = opened(server).session
    session.train(DATA, "cross_entropy", None, ADAM)
    assert session.purse.used.trained == 4 + 2
    session.forward(DATA, "cross_entropy")
    assert session.purse.used.prefilled == 6
    (samples,) = session.sample(session.sampler(), [[5, 6, 7]], 3, Wish(max_tokens=2, seeds=[1]))
    assert len(samples) == 3
    assert all(len(one.tokens) == len(one.logprobs) <= 2 for one in samples)
    assert session.purse.used.sampled == sum(len(one.tokens) for one in samples)
    assert session.purse.used.prefilled == 9, "a prompt is read once, however many samples follow it"
    assert len(session.logprobs(session.sampler(), [[5, 6, 7, 8]])[0]) == 3
    assert session.purse.used.prefilled == 13


def test_on_policy_the_sampled_and_the_trained_logprobs_agree(opened: Callable[..., Opened], server: str) -> None:
    """What `rollout` shifts by one is shifted as the service shifts it."""
    session = opened(server).session
    session.train(DATA, "cross_entropy", None, ADAM)
    (samples,) = session.sample(session.sampler(), [[5, 6, 7]], 2, Wish(max_tokens=4, seeds=[3]))
    data = [rollout([5, 6, 7], sample, 1.0) for sample in samples]
    told = session.forward(data, "importance_sampling")
    for sample, each in zip(samples, told.logprobs, strict=True):
        assert each[2:] == pytest.approx(sample.logprobs, abs=1e-4)


def test_a_datum_whose_lists_do_not_fit_is_refused_before_it_is_sent(
    opened: Callable[..., Opened], server: str
) -> None:
    session = opened(server).session
    before = chunks.calls(server)
    for datum, words in (
        (Datum(tokens=[1, 2], targets=[2]), "2 tokens and 1 target_tokens"),
        (Datum(tokens=[], targets=[]), "without a token"),
        (Datum(tokens=[1], targets=[2], weights=[1.0, 1.0]), "1 tokens and 2 weights"),
    ):
        with pytest.raises(BadInput, match=words):
            session.train([datum], "cross_entropy", None, ADAM)
    with pytest.raises(BadInput, match="no loss is called 'mse'"):
        session.train(DATA, "mse", None, ADAM)
    assert chunks.calls(server)["/forward_backward"] == before["/forward_backward"]
    session.train(DATA, "cross_entropy", None, ADAM)  # and it goes on


def test_what_the_service_refuses_is_the_users_to_mend_and_the_model_lives(
    opened: Callable[..., Opened], server: str
) -> None:
    session = opened(server).session
    with pytest.raises(BadInput, match="the service refused it"):
        session.forward([Datum(tokens=[5, 99_999], targets=[6, 7])], "cross_entropy")
    session.train(DATA, "cross_entropy", None, ADAM)


def test_a_name_that_is_taken_is_not_written_over(opened: Callable[..., Opened], server: str) -> None:
    session = opened(server).session
    session.save_state("000001", keep_s=3600, about={})
    with pytest.raises(BadInput, match="already saved"):
        session.save_state("000001", keep_s=3600, about={})


def test_a_dead_port_is_told_within_the_limit_and_by_its_address(opened: Callable[..., Opened]) -> None:
    with Line("http://127.0.0.1:9") as line:
        url = line.url
    begun = time.monotonic()
    one = opened(url, 5.0, model=False)
    with pytest.raises(Unavailable) as failed:
        one.session.begin(BASE, rank=4, seed=0)
    assert time.monotonic() - begun < 9
    assert url in str(failed.value)
    assert "nobody answers at 127.0.0.1" in failed.value.what


def test_a_service_that_is_still_starting_is_waited_for(opened: Callable[..., Opened], server: str) -> None:
    with Line(server) as line:
        line.cut(for_s=1.5)
        one = opened(line.url)
        one.session.train(DATA, "cross_entropy", None, ADAM)
        one.session.close("success")


def test_an_answer_that_takes_too_long_is_given_up(opened: Callable[..., Opened], server: str) -> None:
    one = opened(server)
    one.waiting.limit_s = 1.5
    chunks.fault(server, "/optim_step", delay_s=6.0)
    begun = time.monotonic()
    with pytest.raises(Unavailable, match="no answer in"):
        one.session.train(DATA, "cross_entropy", None, ADAM)
    assert time.monotonic() - begun < 5


def test_while_the_service_asks_to_wait_the_limit_counts_from_when_it_did(
    opened: Callable[..., Opened], server: str
) -> None:
    one = opened(server)
    one.waiting.limit_s = 2.0
    chunks.fault(server, "/optim_step", status=402)
    one.session.train(DATA, "cross_entropy", None, ADAM)  # the SDK looks again after five seconds
    assert one.waiting.waited_s > 4


def test_the_end_of_the_runs_time_ends_a_pause_too(opened: Callable[..., Opened], server: str) -> None:
    one = opened(server)
    one.waiting.until_s = time.monotonic() + 2.0
    chunks.fault(server, "/optim_step", status=402, times=4)
    with pytest.raises(Unavailable) as failed:
        one.session.train(DATA, "cross_entropy", None, ADAM)
    chunks._ask(server, "DELETE", "/api/v1/_fault")
    assert "the run's time is up" in failed.value.what
    assert "billing" in failed.value.what


def test_closing_tells_the_service_how_it_went_and_never_waits_long(opened: Callable[..., Opened], server: str) -> None:
    with Line(server) as line:
        one = opened(line.url)
        before = chunks.calls(server)
        line.cut()
        one.waiting.limit_s = 3.0
        begun = time.monotonic()
        one.session.close("errored")
        assert time.monotonic() - begun < 15
    other = opened(server)
    other.session.close("interrupted", "told to end")
    assert sum((chunks.calls(server) - before).values()) > 0


def status_error(kind: type[Exception], status: int, words: str) -> Exception:
    request = httpx.Request("POST", f"{DOING_URL}/api/v1/x")
    response = httpx.Response(status, request=request)
    return kind(f"Error code: {status} - {{'detail': '{words}'}}", response=response, body=None)  # type: ignore[call-arg]


CASES = [
    ("AuthenticationError", 401, Unavailable, "refused the key", "~/.tinker/credentials.json"),
    ("BillingError", 402, Unavailable, "asks for payment", "billing"),
    ("PermissionDeniedError", 403, Unavailable, "may not do that", "account"),
    ("NotFoundError", 404, Unavailable, "does not know this training run", "the next chunk begins there"),
    ("ConflictError", 409, BadInput, "already saved", "checkpoints"),
    ("UnprocessableEntityError", 422, BadInput, "refused it (HTTP 422): odd", ""),
    ("BadRequestError", 400, BadInput, "refused it (HTTP 400): odd", ""),
    ("RateLimitError", 429, Unavailable, "too many requests", "max_parallel"),
    ("InternalServerError", 503, Unavailable, "failed (HTTP 503): odd", "the next chunk begins there"),
]


@pytest.mark.parametrize(("name", "status", "kind", "words", "fix"), CASES)
def test_each_status_is_told_with_what_to_do(
    name: str, status: int, kind: type[LabError], words: str, fix: str
) -> None:
    from lab.tinker.failures import Doing, told

    error = told(status_error(getattr(tinker, name), status, "odd"), Doing("training", url=DOING_URL))
    assert type(error) is kind
    assert error.what.startswith("training: ")
    assert words in error.what
    assert fix in error.fix
    assert error.where == DOING_URL


def test_what_the_sdk_stumbles_over_is_told_too() -> None:
    from tinker.types import RequestErrorCategory

    from lab.tinker.failures import Doing, told

    here, path = Doing("training", url=DOING_URL), "tinker://r/weights/000002"
    loading = Doing("resuming", url=DOING_URL, path=path)
    lost = told(ValueError("Error retrieving result: Error code: 404 with status 404 for self.request_id='7'"), here)
    assert "does not know this training run" in lost.what
    bill = told(AttributeError("'X' object has no attribute '_last_logged_billing_exception_time'"), here)
    assert "asks for payment" in bill.what, "so the SDK fails where the bill is not paid from the beginning"

    def failed(text: str, category: RequestErrorCategory) -> Exception:
        words = f"Request failed: {text} for self.request_id='7' and expected type self.model_cls=<class 'x'>"
        return tinker.RequestFailedError(words, "7", category)  # type: ignore[no-any-return]

    user = told(failed("lengths differ", RequestErrorCategory.User), here)
    assert (type(user), user.what) == (BadInput, "training: the service refused it: lengths differ")
    server = told(failed("out of memory", RequestErrorCategory.Server), here)
    assert (type(server), server.what) == (Unavailable, "training: the service failed: out of memory")
    gone = told(failed(f"no such checkpoint {path}", RequestErrorCategory.User), loading)
    assert type(gone) is paths.Gone
    assert "keep_days" in gone.fix
    odd = told(RuntimeError("\x1b[2J" + "x" * 5000), here)
    assert odd.what.isprintable()
    assert len(odd.what) < 700
    assert told(odd, here) is odd


def test_what_a_service_says_it_saved_is_looked_at_before_it_is_kept() -> None:
    from lab.tinker.session import _checked

    assert _checked("tinker://r/weights/000001", "weights")
    with pytest.raises(BadInput):
        _checked("tinker://r/weights/$(id)", "weights")
    with pytest.raises(Unavailable):
        _checked("tinker://r/sampler_weights/000001", "weights")


def test_a_rollout_and_a_demonstration_are_shifted_by_one() -> None:
    shown = supervised([1, 2], [3, 4], scale=0.5)
    assert (shown.tokens, shown.targets, shown.weights) == ([1, 2, 3], [2, 3, 4], [0.0, 0.5, 0.5])
    drawn = rollout([1, 2], Sample(tokens=[3, 4], logprobs=[-0.1, -0.2]), 2.0)
    assert (drawn.tokens, drawn.targets) == ([1, 2, 3], [0, 3, 4])
    assert (drawn.logprobs, drawn.advantages) == ([0.0, -0.1, -0.2], [0.0, 2.0, 2.0])
