"""Strategies by name: the built-ins, plug-ins, and plug-ins that cannot be loaded."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from textwrap import dedent

import pytest

from lab.core import space
from lab.core.errors import BadInput
from lab.core.trial import History, luck
from lab.strategies import door
from lab.strategies.random_ import Random

CHECKOUT = Path(__file__).resolve().parents[2]
SQUARE = space.parse({"x": {"low": 0, "high": 1}, "y": {"low": 0, "high": 1}})


@pytest.fixture
def plug_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with a good strategy, two that cannot be used, and one that takes a built-in's name."""
    about = tmp_path / "clever-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: clever\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        dedent("""\
            [lab.strategies]
            corner = clever_corner:Corner
            broken = clever_broken:Broken
            mute = clever_corner:Mute
            heavy = clever_corner:Heavy
            random = clever_corner:Corner
        """)
    )
    (tmp_path / "clever_corner.py").write_text(
        dedent("""\
            from lab.core import assignment
            from lab.core.trial import Proposal
            from lab.strategies.fresh import fresh

            class Corner:
                def propose(self, space, history, rng):
                    return Proposal(params=fresh(space, history, lambda _: assignment.draw(space, rng)), note="mine")
            class Heavy(Corner):
                loaded = 0
                def load(self):
                    self.loaded += 1
            class Mute:
                pass
        """)
    )
    (tmp_path / "clever_broken.py").write_text("raise RuntimeError('its library is too old')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_the_table_of_built_ins_is_what_the_package_declares() -> None:
    declared = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    assert declared["project"]["entry-points"][door.GROUP] == door.BUILT_IN
    assert door.DEFAULT in door.BUILT_IN


@pytest.mark.parametrize("name", door.BUILT_IN)
def test_built_ins_are_found_by_name(name: str) -> None:
    assert callable(door.find(name).propose)


def test_an_unknown_strategy_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(BadInput, match="baysian") as caught:
        door.find("baysian")
    assert caught.value.fix == "did you mean bayesian?"


def test_a_plug_in_is_found_by_its_name_and_proposes(plug_ins: Path) -> None:
    proposal = door.find("corner").propose(SQUARE, History(), luck(0, 0, "corner"))
    assert proposal.note == "mine"
    assert {"corner", "broken", "random"} <= set(door.names())


def test_a_plug_in_that_fails_to_load_is_told_by_name_and_stops_nothing_else(plug_ins: Path) -> None:
    with pytest.raises(BadInput, match=r"broken.*its library is too old"):
        door.find("broken")
    with pytest.raises(BadInput, match=r"mute.*no method propose"):
        door.find("mute")
    assert {problem.name for problem in door.problems()} == {"broken", "mute", "random"}
    assert door.find("corner") is not None
    assert isinstance(door.find("random"), Random)


@pytest.mark.heavy
def test_the_strategy_of_the_how_to_keeps_the_contract(tmp_path: Path) -> None:
    page = (CHECKOUT / "docs" / "how-to" / "write-a-strategy.md").read_text(encoding="utf-8")
    strategy, contract = re.findall(r"```python[^\n]*\n(.*?)```", page, re.DOTALL)
    (tmp_path / "hop.py").write_text(strategy)
    (tmp_path / "test_hop.py").write_text(contract)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-n0",
            "-k",
            "not finds_more or sphere-minimize",
            "test_hop.py",
        ],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{tmp_path}:{CHECKOUT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_finding_strategies_loads_no_library() -> None:
    program = (
        "import sys; from lab.strategies import door; [door.find(name) for name in door.BUILT_IN]; "
        "print(*({'numpy', 'nevergrad', 'optuna', 'scipy', 'importlib.metadata', 'pathlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_strategy_may_load_what_it_needs_and_need_not(plug_ins: Path) -> None:
    heavy = door.find("heavy")
    door.load(heavy)
    assert vars(heavy) == {"loaded": 1}
    door.load(door.find("corner"))


@pytest.mark.parametrize("name", [pytest.param("evolution", marks=pytest.mark.heavy), "bayesian", "portfolio", "tree"])
def test_once_it_has_loaded_a_proposal_loads_nothing_more(name: str) -> None:
    pytest.importorskip("nevergrad" if name == "evolution" else "numpy")
    program = dedent("""
        import sys
        from lab.strategies import door
        from lab.testing.strategies import SPACES, bowl, simulated
        own = door.find(sys.argv[1])
        door.load(own)
        before = set(sys.modules)
        simulated(own, SPACES["floats"], bowl(SPACES["floats"]), 13)
        print(*(set(sys.modules) - before))
    """)
    done = subprocess.run(
        [sys.executable, "-c", program, name], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
