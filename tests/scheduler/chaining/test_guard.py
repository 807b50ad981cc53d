"""Before a service that is paid for is asked: a limit, a key that a run sees, and a way that hides it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core.errors import BadInput, LabError, Unavailable
from lab.core.spec import Spec
from lab.core.spec_fields import StopConditions
from lab.core.tuning import Tuning
from lab.scheduler.chaining import guard
from lab.store.root import Root
from tests.scheduler.chaining.trainings import Training

if TYPE_CHECKING:
    from pathlib import Path

PAID = "https://tinker.example.org/services/prod"
PRICES = {"usd_per_mtok_train": 1.0, "usd_per_mtok_sample": 2.0, "usd_per_mtok_prefill": 0.5}
KEY = {"TINKER_API_KEY": "tml-0123456789"}


def a_spec(url: str = PAID, *, tokens: int | None = 1000, usd: float | None = None, **more: object) -> Spec:
    prices = more.pop("prices", {})
    assert isinstance(prices, dict)
    stop = StopConditions(budget_tokens=tokens, budget_cost=usd)
    tuning = Tuning(base_url=url, base_model="b", **prices)
    given: dict[str, object] = {"secrets": ("TINKER_API_KEY",), **more}
    return Spec(id="train", executor="tinker", tinker=tuning, stop_conditions=stop, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:8765", "http://localhost:1", "http://[::1]:99"])
def test_a_service_on_this_machine_needs_neither_a_limit_nor_a_key(url: str, tmp_path: Path) -> None:
    guard.require_budget(a_spec(url, tokens=None, secrets=()), {"HOME": str(tmp_path)})


@pytest.mark.parametrize("url", ["http://tinker.example.org", "http://10.0.0.1:8765", "http://127.0.0.1.example.org"])
def test_a_key_is_not_sent_to_another_machine_for_everybody_to_read(url: str) -> None:
    with pytest.raises(BadInput, match="for everybody to read") as caught:
        guard.require_budget(a_spec(url), KEY)
    assert "https://" in (caught.value.fix or "")


@pytest.mark.parametrize("url", ["https://me:secret@tinker.example.org", "ftp://example.org", "https://"])
def test_what_is_no_address_or_holds_a_password_is_refused(url: str) -> None:
    with pytest.raises(BadInput) as caught:
        guard.require_budget(a_spec(url), KEY)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("tokens", "usd", "prices"),
    [(None, None, {}), (None, 5.0, {}), (1000, 5.0, {"usd_per_mtok_train": 1.0}), (None, None, PRICES)],
)
def test_what_nothing_ends_is_not_begun(tokens: int | None, usd: float | None, prices: dict[str, float]) -> None:
    with pytest.raises(BadInput, match=r"nothing says how much may be spent|a price is missing") as caught:
        guard.require_budget(a_spec(tokens=tokens, usd=usd, prices=prices), KEY)
    assert "budget_tokens" in (caught.value.fix or "")
    assert "usd_per_mtok_prefill" in (caught.value.fix or "")


def test_either_limit_will_do() -> None:
    guard.require_budget(a_spec(tokens=1000), KEY)
    guard.require_budget(a_spec(tokens=None, usd=5.0, prices=PRICES), KEY)


def test_a_service_that_is_paid_for_wants_a_key(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="there is no key"):
        guard.require_budget(a_spec(secrets=()), {"HOME": str(tmp_path)})


def test_a_key_that_the_run_would_not_see_is_told_of_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="TINKER_API_KEY is set, and a run does not see it") as caught:
        guard.require_budget(a_spec(secrets=()), {"HOME": str(tmp_path), **KEY})
    assert caught.value.fix == "write `secrets: [TINKER_API_KEY]`"
    assert KEY["TINKER_API_KEY"] not in str(caught.value)


def test_a_stored_key_is_seen_by_the_run(tmp_path: Path) -> None:
    folder = tmp_path / ".tinker"
    folder.mkdir()
    (folder / "credentials.json").write_text('{"default": "me", "keys": {"me": {"key": "tml-0123456789"}}}')
    guard.require_budget(a_spec(secrets=()), {"HOME": str(tmp_path)})


def test_a_key_that_no_service_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="does not begin with tml-"):
        guard.require_budget(a_spec(), {"HOME": str(tmp_path), "TINKER_API_KEY": "sk-0123456789"})


def test_what_trains_nothing_is_none_of_its_business() -> None:
    guard.require_budget(Spec(id="other"), {})


def test_of_a_run_that_happens_elsewhere_the_key_is_there() -> None:
    guard.require_budget(a_spec(), None)
    with pytest.raises(BadInput, match="nothing says how much"):
        guard.require_budget(a_spec(tokens=None), None)


def test_it_is_refused_before_a_run_is_claimed(tmp_path: Path) -> None:
    training = Training(tmp_path, tinker={"base_url": PAID}, stop_conditions={"budget_tokens": 10_000})
    root, world = training.root, training.root.world
    seen = {**{name: value for name, value in world.environ.items() if not name.startswith("TINKER_")}, **KEY}
    seen["HOME"] = str(tmp_path)
    training.root = Root(root.layout.root, msgspec.structs.replace(world, environ=seen), files=root.files)
    said = [step.what for step in training.take() if step.kind == "problem"]
    assert len(said) == 1
    assert "TINKER_API_KEY is set, and a run does not see it" in said[0]
    assert training.runs == []
    assert training.view.generation == 0


def test_a_server_of_this_machine_that_is_not_there_costs_no_run_and_no_failure(tmp_path: Path) -> None:
    """Three chunks that failed for it would pause the experiment, and nobody is up to see it."""
    training = Training(tmp_path)
    training.edit(tinker={"base_url": "http://127.0.0.1:9", "base_model": "lab/tiny", "steps": 30, "chunk_steps": 10})
    for _ in range(4):
        (step,) = [step for step in training.take() if step.kind == "problem"]
        assert "the local server does not answer: nobody answers at 127.0.0.1, port 9" in step.what
        assert "labctl tinker serve-local --base lab/tiny=FOLDER" in step.fix
    assert training.runs == []
    assert training.view.phase == "queued"
    training.edit(tinker={"base_url": training.url, "base_model": "lab/tiny", "steps": 30, "chunk_steps": 10})
    training.run(1)
    assert len(training.runs) == 1
