"""Whose word a release goes by, how long it holds, and what it is shown as in the meantime."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lab.core.errors import BadInput, LabError
from lab.core.event import PHASE_CHANGED, Event
from lab.core.pursuit import RELEASE
from lab.core.record import encode
from lab.core.view import AWAITING
from lab.research.declared import planned
from lab.research.phases.publishing import Release as Worker
from lab.research.projects import opened
from lab.research.release import approval, approved, by_hand, targets
from lab.research.walk.pipeline import Over, Ready
from lab.research.worker import Place
from lab.store import ledger
from tests.research.release.releases import Publishing, a_project, a_remote, git, received
from tests.research.tasks import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("detect_secrets", reason="not installed: detect-secrets (pip install 'labctl[publish]')")
OWN = "letmein-letmein"


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return a_remote(tmp_path)


@pytest.fixture
def project(tmp_path: Path, remote: Path) -> Publishing:
    return a_project(tmp_path, {"a.txt": b"a\n"}, f"  to: git\n  remote: {remote}\n")


def _asked(project: Publishing, sha256: str) -> None:
    """What the scheduler writes down when a project comes to a release."""
    ledger.append(
        project.root,
        Event(type=PHASE_CHANGED, ts="2", experiment=PROJECT, actor="policy", phase=AWAITING, facts={RELEASE: sha256}),
    )


def test_an_approval_does_not_outlive_the_list_that_came_after_it(project: Publishing, remote: Path) -> None:
    first = project.lists()
    _asked(project, first.sha256)
    approval.approve(project.root, PROJECT, first.sha256, "ann")
    (project.folder / "a.txt").write_bytes(b"b\n")
    second = project.lists()
    _asked(project, second.sha256)
    (project.folder / "a.txt").write_bytes(b"a\n")
    comes = project.look().next()
    assert isinstance(comes, Ready)
    shown = approval.show(project.root, PROJECT)
    assert (comes.release, shown.sha256, shown.approved_at, shown.stale) == (first.sha256, first.sha256, "", "")
    with pytest.raises(BadInput, match="another list was made"):
        project.sends(first)
    assert set(received(remote)) == {"main"}
    approval.approve(project.root, PROJECT, first.sha256, "bob")
    sent = project.sends(first)
    assert set(received(remote)) == {"main", sent.branch}
    _asked(project, second.sha256)
    comes = project.look().next()
    assert isinstance(comes, Over)
    assert comes.sent == first.sha256, "what was sent was sent, whatever is approved since"


def test_an_approval_can_be_taken_back_until_it_is_sent(project: Publishing, remote: Path) -> None:
    shown = project.lists()
    with pytest.raises(BadInput, match="no approval"):
        approval.withdraw(project.root, PROJECT, shown.sha256, "ann")
    approval.approve(project.root, PROJECT, shown.sha256, "ann")
    assert approval.withdraw(project.root, PROJECT, shown.sha256, "ann").approved_at == ""
    assert isinstance(project.look().next(), Ready)
    with pytest.raises(BadInput, match="ann withdrew"):
        project.sends(shown)
    assert set(received(remote)) == {"main"}
    approval.approve(project.root, PROJECT, shown.sha256, "ann")
    project.sends(shown)
    with pytest.raises(BadInput, match="was sent on"):
        approval.withdraw(project.root, PROJECT, shown.sha256, "ann")


def test_a_line_that_somebody_wrote_into_the_ledger_approves_nothing(project: Publishing, remote: Path) -> None:
    shown = project.lists()
    path = project.root.layout.events
    with open(path, "rb") as file:
        entries = list(ledger.split(file.read(), 0, path))
    last = entries[-1].line
    assert last is not None
    said = Event(type="release_approved", ts="3", experiment=PROJECT, actor="ann", name=shown.sha256)
    forged = encode(type(last)(seq=last.seq + 1, prev="0" * 64, event=said))
    with open(path, "ab") as file:
        file.write(forged)
    with pytest.raises(BadInput, match="chain of the ledger does not hold"):
        project.sends(shown)
    assert approval.show(project.root, PROJECT).approved_at == ""
    assert set(received(remote)) == {"main"}
    approval.approve(project.root, PROJECT, shown.sha256, "ann")
    assert approved.word(project.root, PROJECT, shown.sha256).given is not None, "a person's own is a line of the chain"
    ledger.append(project.root, Event(type="research_steered", ts="4", experiment=PROJECT, actor="ann", reason="x"))
    assert project.sends(shown).branch in received(remote)
    with open(path, "rb") as file:
        data = file.read()
    with open(path, "wb") as file:
        file.write(data.replace(b'"actor":"ann"', b'"actor":"bob"'))
    assert approved.word(project.root, PROJECT, shown.sha256).doubt


def test_what_a_run_started_approves_nothing(project: Publishing) -> None:
    shown = project.lists()
    for name in ("LAB_RUN_ID", "LAB_RUN_DIR"):
        inside = project.with_environ(**{name: "/x/RUN-1"})
        with pytest.raises(BadInput, match="started by the run RUN-1"):
            approval.approve(inside.root, PROJECT, shown.sha256, "ann")
    assert approval.show(project.root, PROJECT).approved_at == ""


def test_what_a_run_started_is_known_though_it_hides_it(project: Publishing) -> None:
    told = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "from lab.store.root import Root; from lab.research.release import by_hand\n"
        "root = type('R', (), {'world': type('W', (), {'environ': {}})})()\n"
        "by_hand.require(root, 'proj')\n"
    )
    command = ["/bin/sh", "-c", 'unset LAB_RUN_ID; "$0" -c "$1"; exit $?', sys.executable, told]
    for environ, words in (({"LAB_RUN_ID": "RUN-7"}, "started by the run RUN-7"), ({}, "")):
        done = subprocess.run(command, env={"PATH": os.defpath, **environ}, capture_output=True, text=True, check=False)
        assert (words in done.stderr, done.returncode != 0) == (True, bool(words)), done.stderr
    by_hand.require(project.root, PROJECT)


def test_a_list_that_is_not_what_would_be_sent_says_so_and_is_not_approved(project: Publishing) -> None:
    shown = project.lists()
    page = project.folder / "project.yaml"
    page.write_text(page.read_text().replace("remote.git", "other.git"))
    assert "another destination" in approval.show(project.root, PROJECT).stale
    with pytest.raises(BadInput, match="another destination") as told:
        approval.approve(project.root, PROJECT, shown.sha256, "ann")
    assert "labctl research run proj lists it anew" in told.value.fix


def test_secrets_of_whoever_looks_are_seen_where_the_run_did_not_know_them(tmp_path: Path, remote: Path) -> None:
    project = a_project(tmp_path, {"a.txt": f"so: {OWN}\n".encode()}, f"  to: git\n  remote: {remote}\n")
    shown = project.lists()
    assert approval.own_secrets(project.root, shown).findings == ()
    found = approval.own_secrets(project.with_environ(MY_TOKEN=OWN).root, shown).findings
    assert [each.told() for each in found] == ["a.txt:1: a secret value of this lab"]


def test_a_token_that_no_run_gets_is_told(tmp_path: Path) -> None:
    project = a_project(tmp_path, {"a.txt": b"a\n"}, "  to: huggingface\n  repo: ann/model\n")
    found = opened.project(project.root, PROJECT)
    root = project.with_environ(HF_TOKEN=OWN).root
    place = Place(root=root, project=found.project, folder=found.folder, phase=planned(found.project)[0])
    assert not [each for each in Worker().lacks(place) if "HF_TOKEN" in each.what]
    made = Place(root=root, project=found.project, folder=found.folder, phase=place.phase, spec=found.spec)
    assert [each.what for each in Worker().lacks(made) if "HF_TOKEN is set, and no run gets it" in each.what]


@pytest.mark.parametrize("given", ["user:s3cret@host:path", "https://h/x?private_token=s3cret", "HTTPS://s3cret@h",
    "git+https://s3cret@h/x", "https://user:s3cret@h/x", "ext::sh -c s3cret", "s3cret::bar", "ssh://-os3cret/y",
    "ssh://user:s3cret@h/x", "https://h/x#s3cret", "user%3as3cret@h:x"])  # fmt: skip
def test_an_address_that_could_hold_a_login_or_name_a_program_is_refused_and_not_repeated(given: str) -> None:
    with pytest.raises(BadInput) as told:
        targets.remote(given, "/nowhere")
    assert "s3cret" not in str(told.value)


@pytest.mark.parametrize("given", ["git@host:a/b.git", "ssh://git@host:22/a", "https://host/a.git", "/a/b@c", "a.git"])
def test_an_ordinary_address_is_taken(given: str) -> None:
    assert targets.remote(given, "/nowhere").endswith(given)


def test_a_remote_that_became_a_link_elsewhere_gets_nothing(project: Publishing, remote: Path, tmp_path: Path) -> None:
    shown = project.lists()
    approval.approve(project.root, PROJECT, shown.sha256, "ann")
    remote.rename(tmp_path / "kept.git")
    git(tmp_path, "init", "-q", "--bare", "evil.git")
    remote.symlink_to("evil.git")
    with pytest.raises(LabError, match="another destination"):
        project.sends(shown)
    assert received(tmp_path / "evil.git") == {}
