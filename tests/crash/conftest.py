"""A place in memory for roots that are made and broken by the thousand."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def ram(tmp_path: os.PathLike[str]) -> Iterator[str]:
    """A folder on tmpfs where there is one: the sweeps are about order, not about the disk."""
    if not os.access("/dev/shm", os.W_OK):  # noqa: S108  # the place is private: mkdtemp
        yield os.fspath(tmp_path)
        return
    path = tempfile.mkdtemp(prefix="labctl-crash-", dir="/dev/shm")
    yield path
    shutil.rmtree(path, ignore_errors=True)
