"""Where each client keeps its servers, and what its settings look like with ours among them.

Text in, text out: nothing here writes. A file that cannot be read for certain is refused, with what to paste into it:
these are other programs' settings, and some hold secrets.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import msgspec

from lab.core import clients
from lab.core.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAME = "labctl"
LONGEST_S = 3_660  # the longest call there is, and a minute
JSON, TOML, YAML = "json", "toml", "yaml"
_PROGRAM = ("/", "-c", "from lab.")  # how the words begin that start us
_END = ("--data-root", "", "mcp", "serve")
# What PyYAML stumbles over where a tag does not fit, !!int "" say, and comparing what holds itself.
_ODD = (RecursionError, ValueError, LookupError, AttributeError, TypeError, OverflowError)
_INDENT = re.compile(r"^([ \t]+)\S", re.MULTILINE)


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """A program that starts servers. Its file, in a project and in the client's home; empty where it has none."""

    name: str
    project: str = ""
    user: str = ""
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
        kind=TOML,
        keys=("mcp_servers",),
        then="codex mcp list  # a project's file counts in a trusted project only",
    ),
    Client(
        name="opencode",
        project="opencode.json",
        user="opencode.json",
        keys=("mcp",),
        then="opencode mcp list",
    ),
    Client(
        name="hermes",
        user="config.yaml",
        kind=YAML,
        keys=("mcp_servers",),
        then="hermes mcp list",
    ),
    Client(
        name="gemini",
        project=".gemini/settings.json",
        user="settings.json",
        then="gemini: trust the folder, then /mcp",
    ),
    Client(name="cursor", project=".cursor/mcp.json", user="mcp.json", then="cursor: Settings, MCP: enable it"),
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
    return f"{clients.home(client.name, environ)}/{client.user}"


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


def _renewed(client: Client, server: Mapping[str, object], known: object, where: str) -> dict[str, object]:
    """What is to stand there. Of an entry that we made the command; what a person set beside it stays as they set it.

    One that we did not make, or that somebody added to, is not ours to change: it may be another lab, or hold secrets.
    """
    if known is None:
        return dict(server)
    if not isinstance(known, dict) or not set(known) <= set(server) or not _is_ours(known):
        raise _refusal(client, server, where, f"its {NAME} is not as labctl wrote it", there=True)
    command = {key: server[key] for key in ("command", "args") if key in server}
    return {**server, **known, **command}


def _is_ours(known: Mapping[str, object]) -> bool:
    """Whether a command is one that `install` once wrote: by whole paths, and ending as ours do."""
    first, rest = known.get("command"), known.get("args", [])
    words = [*(first if isinstance(first, list) else [first]), *(rest if isinstance(rest, list) else [None])]
    told = [word for word in words if isinstance(word, str)]
    program, end = told[: -len(_END)], told[-len(_END) :]
    is_end = all(wanted in ("", word) for wanted, word in zip(_END, end, strict=False))
    is_program = bool(program) and all(word.startswith(_PROGRAM) for word in program)
    return told == words and is_program and is_end


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
    renewed = _renewed(client, server, inside.get(NAME), where)
    if inside.get(NAME) == renewed:
        return before
    inside[NAME] = renewed
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
        there = servers.get(NAME)
        known = None if there is None else there.unwrap()
        renewed = _renewed(client, server, known, where)
        if known == renewed:
            return before
        table = tomlkit.table() if there is None else there
        for key, value in renewed.items():
            table[key] = value
        servers[NAME] = table
        after = tomlkit.dumps(document)
        kept = tomlkit.parse(after).unwrap()
    except (TOMLKitError, TypeError, AttributeError, ValueError) as error:
        raise _refusal(client, server, where, f"it cannot be read as TOML: {error}") from None
    expected = tomlkit.parse(before).unwrap() if before.strip() else {}
    expected.setdefault(client.keys[0], {})[NAME] = renewed
    if kept != expected:
        raise _refusal(client, server, where, "it would not say the same with our table in it")
    return after


def _into_yaml(client: Client, server: Mapping[str, object], before: str, where: str) -> str:
    """By lines, not by writing it all anew: comments would be lost. What comes of it is read again, and judged."""
    import yaml  # noqa: PLC0415  # only one client writes YAML

    key = client.keys[0]
    try:
        found = yaml.safe_load(before)
    except (yaml.YAMLError, *_ODD) as error:
        raise _refusal(
            client, server, where, f"it cannot be read as YAML: {str(error).partition(chr(10))[0]}"
        ) from None
    found = {} if found is None else found
    if not isinstance(found, dict) or not isinstance(found.get(key, {}) or {}, dict):
        raise _refusal(client, server, where, f"it is no mapping, or its {key} is none")
    servers = dict(found.get(key) or {})
    known = servers.get(NAME)
    renewed = _renewed(client, server, known, where)
    if known == renewed:
        return before
    there = NAME in servers
    after = _yaml_renewed(before, known or {}, renewed) if there else _yaml_with(before, key, renewed)
    expected = {**found, key: {**servers, NAME: renewed}}
    try:
        same = yaml.safe_load(after) == expected
    except (yaml.YAMLError, *_ODD):
        same = False
    if not same:
        why = f"its {f'{key}.{NAME}' if there else key} cannot be changed without being written anew"
        raise _refusal(client, server, where, why, there=there)
    return after


def _yaml_block(server: Mapping[str, object], step: str) -> str:
    lines = [f"{NAME}:", *(f"  {name}: {json.dumps(value)}" for name, value in server.items())]
    return "".join(f"{step}{line}\n" for line in lines)


def _yaml_with(before: str, key: str, server: Mapping[str, object]) -> str:
    head = re.search(rf"^{key}:[ \t]*(?:#.*)?$", before, re.MULTILINE)
    if head is None:
        start = before if not before or before.endswith("\n") else before + "\n"
        return f"{start}{key}:\n{_yaml_block(server, '  ')}"
    first = re.match(r"(?:[ \t]*(?:#.*)?\n)*([ ]+)\S", before[head.end() + 1 :])
    block = _yaml_block(server, first[1] if first else "  ")
    return f"{before[: head.end()]}\n{block.rstrip()}{before[head.end() :]}"


def _yaml_renewed(before: str, known: Mapping[str, object], server: Mapping[str, object]) -> str:
    """The same lines that we wrote, written again; nothing new where they are not as we wrote them."""
    found = re.search(rf"^([ ]+){NAME}:[ \t]*$", before, re.MULTILINE)
    step = found[1] if found else ""
    return before.replace(_yaml_block(known, step), _yaml_block(server, step), 1)


def _refusal(client: Client, server: Mapping[str, object], where: str, why: str, *, there: bool = False) -> Unavailable:
    """With what to do by hand: where a server of this name is `there`, a second one would be a key twice."""
    sample = text(client, server).rstrip("\n")
    do = f"it has a {NAME} already; change it to:" if there else "add this yourself:"
    what = f"the settings of {client.name} were left as they are: {why}"
    return Unavailable(what, where=where, fix=f"{do}\n{sample}")


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
