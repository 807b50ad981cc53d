"""The first command that a newcomer types: a copy of the checkout, an empty home, and no program but python3."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import pwd
import re
import shutil
import signal
import subprocess
import sys
import urllib.parse
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
EXPERIMENT = "optimize-rosenbrock"
CUT_OFF = "pip reached no package index"
OLD = "import runpy, sys; sys.version_info = (3, 10, 0); runpy.run_path(sys.argv[1], run_name='__main__')"

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(300), pytest.mark.xdist_group("quickstart")]


class Newcomer(NamedTuple):
    """A checkout, and the environment of somebody who has nothing else."""

    checkout: Path
    environ: dict[str, str]

    @property
    def lab(self) -> Path:
        return self.checkout / "lab-data"

    def types(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.runs(str(self.checkout / "scripts/quickstart"), *words)

    def runs(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd="/", env={**self.environ, **more}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    def labctl(self, *words: str) -> str:
        done = self.runs(str(self.checkout / ".venv/bin/labctl"), *words, "--data-root", str(self.lab))
        assert done.returncode == 0, done
        return done.stdout

    def sealed(self) -> int:
        return len(list((self.lab / "experiments" / EXPERIMENT / "runs").glob("*/SEAL.json")))


def a_newcomer(place: Path) -> Newcomer:
    checkout = place / "a checkout"  # people have such folders
    home = place / "home"
    programs = place / "bin"
    for folder in (home, programs, checkout):
        folder.mkdir(parents=True)
    shipped = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, shipped.stdout.split("\0")):
        if (CHECKOUT / name).is_file() and not name.startswith("tests/"):
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, checkout / name)
    python = programs / "python3"
    python.write_text(f'#!/bin/sh\nexec "{os.path.realpath(sys.executable)}" "$@"\n')
    python.chmod(0o755)
    mine = Path(pwd.getpwuid(os.getuid()).pw_dir)
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name.endswith("_proxy")}
    pip.setdefault("PIP_CACHE_DIR", str(mine / ".cache/pip"))
    if (mine / ".config/pip/pip.conf").exists():  # where this machine finds its packages
        pip.setdefault("PIP_CONFIG_FILE", str(mine / ".config/pip/pip.conf"))
    return Newcomer(checkout, {"HOME": str(home), "PATH": str(programs), "LANG": "C.UTF-8", **pip})


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> tuple[Newcomer, str]:
    """Somebody who has typed it once, and what it said."""
    if find_spec("ensurepip") is None or shutil.which("git") is None:
        pytest.skip("this Python makes no environments, or there is no git to copy the checkout by")
    newcomer = a_newcomer(tmp_path_factory.mktemp("quickstart"))
    done = newcomer.types("--runs", "25")
    if CUT_OFF in done.stderr:
        pytest.skip("no package index can be reached from here")
    assert done.returncode == 0, done
    return newcomer, done.stdout


def best_told(text: str) -> tuple[int, float, dict[str, float]]:
    found = re.search(r"^best of (\d+) runs: value (\S+), in (\S+)$", text, re.MULTILINE)
    assert found is not None, text
    params = re.findall(r"^  (\w) = (\S+)$", text, re.MULTILINE)
    return int(found[1]), float(found[2]), {name: float(value) for name, value in params}


def test_the_best_that_it_prints_is_the_best_of_the_lab(begun: tuple[Newcomer, str]) -> None:
    newcomer, _ = begun
    again = newcomer.types("--runs", "25").stdout
    runs, value, params = best_told(again)
    best = json.loads(newcomer.labctl("best", EXPERIMENT, "--json"))["data"]
    assert runs == best["scored"] == newcomer.sealed()
    assert value == pytest.approx(best["value"])
    assert params == best["params"]


def test_the_report_that_it_names_is_there(begun: tuple[Newcomer, str]) -> None:
    newcomer, told = begun
    found = re.search(r"^report, for any browser: (.*)$", told, re.MULTILINE)
    assert found is not None, told
    assert EXPERIMENT in Path(found[1]).read_text(encoding="utf-8")
    assert newcomer.lab in Path(found[1]).parents


def test_the_report_is_opened_where_a_person_sits_at_a_terminal(begun: tuple[Newcomer, str], tmp_path: Path) -> None:
    newcomer, _ = begun
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> "{tmp_path}/opened"\n')
    browser.chmod(0o755)
    for more in ([], ["--no-browser"]):
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            [str(newcomer.checkout / "scripts/quickstart"), "--runs", "1", *more],
            env={**newcomer.environ, "BROWSER": str(browser)}, stdin=theirs, stdout=theirs, stderr=theirs,
        ) as process:  # fmt: skip
            os.close(theirs)
            told = read_all(ours)
        assert process.returncode == 0, told
        assert ("opened in your browser" in told) == (not more), told
    (address,) = (tmp_path / "opened").read_text().splitlines()
    assert address.startswith("file:///")
    assert Path(urllib.parse.unquote(address.removeprefix("file://"))).is_file()


def read_all(terminal: int) -> str:
    """What was said at a terminal until it was closed."""
    said = b""
    with contextlib.suppress(OSError), os.fdopen(terminal, "rb", buffering=0) as file:  # Linux ends it with EIO
        while part := file.read(4096):
            said += part
    return said.decode()


def test_nothing_but_the_environment_and_the_lab_is_written(begun: tuple[Newcomer, str]) -> None:
    newcomer, _ = begun
    ours = {"lab-data", ".venv", ".venv.lock"}
    assert (
        set(os.listdir(newcomer.checkout)) - ours
        == {path.name for path in CHECKOUT.iterdir() if path.name in os.listdir(newcomer.checkout)} - ours
    )
    assert [name for name in os.listdir(newcomer.environ["HOME"]) if name != ".cache"] == []


def test_a_second_call_makes_what_is_missing_and_nothing_else(begun: tuple[Newcomer, str]) -> None:
    newcomer, _ = begun
    before = newcomer.sealed()
    same = newcomer.types("--runs", str(before))
    assert same.returncode == 0, same
    assert "0 runs in " in same.stdout
    assert newcomer.sealed() == before
    more = newcomer.types("--runs", str(before + 4))
    assert more.returncode == 0, more
    assert newcomer.sealed() == before + 4
    assert "by pip" not in more.stdout
    assert "all as it was sealed" in newcomer.labctl("verify")


def test_the_commands_that_it_ends_with_work_as_they_are_printed(begun: tuple[Newcomer, str]) -> None:
    newcomer, told = begun
    lines = re.findall(r"^  ((?:export|labctl) .*)$", told, re.MULTILINE)
    assert len(lines) == 6, told
    done = newcomer.runs("/bin/sh", "-euc", "\n".join(lines))
    assert done.returncode == 0, done
    assert Path(told.rpartition("The first hour: ")[2].splitlines()[0]).is_file()


def test_ctrl_c_loses_nothing_and_the_next_call_goes_on(begun: tuple[Newcomer, str], tmp_path: Path) -> None:
    newcomer, _ = begun
    other = newcomer._replace(environ={**newcomer.environ, "LAB_DATA_ROOT": str(tmp_path / "lab")})
    command = [str(newcomer.checkout / "scripts/quickstart"), "--runs", "100"]
    with subprocess.Popen(
        command, env=other.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("  [3/"):
                process.send_signal(signal.SIGINT)
                break
        _, error = process.communicate()
    assert process.returncode == 130
    assert "goes on from here" in error
    labctl = str(newcomer.checkout / ".venv/bin/labctl")
    assert other.runs(labctl, "verify").returncode == 0
    made = len(list((tmp_path / "lab/experiments" / EXPERIMENT / "runs").glob("*/SEAL.json")))
    assert 3 <= made < 100
    assert other.types("--runs", str(made + 2)).returncode == 0
    assert other.runs(labctl, "verify").returncode == 0


def test_a_lab_of_somebody_else_gets_nothing_without_a_yes(begun: tuple[Newcomer, str], tmp_path: Path) -> None:
    newcomer, _ = begun
    labctl = str(newcomer.checkout / ".venv/bin/labctl")
    mine = {"LAB_DATA_ROOT": str(tmp_path / "mine")}
    for words in (["init"], ["create", "first-run"]):
        assert newcomer.runs(labctl, *words, **mine).returncode == 0
    refused = newcomer._replace(environ={**newcomer.environ, **mine}).types("--runs", "2")
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert os.listdir(tmp_path / "mine/experiments") == ["first-run"]
    assert newcomer.types("--runs", "2", "--yes", "--lab", str(tmp_path / "mine")).returncode == 0


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--runs", "0"), 2, "from 1 to 100"),
        (("--lab", "{full}"), 2, "is no lab"),
        (("--venv", "{full}"), 5, "--venv"),
        (("--venv", "{full}/letter/below"), 5, "letter"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_before_anything_is_made(
    words: tuple[str, ...], code: int, says: str, tmp_path: Path
) -> None:
    newcomer = a_newcomer(tmp_path / "new")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/letter").write_text("of mine")
    before = set(newcomer.checkout.rglob("*"))
    done = newcomer.types(*(word.format(full=tmp_path / "full") for word in words))
    assert (done.returncode, says in done.stderr, "Traceback" in done.stderr) == (code, True, False), done
    assert (tmp_path / "full/letter").read_text() == "of mine"
    assert {path.name for path in set(newcomer.checkout.rglob("*")) - before} <= {".venv.lock"}


def test_an_old_python_is_told_what_to_do(tmp_path: Path) -> None:
    newcomer = a_newcomer(tmp_path)
    python = str(Path(newcomer.environ["PATH"], "python3"))
    done = newcomer.runs(python, "-c", OLD, str(newcomer.checkout / "scripts/quickstart"))
    assert done.returncode == 5, done
    assert "3.11 or newer" in done.stderr
    assert "fix: " in done.stderr


def test_without_a_network_it_says_so_and_the_next_call_begins_anew(tmp_path: Path) -> None:
    newcomer = a_newcomer(tmp_path)
    nowhere = {
        "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_NO_CACHE_DIR": "1", "PIP_RETRIES": "0",
    }  # fmt: skip
    done = newcomer._replace(environ={**newcomer.environ, **nowhere}).types()
    assert done.returncode == 5, done
    assert CUT_OFF in done.stderr
    assert not (newcomer.checkout / ".venv/labctl-quickstart.stamp").exists()
    assert not newcomer.lab.exists()
