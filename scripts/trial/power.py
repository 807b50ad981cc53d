"""The power goes at each system call of a verb, on file systems of their own: what was answered is there.

The process is killed at the call, only what the block device has by then is kept, and that is mounted. Once more the
power goes after the last call, and then everything that was answered must be there. Needs root, strace and loop mounts.
`--only` picks a file system: ext4, xfs.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if __name__ == "__main__":  # from the checkout, whatever is installed
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from scripts.trial import report
from scripts.trial.report import Finding
from tests.crash import outage, verbs
from tests.crash.outage import MAKERS, Cuts, Disk

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.trial.report import Setting

QUICK, SLOW = 3, 40  # cuts of a row; those of one that takes seconds for each
PROMISE = "what was answered is there; what was begun goes on; pages as rebuilt"


def _on(kind: str) -> Callable[[Setting], list[Finding]]:
    def trial(setting: Setting) -> list[Finding]:
        return [_cut(kind, setting, number, name) for number, name in enumerate(verbs.CUT)]

    return trial


def _cut(kind: str, setting: Setting, number: int, name: str) -> Finding:
    print(f"  {name}", file=sys.stderr, flush=True)
    folder = f"{setting.disk}/{kind}-{number}"
    os.mkdir(folder)
    disk = Disk(folder, kind)
    if why := outage.hindered(disk):
        return Finding(what=f"{name}, {kind}", tried=f"not at all: {why}", promise=PROMISE)
    row = next(row for row in verbs.ROWS if row.name == name)
    try:
        cuts = Cuts(row, disk)
        swept = cuts.cut(QUICK if setting.quick else SLOW if row.is_dear else 0)
    finally:
        for image in (disk.fresh, disk.image, disk.cut_image):
            with suppress(FileNotFoundError):
                os.unlink(image)
    tried = f"{swept.struck} cuts at {swept.steps} calls"
    return Finding(what=f"{name}, {kind}", tried=tried, promise=PROMISE, broken=swept.wrong)


if __name__ == "__main__":
    os.environ["HOME"] = "/nonexistent"  # each box has a home of its own
    report.run(__doc__, {kind: _on(kind) for kind in MAKERS})
