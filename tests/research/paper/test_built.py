"""What a paper says of the programs that were run: who wrote them, what held them, and what was frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.record import page
from lab.research.paper import claim, found
from lab.research.work.out import Out
from tests.research import tasks
from tests.research.paper.papers import Told

if TYPE_CHECKING:
    from pathlib import Path

FROZEN = {"SPEC.yaml": "a" * 64}


def test_a_paper_says_who_wrote_what_was_run_what_held_it_and_what_was_frozen(tmp_path: Path) -> None:
    told = Told(tmp_path)

    def written(**more: object) -> str:
        told.phase("implementation", {"built.json": page(tasks.a_built(tasks.STUDY, **more))})
        out = Out(found.of_run(told.root, told.written()).folder)
        return " ".join((out.read(claim.PAPER) or b"").decode().split())

    own = written(by="study")
    assert "frozen" not in own
    assert "were written by" not in own
    held = written(by="agent claude", is_by_others=True, is_fenced=True, fence="landlock 7", frozen=FROZEN)
    assert "Every file of it was frozen before the first run, and is the same after the last." in held
    assert "What its programs read or import from elsewhere was not." in held
    beside = written(by="study", frozen=FROZEN, outside={"/srv/measure.py": "b" * 64})
    assert "So was each file outside of it that its commands name." in beside
    logged = written(by="study", frozen=FROZEN, outside={"/srv/measure.py": "b" * 64}, written=("/srv/a.log",))
    assert "So was each file outside of it that its commands name, but for those that its first run wrote." in logged
    assert "written by agent claude. While they ran, they could write to nothing but the folders of their own" in held
    assert "held by `landlock 7`" in held
    loose = written(by="agent claude", is_by_others=True, fence="none: no", frozen=FROZEN, mutable=("model.py",))
    assert "Every file of it, but for those that a candidate may change, was frozen" in loose
    assert "Nothing kept them from writing elsewhere while they ran: `none: no`." in loose


def test_a_paper_that_goes_on_from_an_experiment_tells_whose_runs_they_are(tmp_path: Path) -> None:
    told = Told(tmp_path)
    del told.files["implementation/built.json"]
    told.phase("training", {"training.json": page(msgspec.structs.replace(told.trained, runs=1))})
    out = Out(found.of_run(told.root, told.written()).folder)
    text = " ".join((out.read(claim.PAPER) or b"").decode().split())
    assert "The study has 4 runs, 1 of them in this round and the others before it" in text
    assert "frozen" not in text
