# ruff: noqa: E501  # an input or a row of a table stands on one line
"""What other programs wrote or say: logs of peers, engines, agents, services of models, skills, settings of clients."""

from __future__ import annotations

import os

import msgspec

from lab.core import candidate, engines_text, job, notice, order, peers_log, submission
from lab.core.errors import LabError
from lab.core.tuning import is_loopback
from lab.engines import door, ray_text, slurm_text
from lab.llm import http, proxy
from lab.mcp import clients
from lab.projections import text
from lab.scheduler.dispatch import postbox
from lab.scheduler.loop import ideas, started
from lab.store import hermes
from lab.tinker import credentials, dataset
from scripts.trial.fuzzing import place
from scripts.trial.fuzzing.target import Target, chosen, each, promise

_TSV = b"commit\tval_bpb\tmemory_gb\tstatus\tdescription\na1b2c3d\t0.9979\t44.0\tkeep\tbaseline\nb2c3d4e\t0\t0\tcrash\tdouble it\n"
_JSONL = (
    b'{"type": "config", "name": "n", "metricName": "ms", "metricUnit": "ms", "bestDirection": "lower"}\n'
    b'{"run": 1, "commit": "a1b2c3d", "metric": 5.5, "metrics": {"a": 1}, "status": "keep", "description": "d", '
    b'"timestamp": 1790000000000, "segment": 0, "confidence": 0.5, "asi": {"hypothesis": "h"}}\n'
)
_IDEAS = b"# Ideas\n\n- [ ] one\n  goes on\n- [x] two\n1. three\n```\n- no idea\n```\n"
_BRIEF = b"# Autoresearch: x\n\n## Objective\nmake it fast\n\n## Files in Scope\n- `a.py`\n\n## Off Limits\n- `b.py`\n"
_COMMAND = ("/usr/bin/python", "-c", "from lab.cli.main import entry; entry()", "--data-root", "/lab", "mcp", "serve")


def _lines(*rows: tuple[str, str, str, str, str, str]) -> bytes:
    widths = [width for _, width in slurm_text._FIELDS]  # noqa: SLF001  # as they are asked for
    return b"".join(
        b"".join(cell.ljust(width).encode() for cell, width in zip(row, widths, strict=True)) + b"\n" for row in rows
    )


_SQUEUE = _lines(
    ("12", "RUNNING", "0", "node1", "None", "lab-x-a-1"), ("13_4", "PENDING", "0", "", "JobHeldUser", "lab-x-b-2"),
    ("14", "FAILED", "256", "node2", "NonZeroExitCode", "lab-x-c-3"), ("15", "CANCELLED", "0:15", "", "", "lab-x-d-4"),
)  # fmt: skip
_RAY = (
    b'[{"type": "SUBMISSION", "submission_id": "lab-x-a-1.0", "status": "FAILED", "message": "m\\nn", "driver_exit_code": 1,'
    b' "driver_agent_http_address": "http://10.0.0.1:52365", "error_type": null}, {"status": "RUNNING", "submission_id": "lab-x-b"}]'
)
_ENGINES = b"default:\n  engine: slurm\n  partition: gpu\n  gres: gpu:a100:2\n  memory: 1.5G\n  time: 2h\n  setup: |\n    module load x\n  options: [--nice]\ngpu: {engine: here}\n"
_NOTIFY = b'{"channels": [{"name": "a", "webhook": "https://x/y"}, {"name": "b", "command": ["x"], "kinds": ["new-best"]}], "again_after_minutes": 5}'
_ORDER = b'{"intent": "pause", "target": "experiment:lr-sweep", "parameters": {"reason": "r"}, "idempotency_key": "k", "actor": "ann"}'
_STEER = b'{"intent": "propose", "target": "lr-sweep", "parameters": {"params": {"lr": 0.5}, "tier": null}}'
_SUBMIT = (
    b'{"dispatch_id": "DISPATCH-1", "changes": {"a.py": "x = 1\\n"}, "reasoning": "r", "asi": {"hypothesis": "h"}}'
)


def _log(data: bytes) -> None:
    """A log of a peer: each run in its place, numbers finite, a crash without a value."""
    found = peers_log.parse(data, "results.tsv")
    promise(all(found.segments[each.segment] for each in found.entries), "a run of no segment")
    for entry in found.entries:
        promise(entry.value is None or abs(entry.value) < float("inf"), "a value is not finite")
        promise(entry.status != candidate.CRASHED or entry.value is None, "a crash has a value")
    for segment in range(len(found.segments)):
        peers_log.direction(found, segment)


def _workspace(data: bytes) -> None:
    """Files of other harnesses in a workspace: a list of ideas, a brief, a log, a script."""
    words = data.decode(errors="replace")
    found = ideas.parse(words)
    promise(len({each.key for each in found}) == len(found), "the same idea twice")
    folder = place.fresh("workspace")
    for name in (
        "autoresearch.md",
        "autoresearch.sh",
        "autoresearch.jsonl",
        "train.py",
        "prepare.py",
        ".auto/config.json",
    ):
        place.file(f"workspace/{name}", data)
    started.filled(started.seen(folder).defaults, started.seen(folder).defaults)


def _root(data: bytes) -> None:
    """A data root of hermes-lab: every run as it is, or why not; a failed one without a value."""
    at, rest = chosen(data, 4)
    base = "experiments/a/runs/RUN-20261130-053300-000000-a"
    kept = {"STATUS.json": b'{"phase": "paused", "created_at": "2026-11-30T05:33:00Z"}', "SPEC.yaml": b"id: a\n"}
    manifest = b'{"run_id": "RUN-20261130-053300-000000-a", "status": "success", "started_at": "2026-11-30T05:33:00Z", "role": "a"}'
    place.fresh("hermes")
    place.folder("hermes/registry")
    place.file("hermes/registry/events.jsonl", rest if at == 0 else b'{"type": "x"}\n')
    place.file("hermes/experiments/a/SPEC.yaml", kept["SPEC.yaml"])
    place.file("hermes/experiments/a/STATUS.json", rest if at == 1 else kept["STATUS.json"])
    place.file(f"hermes/{base}/manifest.json", rest if at == 2 else manifest)  # noqa: PLR2004  # the third of the choices
    place.file(f"hermes/{base}/metrics.json", rest if at == 3 else b'{"value": 0.5}')  # noqa: PLR2004  # the fourth
    for old in hermes.experiments(place.folder("hermes")):
        for run in () if isinstance(old, str) else hermes.runs(old):
            promise(isinstance(run, str) or run.outcome == "success" or run.value is None, "a failed run has a value")


def _orders(data: bytes) -> None:
    """What was dropped into an inbox, and what an agent hands in."""
    at, rest = chosen(data, 2)
    if at:
        submission.parse(rest)
        return
    order.half(rest)
    found = order.fields(rest)
    key = order.key(found, "0" * 64)
    promise(os.path.basename(order.place(key)) == order.place(key) not in ("", ".", ".."), "a key that leads elsewhere")
    made = order.parse(found, key)
    msgspec.json.encode(made)


def _settings(data: bytes) -> None:
    """engines.yaml and notify.json, as a person wrote them."""
    at, rest = chosen(data, 2)
    if at:
        notice.parse(rest, "notify.json")
        return
    for wants in engines_text.parse(
        rest, "engines.yaml", lambda name: "" if name in ("slurm", "ray") else f"no {name}"
    ).values():
        placed = door.Placement(
            name="lab-x-a-1", argv=("/bin/true",), cwd="/", root="/lab", output="/dev/null", budget_s=300.0, wants=wants
        )
        slurm_text.script(placed)


def _engine(data: bytes) -> None:
    """What Slurm and Ray say of jobs, and of why they will not have one."""
    at, rest = chosen(data, 4)
    said = rest.decode(errors="replace")
    if at == 0:
        found = slurm_text.listed(rest, "lab-x-")
        promise(all(each.name.startswith("lab-x-") for each in found), "a job of somebody else")
    elif at == 1:
        slurm_text.exit_code(said.strip())
        slurm_text.signal(said.strip())
        promise(len(slurm_text.in_a_line(said)) <= 600 and slurm_text.fix(said), "a refusal without an end")  # noqa: PLR2004  # as it says
        slurm_text.passes(said)
        slurm_text.is_full(said)
        ray_text.in_a_line(said)
        ray_text.is_refusal(500, said)
        slurm_text.unfit(tuple(said.split()))
    elif at == 2:  # noqa: PLR2004  # the third of the choices
        found = ray_text.listed(rest, "lab-x-")
        promise(all(each.state in (job.RUNNING, job.WAITING, job.OVER) for each in found), "a state that is none")
    else:
        ray_text.is_taken(rest, "lab-x-a-1.0")
        ray_text.version(rest)


def _client(data: bytes) -> None:
    """Settings of another program with our server in them: all else as it was, or not touched."""
    at, rest = chosen(data, len(clients.CLIENTS))
    client = clients.CLIENTS[at]
    server = clients.entry(client, _COMMAND)
    made = clients.merged(client, server, rest.decode(errors="surrogateescape"), "a file")
    promise(clients.merged(client, server, made, "a file") == made, "a second time changes it")


def _shown(data: bytes) -> None:
    """What came from outside, on a page: one line, and nothing that a terminal obeys."""
    words = data.decode(errors="surrogateescape")
    line = text.line(words)
    promise(len(line) <= text.LINE_CHARS and "\n" not in line and not text.UNSEEN.search(line), "a line that is none")
    promise(text.line(line) == line, "a line of a line is another one")
    promise("\n" not in text.md(words), "a cell of a table ends it")
    block = text.block(words)
    promise(
        not text.UNSEEN.search(block.replace("\n", "")) and block.count("\n") <= text.BLOCK_LINES,
        "a block without an end",
    )
    text.rewritten(data)
    text.fenced(words)


def _address(data: bytes) -> None:
    """Addresses and what stands in variables: understood, or said to be none."""
    at, rest = chosen(data, 6)
    words = rest.decode(errors="surrogateescape")
    match at:
        case 0:
            http.address(words)
        case 1:
            proxy.chosen({"http_proxy": words}, "http", "example.org", 80)
        case 2:
            proxy.chosen({"http_proxy": "http://p:1", "no_proxy": words}, "http", "example.org", 80)
        case 3:
            credentials.check_url(words)
        case 4:
            is_loopback(words)
        case _:
            postbox.copier(words, "--fetch", blanks=("dir", "file"))


def _dataset(data: bytes) -> None:
    """Data to train on: every line checked, or all that is wrong told."""
    at, rest = chosen(data, 4)
    kind = (dataset.Demonstration, dataset.Task, dataset.Pair, dataset.Comparison)[at]
    found = dataset.parse(rest, kind, "data.jsonl")
    dataset.refuse_overlap(found, found[:0], "data.jsonl")


def _key(data: bytes) -> None:
    """A key that another program stored, and what a Python says of its torch."""
    place.file("home/.tinker/credentials.json", data)
    credentials.source({"HOME": place.folder("home")})


TARGETS = (
    Target(
        name="peers",
        what="results.tsv, autoresearch.jsonl and .auto logs",
        read=_log,
        seeds=(_TSV, _JSONL),
        words=("keep", "crash", "\t", "metric", "timestamp", "bestDirection", "status", "segment"),
        reads=("lab.core.peers_log",),
    ),
    Target(
        name="workspace",
        what="briefs, lists of ideas and logs of other harnesses in a workspace",
        read=_workspace,
        seeds=(_IDEAS, _BRIEF, _JSONL, b"METRIC ms=$x\nprint(f'METRIC val_bpb={v}')\n"),
        words=("- [ ] ", "```", "## ", "METRIC "),
        reads=("lab.scheduler.loop.ideas", "lab.scheduler.loop.started"),
    ),
    Target(
        name="hermes",
        what="a data root of hermes-lab",
        read=_root,
        head=1,
        seeds=(
            b'\x00{"type": "run", "ts": "x"}',
            b'\x01{"phase": "paused", "created_at": "2026-11-30T05:33:00Z"}',
            b'\x02{"run_id": "RUN-20261130-053300-000000-a", "status": "failed", "started_at": "2026-11-30T05:33:00+14:00"}',
            b'\x03{"value": 0.5, "metric": "loss", "returncode": 0, "source": "stub", "error": null}',
        ),
        words=("value", "started_at", "status", "0001-01-01T00:00:00+14:00"),
        reads=("lab.store.hermes",),
    ),
    Target(
        name="orders",
        what="control/inbox, and what agents hand in",
        read=_orders,
        head=1,
        seeds=(b"\x00" + _ORDER, b"\x00" + _STEER, b"\x01" + _SUBMIT),
        words=("intent", "target", "parameters", "params", "steer"),
        reads=("lab.core.order", "lab.core.submission"),
    ),
    Target(
        name="settings",
        what="engines.yaml, notify.json",
        read=_settings,
        head=1,
        seeds=(b"\x00" + _ENGINES, b"\x01" + _NOTIFY),
        words=("engine: ", "gres: ", "memory: ", "setup: ", "channels", "webhook"),
        reads=("lab.core.engines_text", "lab.core.notice"),
    ),
    Target(
        name="engines",
        what="words of Slurm, and JSON of Ray",
        read=_engine,
        head=1,
        seeds=(
            b"\x00" + _SQUEUE,
            b"\x01sbatch: error: Batch job submission failed: Invalid account or partition",
            b"\x010:15",
            b"\x02" + _RAY,
            b'\x03{"ray_version": "2.40", "submission_id": "lab-x-a-1.0"}',
        ),
        words=("RUNNING", "COMPLETED", "lab-x-", "256", "0:15", "FAILED"),
        raises=(LabError, ValueError, RecursionError),
        reads=("lab.engines.slurm_text", "lab.engines.ray_text"),
    ),
    Target(
        name="clients",
        what="settings of MCP clients: JSON, TOML, YAML",
        read=_client,
        head=1,
        seeds=(
            *each(6, b'{"mcpServers": {"x": {"command": "y"}}, "mcp": {}}', b""),
            b'\x01[mcp_servers.x]\ncommand = "y" # c\n[a]\nb = 1\n',
            b"\x03a: 1\nmcp_servers:\n  x:\n    command: y\n# c\n",
        ),
        words=("mcp_servers", "labctl", "!!int ''", "!!timestamp x", "&a", "*a", "[mcp_servers.labctl]"),
        reads=("lab.mcp.clients",),
    ),
    Target(
        name="shown",
        what="notes, logs and names, as pages show them",
        read=_shown,
        seeds=(b"\x1b[31mred\x1b[0m | a `b` <c>\n# x\n1. y\n", b"50%\r100%\r\n", b"```\n~~~\n"),
        words=("\x1b[", "\x9b", "\x1b]8;;", "\x07", "|", "```"),
        reads=("lab.projections.text",),
    ),
    Target(
        name="addresses",
        what="addresses, proxies, and commands that bring files",
        read=_address,
        head=1,
        most=512,
        seeds=each(6, b"http://user:pw@[::1]:8100/v1?x#y", b"*.example.org:80,localhost", b"rsync -a {dir} '{file}'"),
        words=("://", "@", "[", "]", ":", "%", "{dir}", "\u2100"),
        reads=(
            "lab.llm.http",
            "lab.llm.proxy",
            "lab.tinker.credentials",
            "lab.core.tuning",
            "lab.scheduler.dispatch.postbox",
        ),
    ),
    Target(
        name="dataset",
        what="data to train on",
        read=_dataset,
        head=1,
        seeds=(
            b'\x00{"prompt": "a", "completion": "b", "meta": {}}\n{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}',
            b'\x01{"prompt": "a", "answer": "b"}',
            b'\x02{"prompt": "a", "chosen": "b", "rejected": "c"}',
            b'\x03{"prompt": "a", "a": "b", "b": "c", "better": "a"}',
        ),
        words=("prompt", "messages", "role", "content", "better"),
        reads=("lab.tinker.dataset",),
    ),
    Target(
        name="keys",
        what="a key that another program stored",
        read=_key,
        seeds=(b'{"default": "a", "keys": {"a": {"key": "tml-x"}}}',),
        words=("default", "keys", "key"),
        reads=("lab.tinker.credentials",),
    ),
)
