"""A package that travels: out as a tar, worked on without a lab, back as a tar."""

from __future__ import annotations

import io
import os
import tarfile
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core.errors import BadInput, NotFound, Superseded
from lab.scheduler import reclaim
from lab.scheduler.dispatch import offers, parcel, working
from lab.store import bundles
from lab.store.files import Files
from lab.store.root import Root
from lab.testing.files import Crash, CrashingFiles, a_root
from tests.scheduler.labs import a_lab, an_experiment, tree
from tests.scheduler.parcels import claimed, fill, ingested, queued, stages

if TYPE_CHECKING:
    from pathlib import Path

    from lab.scheduler.dispatch.offers import Held

SCRIPT = """\
import json, os
import values
assert os.path.isfile(os.environ["LAB_SPEC_PATH"]), os.environ["LAB_SPEC_PATH"]
assert os.environ["LAB_DISPATCH_ID"].startswith("DISPATCH-")
assert os.path.samefile(os.environ["LAB_DISPATCH_DIR"], os.path.dirname(os.environ["LAB_RUN_DIR"]))
with open(os.environ["LAB_RUN_DIR"] + "/metrics.json", "w") as file:
    json.dump({"loss": values.LOSS}, file)
"""


@pytest.fixture
def root(tmp_path: Path) -> Root:
    workspace = tmp_path / "ws"
    workspace.mkdir()
    (workspace / "train.py").write_text(SCRIPT)
    (workspace / "values.py").write_text("LOSS = 0.25\n")
    made = a_lab(tmp_path / "lab")
    more = f"workspace_root: {workspace}\nexecutor_command: python3 train.py\ntime_budget: 15s\n"
    an_experiment(made, "alpha", more)
    return with_surroundings(made)


def with_surroundings(root: Root) -> Root:
    return Root(root.layout.root, msgspec.structs.replace(root.world, environ=dict(os.environ)), files=root.files)


def packed(root: Root, held: Held, out: Path, *, with_workspace: bool = True) -> str:
    return parcel.pack(root, held.place.dispatch_id, "w1", str(out), with_workspace=with_workspace).tar


def far(tar: str, place: Path) -> str:
    """What a person does on the other machine, with any tar program."""
    place.mkdir()
    with tarfile.open(tar) as made:
        made.extractall(place, filter="data")
        return str(place / made.getnames()[0].partition("/")[0])


def outcome(root: Root, held: Held) -> tuple[str, float | None]:
    made = bundles.load_seal(root.layout.run("alpha", held.manifest.run_id))
    assert made is not None
    return made[0].run.outcome, made[0].run.value


def test_a_package_is_worked_on_without_the_lab_and_comes_back(root: Root, tmp_path: Path) -> None:
    held = claimed(root)
    folder = far(packed(root, held, tmp_path / "out.tar"), tmp_path / "far")
    (tmp_path / "ws").rename(tmp_path / "ws-is-not-on-the-other-machine")
    os.rename(root.layout.root, f"{root.layout.root}-hidden")
    done = parcel.work_apart(Files(durable=False), root.world, folder, interrupted=lambda: "")
    os.rename(f"{root.layout.root}-hidden", root.layout.root)
    assert done.outcome == "success", done
    back = parcel.unpack(root, done.tar)
    assert (back.dispatch_id, back.outcome) == (held.place.dispatch_id, "success")
    assert [each.kind for each in ingested(root)] == [offers.INGESTED]
    assert outcome(root, held) == ("success", 0.25)
    assert stages(root) == {}


CONFIGURED = """\
import json, os
with open(os.environ["LAB_WORKSPACE_ROOT"] + "/config.json") as file:
    print("METRIC loss=%r" % json.load(file)["lr"])
"""


@pytest.mark.parametrize("with_workspace", [True, False])
@pytest.mark.parametrize("command", ["executor_command", "validation_command"])
def test_parameters_go_into_the_config_file_without_a_lab_too(
    tmp_path: Path, command: str, with_workspace: bool
) -> None:
    place = tmp_path / "code"
    place.mkdir()
    (place / "train.py").write_text(CONFIGURED)
    (place / "config.json").write_text('{"lr": 9.0}')
    root = with_surroundings(a_lab(tmp_path / "lab2"))
    an_experiment(
        root,
        "alpha",
        f"workspace_root: {place}\n{command}: python3 train.py\nmutable_paths: [config.json]\n"
        "strategy: random\nsearch_space: {lr: {value: 0.5}}\n",
    )
    held = claimed(root)
    folder = far(packed(root, held, tmp_path / "out.tar", with_workspace=with_workspace), tmp_path / "far")
    if with_workspace:
        place.rename(tmp_path / "code-is-not-on-the-other-machine")
    done = parcel.work_apart(Files(durable=False), root.world, folder, interrupted=lambda: "")
    assert done.outcome == "success", done
    assert not [name for name in os.listdir(folder) if name.startswith(".")]
    parcel.unpack(root, done.tar)
    ingested(root)
    assert outcome(root, held) == ("success", 0.5)
    left = (tmp_path / "far" / os.path.basename(folder) / "workspace") if with_workspace else place
    assert (left / "config.json").read_text() == '{"lr": 9.0}'


def test_working_twice_does_not_run_twice(root: Root, tmp_path: Path) -> None:
    folder = far(packed(root, claimed(root), tmp_path / "out.tar"), tmp_path / "far")
    first = parcel.work_apart(Files(durable=False), root.world, folder, interrupted=lambda: "")
    before = tree(f"{folder}/run")
    assert parcel.work_apart(Files(durable=False), root.world, folder, interrupted=lambda: "") == first
    assert tree(f"{folder}/run") == before


def test_a_tar_of_the_folder_made_by_hand_comes_back_too(root: Root, tmp_path: Path) -> None:
    held = claimed(root)
    folder = far(packed(root, held, tmp_path / "out.tar", with_workspace=False), tmp_path / "far")
    os.makedirs(f"{folder}/run", exist_ok=True)
    for name, text in (("RESULT.md", "# r\n"), ("metrics.json", '{"loss": 0.75}')):
        with open(f"{folder}/run/{name}", "w", encoding="utf-8") as file:
            file.write(text)
    back = tmp_path / "back.tar.gz"
    with tarfile.open(back, "w:gz") as tar:
        tar.add(folder, arcname=f"./{held.place.dispatch_id}")
    assert parcel.unpack(root, str(back)).outcome == ""
    assert stages(root) == {"running": 1}


def test_only_a_claimed_package_is_packed_and_nothing_is_overwritten(root: Root, tmp_path: Path) -> None:
    name = queued(root)
    with pytest.raises(BadInput, match="not claimed"):
        parcel.pack(root, name, "w1", str(tmp_path / "a.tar"))
    offers.claim(root, "w1")
    parcel.pack(root, name, "w1", str(tmp_path / "a.tar"))
    with pytest.raises(BadInput, match="already"):
        parcel.pack(root, name, "w1", str(tmp_path / "a.tar"))
    with pytest.raises(BadInput, match="hold itself"):
        parcel.pack(root, name, "w1", f"{root.layout.package('running', name + '@w1')}/a.tar")


def test_a_tar_that_means_harm_changes_nothing(root: Root, tmp_path: Path) -> None:
    held = claimed(root)
    fill(held, 0.5)
    before = tree(root.layout.root)
    for name in ("../../escape", f"{held.place.dispatch_id}/run/../../../x", "/etc/x"):
        path = tmp_path / "bad.tar"
        with tarfile.open(path, "w") as tar:
            about = tarfile.TarInfo(name)
            about.size = 1
            tar.addfile(about, io.BytesIO(b"x"))
        with pytest.raises(BadInput):
            parcel.unpack(root, str(path))
    with pytest.raises(NotFound):
        parcel.unpack(root, str(tmp_path / "none.tar"))
    assert {name: data for name, data in tree(root.layout.root).items() if "probe" not in name} == before


def test_a_tar_cannot_bring_more_than_its_run(root: Root, tmp_path: Path) -> None:
    held = claimed(root)
    folder = far(packed(root, held, tmp_path / "out.tar"), tmp_path / "far")
    for name in ("claim.json", "dispatch.json", "input/SPEC.yaml"):
        with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
            file.write("forged")
    back = tmp_path / "back.tar"
    with tarfile.open(back, "w") as tar:
        tar.add(folder, arcname=held.place.dispatch_id)
    parcel.unpack(root, str(back))
    for name in ("claim.json", "dispatch.json", "input/SPEC.yaml"):
        with open(f"{held.path}/{name}", encoding="utf-8") as file:
            assert "forged" not in file.read()


def test_a_tar_for_a_lost_lease_is_told(root: Root, tmp_path: Path) -> None:
    held = claimed(root)
    tar = packed(root, held, tmp_path / "out.tar")
    reclaim.broken(root, "alpha", held.manifest.generation, actor="ann")
    with pytest.raises(Superseded):
        parcel.unpack(root, tar)


def test_an_unpack_that_was_killed_anywhere_can_be_made_again(root: Root, tmp_path: Path) -> None:
    held = claimed(root)
    folder = far(packed(root, held, tmp_path / "out.tar"), tmp_path / "far")
    done = parcel.work_apart(Files(durable=False), root.world, folder, interrupted=lambda: "")
    for at in range(1, 200):
        try:
            parcel.unpack(a_root(root.layout.root, CrashingFiles(at=at)), done.tar)
        except Crash:
            continue
        break
    ingested(root)
    assert outcome(root, held) == ("success", 0.25)


def test_a_worker_runs_what_the_spec_names_in_the_package(root: Root) -> None:
    queued(root)
    said = working.work_on(root, "w1", max_runs=3)
    assert [(each.kind, each.outcome, each.value) for each in said] == [(offers.DONE, "success", 0.25)]
    ingested(root)
    assert stages(root) == {}


def test_a_worker_records_a_run_that_cannot_start(root: Root, tmp_path: Path) -> None:
    (tmp_path / "ws" / "train.py").unlink()
    queued(root)
    said = working.work_on(root, "w1")
    assert [(each.kind, each.outcome) for each in said] == [(offers.DONE, "failed")]
    ingested(root)
    (name,) = bundles.names(root, "alpha")
    made = bundles.load_seal(root.layout.run("alpha", name))
    assert made is not None
    assert "train.py" in made[0].run.reason
