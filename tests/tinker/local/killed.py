"""A process that is killed before each step that a save takes on the disk, and what the next start finds of it.

    python tests/tinker/local/killed.py FOLDER new|overwrite

It prints, one JSON list: for every step that it was killed before, what the steps were and what was found.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from lab.tinker.local import disk
from lab.tinker.local.checkpoints import Checkpoints
from tests.tinker.local.stored import checkpoint, fill

STEPS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.scandir", "os.listdir")
KILLED = 9


def save(folder: str, text: str) -> None:
    Checkpoints(folder, print).save(checkpoint(), fill(text), overwrite=True)


def killed_before(step: int, folder: str) -> str:
    """In a child: what it stood before, or nothing where it came through."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        with os.fdopen(reading, "rb") as told:
            last = told.read().decode()
        _, status = os.waitpid(child, 0)
        return last if os.waitstatus_to_exitcode(status) == KILLED else ""
    left = [step]

    def count(event: str, given: tuple[object, ...]) -> None:
        if event not in STEPS:
            return
        left[0] -= 1
        if left[0] == 0:
            os.write(writing, f"{event} {given[0]}".encode())
            os._exit(KILLED)

    sys.addaudithook(count)
    save(folder, "new")
    os._exit(0)


def found(folder: str) -> dict[str, object]:
    """As the next start does it."""
    disk.clear(folder)
    complaints: list[str] = []
    listed = [each.path for each in Checkpoints(folder, complaints.append).newest_first()]
    adapters = [each.read_text() for each in Path(folder).rglob("adapter")]
    hidden = [str(each) for each in Path(folder).rglob(".*")]
    return {"listed": len(listed), "adapters": adapters, "hidden": hidden, "complaints": complaints}


def main() -> None:
    above, how = sys.argv[1:]
    save(f"{above}/before", "")  # so that everything is imported
    seen: list[dict[str, object]] = []
    for step in range(1, 1000):
        folder = f"{above}/{how}-{step}"
        os.mkdir(folder)
        if how == "overwrite":
            save(folder, "old")
        stood = killed_before(step, folder)
        seen.append({"stood": stood, **found(folder)})
        if not stood:
            break
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main()
