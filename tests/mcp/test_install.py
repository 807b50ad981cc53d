"""`labctl mcp install`: other programs' settings get our server, and lose nothing."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from lab.core import clients as homes
from lab.core.skills import clients as skill_clients
from lab.mcp import clients
from tests.cli.labs import Labctl, tree

if TYPE_CHECKING:
    from collections.abc import Callable

PLACES = {
    "claude": ".mcp.json",
    "codex": ".codex/config.toml",
    "opencode": "opencode.json",
    "gemini": ".gemini/settings.json",
    "cursor": ".cursor/mcp.json",
}
USERS = {
    "codex": ".codex/config.toml",
    "opencode": ".config/opencode/opencode.json",
    "hermes": ".hermes/config.yaml",
    "gemini": ".gemini/settings.json",
    "cursor": ".cursor/mcp.json",
}
READ: dict[str, Callable[[str], object]] = {".json": json.loads, ".toml": tomllib.loads, ".yaml": yaml.safe_load}


@pytest.fixture
def labctl(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Labctl:
    """`labctl`, typed in a project; the lab need not exist yet."""
    for name in ("CODEX_HOME", "HERMES_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    monkeypatch.setenv("LAB_DATA_ROOT", str(tmp_path / "lab"))
    return Labctl(capsys)


def servers(path: Path, client: str) -> dict[str, object]:
    """What stands in a file of settings where servers stand."""
    found = READ[path.suffix](path.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    inside = found[clients.find(client).keys[0]]
    assert isinstance(inside, dict)
    return inside


def command(server: object) -> list[str]:
    """The command line of a server, however its client spells it."""
    assert isinstance(server, dict)
    words = server["command"]
    return list(words) if isinstance(words, list) else [words, *server["args"]]


def test_the_command_line_knows_the_clients_there_are() -> None:
    """One table says where each is at home; servers and skills are put by it."""
    assert {client.name for client in clients.CLIENTS} == set(skill_clients.CLIENTS) == set(homes.NAMES)


@pytest.mark.parametrize("client", PLACES)
def test_a_project_gets_a_file_of_its_own_and_no_second_change(client: str, labctl: Labctl, tmp_path: Path) -> None:
    said = labctl.done("mcp", "install", client, "--json").data
    path = tmp_path / "project" / PLACES[client]
    assert (said["path"], said["changed"]) == (str(path), True)
    assert set(servers(path, client)) == {"labctl"}
    words = command(servers(path, client)["labctl"])
    assert words[-4:] == ["--data-root", str(tmp_path / "lab"), "mcp", "serve"]
    assert os.path.isabs(words[0])
    before = path.read_bytes(), path.stat().st_mtime_ns
    again = labctl.done("mcp", "install", client)
    assert "knows of it already" in again.out
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert not (tmp_path / "lab").exists()


@pytest.mark.parametrize("client", USERS)
def test_a_user_gets_it_for_all_projects(client: str, labctl: Labctl, tmp_path: Path) -> None:
    labctl.done("mcp", "install", client, "--global")
    path = Path(os.environ["HOME"], USERS[client])
    assert set(servers(path, client)) == {"labctl"}
    assert tree(str(tmp_path / "project")) == {}


def test_what_was_installed_is_a_server(labctl: Labctl, tmp_path: Path) -> None:
    labctl.done("mcp", "install", "cursor")
    words = command(servers(tmp_path / "project/.cursor/mcp.json", "cursor")["labctl"])
    asked = b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n'
    environ = {"PATH": "/nowhere"}
    done = subprocess.run(words, input=asked, capture_output=True, timeout=15, check=True, env=environ, cwd="/")
    assert json.loads(done.stdout) == {"jsonrpc": "2.0", "id": 1, "result": {}}


@pytest.mark.parametrize("client", [*PLACES, "hermes"])
def test_print_shows_what_would_be_there_and_writes_nothing(client: str, labctl: Labctl, tmp_path: Path) -> None:
    words = ["mcp", "install", client, *(["--global"] if client == "hermes" else [])]
    before = tree(str(tmp_path))
    shown = labctl.done(*words, "--print", "--json").data
    assert f"# {shown['path']}\n{shown['text']}" == labctl.done(*words, "--print").out
    assert labctl.done(*words, "--dry-run").out == f"would write: {shown['path']}\n"
    assert tree(str(tmp_path)) == before
    labctl.done(*words)
    assert Path(str(shown["path"])).read_text(encoding="utf-8") == shown["text"]


def test_the_variables_that_move_settings_are_followed(
    labctl: Labctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, client, place in (
        ("CODEX_HOME", "codex", "config.toml"),
        ("HERMES_HOME", "hermes", "config.yaml"),
        ("XDG_CONFIG_HOME", "opencode", "opencode/opencode.json"),
    ):
        monkeypatch.setenv(variable, str(tmp_path / client))
        labctl.done("mcp", "install", client, "--global")
        assert (tmp_path / client / place).is_file()


JSON_BEFORE = """{
    "theme": "dark ✓",
    "mcpServers": {
        "other": {"command": "x", "args": ["1", 2.50, null]}
    },
    "last": [1e4]
}
"""


def test_json_keeps_all_that_was_there_its_order_and_its_mode(labctl: Labctl, tmp_path: Path) -> None:
    path = tmp_path / "project/.cursor/mcp.json"
    path.parent.mkdir()
    path.write_text(JSON_BEFORE, encoding="utf-8")
    path.chmod(0o600)
    labctl.done("mcp", "install", "cursor")
    after = json.loads(path.read_text(encoding="utf-8"))
    assert list(after) == ["theme", "mcpServers", "last"]
    assert after["mcpServers"].pop("labctl")
    assert after == json.loads(JSON_BEFORE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert '\n    "theme": "dark ✓",\n' in path.read_text(encoding="utf-8")


def test_an_older_entry_of_ours_is_replaced(labctl: Labctl, tmp_path: Path) -> None:
    for client in PLACES:
        labctl.done("mcp", "install", client, "--data-root", "/old")
        labctl.done("mcp", "install", client)
        words = command(servers(tmp_path / "project" / PLACES[client], client)["labctl"])
        assert words[-3] == str(tmp_path / "lab")
    path = Path(os.environ["HOME"], USERS["hermes"])
    path.parent.mkdir()
    for before in YAML_BEFORE:
        path.write_text(before)
        for lab in ("/old", "/new"):
            labctl.done("mcp", "install", "hermes", "--global", "--data-root", lab)
            assert command(servers(path, "hermes")["labctl"])[-3] == lab
        assert path.read_text().count("labctl:") == 1


SETTINGS: dict[str, dict[str, object]] = {
    "opencode": {"enabled": False},
    "codex": {"tool_timeout_sec": 100},
    "gemini": {"timeout": 100},
}


@pytest.mark.parametrize("client", SETTINGS)
def test_what_a_person_set_in_our_entry_stays(client: str, labctl: Labctl, tmp_path: Path) -> None:
    path = tmp_path / "project" / PLACES[client]
    labctl.done("mcp", "install", client, "--data-root", "/old")
    for key, value in SETTINGS[client].items():
        text = path.read_text()
        told = servers(path, client)["labctl"]
        assert isinstance(told, dict)
        assert text.count(json.dumps(told[key])) == 1
        path.write_text(text.replace(json.dumps(told[key]), json.dumps(value)))
    labctl.done("mcp", "install", client)
    made = servers(path, client)["labctl"]
    assert isinstance(made, dict)
    assert {key: made[key] for key in SETTINGS[client]} == SETTINGS[client]
    assert command(made)[-3] == str(tmp_path / "lab")
    assert "knows of it already" in labctl.done("mcp", "install", client).out


OURS = '"command": "/opt/bin/labctl", "args": ["--data-root", "/lab", "mcp", "serve"]'
OTHERS = [
    ("claude", '{"mcpServers": {"labctl": {"command": "ssh", "args": ["gpu", "labctl", "mcp", "serve"]}}}'),
    ("claude", '{"mcpServers": {"labctl": {"command": "/usr/bin/ssh", "args": ["gpu", "labctl", "mcp", "serve"]}}}'),
    ("claude", '{"mcpServers": {"labctl": {OURS, "env": {"TOKEN": "abc"}}}}'),
    ("claude", '{"mcpServers": {"labctl": {OURS, "disabled": true}}}'),
    ("claude", '{"mcpServers": {"labctl": {"command": "/l", "args": ["--data-root", "/lab", "mcp", "other"]}}}'),
    ("claude", '{"mcpServers": {"labctl": {"command": 1, "args": {}}}}'),
    ("claude", '{"mcpServers": {"labctl": "x"}}'),
    ("opencode", '{"mcp": {"labctl": {"type": "remote", "url": "https://x"}}}'),
    ("codex", "[mcp_servers.labctl]\ncommand = '/l'\nargs = ['--data-root', '/l', 'mcp', 'serve']\nenabled = false\n"),
    ("codex", '[mcp_servers.labctl]\ncommand = "labctl"\n[mcp_servers.labctl.env]\nTOKEN = "abc"\n'),
    ("hermes", "mcp_servers:\n  labctl:\n    command: old\n"),
    ("hermes", "mcp_servers:\n  labctl: {command: /l, args: [--data-root, /l, mcp, serve]}\n"),
]


@pytest.mark.parametrize(("client", "before"), OTHERS)
def test_an_entry_of_this_name_that_is_a_persons_own_is_left_alone(
    client: str, before: str, labctl: Labctl, tmp_path: Path
) -> None:
    where = ("--global",) if client == "hermes" else ()
    path = Path(os.environ["HOME"], USERS[client]) if where else tmp_path / "project" / PLACES[client]
    path.parent.mkdir(exist_ok=True)
    before = before.replace("OURS", OURS)
    path.write_text(before)
    said = labctl("mcp", "install", client, *where)
    assert said.code == 5
    assert "labctl" in said.err.partition("it has a labctl already; change it to:")[2]
    assert path.read_text() == before


def test_without_a_home_no_folder_of_that_name_is_made(
    labctl: Labctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in (("HOME", None), ("HOME", "home"), ("CODEX_HOME", "rel"), ("CODEX_HOME", "~/codex")):
        with monkeypatch.context() as patch:
            if value is None:
                patch.delenv(variable)
            else:
                patch.setenv(variable, value)
            for words in (("mcp", "install", "codex"), ("skills", "install", "--codex")):
                said = labctl(*words, "--global")
                assert (said.code, variable in said.err) == (5, True), said
            labctl.done("skills", "list", "--all")
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "codex"))
    monkeypatch.delenv("HOME")
    labctl.done("mcp", "install", "codex", "--global")
    assert (tmp_path / "codex/config.toml").is_file()
    assert tree(str(tmp_path / "project")) == {}


@pytest.mark.parametrize("client", ["claude", "codex"])
def test_what_stands_where_settings_should_is_named_and_nothing_of_ours(
    client: str, labctl: Labctl, tmp_path: Path
) -> None:
    path = tmp_path / "project" / PLACES[client]
    if client == "claude":
        path.mkdir()
    else:
        path.parent.write_text("a file")
    said = labctl("mcp", "install", client)
    assert said.code == 5
    assert str(path) in said.err
    assert "--print shows" in said.err
    assert "draft" not in said.err
    assert "recover" not in said.err


def test_opencode_2_has_its_servers_one_step_further_in(labctl: Labctl, tmp_path: Path) -> None:
    path = tmp_path / "project/opencode.json"
    path.write_text('{"mcp": {"servers": {"other": {"type": "local", "command": ["x"]}}}}')
    labctl.done("mcp", "install", "opencode")
    assert set(json.loads(path.read_text())["mcp"]["servers"]) == {"other", "labctl"}
    path.write_text('{"mcp": {"servers": {"type": "local", "command": ["x"]}}}')
    labctl.done("mcp", "install", "opencode")
    assert set(json.loads(path.read_text())["mcp"]) == {"servers", "labctl"}


TOML_BEFORE = """\
# mine
model = "gpt"   # the usual one

[mcp_servers.other]
command = "x"
# args follow
args = ["1"]

[tui]
theme = 'dark'
"""


def test_toml_keeps_its_comments(labctl: Labctl, tmp_path: Path) -> None:
    path = tmp_path / "project/.codex/config.toml"
    path.parent.mkdir()
    path.write_text(TOML_BEFORE)
    labctl.done("mcp", "install", "codex")
    after = path.read_text()
    for line in TOML_BEFORE.splitlines():
        assert line in after
    found = tomllib.loads(after)
    assert found["mcp_servers"].pop("labctl")["tool_timeout_sec"] > 3600
    assert found == tomllib.loads(TOML_BEFORE)


YAML_BEFORE = [
    "# mine\nmodel: x\n",
    "# mine\nmodel: x",
    "mcp_servers:  # all of them\n    # the other\n    other:\n        command: x\nlast: 1\n",
    "mcp_servers:\nlast: 1\n",
    "a: |\n  mcp_servers:\nlast: 1\n",
]


@pytest.mark.parametrize("before", YAML_BEFORE)
def test_yaml_keeps_every_line(before: str, labctl: Labctl) -> None:
    path = Path(os.environ["HOME"], ".hermes/config.yaml")
    path.parent.mkdir()
    path.write_text(before)
    labctl.done("mcp", "install", "hermes", "--global")
    after = path.read_text()
    left = iter(after.splitlines())
    assert all(line in left for line in before.splitlines()), after
    found = yaml.safe_load(after)
    assert found["mcp_servers"].pop("labctl")
    expected = yaml.safe_load(before)
    expected["mcp_servers"] = expected.get("mcp_servers") or {}
    assert found == expected
    assert "knows of it already" in labctl.done("mcp", "install", "hermes", "--global").out


@pytest.mark.parametrize(
    ("client", "before"),
    [
        ("cursor", "{ // a comment\n}"),
        ("cursor", '{"a": 1, "a": 2}'),
        ("cursor", "[]"),
        ("cursor", '{"a": 1e400}'),
        ("cursor", '{"a": NaN}'),
        ("cursor", '{"a": "\\ud800"}'),
        ("cursor", '{"mcpServers": []}'),
        ("cursor", "{" * 100_000),
        ("codex", "a = \n"),
        ("codex", "mcp_servers = 1\n"),
        ("codex", "a = 1\na = 2\n"),
        ("hermes", "a: [\n"),
        ("hermes", "- a\n"),
        ("hermes", "mcp_servers: {other: {command: x}}\n"),
        ("hermes", "mcp_servers: 1\n"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_settings_that_cannot_be_kept_are_left_alone_with_what_to_paste(
    client: str, before: str, labctl: Labctl
) -> None:
    path = Path(os.environ["HOME"], USERS[client])
    path.parent.mkdir(parents=True)
    path.write_text(before)
    said = labctl("mcp", "install", client, "--global")
    assert said.code == 5
    assert "were left as they are" in said.err
    assert str(path) in said.err
    assert "labctl" in said.err.partition("add this yourself:")[2]
    assert path.read_text() == before
    assert labctl("mcp", "install", client, "--global", "--dry-run").code == 5


def test_settings_that_are_not_utf8_are_left_alone(labctl: Labctl) -> None:
    path = Path(os.environ["HOME"], USERS["codex"])
    path.parent.mkdir()
    path.write_bytes(b'a = "\xff"\n')
    assert labctl("mcp", "install", "codex", "--global").code == 2
    assert path.read_bytes() == b'a = "\xff"\n'


def test_a_link_to_settings_stays_a_link(labctl: Labctl, tmp_path: Path) -> None:
    """Who keeps settings in a repository of dotfiles links them into place."""
    kept = tmp_path / "dotfiles/config.toml"
    kept.parent.mkdir()
    kept.write_text("a = 1\n")
    path = Path(os.environ["HOME"], USERS["codex"])
    path.parent.mkdir()
    path.symlink_to(kept)
    labctl.done("mcp", "install", "codex", "--global")
    assert path.is_symlink()
    assert "labctl" in tomllib.loads(kept.read_text())["mcp_servers"]


def test_settings_that_a_client_rewrites_itself_are_left_to_it(labctl: Labctl) -> None:
    said = labctl("mcp", "install", "claude", "--global")
    assert said.code == 2
    assert "claude mcp add --scope user labctl -- /" in said.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("install", "hermes"), "labctl mcp install hermes --global"),
        (("install", "emacs"), "one of claude, codex"),
        (("install",), "one of claude, codex"),
        (("serve", "claude"), "serve takes none of these"),
        (("serve", "--print"), "serve takes none of these"),
        (("approve",), "invalid choice"),
    ],
)
def test_what_makes_no_sense_is_refused(words: tuple[str, ...], said: str, labctl: Labctl) -> None:
    found = labctl("mcp", *words)
    assert found.code == 2
    assert said in found.err
