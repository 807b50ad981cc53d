"""A data root as hermes-lab leaves it after some weeks: what it offers, and the damage that it does to itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FOLDERS = (
    "registry/locks", "control/inbox", "control/approvals", "control/outbox", "digests/daily", "digests/weekly",
    "dispatch/ready", "dispatch/running", "dispatch/complete", "backups", "scratch",
)  # fmt: skip
DAY = "2026-03-2"
BROKEN_SPEC = "id: curve\ngoal: a : b\n  nested: [\n"
SPECS = {
    "valley": """\
id: valley
goal: Find the lowest point of a curved valley
metric: loss
metric_direction: minimize
priority: high
autonomous: true
cadence: hourly
time_budget_minutes: 5
max_iterations_total: 40
executor_command: python3 evaluate.py
worker_roles:
  - scout
  - critic
""",
    "reader": """\
id: reader
goal: Read more papers
metric: score
metric_direction: maximize
cadence: 30
time_budget_minutes: 10
max_iterations_total: 20
executor_command: python3 read.py
""",
}
# What comes over, run by run: outcome and value as they are to be here.
VALLEY = {
    f"RUN-2026032{n}-090000-000001-{'critic' if n % 2 else 'scout'}": told
    for n, told in enumerate(
        (
            ("success", 4.5),
            ("success", 0.75),  # the best that was measured
            ("failed", None),  # had the value 0, and was the "best" of the old lab
            ("timeout", None),  # had the value 0 too
            ("success", None),  # had the value 1, which was its exit code
            ("success", None),  # NaN
            ("success", 1.25),  # its logs are not text
        )
    )
}
READER = {
    "RUN-20260320-100000-000002-researcher": ("success", 7.0),
    "RUN-20260321-100000-000002-critic": ("crash", None),
}
EXPECTED = {"valley": VALLEY, "reader": READER}
RUNS = len(VALLEY) + len(READER)
FALSE_VALUES = 4  # failed, timeout, an exit code, crashed
LEFT_RUNNING = "RUN-20260328-090000-000001-scout"
TRUNCATED = "RUN-20260329-090000-000001-critic"
NOT_UTF8 = b"caf\xe9 \xff\xfe\x00 half of it\n"


def a_hermes_root(path: Path) -> Path:
    """Write the whole of it."""
    for name in FOLDERS:
        (path / name).mkdir(parents=True)
    for name in ("README-FIRST.md", "PROGRAM.md", "CHANGELOG.md", "LAB-STATUS.md"):
        _text(path / name, f"# {name}\n")
    _valley(path / "experiments/valley")
    _reader(path / "experiments/reader")
    _the_lab(path)
    return path


def refuse_spec(root: Path, experiment: str = "reader") -> None:
    """A SPEC that the old parser took and ours does not."""
    _text(root / "experiments" / experiment / "SPEC.yaml", BROKEN_SPEC)


def _valley(place: Path) -> None:
    _text(place / "SPEC.yaml", SPECS["valley"])
    given: dict[int, dict[str, object]] = {
        0: {"value": 4.5},
        1: {"value": 0.75, "params": {"x": 1.0}},
        2: {"value": 0, "source": "executor", "returncode": 1},
        3: {"value": 0, "source": "executor", "error": "timeout"},
        4: {"value": 1, "source": "executor", "returncode": 0},
        5: {"value": float("nan")},
        6: {"value": 1.25},
    }
    for number, (run_id, (outcome, _)) in enumerate(VALLEY.items()):
        _run(place, run_id, outcome, {"iteration": number + 1, "metric": "loss", **given[number]}, number)
    last = list(VALLEY)[-1]
    for name in ("stdout.log", "stderr.log"):
        (place / "runs" / last / name).write_bytes(NOT_UTF8)
    workspace = place / "runs" / last / "artifacts/workspace"
    _text(workspace / "src/train.py", "x = 1\n" * 100)
    _text(workspace.parent / "diff.patch", "--- a\n+++ b\n")
    _text(workspace.parent / "commands/validation.stdout.log", "1.25\n")
    _run(place, LEFT_RUNNING, "running", {}, 8)
    (place / "runs" / LEFT_RUNNING / "metrics.json").unlink()
    _run(place, TRUNCATED, "success", {"value": 0.01}, 9)
    manifest = place / "runs" / TRUNCATED / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:60])
    best = list(VALLEY)[2]
    _status(place, "valley", "paused", "minimize", best=best, best_value=0, reason="5 consecutive failures")
    _pages(place, best)


def _reader(place: Path) -> None:
    _text(place / "SPEC.yaml", SPECS["reader"])
    first, second = READER
    _run(place, first, "success", {"iteration": 1, "metric": "score", "value": 7, "papers": 12}, 0)
    _run(place, second, "crashed", {"iteration": 2, "metric": "score", "value": 0}, 1)
    _status(place, "reader", "active", "maximize", best=first, best_value=7, reason="")
    _pages(place, first)


def _run(place: Path, run_id: str, status: str, metrics: dict[str, object], number: int) -> None:
    folder = place / "runs" / run_id
    started = f"{run_id[4:8]}-{run_id[8:10]}-{run_id[10:12]}T{run_id[13:15]}:00:00.000001+00:00"
    manifest = {
        "schema_version": 1,
        "run_id": run_id,
        "experiment": place.name,
        "role": run_id.rsplit("-", 1)[1],
        "started_at": started,
        "executor_profile": "default",
        "repo_root": "/home/ann/hermes-lab",
        "repo_revision": "a2fe4fe",
        "lease_id": f"lease-{number}",
        "fidelity_tier": "default",
        "executor_class": "default",
        "time_budget_minutes": 5,
        "status": status,
        "completed_at": started.replace(":00:00.", ":03:00."),
    }
    _text(folder / "manifest.json", json.dumps(manifest, indent=2))
    _text(folder / "metrics.json", json.dumps(metrics))
    _text(folder / "plan.md", f"# Plan {run_id}\n")
    _text(folder / "RESULT.md", f"# Result\n\nOutcome: {status}\n\n## Next\nTry {number}.\n")
    _text(folder / "stdout.log", f"step {number}\n")
    _text(folder / "stderr.log", "")
    (folder / "artifacts").mkdir()


def _status(
    place: Path, name: str, phase: str, direction: str, *, best: str, best_value: float, reason: str
) -> None:  # fmt: skip
    told = {
        "schema_version": 1,
        "id": name,
        "phase": phase,
        "created_at": "2026-03-19T08:00:00.000000+00:00",
        "created_by": "labctl",
        "goal": "",
        "metric": "",
        "metric_direction": direction,
        "priority": "normal",
        "autonomous": True,
        "fidelity_tiers": ["default"],
        "current_fidelity_tier": "default",
        "next_fidelity_tier": None,
        "executor_class": "default",
        "run_count_by_tier": {"default": 9},
        "run_count": 9,
        "best_run": best,
        "best_metric_value": best_value,
        "next_due_at": "2026-03-29T10:00:00+00:00",
        "current_lease": None,
        "current_dispatch": None,
        "blocked_reason": reason,
        "tags": [],
    }
    _text(place / "STATUS.json", json.dumps(told, indent=2))


def _pages(place: Path, best: str) -> None:
    for name in ("RUNBOOK.md", "SUMMARY.md", "NEXT.md", "context.md", "best.md", "metrics.jsonl"):
        _text(place / name, f"{name} of {place.name}\n")
    _text(place / "checkpoints/best-run.txt", f"{best}\n")
    _text(place / "checkpoints/latest-run.txt", f"{best}\n")


def _the_lab(path: Path) -> None:
    events = [
        {"schema_version": 1, "type": kind, "ts": f"{DAY}0T08:00:00+00:00", "experiment": "valley"}
        for kind in ("experiment_created", "lease_acquired", "run_completed", "scheduler_updated", "lease_released")
    ]
    _text(path / "registry/events.jsonl", "".join(json.dumps(each) + "\n" for each in events))
    lock = {"schema_version": 1, "lease_id": "x", "experiment": "valley", "owner": "mac.local:812", "run_id": "r"}
    _text(path / "registry/locks/valley.lock/info.json", json.dumps(lock))
    index = {
        "schema_version": 1,
        "generated_at": f"{DAY}8T10:00:00+00:00",
        "data_root": str(path),
        "alerts": [],
        "free_gb": 100.0,
        "counts_by_phase": {"paused": 1, "active": 1},
        "dispatch": {"counts_by_stage": {"ready": 0, "running": 0, "complete": 1}, "packages": []},
        "experiments": [{"id": name, "phase": "active", "run_count": 9} for name in ("reader", "valley")],
    }
    _text(path / "LAB-INDEX.json", json.dumps(index, indent=2))
    package = path / "dispatch/complete/DISPATCH-20260320T100000-reader"
    _text(package / "dispatch.json", json.dumps({"schema_version": 1, "experiment": "reader", "stage": "complete"}))
    _text(package / "INGESTED.txt", "2026-03-20\n")
    _text(path / "control/inbox/CMD-20260320-create.json", json.dumps({"schema_version": 1, "intent": "create"}))
    _text(path / f"digests/daily/{DAY}0.md", "# Daily\n")


def _text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
