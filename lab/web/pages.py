"""Every page that is looked at. None of them changes anything."""

from __future__ import annotations

from lab.web import experiment_page, lab_page, memory, run_page, templating

ROUTES = (*lab_page.ROUTES, *experiment_page.ROUTES, *run_page.ROUTES)
_FIRST = ("lab", "lab_wants", "lab_experiments")


def ready() -> None:
    """Before a server starts its threads. Loads what every page needs: the first reader would wait for it, 50 ms."""
    memory.one_heap()
    for name in _FIRST:
        templating.environment().get_template(f"live/{name}.html")
