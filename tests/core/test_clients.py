"""Where a client's user is at home: by whole paths alone, and the same for servers and for skills."""

from __future__ import annotations

import pytest

from lab.core import clients
from lab.core.errors import Unavailable
from lab.core.skills import clients as skills

MOVED = {"CODEX_HOME": "/c/", "HERMES_HOME": "/h", "XDG_CONFIG_HOME": "/x"}


def test_a_variable_moves_the_home_of_its_client_and_no_other() -> None:
    usual = {name: clients.home(name, {"HOME": "/me/"}) for name in clients.NAMES}
    assert usual["codex"] == "/me/.codex"
    assert usual["opencode"] == "/me/.config/opencode"
    moved = {name: clients.home(name, {"HOME": "/me", **MOVED}) for name in clients.NAMES}
    assert moved == {**usual, "codex": "/c", "hermes": "/h", "opencode": "/x/opencode"}


@pytest.mark.parametrize("value", ["rel", "./rel", "~/mine", " /c"])
def test_what_is_no_whole_path_is_refused_by_whoever_writes_and_passed_over_by_whoever_looks(value: str) -> None:
    environ = {"HOME": "/me", "CODEX_HOME": value}
    with pytest.raises(Unavailable, match="CODEX_HOME is no absolute path"):
        clients.home("codex", environ)
    assert clients.folder("codex", "/me", environ) == "/me/.codex"
    assert skills.user_folder(skills.CLIENTS["codex"], "/me", environ) == f"/me/{skills.CENTRAL}"


def test_without_a_home_only_what_was_moved_is_known() -> None:
    assert clients.home("codex", MOVED) == "/c"
    for environ in ({}, {"HOME": ""}, {"HOME": "~"}):
        with pytest.raises(Unavailable, match="HOME is not set"):
            clients.home("codex", environ)


def test_skills_lie_in_the_homes_of_the_table() -> None:
    for environ in ({}, MOVED):
        found = {
            name: skills.user_folder(client, "/me", environ)
            for name, client in skills.CLIENTS.items()
            if client.beneath
        }
        at_home = {name: f"{clients.folder(name, '/me', environ)}/skills" for name in found}
        assert found == at_home | ({} if environ else {"codex": f"/me/{skills.CENTRAL}"})
        assert skills.read_too("/me", environ)[0] == f"{clients.folder('opencode', '/me', environ)}/skills"
