"""Detached bodies on this machine, held to what every engine promises; and what only they can get wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import job as words
from lab.engines import minder
from lab.engines.local import Local
from lab.testing.engines import EngineContract

if TYPE_CHECKING:
    from lab.engines.door import Ground


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minder, "GRACE_S", 0.3)
    monkeypatch.setattr(minder, "_LINGER_S", 0.2)


class TestLocal(EngineContract):
    engine = Local()

    def test_the_secrets_of_the_terminal_stay_there(
        self, lab: str, ground: Ground, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """They reach the body, as they do where there is no engine: it gives a run what its SPEC names. No file."""
        monkeypatch.setenv("SOME_TOKEN", "of the process")
        rich = msgspec.structs.replace(ground, environ={**ground.environ, "SOME_TOKEN": "of the surroundings"})
        assert self.done(lab, rich, self.job(lab, "echo $SOME_TOKEN")).how == words.DONE
        assert Path(f"{lab}/1.out").read_text() == "of the surroundings\n"
        kept = [path.read_bytes() for path in Path(ground.folder).iterdir()]
        assert kept
        assert not any(b"surroundings" in data for data in kept)
