"""docs/reference/agents.md names every agent and every variable that one is given, and none that it is not."""

from __future__ import annotations

import re
from pathlib import Path

from lab.llm.agents import table

PAGE = (Path(__file__).resolve().parents[3] / "docs/reference/agents.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([a-z]+)` \|.*\| ([^|]*) \|$", re.MULTILINE)


def test_the_table_of_the_page_is_that_of_the_code() -> None:
    told = {name: set(re.findall(r"`([A-Z][A-Z0-9_]+)`", cell)) for name, cell in ROW.findall(PAGE)}
    assert told == {name: set(table.built_in(name, "prog").passed) for name in table.BUILT_IN}
