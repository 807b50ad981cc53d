"""Which engine a run goes to, by the files of a lab and by what a person says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core.errors import BadInput, LabError
from lab.core.job import Wants
from lab.core.layout import ENGINES
from lab.core.spec import Spec
from lab.core.tuning import Tuning
from lab.scheduler import engines
from lab.store import shipped
from tests.scheduler.labs import a_lab

if TYPE_CHECKING:
    from pathlib import Path

    from lab.store.root import Root

GPU = Spec(id="a", executor_class="gpu")
PLAIN = Spec(id="a")


@pytest.fixture
def lab(tmp_path: Path) -> Root:
    return a_lab(tmp_path / "lab")


def write(root: Root, text: str) -> None:
    with open(f"{root.layout.engines}.new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(f"{root.layout.engines}.new", root.layout.engines)


def test_in_a_new_lab_everything_runs_here_and_the_table_stands_there_to_be_filled_in(lab: Root) -> None:
    with open(lab.layout.engines, encoding="utf-8") as file:
        text = file.read()
    assert engines.chosen(lab, PLAIN) is None
    assert engines.chosen(lab, GPU) is None
    lines = text.splitlines()
    rows = [line.removeprefix("#").removeprefix(" ") for line in lines[lines.index("# default:") :]]
    write(lab, "\n".join(rows))
    assert engines.chosen(lab, PLAIN) is None
    gpu = engines.chosen(lab, GPU)
    assert gpu is not None
    assert gpu.engine == "slurm"
    assert set(Wants.__struct_fields__) <= {row.split(":")[0].strip() for row in rows}


def test_an_edit_counts_at_the_next_run(lab: Root) -> None:
    write(lab, "gpu:\n  engine: slurm\n")
    assert engines.chosen(lab, GPU) == Wants(engine="slurm")
    write(lab, "gpu:\n  engine: local\n")
    assert engines.chosen(lab, GPU) == Wants(engine="local")
    os.unlink(lab.layout.engines)
    assert engines.chosen(lab, GPU) is None


def test_the_table_of_the_lab_goes_before_the_one_that_is_shipped_class_by_class(
    lab: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    common = tmp_path / ENGINES
    common.write_text("gpu:\n  engine: slurm\n  cpus: 8\nbig:\n  engine: slurm\n")
    monkeypatch.setattr(shipped, "config_path", lambda _name: str(common))
    assert engines.chosen(lab, GPU) == Wants(engine="slurm", cpus=8)
    write(lab, "gpu:\n  engine: ray\n")
    assert engines.chosen(lab, GPU) == Wants(engine="ray")
    assert engines.table(lab)["big"] == Wants(engine="slurm")
    write(lab, "gpu:\n  engine: here\n")
    assert engines.chosen(lab, GPU) is None


def test_what_a_person_says_goes_before_the_table(lab: Root) -> None:
    write(lab, "gpu:\n  engine: slurm\n  partition: p\n  cpus: 2\n")
    assert engines.chosen(lab, GPU, engine="here") is None
    assert engines.chosen(lab, GPU, engine="local") == Wants(engine="local", cpus=2)
    assert engines.chosen(lab, GPU, engine="slurm") == Wants(engine="slurm", partition="p", cpus=2)
    assert engines.chosen(lab, PLAIN, engine="local") == Wants(engine="local")
    with pytest.raises(BadInput, match="did you mean slurm"):
        engines.chosen(lab, PLAIN, engine="slrm")


@pytest.mark.parametrize("engine", ["", "local"])
@pytest.mark.parametrize("how", ["empty", "rubbish", "unknown", "link", "dead-link", "folder", "pipe", "huge"])
def test_nothing_is_chosen_under_a_table_that_cannot_be_read(lab: Root, how: str, engine: str, tmp_path: Path) -> None:
    path = lab.layout.engines
    os.unlink(path)
    match how:
        case "empty" | "rubbish" | "unknown" | "huge":
            text = {"empty": "", "rubbish": "gpu: [", "unknown": "gpu: {engine: nope}", "huge": "#" * 300_000}
            write(lab, text[how])
        case "link":
            (tmp_path / "elsewhere").write_text("gpu:\n  engine: slurm\n")
            os.symlink(tmp_path / "elsewhere", path)
        case "dead-link":
            os.symlink(tmp_path / "nothing", path)
        case "folder":
            os.mkdir(path)
        case "pipe":
            os.mkfifo(path)
    with pytest.raises(LabError) as caught:
        engines.chosen(lab, PLAIN, engine=engine)
    assert path in caught.value.where
    assert caught.value.fix
    assert engines.chosen(lab, PLAIN, engine="here") is None


def test_a_training_at_this_machines_own_service_is_told_of_where_its_runs_are_placed_elsewhere(lab: Root) -> None:
    here = Spec(id="a", executor="tinker", executor_class="gpu", tinker=Tuning(base_model="m"))
    paid = msgspec.structs.replace(here, tinker=Tuning(base_model="m", base_url="https://tinker.example.org"))
    write(lab, "gpu:\n  engine: slurm\n")
    (told,) = engines.doubts(lab, here)
    assert told.startswith("http://127.0.0.1:8766 is, for the engine slurm, the machine that a run is placed on")
    assert engines.doubts(lab, paid) == []
    write(lab, "gpu:\n  engine: local\n")
    assert engines.doubts(lab, here) == []
