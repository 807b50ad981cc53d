"""The root's documents."""

from __future__ import annotations

import re
from pathlib import Path

from lab.core import layout
from lab.projections import readme

CHECKOUT = Path(__file__).resolve().parents[2]


def test_it_says_in_which_order_to_read() -> None:
    told = readme.render().decode()
    order = [told.index(name) for name in ("LAB-STATUS.md", "RUNBOOK.md", "SUMMARY.md", "NEXT.md")]
    assert order == sorted(order)


HEADS = {
    layout.CANONICAL: "## What is canonical",
    layout.PEOPLES: "## What people wrote",
    layout.PASSING: "## What goes on now",
    layout.DERIVED: "## What is derived",
}


def section(text: str, head: str) -> str:
    return text.split(f"{head}\n", 1)[1].split("\n## ", 1)[0]


def test_it_names_each_place_of_the_lab_under_what_it_is() -> None:
    told = readme.render().decode()
    for kind, folder, names, about in layout.PLACES:
        under = section(told, HEADS[kind])
        assert f"`{folder}" in under
        assert all(name in under for name in names)
        assert about in under
    assert "labctl refresh" in section(told, HEADS[layout.DERIVED])
    assert "everything else" not in told.casefold()


def test_the_page_that_explains_the_formats_has_the_same_table() -> None:
    page = (CHECKOUT / "docs/explanation/formats.md").read_text(encoding="utf-8")
    rows = dict(line.removeprefix("| ").split(" | ", 1) for line in page.splitlines() if line.startswith("| "))
    told = {kind: re.findall(r"`([^`]+)`", rows[kind].rpartition(" | ")[0]) for kind in HEADS}
    meant: dict[str, list[str]] = {kind: [] for kind in HEADS}
    for kind, folder, names, _ in layout.PLACES:
        within = folder.removeprefix("experiments/<id>/")
        meant[kind] += [f"{within}{name}" for name in names or ("",)]
    assert {kind: sorted(names) for kind, names in told.items()} == {
        kind: sorted(names) for kind, names in meant.items()
    }


def test_the_reference_names_what_is_derived_and_only_after_what_is_canonical() -> None:
    page = (CHECKOUT / "docs/reference/formats.md").read_text(encoding="utf-8")
    derived = section(page, "## Derived")
    for kind, folder, names, _ in layout.PLACES:
        if kind == layout.DERIVED:
            assert all(name in derived for name in names or (folder,))
        elif kind != layout.PASSING:
            canonical = section(page, "## Canonical")
            assert all(f"`{folder}{name}" in canonical or f"`{name}`" in canonical for name in names or ("",))
            assert not any(f"{folder}{name}" in derived for name in names or ("",))


def test_a_file_is_of_the_kind_of_its_place() -> None:
    kinds = {
        "experiments/a/runs/RUN-1/SEAL.json": layout.CANONICAL,
        "experiments/a/archived/x.tar.jsonl": layout.CANONICAL,
        "experiments/a/best.md": layout.DERIVED,
        "control/notify.json": layout.PEOPLES,
        "control/inbox/a.json": layout.CANONICAL,
        "registry/events.jsonl": layout.CANONICAL,
        "registry/locks/a/00000001.claim": layout.PASSING,
        "experiments/a/my-notes.md": "",
        "my-notes.md": "",
    }
    assert {name: layout.kind_of(name) for name in kinds} == kinds


def test_every_command_is_spelt_as_one() -> None:
    for command in re.findall(r"`labctl ([^`]*)`", readme.render().decode()):
        assert re.fullmatch(r"[a-z-]+( install)?( [A-Z][A-Za-z.]*| --?[a-z-]+| \d+)*", command)


def test_the_first_texts_leave_room_for_people() -> None:
    assert readme.program().startswith(b"# Program\n")
    assert readme.changelog().startswith(b"# Changelog\n")
