"""The place in memory is that of the crash tests."""

from __future__ import annotations

from tests.crash.conftest import ram

__all__ = ["ram"]
