"""Where each client keeps its servers, and what its settings look like with ours among them.

Text in, text out: nothing here writes. A file that cannot be read for certain is refused, with what to paste into it:
these are other programs' settings, and some hold secrets.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAME = "labctl"
LONGEST_S = 3_660  # the longest call there is, and a minute
JSON, TOML, YAML = "json", "toml", "yaml"
_INDENT = re.compile(r"^([ \t]+)\S", re.MULTILINE)


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """A program that starts servers. `place` is below the project or `home`; empty where it has no such file."""

    name: str
    project: str = ""
    user: str = ""
    home: str = "~"  # or the variable that names another one
    kind: str = JSON
    keys: tuple[str, ...] = ("mcpServers",)
    elsewhere: str = ""  # how it is done for all projects, where that is not by a file
    then: str


CLIENTS = (
    Client(
        name="claude",
        project=".mcp.json",
        elsewhere="claude mcp add --scope user labctl -- {command}",
        then="claude: approve the server that /mcp shows as pending",
    ),
    Client(
        name="codex",
        project=".codex/config.toml",
        user="config.toml",
        home="CODEX_HOME:~/.codex",
        kind=TOML,
        keys=("mcp_servers",),
        then="codex mcp list (a project's file counts in a trusted project only)",
    ),
    Client(
        name="opencode",
        project="opencode.json",
        user="opencode/opencode.json",
        home="XDG_CONFIG_HOME:~/.config",
        keys=("mcp",),
        then="opencode mcp list",
    ),
    Client(
        name="hermes",
        user="config.yaml",
        home="HERMES_HOME:~/.hermes",
        kind=YAML,
        keys=("mcp_servers",),
        then="hermes mcp list",
    ),
    Client(
        name="gemini",
        project=".gemini/settings.json",
        user=".gemini/settings.json",
        then="gemini: trust the folder, then /mcp",
    ),
    Client(name="cursor", project=".cursor/mcp.json", user=".cursor/mcp.json", then="cursor: Settings, MCP: enable it"),
)


def find(name: str) -> Client:
    """The client of this name."""
    found = next((client for client in CLIENTS if client.name == name), None)
    if found is None:
        known = ", ".join(client.name for client in CLIENTS)
        raise BadInput(f"labctl does not know the client {name}", fix=f"one of {known}")
    return found


def place(client: Client, command: Sequence[str], *, everywhere: bool, project: str, environ: Mapping[str, str]) -> str:
    """The file that is to know of the server."""
    if not everywhere:
        if not client.project:
            what = f"{client.name} has no settings of a project"
            raise BadInput(what, fix=f"labctl mcp install {client.name} --global")
        return f"{project}/{client.project}"
    if not client.user:
        what = f"{client.name} rewrites its own settings while it runs, so that nobody else should"
        raise BadInput(what, fix=client.elsewhere.format(command=_quoted(command)))
    variable, _, usual = client.home.rpartition(":")
    home = (environ.get(variable, "") if variable else "") or usual
    return f"{home.replace('~', environ.get('HOME', '~'), 1)}/{client.user}"


def entry(client: Client, command: Sequence[str]) -> dict[str, object]:
    """The server as this client spells it. Its calls may take as long as a turn does."""
    program, *rest = command
    match client.name:
        case "opencode":
            return {"type": "local", "command": list(command), "enabled": True}
        case "codex":
            return {"command": program, "args": rest, "tool_timeout_sec": LONGEST_S}
        case "hermes":
            return {"command": program, "args": rest, "timeout": LONGEST_S}
        case "gemini":
            return {"command": program, "args": rest, "timeout": 1000 * LONGEST_S}
        case _:
            return {"command": program, "args": rest}


def text(client: Client, server: Mapping[str, object]) -> str:
    """What a file with our server alone would hold: also what a person pastes into one that is refused."""
    return merged(client, server, "", client.name)


def merged(client: Client, server: Mapping[str, object], before: str, where: str) -> str:
    """The file with our server in it, and with all else as it was; `before` itself when it is in it already."""
    if client.kind == TOML:
        return _into_toml(client, server, before, where)
    if client.kind == YAML:
        return _into_yaml(client, server, before, where)
    return _into_json(client, server, before, where)


def _into_json(client: Client, server: Mapping[str, object], before: str, where: str) -> str:
    try:
        found: object = json.loads(before, object_pairs_hook=_each_once) if before.strip() else {}
    except (ValueError, RecursionError) as error:
        raise _refusal(client, server, where, f"it is not plain JSON: {error}") from None
    if not isinstance(found, dict):
        raise _refusal(client, server, where, "it is not an object")
    inside = found
    for key in _keys(client, found):
        inside = inside.setdefault(key, {})
        if not isinstance(inside, dict):
            raise _refusal(client, server, where, f"its {key} is not an object")
    if inside.get(NAME) == server:
        return before
    inside[NAME] = server
    indent = _INDENT.search(before)
    try:
        after = json.dumps(found, indent=indent[1] if indent else 2, ensure_ascii=False, allow_nan=False) + "\n"
        after.encode()
    except ValueError as error:  # 1e400, or half a character
        raise _refusal(client, server, where, f"it holds what cannot be written back: {error}") from None
    return after


def _keys(client: Client, found: Mapping[str, object]) -> tuple[str, ...]:
    """Where the servers are. From its version 2 on, opencode has them one step further in."""
    inside = found.get(client.keys[0])
    if client.name == "opencode" and isinstance(inside, dict):
        deeper = inside.get("servers")
        if isinstance(deeper, dict) and "type" not in deeper:
            return (*client.keys, "servers")
    return client.keys


def _into_toml(client: Client, server: Mapping[str, object], before: str, where: str) -> str:
    import tomlkit  # noqa: PLC0415  # it keeps comments and order; only one client writes TOML
    from tomlkit.exceptions import TOMLKitError  # noqa: PLC0415

    try:
        document = tomlkit.parse(before)
        servers = document.setdefault(client.keys[0], tomlkit.table(is_super_table=True))
        known = servers.get(NAME)
        if known is not None and known.unwrap() == server:
            return before
        table = tomlkit.table()
        for key, value in server.items():
            table.add(key, value)
        servers[NAME] = table
        after = tomlkit.dumps(document)
        kept = tomlkit.parse(after).unwrap()
    except (TOMLKitError, TypeError, AttributeError, ValueError) as error:
        raise _refusal(client, server, where, f"it cannot be read as TOML: {error}") from None
    expected = tomlkit.parse(before).unwrap() if before.strip() else {}
    expected.setdefault(client.keys[0], {})[NAME] = dict(server)
    if kept != expected:
        raise _refusal(client, server, where, "it would not say the same with our table in it")
    return after


def _into_yaml(client: Client, server: Mapping[str, object], before: str, where: str) -> str:
    """By lines, not by writing it all anew: comments would be lost. What comes of it is read again, and judged."""
    import yaml  # noqa: PLC0415  # only one client writes YAML

    key = client.keys[0]
    try:
        found = yaml.safe_load(before)
    except (yaml.YAMLError, RecursionError) as error:
        raise _refusal(
            client, server, where, f"it cannot be read as YAML: {str(error).partition(chr(10))[0]}"
        ) from None
    found = {} if found is None else found
    if not isinstance(found, dict) or not isinstance(found.get(key, {}) or {}, dict):
        raise _refusal(client, server, where, f"it is no mapping, or its {key} is none")
    servers = dict(found.get(key) or {})
    if servers.get(NAME) == server:
        return before
    block = [f"{NAME}:", *(f"  {name}: {json.dumps(value)}" for name, value in server.items())]
    head = re.search(rf"^{key}:[ \t]*(?:#.*)?$", before, re.MULTILINE)
    if head is None:
        start = before if not before or before.endswith("\n") else before + "\n"
        after = f"{start}{key}:\n" + "".join(f"  {line}\n" for line in block)
    else:
        first = re.match(r"(?:[ \t]*(?:#.*)?\n)*([ ]+)\S", before[head.end() + 1 :])
        step = first[1] if first else "  "
        after = before[: head.end()] + "".join(f"\n{step}{line}" for line in block) + before[head.end() :]
    expected = {**found, key: {**servers, NAME: server}}
    try:
        same = yaml.safe_load(after) == expected and NAME not in servers
    except yaml.YAMLError:
        same = False
    if not same:
        raise _refusal(client, server, where, f"its {key} cannot take a server without being written anew")
    return after


def _refusal(client: Client, server: Mapping[str, object], where: str, why: str) -> Unavailable:
    sample = text(client, server).rstrip("\n")
    what = f"the settings of {client.name} were left as they are: {why}"
    return Unavailable(what, where=where, fix=f"add this yourself:\n{sample}")


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object. Of a key that stands in it twice one would be lost."""
    found = dict(pairs)
    if len(found) != len(pairs):
        message = "a key stands in an object twice"
        raise ValueError(message)
    return found


def _quoted(command: Sequence[str]) -> str:
    import shlex  # noqa: PLC0415  # for this one sentence

    return shlex.join(command)
