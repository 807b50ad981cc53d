"""Executors by name: the built-ins, plug-ins, and plug-ins that cannot be loaded."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from lab.core.errors import BadInput
from lab.core.launch import Exit
from lab.core.record import encode
from lab.executors import door
from lab.executors.command import Command
from lab.executors.stub import Stub
from lab.scheduler import closing
from lab.testing.executors import a_manifest

if TYPE_CHECKING:
    from lab.core.ended import Ended
    from lab.core.launch import Launch, Program
    from lab.core.manifest import Manifest

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def plug_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with a good executor, two that cannot be used, and one that takes a built-in's name."""
    about = tmp_path / "strange-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: strange\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        dedent("""\
            [lab.executors]
            good = strange_good:Good
            broken = strange_broken:Broken
            halved = strange_good:Halved
            stub = strange_good:Good
        """)
    )
    (tmp_path / "strange_good.py").write_text(
        dedent("""\
            class Good:
                def prepare(self, launch): return None
                def read(self, path, manifest, ended): return None
            class Halved:
                def prepare(self, launch): return None
        """)
    )
    (tmp_path / "strange_broken.py").write_text("raise RuntimeError('its library is too old')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_the_table_of_built_ins_is_what_the_package_declares() -> None:
    declared = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    assert declared["project"]["entry-points"][door.GROUP] == door.BUILT_IN


def test_built_ins_are_found_by_name() -> None:
    assert isinstance(door.find("command"), Command)
    assert isinstance(door.find("stub"), Stub)
    assert {"command", "stub"} <= set(door.names())


def test_an_unknown_executor_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(BadInput, match="comand") as caught:
        door.find("comand")
    assert caught.value.fix == "did you mean command?"


def test_a_plug_in_is_found_by_its_name(plug_ins: Path) -> None:
    assert type(door.find("good")).__name__ == "Good"
    assert {"good", "broken", "command"} <= set(door.names())


def test_a_plug_in_that_fails_to_load_is_told_by_name_and_stops_nothing_else(plug_ins: Path) -> None:
    with pytest.raises(BadInput, match=r"broken.*its library is too old"):
        door.find("broken")
    with pytest.raises(BadInput, match=r"halved.*no method read"):
        door.find("halved")
    found = {problem.name: problem.what for problem in door.problems()}
    assert set(found) == {"broken", "halved", "stub"}
    assert "its library is too old" in found["broken"]
    assert door.find("good") is not None
    assert isinstance(door.find("command"), Command)


def test_a_plug_in_cannot_take_the_place_of_a_built_in(plug_ins: Path) -> None:
    assert isinstance(door.find("stub"), Stub)


def test_a_run_of_a_built_in_asks_no_installed_package() -> None:
    program = (
        "import sys; from lab.executors import door, environment; door.find('command'); "
        "print(*({'importlib.metadata', 'subprocess', 'pathlib', 'email', 'difflib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_plug_in_that_cannot_read_what_a_dead_holder_left_keeps_nobody_from_settling_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def prepare(self, launch: Launch) -> Program | None:
            return None

        def read(self, path: str, manifest: Manifest, ended: Exit) -> Ended:
            raise ZeroDivisionError

    monkeypatch.setattr(door, "find", lambda _name: Broken())
    manifest = a_manifest(executor="broken")
    with pytest.raises(BadInput, match="the executor broken cannot read it: ZeroDivisionError"):
        door.read("broken", str(tmp_path), manifest, Exit(run_id=manifest.run_id, code=0))
    (tmp_path / "exit.json").write_bytes(encode(Exit(run_id=manifest.run_id, code=0)))
    assert closing.left_behind(str(tmp_path), manifest) is None  # and so it is sealed as a crash
