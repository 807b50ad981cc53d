"""What tests of pages share: one browser, a lab that is served, and who visits it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.web.browser import Driver
from tests.web.labs import a_seen_lab, looked_at
from tests.web.raw import Visitor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.web.browser import Browser
    from tests.web.labs import Served


@pytest.fixture(scope="session")
def _one_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    driver = Driver(tmp_path_factory.mktemp("browser"))
    try:
        yield driver.browser()
    finally:
        driver.end()


@pytest.fixture
def browser(_one_browser: Browser) -> Browser:
    """A browser as if nobody had used it. A test with it is marked `needs("chromium")` and `needs("chromedriver")`."""
    _one_browser.reset()
    return _one_browser


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A lab with six runs."""
    with looked_at(a_seen_lab(tmp_path / "lab", 6)) as served:
        yield served


@pytest.fixture
def visitor(served: Served) -> Visitor:
    return Visitor(served.server)
