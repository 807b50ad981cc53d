"""The pages of one experiment that every run renews."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core import layout
from lab.projections.baton import next_page
from lab.projections.best import best_page
from lab.projections.context import context_page
from lab.projections.status import status_page
from lab.projections.summary import summary_page
from lab.projections.tier import is_loop

if TYPE_CHECKING:
    from lab.core.subject import Subject


def render(subject: Subject) -> dict[str, bytes]:
    """File name -> bytes. Without RUNBOOK.md, which a run does not change, and the tables, which only grow.

    A checkpoint is absent while there is no such run, and the page of a code loop where there is none.
    """
    made = {
        layout.STATUS: status_page(subject),
        layout.SUMMARY: summary_page(subject),
        layout.NEXT: next_page(subject),
        layout.CONTEXT: context_page(subject),
        layout.BEST: best_page(subject),
    }
    if is_loop(subject):
        from lab.projections.autoresearch_summary import summary_page as loop_page  # noqa: PLC0415  # most are none

        made[layout.LOOP_SUMMARY] = loop_page(subject)
    for name, run in ((layout.LATEST_RUN, subject.view.last), (layout.BEST_RUN, subject.view.best)):
        if run is not None:
            made[name] = f"{run.run_id}\n".encode(errors="replace")
    return made
