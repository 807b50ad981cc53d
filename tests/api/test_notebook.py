"""A notebook in a real kernel: threads, an event loop and an interrupt of its own are there, as at a user's."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import nbclient
import nbformat
import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.timeout(180),
    # what the kernel's own packages say of each other is theirs
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
CELLS = (
    "import lab, sys\nhome = lab.Lab.init('lab-data')\nhome",
    """sweep = home.create(
    "sweep", command=[sys.executable, "-S", "square.py", "{params.x}"], metric="loss", direction="minimize",
    space={"x": {"low": 0.0, "high": 1.0}}, durability="fast")
burst = sweep.run(6, strategy="random", jobs=2, seed=1, tell=print)
burst""",
    "sweep.table()",
    "import pandas\npandas.DataFrame(sweep.table())[['value', 'params.x']].describe()",
    """tuned = home.create("tuned", metric="loss", direction="minimize", space={"x": {"low": 0.0, "high": 1.0}})
for _ in range(3):
    with tuned.trial(strategy="random", seed=1) as trial:
        trial.report(loss=trial.params["x"] ** 2)
tuned""",
    "home.verify()",
)
INTERRUPTED = """import os, signal, threading, time
def interrupt():
    while not os.path.exists("begun"):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)
slow = home.create("slow", command=[sys.executable, "-S", "slow.py", os.path.abspath("begun")], metric="loss",
                   direction="minimize", durability="fast")
threading.Thread(target=interrupt).start()
try:
    slow.run(3)
except KeyboardInterrupt:
    print("interrupted", [run.outcome for run in slow.runs()], home.verify())"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the notebook lies; what Jupyter keeps for itself stays in it too."""
    for name in ("HOME", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "own" / name.lower()))
        (tmp_path / "own" / name.lower()).mkdir(parents=True)
    # `python3` as a kernel is this Python, whatever is installed for the user.
    kernel = tmp_path / "own" / "jupyter_data_dir" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    argv = f'["{sys.executable}", "-m", "ipykernel_launcher", "-f", "{{connection_file}}"]'
    (kernel / "kernel.json").write_text(f'{{"argv": {argv}, "display_name": "p", "language": "python"}}')
    (tmp_path / "square.py").write_text("import sys\nprint(f'METRIC loss={float(sys.argv[1]) ** 2!r}')\n")
    (tmp_path / "slow.py").write_text("import sys, time\nopen(sys.argv[1], 'w').close()\ntime.sleep(120)\n")
    return tmp_path


def executed(folder: Path, *cells: str) -> list[dict[str, str]]:
    """What each cell printed and showed."""
    made = nbformat.v4.new_notebook()  # type: ignore[no-untyped-call]
    made.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]  # type: ignore[no-untyped-call]
    client = nbclient.NotebookClient(made, timeout=120, kernel_name="python3", resources={"metadata": {"path": folder}})
    client.execute(env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
    told = []
    for cell in made.cells:
        found: dict[str, str] = {"printed": ""}
        for output in cell.outputs:
            found["printed"] += output.get("text", "")
            found.update(output.get("data", {}))
        told.append(found)
    return told


def test_a_sweep_in_a_notebook_shows_its_runs(folder: Path) -> None:
    opened, burst, table, frame, tuned, verified = executed(folder, *CELLS)
    assert "0 experiments" in opened["text/html"]
    assert "6 runs of sweep: 6 succeeded" in burst["text/plain"]
    assert len(burst["printed"].splitlines()) == 6
    assert table["text/html"].count("<tr>") == 7
    assert "params.x" in table["text/html"]
    assert "count" in frame["text/plain"]
    assert "tuned: active, 3 runs" in tuned["text/html"]
    assert verified["text/plain"] == "[]"


def test_the_interrupt_of_a_notebook_ends_the_run_and_not_the_kernel(folder: Path) -> None:
    *_, interrupted, after = executed(folder, CELLS[0], INTERRUPTED, "home.status()['runs']")
    assert interrupted["printed"].strip() == "interrupted ['cancelled'] []"
    assert after["text/plain"] == "1"
