"""The templates of code loops, with a workspace put in: each measures a baseline and tries a change."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PRINTS = (
    "import os\nsize = os.path.getsize('src/a') if os.path.exists('src/a') else 0\nprint(f'METRIC {name}={{size}}')\n"
)
CLASSES = ("--executor-class", "cpu", "--executor-class", "default")
NOBODY = {f"GIT_{role}_{part}": "me@home" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}

pytestmark = [pytest.mark.heavy, pytest.mark.needs("git"), pytest.mark.timeout(120)]


def typed(command: list[str], folder: Path) -> str:
    environ = {**os.environ, **NOBODY, "GIT_CONFIG_GLOBAL": "/dev/null", "LAB_DATA_ROOT": str(folder.parent / "lab")}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), f"{command}\n{done.stdout}\n{done.stderr}"
    assert "error[" not in done.stderr, done.stderr
    return done.stdout


def labctl(*words: str, folder: Path) -> str:
    return typed([sys.executable, str(CHECKOUT / "scripts/labctl.py"), *words], folder)


@pytest.mark.parametrize(
    ("template", "name", "files", "verdicts"),
    [
        ("code-autoresearch", "my-code-loop", {"measure.py": "seconds"}, ["keep", "keep"]),
        ("local-agent-autoresearch", "my-agent-loop", {"score.py": "error"}, ["keep", "discard"]),
        ("multifidelity-autoresearch", "my-tiers", {"train.py": "validation_loss"}, ["keep", "checks_failed"]),
    ],
)
def test_a_template_runs_as_soon_as_the_workspace_is_there(
    template: str, name: str, files: dict[str, str], verdicts: list[str], tmp_path: Path
) -> None:
    code = tmp_path / "my-repository"
    (code / "src").mkdir(parents=True)
    (code / "src/a").write_text("1234567890\n")
    (code / "propose.py").write_text("open('src/a', 'w').write('1\\n')\n")
    for file, metric in files.items():
        (code / file).write_text(PRINTS.replace("{name}", metric).replace("{{", "{").replace("}}", "}"))
    for words in (["init", "-q"], ["add", "--all"], ["commit", "-q", "-m", "as it is"]):
        typed(["git", *words], code)
    specs = tmp_path / "specs"
    specs.mkdir()
    (specs / "mine.yaml").write_bytes((CHECKOUT / "templates" / f"{template}.yaml").read_bytes())
    labctl("init", folder=code)
    labctl("create", str(specs / "mine.yaml"), folder=code)
    for _ in verdicts:
        labctl("run-once", "--experiment", name, "--now", *CLASSES, folder=code)
    table = (tmp_path / "lab/experiments" / name / "results.tsv").read_text(encoding="utf-8")
    assert [line.split("\t")[3] for line in table.splitlines()[1:]] == verdicts
