"""An agent that sends files to a code loop: shown the best code, and decided like any other candidate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.core.candidate import CHECKS_FAILED, CRASHED, DISCARD, KEEP, TRY
from lab.core.errors import BadInput, Interrupted
from lab.core.submission import Submission
from lab.scheduler.dispatch import agent, completing, ingest, mend, offers, submit
from lab.store import bundles, packages
from tests.scheduler.loop.live import BRANCH, NAME, Live, a_loop, save, sound

if TYPE_CHECKING:
    from lab.core.candidate import Candidate
    from lab.core.run import Run
    from lab.scheduler.dispatch.offers import Held

MUTABLE = "mutable_paths: [value, more/*]\n"


def taken(loop: Live, worker: str = agent.WORKER) -> Held:
    held, said = agent.next_package(loop.root, worker, only=(NAME,), now=True)
    assert held is not None, said
    return held


def send(loop: Live, held: Held, changes: dict[str, str], **more: object) -> submit.Tried:
    given = Submission(dispatch_id=held.place.dispatch_id, changes=changes, reasoning="less is better", **more)  # type: ignore[arg-type]
    return submit.submit(loop.root, held.place.worker, given, interrupted=lambda: "")


def sealed(loop: Live, run_id: str) -> tuple[Run, Candidate]:
    found = bundles.load_seal(loop.root.layout.run(NAME, run_id))
    assert found is not None
    run = found[0].run
    assert run.candidate is not None
    return run, run.candidate


def test_what_is_sent_is_measured_decided_and_kept_like_any_candidate(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec=f"promotion_strategy: branch\n{MUTABLE}")
    held = taken(loop)
    assert [loop.decided(name).candidate.kind for name in loop.runs() if name != held.manifest.run_id] == ["baseline"]
    tried = send(loop, held, {"value": "40\n"}, asi={"hypothesis": "forty is less"})
    ruling = tried.ruling
    assert (ruling.verdict, ruling.accepted, ruling.candidate_value, ruling.previous_best_value) == (KEEP, True, 40, 50)
    assert (ruling.changed_files, tried.ingested, tried.troubles) == (("value",), True, ())
    run, made = sealed(loop, ruling.run_id)
    assert (run.verdict, made.kind, made.base, made.values) == (KEEP, TRY, held.taken.base, (40.0,) * 3)
    assert run.note == "less is better"
    assert loop.git("rev-parse", BRANCH) == made.commit
    assert loop.git("show", f"{made.commit}:value") == "40"
    assert (loop.workspace / "value").read_text() == "50\n"
    notes = json.loads((loop.path(ruling.run_id) / "artifacts/asi.json").read_text())
    assert notes["hypothesis"] == "forty is less"
    worse = send(loop, taken(loop), {"value": "45\n"}).ruling
    assert (worse.verdict, worse.accepted, worse.previous_best_value) == (DISCARD, False, 40)
    assert not packages.under_way(loop.root)
    sound(loop)


def test_what_is_shown_is_the_best_code_and_not_the_users(tmp_path: Path) -> None:
    files = {"secret.py": "1", "more/one": "first\n", "more/two": "echo METRIC cost=2\n"}
    loop = a_loop(tmp_path, spec=f"holdout_command: sh more/two\n{MUTABLE}", files=files)
    loop.change(":", "echo 40 > value")
    (loop.workspace / "value").write_text("the user's own, half done\n")
    held = taken(loop)
    told = agent.context(loop.root, held)
    assert told["current_files"] == {"more/one": "first\n", "value": "40\n"}
    assert told["base_commit"] == loop.git("rev-parse", "refs/lab/loop/best")
    assert "measure.sh" in str(told["read_only_paths"])
    assert told["best_metric_value"] == 40
    brief = Path(str(told["mutation_brief_path"])).read_text()
    assert "dispatch-agent-submit" in brief
    assert "The next change of loop" in brief
    package = Path(str(told["package_dir"]))
    assert (package / "input/code/value").read_text() == "40\n"
    packed = json.loads((package / "input/candidate.json").read_text())
    assert (packed["base"], packed["parent"], packed["parent_value"]) == (held.taken.base, held.taken.parent, 40)
    assert "holdout" not in json.dumps(packed)


def test_an_offer_is_packed_with_the_code_and_follows_the_best_until_it_is_claimed(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec=f"max_parallel: 3\n{MUTABLE}")
    loop.change(":")
    (said,) = offers.queue(loop.root, actor="ann", max_runs=1, only=(NAME,), now=True)
    assert Path(said.path, "input/code/value").read_text() == "50\n"
    assert loop.change("echo 30 > value").verdict == KEEP
    held = taken(loop)
    assert held.place.dispatch_id == said.dispatch_id
    assert Path(held.path, "input/code/value").read_text() == "30\n"


def test_a_package_whose_base_was_overtaken_is_compared_with_the_best_of_now(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec=f"max_parallel: 2\n{MUTABLE}")
    one, other = taken(loop, "one"), taken(loop, "other")
    assert one.taken.base == other.taken.base
    assert send(loop, one, {"value": "30\n"}).ruling.verdict == KEEP
    late = send(loop, other, {"value": "40\n"}).ruling
    assert (late.verdict, late.previous_best_value) == (DISCARD, 30)
    _, made = sealed(loop, late.run_id)
    assert (made.base, made.parent) == (other.taken.base, other.taken.parent)
    sound(loop)


@pytest.mark.parametrize("path", ["measure.sh", "other", "../out", ".git/config"])
def test_a_wrong_path_refuses_the_change_and_the_package_stays(tmp_path: Path, path: str) -> None:
    loop = a_loop(tmp_path, spec=MUTABLE)
    held = taken(loop)
    with pytest.raises(BadInput, match="may not"):
        send(loop, held, {"value": "1\n", path: "echo METRIC cost=0\n"})
    assert send(loop, held, {"value": "40\n"}).ruling.verdict == KEEP
    sound(loop)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [({"value": "5\n", "more/new": "bad\n"}, CHECKS_FAILED), ({"value": "nan\n"}, CRASHED), ({}, DISCARD)],
    ids=["its checks fail", "it prints no number", "nothing is sent"],
)
def test_what_is_no_gain_is_a_run_with_its_verdict(tmp_path: Path, changes: dict[str, str], verdict: str) -> None:
    loop = a_loop(tmp_path, spec=f"checks_command: test ! -e more/new\n{MUTABLE}")
    ruling = send(loop, taken(loop), changes).ruling
    assert (ruling.verdict, ruling.accepted, ruling.candidate_value) == (verdict, False, None)
    assert sealed(loop, ruling.run_id)[0].verdict == verdict
    sound(loop)


@pytest.mark.parametrize("again", [True, False], ids=["submitted again", "found by the next verb"])
def test_a_lab_that_is_killed_after_it_decided_finishes_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, again: bool
) -> None:
    loop = a_loop(tmp_path, spec=MUTABLE)
    held = taken(loop)

    class Killed(BaseException): ...

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(completing, "complete", killed)
        with pytest.raises(Killed):
            send(loop, held, {"value": "40\n"})
    if again:
        assert send(loop, held, {"value": "1\n"}).ruling.candidate_value == 40
    else:
        mend.mend(loop.root)
        ingest.ingest(loop.root)
    run, made = sealed(loop, held.manifest.run_id)
    assert (run.verdict, run.value, len(made.values)) == (KEEP, 40, 3)
    sound(loop)


def test_who_is_interrupted_keeps_the_package_and_leaves_no_tree(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec="checks_command: sh slow\nmutable_paths: [value, slow]\n", files={"slow": ""})
    held = taken(loop)
    given = Submission(dispatch_id=held.place.dispatch_id, changes={"slow": "sleep 60\n"})
    with pytest.raises(Interrupted):
        submit.submit(loop.root, agent.WORKER, given, interrupted=lambda: "SIGINT")
    assert loop.left() == []
    assert send(loop, held, {"value": "40\n"}).ruling.verdict == KEEP
    sound(loop)


def test_a_package_that_was_claimed_before_the_baseline_gets_one(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec=MUTABLE)
    offers.queue(loop.root, actor="ann", max_runs=1, only=(NAME,), now=True)
    (held,), _ = offers.claim(loop.root, "one", only=(NAME,))
    assert held.taken.base == ""
    assert send(loop, held, {"value": "40\n"}).ruling.verdict == KEEP
    sound(loop)


def test_a_commit_of_the_users_is_not_what_a_package_begins_at(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec=MUTABLE)
    held = taken(loop)
    (loop.workspace / "value").write_text("90\n")
    save(loop.workspace)
    assert send(loop, held, {"value": "40\n"}).ruling.verdict == KEEP


def test_what_measures_is_measured_anew_before_what_was_sent_is_compared(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec=f"mutation_command: ''\n{MUTABLE}")
    held = taken(loop)
    (loop.workspace / "measure.sh").write_text('echo "METRIC cost=$(($(cat value) * 2))"\n')
    save(loop.workspace)
    ruling = send(loop, held, {"value": "45\n"}).ruling
    assert (ruling.verdict, ruling.candidate_value, ruling.previous_best_value) == (KEEP, 90, 100)
    sound(loop)
