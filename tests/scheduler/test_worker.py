"""Workers as processes: at a lab and at an inbox, two at once, killed, interrupted, and with copiers that break off."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.cli import commands, parser
from lab.scheduler.dispatch import offers
from lab.store import bundles
from lab.store.files import Files
from lab.testing.files import a_root
from tests.races.marks import until
from tests.scheduler.away import carried, sealed
from tests.scheduler.labs import a_lab, an_experiment
from tests.scheduler.parcels import stages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.store.root import Root

pytestmark = pytest.mark.timeout(90)
SHIM = str(Path(__file__).resolve().parents[2] / "scripts" / "labctl.py")
SCRIPT = """\
import json, os, time
with open(os.environ["MARKS"], "a") as file:
    file.write(os.environ["LAB_RUN_ID"] + "\\n")
while os.path.exists(os.environ["MARKS"] + ".hold"):
    time.sleep(0.02)
with open(os.environ["LAB_RUN_DIR"] + "/metrics.json", "w") as file:
    json.dump({"loss": 0.25}, file)
"""


class Here:
    """A lab whose runs leave a mark each, and labctl as processes; each of them is ended with the test."""

    def __init__(self, tmp_path: Path) -> None:
        self.tmp = tmp_path
        self.marks = tmp_path / "marks"
        self.hold = tmp_path / "marks.hold"
        (tmp_path / "ws").mkdir()
        (tmp_path / "ws/train.py").write_text(SCRIPT)
        self.root: Root = a_lab(tmp_path / "lab")
        self.processes: list[subprocess.Popen[str]] = []

    def experiments(self, *names: str) -> None:
        more = f"workspace_root: {self.tmp}/ws\nexecutor_command: python3 train.py\ntime_budget: 40s\nenv: [MARKS]\n"
        for name in names:
            an_experiment(self.root, name, more)

    def start(self, *words: str, root: bool = True) -> subprocess.Popen[str]:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("LAB")}
        environ |= {"MARKS": str(self.marks), "LAB_DATA_ROOT": self.root.layout.root if root else "/nowhere"}
        made = subprocess.Popen(
            [sys.executable, SHIM, *words], env=environ, cwd=self.tmp, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.processes.append(made)
        return made

    def done(self, *words: str, root: bool = True, code: int = 0) -> str:
        out, err = self.start(*words, root=root).communicate(timeout=60)
        assert self.processes[-1].returncode == code, (out, err)
        assert "Traceback" not in err
        return out + err

    def marked(self) -> list[str]:
        return self.marks.read_text().split() if self.marks.exists() else []

    def sent(self, post: str = "post", place: str = "in") -> list[str]:
        """What is due, in the worker's folder."""
        self.done("courier", post, "--max-away", "20")
        return carried(self.tmp / post / "out", self.tmp / place)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    made = Here(tmp_path)
    yield made
    made.hold.unlink(missing_ok=True)
    for process in made.processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_two_workers_at_one_lab_make_each_run_once_and_take_them_in(here: Here) -> None:
    names = [f"e{number}" for number in range(6)]
    here.experiments(*names)
    workers = [here.start("worker", "--until-idle", "1", "--json") for _ in range(2)]
    said = [json.loads(worker.communicate(timeout=60)[0])["data"] for worker in workers]
    assert sum(each["worked"] for each in said) == 6
    assert len(here.marked()) == len(set(here.marked())) == 6
    assert [sealed(here.root, name) for name in names] == [[("success", 0.25)]] * 6
    assert stages(here.root) == {}


def test_two_workers_at_one_inbox_make_each_run_once(here: Here) -> None:
    names = [f"e{number}" for number in range(6)]
    here.experiments(*names)
    assert len(here.sent()) == 6
    workers = [here.start("worker", "--inbox", "in", "--until-idle", "1", "--json", root=False) for _ in range(2)]
    said = [json.loads(worker.communicate(timeout=60)[0])["data"] for worker in workers]
    assert sum(each["worked"] for each in said) == 6
    assert len(here.marked()) == len(set(here.marked())) == 6
    carried(here.tmp / "in/out", here.tmp / "post")
    here.done("courier", "post", "--max-away", "1")
    assert [sealed(here.root, name) for name in names] == [[("success", 0.25)]] * 6


def test_a_worker_that_is_killed_in_a_run_leaves_a_crash_and_the_next_one_answers_it_once(here: Here) -> None:
    here.experiments("alpha")
    (file,) = here.sent()
    here.hold.touch()
    worker = here.start("worker", "--inbox", "in", root=False)
    until(here.marked)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    said = here.done("worker", "--inbox", "in", "--until-idle", "0", root=False, code=1)
    assert "(crash)" in said
    assert len(here.marked()) == 1
    assert carried(here.tmp / "in/out", here.tmp / "post") == [file.replace(".tar", ".done.tar")]
    here.done("courier", "post", "--experiment", "alpha")
    assert sealed(here.root) == [("crash", None)]
    (run,) = bundles.names(here.root, "alpha")
    seal, _ = bundles.load_seal(here.root.layout.run("alpha", run)) or pytest.fail("it is not sealed")
    assert "the worker that ran it on" in seal.run.reason  # there is no lab there that could be gone


def test_a_worker_that_is_killed_at_a_lab_is_settled_by_the_next_one(here: Here) -> None:
    here.experiments("alpha")
    here.hold.touch()
    worker = here.start("worker")
    until(here.marked)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    here.done("worker", "--until-idle", "0")
    here.done("dispatch-ingest")
    assert sealed(here.root) == [("crash", None)]
    assert len(here.marked()) == 1


@pytest.mark.parametrize("words", [("worker",), ("worker", "--inbox", "in")], ids=["lab", "inbox"])
def test_ctrl_c_ends_the_run_at_hand_as_cancelled(here: Here, words: tuple[str, ...]) -> None:
    here.experiments("alpha")
    if "--inbox" in words:
        here.sent()
    here.hold.touch()
    worker = here.start(*words)
    until(here.marked)
    worker.send_signal(signal.SIGINT)
    out, err = worker.communicate(timeout=30)
    assert worker.returncode == 130, (out, err)
    assert "(cancelled)" in out
    if "--inbox" in words:
        carried(here.tmp / "in/out", here.tmp / "post")
        here.done("courier", "post", "--experiment", "alpha")
    assert sealed(here.root)[0] == ("cancelled", None)


def test_a_lab_that_is_away_for_a_while_is_waited_for(here: Here) -> None:
    here.experiments("alpha")
    lab, hidden = here.root.layout.root, f"{here.root.layout.root}-away"
    here.hold.touch()
    worker = here.start("worker", "--max-runs", "1", "--every", "0.2")
    until(here.marked)
    os.rename(lab, hidden)
    os.mkdir(lab)  # the mount point of a disk that went away
    here.hold.unlink()
    assert worker.stderr is not None
    assert "Ctrl-C ends it" in worker.stderr.readline()  # what it waits for
    said = worker.stderr.readline()
    assert "waiting: " in said
    assert os.listdir(lab) == []
    os.rename(hidden, lab)
    worker.communicate(timeout=30)
    assert len(sealed(here.root)) == 1
    assert stages(here.root) == {}


def test_a_worker_with_a_limit_to_idling_says_that_the_lab_went_away(here: Here) -> None:
    worker = here.start("worker", "--until-idle", "1", "--every", "0.1")
    until(lambda: worker.poll() is not None)
    assert worker.returncode == 0
    here.done("worker", "--until-idle", "0", root=False, code=5)


COPY = """\
import os, sys, time
data = open(sys.argv[1], "rb").read()
with open(sys.argv[2], "wb", buffering=0) as file:
    for at in range(0, len(data), 512):
        file.write(data[at : at + 512])
        if at + 512 >= len(data) // 2:
            print("half", flush=True)
            time.sleep(60)
"""


def test_a_copy_that_breaks_off_is_never_taken_and_the_next_one_is(here: Here) -> None:
    here.experiments("alpha")
    (file,) = here.sent()
    os.rename(here.tmp / "in" / file, here.tmp / file)
    worker = here.start("worker", "--inbox", "in", "--max-runs", "1", "--every", "0.1", root=False)
    until((here.tmp / "in/running").is_dir)
    copier = subprocess.Popen(
        [sys.executable, "-c", COPY, here.tmp / file, here.tmp / "in" / file], stdout=subprocess.PIPE, text=True
    )
    here.processes.append(copier)
    assert copier.stdout is not None
    assert copier.stdout.readline() == "half\n"
    copier.kill()
    copier.wait()
    looked = here.done("worker", "--inbox", "in", "--until-idle", "0.5", root=False)
    assert "0 runs" in looked
    assert here.marked() == []
    shutil.copyfile(here.tmp / file, here.tmp / "in" / file)  # in place, as scp does
    out, _ = worker.communicate(timeout=30)
    assert "(success)" in out


@pytest.mark.skipif(shutil.which("rsync") is None, reason="no rsync here")
def test_rsync_in_place_that_is_killed_goes_on_where_it_was(here: Here) -> None:
    here.experiments("alpha")
    (here.tmp / "ws/weights").write_bytes(os.urandom(3_000_000))
    (file,) = here.sent(place="there")
    (here.tmp / "in").mkdir()
    words = ["rsync", "--inplace", "--whole-file", str(here.tmp / "there" / file), f"{here.tmp}/in/"]
    slow = subprocess.Popen([*words, "--bwlimit=500"], text=True)
    here.processes.append(slow)
    until(lambda: (here.tmp / "in" / file).is_file() and (here.tmp / "in" / file).stat().st_size > 100_000)
    slow.kill()
    slow.wait()
    assert "0 runs" in here.done("worker", "--inbox", "in", "--until-idle", "0", root=False)
    subprocess.run(words, check=True)
    assert "1 run" in here.done("worker", "--inbox", "in", "--until-idle", "0", root=False)


COPIERS = [
    ("cp {file} %s/", "sh -c 'mv %s/*.tar \"$1\" 2>/dev/null; true' - {dir}"),
    ("rsync -a {file} %s/", "rsync -a --remove-source-files %s/ {dir}/"),
]


@pytest.mark.parametrize(("send", "fetch"), COPIERS, ids=["cp", "rsync"])
def test_both_sides_are_joined_by_commands_alone(here: Here, send: str, fetch: str) -> None:
    program = send.partition(" ")[0]
    if shutil.which(program) is None:
        pytest.skip(f"no {program} here")
    here.experiments("alpha", "beta", "gamma")
    for bucket in ("there", "back"):
        (here.tmp / bucket).mkdir()
    both = ("--every", "0.2")
    worker = here.start(
        "worker", "--inbox", "in", "--fetch", fetch % f"{here.tmp}/there", "--send", send % f"{here.tmp}/back",
        "--max-runs", "3", *both, root=False,
    )  # fmt: skip
    courier = here.start(
        "courier", "post", "--max-away", "2", "--watch", "--fetch", fetch % f"{here.tmp}/back", "--send",
        send % f"{here.tmp}/there", *both,
    )  # fmt: skip
    out, err = worker.communicate(timeout=60)
    assert worker.returncode == 0, (out, err)
    until(lambda: all(sealed(here.root, name) == [("success", 0.25)] for name in ("alpha", "beta", "gamma")))
    courier.send_signal(signal.SIGINT)
    out, err = courier.communicate(timeout=30)
    assert courier.returncode == 130, (out, err)
    assert len(here.marked()) == 3
    assert stages(here.root) == {}
    assert [os.listdir(here.tmp / "post" / each) for each in ("out", "away", "refused")] == [[], [], []]


def test_a_copier_that_fails_is_told_once_and_tried_again(here: Here) -> None:
    here.experiments("alpha")
    here.sent()
    (here.tmp / "send.sh").write_text('test -e ok && cp "$1" back/ && exit 0; echo no route to the lab >&2; exit 7\n')
    (here.tmp / "back").mkdir()
    worker = here.start("worker", "--inbox", "in", "--send", "sh send.sh {file}", "--every", "0.1", root=False)
    assert worker.stderr is not None
    assert "Ctrl-C ends it" in worker.stderr.readline()  # what it waits for
    assert "could not be sent: sh ended with 7: no route to the lab" in worker.stderr.readline()
    (here.tmp / "ok").touch()
    until(lambda: os.listdir(here.tmp / "back"))
    until(lambda: os.listdir(here.tmp / "in/out") == [])
    worker.send_signal(signal.SIGTERM)
    _, err = worker.communicate(timeout=30)
    assert err.count("could not be sent") == 0


def test_one_courier_at_a_folder_and_another_is_told(here: Here) -> None:
    here.experiments("alpha")
    (here.tmp / "slow.sh").write_text("touch begun; while test -e begun; do sleep 0.05; done\n")
    first = here.start("courier", "post", "--fetch", "sh slow.sh {dir}")
    until((here.tmp / "begun").exists)
    assert "another" in here.done("courier", "post", code=3)
    (here.tmp / "begun").unlink()
    first.communicate(timeout=30)
    assert first.returncode == 0


def test_what_was_offered_before_is_taken_first(here: Here) -> None:
    here.experiments("alpha", "beta")
    root = a_root(here.root.layout.root, Files(durable=False))
    offers.queue(root, actor="ann", only=("beta",), now=True)
    here.done("worker", "--max-runs", "1")
    assert (sealed(here.root, "alpha"), sealed(here.root, "beta")) == ([], [("success", 0.25)])


def test_a_class_that_is_for_workers_is_left_to_them_and_one_of_an_engine_to_its_engine(here: Here) -> None:
    more = f"workspace_root: {here.tmp}/ws\nexecutor_command: python3 train.py\nenv: [MARKS]\n"
    for name, kind in (("alpha", "rented"), ("beta", "cluster"), ("gamma", "plain")):
        an_experiment(here.root, name, f"{more}executor_class: {kind}\n")
    here.done("pause", "gamma")
    table = Path(here.root.layout.root) / "engines.yaml"
    table.write_text("rented: {engine: worker}\ncluster: {engine: slurm}\n")
    assert "waits for a worker" in here.done("run-once", "--experiment", "alpha")
    assert here.done("run-once", "--experiment", "alpha", "-q") == here.done(
        "run-once", "--executor-class", "rented", "-q"
    )
    assert "is for workers" in here.done("burst", "alpha", "-n", "1", code=2)
    here.done("worker", "--until-idle", "0")
    assert (sealed(here.root, "alpha"), sealed(here.root, "beta")) == ([("success", 0.25)], [])
    here.done("run-once", "--experiment", "alpha", "--now", "--engine", "here")
    assert len(sealed(here.root, "alpha")) == 2
    table.write_text("rented: {engine: wroker}\n")
    here.done("worker", "--until-idle", "0", code=2)


def test_every_command_of_the_recipe_is_understood() -> None:
    page = (Path(SHIM).parents[1] / "docs/how-to/rented-gpu.md").read_text(encoding="utf-8")
    text = "\n".join(re.findall(r"^```sh\b.*?\n(.*?)^```", page, re.DOTALL | re.MULTILINE)).replace("\\\n", " ")
    lines = [line for line in text.splitlines() if "labctl " in line and "pip" not in line]
    verbs = set()
    for line in lines:
        words = shlex.split(line, comments=True)
        verb, *rest = itertools.takewhile(
            lambda word: word != ">>", words[words.index(next(word for word in words if word.endswith("labctl"))) + 1 :]
        )
        meant = commands.find(verb)
        assert meant is not None, line
        given = parser.build(meant).read(rest)
        for flag in ("fetch", "send"):
            text = getattr(given, flag, "")
            assert not text or shlex.split(text)[-1].strip("/").endswith(("{dir}", "{file}")) or "{file}" in text
        verbs.add(verb)
    assert {"worker", "courier", "lease", "list"} <= verbs
