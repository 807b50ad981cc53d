"""The training template in a lab, as a newcomer has it: the real files, a real torch, a corpus of a few pages."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import re
import shlex
import subprocess
import sys
import sysconfig
import time
import venv
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
TINY = "--depth 1 --width 32 --head-dim 16 --batch-tokens 512 --threads 1"
WORDS = ("a", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "while", "it", "rains", "café", "1999")
NOBODY = {f"GIT_{role}_{part}": "me@home" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.timeout(180),
    pytest.mark.xdist_group("training"),  # one after the other: each of them fills a core
    pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed here"),
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of 80 documents, and where its data is made once for all of these tests."""
    folder = tmp_path_factory.mktemp("training")
    luck = random.Random(1)
    texts = [" ".join(luck.choices(WORDS, k=luck.randint(20, 200))) for _ in range(80)]
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    (folder / "texts.jsonl").write_text(lines, encoding="utf-8")
    return folder


class Lab:
    """A lab, and a copy of the template that a person has beside it."""

    def __init__(self, path: Path, cache: Path) -> None:
        self.path, self.cache = path, cache
        self.code = path / "gpu-training"
        self.python = sys.executable
        self.environ = {
            **os.environ, **NOBODY, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1",
            "LAB_DATA_ROOT": str(path / "lab"), "LAB_TRAINING_CACHE": str(cache), "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        self.environ.pop("VIRTUAL_ENV", None)
        self.typed("init")

    def command(self, *words: str) -> list[str]:
        return [self.python, str(CHECKOUT / "scripts/labctl.py"), *words]

    def typed(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            self.command(*words), cwd=self.path, env=self.environ, capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == code, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def create(self, flags: str, space: dict[str, object] | None = None, **fields: str) -> str:
        """The experiment, with other flags in its SPEC and another space, as one would edit them."""
        self.typed("create", "gpu-training", "--dry-run")
        said = self.typed("create", "gpu-training")
        dataset = f"--dataset local:{self.cache}/texts.jsonl"
        command = f"executor_command: train.py {dataset} {TINY} {flags}"
        spec = self.path / "lab/experiments/gpu-training/SPEC.yaml"
        text = re.sub(r"(?m)^executor_command: .*$", command, spec.read_text(encoding="utf-8"))
        for name, value in fields.items():
            text = re.sub(rf"(?m)^{name}: .*$", f"{name}: {value}", text)
        spec.write_text(text, encoding="utf-8")
        space = space or {"matrix_lr": {"low": 0.01, "high": 0.1, "default": 0.04}}
        (self.code / "search_space.json").write_text(json.dumps(space), encoding="utf-8")
        return said

    def runs(self, experiment: str = "gpu-training") -> list[Path]:
        folder = self.path / "lab/experiments" / experiment / "runs"
        return sorted(each for each in folder.iterdir() if each.name.startswith("RUN-")) if folder.is_dir() else []

    def manifests(self) -> list[dict[str, object]]:
        return [json.loads((run / "manifest.json").read_text(encoding="utf-8")) for run in self.runs()]


@pytest.fixture
def lab(tmp_path: Path, cache: Path) -> Lab:
    return Lab(tmp_path, cache)


def test_three_steps_are_a_sealed_run_with_a_value_and_what_ran_is_kept(lab: Lab) -> None:
    lab.create("--budget 3steps")
    lab.typed("burst", "gpu-training", "-n", "2")
    first, second = lab.manifests()
    for told, run in zip((first, second), lab.runs(), strict=True):
        assert told["status"] == "success"
        assert isinstance(told["value"], float)
        assert 0 < told["value"] < 10
        assert "3 steps" in str(told["note"])
        assert "local" in str(told["note"])
        assert (run / "SEAL.json").is_file()
        assert (run / "artifacts/train.py").read_bytes() == (lab.code / "train.py").read_bytes()
        assert not (run / "artifacts/checkpoint.pt").exists()
        assert (run / "lab-report.txt").read_text(encoding="utf-8").startswith("33 ")  # percent of the budget
    assert "gpu_peak_memory_mb" not in first["usage"]  # type: ignore[operator]
    params = [json.loads((run / "params.json").read_text(encoding="utf-8")) for run in lab.runs()]
    assert params[0] == {"matrix_lr": 0.04}
    assert params[1] != params[0]
    assert second["value"] != first["value"]  # the flag arrived
    lab.typed("verify")
    assert "val_bpb" in lab.typed("best", "gpu-training")


def test_a_run_that_is_cancelled_saves_a_checkpoint_within_its_grace(lab: Lab) -> None:
    lab.create("--budget 1000000steps")
    burst = subprocess.Popen(
        lab.command("burst", "gpu-training", "-n", "1"), cwd=lab.path, env=lab.environ,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await_text(lab, "tokens/s")
        lab.typed("cancel", lab.runs()[0].name)
        burst.wait(60)
    finally:
        burst.kill()
        burst.wait()
    (told,) = lab.manifests()
    assert (told["status"], told["value"]) == ("cancelled", None)
    (run,) = lab.runs()
    assert (run / "artifacts/checkpoint.pt").stat().st_size > 1000
    assert "checkpoint.pt" in (run / "SEAL.json").read_text(encoding="utf-8")
    lab.typed("verify")


def test_a_search_that_ends_hopeless_runs_keeps_no_checkpoints_of_them(lab: Lab) -> None:
    shipped = (CHECKOUT / "templates/gpu-training/SPEC.yaml").read_text(encoding="utf-8")
    (told,) = re.findall(r"(?m)^executor_command: train\.py (.*)$", shipped)
    lab.create(f"{told} --budget 400steps", early_stop="asha\nreduction_factor: 2\nunstopped_share: 0")
    lab.typed("burst", "gpu-training", "-n", "2")
    bent = {
        "matrix_lr": {"low": 0.01, "high": 0.1, "default": 0.04},
        "softcap": {"low": 1.0, "high": 1.1, "default": 1.0},
    }
    (lab.code / "search_space.json").write_text(json.dumps(bent), encoding="utf-8")
    lab.typed("burst", "gpu-training", "-n", "2")
    last = lab.manifests()[-1]
    assert (last["status"], last["value"]) == ("cancelled", None), last
    assert "best 1 in 2" in str(last["reason"])
    assert not list(lab.path.glob("lab/**/*.pt"))
    lab.typed("verify")


def test_a_budget_that_the_labs_time_cuts_off_ends_with_a_number(lab: Lab) -> None:
    lab.create("--budget 1000000steps", time_budget="40s")
    lab.typed("burst", "gpu-training", "-n", "1")
    (told,) = lab.manifests()
    assert told["status"] == "success"
    assert isinstance(told["value"], float)
    assert told["value"] < 3
    (run,) = lab.runs()
    steps = re.search(r"^METRIC num_steps=(\d+)", (run / "stdout.log").read_text(encoding="utf-8"), re.MULTILINE)
    assert steps is not None
    assert 1 <= int(steps[1]) < 1000000


def await_text(lab: Lab, wanted: str) -> None:
    """Until the run has said it, on either of its outputs."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for run in lab.runs():
            for name in ("stdout.log", "stderr.log"):
                if (run / name).is_file() and wanted in (run / name).read_text(encoding="utf-8", errors="replace"):
                    return
        time.sleep(0.05)
    pytest.fail(f"no run said {wanted!r}")


@pytest.mark.parametrize(
    ("flags", "space", "said"),
    [
        ("--budget 60steps", {"matrix_lr": {"value": 1e6}, "weight_decay": {"value": 9}}, r"train\.py: .*loss is"),
        ("--budget 1kflop", {"matrix_lr": {"value": 0.04}}, r"train\.py: .*too short"),
        ("--budget 3steps", {"dept": {"value": 2}}, r"train\.py: .*dept"),
    ],
    ids=["NaN", "too short", "an unknown knob"],
)
def test_a_run_that_cannot_train_fails_in_its_own_words_and_has_no_value(
    lab: Lab, flags: str, space: dict[str, object], said: str
) -> None:
    lab.create(flags, space)
    lab.typed("burst", "gpu-training", "-n", "1", code=1)
    (told,) = lab.manifests()
    assert (told["status"], told["value"]) == ("failed", None)
    assert re.match(said, str(told["reason"]))


@pytest.fixture
def bare(tmp_path: Path) -> str:
    """A Python that has what labctl needs, and no torch."""
    folder = tmp_path / "bare"
    venv.create(folder, symlinks=True)
    theirs = next(folder.glob("lib/python3*/site-packages"))
    ours = Path(sysconfig.get_path("purelib"))
    for name in ("msgspec", "yaml", "_yaml", "jinja2", "markupsafe", "tomlkit", "shtab"):
        found = importlib.util.find_spec(name)
        if found is not None and (ours / name).is_dir():
            (theirs / name).symlink_to(ours / name)
    return f"{folder}/bin/python"


def test_without_torch_no_run_is_made_and_the_command_that_helps_is_named(lab: Lab, bare: str) -> None:
    lab.python = bare
    lab.environ["PATH"] = f"{Path(bare).parent}:/usr/bin:/bin"
    if subprocess.run(["/usr/bin/python3", "-c", "import torch"], capture_output=True, check=False).returncode == 0:
        pytest.skip("the python3 of this machine has torch")
    assert "pip install 'labctl[train]'" in lab.create("--budget 3steps")
    said = lab.typed("burst", "gpu-training", "-n", "1", code=5)
    assert "no Python here has torch" in said
    assert "pip install 'labctl[train]'" in said
    lab.typed("run-once", "--experiment", "gpu-training", "--now", "--executor-class", "gpu", code=1)
    assert lab.runs() == []
    assert "no Python here has torch" in lab.typed("doctor", code=1)


def test_a_knob_that_is_said_twice_spends_no_run(lab: Lab) -> None:
    lab.create("--budget 3steps --matrix-lr 0.1")
    said = lab.typed("burst", "gpu-training", "-n", "1", code=2)
    assert "matrix_lr is said twice: executor_command of gpu-training has --matrix-lr" in said
    assert "matrix_lr is said twice" in lab.typed("space", "check", "gpu-training")
    lab.typed("run-once", "--experiment", "gpu-training", "--now", "--executor-class", "gpu", code=1)
    assert lab.runs() == []


def test_a_cache_named_from_here_takes_the_data_out_of_the_bundles(lab: Lab) -> None:
    lab.create("--budget 1steps")
    lab.environ["LAB_TRAINING_CACHE"] = os.path.relpath(lab.cache, lab.path)
    lab.typed("burst", "gpu-training", "-n", "1")
    (run,) = lab.runs()
    assert not list(run.rglob("*.tokens"))
    assert not list(run.rglob("data.json"))


def test_a_script_that_went_away_spends_no_run(lab: Lab) -> None:
    lab.create("--budget 3steps")
    (lab.code / "train.py").unlink()
    said = lab.typed("burst", "gpu-training", "-n", "1", code=2)
    assert "there is no training script train.py" in said
    assert lab.runs() == []


IDEAS = """\
import re

text = open("train.py").read()
changed = re.sub(r"(matrix_lr: float = knob\\()([\\d.]+)", lambda found: found[1] + str(float(found[2]) * 0.001), text)
assert changed != text
open("train.py", "w").write(changed)
"""


LAST = "burst gpu-code-loop -n 2"
IDENTITY = " -c user.name=ann -c user.email=ann@example.org"


def documented(page: str, last: str) -> str:
    """The commands of the page's block that ends with a line."""
    text = (CHECKOUT / page).read_text(encoding="utf-8")
    (block,) = [each for each in text.split("```") if each.rstrip().endswith(last)]
    return block.partition("\n")[2]


def type_in(lab: Lab, commands: str) -> None:
    """Type commands of a page at a shell that has labctl, and a python3 with torch."""
    there = lab.path / "bin"
    there.mkdir(exist_ok=True)
    for name, argv in (("labctl", lab.command()), ("python3", [lab.python])):
        (there / name).write_text(f'#!/bin/sh\nexec {shlex.join(argv)} "$@"\n', encoding="utf-8")
        (there / name).chmod(0o755)
    lab.environ["PATH"] = f"{there}:{lab.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-c", commands], cwd=lab.path, env=lab.environ, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"


def test_each_page_types_the_code_loop_alike() -> None:
    data = "python3 gpu-training/prepare.py --dataset builtin"  # of how-to/train.md it is in the block before
    lines = [data, *documented("docs/how-to/train.md", LAST).replace(IDENTITY, "").splitlines()]
    wanted = [line.split() for line in lines]
    readme = documented("templates/gpu-training/README.md", "labctl autoresearch report gpu-code-loop")
    told = [line.partition("  #")[0].replace('"', "'").split() for line in readme.replace(IDENTITY, "").splitlines()]
    assert told[: len(wanted)] == wanted
    head = (CHECKOUT / "templates/gpu-training/code-loop.yaml").read_text(encoding="utf-8").partition("\n\n")[0]
    typed = [each for line in head.splitlines() if line.startswith("#   ") for each in line[4:].split(" && labctl ")]
    assert [each.replace('"', "'").removeprefix("labctl ") for each in typed] == [
        " ".join(line).removeprefix("labctl ") for line in wanted
    ]


@pytest.mark.needs("git")
def test_the_code_loop_measures_what_a_script_changes_in_train_py(lab: Lab) -> None:
    lab.typed("create", "gpu-training")
    mine = (lab.code / "train.py").read_bytes()
    dataset = f"local:{lab.cache}/texts.jsonl"
    loop = lab.code / "code-loop.yaml"
    text = loop.read_text(encoding="utf-8")
    text = text.replace("--dataset builtin --check", f"--dataset local {lab.cache}/texts.jsonl --check")
    text = text.replace("python3 train.py", f"python3 train.py --dataset {dataset} --budget 3steps {TINY}")
    text = text.replace('mutation_command: ""', "mutation_command: python3 ideas.py")
    text = text.replace("baseline_repeats: 3", "baseline_repeats: 1").replace(": confirmed ", ": improve ")
    loop.write_text(text, encoding="utf-8")
    (lab.code / "ideas.py").write_text(IDEAS, encoding="utf-8")
    data = f"python3 gpu-training/prepare.py --dataset local {lab.cache}/texts.jsonl\n"
    type_in(lab, data + documented("docs/how-to/train.md", LAST))
    tracked = subprocess.run(["git", "ls-files"], cwd=lab.code, env=lab.environ, capture_output=True, check=True).stdout
    assert b"__pycache__" not in tracked
    baseline, changed = lab.runs("gpu-code-loop")
    told = [json.loads((run / "artifacts/decision.json").read_text(encoding="utf-8")) for run in (baseline, changed)]
    assert told[0]["verdict"] == "keep"
    assert not (baseline / "params.json").exists()  # the space beside it is that of the search
    assert told[0]["candidate"]["holdout"] > 0
    assert told[1]["verdict"] in ("keep", "discard")
    assert told[1]["changed_files"] == ["train.py"]
    assert "matrix_lr" in (changed / "artifacts/diff.patch").read_text(encoding="utf-8")
    assert (lab.code / "train.py").read_bytes() == mine


def test_every_program_of_the_template_but_train_py_is_read_only_in_the_code_loop() -> None:
    folder = CHECKOUT / "templates/gpu-training"
    programs = {path.name for path in folder.glob("*.py")} - {"train.py"}
    text = (folder / "code-loop.yaml").read_text(encoding="utf-8")
    named = text.partition("read_only_paths:")[2].partition("promotion_strategy:")[0]
    assert set(re.findall(r"(?m)^  - (\S+)$", named)) == programs


def test_the_baseline_of_each_search_is_what_train_py_does_by_itself() -> None:
    folder = CHECKOUT / "templates/gpu-training"
    asked = "import json, train, dataclasses; print(json.dumps(dataclasses.asdict(train.Config())))"
    more = "; print(json.dumps([train.ON_CPU, train.ON_CUDA]))"
    done = subprocess.run(
        [sys.executable, "-B", "-c", asked + more], cwd=folder, capture_output=True, text=True, check=True
    )
    own, by_device = map(json.loads, done.stdout.splitlines())
    for name, on in zip(("search_space.json", "search_space_gpu.json"), by_device, strict=True):
        space = json.loads((folder / name).read_text(encoding="utf-8"))["parameters"]
        default = {knob: {**own, **on}[knob] for knob in space}
        assert {knob: about["default"] for knob, about in space.items()} == default, name


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_burst_over_the_real_knobs_improves_on_the_defaults(lab: Lab, tmp_path: Path) -> None:
    """Ten runs on a CPU, on the builtin data, with the SPEC and the space as they are shipped."""
    lab.environ["LAB_TRAINING_CACHE"] = str(tmp_path / "cache")
    lab.typed("create", "gpu-training")
    lab.typed("burst", "gpu-training", "-n", "10")
    values = [told["value"] for told in lab.manifests()]
    found = [value for value in values[1:] if isinstance(value, float)]
    assert isinstance(values[0], float)
    assert found
    assert min(found) < values[0], values
