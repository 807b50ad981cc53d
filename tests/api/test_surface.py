"""What is promised: the names, the page that lists them, and that `import lab` costs nothing."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lab
from lab.api import reference

CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = CHECKOUT / "docs" / "reference" / "api.md"


def test_the_names_are_those_that_the_page_lists() -> None:
    told = PAGE.read_text(encoding="utf-8")
    listed = re.findall(r"^## `lab\.(\w+)`", told, re.MULTILINE) + re.findall(r"^\| `lab\.(\w+)` ", told, re.MULTILINE)
    assert sorted(listed) == sorted(lab.__all__)
    assert set(lab.__all__) <= set(dir(lab))
    assert all(getattr(lab, name) is not None for name in lab.__all__)


def test_the_page_is_what_the_docstrings_say() -> None:
    assert reference.page(lab._WHERE) == PAGE.read_text(encoding="utf-8"), "run scripts/reference"


@pytest.mark.parametrize("name", ["Burst", "Experiment", "Lab", "Run", "Table", "Trial"])
def test_everything_public_has_a_section_and_a_word_said_of_it(name: str) -> None:
    told = PAGE.read_text(encoding="utf-8")
    kind = getattr(lab, name)
    for member in vars(kind):
        if not member.startswith("_") and name != "Burst":
            assert inspect.getdoc(getattr(kind, member)), f"{name}.{member}"
            assert f"### `{name}.{member}`" in told
    assert inspect.getdoc(kind)


def test_importing_the_lab_loads_nothing_else() -> None:
    program = "import sys; was = set(sys.modules); import lab; print(sorted(set(sys.modules) - was), dir(lab)[:2])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=CHECKOUT)
    assert done.stdout.startswith("['lab'] ")


def test_a_name_that_is_not_there_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="module 'lab' has no attribute 'Labb'"):
        lab.Labb  # type: ignore[attr-defined]  # noqa: B018  # the very point


def test_the_errors_are_those_of_the_lab() -> None:
    for name in ("BadInput", "Busy", "Corrupt", "Exhausted", "NotFound", "Superseded", "Unavailable"):
        assert issubclass(getattr(lab, name), lab.LabError)
    assert issubclass(lab.LabWarning, UserWarning)
