"""One browser for all tests of pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.web.browser import Driver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.web.browser import Browser


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
