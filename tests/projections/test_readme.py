"""The root's documents."""

from __future__ import annotations

import re

from lab.core import layout
from lab.projections import readme


def test_it_says_in_which_order_to_read() -> None:
    told = readme.render().decode()
    order = [told.index(name) for name in ("LAB-STATUS.md", "RUNBOOK.md", "SUMMARY.md", "NEXT.md")]
    assert order == sorted(order)


def test_it_names_what_is_canonical_and_what_is_derived() -> None:
    told = readme.render().decode()
    for name in (layout.SPEC, layout.SEAL, "registry/events.jsonl", "control/", *layout.DOCUMENTS):
        assert name in told.split("## What is canonical")[1]
    assert "labctl refresh" in told


def test_every_command_is_spelt_as_one() -> None:
    for command in re.findall(r"`labctl ([^`]*)`", readme.render().decode()):
        assert re.fullmatch(r"[a-z-]+( install)?( [A-Z][A-Za-z.]*| --?[a-z-]+| \d+)*", command)


def test_the_first_texts_leave_room_for_people() -> None:
    assert readme.program().startswith(b"# Program\n")
    assert readme.changelog().startswith(b"# Changelog\n")
