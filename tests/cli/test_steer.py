"""The verbs by which a person steers what runs by itself: approvals, approve, reject, cancel, notify."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from lab.core.proposal import PROMOTE, RESUME, RUN, Proposal
from lab.core.run import CANCELLED
from lab.core.view import AWAITING
from lab.scheduler import cycle, decisions, refresh
from lab.scheduler.control import approvals, proposals
from tests.cli.labs import SHIM, TRACE, a_lab, ended, me, process, tree

if TYPE_CHECKING:
    from pathlib import Path

    from lab.store.root import Root
    from tests.cli.labs import Labctl


LATER = "2999-01-01T00:00:00.000000Z"  # the clock of these labs stands in January, that of the verbs does not


@pytest.fixture
def root(place: Path) -> Root:
    return a_lab(place, "alpha", "beta")


def handed_over(root: Root, name: str = "alpha") -> None:
    with root.section(name):
        decisions._move(root, refresh.current(root, name)[0], AWAITING, reason="new_best", actor="policy")
    approvals.ask(root, Proposal(kind=RESUME, experiment=name, reason="new_best", expires_at=LATER))


def proposed(root: Root) -> None:
    approvals.ask(root, Proposal(kind=RUN, experiment="alpha", params={"lr": 0.1}, reason="a guess", expires_at=LATER))


def test_with_nothing_to_decide_nothing_is_said(labctl: Labctl, root: Root) -> None:
    assert labctl.done("approvals").out == "Nothing waits\n"
    assert labctl.done("approvals", "alpha", "--json").data == {
        "proposals": [],
        "approved_runs": [],
        "at_terminals": [],
    }


def test_from_status_to_approval_in_two_commands(labctl: Labctl, root: Root) -> None:
    handed_over(root)
    wish = labctl.done("status", "--json").data["wants_you"]
    assert isinstance(wish, list)
    assert wish[0]["fix"].startswith("a person decides: labctl approve alpha-1 ")
    said = labctl.done("approvals")
    assert "alpha-1  waiting: resume alpha" in said.out
    assert "why: new_best" in said.out
    assert "next: labctl approve alpha-1" in said.err
    assert labctl.done("approve", "alpha-1").out == "approved: alpha-1; alpha goes on\n"
    assert labctl.done("status", "--json").data["wants_you"] == []


def test_only_those_of_one_experiment_are_listed(labctl: Labctl, root: Root) -> None:
    handed_over(root)
    handed_over(root, "beta")
    rows = labctl.done("approvals", "beta", "--json").data["proposals"]
    assert isinstance(rows, list)
    assert [row["id"] for row in rows] == ["beta-1"]
    assert labctl("approvals", "betta").code == 2


def test_the_hash_that_is_shown_is_the_one_that_binds(labctl: Labctl, root: Root) -> None:
    proposed(root)
    rows = labctl.done("approvals", "--json").data["proposals"]
    assert isinstance(rows, list)
    (row,) = rows
    assert (row["kind"], row["params"], row["state"]) == ("run", {"lr": 0.1}, "waiting")
    assert labctl("approve", "alpha-1", "--hash", "0" * 64).code == 2
    said = labctl.done("approve", "alpha-1", "--hash", str(row["sha256"]), "--json").data
    assert (said["verdict"], said["params"]) == ("approved", {"lr": 0.1})
    assert "approved, for the next run of alpha" in labctl.done("approvals").out


@pytest.mark.parametrize("text", ['{"lr": 0.5}', "lr: 0.5\n", "# mine\nlr: 5e-1\n"])
def test_an_edit_is_read_from_a_file_of_json_or_yaml(labctl: Labctl, root: Root, tmp_path: Path, text: str) -> None:
    proposed(root)
    (tmp_path / "edit").write_text(text)
    said = labctl.done("approve", "alpha-1", "--edit", str(tmp_path / "edit"))
    assert said.out == "approved: alpha-1, as edited; its parameters wait for the next run\n"
    (ready,) = proposals.ready(root)
    assert ready.params == {"lr": 0.5}


@pytest.mark.parametrize("text", [None, "", "[1, 2]", "lr: [", "lr: .nan", "\x00"])
def test_an_edit_that_is_no_object_is_refused_and_nothing_is_written(
    labctl: Labctl, root: Root, tmp_path: Path, text: str | None
) -> None:
    proposed(root)
    if text is not None:
        (tmp_path / "edit").write_text(text)
    before = tree(root.layout.root)
    said = labctl("approve", "alpha-1", "--edit", str(tmp_path / "edit"))
    assert (said.code, said.out) == (2, "")
    assert tree(root.layout.root) == before


def test_a_changed_proposal_is_corrupt_and_says_how_to_get_rid_of_it(labctl: Labctl, root: Root) -> None:
    proposed(root)
    with open(root.layout.proposal("alpha-1"), "ab") as file:
        file.write(b" ")
    said = labctl("approve", "alpha-1")
    assert said.code == 4
    assert "labctl reject alpha-1" in said.err
    assert "alpha-1  changed" in labctl.done("approvals").out
    assert labctl.done("reject", "alpha-1", "--why", "it was changed").code == 0


def test_a_rejection_pauses_and_needs_its_reason(labctl: Labctl, root: Root) -> None:
    handed_over(root)
    assert labctl("reject", "alpha-1").code == 2
    assert labctl("reject", "alpha-1", "--why", "").code == 2
    assert labctl.done("reject", "alpha-1", "--why", "too costly").out == "rejected: alpha-1; alpha is paused\n"
    again = labctl("reject", "alpha-1", "--why", "really", "--json")
    assert (again.code, again.error["kind"]) == (2, "already-decided")


def test_a_promotion_is_approved_by_name(labctl: Labctl, root: Root) -> None:
    approvals.ask(root, Proposal(kind=PROMOTE, experiment="alpha", tier="final", reason="streak", expires_at=LATER))
    assert "promote alpha to final" in labctl.done("approvals").out
    assert labctl.done("approve", "alpha-1").out == "approved: alpha-1; alpha is in the tier final\n"


def test_cancel_says_whom_it_asked(labctl: Labctl, root: Root) -> None:
    run_id = cycle.begin(root, "alpha", owner=me()).manifest.run_id
    assert labctl.done("cancel", "alpha", "--reason", "wrong data").out.startswith(
        f"asked to end: {run_id}, run by test"
    )
    rows = labctl.done("cancel", run_id, "--json").data["runs"]
    assert isinstance(rows, list)
    assert [(row["run"], row["changed"], row["outcome"]) for row in rows] == [(run_id, False, "")]


def test_cancel_waits_until_the_run_is_sealed(labctl: Labctl, root: Root) -> None:
    running = cycle.begin(root, "alpha", owner=me())

    def holder() -> None:
        while running.lease.cancel_asked(root) is None:
            time.sleep(0.01)
        cycle.finish(root, running, ended(None, CANCELLED))

    worker = threading.Thread(target=holder)
    worker.start()
    said = labctl.done("cancel", "alpha", "--wait")
    worker.join()
    assert said.out == f"ended: {running.manifest.run_id} (cancelled)\n"
    assert labctl("cancel", running.manifest.run_id).code == 2


def test_cancel_waits_no_longer_than_it_was_told(labctl: Labctl, root: Root) -> None:
    cycle.begin(root, "alpha", owner=me())
    said = labctl("cancel", "alpha", "--wait", "--at-most", "0.2")
    assert (said.code, "has not ended after 0.2s" in said.err) == (3, True)
    for wrong in ("-1", "nan", "soon"):
        assert labctl("cancel", "alpha", "--wait", "--at-most", wrong).code == 2


@pytest.mark.heavy
def test_ctrl_c_ends_the_waiting_with_words(root: Root) -> None:
    cycle.begin(root, "alpha", owner=me())
    command = [sys.executable, SHIM, "cancel", "alpha", "--wait"]
    environ = {**os.environ, "LAB_DATA_ROOT": root.layout.root}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ) as waiting:
        until = time.monotonic() + 10
        while not os.path.exists(root.layout.claim("alpha", 1, ".cancel")) and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.2)  # it has written its last, and waits
        waiting.send_signal(signal.SIGINT)
        _, err = waiting.communicate(timeout=10)
    assert waiting.returncode == 130
    assert TRACE not in err.decode()


def test_notify_without_a_file_says_which(labctl: Labctl, root: Root) -> None:
    assert root.layout.notify in labctl.done("notify").out
    said = labctl("notify", "test")
    assert (said.code, root.layout.notify in said.err) == (2, True)


def test_notify_shows_and_tries_channels_without_their_secrets(labctl: Labctl, root: Root, tmp_path: Path) -> None:
    script = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())"
    channels = [
        {"name": "desk", "command": [sys.executable, "-c", script, str(tmp_path / "out")]},
        {"name": "web", "webhook": "http://127.0.0.1:1/T0/secret", "kinds": ["needs-approval"]},
    ]
    with open(root.layout.notify, "w", encoding="utf-8") as file:
        json.dump({"channels": channels}, file)
    shown = labctl.done("notify", "show")
    assert "web  webhook  http://127.0.0.1:1/..." in shown.out
    assert "secret" not in shown.all
    assert labctl.done("notify", "test", "--channel", "desk").out == "desk: sent\n"
    assert json.loads((tmp_path / "out").read_text())["kind"] == "test"
    both = labctl("notify", "test", "--json")
    assert both.code == 1
    assert "secret" not in both.all
    assert labctl("notify", "test", "--channel", "phone").code == 2
    with open(root.layout.notify, "w", encoding="utf-8") as file:
        file.write('{"chanels": []}')
    said = labctl("notify")
    assert (said.code, "chanels" in said.err) == (2, True)


def test_the_verbs_work_in_a_process_of_their_own(root: Root) -> None:
    handed_over(root)
    assert process("approve", "alpha-1", root=root.layout.root).code == 0
    said = process("approvals", root=root.layout.root)
    assert (said.code, said.out) == (0, "Nothing waits\n")


def test_proposed_parameters_are_run_once_after_a_yes(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    a_lab(place, "alpha", more="executor: stub\n")
    (tmp_path / "p.yaml").write_text("lr: 0.25\n")
    said = labctl.done("propose", "alpha", "--params", str(tmp_path / "p.yaml"), "--reason", "try", "--json")
    assert (said.data["proposal"], said.data["kind"], said.data["made"]) == ("alpha-1", "run", True)
    assert labctl.done("propose", "alpha", "--params", str(tmp_path / "p.yaml"), "--json").data["made"] is False
    (tmp_path / "other.yaml").write_text("lr: 0.75\n")
    other = labctl("propose", "alpha", "--params", str(tmp_path / "other.yaml"), "--json")
    assert (other.code, other.error["kind"]) == (3, "busy")
    assert "alpha-1" in str(other.error["fix"])
    labctl.done("run-once", "--experiment", "alpha", "--now")  # goes on without it: nobody has said yes
    (tmp_path / "mine.json").write_text('{"lr": 0.5}')
    labctl.done("approve", "alpha-1", "--edit", str(tmp_path / "mine.json"))
    for _ in range(2):
        labctl.done("run-once", "--experiment", "alpha", "--now")
    runs = sorted((place / "experiments/alpha/runs").iterdir())
    assert [(run / "params.json").exists() for run in runs] == [False, True, False]
    assert json.loads((runs[1] / "params.json").read_text()) == {"lr": 0.5}
    assert json.loads((runs[1] / "manifest.json").read_text())["proposal"] == "alpha-1"


def test_parameters_that_were_left_out_are_named_with_their_defaults(
    labctl: Labctl, place: Path, tmp_path: Path
) -> None:
    space = "search_space: {lr: {low: 0.1, high: 1.0}, depth: {type: int, low: 1, high: 9, default: 3}}\n"
    a_lab(place, "alpha", more=space)
    (tmp_path / "p.json").write_text('{"lr": 0.25}')
    for made in (True, False):
        said = labctl.done("propose", "alpha", "--params", str(tmp_path / "p.json"), "--json")
        assert said.data["made"] is made
        assert (said.data["params"], said.data["filled"]) == ({"lr": 0.25, "depth": 3}, {"depth": 3})
    assert (
        'the defaults of what was left out: {"depth": 3}'
        in labctl.done("propose", "alpha", "--params", str(tmp_path / "p.json")).out
    )
    (tmp_path / "p.json").write_text('{"lr": 0.25, "depth": 3}')
    assert labctl.done("propose", "alpha", "--params", str(tmp_path / "p.json"), "--json").data["filled"] == {}


def test_parameters_that_cannot_be_read_are_refused(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    a_lab(place, "alpha")
    (tmp_path / "bad.json").write_text("[1")
    for words in (
        ("--params", "nowhere.json"),
        ("--params", str(tmp_path / "bad.json")),
        ("--tier", "x", "--params", "p"),
        (),
    ):
        assert labctl("propose", "alpha", *words).code == 2
