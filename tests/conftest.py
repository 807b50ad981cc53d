"""What every test stands on: tiers, loud skips, hypothesis profiles, and an environment of its own."""

from __future__ import annotations

import gc
import itertools
import os
import shutil
import signal
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

settings.register_profile("ci", deadline=None, derandomize=False, print_blob=True, max_examples=100)
settings.register_profile("deep", settings.get_profile("ci"), max_examples=3000)  # --hypothesis-profile=deep
settings.load_profile("ci")

# Of matrices as small as a search's, threads that wait for each other are all the time: half of it with two workers.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Tests are compiled once, and not by each worker of each step; what they start is left to the environment.
sys.dont_write_bytecode = False

FOREIGN = ("LAB_", "HERMES_LAB_", "LABCTL_", "LC_")  # LC_* would win over LANG
TURN = itertools.count()
CHEAP = frozenset({"on_disk"})  # fixtures that a module need not have only once


def pytest_configure() -> None:
    """Let Ctrl-C reach the programs that tests start: a suite that a shell runs in the background has it ignored."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("labctl", "which tests of this project run")
    group.addoption("--slow", action="store_true", help="also run the tests marked slow (minutes)")
    group.addoption("--fast", action="store_true", help="leave out the tests marked heavy (seconds each)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        reason = why_not(item, slow=config.getoption("--slow"), fast=config.getoption("--fast"))
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))
    if getattr(config.option, "loadgroup", False):  # in a worker of pytest-xdist
        for item in items:
            put_into_group(item)
        items.sort(key=lambda item: "@" not in item.nodeid.rpartition("]")[2])  # a group takes long: it begins first


def put_into_group(item: pytest.Item) -> None:
    """Tell pytest-xdist what one worker is to run: the tests of a mark, and those with one fixture of a module.

    It knows a group by the end of a test's name. The name that it changes itself is none any more since pytest 9.2:
    https://github.com/pytest-dev/pytest-xdist/issues/1386
    """
    groups = {str(mark.args[0]) for mark in item.iter_markers("xdist_group")}
    if not groups:
        given = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
        if any(found[-1].scope == "module" for name, found in given.items() if name not in CHEAP):
            groups = {item.nodeid.partition("::")[0]}
    if groups and "@" not in item.nodeid.rpartition("]")[2]:
        named = getattr(item, "_id", None)
        if named is not None:
            item._id = type(named).parse(f"{item.nodeid}@{'_'.join(sorted(groups))}")


def pytest_collection_finish() -> None:
    """What was collected stays: a million objects that no collection of garbage, and no fork, has to go through."""
    gc.collect()
    gc.freeze()


def why_not(item: pytest.Item, *, slow: bool, fast: bool) -> str:
    """The reason why this test cannot run here and now, or an empty string."""
    if item.get_closest_marker("slow") and not slow:
        return "takes minutes: runs with --slow"
    if item.get_closest_marker("heavy") and fast:
        return "takes seconds: left out by --fast"
    for marker in item.iter_markers("needs"):
        for program in marker.args:
            if shutil.which(program) is None:
                return f"the program {program} is not installed here"
    if item.get_closest_marker("needs_root") and os.geteuid() != 0:
        return "needs root"
    if item.get_closest_marker("needs_user") and os.geteuid() == 0:
        return "runs as root here, whom no file mode stops"
    return ""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A skip that nobody sees is a test that nobody has: each one is named with its reason, whatever the verbosity."""
    skipped = terminalreporter.stats.get("skipped", [])
    if not skipped:
        return
    terminalreporter.section(f"{len(skipped)} skipped", yellow=True)
    for report in sorted(skipped, key=lambda report: str(report.nodeid)):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        terminalreporter.write_line(f"{report.nodeid}: {reason.removeprefix('Skipped: ')}")


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("homes")


@pytest.fixture(autouse=True)
def isolated_environment(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lab of the person who runs the tests is out of reach, and so are their settings."""
    for name in tuple(os.environ):
        if name.startswith(FOREIGN) or name == "NO_COLOR":
            monkeypatch.delenv(name)
    home = homes / str(next(TURN))
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("LANG", "C.UTF-8")


@pytest.fixture(scope="module")
def on_disk() -> Iterator[Path]:
    """A folder that is not in shared memory, where every program may write whatever fence it stands in."""
    with tempfile.TemporaryDirectory(prefix="labctl-disk-", ignore_cleanup_errors=True) as place:
        yield Path(os.path.realpath(place))


@pytest.fixture(scope="session")
def local_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real model server on this machine, whose model is made of chance. One for each test process."""
    from tests.llm import serving, tiny_model

    if find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp is not installed")
    folder = tmp_path_factory.mktemp("model")
    tiny_model.write(folder / "tiny.gguf")
    with serving.served(folder / "tiny.gguf", folder / "server.log") as url:
        yield url
