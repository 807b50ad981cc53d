"""The round trip with an agent, from the context that it is given to the sealed run of what it handed in."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core.errors import BadInput, Interrupted, Superseded
from lab.core.submission import Submission, parse
from lab.scheduler import decisions, reclaim
from lab.scheduler.dispatch import agent, offers, shown, submit
from lab.scheduler.results import replay
from lab.store import bundles, leases, packages, reading
from lab.store.root import Root
from tests.scheduler.labs import a_lab, an_experiment, me, one_run, tree
from tests.scheduler.parcels import stages

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.run import Run
    from lab.scheduler.dispatch.offers import Held

KEYS = {
    "dispatch_id", "experiment", "package_dir", "workspace_root", "mutable_paths", "read_only_paths",
    "validation_command",
    "mutation_brief_path", "metric", "metric_direction", "best_metric_value", "iteration", "role", "run_id",
    "fidelity_tier", "time_budget_minutes", "input_files", "current_files",
}  # fmt: skip
RESULT_KEYS = {
    "dispatch_id", "experiment", "outcome", "accepted", "candidate_value", "previous_best_value", "reference_source",
    "changed_files",
}  # fmt: skip
OUTSIDE = "/var/labctl-escape"
EVALUATE = """\
import json, os
import model
with open(os.environ["LAB_RUN_DIR"] + "/metrics.json", "w") as file:
    json.dump({"loss": model.LOSS}, file)
"""
MORE = """\
workspace_root: {workspace}
validation_command: {python} evaluate.py
mutable_paths: [model.py, "lib/*"]
read_only_paths: [evaluate.py]
time_budget: 10s
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    place = tmp_path / "ws"
    place.mkdir()
    (place / "model.py").write_text("LOSS = 5.0\n")
    (place / "evaluate.py").write_text(EVALUATE)
    return place


@pytest.fixture
def root(tmp_path: Path, workspace: Path) -> Root:
    made = a_lab(tmp_path / "lab")
    an_experiment(made, "alpha", MORE.format(workspace=workspace, python="python3"))
    world = msgspec.structs.replace(made.world, environ=dict(os.environ))
    return Root(made.layout.root, world, files=made.files)


def taken(root: Root, **more: object) -> Held:
    held, said = agent.next_package(root, agent.WORKER, only=("alpha",), now=True, **more)  # type: ignore[arg-type]
    assert held is not None, said
    return held


def hand_in(root: Root, held: Held, changes: dict[str, str], reasoning: str = "a smaller loss") -> submit.Tried:
    given = Submission(dispatch_id=held.place.dispatch_id, changes=changes, reasoning=reasoning)
    return submit.submit(root, agent.WORKER, given, interrupted=lambda: "")


def runs(root: Root) -> list[Run]:
    found = [bundles.load_seal(root.layout.run("alpha", name)) for name in bundles.names(root, "alpha")]
    return [each[0].run for each in found if each is not None]


def test_an_agent_is_told_all_that_it_has_to_know(root: Root, workspace: Path) -> None:
    told = agent.context(root, taken(root))
    assert set(told) >= KEYS
    assert told["current_files"] == {"model.py": "LOSS = 5.0\n"}
    assert told["workspace_root"] == str(workspace)
    assert told["time_budget_minutes"] == pytest.approx(10 / 60)
    assert told["best_metric_value"] is None
    for path in (*told["input_files"].values(), told["mutation_brief_path"]):  # type: ignore[attr-defined]
        assert os.path.isfile(path)
    assert json.loads(json.dumps(told)) == told


def test_what_is_told_is_bounded(root: Root, workspace: Path) -> None:
    (workspace / "lib").mkdir()
    for number in range(80):
        (workspace / "lib" / f"f{number}.py").write_text("x" * 20_000)
    (workspace / "lib" / "large.py").write_text("x" * 200_000)
    (workspace / "lib" / "binary").write_bytes(b"\xff\x00")
    told = agent.context(root, taken(root))
    assert len(json.dumps(told)) < 2 * shown.ALL_BYTES
    left_out = told["current_files_left_out"]
    assert isinstance(left_out, list)
    assert {"lib/large.py", "lib/binary"} & set(left_out)


def test_the_change_is_what_was_measured(root: Root, workspace: Path) -> None:
    # In the peer a validator that imports a changed module measured the original one.
    held = taken(root)
    tried = hand_in(root, held, {"model.py": "LOSS = 1.5\n"})
    assert set(msgspec.to_builtins(tried.ruling)) >= RESULT_KEYS
    assert (tried.ruling.accepted, tried.ruling.candidate_value, tried.ingested) == (True, 1.5, True)
    assert (tried.ruling.reference_source, tried.ruling.changed_files) == ("none", ("model.py",))
    assert [(run.outcome, run.value, run.verdict) for run in runs(root)] == [("success", 1.5, "keep")]
    assert (workspace / "model.py").read_text() == "LOSS = 5.0\n"
    assert stages(root) == {}


def test_a_validator_named_by_its_whole_path_measures_the_change_too(root: Root, workspace: Path) -> None:
    with open(root.layout.spec("alpha"), encoding="utf-8") as file:
        text = file.read()
    with open(root.layout.spec("alpha"), "w", encoding="utf-8") as file:
        file.write(text.replace("python3 evaluate.py", f"python3 {workspace}/evaluate.py"))
    assert hand_in(root, taken(root), {"model.py": "LOSS = 1.5\n"}).ruling.candidate_value == 1.5


def test_a_validator_in_a_folder_of_its_own_imports_what_was_changed(root: Root, workspace: Path) -> None:
    (workspace / "checks").mkdir()
    (workspace / "evaluate.py").rename(workspace / "checks" / "evaluate.py")
    with open(root.layout.spec("alpha"), encoding="utf-8") as file:
        text = file.read()
    with open(root.layout.spec("alpha"), "w", encoding="utf-8") as file:
        file.write(text.replace("python3 evaluate.py", "python3 checks/evaluate.py"))
    assert hand_in(root, taken(root), {"model.py": "LOSS = 1.5\n"}).ruling.candidate_value == 1.5


def test_only_what_is_strictly_better_than_the_best_of_its_tier_is_accepted(root: Root) -> None:
    one_run(root, "alpha", 2.0)
    assert not hand_in(root, taken(root), {"model.py": "LOSS = 2.0\n"}).ruling.accepted
    tried = hand_in(root, taken(root), {"model.py": "LOSS = 1.0\n"})
    assert tried.ruling.accepted
    assert (tried.ruling.previous_best_value, tried.ruling.reference_source) == (2.0, "best-so-far")
    assert [run.verdict for run in runs(root)] == ["", "discard", "keep"]


def test_a_failed_validation_is_a_failed_run(root: Root) -> None:
    # In the peer it was recorded nowhere, the package was stuck, and trying again failed with `File exists`.
    tried = hand_in(root, taken(root), {"model.py": "raise SystemExit(3)\n"})
    assert (tried.ruling.outcome, tried.ruling.accepted, tried.ruling.candidate_value) == ("failed", False, None)
    assert tried.ingested
    assert [(run.outcome, run.value, run.verdict) for run in runs(root)] == [("failed", None, "checks_failed")]
    assert hand_in(root, taken(root), {"model.py": "LOSS = 1.0\n"}).ruling.accepted


def test_a_validation_that_cannot_start_is_a_failed_run_with_the_reason(root: Root) -> None:
    with open(root.layout.spec("alpha"), encoding="utf-8") as file:
        text = file.read()
    with open(root.layout.spec("alpha"), "w", encoding="utf-8") as file:
        file.write(text.replace("python3 evaluate.py", "no-such-program-anywhere"))
    tried = hand_in(root, taken(root), {"model.py": "LOSS = 1.0\n"})
    assert tried.ruling.outcome == "failed"
    assert "no-such-program-anywhere" in tried.ruling.reason


def test_a_validation_keeps_its_budget(root: Root) -> None:
    with open(root.layout.spec("alpha"), encoding="utf-8") as file:
        text = file.read()
    with open(root.layout.spec("alpha"), "w", encoding="utf-8") as file:
        file.write(text.replace("time_budget: 10s", "time_budget: 0.5s"))
    tried = hand_in(root, taken(root), {"model.py": "import time\ntime.sleep(60)\nLOSS = 1.0\n"})
    assert tried.ruling.outcome == "timeout"


@pytest.mark.parametrize(
    "changes",
    [{OUTSIDE: "x"}, {"../x": "x"}, {"evaluate.py": "cheat"}, {"setup.py": "x"}, {"Evaluate.PY": "x"}],
)
def test_a_refused_change_writes_nothing_and_the_package_is_still_there_for_a_better_one(
    root: Root, workspace: Path, changes: dict[str, str]
) -> None:
    held = taken(root)
    before = tree(str(workspace)), tree(held.path), tree(root.layout.experiments)
    with pytest.raises(BadInput):
        hand_in(root, held, {"model.py": "LOSS = 0.0\n", **changes})
    assert (tree(str(workspace)), tree(held.path), tree(root.layout.experiments)) == before
    assert not os.path.exists(OUTSIDE)
    assert hand_in(root, held, {"model.py": "LOSS = 1.0\n"}).ruling.accepted


def test_what_is_kept_is_the_change_and_not_the_workspace(root: Root, workspace: Path) -> None:
    # The peer kept 38 MB a run of a workspace of 20 MB.
    (workspace / "data.bin").write_bytes(os.urandom(1 << 20))
    hand_in(root, taken(root), {"model.py": "LOSS = 1.0\n"})
    (run,) = runs(root)
    bundle = root.layout.run("alpha", run.run_id)
    kept = tree(bundle)
    assert sum(map(len, kept.values())) < 60_000
    assert kept["artifacts/changes/model.py"] == b"LOSS = 1.0\n"
    assert kept["artifacts/changed-files.txt"] == b"model.py\n"
    assert b"+LOSS = 1.0" in kept["artifacts/diff.patch"]
    assert b"a smaller loss" in kept["RESULT.md"]
    assert json.loads(kept["artifacts/decision.json"])["accepted"] is True
    assert os.listdir(root.layout.place("scratch/sandbox")) == []


def test_a_lab_inside_its_workspace_is_not_copied(tmp_path: Path, workspace: Path) -> None:
    made = a_lab(workspace / "lab-data")
    an_experiment(made, "alpha", MORE.format(workspace=workspace, python="python3"))
    root = Root(made.layout.root, msgspec.structs.replace(made.world, environ=dict(os.environ)), files=made.files)
    assert hand_in(root, taken(root), {"model.py": "LOSS = 1.0\n"}).ruling.accepted
    assert not os.path.exists(f"{root.layout.root}/scratch/sandbox/lab-data")


def test_a_submission_for_a_lost_lease_is_told(root: Root) -> None:
    held = taken(root)
    reclaim.broken(root, "alpha", held.manifest.generation, actor="ann")
    with pytest.raises(Superseded):
        hand_in(root, held, {"model.py": "LOSS = 1.0\n"})


def test_a_submission_of_another_worker_is_refused(root: Root) -> None:
    held = taken(root)
    given = Submission(dispatch_id=held.place.dispatch_id, changes={"model.py": "LOSS = 1.0\n"})
    with pytest.raises(BadInput, match="claimed by"):
        submit.submit(root, "somebody", given, interrupted=lambda: "")


def test_what_a_killed_attempt_left_is_not_taken_for_the_next_one(root: Root) -> None:
    held = taken(root)
    with open(f"{held.path}/run/metrics.json", "w", encoding="utf-8") as file:
        file.write('{"loss": -1}')
    tried = hand_in(root, held, {"model.py": "raise SystemExit(0)\n"})  # ends well, and measures nothing
    assert (tried.ruling.outcome, tried.ruling.candidate_value) == ("failed", None)


def test_an_interrupted_attempt_records_nothing_and_can_be_made_again(root: Root) -> None:
    held = taken(root)
    given = Submission(dispatch_id=held.place.dispatch_id, changes={"model.py": "import time\ntime.sleep(60)\n"})
    with pytest.raises(Interrupted):
        submit.submit(root, agent.WORKER, given, interrupted=lambda: "SIGINT")
    assert runs(root) == []
    assert stages(root) == {"running": 1}
    assert hand_in(root, held, {"model.py": "LOSS = 1.0\n"}).ruling.accepted


def test_nothing_due_is_nothing_and_again_gives_back_what_is_at_hand(root: Root) -> None:
    held = taken(root)
    assert agent.next_package(root, agent.WORKER, only=("alpha",), now=True)[0] is None
    again, _ = agent.next_package(root, agent.WORKER, only=("alpha",), again=True)
    assert again is not None
    assert again.place == held.place


def test_an_experiment_that_cannot_be_measured_is_refused_before_it_is_claimed(root: Root) -> None:
    # In the peer the demo made twenty orphan packages for want of a validation_command.
    an_experiment(root, "bare")
    with pytest.raises(BadInput, match="validation_command"):
        agent.next_package(root, agent.WORKER, only=("bare",), now=True)
    assert leases.survey(root, "bare") == leases.Survey()
    held, _ = agent.next_package(root, agent.WORKER)
    assert held is not None
    assert held.place.experiment == "alpha"
    assert stages(root) == {"running": 1}


def test_the_policy_is_asked_after_a_submission(root: Root) -> None:
    with open(root.layout.spec("alpha"), "a", encoding="utf-8") as file:
        file.write("stop_conditions: [{target: 1.0}]\nfidelity_promotion_rule: manual\n")
    decisions.set_tier(root, "alpha", "final", reason="", actor="ann")
    hand_in(root, taken(root), {"model.py": "LOSS = 0.5\n"})
    status = json.loads(reading.read(root.layout.status("alpha")) or b"{}")
    assert status["phase"] == "completed"


def test_a_submission_that_is_none_is_refused_in_words() -> None:
    for data in (b"", b"[]", b"{", b'{"changes": {"a": 1}}', b"\xff", b'{"changes": []}'):
        with pytest.raises(BadInput, match="no submission"):
            parse(data)


def test_an_executable_validator_in_the_copy_is_started(root: Root, workspace: Path) -> None:
    script = workspace / "check.sh"
    script.write_text("#!/bin/sh\necho METRIC loss=0.25\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    with open(root.layout.spec("alpha"), encoding="utf-8") as file:
        text = file.read()
    with open(root.layout.spec("alpha"), "w", encoding="utf-8") as file:
        file.write(text.replace("python3 evaluate.py", "./check.sh"))
    assert hand_in(root, taken(root), {"model.py": "x"}).ruling.candidate_value == 0.25


def test_a_package_of_an_agent_is_one_like_any_other(root: Root) -> None:
    held = taken(root)
    assert [each.name for each in packages.found(root, "running")] == [held.place.name]
    assert offers.renew(root, held.place.dispatch_id, agent.WORKER) is None


@pytest.mark.parametrize("tier", ["", "final_"])
def test_a_promise_to_apply_what_is_accepted_is_refused_where_nothing_would(root: Root, tier: str) -> None:
    more = MORE.format(workspace="/tmp", python="python3") + f"{tier}promotion_strategy: apply-on-accept\n"  # noqa: S108  # only named
    with pytest.raises(BadInput, match="is for code loops") as told:
        an_experiment(root, "beta", more)
    assert "executor: reference" in told.value.fix
    assert not os.path.isdir(root.layout.experiment("beta"))


def test_what_an_agent_handed_in_is_replayed_with_its_change(root: Root, workspace: Path) -> None:
    tried = hand_in(root, taken(root), {"model.py": "LOSS = 1.5\n", "lib/new.py": "x = 1\n"})
    before = tree(str(workspace))
    done = replay.replay(root, tried.ruling.run_id, owner=me(), interrupted=lambda: "")
    assert (done.before.value, done.after.value, done.equal) == (1.5, 1.5, True), done.after.reason
    assert not any("not made again" in warning for warning in done.warnings)
    assert tree(str(workspace)) == before
    assert os.listdir(os.path.dirname(root.layout.sandbox("x"))) == []
