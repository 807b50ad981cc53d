"""Write every derived page again, from the sealed runs and the ledger.

Decides nothing: no promotion, no event, no clock. Files that would stay the same are not rewritten. Safe at any time,
also while runs are under way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

_SHOWN = 10  # of what is wrong: of a lab that lost its bundles, each of them is
EXAMPLE = "labctl refresh"


def arguments(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Do it."""
    del args
    from lab.core.errors import LabError
    from lab.scheduler import refresh

    root = session.root()
    done = refresh.everything(root, progress=session.terminal.progress("refresh"))
    data = {
        "experiments": done.experiments,
        "runs": done.runs,
        "written": done.written,
        "findings": [{"what": item.what, "where": item.where, "fix": item.fix} for item in done.findings],
    }
    text = f"refreshed: {done.experiments} experiments, {done.runs} runs, {done.written} files rewritten"
    warnings = [LabError(each.what, where=each.where, fix=each.fix).warning for each in done.findings[:_SHOWN]]
    if len(done.findings) > _SHOWN:
        warnings.append(f"and {len(done.findings) - _SHOWN} more like these: labctl refresh --json has all of them")
    return Answer(data, [text], warnings=warnings)
