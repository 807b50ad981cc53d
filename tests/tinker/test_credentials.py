from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from lab.core.errors import BadInput, LabError, Unavailable
from lab.core.tuning import LOCAL_KEY, Tuning, is_loopback
from lab.tinker import credentials

if TYPE_CHECKING:
    from pathlib import Path

PAID = "https://tinker.example.org/services/prod"
LOCAL = "http://127.0.0.1:8765"
SECRET = "tml-this-is-nobodys-business"  # noqa: S105  # of nobody


def stored(home: Path, key: str = SECRET, default: str | None = "me") -> dict[str, str]:
    folder = home / ".tinker"
    folder.mkdir()
    record = {"version": 1, "default": default, "keys": {"me": {"type": "manual", "key": key, "name": "me"}}}
    (folder / "credentials.json").write_text(json.dumps(record), encoding="utf-8")
    return {"HOME": str(home)}


def test_each_of_the_three_places_is_found(tmp_path: Path) -> None:
    nowhere = {"HOME": str(tmp_path / "none")}
    assert credentials.source({**nowhere, "TINKER_API_KEY": SECRET}) == credentials.KEY
    assert credentials.source({**nowhere, "TINKER_CREDENTIAL_CMD": "pass show tinker"}) == credentials.COMMAND
    assert credentials.source(stored(tmp_path)) == credentials.STORED
    assert credentials.source(nowhere) == ""


def test_the_place_is_the_one_that_the_sdk_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tinker.lib._auth_token_provider import ApiKeyAuthProvider, CredentialCmdAuthProvider, resolve_auth_provider

    home = stored(tmp_path, "tml-stored")
    cases = [
        ({"TINKER_API_KEY": SECRET, "TINKER_CREDENTIAL_CMD": "x"}, credentials.KEY),
        ({"TINKER_API_KEY": "sk-wrong", "TINKER_CREDENTIAL_CMD": "x"}, credentials.COMMAND),
        ({"TINKER_CREDENTIAL_CMD": "x"}, credentials.COMMAND),
        ({}, credentials.STORED),
    ]
    for given, place in cases:
        for name in ("TINKER_API_KEY", "TINKER_CREDENTIAL_CMD"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {**home, **given}.items():
            monkeypatch.setenv(name, value)
        provider = resolve_auth_provider(None, enforce_cmd=False)
        kind = CredentialCmdAuthProvider if place == credentials.COMMAND else ApiKeyAuthProvider
        assert isinstance(provider, kind)
        if isinstance(provider, ApiKeyAuthProvider):
            assert (provider.api_key == "tml-stored") == (place == credentials.STORED)
        assert credentials.source({**home, **given}) == place


@pytest.mark.parametrize("key", ["sk-other", "TML-x", "tml-a b", "tml-a\nb", "tml-ä"])
def test_a_key_that_no_service_takes_is_refused_without_showing_it(key: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as refused:
        credentials.source({"TINKER_API_KEY": key, "HOME": str(tmp_path)})
    assert key not in str(refused.value)
    with pytest.raises(BadInput) as refused:
        credentials.source(stored(tmp_path, key))
    assert key not in str(refused.value)


def test_a_service_that_is_paid_needs_a_key_and_all_places_are_named(tmp_path: Path) -> None:
    nothing = {"HOME": str(tmp_path)}
    with pytest.raises(Unavailable) as refused:
        credentials.require(PAID, nothing)
    for place in ("TINKER_API_KEY", "TINKER_CREDENTIAL_CMD", "~/.tinker/credentials.json", "tinker auth login"):
        assert place in str(refused.value)
    assert credentials.require(LOCAL, nothing) == ""


@pytest.mark.parametrize("url", [LOCAL, "http://localhost:1", "HTTP://LOCALHOST", "http://[::1]:8", "http://127.9.9.9"])
def test_what_is_on_this_machine_costs_nothing(url: str) -> None:
    assert is_loopback(url)
    assert Tuning(base_url=url).is_local


@pytest.mark.parametrize(
    "url",
    [
        PAID,
        "http://127.0.0.1.example.org",
        "http://localhost.example.org",
        "http://10.0.0.1",
        "http://[::1",
        "http://127.999.1.1",
        "http://127.0.0.1:x@example.org",
        "http://me@127.0.0.1",
        "http://127.0.0.1@example.org",
        "http://a.localhost",
        "http://example.org\\@127.0.0.1",
        "http://0127.0.0.1",
        "http://2130706433",
        "127.0.0.1:80",
    ],
)
def test_everything_else_may_cost(url: str) -> None:
    assert not is_loopback(url)
    assert not Tuning(base_url=url).is_local


@pytest.mark.parametrize("url", ["http://tinker.example.org", "http://10.0.0.1:8766", "http://a.localhost"])
def test_no_key_is_looked_for_that_everybody_could_read_on_its_way(url: str) -> None:
    for ask in (credentials.require, credentials.shown):
        with pytest.raises(BadInput, match="for everybody to read") as refused:
            ask(url, {"TINKER_API_KEY": SECRET})
        assert SECRET not in str(refused.value)


def test_a_service_of_this_machine_is_shown_a_key_that_is_none_where_there_is_no_other(tmp_path: Path) -> None:
    assert credentials.shown(LOCAL, {"HOME": str(tmp_path)}) == LOCAL_KEY
    assert credentials.shown(LOCAL, {"HOME": str(tmp_path), "TINKER_API_KEY": SECRET}) is None


@pytest.mark.parametrize(
    "url", ["tinker", "ftp://a", "https://", "https://me:pass@host", "http://h:99999", "https://a b", "http://h\x1b[0m"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(LabError) as refused:
        credentials.check_url(url, where="SPEC.yaml")
    assert "pass" not in str(refused.value).replace("password", "")
    credentials.check_url(PAID)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"keys": 3}', "\x00"])
def test_a_stored_file_that_is_damaged_is_told_by_its_name(text: str, tmp_path: Path) -> None:
    (tmp_path / ".tinker").mkdir()
    (tmp_path / ".tinker" / "credentials.json").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as refused:
        credentials.source({"HOME": str(tmp_path)})
    assert ".tinker/credentials.json" in str(refused.value)
    assert credentials.source({"HOME": str(tmp_path), "TINKER_API_KEY": SECRET}) == credentials.KEY


def test_a_store_without_a_default_has_no_key(tmp_path: Path) -> None:
    assert credentials.source(stored(tmp_path, default=None)) == ""
