"""With the client of the protocol's own people, over real pipes, in both eras. It checks every answer it gets."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import anyio
import pytest
from mcp import MCPError
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters

from lab.mcp import tools
from tests.cli.labs import process, runs_of
from tests.mcp.wire import SHIM, Waiting, a_lab_that_runs, a_lab_that_waits, until
from tests.scheduler.labs import one_run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

pytestmark = pytest.mark.heavy


@pytest.fixture(params=["legacy", "auto", "2026-07-28"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def session(place: str, mode: str, work: Callable[[Client], Awaitable[None]]) -> None:
    """A client that does this work. It passes little of its environment on, as clients do."""

    async def main() -> None:
        command = [SHIM, "--data-root", place, "mcp", "serve"]
        server = StdioServerParameters(command=sys.executable, args=command, env={"HOME": os.environ["HOME"]})
        async with Client(server, mode=mode, read_timeout_seconds=15) as client:
            await work(client)

    anyio.run(main)


def test_it_finds_out_who_we_are_and_what_there_is(mode: str, tmp_path: Path) -> None:
    root = a_lab_that_runs(tmp_path / "lab")

    async def work(client: Client) -> None:
        assert client.protocol_version == ("2025-11-25" if mode == "legacy" else "2026-07-28")
        if mode != "2026-07-28":  # who knows the version beforehand asks nobody
            assert client.server_info is not None
            assert client.server_info.name == "labctl"
            assert "approves" in (client.instructions or "")
        if mode == "legacy":
            with pytest.warns(Warning, match="ping"):
                await client.send_ping()
        listed = await client.list_tools()
        assert [tool.name for tool in listed.tools] == [tool.name for tool in tools.TOOLS]
        assert all(tool.output_schema and tool.annotations for tool in listed.tools)
        resources = [str(each.uri) for each in (await client.list_resources()).resources]
        assert "lab://experiments/alpha/SUMMARY.md" in resources
        assert len((await client.list_resource_templates()).resource_templates) == 6
        for uri in resources:
            assert (await client.read_resource(uri)).contents
        with pytest.raises(MCPError, match="no resource"):
            await client.read_resource("lab://experiments/../secret")
        with pytest.raises(MCPError, match="no tool"):
            await client.call_tool("lab_approve", {"proposal": "alpha-1"})

    session(root.layout.root, mode, work)


def test_it_finds_every_answer_valid(mode: str, tmp_path: Path) -> None:
    root = a_lab_that_runs(tmp_path / "lab")
    with open(root.layout.spec("alpha"), "a", encoding="utf-8") as spec:
        spec.write("search_space: {lr: {low: 0.0, high: 1.0}}\n")
    first, last = one_run(root, "alpha", 0.5).run.run_id, one_run(root, "alpha", 0.25).run.run_id
    calls: list[tuple[str, dict[str, object]]] = [
        ("lab_status", {}),
        ("lab_list", {"experiment": "alpha"}),
        ("lab_context", {"experiment": "alpha"}),
        ("lab_get_run", {"run": first}),
        ("lab_compare", {"first": first, "second": last}),
        ("lab_tail", {"name": "alpha"}),
        ("lab_search_space", {"experiment": "alpha"}),
        ("lab_trainings", {}),
        ("lab_research", {}),
        ("lab_propose", {"experiment": "alpha", "params": {"lr": 0.1}, "rationale": "lower"}),
        ("lab_run_once", {"experiment": "alpha", "now": True}),
        ("lab_pause", {"experiment": "alpha"}),
    ]
    assert {name for name, _ in calls} == {tool.name for tool in tools.TOOLS}

    async def work(client: Client) -> None:
        await client.list_tools()  # with their schemas, by which it judges what comes
        for name, given in calls:
            told = await client.call_tool(name, given)
            assert not told.is_error, told
            assert isinstance(told.structured_content, dict)
        refused = await client.call_tool("lab_pause", {"experiment": "alfa"})
        assert refused.is_error
        refused = await client.call_tool("lab_pause", {"experiment": "--yes"})
        assert refused.is_error

    session(root.layout.root, mode, work)
    assert process("list", "--json", root=root.layout.root).data["experiments"]


def test_it_is_told_of_progress_and_can_cancel(mode: str, tmp_path: Path) -> None:
    waiting: Waiting = a_lab_that_waits(tmp_path / "lab")
    told: list[float] = []

    async def work(client: Client) -> None:
        async def heard(progress: float, total: float | None, message: str | None) -> None:
            told.append(progress)

        async with anyio.create_task_group() as group:

            async def call() -> None:
                given = {"experiment": "alpha", "now": True}
                await client.call_tool("lab_run_once", given, progress_callback=heard)

            group.start_soon(call)
            await anyio.to_thread.run_sync(until, lambda: waiting.begun.exists() and told)
            status = await client.call_tool("lab_status", {})
            assert status.structured_content["data"]["claims"] == {"alpha": 1}
            group.cancel_scope.cancel()
        await anyio.to_thread.run_sync(until, lambda: not waiting.is_alive())

    session(waiting.root.layout.root, mode, work)
    (run,) = runs_of(waiting.root, "alpha")
    assert process("show", run, "--json", root=waiting.root.layout.root).data["outcome"] == "cancelled"
    assert process("lease", "show", "--json", root=waiting.root.layout.root).data["claims"] == []
