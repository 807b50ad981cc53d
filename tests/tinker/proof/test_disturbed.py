"""What may happen to a training of days: its process, the lab, and the service die; a bill is late. Nothing shows."""

from __future__ import annotations

import contextlib
import os
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.tinker.chunks import calls
from tests.tinker.local.asking import Asking
from tests.tinker.proof.client import BASE, Lab, ended, numbers, until
from tests.tinker.served import served

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from typing import Any

    from lab.tinker.rows import Row
    from tests.tinker.proof.conftest import NewLab

pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("proof-disturbed"), pytest.mark.timeout(150)]

STEPS, CHUNK = 12, 5
AT = 7  # the step in which it is disturbed: the third of the second chunk
HELD_S = 50.0
OPTIM = "/optim_step"


class Undisturbed(NamedTuple):
    """A training in three chunks on a good day: its steps, and the tokens of each of its chunks."""

    line: list[Row]
    tokens: list[int]


class Held(NamedTuple):
    """A training that hangs in the midst of its second chunk."""

    name: str
    burst: subprocess.Popen[bytes]
    recipe: int


class Restarting:
    """A service that can be killed, and started again on the same folder and port."""

    def __init__(self, folder: Path, bases: dict[str, str], running: ExitStack) -> None:
        self._folder, self._bases, self._running = folder, bases, running
        self._now = running.enter_context(served(folder, bases=bases))
        self.url = self._now.url

    def kill_and_restart(self) -> None:
        """As after a power cut."""
        self._now.kill()
        port = int(self.url.rpartition(":")[2])
        self._now = self._running.enter_context(served(self._folder, bases=self._bases, port=port))
        assert self._now.url == self.url


@pytest.fixture(scope="module")
def service(client: str, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restarting]:
    """One of this module's own."""
    del client
    with ExitStack() as running:
        yield Restarting(tmp_path_factory.mktemp("disturbed") / "server", {BASE: str(tiny_model)}, running)


@pytest.fixture(scope="module")
def lab(service: Restarting, new_lab: NewLab) -> Lab:
    return new_lab("disturbed-lab", service.url)


@pytest.fixture(scope="module")
def undisturbed(lab: Lab) -> Undisturbed:
    name = begun(lab, "undisturbed")
    lab.burst(name)
    return Undisturbed(lab.chain(name), [tokens(each) for each in links(lab, name)])


@pytest.fixture
def held(lab: Lab, service: Restarting, undisturbed: Undisturbed, request: pytest.FixtureRequest) -> Iterator[Held]:
    """A burst whose second chunk waits, in step AT, for an answer that is long in coming."""
    assert undisturbed.line, "it was trained before anything was held up"
    ask = Asking(service.url)
    before = calls(service.url)[OPTIM]
    ask.ok("POST", "/_fault", {"path": OPTIM, "times": AT})  # let by
    ask.ok("POST", "/_fault", {"path": OPTIM, "delay_s": HELD_S})
    name = begun(lab, f"sl-{request.function.__name__[5:25].replace('_', '-').strip('-')}")
    with ended(lab.begin("burst", name, "-n", "20")) as process:
        until(lambda: calls(service.url)[OPTIM] > before + AT)
        yield Held(name, process, recipe_of(lab, name))
    ask.ok("DELETE", "/_fault", {})


def begun(lab: Lab, name: str) -> str:
    return lab.create("tinker-sl", name, steps=STEPS, chunk_steps=CHUNK)


def links(lab: Lab, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = lab.done("tinker", "runs", name, "--json").data["links"]
    return found


def tokens(link: dict[str, Any]) -> int:
    return int(link["trained"] + link["sampled"] + link["prefilled"])


def recipe_of(lab: Lab, name: str) -> int:
    """The process of the chunk that is under way."""
    mark = f"LAB_CHUNK_PATH={lab.spec(name).parent}/".encode()
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if mark in Path(f"/proc/{pid}/environ").read_bytes():
                found.append(int(pid))
    assert len(found) == 1, found
    return found[0]


def is_gone(pid: int) -> bool:
    return not os.path.exists(f"/proc/{pid}")


def assert_nothing_shows(lab: Lab, name: str, undisturbed: Undisturbed) -> None:
    """But for one run that was cut off: its steps were paid, and are counted once and beside the chain."""
    assert numbers(lab.chain(name)) == numbers(undisturbed.line)
    told = lab.done("tinker", "runs", name, "--json").data
    assert told["phase"] == "completed"
    assert [tokens(each) for each in told["links"] if each["saved"]] == undisturbed.tokens
    (cut,) = [each for each in told["links"] if not each["saved"]]
    assert (cut["first_step"], cut["outcome"] != "success") == (CHUNK, True)
    # Whether the gradients of the step in which it was disturbed had come back by then, and so were paid, is chance.
    paid = [sum(row.trained for row in undisturbed.line[CHUNK : AT + more]) for more in (0, 1)]
    assert cut["trained"] in paid
    assert told["tokens"] == sum(undisturbed.tokens) + tokens(cut)
    verified = lab.done("verify", "--json").data
    assert (verified["damage"], verified["unsealed"], verified["torn_lines"]) == ([], 0, 0)


def test_a_chunk_that_is_killed_is_done_again_by_the_same_burst(held: Held, lab: Lab, undisturbed: Undisturbed) -> None:
    os.kill(held.recipe, signal.SIGKILL)
    assert held.burst.wait(60) == 0
    assert_nothing_shows(lab, held.name, undisturbed)


def test_a_lab_that_is_killed_takes_its_chunk_along_and_the_next_burst_goes_on(
    held: Held, lab: Lab, undisturbed: Undisturbed
) -> None:
    held.burst.kill()
    until(lambda: is_gone(held.recipe))
    lab.burst(held.name)
    assert_nothing_shows(lab, held.name, undisturbed)


def test_a_service_that_is_killed_fails_its_chunk_soon_and_the_next_goes_on_where_it_is_started_again(
    held: Held, lab: Lab, undisturbed: Undisturbed, service: Restarting
) -> None:
    service.kill_and_restart()
    assert held.burst.wait(100) == 0
    assert_nothing_shows(lab, held.name, undisturbed)


def test_on_a_bad_day_losses_are_the_same_and_a_late_bill_is_told_while_it_lasts(
    lab: Lab, service: Restarting, undisturbed: Undisturbed
) -> None:
    ask = Asking(service.url)
    for fault in (
        {"path": OPTIM, "status": 500, "times": 2},
        {"path": "/forward_backward", "status": 429},
        {"path": "/retrieve_future", "status": 500, "times": 2},
        {"path": OPTIM, "drop": "after"},
        {"path": OPTIM, "times": 4},
        {"path": OPTIM, "status": 402, "times": 1000},
    ):
        ask.ok("POST", "/_fault", fault)
    name = begun(lab, "sl-bad-day")
    with ended(lab.begin("burst", name, "-n", "20")) as burst:
        until(lambda: "paused: billing" in lab.done("tinker", "runs", name).out)
        state = lab.done("tinker", "runs", name, "--json").data["under_way"][0]["sight"]
        assert (state["state"], state["pause"]) == ("paused", "billing")
        ask.ok("DELETE", "/_fault", {})
        assert burst.wait(60) == 0
    assert "paused: billing" not in lab.done("tinker", "runs", name).out
    assert numbers(lab.chain(name)) == numbers(undisturbed.line)
    told = links(lab, name)
    assert [(each["outcome"], tokens(each)) for each in told] == [("success", count) for count in undisturbed.tokens]
    assert sum(each["paused_s"] > 0 for each in told) >= 1
