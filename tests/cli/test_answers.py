"""Every kind of answer that the contract tells of is printed here by a real command, and is as the contract says."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema  # type: ignore[import-untyped]  # its types come in a package of their own
import pytest

from lab.cli import commands, schemas
from lab.cli.shapes.table import SHAPES, JsonSchema
from lab.scheduler import cycle
from tests.cli import agreed
from tests.cli.handed import handed
from tests.cli.hermes_root import a_hermes_root
from tests.cli.searches import a_searched_lab, some_runs
from tests.cli.test_verbs import JOURNAL
from tests.cli.trainings import TUNED, a_chunk
from tests.scheduler.labs import a_lab, an_experiment, foreign, me, one_run
from tests.scheduler.loop.live import git, save

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.labs import Labctl

# Served over a pipe until its client goes away: tests/mcp. Asks a service, or loads a model: tests/tinker/cli. Depends
# on what is installed, or is started by a run: tests/research/cli.
ELSEWHERE = {
    ("mcp", "McpServed"), ("tinker", "RemoteChecked"), ("tinker", "Estimated"), ("tinker", "Downloaded"),
    ("tinker", "ServedLocally"), ("tinker", "TinyModel"), ("research", "ProjectChecked"), ("research", "PhaseWorked"),
    ("research", "Exported"), ("research", "ProjectPublished"), ("paper", "PaperVerified"),
}  # fmt: skip


class Heard:
    """Commands under --json, and which kinds of answers they gave."""

    def __init__(self, labctl: Labctl) -> None:
        self._labctl = labctl
        self.kinds: set[tuple[str, str]] = set()

    def __call__(self, *words: str, code: int = 0) -> dict[str, object]:
        said = self._labctl("--json", *words)
        assert said.code == code, said
        found = said.envelope
        verb = str(found["schema"]).removeprefix("labctl.").removesuffix("/1")
        data = found["data"]
        assert isinstance(data, dict)
        fitting = [kind for kind in SHAPES[verb] if _fits(kind, data)]
        assert fitting, words
        self.kinds |= {(verb, _name(kind)) for kind in fitting}
        return data


def _name(kind: object) -> str:
    return str(getattr(kind, "__name__", kind)) if kind != JsonSchema else "JsonSchema"


def _fits(kind: object, data: dict[str, object]) -> bool:
    schema, defs = schemas.shape((kind,))
    return bool(jsonschema.Draft202012Validator(agreed.closed({**schema, "$defs": defs})).is_valid(data))


def start(go: Heard, place: Path, tmp_path: Path) -> None:
    go()
    go("--version")
    go("init")
    go("create", "--list")
    go("create", "sweep", "--dry-run")
    go("create", "sweep")
    go("validate", "sweep")
    go("validate", "--schema")
    go("validate", "engines.yaml")
    for action in ("show", "check", "sample"):
        go("space", action, "sweep")
    a_hermes_root(tmp_path / "old")
    go("import-root", str(tmp_path / "old"))
    (tmp_path / "journal.log").write_text(JOURNAL)
    go("import", "sweep", "journal.log")
    code = some_code(tmp_path)
    settings = ("--edit", "value", "--metric", "cost", "--direction", "lower", "--measure", "sh measure.sh")
    go("autoresearch", "start", "--workspace", str(code), "--id", "loop", "--mutate", "sh less.sh", "--yes", *settings)
    go("burst", "loop", "-n", "2")
    go("autoresearch", "report", "loop")
    go("autoresearch", "export", "loop", "--output", "-")
    go("autoresearch", "resume", "loop")
    go("autoresearch", "finalize", "loop", "--dry-run")
    (tmp_path / "results.tsv").write_text("commit\tcost\tmemory_gb\tstatus\tdescription\na1b2c3d\t5.0\t1.0\tkeep\tx\n")
    told = ("--workspace", str(code), "--direction", "lower", "--measure", "sh measure.sh")
    go("autoresearch", "import", str(tmp_path / "results.tsv"), "--id", "old", *told)


def some_code(tmp_path: Path) -> Path:
    """A repository with one number in it, and what prints that number and lowers it."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "value").write_text("50\n")
    (code / "measure.sh").write_text('echo "METRIC cost=$(cat value)"\n')
    (code / "less.sh").write_text("echo $(($(cat value) - 1)) > value.new && mv value.new value\n")
    git(code, "init", "-q")
    save(code)
    return code


def run(go: Heard, place: Path, tmp_path: Path) -> None:
    root = a_searched_lab(place, more="executor: stub\n")
    some_runs(root)
    go("run-once", "--experiment", "sweep", "--now")
    go("burst", "sweep", "-n", "1", "--strategy", "random")
    go("swarm", "sweep", "-n", "2", "--strategies", "random", "perturb")
    go("guided", "sweep", "-n", "1", "--resume")
    first = min(os.listdir(root.layout.runs("sweep")))
    go("replay", first)
    go("mutate", "--provider", "stub", "--run-dir", str(tmp_path))
    code = some_code(tmp_path)
    more = f"executor: reference\nworkspace_root: {code}\nvalidation_command: cat value\nmutable_paths: [value]\n"
    an_experiment(root, "loop", more)
    begun = go("try", "loop", "--begin")["begun"]
    go("try", "loop", "--list")
    assert isinstance(begun, dict)
    (Path(begun["tree"]) / "value").write_text("40\n")
    go("try", "loop", "--description", "less")
    go("try", "loop", "--begin")
    go("try", "loop", "--drop")
    an_experiment(root, "tuned", TUNED)
    a_chunk(root, 0.5, "tuned")
    go("tinker", "runs")
    go("tinker", "runs", "tuned", "--steps")
    go("tinker", "checkpoints", "tuned")
    go("research", "new", "mine", "--mode", "A", "--offline", "--gate", "literature")
    go("research", "run", "mine")
    go("research", "approve", "mine")
    go("research", "steer", "mine", "small tables only")
    go("research", "status", "mine")
    go("research", "status")


def look(go: Heard, place: Path, tmp_path: Path) -> None:
    root = a_searched_lab(place, more="executor: stub\n")
    runs = some_runs(root)
    for words in (
        ("status",), ("list",), ("list", "sweep"), ("show", "sweep"), ("show", runs[0]), ("context", "sweep"),
        ("serve", "--port", "0", "--until-idle", "0"), ("watch", "--for", "0"), ("watch", "sweep", "--until-idle", "0"),
        ("tail", "sweep"), ("best", "sweep"), ("top", "sweep"), ("params", runs[0]), ("compare", runs[0], runs[1]),
        ("cost", "sweep"), ("cost",),
        ("board", "sweep"), ("export", "sweep"), ("export", "sweep", "--output", str(tmp_path / "runs.csv")),
        ("report", "sweep", "-o", "-"), ("report", "sweep", "-o", str(tmp_path / "picture.json")),
        ("plot", "sweep", "-o", "-"), ("plot", "sweep", "-o", str(tmp_path / "progress.svg")),
        ("report", "-o", str(tmp_path / "lab.html")), ("report", "--all", "-o", str(tmp_path / "reports")),
        ("digest", "--date", "2026-01-02"), ("weekly-digest", "--week", "2026-W01"),
    ):  # fmt: skip
        go(*words)
    (tmp_path / "run.log").write_text("METRIC loss=0.5\n")
    go("metrics", "parse", str(tmp_path / "run.log"), "--metric", "loss")
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    for results in (one, other):
        results.write_text('{"results": {"addition": {"acc,none": 0.5, "acc_stderr,none": 0.1}}}')
    go("evals", str(one))
    go("evals", str(one), str(other))
    running = cycle.begin(root, "sweep", owner=me())
    assert go("show", running.manifest.run_id)["state"] == "under way"


def steer(go: Heard, place: Path, tmp_path: Path) -> None:
    root = a_searched_lab(place, more="executor: stub\n")
    some_runs(root)
    (tmp_path / "params.json").write_text('{"lr": 0.5, "depth": 2, "kind": "adam"}')
    go("propose", "sweep", "--params", str(tmp_path / "params.json"))
    (place / "control/approvals/sweep-9.json").write_text("{")
    go("approvals")
    go("approve", "sweep-1")
    go("approvals")
    go("propose", "sweep", "--tier", "final")
    go("reject", "sweep-2", "--why", "no")
    go("set-fidelity", "sweep", "final")
    go("steer", "sweep")
    cycle.begin(root, "sweep", owner=me())
    go("cancel", "sweep")
    go("notify")
    (place / "control/notify.json").write_text('{"channels": [{"name": "me", "command": ["true"]}]}')
    go("notify", "show")
    go("notify", "test")
    for verb in ("pause", "resume", "complete", "archive"):
        go(verb, "sweep")


def work(go: Heard, place: Path, tmp_path: Path) -> None:
    root = a_searched_lab(place, more="executor: stub\n")
    go("dispatch-agent-next", code=3)
    go("dispatch-ready", "--experiment", "sweep")
    go("dispatch-work")
    go("dispatch-ingest")
    go("dispatch-ready", "--experiment", "sweep", "--now")
    claimed = go("dispatch-claim")["claimed"]
    assert isinstance(claimed, list)
    name = claimed[0]["dispatch_id"]
    go("dispatch-renew", name)
    go("dispatch-pack", name)
    os.system(f"cd {tmp_path} && tar xf {name}.tar")  # noqa: S605  # what a person types there
    go("dispatch-work", "--package", name)
    go("dispatch-unpack", f"{name}.done.tar")
    go("dispatch-ingest")
    go("dispatch-ready", "--experiment", "sweep", "--now")
    claimed = go("dispatch-claim")["claimed"]
    assert isinstance(claimed, list)
    go("dispatch-complete", claimed[0]["dispatch_id"], "--outcome", "failed")
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws/model.txt").write_text("5\n")
    more = f"workspace_root: {tmp_path}/ws\nvalidation_command: cat model.txt\nmutable_paths: [model.txt]\n"
    an_experiment(root, "loop", more)
    task = go("dispatch-agent-next", "--experiment", "loop")
    change = {"dispatch_id": task["dispatch_id"], "changes": {"model.txt": "3\n"}, "reasoning": "less"}
    (tmp_path / "change.json").write_text(json.dumps(change))
    go("dispatch-agent-submit", "change.json")
    an_experiment(root, "placed", "executor: stub\n")
    go("exec", "placed", handed(root, "placed", number="7").manifest.run_id)
    an_experiment(root, "away", "executor: stub\n")
    an_experiment(root, "here", "executor: stub\n")
    go("worker", "--experiment", "here", "--max-runs", "1")
    (tmp_path / "in").mkdir()
    go("courier", "post", "--experiment", "away", "--send", f"mv {{file}} {tmp_path}/in/")
    go("worker", "--inbox", "in", "--until-idle", "0", "--send", "mv {file} post")
    go("courier", "post", "--experiment", "away")


def keep(go: Heard, place: Path, tmp_path: Path) -> None:
    root = a_searched_lab(place, more="executor: stub\n")
    some_runs(root)
    for _ in range(4):
        one_run(root, "sweep")
    cycle.begin(root, "sweep", owner=foreign())
    go("doctor")
    go("watchdog")
    go("verify")
    go("refresh")
    shown = go("lease", "show")["claims"]
    assert isinstance(shown, list)
    go("lease", "break", "sweep", "--generation", str(shown[0]["generation"]), "--yes")
    go("recover")
    go("schedule", "install", "--backend", "cron", "--print")
    go("schedule", "status")
    go("schedule", "remove")
    pruned = go("prune", "--keep", "5", "--yes")["experiments"]
    assert isinstance(pruned, list)
    archived = pruned[0]["runs"][0]
    assert go("show", archived)["state"] == "archived"
    go("prune", "--restore", pruned[0]["archive"])


def more(go: Heard, place: Path, tmp_path: Path) -> None:
    a_lab(place)
    go("mcp", "install", "cursor", "--print")
    go("mcp", "install", "cursor", "--dry-run")
    go("skills", "list")
    go("skills", "show", "labctl-operate")
    go("skills", "lint", "labctl-operate")
    go("skills", "install", "--dry-run")
    for words in (("schema", "status"), ("schema", "--list"), ("explain", "3"), ("explain", "--list")):
        go(*words)
    go("completion", "bash")


# group of the overview -> what goes through all that its verbs can answer
GROUPS: dict[str, Callable[[Heard, Path, Path], None]] = {
    commands.START: start,
    commands.RUN: run,
    commands.LOOK: look,
    commands.STEER: steer,
    commands.WORK: work,
    commands.KEEP: keep,
    commands.MORE: more,
}


# Some start a program in this process, whose other threads (the test runner's) are idle in the child.
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("group", GROUPS)
def test_every_kind_of_answer_is_given_and_is_as_it_is_told(
    group: str, labctl: Labctl, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    go = Heard(labctl)
    GROUPS[group](go, place, tmp_path)
    verbs = {command.name for command in commands.COMMANDS if command.group == group}
    verbs |= {schemas.ALONE} if group == commands.START else set()
    told = {(verb, _name(kind)) for verb in verbs for kind in SHAPES[verb]}
    assert told - go.kinds <= ELSEWHERE


def test_every_group_of_verbs_is_gone_through() -> None:
    assert set(GROUPS) == {command.group for command in commands.COMMANDS}
