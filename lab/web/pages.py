"""Every page that is looked at. None of them changes anything."""

from __future__ import annotations

from lab.web import experiment_page, lab_page, run_page

ROUTES = (*lab_page.ROUTES, *experiment_page.ROUTES, *run_page.ROUTES)
