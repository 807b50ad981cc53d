"""The rules for the code of a skill: commands in whatever they hide, variables in a shell's text, loops, and git."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.skills.samples import GOOD, put
from tests.skills.test_lint import bash, found, python

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl

RUN = "import subprocess\nx = input()\n"


def untagged(code: str) -> str:
    return f"{GOOD}\n```\n{code}\n```\n"


def told(labctl: Labctl, folder: Path, text: str) -> set[str]:
    """The codes of what is wrong, but for what is only told."""
    return {str(issue["code"]) for issue in found(labctl, put(folder, text)) if issue["severity"] != "info"}


@pytest.mark.parametrize(
    "text",
    [
        python("import subprocess\nsubprocess.run(['labctl', 'run-twice'])"),
        python("import subprocess as sp\nsp.run(('labctl', 'run-once', '--twice'), check=True)"),
        python("from subprocess import run\nrun(args=['labctl', 'burst'])"),
        python("import subprocess\nwords = ['labctl', 'run-twice']\nsubprocess.run(words)"),
        python("import subprocess\nsubprocess.run(['labctl', 'run-twice'] + ['--json'])"),
        python("import subprocess\nsubprocess.run('labctl run-twice'.split())"),
        python("import shlex\nimport subprocess\nsubprocess.run(shlex.split('labctl run-twice'))"),
        python("import os\nos.system('cd x && labctl run-twice')"),
        python("import subprocess\nsubprocess.run(['bash', '-lc', 'labctl run-twice'])"),
        python("LAB = 'labctl'\nfrom subprocess import run\nrun([LAB, 'run-twice'])"),
        bash('bash -c "labctl run-twice"'),
        bash("bash -c 'labctl status\nlabctl run-twice'"),
        bash("sudo sh -ec 'cd x && labctl run-twice'"),
        bash("""bash -c 'sh -c "labctl run-twice"'"""),
        untagged("labctl run-twice"),
        untagged("# first\n\ngit status\nlabctl run-twice"),
        untagged("$ labctl run-twice\nran: 2"),
    ],
)  # fmt: skip
def test_a_command_that_labctl_would_refuse_is_found_in_code_too(text: str, labctl: Labctl, tmp_path: Path) -> None:
    assert told(labctl, tmp_path / "a-skill", text) & {"SKILL_COMMAND_UNKNOWN", "SKILL_COMMAND_USAGE"}


@pytest.mark.parametrize(
    "text",
    [
        python("import subprocess\nsubprocess.run(['labctl', 'run-once', '--max-runs', '2'])"),
        python("import subprocess\nwords = ['labctl', 'burst', 'lr']\nwords += ['-n', '2']\nsubprocess.run(words)"),
        python("import subprocess\nrest = ['lr']\nsubprocess.run(['labctl', 'best', *rest])"),
        python("import subprocess\nname = input()\nsubprocess.run(['labctl', 'best', name, f'--{name}'])"),
        python("for needed in ['labctl', 'awk']:\n    print(needed)"),
        python("print('labctl run-twice is no command')"),
        bash("bash -c \"echo it's\"\nbash -c\nbash run.sh -c 'labctl run-twice'"),
        bash('echo "$(echo it\\\'s)"'),
        untagged("experiments: 2\nlabctl run-twice"),
        untagged("$ labctl status\nlabctl run-twice"),
    ],
)
def test_a_command_that_labctl_takes_or_nobody_starts_is_let_through(text: str, labctl: Labctl, tmp_path: Path) -> None:
    assert told(labctl, tmp_path / "a-skill", text) == set()


@pytest.mark.parametrize(
    "code",
    [
        RUN + 'subprocess.run(["bash", "-c", f"rm -rf {x}"])',
        RUN + 'words = ["/bin/sh", "-ec", "rm -rf " + x]',
        'import os\nx = input()\ncommand = f"rm -rf {x}"\nos.system(command)',
        'import os\nx = input()\ncommand = "rm -rf "\ncommand += x\nos.system(command)',
        'from os import system as do\nx = input()\ndo(f"rm -rf {x}")',
        'from subprocess import run\nx = input()\nrun(f"rm -rf {x}", shell=True)',
        'import subprocess as sp\nx = input()\nsp.run(f"rm -rf {x}", shell=True)',
        RUN + 'subprocess.run(args=f"rm -rf {x}", shell=True)',
        RUN + 'subprocess.check_output("rm -rf " + x, shell=True)',
        RUN + 'subprocess.Popen("rm -rf %s" % x, shell=True)',
        RUN + 'subprocess.run("rm -rf %s %s" % (x, 1), shell=True)',
        RUN + 'subprocess.run("rm -rf {}".format(x), shell=True)',
        RUN + 'subprocess.run(" ".join(["rm", x]), shell=True)',
        RUN + 'subprocess.run([f"rm {x}"], shell=True)',
        RUN + 'subprocess.getoutput(f"rm -rf {x!r}")',
        'import asyncio\nx = input()\nasyncio.run(asyncio.create_subprocess_shell(f"rm {x}"))',
    ],
)
def test_a_variable_in_a_shells_text_is_found_however_it_comes_there(code: str, labctl: Labctl, tmp_path: Path) -> None:
    assert told(labctl, tmp_path / "a-skill", python(code)) == {"SKILL_SHELL_INJECTION"}


@pytest.mark.parametrize(
    "code",
    [
        RUN + 'subprocess.run(["rm", "-rf", f"{x}"])',
        RUN + 'subprocess.run(["python3", "-c", f"print({x!r})"])',
        RUN + 'subprocess.run(f"rm -rf {x}", shell=False)',
        RUN + "import shlex\ny = shlex.quote(x)\nsubprocess.run(f'ls {y}', shell=True)",
        RUN + "import shlex\nsubprocess.run('ls ' + shlex.join([x]), shell=True)",
        RUN + 'subprocess.run("ls -l %d" % len(x), shell=True)',
        'import os\ncommand = "ls " + "-l"\nos.system(command)\nos.system("ls")',
        'import os\nx = input()\nos.path.join("a" + x)',
    ],
)
def test_a_variable_that_is_quoted_or_that_no_shell_reads_is_let_through(
    code: str, labctl: Labctl, tmp_path: Path
) -> None:
    assert told(labctl, tmp_path / "a-skill", python(code)) == set()


@pytest.mark.parametrize(
    "text",
    [
        *map(bash, ("git add ./", "git add -- .", "git -C x add .", "git add --update", "git -c a=b push",
                    "git add x/..", "git commit -qam x", "bash -c 'git add .'", "git --no-pager add -A", "git add :/")),
        untagged("git add ."),
        python("import subprocess\nsubprocess.run(['git', '-C', 'x', 'add', './'])"),
        GOOD + "\nThen type git add . and look.\n",
        GOOD + "\nThen `git add .`, `git commit -m x` and rest.\n",
        GOOD + "\n| save | `git -c a=b push` |\n",
    ],
)  # fmt: skip
def test_what_git_takes_in_unseen_is_found(text: str, labctl: Labctl, tmp_path: Path) -> None:
    assert told(labctl, tmp_path / "a-skill", text) == {"SKILL_GIT_UNREVIEWED"}


@pytest.mark.parametrize(
    "text",
    [
        *map(bash, ("git add x.py ./y.py", "git commit -m 'all of it'", "git add -p .", "git push --dry-run",
                    "git -C x log", "git --no-pager diff\ngit add .", "git commit --amend")),
        GOOD + "\nNever `git add .`. Do not\n`git push` by yourself; `git commit -a` is refused.\n",
        GOOD + "\nLook at `git diff` first, then `git add .`; a git push starts the checks.\n",
        GOOD + "\nThe digit add . and the git add-on.\n",
    ],
)  # fmt: skip
def test_what_somebody_looked_at_or_named_is_let_through(text: str, labctl: Labctl, tmp_path: Path) -> None:
    assert told(labctl, tmp_path / "a-skill", text) == set()


@pytest.mark.parametrize(
    "text",
    [
        *map(bash, ("until false; do labctl status; done", "for ((;;)); do labctl status; done",
                    "while [ 1 ]\ndo :; done",
                    "labctl status; while sleep 5; do labctl status; done", "while :; do labctl status; done")),
        untagged("labctl status\nwhile true; do labctl status; done"),
        *map(python, ("while 1 == 1:\n    print()", "while not False:\n    print()", "while True:\n    print()",
                      "import itertools\nfor n in itertools.count():\n    print(n)",
                      "from itertools import cycle as again\nfor n in again('ab'):\n    print(n)",
                      "import itertools as it\nfor n in it.repeat(1):\n    print(n)",
                      "while True:\n    print('break')")),
        GOOD + "\nKeep going forever.\n",
        GOOD + "\nRun until interrupted, iterate\nendlessly.\n",
        GOOD + "\nRepeat until you are stopped.\n",
    ],
)  # fmt: skip
def test_a_loop_without_an_end_is_found(text: str, labctl: Labctl, tmp_path: Path) -> None:
    assert told(labctl, tmp_path / "a-skill", text) == {"SKILL_UNBOUNDED"}


@pytest.mark.parametrize(
    "text",
    [
        *map(bash, ("until labctl verify; do break; done", "for ((i=0; i<3; i++)); do labctl status; done",
                    "while true; do labctl status && break; done", "timeout 60 bash -c 'while true; do date; done'")),
        *map(python, ("while True:\n    if input():\n        break", "x = 1\nwhile x == 1:\n    x = 2",
                      "import itertools\nfor n in itertools.repeat(1, 3):\n    print(n)",
                      "import itertools\nimport sys\nfor n in itertools.count():\n    sys.exit(n)",
                      "def numbers():\n    while True:\n        yield 1")),
        GOOD + "\nDo not keep going forever; never\nrun until interrupted. Keep going until three fail.\n",
    ],
)  # fmt: skip
def test_a_loop_with_an_end_is_let_through(text: str, labctl: Labctl, tmp_path: Path) -> None:
    assert told(labctl, tmp_path / "a-skill", text) == set()


def test_a_link_in_angle_brackets_may_have_a_space(labctl: Labctl, tmp_path: Path) -> None:
    folder = put(
        tmp_path / "good" / "a-skill", GOOD + "\nSee [it](<references/a b.md>) and [it](references/c.md 'c').\n"
    )
    (folder / "references").mkdir()
    for name in ("a b.md", "c.md"):
        (folder / "references" / name).write_text("# A\n")
    assert found(labctl, folder, "--strict") == []
    (issue,) = found(labctl, put(tmp_path / "bad" / "a-skill", GOOD + "\n[a](<b c.md>)\n"))
    assert issue["message"] == "b c.md is not there"
