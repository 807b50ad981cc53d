"""An experiment is made whole or not at all; a half made one can be completed; nothing leaves the root."""

from __future__ import annotations

import os
import venv
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import event
from lab.core.errors import BadInput, LabError, NotFound, Unavailable
from lab.projections import index
from lab.scheduler import create, places, refresh
from lab.store import experiments, ledger, reading, shipped, verify
from lab.store.root import Root
from lab.testing.files import Crash, CrashingFiles, FullDisk, a_root
from tests.scheduler.labs import SPEC, a_lab, an_experiment, identities, one_run, reopened, tree

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return a_lab(tmp_path / "lab", "a")


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "new.yaml"
    path.write_text("# my notes stay\n" + SPEC.format(id="new"))
    return str(path)


def types(root: Root) -> list[str]:
    return [entry.line.event.type for entry in ledger.entries(root) if entry.line]


def test_a_new_lab_has_its_folders_and_pages(tmp_path: Path) -> None:
    root = a_root(tmp_path / "deep" / "lab", is_made=False)
    assert create.make_lab(root).made
    names = set(os.listdir(root.layout.root))
    assert {"README-FIRST.md", "LAB-STATUS.md", "LAB-INDEX.json", "PROGRAM.md", "registry", "experiments"} <= names
    assert types(root) == [event.LAB_CREATED]
    assert verify.verify(root).damage == ()


def test_making_a_lab_that_is_there_changes_nothing(root: Root) -> None:
    before = identities(root.layout.root)
    made = create.make_lab(reopened(root))
    assert not made.made
    assert made.notes
    assert identities(root.layout.root) == before


def test_a_folder_with_other_things_in_it_is_no_place_for_a_lab(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(BadInput, match=r"thesis\.tex"):
        create.make_lab(a_root(tmp_path, is_made=False))
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_a_file_is_no_place_for_a_lab(tmp_path: Path) -> None:
    (tmp_path / "lab").write_text("x")
    with pytest.raises(BadInput):
        create.make_lab(a_root(tmp_path / "lab", is_made=False))


def test_a_lab_whose_making_was_stopped_anywhere_is_finished_by_making_it_again(tmp_path: Path) -> None:
    counted = CrashingFiles()
    whole = a_root(tmp_path / "dry", counted, is_made=False)
    create.make_lab(whole)
    wanted = set(tree(whole.layout.root))
    for at in range(1, counted.steps + 1):
        place = tmp_path / str(at)
        with pytest.raises(Crash):
            create.make_lab(a_root(place, CrashingFiles(at=at), is_made=False))
        after = a_root(place, is_made=False)
        create.make_lab(after)
        assert {name for name in tree(after.layout.root) if not name.endswith(".draft")} == wanted, counted.log[at - 1]
        assert types(after) == [event.LAB_CREATED]


def test_an_experiment_keeps_the_spec_as_it_was_written(root: Root, spec: str) -> None:
    made = create.experiment(root, spec, actor="ann")
    assert made.made
    assert reading.read(root.layout.spec("new")) == reading.read(spec)
    line = list(ledger.entries(root))[-1].line
    assert line is not None
    assert (line.event.type, line.event.actor, line.event.tier) == (event.EXPERIMENT_CREATED, "ann", "proxy")
    told = index.parse(reading.read(root.layout.index) or b"")
    assert told is not None
    assert [row.id for row in told.experiments] == ["a", "new"]
    one_run(root, "new")


def test_an_experiment_can_be_given_another_id(root: Root, spec: str) -> None:
    assert create.experiment(root, spec, new_id="other", actor="ann").name == "other"
    assert b"# my notes stay" in (reading.read(root.layout.spec("other")) or b"")


def test_a_dry_run_writes_nothing(root: Root, spec: str) -> None:
    before = identities(root.layout.root)
    assert not create.experiment(root, spec, actor="ann", dry_run=True).made
    assert identities(root.layout.root) == before
    create.experiment(root, spec, actor="ann")
    with pytest.raises(BadInput, match="already"):
        create.experiment(root, spec, actor="ann", dry_run=True)


def test_an_id_is_used_once(root: Root, spec: str) -> None:
    create.experiment(root, spec, actor="ann")
    before = identities(root.layout.root)
    with pytest.raises(BadInput, match="there is an experiment new already") as refused:
        create.experiment(root, spec, actor="bob")
    assert "--id new-2" in refused.value.fix
    assert identities(root.layout.root) == before


@pytest.mark.parametrize("bad", ["../up", "a/b", "..", ".hidden", "/etc", "a\\b", "nul", "x" * 65, "'~'", "a b"])
@pytest.mark.parametrize("as_flag", [False, True])
def test_an_id_that_could_leave_the_root_is_refused_and_nothing_is_written(
    root: Root, tmp_path: Path, bad: str, as_flag: bool
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(SPEC.format(id="fine" if as_flag else bad))
    before = tree(str(tmp_path))
    with pytest.raises(LabError):
        create.experiment(root, str(path), new_id=bad if as_flag else "", actor="ann")
    assert tree(str(tmp_path)) == before


@pytest.mark.parametrize("text", ["", "id: [", "- a\n", "id: x\ntime_budget: -1\n", "id: x\nwhatever: 1\n", "\0"])
def test_a_spec_that_is_refused_leaves_nothing_behind(root: Root, tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    before = identities(root.layout.root)
    with pytest.raises(BadInput):
        create.experiment(root, str(path), actor="ann")
    assert identities(root.layout.root) == before


def test_a_spec_that_is_not_there_is_named(root: Root) -> None:
    with pytest.raises(NotFound, match=r"there is no SPEC nowhere\.yaml"):
        create.experiment(root, "nowhere.yaml", actor="ann")


def test_a_creation_that_was_stopped_anywhere_can_be_completed(tmp_path: Path, spec: str) -> None:
    counted = CrashingFiles()
    create.experiment(a_lab(tmp_path / "dry", files=counted), spec, actor="ann")
    lab = CrashingFiles()
    create.make_lab(a_root(tmp_path / "dry2", lab, is_made=False))
    for at in range(lab.steps + 1, counted.steps + 1):
        stopped = a_lab(tmp_path / str(at), files=CrashingFiles(at=at))
        with pytest.raises(Crash):
            create.experiment(stopped, spec, actor="ann")
        after = reopened(stopped)
        recorded = types(after).count(event.EXPERIMENT_CREATED)
        if recorded:
            with pytest.raises(BadInput, match="already"):
                create.experiment(after, spec, actor="ann")
        else:
            assert create.experiment(after, spec, actor="ann").made, counted.log[at - 1]
        assert types(after).count(event.EXPERIMENT_CREATED) == 1
        one_run(after, "new")
        assert verify.verify(after).damage == ()
        assert experiments.names(after) == ["new"]


def test_a_half_made_experiment_is_not_completed_with_another_spec(tmp_path: Path, spec: str) -> None:
    root = a_lab(tmp_path / "lab")
    os.mkdir(root.layout.experiment("new"))
    with open(root.layout.spec("new"), "w", encoding="utf-8") as file:
        file.write(SPEC.format(id="new") + "tags: [mine]\n")
    with pytest.raises(BadInput, match="already"):
        create.experiment(root, spec, actor="ann")
    assert b"mine" in (reading.read(root.layout.spec("new")) or b"")


def test_a_full_disk_leaves_no_half_made_experiment(tmp_path: Path, spec: str) -> None:
    for at in range(1, 6):
        disk = FullDisk()
        root = a_lab(tmp_path / str(at), files=disk)
        disk.steps, disk.at = 0, at
        with pytest.raises(OSError, match="No space"):
            create.experiment(root, spec, actor="ann")
        disk.free()
        create.experiment(root, spec, actor="ann")
        before = tree(root.layout.root)
        refresh.everything(root)
        assert tree(root.layout.root) == before


# -- templates that are folders ---------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    return tmp_path / "mine"


@pytest.mark.parametrize("name", ["gpu-training", "templates/gpu-training", "./gpu-training/"])
def test_a_template_that_is_a_folder_is_copied_and_the_experiment_is_about_the_copy(
    root: Root, here: Path, name: str
) -> None:
    made = create.experiment(root, name, actor="ann")
    assert made.copied == str(here / "gpu-training")
    shipped_folder = f"{shipped.template_folder()}/gpu-training"
    for file in ("SPEC.yaml", "train.py", "prepare.py", "search_space.json"):
        assert (here / "gpu-training" / file).read_bytes() == reading.read(f"{shipped_folder}/{file}")
    assert "__pycache__" not in os.listdir(here / "gpu-training")
    view = refresh.catch_up(root, "gpu-training").view
    loaded = experiments.load(root, "gpu-training").spec
    assert loaded is not None
    assert places.workspace(root, loaded, view) == str(here / "gpu-training")
    assert made.goes_on


def test_what_lies_where_a_template_would_go_is_taken_as_it_is(root: Root, here: Path) -> None:
    create.experiment(root, "gpu-training", actor="ann")
    (here / "gpu-training/train.py").write_text("# mine\n")
    with pytest.raises(BadInput, match="there is an experiment gpu-training already"):
        create.experiment(root, "gpu-training", actor="ann")
    again = create.experiment(root, "gpu-training", new_id="second", actor="ann")
    assert again.copied == ""
    assert (here / "gpu-training/train.py").read_text() == "# mine\n"
    with pytest.raises(BadInput, match="was copied already"):
        create.experiment(root, "templates/gpu-training", new_id="third", actor="ann")


def test_nothing_is_copied_over_what_is_something_else(root: Root, here: Path) -> None:
    (here / "gpu-training").mkdir()
    (here / "gpu-training/thesis.tex").touch()
    with pytest.raises(BadInput, match=r"no SPEC\.yaml") as refused:
        create.experiment(root, "gpu-training", actor="ann")
    assert "go to a folder where nothing is called so" in refused.value.fix
    with pytest.raises(BadInput, match="something else lies"):
        create.experiment(root, "templates/gpu-training", actor="ann")
    assert os.listdir(here / "gpu-training") == ["thesis.tex"]
    (here / "gpu-training/thesis.tex").unlink()
    (here / "gpu-training").rmdir()
    (here / "gpu-training").symlink_to(here / "gone")
    for word in ("gpu-training", "gpu-training/"):
        with pytest.raises(BadInput, match="a link to a place where nothing is"):
            create.experiment(root, word, actor="ann")
    with pytest.raises(BadInput, match="something else lies"):
        create.experiment(root, "templates/gpu-training", actor="ann")
    assert experiments.names(root) == ["a"]


def test_a_file_with_the_name_of_a_template_is_said_to_be_in_its_way(root: Root, here: Path) -> None:
    (here / "gpu-training").write_text("to do: train\n")
    with pytest.raises(BadInput, match="a file lies where the template gpu-training would be copied") as refused:
        create.experiment(root, "gpu-training", actor="ann")
    assert refused.value.where == str(here / "gpu-training")
    (here / "gpu-training").write_text(SPEC.format(id="own"))
    assert create.experiment(root, "gpu-training", actor="ann").name == "own"


def test_a_copy_is_not_copied_into_itself(root: Root, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create.experiment(root, "gpu-training", actor="ann")
    (here / "gpu-training").rename(here / "wide")
    (here / "wide/README.md").unlink()
    monkeypatch.chdir(here / "wide")
    with pytest.raises(BadInput, match="is a copy of the template gpu-training already") as refused:
        create.experiment(root, "gpu-training", new_id="b", actor="ann")
    assert "labctl create . --id gpu-training-2" in refused.value.fix
    assert create.experiment(root, ".", new_id="gpu-training-2", actor="ann").made


def test_a_knob_that_the_command_and_the_space_both_say_is_doubted(root: Root, here: Path) -> None:
    create.experiment(root, "gpu-training", actor="ann")
    spec = here / "gpu-training/SPEC.yaml"
    spec.write_text(spec.read_text().replace("executor_command: train.py", "executor_command: train.py --depth 1"))
    notes = create.experiment(root, "gpu-training", new_id="b", actor="ann").notes
    assert any("depth is said twice" in note for note in notes), notes


def test_a_loop_whose_python_has_no_torch_is_doubted(root: Root, here: Path) -> None:
    venv.create(here / "bare", symlinks=True)
    world = msgspec.structs.replace(root.world, environ={"PATH": f"{here}/bare/bin"})
    seen = Root(root.layout.root, world, files=root.files)
    create.experiment(root, "gpu-training", actor="ann")
    made = create.experiment(seen, "gpu-training/code-loop.yaml", actor="ann")
    assert any(f"python3 is {here}/bare/bin/python3, which has no torch" in note for note in made.notes), made.notes
    assert made.goes_on


def test_a_template_is_not_copied_for_an_experiment_that_cannot_be_made(root: Root, here: Path) -> None:
    an_experiment(root, "gpu-training")
    with pytest.raises(BadInput, match="already"):
        create.experiment(root, "gpu-training", actor="ann")
    with pytest.raises(LabError):
        create.experiment(root, "gpu-training", new_id="../up", actor="ann")
    told = create.experiment(root, "gpu-training", new_id="b", actor="ann", dry_run=True)
    assert (told.copied, told.made) == (str(here / "gpu-training"), False)
    assert os.listdir(here) == []


@pytest.mark.parametrize("name", ["gpu-training/code-loop.yaml", "templates/gpu-training/code-loop.yaml"])
def test_a_file_of_a_template_is_asked_for_after_it_was_copied(root: Root, here: Path, name: str) -> None:
    with pytest.raises(NotFound, match="there is no SPEC") as refused:
        create.experiment(root, name, actor="ann")
    assert "then: labctl create gpu-training/code-loop.yaml" in refused.value.fix
    create.experiment(root, "gpu-training", actor="ann")
    assert create.experiment(root, "gpu-training/code-loop.yaml", actor="ann").name == "gpu-code-loop"


def test_a_template_is_not_copied_into_the_lab(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree(root.layout.root)
    for folder in (root.layout.root, root.layout.experiment("a")):
        monkeypatch.chdir(folder)
        with pytest.raises(BadInput, match="would be copied into the lab"):
            create.experiment(root, "gpu-training", actor="ann")
    assert tree(root.layout.root) == before


def test_a_copy_that_was_stopped_anywhere_is_whole_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = shipped.read_folder("gpu-training")
    monkeypatch.setattr(shipped, "read_folder", lambda name: wanted)
    counted = CrashingFiles()
    root = a_lab(tmp_path / "dry", files=counted)
    first = counted.steps + 1
    (tmp_path / "0").mkdir()
    monkeypatch.chdir(tmp_path / "0")
    create.experiment(root, "gpu-training", actor="ann")
    for at in range(first, counted.steps + 1):
        place = tmp_path / str(at)
        place.mkdir()
        monkeypatch.chdir(place)
        stopped = a_lab(place / "lab", files=CrashingFiles(at=at))
        with pytest.raises(Crash):
            create.experiment(stopped, "gpu-training", actor="ann")
        after = reopened(stopped)
        if not types(after).count(event.EXPERIMENT_CREATED):
            assert create.experiment(after, "gpu-training", actor="ann").made, counted.log[at - 1]
        copied = {path.name: path.read_bytes() for path in (place / "gpu-training").iterdir()}
        assert copied == wanted, counted.log[at - 1]
        assert experiments.names(after) == ["gpu-training"]


def test_a_full_disk_leaves_no_half_made_copy(root: Root, here: Path) -> None:
    for at in range(1, 6):
        disk = FullDisk(at=at)
        with pytest.raises(Unavailable, match="cannot be copied here: No space"):
            create.experiment(reopened(root, disk), "gpu-training", actor="ann")
        assert os.listdir(here) == []
