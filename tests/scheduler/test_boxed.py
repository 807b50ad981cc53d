"""Runs in a copy of their workspace: what the program finds there, what stays as it was, and what is left."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import layout
from lab.scheduler import create, cycle, reclaim, work
from lab.store.root import Root
from lab.testing.files import Crash, CrashingFiles, a_root
from tests.scheduler.labs import a_lab, me, tree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.ended import Ended
    from lab.core.seal import Seal
    from lab.store.files import Files

HERMES = Path(__file__).parents[1] / "fixtures" / "hermes"
CONFIG = '{\n  "model": {"lr": 0.5, "layers": 2},\n  "seed": 1\n}\n'
TRAIN = """\
import json, os
root = os.environ["LAB_WORKSPACE_ROOT"]
with open(root + "/config.json") as file:
    found = json.load(file)
told = {name: os.environ.get(name, "") for name in (
    "LAB_WORKSPACE_ROOT", "LAB_EFFECTIVE_WORKSPACE_ROOT", "LAB_ORIGINAL_WORKSPACE_ROOT", "PYTHONPATH")}
with open("seen.json", "w") as file:
    json.dump({"config": found, "told": told, "script": __file__, "cwd": os.getcwd()}, file)
print("METRIC loss=%r" % found["model"]["lr"])
"""


def with_surroundings(root: Root, files: Files | None = None, **more: str) -> Root:
    world = msgspec.structs.replace(root.world, environ={**os.environ, **more})
    return Root(root.layout.root, world, files=files or root.files)


def a_workspace(path: Path, train: str = TRAIN, config: str = CONFIG) -> Path:
    place = path / "code"
    place.mkdir()
    (place / "train.py").write_text(train)
    (place / "config.json").write_text(config)
    return place


def a_lab_on(place: Path, more: str = "executor_command: python3 train.py\nmutable_paths: [config.json]\n") -> Root:
    root = a_lab(place.parent / "lab", "a", more=f"workspace_root: {place}\n{more}time_budget: 20s\n")
    return with_surroundings(root)


def carried(root: Root, params: Mapping[str, object] | None, name: str = "a") -> tuple[Seal, Ended, str]:
    running = cycle.begin(root, name, owner=me(), params=params)
    with root.section(name):
        view, _ = cycle.observe(root, name)
    ended = work.carry_out(root, running, view, interrupted=lambda: "")
    return cycle.finish(root, running, ended), ended, running.path


def boxes(root: Root) -> list[str]:
    folder = root.layout.place("scratch/sandbox")
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def stood(place: Path) -> dict[str, tuple[bytes, int, int]]:
    """Every byte of a workspace, and when and as what it was last written."""
    return {
        name: (data, os.lstat(place / name).st_mtime_ns, os.lstat(place / name).st_ino)
        for name, data in tree(str(place)).items()
    }


def test_the_program_finds_the_parameters_in_its_config_file_and_the_original_stays(tmp_path: Path) -> None:
    place = a_workspace(tmp_path)
    root = a_lab_on(place)
    before = stood(place)
    made, ended, path = carried(root, {"lr": 0.25, "layers": 4, "new": "x"})
    assert (made.run.outcome, made.run.value) == ("success", 0.25), ended.reason
    seen = json.loads(Path(f"{path}/seen.json").read_text())
    assert seen["config"] == {"model": {"lr": 0.25, "layers": 4}, "seed": 1, "new": "x"}
    box = root.layout.sandbox(f"a@{made.run.run_id}")
    assert seen["script"] == f"{box}/train.py"
    assert seen["cwd"] == path
    assert seen["told"] == {
        "LAB_WORKSPACE_ROOT": box,
        "LAB_EFFECTIVE_WORKSPACE_ROOT": box,
        "LAB_ORIGINAL_WORKSPACE_ROOT": str(place),
        "PYTHONPATH": box,
    }
    assert stood(place) == before
    assert boxes(root) == []
    # The file as the program saw it is sealed with the run.
    assert json.loads(Path(f"{path}/config.json").read_text()) == seen["config"]
    assert "config.json" in made.files


def test_a_run_without_parameters_and_one_without_a_config_file_use_the_workspace_itself(tmp_path: Path) -> None:
    place = a_workspace(tmp_path)
    root = a_lab_on(place)
    made, _, path = carried(root, None)
    seen = json.loads(Path(f"{path}/seen.json").read_text())
    assert (seen["script"], seen["told"]["LAB_EFFECTIVE_WORKSPACE_ROOT"]) == (f"{place}/train.py", "")
    assert made.run.value == 0.5
    assert not os.path.exists(f"{path}/config.json")
    assert not os.path.isdir(root.layout.place("scratch/sandbox"))


def test_parameters_without_mutable_paths_leave_the_workspace_where_it_is(tmp_path: Path) -> None:
    place = a_workspace(tmp_path)
    root = a_lab_on(place, "executor_command: python3 train.py\n")
    _, _, path = carried(root, {"lr": 1})
    assert json.loads(Path(f"{path}/seen.json").read_text())["script"] == f"{place}/train.py"


@pytest.mark.parametrize(
    ("train", "how"),
    [("import sys; sys.exit(3)", "exit code 3"), ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "KILL")],
)
def test_the_copy_goes_after_a_failure_too(tmp_path: Path, train: str, how: str) -> None:
    root = a_lab_on(a_workspace(tmp_path, train))
    made, ended, _ = carried(root, {"lr": 1})
    assert (made.run.outcome, boxes(root)) == ("failed", [])
    assert how in ended.reason


def test_the_copy_goes_when_its_program_locked_it(tmp_path: Path) -> None:
    train = "import os; d = os.environ['LAB_WORKSPACE_ROOT']; os.mkdir(d + '/x'); os.chmod(d + '/x', 0); os.chmod(d, 0)"
    root = a_lab_on(a_workspace(tmp_path, train))
    carried(root, {"lr": 1})
    assert boxes(root) == []


@pytest.mark.parametrize(
    ("config", "words"),
    [("{", "config.json cannot be read"), ("[]", "config.json holds no"), ('{"lr": {"a": 1}}', "lr is a section")],
)
def test_a_config_file_that_cannot_take_them_fails_the_run_by_name(tmp_path: Path, config: str, words: str) -> None:
    place = a_workspace(tmp_path, config=config)
    root = a_lab_on(place)
    before = stood(place)
    made, ended, _ = carried(root, {"lr": 1})
    assert made.run.outcome == "failed"
    assert words in ended.reason
    assert (boxes(root), stood(place)) == ([], before)


def test_a_config_file_that_is_a_link_is_replaced_in_the_copy_and_followed_by_nobody(tmp_path: Path) -> None:
    place = a_workspace(tmp_path)
    shared = tmp_path / "shared.json"
    (place / "config.json").rename(shared)
    (place / "config.json").symlink_to(shared)
    root = a_lab_on(place)
    made, ended, _ = carried(root, {"lr": 0.125})
    assert made.run.value == 0.125, ended.reason
    assert shared.read_text() == CONFIG
    assert (place / "config.json").is_symlink()


def test_a_config_file_behind_a_linked_folder_is_refused(tmp_path: Path) -> None:
    place = a_workspace(tmp_path)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "c.json").write_text(CONFIG)
    (place / "conf").symlink_to(outside)
    root = a_lab_on(place, "executor_command: python3 train.py\nmutable_paths: [conf/c.json]\n")
    made, ended, _ = carried(root, {"lr": 1})
    assert made.run.outcome == "failed"
    assert "behind the link conf" in ended.reason
    assert (outside / "c.json").read_text() == CONFIG


def test_whole_paths_into_the_workspace_lead_into_the_copy(tmp_path: Path) -> None:
    place = a_workspace(tmp_path)
    command = f"executor_command: python3 {place}/train.py\nmutable_paths: [./config.json]\nenv: [PYTHONPATH]\n"
    root = with_surroundings(a_lab_on(place, command), PYTHONPATH=f"{place}/src{os.pathsep}/elsewhere")
    made, _, path = carried(root, {"lr": 0.75})
    box = root.layout.sandbox(f"a@{made.run.run_id}")
    seen = json.loads(Path(f"{path}/seen.json").read_text())
    assert (made.run.value, seen["script"]) == (0.75, f"{box}/train.py")
    assert seen["told"]["PYTHONPATH"] == f"{box}:{box}/src:/elsewhere"


def test_a_shell_command_finds_the_copy_by_its_placeholder(tmp_path: Path) -> None:
    place = a_workspace(tmp_path)
    root = a_lab_on(
        place, "shell: true\nexecutor_command: cd {workspace} && python3 train.py\nmutable_paths: [config.json]\n"
    )
    made, ended, _ = carried(root, {"lr": 0.0625})
    assert made.run.value == 0.0625, ended.reason


def test_yaml_and_toml_and_several_files(tmp_path: Path) -> None:
    train = """\
import os, tomllib
root = os.environ["LAB_WORKSPACE_ROOT"]
with open(root + "/b.toml", "rb") as file:
    toml = tomllib.load(file)
with open(root + "/conf/a.yaml") as file:
    text = file.read()
print("METRIC loss=%r" % (toml["t"]["lr"] + (10 if "layers: 7" in text else 0)))
"""
    place = a_workspace(tmp_path, train)
    (place / "conf").mkdir()
    (place / "conf" / "a.yaml").write_text("model:\n  layers: 1 # many\n")
    (place / "b.toml").write_text("# mine\n[t]\nlr = 1.0\n")
    more = "executor_command: python3 train.py\nmutable_paths: [conf/a.yaml, b.toml, config.json, train.py]\n"
    root = a_lab_on(place, more)
    made, ended, path = carried(root, {"t.lr": 0.5, "model.layers": 7})
    assert made.run.value == 10.5, ended.reason
    assert sorted(os.listdir(f"{path}/conf")) == ["a.yaml"]
    assert (place / "b.toml").read_text() == "# mine\n[t]\nlr = 1.0\n"


def test_a_file_of_the_lab_is_not_taken_for_the_programs(tmp_path: Path) -> None:
    train = TRAIN.replace("/config.json", "/params.json").replace('found["model"]["lr"]', 'found["lr"]')
    place = a_workspace(tmp_path, train)
    (place / "params.json").write_text('{"lr": 1, "kept": true}')
    (place / "metrics.json").write_text('{"lr": 1, "loss": 9}')
    root = a_lab_on(place, "executor_command: python3 train.py\nmutable_paths: [metrics.json, params.json]\n")
    made, ended, path = carried(root, {"lr": 0.5})
    assert made.run.value == 0.5, ended.reason
    assert json.loads(Path(f"{path}/params.json").read_text()) == {"lr": 0.5}
    assert json.loads(Path(f"{path}/seen.json").read_text())["config"] == {"lr": 0.5, "kept": True}


def test_a_lab_inside_its_workspace_is_no_part_of_the_copy(tmp_path: Path) -> None:
    place = a_workspace(tmp_path, TRAIN + "import sys\nprint(os.path.exists(root + '/lab'), sys.argv)\n")
    more = "executor_command: python3 train.py {params_path}\nmutable_paths: [config.json]\n"
    root = a_lab(place / "lab", "a", more=f"workspace_root: {place}\n{more}")
    made, ended, path = carried(with_surroundings(root), {"lr": 0.5})
    assert made.run.value == 0.5, ended.reason
    printed = Path(f"{path}/stdout.log").read_text()
    assert "False" in printed
    assert f"{path}/params.json" in printed


def test_the_copy_of_a_lab_that_died_goes_when_the_next_is_made(tmp_path: Path) -> None:
    place = a_workspace(tmp_path)
    root = a_lab_on(place)
    running = cycle.begin(root, "a", owner=me(), params={"lr": 1})
    crashing = with_surroundings(root, CrashingFiles(at=6))
    with root.section("a"):
        view, _ = cycle.observe(root, "a")
    with pytest.raises(Crash):
        work.carry_out(crashing, running, view, interrupted=lambda: "")
    left = boxes(root)
    assert left == [f"a@{running.manifest.run_id}"]
    os.makedirs(root.layout.place("scratch/sandbox/DSP-1"))  # an agent's, and none of ours
    # Somebody else's run that is under way keeps its copy.
    running.lease.abandon(root)
    reclaim.make_way(root, "a")
    other = cycle.begin(root, "a", owner=me(), params={"lr": 2})
    os.makedirs(root.layout.sandbox(f"a@{other.manifest.run_id}"))
    an_other = a_lab_in(root, place)
    made, _, _ = carried(root, {"lr": 0.5}, an_other)
    assert made.run.value == 0.5
    assert boxes(root) == ["DSP-1", f"a@{other.manifest.run_id}"]


def a_lab_in(root: Root, place: Path) -> str:
    spec = place.parent / "b.yaml"
    spec.write_text(
        f"id: b\nmetric: loss\nmetric_direction: minimize\nworkspace_root: {place}\n"
        "executor_command: python3 train.py\nmutable_paths: [config.json]\n"
    )
    create.experiment(root, str(spec), actor="ann")
    return "b"


def test_every_way_tells_the_same_of_every_kind_of_value(tmp_path: Path) -> None:
    train = """\
import json, os, sys
told = {name: value for name, value in os.environ.items() if name.startswith("LAB_PARAM_")}
with open(os.environ["LAB_PARAMS_PATH"]) as file:
    params = json.load(file)
with open(os.environ["LAB_WORKSPACE_ROOT"] + "/config.json") as file:
    config = json.load(file)
with open("seen.json", "w") as file:
    json.dump({"argv": sys.argv[1:], "told": told, "params": params, "config": config}, file)
print("METRIC loss=1.0")
"""
    place = a_workspace(tmp_path, train, '{"momentum": 0.9}')
    words = " ".join(f"{{params.{name}}}" for name in ("text", "flag", "none", "small", "whole"))
    more = f"executor_command: python3 train.py {words}\nmutable_paths: [config.json]\n"
    root = a_lab_on(place, more)
    # A parameter that does not count in this run (momentum) is not among them.
    params = {"text": "a b $x 'q'", "flag": False, "none": None, "small": 1e-05, "whole": 3}
    _, ended, path = carried(root, params)
    assert ended.outcome == "success", ended.reason
    seen = json.loads(Path(f"{path}/seen.json").read_text())
    plain = ["a b $x 'q'", "false", "null", "1e-05", "3"]
    assert seen["argv"] == plain
    assert seen["told"] == dict(zip([f"LAB_PARAM_{name.upper()}" for name in params], plain, strict=True))
    assert seen["params"] == params
    assert seen["config"] == {"momentum": 0.9, **params}


def test_a_validation_command_measures_in_the_copy(tmp_path: Path) -> None:
    train = TRAIN.replace("seen.json", "out.json").replace('root + "/config.json"', '"config.json"')
    place = a_workspace(tmp_path, train)
    root = a_lab_on(place, "validation_command: python3 train.py\nmutable_paths: [config.json]\n")
    made, ended, path = carried(root, {"lr": 0.5})
    assert made.run.value == 0.5, ended.reason
    assert not (place / "out.json").exists()
    assert "config.json" in os.listdir(path)


@pytest.mark.parametrize("stale", [False, True])
def test_metrics_that_a_validation_writes_where_it_works_are_taken_over(tmp_path: Path, stale: bool) -> None:
    train = "import json; c = json.load(open('config.json')); json.dump({'loss': c['lr']}, open('metrics.json', 'w'))"
    place = a_workspace(tmp_path, train if not stale else "pass", '{"lr": 1}')
    (place / "metrics.json").write_text('{"loss": 77}')
    root = a_lab_on(place, "validation_command: python3 train.py\nmutable_paths: [config.json]\n")
    made, _, _ = carried(root, {"lr": 0.5})
    # The metrics that lay there before are nobody's result.
    assert (made.run.outcome, made.run.value) == (("failed", None) if stale else ("success", 0.5))


def test_what_hermes_lab_shows_first_works(tmp_path: Path) -> None:
    """Its config file is not there at first, and is read from where the program works; so are its metrics written."""
    place = tmp_path / "examples" / "optimize-function"
    place.mkdir(parents=True)
    shutil.copy(HERMES / "optimize-function.yaml", place / "spec.yaml")
    (place / "search_space.json").write_text('{"x": {"low": -5, "high": 5, "type": "float"}}')
    (place / "evaluate.py").write_text(
        "import json\nx = json.load(open('config.json'))['x']\n"
        "json.dump({'value': (x - 1) ** 2, 'x': x}, open('metrics.json', 'w'))\n"
    )
    here = os.getcwd()
    os.chdir(tmp_path)
    try:
        root = with_surroundings(a_lab(tmp_path / "lab"))
        create.experiment(root, "examples/optimize-function/spec.yaml", actor="ann")
    finally:
        os.chdir(here)
    for x, value in ((1.5, 0.25), (1.0, 0.0)):
        made, ended, _ = carried(root, {"x": x}, "optimize-rosenbrock")
        assert made.run.value == value, ended.reason
    (place / "config.json").write_text('{"x": 99, "other": 1}')
    made, ended, _ = carried(root, {"x": 3.0}, "optimize-rosenbrock")
    assert made.run.value == 4.0, ended.reason
    assert (place / "config.json").read_text() == '{"x": 99, "other": 1}'
    assert sorted(os.listdir(place)) == ["config.json", "evaluate.py", "search_space.json", "spec.yaml"]


def test_a_crash_at_any_step_of_the_copy_leaves_the_original_and_a_lab_that_goes_on(tmp_path: Path) -> None:
    place = a_workspace(tmp_path)
    a_lab_on(place)
    before = stood(place)
    for at in range(1, 60, 7):
        lab = tmp_path / f"lab-{at}"
        shutil.copytree(tmp_path / "lab", lab, copy_function=shutil.copy2)
        root = with_surroundings(a_root(str(lab)))
        running = cycle.begin(root, "a", owner=me(), params={"lr": 1})
        with root.section("a"):
            view, _ = cycle.observe(root, "a")
        with suppress(Crash):
            work.carry_out(with_surroundings(root, CrashingFiles(at=at)), running, view, interrupted=lambda: "")
        running.lease.abandon(root)
        made, ended, _ = carried(root, {"lr": 0.5})
        assert made.run.value == 0.5, ended.reason
        assert boxes(root) == []
        assert stood(place) == before


def test_the_names_of_the_lab_are_those_of_its_layout() -> None:
    from lab.scheduler import boxed

    written = {name for name in vars(layout).values() if isinstance(name, str) and name.endswith(".json")}
    of_a_run = written - {layout.STATUS, *layout.LAB_PAGES}
    assert {name.partition("/")[0].casefold() for name in of_a_run} <= boxed._OWN
