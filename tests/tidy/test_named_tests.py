"""A page that says which test shows something names one that is there, and links the file that has it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\[(test_\w+)(?:\.py)?\]\(([^)]+)\)")
NAMED = [
    (page, name, path)
    for page in sorted((CHECKOUT / "docs").rglob("*.md"))
    for name, path in LINK.findall(page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize(("page", "name", "path"), NAMED, ids=[name for _, name, _ in NAMED])
def test_a_test_that_a_page_names_is_in_the_file_that_it_links(page: Path, name: str, path: str) -> None:
    file = (page.parent / path).resolve()
    assert file.is_file()
    assert file.stem == name or f"def {name}(" in file.read_text(encoding="utf-8")


def test_the_page_on_concurrency_names_a_test_in_each_row() -> None:
    text = (CHECKOUT / "docs/explanation/concurrency.md").read_text(encoding="utf-8")
    rows = [line for line in text.partition("## Who meets whom")[2].splitlines() if line.startswith("| ")][2:]
    assert rows
    assert [row for row in rows if not LINK.search(row)] == []
