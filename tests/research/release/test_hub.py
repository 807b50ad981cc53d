"""What reaches the hub: exactly what was listed, once; seen by a double of it on the loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.core.errors import BadInput, Busy, Unavailable
from lab.research.release import approval
from tests.research.release.hub import TOKEN, Hub, Repo
from tests.research.release.releases import Publishing, a_project
from tests.research.tasks import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.research.release.approval import Shown

pytest.importorskip("huggingface_hub", reason="not installed: huggingface_hub (pip install 'labctl[publish]')")

FILES = {"adapter.bin": bytes(range(256)) * 9, "code/run.py": b"print(1)\n"}
REPO = "ann/model"
PUBLISH = f"  to: huggingface\n  repo: {REPO}\n"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as running:
        yield running


@pytest.fixture
def project(tmp_path: Path, hub: Hub) -> Publishing:
    made = a_project(tmp_path, FILES, PUBLISH)
    return made.with_environ(HF_TOKEN=TOKEN, HF_ENDPOINT=hub.url)


@pytest.fixture
def shown(project: Publishing, hub: Hub) -> Shown:
    """Listed and approved."""
    listed = project.lists()
    assert hub.received == [], "a dry run asks nobody"
    return approval.approve(project.root, PROJECT, listed.sha256, "ann")


def _files(shown: Shown) -> set[str]:
    return {each.path for each in shown.release.files}


def test_the_hub_gets_exactly_the_list_in_a_private_repository_and_gets_it_once(
    project: Publishing, hub: Hub, shown: Shown
) -> None:
    receipt = project.sends(shown)
    repo = hub.repos[REPO]
    assert repo.private
    assert set(repo.head()) == {*FILES, "README.md", ".gitattributes"}  # the last is the hub's own
    assert {name: repo.head()[name] for name in FILES} == FILES
    assert set(receipt.files) == _files(shown)
    again = project.sends(shown)
    assert (again.commit, again.found) == (receipt.commit, True)
    assert hub.received.count("commit") == 1


def test_to_a_repository_that_has_something_it_comes_as_a_pull_request(
    project: Publishing, hub: Hub, shown: Shown
) -> None:
    hub.repos[REPO] = Repo(private=False)
    hub.repos[REPO].commit("main", "theirs", "", {"theirs.txt": b"x"})
    receipt = project.sends(shown)
    assert set(hub.repos[REPO].head()) == {"theirs.txt"}
    assert set(hub.repos[REPO].head("refs/pr/1")) == {"theirs.txt", *_files(shown)}
    assert receipt.url.endswith("/discussions/1")
    assert project.sends(shown).commit == receipt.commit
    assert len(hub.repos[REPO].requests) == 1


def test_an_empty_repository_that_everybody_sees_gets_a_pull_request(
    project: Publishing, hub: Hub, shown: Shown
) -> None:
    hub.repos[REPO] = Repo(private=False)
    hub.repos[REPO].commit("main", "initial commit", "", {".gitattributes": b""})
    assert project.sends(shown).url.endswith("/discussions/1")
    assert set(hub.repos[REPO].head()) == {".gitattributes"}
    assert "pull request" in shown.listing


def test_a_commit_that_bears_the_mark_and_has_other_files_is_not_the_release(
    project: Publishing, hub: Hub, shown: Shown
) -> None:
    hub.repos[REPO] = Repo(private=True)
    message = f"Labctl-Release: {shown.sha256}"
    hub.repos[REPO].commit("main", "theirs", message, dict.fromkeys(_files(shown), b"other"))
    receipt = project.sends(shown)
    assert not receipt.found
    assert FILES.items() <= hub.repos[REPO].at(receipt.commit).items()


def test_a_pull_request_that_was_closed_was_not_sent(project: Publishing, hub: Hub, shown: Shown) -> None:
    hub.repos[REPO] = Repo(private=True)
    hub.repos[REPO].commit("main", "theirs", "", {"theirs.txt": b"x"})
    project.sends(shown)
    hub.repos[REPO].requests[0]["status"] = "closed"
    receipt = project.sends(shown)
    assert (receipt.found, receipt.url.endswith("/discussions/2")) == (False, True)


def test_another_hub_than_was_approved_gets_nothing(project: Publishing, hub: Hub, shown: Shown) -> None:
    assert hub.url in shown.listing
    with Hub() as other, pytest.raises(BadInput, match="HF_ENDPOINT"):
        project.with_environ(HF_ENDPOINT=other.url).sends(shown)
    assert (hub.received, other.received) == ([], [])


@pytest.mark.parametrize("is_there", [False, True])
def test_a_sender_whose_answer_was_lost_finds_what_it_sent(
    project: Publishing, hub: Hub, shown: Shown, is_there: bool
) -> None:
    if is_there:
        hub.repos[REPO] = Repo(private=True)
        hub.repos[REPO].commit("main", "theirs", "", {"theirs.txt": b"x"})
    hub.drop_answer = True
    with pytest.raises(Unavailable):
        project.sends(shown)
    hub.drop_answer = False
    taken = hub.received.count("commit")
    receipt = project.sends(shown)
    assert receipt.found
    assert hub.received.count("commit") == taken
    assert sum(shown.sha256 in each["message"] for all_ in hub.repos[REPO].branches.values() for each in all_) == 1


@pytest.mark.parametrize(("code", "refusal"), [(403, BadInput), (412, Busy), (500, Unavailable)])
def test_what_the_hub_refuses_is_told_in_words(
    project: Publishing, hub: Hub, shown: Shown, code: int, refusal: type[Exception]
) -> None:
    hub.refuse = code
    with pytest.raises(refusal) as told:
        project.sends(shown)
    assert TOKEN not in str(told.value)
    assert "commit" not in hub.received


def test_without_a_token_it_is_listed_and_not_sent(project: Publishing, hub: Hub, shown: Shown) -> None:
    with pytest.raises(Unavailable, match="HF_TOKEN is not set"):
        project.with_environ(HF_TOKEN="").sends(shown)
    assert hub.received == []


def test_the_own_token_in_a_file_stops_the_release(tmp_path: Path, hub: Hub) -> None:
    made = a_project(tmp_path, {"notes.txt": f"see {TOKEN} there\n".encode()}, PUBLISH)
    project = made.with_environ(HF_TOKEN=TOKEN, HF_ENDPOINT=hub.url)
    with pytest.raises(Exception, match=r"notes.txt:1: a secret value of this lab") as told:
        project.lists()
    assert TOKEN not in str(told.value)
    assert hub.received == []
