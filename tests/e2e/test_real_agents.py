"""The real programs, asked by the lab: a model of chance on this machine answers them, and no key is needed.

Skipped, loudly, where one is not installed. To have them: npm install -g @anthropic-ai/claude-code @openai/codex
opencode-ai, and pip install hermes-agent.
"""

from __future__ import annotations

import os
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core.model import Model
from lab.llm import exchange
from lab.llm.command import Command
from lab.llm.exchange import Ask, Turn
from lab.scheduler import mutation
from lab.scheduler.agents.process import AgentProcess
from lab.scheduler.mutation import Order
from lab.testing.files import a_root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.llm.exchange import Attempt
    from lab.store.root import Root

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # a fork: the runner's threads are idle in it
]
PROGRAMS = [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("claude", "codex", "hermes", "opencode")]
NOWHERE = "http://127.0.0.1:9/v1"  # nothing listens there
BABBLE = ("", exchange.TRUNCATED, exchange.EMPTY)  # what a model of chance may come to


@pytest.fixture
def root(tmp_path: Path) -> Root:
    made = a_root(tmp_path / "lab")
    keys = {"OPENAI_API_KEY": "sk-no-such-key", "ANTHROPIC_API_KEY": "sk-no-such-key"}
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **keys}
    made.world = msgspec.structs.replace(made.world, environ=environ)
    return made


@pytest.fixture(scope="module")
def short_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that ends an answer by itself: codex asks without a limit, and chance knows no end."""
    from tests.llm import serving, tiny_model

    if find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp is not installed")
    folder = tmp_path_factory.mktemp("model")
    tiny_model.write(folder / "tiny.gguf")
    with serving.served(folder / "tiny.gguf", folder / "server.log", longest=64) as url:
        yield url


def asked(root: Root, name: str, url: str, within_s: float) -> Attempt:
    model = Model(transport="command", provider=name, model="tiny", base_url=url)
    ask = Ask(system="Answer in one word.", turns=(Turn(role="user", text="Ready?"),), max_tokens=64)
    way = Command(model, root.world.environ, AgentProcess(root))
    return way.send(ask, until=time.monotonic() + within_s, stop=lambda: False)


def left(root: Root) -> list[int]:
    """Processes that still have the mark of this lab's agents."""
    mark, found = f"LAB_RUN_DIR={root.layout.root}".encode(), []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            if mark in Path(f"/proc/{name}/environ").read_bytes():
                found.append(int(name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_real_program_asks_the_model_and_its_output_is_understood(root: Root, short_model: str, name: str) -> None:
    found = asked(root, name, short_model, 240)
    assert found.problem in BABBLE, found
    assert bool(found.text) == (not found.problem)
    if name != "hermes":  # which tells of it only where it edits
        assert found.used.sent is not None, found
        assert found.used.sent > 10
        assert found.used.answered
    assert "Ready?" in found.request
    assert left(root) == []


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_real_program_whose_model_is_not_there_ends_at_our_deadline(root: Root, name: str) -> None:
    begun_s = time.monotonic()
    found = asked(root, name, NOWHERE, 8)
    assert found.text == ""
    assert found.problem in (exchange.TIMEOUT, exchange.UNREACHABLE, exchange.FAILING, exchange.EMPTY), found
    assert found.what
    assert time.monotonic() - begun_s < 60  # not a measure: without a deadline they wait for ever
    assert left(root) == []


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_real_program_that_edits_works_on_a_copy(root: Root, short_model: str, tmp_path: Path, name: str) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "train.py").write_text("LR = 0.1\n")
    order = Order(
        workspace=str(project), prompt="Double LR in train.py.", provider=name, model="tiny", base_url=short_model,
        mutable=("train.py",), timeout_s=45, max_usd=1.0,
    )  # fmt: skip
    found = mutation.mutate(root, AgentProcess(root), order, stop=lambda: False)
    assert found.problem in (*BABBLE, exchange.FAILING, exchange.TIMEOUT), found  # chance may call tools for ever
    assert found.ran.argv[0].endswith(name)
    assert found.behind == ()
    assert [path.name for path in project.iterdir()] == ["train.py"]
    assert left(root) == []
