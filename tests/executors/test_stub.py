"""The executor that starts nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.executors.stub import Stub
from lab.testing.executors import ExecutorContract

if TYPE_CHECKING:
    from pathlib import Path


class TestStub(ExecutorContract):
    executor = Stub()

    def test_it_starts_nothing_and_says_so(self, tmp_path: Path) -> None:
        assert self.executor.prepare(self.launch(str(tmp_path))) is None
        ended = self.end(str(tmp_path))
        assert "nothing was started" in ended.note
        assert "nothing was started" in ended.result
