"""The three files by which agents' programs install labctl's skills and tools from the repository."""

from __future__ import annotations

import json

from lab.cli import commands, parser
from lab.core.version import __version__
from tests.skills.followed import CHECKOUT, NAMES


def read(name: str) -> dict[str, object]:
    found = json.loads((CHECKOUT / name).read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def test_the_plug_in_carries_the_skills_and_the_version_of_this_labctl() -> None:
    plug_in = read(".claude-plugin/plugin.json")
    assert plug_in["version"] == __version__
    folder = CHECKOUT / str(plug_in["skills"])
    assert sorted(path.parent.name for path in folder.glob("*/SKILL.md")) == NAMES


def test_the_marketplace_offers_just_this_plug_in_and_describes_itself() -> None:
    market, plug_in = read(".claude-plugin/marketplace.json"), read(".claude-plugin/plugin.json")
    assert market["description"]  # without one, strict validators refuse it
    assert market["plugins"] == [
        {"name": plug_in["name"], "source": "./", "description": plug_in["description"], "version": __version__}
    ]


def test_the_server_that_is_named_is_a_command_that_labctl_takes() -> None:
    servers = read(".mcp.json")["mcpServers"]
    assert isinstance(servers, dict)
    assert list(servers) == ["labctl"]
    named = servers["labctl"]
    assert named["command"] == "labctl"
    verb, *rest = named["args"]
    command = commands.find(verb)
    assert command is not None
    parser.build(command).read(rest)
