"""Every page that is looked at. None of them changes anything."""

from __future__ import annotations

from lab.web import experiment_page, lab_page, run_page, templating

ROUTES = (*lab_page.ROUTES, *experiment_page.ROUTES, *run_page.ROUTES)
_FIRST = ("lab", "lab_wants", "lab_experiments")


def ready() -> None:
    """Load what every page needs, so that the first reader does not wait for it: 50 ms of CPU."""
    for name in _FIRST:
        templating.environment().get_template(f"live/{name}.html")
