"""Nodes whose clocks go wrong by an hour: a run under way is not taken for silent, and no duration is negative."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.cli.labs import CHECKOUT, process
from tests.engines.labs import Lab, wrapper

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Said
    from tests.engines.cluster import Cluster

pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("slurm"), pytest.mark.timeout(150)]

WAITS = 'while ! test -e "$LAB_REPO_ROOT/go"; do sleep 0.1; done'
# Times of files stay the kernel's, as a file server's are when a node's clock is wrong.
SHIFT = """\
import datetime, time
real, real_ns, true = time.time, time.time_ns, datetime.datetime
time.time = lambda: real() + ({shift_s})
time.time_ns = lambda: real_ns() + ({shift_s}) * 1_000_000_000
class Shifted(true):
    @classmethod
    def now(cls, tz=None):
        return true.now(tz) + datetime.timedelta(seconds={shift_s})
datetime.datetime = Shifted
"""
# A body renews its claim every 20 s: so that it need not be waited for so long, here every 2 s.
OFTEN = """\
import lab.core.claim
lab.core.claim.RENEW_EVERY_S = 2.0
"""


class Apart(Lab):
    """A lab that is looked after from here, whose bodies are elsewhere: one of them has another time than the files."""

    looks_in: Path | None = None

    def labctl(self, *words: str, limit_s: float = 60) -> Said:
        more = {"PYTHONPATH": str(self.looks_in)} if self.looks_in else {}
        return process(*words, root=self.root, env={**self.cluster.environ, **more}, limit_s=limit_s)

    def renewed_s(self) -> float:
        (claim,) = self.locks.glob("*.claim")
        return claim.stat().st_mtime


def first(folder: Path, text: str) -> Path:
    """What a Python imports first that has this on its path."""
    folder.mkdir(parents=True)
    (folder / "sitecustomize.py").write_text(text)
    return folder


def test_runs_whose_nodes_are_an_hour_off_are_sealed_once_and_taken_by_nobody(tmp_path: Path, cluster: Cluster) -> None:
    labs = [
        Apart(tmp_path / f"{where}{shift_s}", cluster, program=WAITS, runs=2)
        for shift_s in (3600, -3600)
        for where in ("body", "look")
    ]
    for lab in labs:
        shift = SHIFT.format(shift_s=int(lab.place.name[4:]))
        of_body = OFTEN
        if lab.place.name.startswith("look"):
            lab.looks_in = first(lab.place / "looker", shift)
        else:
            of_body += shift
        lab.row(python=wrapper(lab.place, f"env PYTHONPATH={first(lab.place / 'body', of_body)}:{CHECKOUT}"))
        lab.turn()
    began_s = []
    for lab in labs:
        lab.until(f"{lab.place.name}: it runs", lab.executed)
        began_s.append(lab.renewed_s())
        lab.turn()
    for lab, at_s in zip(labs, began_s, strict=True):
        lab.until(f"{lab.place.name}: it has renewed its claim", partial(_later, lab, at_s))
        lab.turn()
        assert lab.superseded() == lab.sealed() == [], lab.place.name
        (lab.specs / "go").touch()
    for lab in labs:
        lab.turns_until(f"{lab.place.name}: it is settled", lambda: len(lab.sealed()) == 2 and lab.settled())  # noqa: B023  # it ends here
        assert sorted(lab.executed()) == lab.sealed("success"), lab.place.name
        assert len(lab.runs()) == 2
        for run in lab.runs():
            assert 0 <= json.loads((run / "manifest.json").read_text())["wall_s"] < 120, lab.place.name
        assert lab.done("verify").code == 0


def _later(lab: Apart, at_s: float) -> bool:
    return lab.renewed_s() > at_s
