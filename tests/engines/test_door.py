"""Engines by name."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from lab.core.errors import BadInput
from lab.engines import door

CHECKOUT = Path(__file__).resolve().parents[2]


def test_the_table_of_built_ins_is_what_the_package_declares() -> None:
    declared = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    assert declared["project"]["entry-points"][door.GROUP] == door.BUILT_IN


def test_an_unknown_engine_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(BadInput, match="slurn") as caught:
        door.find("slurn")
    assert caught.value.fix == "did you mean slurm?"
